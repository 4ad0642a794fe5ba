"""Rows are chosen as the definition says, computed here a second time and slowly, and every row with its right chance."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import ColumnLengthError, ColumnNotFoundError, ColumnTypeError, ColumnValueError
from fireworks.message.sample import _log, _smallest, sample_rows

SEEDS = st.integers(0, 2**64 - 1)
NAME = b"message.sample"


def rows(message, n=None, *, frac=None, replace=False, weights=None, seed=0):
    return sample_rows(message, n=n, frac=frac, replace=replace, weights=weights, seed=seed).tolist()


def numbered(num_rows, **columns):
    return fw.Message({"row": np.arange(num_rows), **columns})


def slow_words(seed, count):
    """Words of a Philox stream of SeedSequence([seed, length of the name, its bytes four to a word])."""
    padded = NAME + bytes(-len(NAME) % 4)
    words = [int.from_bytes(padded[i : i + 4], "little") for i in range(0, len(padded), 4)]
    stream = np.random.Philox(np.random.SeedSequence([seed, len(NAME), *words]))
    return [int(stream.random_raw()) for _ in range(count)]


class TestTheDefinition:
    @given(SEEDS, st.integers(1, 40), st.data())
    def test_without_replacement_the_rows_of_the_smallest_words_come_in_their_order(self, seed, num_rows, data):
        n = data.draw(st.integers(0, num_rows))
        words = slow_words(seed, num_rows)
        assert rows(numbered(num_rows), n, seed=seed) == sorted(range(num_rows), key=lambda row: words[row])[:n]

    @given(SEEDS, st.integers(1, 40), st.integers(0, 90))
    def test_with_replacement_each_word_says_its_row(self, seed, num_rows, n):
        expected = [math.floor(Fraction(word >> 11, 2**53) * num_rows) for word in slow_words(seed, n)]
        assert rows(numbered(num_rows), n, replace=True, seed=seed) == expected

    @given(SEEDS, st.lists(st.integers(0, 9), min_size=1, max_size=30).filter(any), st.data())
    def test_weights_without_replacement_are_the_keys_of_efraimidis_and_spirakis(self, seed, weights, data):
        possible = [row for row, weight in enumerate(weights) if weight]
        n = data.draw(st.integers(0, len(possible)))
        uniforms = [((word >> 11) + 1) / 2**53 for word in slow_words(seed, len(weights))]
        by_key = sorted(possible, key=lambda row: uniforms[row] ** (1 / weights[row]), reverse=True)
        assert rows(numbered(len(weights)), n, weights=weights, seed=seed) == by_key[:n]

    @given(SEEDS, st.lists(st.integers(0, 9), min_size=1, max_size=30).filter(any), st.integers(0, 60))
    def test_weights_with_replacement_divide_the_line(self, seed, weights, n):
        expected = []
        for word in slow_words(seed, n):
            point, row = Fraction(word >> 11, 2**53) * sum(weights), 0
            while point >= weights[row]:
                point, row = point - weights[row], row + 1
            expected.append(row)
        assert rows(numbered(len(weights)), n, replace=True, weights=weights, seed=seed) == expected

    def test_rows_never_change_from_version_to_version(self):
        # Written down once: no later NumPy or fireworks may choose others.
        message = numbered(1000, w=np.arange(1000))
        assert rows(message, 5) == [752, 192, 562, 325, 648]
        assert rows(message, 5, replace=True, seed=2**64 - 1) == [807, 948, 898, 818, 972]
        assert rows(message, 5, weights="w", seed=1) == [180, 753, 771, 727, 912]
        assert rows(message, 5, weights="w", replace=True, seed=1) == [928, 735, 942, 627, 659]

    @pytest.mark.parametrize("count", range(8))
    def test_equal_keys_keep_the_order_of_the_rows(self, count):
        keys = np.array([5, 3, 5, 3, 7, 5, 5], dtype=np.uint64)
        assert _smallest(keys, count).tolist() == [1, 3, 0, 2, 5, 6, 4][:count]

    @given(st.lists(st.integers(1, 2**53), min_size=1))
    def test_the_logarithm_is_one_to_the_last_digits(self, values):
        found = _log(np.array(values, dtype=float), -53)
        assert found.tolist() == pytest.approx([math.log(value / 2**53) for value in values], rel=2e-15, abs=0)


class TestHowMany:
    def test_it_is_one_row_unless_something_is_said(self):
        assert len(numbered(9).sample(seed=0)) == 1

    @pytest.mark.parametrize(("frac", "count"), [(0, 0), (0.2, 2), (0.25, 2), (0.26, 3), (1.0, 10), (1, 10)])
    def test_a_fraction_is_rounded(self, frac, count):
        assert len(numbered(10).sample(frac=frac, seed=0)) == count

    def test_a_fraction_above_one_needs_replacement(self):
        assert len(numbered(10).sample(frac=2.5, replace=True, seed=0)) == 25
        with pytest.raises(
            ValueError, match=r"^Message\.sample: 25 rows can't be chosen from 10; take fewer, or pass repla"
        ):
            numbered(10).sample(frac=2.5, seed=0)

    def test_all_rows_are_a_permutation(self):
        message = numbered(100)
        assert sorted(rows(message, frac=1.0)) == list(range(100))
        assert rows(message, frac=1.0)[:7] == rows(message, 7)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"n": -1}, r"^Message\.sample: n must be an int of at least 0; got -1\.$"),
            ({"n": 1.5}, r"^Message\.sample: n must be an int of at least 0; got 1\.5\.$"),
            ({"frac": -0.1}, r"^Message\.sample: frac must be a number of at least 0; got -0\.1\.$"),
            ({"frac": math.nan}, r"frac must be a number of at least 0; got nan\.$"),
            ({"frac": math.inf}, r"frac must be a number of at least 0; got inf\.$"),
            ({"frac": "all"}, r"frac must be a number of at least 0; got 'all'\.$"),
            ({"frac": True}, r"frac must be a number of at least 0; got True\.$"),
            ({"n": 2, "frac": 0.5}, r"^Message\.sample: n and frac both say how many rows; pass one of them\.$"),
            ({"n": 11}, r"^Message\.sample: 11 rows can't be chosen from 10; take fewer, or pass replace=True\.$"),
            (
                {"n": 3, "weights": [1, 1] + [0] * 8},
                r"3 rows can't be chosen from 2 of a weight above zero; take fewer, or",
            ),
            (
                {"seed": None},
                r"^Message\.sample: a seed is needed, so that the result can be had again; pass seed=0, say\.$",
            ),
            ({"seed": -1}, r"^Message\.sample: seed must be an int from 0 to"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, options, problem):
        with pytest.raises(ValueError, match=problem):
            numbered(10).sample(**{"seed": 0, **options})

    def test_from_no_rows_nothing_can_be_chosen(self):
        for message in (fw.Message(), numbered(0)):
            assert len(message.sample(0, seed=0)) == len(message.sample(frac=0.5, replace=True, seed=0)) == 0
            for replace in (False, True):
                with pytest.raises(ValueError, match=r"^Message\.sample: 1 rows can't be chosen from 0; take none\.$"):
                    message.sample(replace=replace, seed=0)
        assert len(numbered(0).sample(0, weights=[], seed=0)) == 0


class TestWeights:
    @pytest.mark.parametrize(
        "weights",
        [
            "w",
            [1, 0, 3],
            (1.0, 0.0, 3.0),
            np.array([1, 0, 3], np.uint8),
            pd.Series([1, 0, 3], index=[5, 6, 7]),
            torch.tensor([1.0, 0.0, 3.0]).bfloat16(),
            pd.array([1, 0, 3], dtype="Int64"),
        ],
        ids=lambda weights: type(weights).__name__,
    )
    def test_they_come_in_any_form(self, weights):
        message = numbered(3, w=[1, 0, 3])
        for replace in (False, True):
            assert rows(message, 2, weights=weights, replace=replace) == rows(message, 2, weights="w", replace=replace)

    def test_only_their_proportions_count(self):
        weights = np.array([0.25, 4.0, 1.0, 0.5])
        for scale in (1.0, 2.0**-1000, 2.0**1000):
            assert rows(numbered(4), 4, weights=weights * scale) == rows(numbered(4), 4, weights=weights)

    @pytest.mark.parametrize(
        ("weights", "kind", "problem"),
        [
            ([1, -1, 1], ColumnValueError, r"column 'weights', row 1: a weight is a number of at least 0; got -1\.0\."),
            ([1, math.inf, 1], ColumnValueError, r".*row 1: a weight is a number of at least 0; got inf\."),
            ([1, 1, math.nan], ColumnValueError, r".*row 2: a weight is a number of at least 0; got nan\."),
            (pd.array([1, None, 1], dtype="Int64"), ColumnValueError, r"column 'weights', row 1: the value is missing"),
            ([0, 0, 0], ColumnValueError, r"column 'weights': all weights are zero, so no row can be chosen\."),
            (["a", "b", "c"], ColumnTypeError, r"column 'weights' holds str, which is no tensor type"),
            (
                torch.ones(3, 2),
                ColumnTypeError,
                r"column 'weights' holds torch\.float32 in rows of shape \(2,\); a weight is",
            ),
            (
                [1j, 1, 1],
                ColumnTypeError,
                r"column 'weights' holds torch\.complex128 in rows of shape \(\); a weight is one",
            ),
            ([1, 1], ColumnLengthError, r"there are 2 weights for 3 rows\."),
        ],
    )
    def test_what_is_no_weight_is_named(self, weights, kind, problem):
        with pytest.raises(kind, match=rf"^Message\.sample: {problem}"):
            numbered(3).sample(weights=weights, seed=0)

    def test_a_column_of_weights_is_named_in_the_error(self):
        with pytest.raises(ColumnValueError, match=r"^Message\.sample: column 'row', row 0: .* got -1\.0\.$"):
            fw.Message({"row": [-1, 2]}).sample(weights="row", seed=0)
        with pytest.raises(ColumnNotFoundError, match=r"no column 'rows'.* Did you mean 'row'\?"):
            numbered(3).sample(weights="rows", seed=0)


class TestTheMessage:
    def test_all_columns_keep_together_and_their_types(self):
        message = numbered(50, x=torch.arange(50.0), s=[f"s{i}" for i in range(50)])
        chosen = message.sample(20, seed=3)
        assert chosen == message[rows(message, 20, seed=3)]
        assert chosen["x"].tolist() == chosen["row"].tolist()
        assert chosen["s"].tolist() == [f"s{i}" for i in chosen["row"]]

    def test_seeds_choose_differently_and_the_same_seed_the_same(self):
        message = numbered(1000)
        assert message.sample(10, seed=5) == message.sample(10, seed=5)
        assert message.sample(10, seed=5) != message.sample(10, seed=6)

    def test_global_generators_are_left_alone(self):
        np.random.seed(0)  # noqa: NPY002 (the global state is what is looked at)
        torch.manual_seed(0)
        before = torch.get_rng_state()
        numbered(10).sample(5, seed=1)
        assert np.random.rand() == np.random.RandomState(0).rand()  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), before)


class TestChances:
    """Pearson's statistic of many samples against the exact probabilities; it fails by chance once in a million."""

    SEEDS = 5_000

    def check(self, counts, chances):
        counts, expected = np.array(counts), np.array(chances, dtype=float) * sum(counts)
        statistic = float(((counts - expected) ** 2 / expected).sum())
        assert statistic < scipy.stats.chi2.isf(1e-6, len(counts) - 1)

    def pairs(self, **options):
        message = numbered(4)
        drawn = [tuple(rows(message, 2, seed=seed, **options)) for seed in range(self.SEEDS)]
        return {pair: drawn.count(pair) for pair in set(drawn)}

    def test_every_ordered_pair_is_equally_likely(self):
        found = self.pairs()
        assert len(found) == 12
        self.check(list(found.values()), [1 / 12] * 12)

    def test_with_replacement_every_pair_is(self):
        found = self.pairs(replace=True)
        assert len(found) == 16
        self.check(list(found.values()), [1 / 16] * 16)

    def test_weights_are_the_chances_of_one_draw_after_another(self):
        weights = np.array([1, 2, 3, 4])
        found = self.pairs(weights=weights)
        chances = {
            (i, j): weights[i] / 10 * weights[j] / (10 - weights[i]) for i in range(4) for j in range(4) if i != j
        }
        assert found.keys() == chances.keys()
        self.check([found[pair] for pair in chances], list(chances.values()))

    def test_weights_with_replacement_are_the_chances_of_every_draw(self):
        weights = np.array([1, 0, 3, 4])
        found = self.pairs(weights=weights, replace=True)
        chances = {(i, j): weights[i] * weights[j] / 64 for i in range(4) for j in range(4) if weights[i] * weights[j]}
        assert found.keys() == chances.keys()
        self.check([found[pair] for pair in chances], list(chances.values()))
