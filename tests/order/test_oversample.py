"""Oversampling makes all classes as large as the largest, and every row comes at least once."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from columns_read import Watched
from fireworks.errors import ColumnTypeError, NoRandomAccessError
from fireworks.order.keys import keys
from pipelines import add_noise, counting, table


def unbalanced():
    return fw.source({"n": range(12), "label": list("aaaaaaabbbcc")})


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: unbalanced().oversample("label", seed=0),
            lambda: unbalanced().oversample("label", seed=0).batch(4),
        ],
        ids=["rows", "batched"],
    )
    def make_pipe(self, request):
        return request.param


@given(
    labels=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=40),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 3),
)
def test_against_the_definition_in_plain_python(labels, seed, epoch):
    largest = max(map(labels.count, labels))
    out = largest * len(set(labels))
    words = keys(seed, "oversample:0", epoch, 0, len(labels) + out).tolist()
    times = [0] * len(labels)
    for label in set(labels):
        rows = sorted((row for row, one in enumerate(labels) if one == label), key=lambda row: words[row])
        for place, row in enumerate(rows):
            times[row] = largest // len(rows) + (place < largest % len(rows))
    repeated = [row for row, count in enumerate(times) for _ in range(count)]
    order = sorted(range(out), key=lambda place: (words[len(labels) + place], place))
    pipe = fw.source({"n": range(len(labels)), "label": labels}).oversample("label", seed=seed)
    assert len(pipe) == out
    assert pipe.at_epoch(epoch).to_message()["n"].tolist() == [repeated[place] for place in order]


def test_classes_are_balanced_and_all_rows_there():
    for epoch in range(3):
        rows = unbalanced().oversample("label", seed=0).at_epoch(epoch).to_message()
        assert Counter(rows["label"].tolist()) == {"a": 7, "b": 7, "c": 7}
        assert set(rows["n"].tolist()) == set(range(12))


def test_who_comes_once_more_is_drawn_evenly():
    pipe = unbalanced().oversample("label", seed=0)
    counts = Counter(n for epoch in range(900) for n in pipe.at_epoch(epoch).to_message()["n"].tolist() if 7 <= n < 10)
    extra = [counts[n] - 1800 for n in (7, 8, 9)]
    assert sum(extra) == 900
    assert sum((times - 300) ** 2 / 300 for times in extra) < 13.8  # 0.999 of 2 degrees of freedom


def test_one_column_is_read_once():
    source = Watched({"label": [n % 3 for n in range(40)], "x": torch.rand(40, 9)})
    assert len(source.oversample("label", seed=0)) == 42
    source.oversample("label", seed=1)
    assert source.columns_read() == {"label"}
    assert source.rows_read() == 40


def test_it_names_itself():
    assert unbalanced().oversample("label", seed=0, name="o").describe() == "Oversample('label', seed=0, name='o')"


class TestRefusals:
    def test_a_seed(self):
        with pytest.raises(ValueError, match="oversample: a seed is needed"):
            unbalanced().oversample("label")

    def test_batches_streams_and_what_changes(self):
        with pytest.raises(TypeError, match=r"oversample: column 'label' is of rows"):
            unbalanced().batch(2).oversample("label", seed=0)
        with pytest.raises(NoRandomAccessError, match="oversample needs random access"):
            counting().oversample("n", seed=0)
        with pytest.raises(ValueError, match=r"oversample: the order of its input changes .* Put oversample first\."):
            unbalanced().shuffle(seed=0).oversample("label", seed=0)
        with pytest.raises(ValueError, match="oversample: the values of its input change"):
            table().map(add_noise, seed=0).oversample("n", seed=0)
        with pytest.raises(ColumnTypeError, match="oversample: column 'x' is a tensor"):
            table().oversample("x", seed=0)

    def test_a_split_behind_it(self):
        with pytest.raises(ValueError, match=r"split: the order of its input changes .* Split first"):
            unbalanced().oversample("label", seed=0).split(0.5, 0.5, seed=0)


def test_no_rows_are_an_error():
    with pytest.raises(ValueError, match=r"oversample: its input has no rows \(Memory"):
        fw.source({"label": [1, 2]}).filter("label > 5").oversample("label", seed=0)
