"""Batches of rows of similar length."""

import bisect
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core import flow
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    ColumnValueError,
    NoRandomAccessError,
    UnknownLengthError,
)
from lists import cells, lists, streamed
from pipelines import add_noise, counting, double, is_odd, numbers, table


def modulo(rows):
    return rows["n"] % 5


class TestBucket(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: lists().select("n", "arrow").bucket("arrow", [0, 1], 4),
            lambda: lists().select("n", "python").map(double).shuffle(seed=0).bucket("python", [1, 2], [2, 3, 4]),
            lambda: table().map(add_noise, seed=1).bucket("noise", [0.3, 0.6], 3),
            lambda: table().shuffle(seed=0).filter(is_odd).bucket("w", [1.0, 2.0], 2, drop_last=True),
            lambda: counting().bucket(modulo, [0, 2], 3),
            lambda: streamed().select("n", "texts").bucket("texts", [1], 3).map(double),
        ],
        ids=["rows", "behind shuffle", "lengths that vary", "a filtered shuffle", "stream", "stream of lists"],
    )
    def make_pipe(self, request):
        return request.param


class TestSmallBlocks(TestBucket):
    """The same, where rows wait for rows of many blocks."""

    @pytest.fixture(autouse=True)
    def _small_blocks(self, monkeypatch):
        monkeypatch.setattr(flow, "MAX_BLOCK_ROWS", 2)


def by_hand(lengths, boundaries, sizes, *, drop_last=False):
    """Row by row: a batch comes when it is full, and what is left at the end, bucket by bucket."""
    waiting, batches = [[] for _ in sizes], []
    for row, length in enumerate(lengths):
        bucket = bisect.bisect_left(boundaries, length)
        waiting[bucket].append(row)
        if len(waiting[bucket]) == sizes[bucket]:
            batches.append(waiting[bucket])
            waiting[bucket] = []
    return batches if drop_last else batches + [rows for rows in waiting if rows]


def batches_of(pipe):
    return [batch["n"].tolist() for batch in pipe]


class Rows:
    def __init__(self, lengths):
        self.lengths = lengths

    def __call__(self):
        return ({"n": n, "length": length} for n, length in enumerate(self.lengths))


class TestWhichBatches:
    @given(
        lengths=st.lists(st.integers(0, 6), min_size=1, max_size=40),
        sizes=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
        drop_last=st.booleans(),
        block=st.sampled_from([1, 4, 16]),
    )
    def test_random_access_and_stream_give_what_comes_out_by_hand(self, lengths, sizes, drop_last, block):
        expected = by_hand(lengths, [1, 4], sizes, drop_last=drop_last)
        data = fw.source({"n": list(range(len(lengths))), "length": lengths})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flow, "MAX_BLOCK_ROWS", block)
            assert batches_of(data.bucket("length", [1, 4], list(sizes), drop_last=drop_last)) == expected
            stream = fw.source(Rows(lengths)).bucket("length", [1, 4], list(sizes), drop_last=drop_last)
            assert batches_of(stream) == expected
            for stop in range(len(expected) + 1):
                iterator = iter(stream.at_epoch(0))
                for _ in range(stop):
                    next(iterator)
                state = json.loads(json.dumps(iterator.state_dict()))
                resumed = iter(stream.at_epoch(0))
                resumed.load_state_dict(state)
                assert batches_of(resumed) == expected[stop:]
                assert resumed.state_dict()["cursor"] == batches_left(stream).state_dict()["cursor"]

    @pytest.mark.parametrize("column", ["python", "arrow", "texts", "tensors", "arrays"])
    def test_lists_of_every_kind_go_by_their_lengths(self, column):
        expected = by_hand([len(row) for row in cells()], [0, 2], [3, 3, 3])
        assert batches_of(lists().bucket(column, [0, 2], 3)) == expected

    def test_every_row_comes_once_in_each_epoch(self):
        pipe = lists().shuffle(seed=0).bucket("python", [0, 2], 3)
        for epoch in range(3):
            assert sorted(numbers(pipe.at_epoch(epoch))) == list(range(23))
        assert batches_of(pipe.at_epoch(0)) != batches_of(pipe.at_epoch(1))

    def test_behind_a_shuffle_it_takes_rows_in_the_epochs_order(self):
        data = lists().shuffle(seed=0)
        order = numbers(data.at_epoch(2))
        expected = by_hand([len(cells()[n]) for n in order], [0, 2], [3, 3, 3])
        pipe = data.bucket("arrow", [0, 2], 3)
        assert batches_of(pipe.at_epoch(2)) == [[order[place] for place in batch] for batch in expected]

    def test_rows_of_similar_length_waste_little_on_padding(self):
        data = lists().select("n", "arrow").shuffle(seed=0)
        widths = [batch["arrow"].shape for batch in data.bucket("arrow", [0, 1, 2, 3], 3).pad("arrow")]
        plain = [batch["arrow"].shape for batch in data.batch(3).pad("arrow")]
        assert sum(rows * width for rows, width in widths) == sum(map(len, cells())) < sum(r * w for r, w in plain)


def batches_left(stream):
    iterator = iter(stream.at_epoch(0))
    list(iterator)
    return iterator


class TestRandomAccess:
    @pytest.mark.parametrize(
        ("make", "is_indexable"),
        [
            (lists, True),
            (lambda: lists().shuffle(seed=0), True),
            (lambda: lists().shuffle(seed=0).map(double).shuffle(seed=1), True),
            (lambda: lists().filter(is_odd).shuffle(seed=0), True),
            (lambda: lists().shuffle(seed=0).repeat(2), False),
            (lambda: lists().shuffle(seed=0).take(5), False),
            (lambda: lists().shuffle(seed=0).filter(is_odd), False),
            (lambda: lists().map(add_noise, seed=0), False),
            (lambda: lists().shuffle(seed=0).at_epoch(1), True),
            (streamed, False),
        ],
    )
    def test_where_lengths_are_the_same_in_every_epoch(self, make, is_indexable):
        pipe = make().bucket("arrow", [0, 2], 3)
        assert pipe.is_indexable is is_indexable
        if is_indexable:
            assert len(pipe) == len(list(pipe.at_epoch(1)))
            assert pipe.num_rows == sum(len(batch) for batch in pipe)
            return
        with pytest.raises(
            UnknownLengthError, match=r"Bucket\(arrow, \[0, 2\], 3\): the lengths of its rows change with"
        ):
            len(pipe)
        with pytest.raises(NoRandomAccessError, match=r"Bucket\(.*\) is a stream here"):
            list(pipe.flow.pieces(range(1), None))

    def test_lengths_are_found_in_one_pass_and_remembered(self):
        calls = []

        def length(rows):
            calls.append(len(rows))
            return rows["n"] % 3

        pipe = table(2500).shuffle(seed=0).bucket(length, [0, 1], 100)
        assert calls == []
        assert len(pipe) == 27
        for epoch in (0, 1):
            assert len(list(pipe.at_epoch(epoch))) == 27
        assert calls == [1024, 1024, 452]


class TestWhatIsRefused:
    def test_batches(self):
        with pytest.raises(TypeError, match=r"bucket: the input has batches already .* or \.unbatch\(\) first"):
            lists().batch(2).bucket("arrow", [1], 2)

    def test_what_it_goes_by(self):
        with pytest.raises(ColumnNotFoundError, match="bucket: no column 'arow'"):
            lists().bucket("arow", [1], 2)
        with pytest.raises(TypeError, match=r"bucket: by must be a column or a function; got 3 of type int\."):
            lists().bucket(3, [1], 2)
        with pytest.raises(ColumnTypeError, match="bucket: column 'word' holds str, which is no tensor type"):
            len(table().bucket("word", [1], 2))

    @pytest.mark.parametrize("boundaries", [[], [2, 1], [1, 1], [float("nan")], 3, [[1, 2]], ["a", "b"]])
    def test_boundaries_that_do_not_increase(self, boundaries):
        with pytest.raises(ValueError, match="bucket: boundaries must be increasing numbers, at least one; got"):
            lists().bucket("arrow", boundaries, 2)

    def test_numbers_of_rows(self):
        with pytest.raises(ValueError, match=r"bucket: batch_rows must be an int of at least 1; got 0\."):
            lists().bucket("arrow", [1], 0)
        with pytest.raises(ValueError, match=r"bucket: batch_rows must be an int of at least 1; got 0\."):
            lists().bucket("arrow", [1], [2, 0])
        with pytest.raises(ValueError, match=r"bucket: 1 boundaries make 2 buckets; batch_rows has 3 numbers\."):
            lists().bucket("arrow", [1], [2, 2, 2])

    @pytest.mark.parametrize("answer", [lambda rows: None, lambda rows: [1], lambda rows: ["a"] * len(rows)])
    def test_an_answer_that_is_not_one_number_per_row(self, answer):
        with pytest.raises(TypeError, match=r"bucket: the function must answer one number per row, shape \(23,\); got"):
            len(lists().bucket(answer, [1], 2))
        with pytest.raises(TypeError, match="one number per row"):
            list(counting().bucket(answer, [1], 2))

    @pytest.mark.parametrize("make", [table, counting])
    def test_a_missing_length(self, make):
        pipe = make().bucket(lambda rows: [float("nan") if n == 7 else 1.0 for n in rows["n"].tolist()], [1], 2)
        with pytest.raises(
            ColumnValueError, match=r"bucket: 1 lengths are missing, the first in row 7 of the source"
        ) as error:
            list(pipe)
        assert "In Bucket(<lambda>, [1], 2), built at" in "".join(error.value.__notes__)

    def test_a_missing_list(self):
        with pytest.raises(ColumnValueError, match="bucket: column 'x' has 1 missing values, in rows 1 of the source"):
            len(fw.source({"x": pd.Series([[1], None])}).bucket("x", [1], 2))
