"""A sample is drawn as `Message.sample` draws, anew each epoch, with the chances that it says."""

import math
import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from columns_read import Watched
from fireworks.errors import (
    ColumnLengthError,
    ColumnNotFoundError,
    ColumnTypeError,
    ColumnValueError,
    NoRandomAccessError,
)
from fireworks.order.keys import keys, random_order
from pipelines import add_noise, counting, numbers, table

WEIGHTS = [1.0, 0.0, 2.0, 4.0, 1.0]


def weighted():
    return fw.source({"n": range(5), "w": WEIGHTS})


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table(23).sample(9, seed=0),
            lambda: table(23).sample(frac=1.5, replace=True, seed=0).batch(4),
            lambda: table(23).sample(9, weights="w", seed=0),
            lambda: table(23).sample(40, weights=list(range(23)), replace=True, seed=0).batch(7),
            lambda: table(23).batch(2).sample(5, seed=0),
            lambda: table(23).shuffle(seed=1).sample(9, seed=0),
            lambda: table(23).map(add_noise, seed=1).sample(9, seed=0),
        ],
        ids=["rows", "replaced", "weighted", "weighted and replaced", "batches", "behind shuffle", "behind map"],
    )
    def make_pipe(self, request):
        return request.param


def drawn(pipe, epoch=0):
    return [n for item in pipe.at_epoch(epoch) for n in item["n"].tolist()]


class TestDefinition:
    @given(count=st.integers(1, 40), seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 5), data=st.data())
    def test_without_replacement_it_begins_as_the_order_of_its_keys(self, count, seed, epoch, data):
        n = data.draw(st.integers(1, count))
        words = keys(seed, "sample:0", epoch, 0, count).tolist()
        expected = sorted(range(count), key=lambda row: (words[row], row))[:n]
        assert drawn(table(count).sample(n, seed=seed), epoch) == expected
        assert expected == random_order(seed, "sample:0", epoch, count)[:n].tolist()

    @given(count=st.integers(1, 40), n=st.integers(1, 60), seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 5))
    def test_with_replacement_each_draw_is_a_word(self, count, n, seed, epoch):
        words = keys(seed, "sample:0", epoch, 0, n).tolist()
        expected = [math.floor((word >> 11) / 2**53 * count) for word in words]
        assert drawn(table(count).sample(n, replace=True, seed=seed), epoch) == expected

    @given(
        weights=st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=1, max_size=30).filter(any),
        seed=st.integers(0, 2**64 - 1),
        epoch=st.integers(0, 3),
    )
    def test_weights_without_replacement_are_exponential_keys(self, weights, seed, epoch):
        words = keys(seed, "sample:0", epoch, 0, len(weights)).tolist()
        times = {
            row: -math.log(((word >> 11) + 1) / 2**53) / weight
            for row, (word, weight) in enumerate(zip(words, weights, strict=True))
            if weight
        }
        expected = sorted(times, key=lambda row: (times[row], row))
        pipe = fw.source({"n": range(len(weights)), "w": weights}).sample(len(expected), weights="w", seed=seed)
        assert drawn(pipe, epoch) == expected

    @given(
        weights=st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=1, max_size=30).filter(any),
        seed=st.integers(0, 2**64 - 1),
    )
    def test_weights_with_replacement_are_lengths_on_a_line(self, weights, seed):
        words = keys(seed, "sample:0", 0, 0, 50).tolist()
        expected = []
        for word in words:
            point = (word >> 11) / 2**53 * sum(weights)
            ends = np.cumsum(weights).tolist()
            expected.append(next(row for row, end in enumerate(ends) if point < end))
        pipe = fw.source({"n": range(len(weights))}).sample(50, weights=weights, replace=True, seed=seed)
        assert drawn(pipe) == expected

    def test_a_fraction_is_rounded_and_may_be_more_than_one(self):
        assert len(table(23).sample(frac=0.1, seed=0)) == 2
        assert len(table(23).sample(frac=2, replace=True, seed=0)) == 46

    def test_a_name_keys_the_draws(self):
        assert drawn(table(23).sample(5, seed=0, name="x")) == random_order(0, "x", 0, 23)[:5].tolist()
        twice = table(23).sample(20, seed=0).sample(5, seed=0)
        first = random_order(0, "sample:0", 0, 23)[:20]
        assert drawn(twice) == first[random_order(0, "sample:1", 0, 20)[:5]].tolist()

    def test_at_epoch_keeps_to_one_draw(self):
        fixed = table(23).sample(5, seed=0).at_epoch(0)
        assert len({tuple(drawn(fixed, epoch)) for epoch in range(4)}) == 1
        assert len({tuple(drawn(table(23).sample(5, seed=0), epoch)) for epoch in range(4)}) == 4

    def test_weights_may_come_in_any_form(self):
        expected = drawn(weighted().sample(3, weights="w", seed=0))
        for given_weights in (WEIGHTS, np.array(WEIGHTS), torch.tensor(WEIGHTS), pd.Series(WEIGHTS)):
            assert drawn(weighted().sample(3, weights=given_weights, seed=0)) == expected
        integers = fw.source({"n": range(5), "w": pd.array([1, 0, 2, 4, 1], dtype="Int8")})
        assert drawn(integers.sample(3, weights="w", seed=0)) == expected


def chi_squared(counts, expected):
    return sum((counts[outcome] - times) ** 2 / times for outcome, times in expected.items())


class TestChances:
    """Chi-squared with fixed seeds; the limits are the 0.999 quantiles."""

    def test_every_ordered_sample_is_as_likely(self):
        pipe = table(4).sample(2, seed=0)
        counts = Counter(tuple(drawn(pipe, epoch)) for epoch in range(2400))
        assert len(counts) == 12
        assert chi_squared(counts, dict.fromkeys(counts, 200)) < 31.3  # 11 degrees of freedom

    def test_adjacent_seeds_are_independent(self):
        counts = Counter(
            (drawn(table(3).sample(1, seed=s))[0], drawn(table(3).sample(1, seed=s + 1))[0]) for s in range(1800)
        )
        assert chi_squared(counts, dict.fromkeys(((a, b) for a in range(3) for b in range(3)), 200)) < 26.1  # 8

    def test_weights_with_replacement(self):
        rows = drawn(weighted().sample(8000, weights="w", replace=True, seed=0))
        expected = {row: 1000 * weight for row, weight in enumerate(WEIGHTS) if weight}
        assert set(rows) == set(expected)
        assert chi_squared(Counter(rows), expected) < 16.3  # 3

    def test_weights_without_replacement_draw_one_after_the_other(self):
        pipe = weighted().sample(2, weights="w", seed=1)
        counts = Counter(tuple(drawn(pipe, epoch)) for epoch in range(4000))
        expected = {
            (a, b): 4000 * WEIGHTS[a] / 8 * WEIGHTS[b] / (8 - WEIGHTS[a])
            for a in range(5)
            for b in range(5)
            if a != b and WEIGHTS[a] * WEIGHTS[b]
        }
        assert chi_squared(counts, expected) < 31.3  # 11


class TestWhatItNeeds:
    def test_only_the_rows_that_are_drawn_and_the_weights(self):
        source = Watched({"n": torch.arange(50), "w": [1.0] * 50, "x": torch.rand(50)})
        pipe = source.sample(7, weights="w", seed=0)
        assert source.columns_read() == {"w"}
        source.log.clear()
        assert len(pipe.to_message()) == 7
        assert source.rows_read() == 7

    def test_a_pickled_sample_carries_no_draws(self):
        pipe = table(23).sample(9, weights="w", seed=0)
        before = drawn(pipe)
        assert drawn(pickle.loads(pickle.dumps(pipe))) == before

    def test_what_comes_is_announced(self):
        from fireworks.core.flow import Coming

        pipe = table(23).sample(5, seed=0)
        coming = Coming(pipe.flow, range(5), 2)
        assert coming.positions().tolist() == drawn(pipe, 2)
        assert coming.positions_in(3).tolist() == drawn(pipe, 3)

    def test_it_names_itself(self):
        assert table().sample(3, seed=1).describe() == "Sample(3, seed=1)"
        assert table().sample(frac=0.5, replace=True, weights="w", seed=1, name="s").describe() == (
            "Sample(frac=0.5, replace=True, weights='w', seed=1, name='s')"
        )
        assert weighted().sample(3, weights=WEIGHTS, seed=1).describe() == "Sample(3, weights=<5 numbers>, seed=1)"
        assert "Sample(3, seed=1): holds 8 bytes an item" in str(table().sample(3, seed=1).explain())


class TestRefusals:
    def test_a_seed(self):
        with pytest.raises(ValueError, match="sample: a seed is needed"):
            table().sample(3)

    @pytest.mark.parametrize(("n", "frac"), [(None, None), (3, 0.5)])
    def test_one_of_two_sizes(self, n, frac):
        with pytest.raises(ValueError, match=r"sample: n or frac says how many items; pass one of them; got n="):
            table().sample(n, frac=frac, seed=0)

    @pytest.mark.parametrize("n", [0, -1, 1.5, True])
    def test_a_count(self, n):
        with pytest.raises(ValueError, match=r"sample: n must be an int of at least 1; got "):
            table().sample(n, seed=0)

    @pytest.mark.parametrize("frac", [0, -0.5, math.inf, math.nan, "half", True])
    def test_a_fraction(self, frac):
        with pytest.raises(ValueError, match=r"sample: frac must be a number above 0; got "):
            table().sample(frac=frac, seed=0)

    def test_a_fraction_that_is_nothing(self):
        with pytest.raises(ValueError, match=r"sample: frac=0\.01 of 23 items is none; take more\."):
            table().sample(frac=0.01, seed=0)

    def test_no_flag(self):
        with pytest.raises(TypeError, match=r"sample: replace is True or False; got 1 of type int\."):
            table().sample(3, replace=1, seed=0)

    def test_more_than_there_are(self):
        with pytest.raises(
            ValueError, match=r"sample: 24 items can't be drawn from 23; take fewer, or pass replace=True\."
        ):
            table().sample(24, seed=0)
        with pytest.raises(
            ValueError, match=r"5 items can't be drawn from 4 of a weight above zero; take fewer, or pass"
        ):
            weighted().sample(5, weights="w", seed=0)
        with pytest.raises(ValueError, match=r"1 items can't be drawn from 0; there is nothing to draw from\."):
            table().filter("n", ">", 99).sample(1, replace=True, seed=0)

    def test_weights_that_are_none(self):
        for bad in (-1.0, math.inf, math.nan):
            with pytest.raises(
                ColumnValueError, match=r"sample: column 'w', row 1 of the input: a weight is .* at least 0; got"
            ):
                fw.source({"w": [1.0, bad]}).sample(1, weights="w", seed=0)
            with pytest.raises(
                ColumnValueError, match=r"sample: weights, row 1 of the input: a weight is a number of at least"
            ):
                fw.source({"x": [1.0, 2.0]}).sample(1, weights=[1.0, bad], seed=0)
        with pytest.raises(
            ColumnValueError, match=r"sample: column 'w': all weights are zero, so nothing can be drawn\."
        ):
            fw.source({"w": [0.0, 0.0]}).sample(1, weights="w", seed=0)

    def test_weights_of_another_type(self):
        with pytest.raises(ColumnTypeError, match=r"sample: column 'word' is .*, and a weight is a number\."):
            table().sample(1, weights="word", seed=0)
        with pytest.raises(
            ColumnTypeError, match=r"sample: weights hold torch\.float32 in rows of shape \(2,\); a weight is one"
        ):
            table().sample(1, weights=torch.zeros(23, 2), seed=0)

    def test_weights_of_another_length(self):
        with pytest.raises(ColumnLengthError, match=r"sample: there are 3 weights for 23 items\."):
            table().sample(1, weights=[1, 2, 3], seed=0)

    def test_no_such_column(self):
        with pytest.raises(ColumnNotFoundError, match=r"sample: no column 'v'"):
            table().sample(1, weights="v", seed=0)

    def test_a_stream(self):
        with pytest.raises(NoRandomAccessError, match="sample needs random access"):
            counting().sample(1, seed=0)

    def test_weights_behind_a_shuffle(self):
        for weights in ("w", [1.0] * 23):
            with pytest.raises(
                ValueError, match=r"sample: the order of its input changes .* and its weights would be of other"
            ):
                table().shuffle(seed=0).sample(3, weights=weights, seed=0)
        with pytest.raises(ValueError, match=r"sample: the values of its input change with every epoch"):
            table().map(add_noise, seed=0).sample(3, weights="noise", seed=0)

    def test_weights_of_batches(self):
        with pytest.raises(TypeError, match=r"sample: column 'w' is of rows, and the items of the input are batches"):
            table().batch(2).sample(3, weights="w", seed=0)
        assert len(numbers(table().batch(2).sample(3, weights=range(12), seed=0))) > 4

    def test_a_table_that_grew_behind_weights(self, tmp_path):
        from fireworks.database import TablePipe

        with TablePipe("numbers", tmp_path / "numbers.db") as data:
            data.insert({"n": list(range(10)), "w": [1.0] * 10})
            by_column, by_list = (data.sample(frac=0.5, weights=w, seed=0) for w in ("w", [1.0] * 10))
            assert len(by_column.to_message()) == len(by_list.to_message()) == 5


@pytest.mark.parametrize("budget", ["256MB", "11MB"])
@pytest.mark.parametrize(
    "make",
    [
        lambda data: data.bootstrap(seed=0),
        lambda data: data.sample(frac=0.7, seed=1),
        lambda data: data.sample(frac=1.5, weights="w", replace=True, seed=1),
        lambda data: data.oversample("k", seed=3),
        lambda data: data.split(0.8, 0.2, seed=0, stratify="k")[0].shuffle(seed=1),
        lambda data: data.kfold(3, seed=0)[1][0].sample(frac=0.9, seed=2),
    ],
    ids=["bootstrap", "sample", "weighted", "oversample", "split", "kfold"],
)
def test_rows_of_a_file_are_those_of_memory_whatever_the_budget(make, budget, tmp_path):
    count = 60_000
    rows = fw.Message(
        {
            "n": np.arange(count),
            "w": np.arange(count) % 11 / 7,
            "k": np.arange(count) % 7 % 3,
            "t": ["some text"] * count,
        }
    )
    rows.to_parquet(tmp_path / "rows.parquet", row_group_size=8192)
    for epoch in (0, 1):
        expected = make(fw.source(rows)).at_epoch(epoch).to_message()["n"]
        with fw.memory_budget(budget):
            batches = list(make(fw.read_parquet(tmp_path / "rows.parquet")).batch(500).at_epoch(epoch))
        assert np.array_equal(np.concatenate([batch["n"] for batch in batches]), expected)
