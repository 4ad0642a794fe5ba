import datetime as dt
import io
import uuid
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError


def message_of(*values):
    cells = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        cells[row] = value
    return fw.Message({"x": pd.Series(cells, dtype=object)})


def through_bytes(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def back_of(message):
    """What comes back from the bytes of an Arrow stream, one value per row."""
    back = fw.Message(through_bytes(message.to_arrow()))
    assert back.schema == message.schema
    assert fw.Message(message.to_arrow()) == back
    return list(back.raw("x"))


DAY = dt.date(2020, 2, 29)


class TestWhatArrowHolds:
    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (["a", "b"], pa.string()),
            ([b"a", b""], pa.binary()),
            ([1, 2], pa.int64()),
            ([1.5, float("inf")], pa.float64()),
            ([True, False], pa.bool_()),
            ([Decimal("1.5"), Decimal("2.25")], pa.decimal128(3, 2)),
            ([DAY], pa.date32()),
            ([dt.time(12, 30)], pa.time64("us")),
            ([dt.timedelta(days=1)], pa.duration("us")),
            ([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
            ([uuid.UUID(int=7)], pa.uuid()),
            ([[1, 2], []], pa.list_(pa.int64())),
            ([["a"], [None]], pa.list_(pa.string())),
            ([[[1]], [[]]], pa.list_(pa.list_(pa.int64()))),
            ([{"a": 1, "b": ["x"]}, {"a": 2, "b": []}], None),
            ([(1, 2), ()], pa.list_(pa.int64())),
            ([None, None], pa.null()),
            ([], pa.null()),
        ],
    )
    @pytest.mark.parametrize("end", [[], [None]])
    def test_values_come_back_as_the_objects_they_were(self, values, kind, end):
        message = message_of(*values, *end)
        if kind is not None:
            assert message.to_arrow().schema.field("x").type == kind
        back = back_of(message)
        assert back == [*values, *end]
        assert [type(value) for value in back] == [type(value) for value in [*values, *end]]

    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT], ids=["None", "NaN", "NA", "NaT"])
    def test_what_is_missing_stays_what_it_is(self, missing):
        first, second = back_of(message_of("a", missing))
        assert first == "a"
        assert second is missing or (isinstance(second, float) and isinstance(missing, float) and np.isnan(second))

    def test_nan_among_floats_is_a_value(self):
        message = message_of(1.5, float("nan"), None)
        assert message.to_arrow()["x"].null_count == 1
        assert np.isnan(back_of(message)[1])
        assert back_of(message)[2] is None

    def test_numbers_of_numpy_come_back_as_those_of_python(self):
        assert [type(value) for value in back_of(message_of(np.int32(1), np.int32(2)))] == [int, int]
        assert back_of(message_of(np.float32(0.1)))[0] == np.float32(0.1)


class TestRagged:
    @pytest.mark.parametrize("dtype", ["i2", "u8", "f4", "f8", "?", "M8[s]", "m8[ns]", "c8", "f2"])
    def test_arrays_of_different_lengths_come_back_in_their_type(self, dtype):
        values = [np.arange(size).astype(dtype) for size in (2, 0, 3)]
        back = back_of(message_of(*values[:2], None, values[2]))
        assert back[2] is None
        for one, other in zip(values, [back[0], back[1], back[3]], strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)

    @pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool, torch.bfloat16, torch.complex64])
    def test_tensors_of_different_lengths_come_back_in_their_type(self, dtype):
        values = [torch.arange(size).to(dtype) for size in (2, 0, 3)]
        back = back_of(message_of(None, *values))
        assert back[0] is None
        assert all(torch.equal(one, other) for one, other in zip(values, back[1:], strict=True))
        assert {value.dtype for value in back[1:]} == {dtype}

    def test_they_are_lists_to_everybody_else(self):
        table = message_of(np.array([1, 2], dtype=np.int8), np.array([3], dtype=np.int8)).to_arrow()
        assert table["x"].type == pa.large_list(pa.int8())
        assert table["x"].to_pylist() == [[1, 2], [3]]

    def test_a_slice_of_the_table_has_its_own_pieces(self):
        table = message_of(np.array([1, 2]), np.array([3]), np.array([4, 5])).to_arrow().slice(1)
        assert [value.tolist() for value in fw.Message(table).raw("x")] == [[3], [4, 5]]

    @pytest.mark.parametrize(
        ("odd", "text"),
        [
            (np.zeros((2, 2)), r"float64 of shape \(2, 2\)"),
            (np.zeros(2, dtype="f4"), r"float32 of shape \(2,\)"),
            (np.array(1.0), r"float64 of shape \(\)"),
        ],
    )
    def test_pieces_that_differ_are_refused_by_row(self, odd, text):
        with pytest.raises(
            ColumnTypeError, match=rf"column 'x' holds .* of type ndarray in row 2, {text}, and only pieces"
        ):
            message_of(np.zeros(3), None, odd).to_arrow()

    @pytest.mark.parametrize("dtype", ["O", "U1", "S1", "M8[D]", ">i4"])
    def test_arrays_of_what_lists_do_not_bring_back_are_refused(self, dtype):
        with pytest.raises(
            ColumnTypeError, match=r"in row 0, .* of shape \(1,\), and only pieces of one dimension and one"
        ):
            message_of(np.zeros(1, dtype=dtype)).to_arrow()

    def test_arrays_beside_other_values_are_refused(self):
        with pytest.raises(ColumnTypeError, match=r"column 'x' holds array\(\[1, 2\]\) of type ndarray in row 0"):
            message_of(np.array([1, 2]), [1, 2]).to_arrow()


class TestWhatArrowDoesNotHold:
    @pytest.mark.parametrize(
        ("values", "row"),
        [
            ([1, "a"], 1),
            ([None, "a", "b", 3], 3),
            ([True, 1], 1),
            ([2**70], 0),
            ([1j], 0),
            ([object()], 0),
            ([Path("x")], 0),
            ([range(3)], 0),
            ([frozenset({1})], 0),
            (["a"] * 37 + [7, "a"], 37),
            ([np.datetime64("2020-01-01", "D")], 0),
            ([torch.zeros(2), 1], 0),
        ],
    )
    def test_the_first_value_without_a_type_is_named(self, values, row):
        with pytest.raises(ColumnTypeError) as caught:
            message_of(*values).to_arrow()
        assert f"of type {type(values[row]).__name__} in row {row}, which Arrow can't hold beside the rows" in str(
            caught.value
        )
        assert str(caught.value).startswith(f"Message.to_arrow: column 'x' holds {values[row]!r:.60} of type")
        assert str(caught.value).endswith("give all rows one type, or leave the column out with drop.")

    @pytest.mark.parametrize(
        ("values", "row", "back"),
        [
            ([1.5, 2], 1, "2.0"),
            ([[1], (1,)], 1, "[1]"),
            ([{1, 2}], 0, "[1, 2]"),
            ([{"a": 1}, {"b": 2}], 0, "{'a': 1, 'b': None}"),
            ([{"a": 1}, {"a": 1.5}], 0, "{'a': 1.0}"),
            ([[(1, 2)]], 0, "[[1, 2]]"),
            ([pd.Timestamp("2020")], 0, "datetime.datetime(2020, 1, 1, 0, 0)"),
            (["a", b"b"], 0, "b'a'"),
        ],
    )
    def test_a_value_that_would_come_back_as_another_is_refused(self, values, row, back):
        with pytest.raises(ColumnTypeError) as caught:
            message_of(*values).to_arrow()
        assert f"in row {row}, which Arrow would give back as {back}; give all rows one type" in str(caught.value)

    def test_two_kinds_of_missing_values_are_refused(self):
        with pytest.raises(
            ColumnTypeError, match=r"column 'x' holds NaN in row 2 and None in row 1; Arrow has one kind of"
        ):
            message_of("a", None, np.nan).to_arrow()

    def test_nothing_is_changed_by_the_refusal(self):
        message = message_of([1], (2,))
        with pytest.raises(ColumnTypeError):
            message.to_arrow()
        assert list(message.raw("x")) == [[1], (2,)]
