"""Columns of lists into tensors, short rows filled up."""

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError
from lists import cells, lists, streamed
from pipelines import counting, table


def rows_of_even_length(num_rows=12):
    """Every batch of 4 has rows of the same lengths, so that padded batches can be joined."""
    return fw.source({"n": list(range(num_rows)), "x": [[n] * (n % 4) for n in range(num_rows)]})


class TestPad(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: rows_of_even_length().batch(4).pad("x", mask="is_x", lengths="length"),
            lambda: rows_of_even_length().batch(4).pad("x", length=5).shuffle(seed=0),
            lambda: (
                lists()
                .pad("python", "arrow", length=2, truncate=True, side="left", dtype=torch.int16)
                .select("n", "arrow", "python")
                .shuffle(seed=0)
            ),
            lambda: table().pad("x", length=5, value=-1.5),
            lambda: counting().batch(4).pad("x", length=3, mask="is_x"),
            lambda: streamed().select("arrow").pad("arrow", length=4),
        ],
        ids=["batches", "batches to a length", "rows, cut", "tensor", "batched stream", "stream"],
    )
    def make_pipe(self, request):
        return request.param


def filled(rows, width, value=0, side="right"):
    return [
        [*row[:width], *[value] * (width - len(row))] if side == "right" else
        [*[value] * (width - len(row)), *row[max(0, len(row) - width) :]]
        for row in rows
    ]  # fmt: skip


class TestWhatComesOut:
    @pytest.mark.parametrize("column", ["python", "arrow", "arrays"])
    def test_each_batch_is_as_wide_as_its_longest_row(self, column):
        rows = cells()
        for number, batch in enumerate(lists().batch(4).pad(column, value=-1)):
            mine = rows[4 * number : 4 * number + 4]
            assert batch[column].tolist() == filled(mine, max(map(len, mine)), -1)

    @given(
        rows=st.lists(st.lists(st.integers(-9, 9), max_size=5), min_size=1, max_size=8),
        width=st.integers(0, 6),
        side=st.sampled_from(["left", "right"]),
    )
    def test_to_a_length_longer_rows_are_cut(self, rows, width, side):
        pipe = fw.source({"x": rows}).pad(
            "x", length=width, truncate=True, side=side, value=7, dtype=torch.int64, mask="m", lengths="l"
        )
        padded = pipe.to_message()
        assert padded["x"].tolist() == filled(rows, width, 7, side)
        assert padded["l"].tolist() == [len(row) for row in rows]
        ones = [[1] * len(row) for row in rows]
        assert padded["m"].int().tolist() == filled(ones, width, 0, side)

    def test_elements_may_be_rows_of_tensors(self):
        batch = lists().batch(4).pad("tensors")[0]
        assert batch["tensors"].shape == (4, 3, 2)
        assert batch["tensors"][2].tolist() == [[20.0, 20.0], [21.0, 21.0], [22.0, 22.0]]
        assert batch["tensors"][1].abs().sum() == 0

    def test_types_are_those_of_the_elements(self):
        batch = lists().batch(4).pad("arrow", "arrays", "tensors")[0]
        types = [batch[name].dtype for name in ("arrow", "arrays", "tensors")]
        assert types == [torch.int64, torch.int32, torch.float32]
        assert lists().batch(4).pad("arrow", dtype=torch.float64)[0]["arrow"].dtype == torch.float64

    def test_a_tensor_that_is_wide_enough_is_shared(self):
        pipe = table().pad("x", length=3)
        assert pipe[:]["x"].data_ptr() == table()[:]["x"].data_ptr() or pipe[:]["x"].shape == (23, 3)

    def test_mask_and_lengths_of_several_columns(self):
        batch = lists().batch(4).pad("python", "arrow", mask="m", lengths="l")[0]
        assert batch["l"].tolist() == [2, 0, 3, 1]
        assert batch["m"].sum(1).tolist() == [2, 0, 3, 1]

    def test_it_knows_its_columns(self):
        pipe = lists().select("n", "python").batch(4).pad("python", mask="m", lengths="l")
        assert pipe.known_columns == ["n", "python", "m", "l"] == pipe[0].columns

    def test_empty_lists_of_a_known_type(self):
        data = fw.source({"x": [[], []]})
        assert data.batch(2).pad("x", dtype=torch.float32)[0]["x"].shape == (2, 0)

    def test_no_rows(self):
        assert lists(5).take(0).batch(2).pad("python", length=3).to_message()["python"].shape == (0, 3)
        assert lists(5).take(0).pad("arrow", length=3).to_message()["arrow"].dtype == torch.int64

    def test_nan_and_rounded_numbers_fill_floats(self):
        data = fw.source({"x": [[1.5], []]}).batch(2)
        assert data.pad("x", value=float("nan"))[0]["x"].isnan().tolist() == [[False], [True]]
        assert data.pad("x", value=0.1, dtype=torch.float16)[0]["x"].dtype == torch.float16


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda: lists().pad(), r"pad: name at least one column\."),
            (lambda: lists().pad("arrow"), r"pad: rows come singly here, .* behind \.batch\(…\), or pass length=…"),
            (lambda: lists().batch(2).pad("arrow", truncate=True), "pad: truncate=True needs length=…"),
            (lambda: lists().pad("arrow", length=-1), r"pad: length must be an int of at least 0; got -1\."),
            (lambda: lists().pad("arrow", length=2, side="top"), r"pad: side is 'right' or 'left'; got 'top'\."),
        ],
    )
    def test_arguments_that_make_no_sense(self, make, text):
        with pytest.raises(ValueError, match=text):
            make()

    def test_names(self):
        with pytest.raises(ColumnNotFoundError, match="pad: no column 'arow'"):
            lists().batch(2).pad("arow")
        with pytest.raises(ColumnTypeError, match=r"pad: there is a column 'n' already; name the new one otherwise"):
            lists().batch(2).pad("arrow", mask="n")
        with pytest.raises(ColumnTypeError, match="pad: there is a column 'm' already"):
            lists().batch(2).pad("arrow", mask="m", lengths="m")
        renamed = lists().map(lambda rows: rows.rename({"n": "m"})).batch(2)
        with pytest.raises(ColumnTypeError, match="pad: there is a column 'm' already"):
            renamed.pad("arrow", mask="m").to_message()
        with pytest.raises(ColumnTypeError, match="pad: there is a column 'm' already"):
            renamed.pad("arrow", lengths="m").to_message()

    def test_rows_that_are_too_long(self):
        with pytest.raises(
            ColumnValueError, match=r"pad: column 'arrow' has up to 4 .* length is 3, in rows 4, 9, 14, 19 of"
        ):
            lists().pad("arrow", length=3).to_message()

    def test_elements_that_are_no_numbers(self):
        with pytest.raises(ColumnTypeError, match=r"pad \(of the elements\): column 'texts' holds str"):
            lists().pad("texts", length=4).to_message()

    def test_empty_lists_of_no_known_type(self):
        data = fw.source({"x": [[], []]})
        with pytest.raises(ColumnTypeError, match=r"pad: the lists of column 'x' are all empty here, .* pass dtype=…"):
            data.batch(2).pad("x").to_message()

    @pytest.mark.parametrize("value", [0.5, float("nan"), 2**40])
    def test_a_value_of_another_type(self, value):
        with pytest.raises(ColumnValueError, match=r"pad: value=.* is none of int32, the type of the elements"):
            lists().batch(2).pad("arrays", value=value).to_message()

    def test_a_missing_row(self):
        data = fw.source({"x": pd.Series([[1], None])})
        with pytest.raises(ColumnValueError, match=r"pad: column 'x' has 1 missing values, in rows 1 of the source"):
            data.batch(2).pad("x").to_message()

    def test_columns_of_other_lengths_under_one_mask(self):
        with pytest.raises(
            ColumnValueError, match=r"pad: 'arrow' has 0 elements in row 1 .* and 'even' has 2; columns with"
        ):
            lists().skip(1).batch(3).pad("arrow", "even", mask="m").to_message()
