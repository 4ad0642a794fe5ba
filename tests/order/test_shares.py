"""Sizes of parts by exact arithmetic, classes within one row, groups whole."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.order.keys import keys
from fireworks.order.shares import class_sizes, groups_to_lightest, groups_to_parts, part_sizes, shared_out

COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def tables(counts, sizes):
    """Every table whose cells are exact shares rounded down or up and whose classes keep their rows: by trying all."""
    total = sum(counts)
    choices = []
    for count in counts:
        exact = [Fraction(count * size, total) for size in sizes]
        cells = [(share.__floor__(), share.__ceil__()) for share in exact]
        choices.append([row for row in itertools.product(*map(sorted, map(set, cells))) if sum(row) == count])
    return itertools.product(*choices)


class TestClassSizes:
    @given(counts=COUNTS, weights=st.lists(st.integers(1, 9), min_size=1, max_size=5))
    def test_each_share_is_within_a_row_and_no_row_is_lost(self, counts, weights):
        total = sum(counts)
        sizes = shared_out(total, [Fraction(weight, sum(weights)) for weight in weights])
        table = class_sizes(np.array(counts), sizes)
        assert table.sum(axis=1).tolist() == counts
        for count, row in zip(counts, table.tolist(), strict=True):
            for size, cell in zip(sizes, row, strict=True):
                assert abs(cell - Fraction(count * size, total)) < 1

    @given(counts=st.lists(st.integers(1, 300), min_size=1, max_size=60), percent=st.integers(1, 99))
    def test_two_parts_always_have_their_sizes(self, counts, percent):
        sizes = part_sizes(sum(counts), [percent / 100, 1 - percent / 100])
        assert class_sizes(np.array(counts), sizes).sum(axis=0).tolist() == sizes

    @settings(max_examples=60)
    @given(
        counts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
        weights=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    )
    def test_three_parts_have_their_sizes_wherever_a_table_has_them(self, counts, weights):
        sizes = shared_out(sum(counts), [Fraction(weight, sum(weights)) for weight in weights])
        possible = any([sum(column) for column in zip(*table, strict=True)] == sizes for table in tables(counts, sizes))
        assert (class_sizes(np.array(counts), sizes).sum(axis=0).tolist() == sizes) == possible

    def test_no_share_is_a_row_off_however_many_rows_have_to_move(self):
        source = np.random.default_rng(0)
        for number in range(200):
            counts = source.integers(1, 12, source.integers(20, 80)) * source.choice([1, 4])
            total = int(counts.sum())
            sizes = shared_out(
                total, [Fraction(weight, 12) for weight in ([6, 3, 3], [4, 4, 4], [3, 3, 3, 3])[number % 3]]
            )
            table = class_sizes(counts, sizes)
            assert (np.abs(table * total - counts[:, None] * np.array(sizes)) < total).all()
            assert table.sum(axis=0).tolist() == sizes

    def test_many_small_classes_that_all_round_alike(self):
        # Fifty classes of two rows by 3 to 1: each would give its odd row to the larger part.
        table = class_sizes(np.full(50, 2), [75, 25])
        assert table.sum(axis=0).tolist() == [75, 25]
        assert table[:, 0].min() >= 1

    def test_a_hundred_thousand_classes(self):
        table = class_sizes(np.full(100_000, 3), [150_000, 100_000, 50_000])
        assert table.sum(axis=0).tolist() == [150_000, 100_000, 50_000]

    def test_counts_whose_products_leave_64_bits(self):
        counts = np.array([3 * 10**12, 10**12], dtype=np.int64)
        assert class_sizes(counts, [3 * 10**12, 10**12]).tolist() == [
            [2_250_000_000_000, 750_000_000_000],
            [750_000_000_000, 250_000_000_000],
        ]


class TestGroupsToParts:
    @given(
        sizes=st.lists(st.integers(1, 30), min_size=3, max_size=40),
        weights=st.lists(st.integers(1, 9), min_size=1, max_size=3),
        seed=st.integers(0, 2**32),
    )
    def test_every_part_has_a_group_and_is_off_by_no_more_than_the_largest(self, sizes, weights, seed):
        wanted = shared_out(sum(sizes), [Fraction(weight, sum(weights)) for weight in weights])
        parts = groups_to_parts(np.array(sizes), wanted, keys(seed, "split:0", 0, 0, len(sizes)))
        have = np.bincount(parts, weights=sizes, minlength=len(wanted))
        assert all(have[part] > 0 for part, size in enumerate(wanted) if size)
        assert sum(have) == sum(sizes)
        if len(sizes) > 2 * len(wanted) and max(sizes) == min(sizes):
            assert np.abs(have - wanted).max() <= max(sizes)

    def test_groups_of_one_row_give_exact_sizes(self):
        parts = groups_to_parts(np.ones(1000, dtype=np.int64), [700, 250, 50], keys(0, "split:0", 0, 0, 1000))
        assert np.bincount(parts).tolist() == [700, 250, 50]

    def test_many_groups_of_many_sizes_come_within_the_smallest(self):
        sizes = np.random.default_rng(0).integers(1, 50, 2000)
        wanted = part_sizes(int(sizes.sum()), [0.8, 0.2])
        for seed in range(5):
            parts = groups_to_parts(sizes, wanted, keys(seed, "split:0", 0, 0, 2000))
            assert np.abs(np.bincount(parts, weights=sizes) - wanted).max() <= 1

    def test_where_a_group_goes_says_little_of_its_size(self):
        # Half the groups are ten times as large; a fifth of both kinds should be in the small part.
        sizes = np.array([10, 1] * 200)
        wanted = part_sizes(int(sizes.sum()), [0.8, 0.2])
        in_small = np.zeros(2)
        for seed in range(200):
            parts = groups_to_parts(sizes, wanted, keys(seed, "split:0", 0, 0, 400))
            in_small += [(parts[0::2] == 1).mean(), (parts[1::2] == 1).mean()]
        assert np.abs(in_small / 200 - 0.2).max() < 0.01

    def test_a_part_that_asked_for_nothing_is_no_part(self):
        parts = groups_to_parts(np.array([5, 5]), [5, 5, 0], keys(1, "split:0", 0, 0, 2))
        assert sorted(parts.tolist()) == [0, 1]


class TestGroupsToLightest:
    @given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=40), count=st.integers(1, 6))
    def test_it_is_the_rule_in_plain_words(self, sizes, count):
        loads, expected = [0] * count, [0] * len(sizes)
        for group in sorted(range(len(sizes)), key=lambda one: (-sizes[one], one)):
            lightest = loads.index(min(loads))
            expected[group] = lightest
            loads[lightest] += sizes[group]
        assert groups_to_lightest(np.array(sizes), count).tolist() == expected


@pytest.mark.parametrize("count", [0, 1, 7])
def test_one_part_gets_everything(count):
    assert shared_out(count, [Fraction(1)]) == [count]
