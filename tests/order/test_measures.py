"""Each measure has the mean, the variance and the p-values over all orders that it says it has."""

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.stats

from fireworks.order import measures
from fireworks.order.measures import (
    LIMIT,
    deciles,
    displacement,
    effective_batch,
    neighbours,
    p_text,
    rank_correlation,
    span,
    usual,
)

SIZES = np.array([3, 2, 2])
CLASSES = np.array([0, 0, 1, 2, 1, 0, 2])
NUMBERS = np.array([0.1, 3.0, 2.0, 70.0, -1.0, 0.0, 0.0])


def every_order(count):
    return (np.array(order) for order in itertools.permutations(range(count)))


def between_batches(values, sizes):
    """The sum of squares between batches, as a textbook has it."""
    table = np.eye(3)[values] if values.dtype.kind == "i" else values[:, None]
    parts = np.split(table, np.cumsum(sizes)[:-1])
    return sum(len(part) * ((part.mean(axis=0) - table.mean(axis=0)) ** 2).sum() for part in parts)


class TestOverAllOrders:
    """Seven rows have 5,040 orders: what formulas say is held against all of them."""

    @pytest.mark.parametrize("values", [CLASSES, NUMBERS], ids=["classes", "numbers"])
    def test_the_effective_batch(self, values):
        squares = np.array([between_batches(values[order], SIZES) for order in every_order(7)])
        for order, expected in zip(itertools.islice(every_order(7), 0, 5040, 411), squares[::411], strict=True):
            measure = effective_batch("e", values[order], SIZES, of="x")
            assert measure.observed == pytest.approx(2 * squares.mean() / expected)
            assert measure.expected == 2
            assert measure.z == pytest.approx((expected - squares.mean()) / squares.std())

    def test_the_rank_correlation(self):
        found = np.array([rank_correlation(order).observed for order in every_order(7)])
        expected = [
            scipy.stats.spearmanr(order, np.arange(7)).statistic for order in itertools.islice(every_order(7), 50)
        ]
        assert found[:50] == pytest.approx(expected)
        z = [rank_correlation(order).z for order in every_order(7)]
        assert np.abs(z) == pytest.approx(np.abs(found - found.mean()) / found.std())

    def test_the_displacement(self):
        found = np.array([np.abs(order - np.arange(7)).mean() / 7 for order in every_order(7)])
        measured = [displacement(order) for order in every_order(7)]
        assert [measure.observed for measure in measured] == pytest.approx(found)
        assert measured[0].expected == pytest.approx(found.mean())
        assert [measure.z for measure in measured] == pytest.approx((found.mean() - found) / found.std())

    @pytest.mark.parametrize("sizes", [[3, 2, 2], [4, 3], [2, 1, 2, 2], [6, 1]])
    def test_neighbours(self, sizes):
        def together(order):
            batch = {row: number for number, part in enumerate(np.split(order, np.cumsum(sizes)[:-1])) for row in part}
            return sum(batch[row] == batch[row + 1] for row in range(6))

        found = np.array([together(order) for order in every_order(7)])
        measured = [neighbours(order, np.array(sizes)) for order in itertools.islice(every_order(7), 0, 5040, 97)]
        assert [measure.observed for measure in measured] == pytest.approx(found[::97] / found.mean())
        assert [measure.z for measure in measured] == pytest.approx((found[::97] - found.mean()) / found.std())

    @pytest.mark.parametrize(("count", "sizes"), [(7, [3, 3, 1]), (7, [2, 2, 2, 1]), (8, [4, 4]), (6, [2, 2, 2])])
    def test_the_span_of_a_batch(self, count, sizes):
        full = [size for size in sizes if size == sizes[0]]

        def spans(order):
            parts = np.split(order, np.cumsum(sizes)[:-1])[: len(full)]
            return np.mean([part.max() - part.min() for part in parts]) / count

        found = np.array([spans(order) for order in every_order(count)])
        measured = [span(order, np.array(sizes)) for order in itertools.islice(every_order(count), 0, None, 97)]
        assert [measure.observed for measure in measured] == pytest.approx(found[::97])
        assert measured[0].expected == pytest.approx(found.mean())
        assert [measure.z for measure in measured] == pytest.approx((found.mean() - found[::97]) / found.std())


class TestOfARandomOrder:
    """p-values are uniform, and 95 % of all orders lie in the band, for classes of any share and numbers of any shape."""

    ORDERS, ROWS = 600, 1003
    BATCHES = np.array([32] * 31 + [11])

    @classmethod
    @functools.cache
    def drawn(cls):
        random, found = np.random.default_rng(1), {}
        labels = np.repeat(np.arange(5), [400, 300, 200, 100, 3])
        skewed = np.exp(3 * np.arange(cls.ROWS) / cls.ROWS)
        for _ in range(cls.ORDERS):
            ranks = random.permutation(cls.ROWS)
            for measure in (
                effective_batch("by label", labels[ranks], cls.BATCHES, of="x"),
                effective_batch("by number", skewed[ranks], cls.BATCHES, of="x"),
                effective_batch("by many classes", ranks // 10, cls.BATCHES, of="x"),
                effective_batch("by source", deciles(ranks), cls.BATCHES, of="x"),
                effective_batch("by bucket", deciles(ranks), np.array([3] * 100 + [70] * 10 + [3]), of="x"),
                rank_correlation(ranks),
                displacement(ranks),
                neighbours(ranks, np.array([250] * 4 + [3])),
                span(ranks, cls.BATCHES),
            ):
                found.setdefault(measure.name, []).append(measure)
        return found

    @pytest.fixture
    def found(self):
        return self.drawn()

    def test_p_values_are_uniform(self, found):
        assert len(found) == 9
        for name, of_name in found.items():
            assert scipy.stats.kstest([measure.p for measure in of_name], "uniform").pvalue > 1e-4, name

    def test_19_of_20_lie_in_the_band(self, found):
        for name, of_name in found.items():
            inside = sum(measure.low <= measure.observed <= measure.high for measure in of_name)
            assert scipy.stats.binomtest(inside, len(of_name), 0.95).pvalue > 1e-4, (name, inside)

    def test_the_verdict_is_that_of_a_uniform_order(self, found):
        verdicts = [measure.verdict for of_name in found.values() for measure in of_name]
        assert sum(not verdict.startswith("as in a uniform order (p = ") for verdict in verdicts) < 10


class TestOfOtherOrders:
    ROWS, BATCH = 4000, 50
    SIZES = np.full(80, 50)

    def buffered(self, size):
        random, held, order = np.random.default_rng(0), list(range(size)), []
        for row in range(size, self.ROWS + size):
            slot = random.integers(len(held))
            order.append(held[slot])
            if row < self.ROWS:
                held[slot] = row
            else:
                held.pop(slot)
        return np.array(order)

    @pytest.mark.parametrize("size", [1, 40, 200])
    def test_a_buffer_is_found_out_by_every_measure(self, size):
        ranks = self.buffered(size)
        for measure in (
            effective_batch("e", ranks * 10 // self.ROWS, self.SIZES, of="'label'"),
            effective_batch("e", ranks.astype(np.float64), self.SIZES, of="'x'"),
            rank_correlation(ranks),
            displacement(ranks),
            neighbours(ranks, self.SIZES),
            span(ranks, self.SIZES),
        ):
            assert measure.p < 1e-12, measure
            assert measure.z > 5, measure
            assert not measure.is_uniform
            assert measure.verdict.startswith("NOT as in a uniform order: "), measure

    def test_sorted_rows_have_an_effective_batch_of_one(self):
        measure = effective_batch("e", np.arange(self.ROWS) // 400, self.SIZES, of="'label'")
        assert measure.observed == pytest.approx(1, abs=0.05)
        assert measure.p == 0
        assert measure.verdict.endswith("a batch tells of 'label' what 0.988 rows at random would (p < 1e-300)")

    def test_batches_that_are_all_alike_are_more_even_than_chance(self):
        measure = effective_batch("e", np.arange(self.ROWS) % 10, self.SIZES, of="'label'")
        assert measure.observed == math.inf
        assert measure.z < -5
        assert measure.verdict.startswith("otherwise than in a uniform order: a batch tells of 'label' what inf rows")

    def test_a_reversed_order_is_found_out(self):
        measure = rank_correlation(np.arange(self.ROWS)[::-1])
        assert measure.observed == -1
        assert measure.verdict.startswith("NOT as in a uniform order: rows come against the order of the source")

    def test_effective_batch_times_variance_is_batch_times_the_variance_of_a_uniform_order(self):
        ranks = self.buffered(400)
        shares = np.stack([(ranks.reshape(-1, 50) * 10 // self.ROWS == label).mean(axis=1) for label in range(10)])
        exact = 0.1 * 0.9 / self.BATCH * (self.ROWS - self.BATCH) / (self.ROWS - 1)
        expected = self.BATCH * exact / ((shares - 0.1) ** 2).mean()
        measure = effective_batch("e", ranks * 10 // self.ROWS, self.SIZES, of="x")
        assert measure.observed == pytest.approx(expected)

    def test_a_block_of_a_sample_of_other_libraries(self):
        # Blocks of 10 rows at random places: each row is where it may be in a uniform order, and its neighbours with it.
        blocks = np.random.default_rng(0).permutation(400)
        ranks = (blocks[:, None] * 10 + np.arange(10)).reshape(-1)
        assert rank_correlation(ranks).is_uniform
        assert displacement(ranks).is_uniform
        assert neighbours(ranks, self.SIZES).observed == pytest.approx(0.9 * 80, rel=0.05)
        assert effective_batch("e", ranks * 10 // self.ROWS, self.SIZES, of="x").observed == pytest.approx(5, rel=0.4)


class TestWhatCantBeMeasured:
    def test_one_batch_or_one_value_or_batches_of_one_row(self):
        rows = np.arange(10)
        assert effective_batch("e", rows % 2, np.array([10]), of="x") is None
        assert effective_batch("e", rows * 0, np.array([5, 5]), of="x") is None
        assert effective_batch("e", np.full(10, 0.1), np.array([5, 5]), of="x") is None
        assert effective_batch("e", rows % 2, np.ones(10, dtype=np.int64), of="x") is None
        assert effective_batch("e", rows, np.array([5, 5]), of="x") is None
        assert neighbours(rows, np.array([10])) is None
        assert neighbours(rows, np.ones(10, dtype=np.int64)) is None
        assert span(rows, np.array([10])) is None
        assert span(rows, np.ones(10, dtype=np.int64)) is None
        assert span(rows, np.array([3, 4, 3])) is None
        assert span(rows, np.array([4, 6])) is None

    def test_less_than_four_rows(self):
        for measure in (rank_correlation, displacement):
            assert measure(np.arange(3)) is None
        assert neighbours(np.arange(3), np.array([2, 1])) is None
        assert span(np.arange(0), np.array([], dtype=np.int64)) is None

    def test_numbers_of_any_size(self):
        random = np.random.default_rng(0)
        small = random.normal(size=200)
        sizes = np.full(20, 10)
        expected = effective_batch("e", small, sizes, of="x")
        for scale in (1e-200, 1e200):
            measure = effective_batch("e", small * scale, sizes, of="x")
            assert (measure.observed, measure.p) == pytest.approx((expected.observed, expected.p))
        assert effective_batch("e", small + 1e6, sizes, of="x").p == pytest.approx(expected.p)

    def test_many_classes_take_the_memory_of_the_rows(self):
        random = np.random.default_rng(0)
        classes = random.integers(0, 5000, 20_000)
        few = effective_batch("e", classes, np.full(200, 100), of="x")
        cells = np.zeros((200, 5000))
        np.add.at(cells, (np.arange(20_000) // 100, classes), 1)
        share = np.bincount(classes, minlength=5000) / 20_000
        between = (100 * ((cells / 100 - share) ** 2)).sum()
        mean = 199 * (20_000 * (1 - (share**2).sum())) / 19_999
        assert few.observed == pytest.approx(100 * mean / between)


def test_the_usual_length():
    assert usual(np.array([], dtype=np.int64)) == 0
    assert usual(np.array([3, 3, 9, 9, 1])) == 9


def test_a_p_value_as_text():
    assert [p_text(p) for p in (1.0, 0.0499, 1e-12, 0.0)] == ["p = 1", "p = 0.05", "p = 1e-12", "p < 1e-300"]


def test_tails_are_those_of_scipy():
    for shape, x in ((0.5, 0.1), (3.5, 9.0), (900.0, 1000.0), (40_000.0, 39_000.0)):
        expected = scipy.stats.gamma.cdf(x, shape), scipy.stats.gamma.sf(x, shape)
        assert measures._gamma_tails(shape, x) == pytest.approx(expected, rel=1e-6)
    for z in (-3.0, 0.0, 8.0):
        assert measures._normal_tails(z) == pytest.approx((scipy.stats.norm.cdf(z), scipy.stats.norm.sf(z)))
    assert LIMIT == 1e-4
