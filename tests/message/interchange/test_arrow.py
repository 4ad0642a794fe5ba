import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.interchange.arrow import reader_of, table_of
from message.strategies import messages


def column(array, **metadata):
    """The stored column that a message makes of one Arrow array, with a note of fireworks beside it or none."""
    field = pa.field("x", array.type, metadata={"fireworks": json.dumps(metadata)} if metadata else None)
    table = pa.Table.from_arrays([array], schema=pa.schema([field]))
    return fw.Message(table).raw("x")


def through_bytes(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def is_holdable(message):
    """Whether Arrow holds the objects of a message; the strategies also draw what it can't."""
    try:
        message.to_arrow()
    except ColumnTypeError:
        return False
    return True


@settings(deadline=None, max_examples=150)
@given(messages())
def test_a_message_comes_back_from_arrow_as_it_was(message):
    if is_holdable(message):
        table = message.to_arrow()
        table.validate(full=True)
        back = fw.Message(table)
        assert back.schema == message.schema
        assert back == message or not message.columns
        assert [list(c.categories) for c in _categories(back)] == [list(c.categories) for c in _categories(message)]


def _categories(message):
    return [message.raw(name) for name in message.columns if message[name].dtype == "category"]


@settings(deadline=None, max_examples=100)
@given(messages(min_rows=1, min_columns=1))
def test_a_message_comes_back_from_the_bytes_of_an_arrow_stream(message):
    if is_holdable(message):
        assert fw.Message(through_bytes(message.to_arrow())) == message


@settings(deadline=None, max_examples=100)
@given(messages(min_columns=1))
def test_a_message_comes_back_from_the_stream_that_others_read(message):
    if is_holdable(message) and not any("\0" in name for name in message.columns):
        assert fw.Message(pa.table(message)) == message
        assert fw.Message(reader_of(message)) == message


@settings(deadline=None, max_examples=60)
@given(messages(min_rows=2, min_columns=1))
def test_chunks_and_slices_of_a_table_make_the_same_message(message):
    if is_holdable(message):
        table = message.to_arrow()
        cut = pa.concat_tables([table.slice(0, 1), table.slice(1, 1), table.slice(1, 0), table.slice(2)])
        assert fw.Message(cut) == message
        assert fw.Message(table.slice(1)) == message[1:]


def test_a_message_without_columns_makes_a_table_without_columns():
    assert fw.Message().to_arrow().shape == (0, 0)
    assert fw.Message(pa.table({})) == fw.Message()
    assert fw.Message(pa.table(fw.Message())) == fw.Message()
    assert fw.Message(pa.table({"a": [1]}).select([])) == fw.Message()


class TestTables:
    def test_a_name_that_comes_twice_is_refused(self):
        table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
        with pytest.raises(
            ColumnTypeError, match="the Arrow table has 'x' twice, among its columns or its index; rename one"
        ):
            fw.Message(table)

    def test_batches_and_readers_are_read_as_tables(self):
        batch = pa.record_batch({"x": [1, 2]})
        expected = fw.Message({"x": [1, 2]})
        assert fw.Message(batch) == expected
        assert fw.Message(pa.RecordBatchReader.from_batches(batch.schema, [batch])) == expected
        assert len(fw.Message(pa.RecordBatchReader.from_batches(batch.schema, []))) == 0

    @pytest.mark.parametrize(
        "index",
        [
            None,
            pd.Index(["p", "q"], name="key"),
            pd.Index(["p", "q"]),
            pd.Index([7, 8]),
            pd.Index([7, 8], name="id"),
            pd.MultiIndex.from_arrays([["p", "q"], [1, 2]], names=["key", None]),
            pd.MultiIndex.from_arrays([["p", "q"], [1, 2]]),
            pd.MultiIndex.from_arrays([[1, 2], ["p", "q"]]),
        ],
    )
    def test_an_index_that_pandas_noted_becomes_columns_as_that_of_a_frame_does(self, index):
        frame = pd.DataFrame({"x": [1, 2], "y": ["a", None]}, index=index)
        assert fw.Message(pa.Table.from_pandas(frame)) == fw.Message(frame)

    def test_an_index_column_that_was_left_out_is_not_missed(self):
        table = pa.Table.from_pandas(pd.DataFrame({"x": [1]}, index=pd.Index(["p"], name="key")))
        assert fw.Message(table.select(["x"])) == fw.Message({"x": [1]})

    def test_one_column_alone_needs_a_name(self):
        with pytest.raises(
            ColumnTypeError, match=r"a ChunkedArray is one column, which needs a name: fw\.Message\(\{'x': …\}\)"
        ):
            fw.Message(pa.chunked_array([[1, 2]]))

    def test_an_error_of_the_stream_itself_is_passed_on(self):
        def batches():
            yield pa.record_batch({"x": [1]})
            raise pa.ArrowInvalid("the line is dead")

        reader = pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]), batches())
        with pytest.raises(pa.ArrowInvalid, match="the line is dead"):
            fw.Message(reader)

    def test_a_zone_that_nobody_knows_is_refused_by_name(self):
        with pytest.raises(
            ColumnValueError, match=r"'x' has the zone 'Mars/Base', which this computer doesn't know; cast it"
        ):
            fw.Message(pa.table({"x": pa.array([0], pa.timestamp("us", "Mars/Base"))}))

    def test_a_name_with_a_nul_keeps_it_or_is_refused(self):
        message = fw.Message({"a\0b": [1]})
        assert fw.Message(through_bytes(message.to_arrow())) == message
        with pytest.raises(
            ColumnTypeError, match=r"column 'a\\x00b' has a NUL in its name, which ends it in other libraries"
        ):
            pa.table(message)

    def test_a_name_that_is_no_utf_8_is_refused(self):
        with pytest.raises(ColumnTypeError, match=r"column '\\ud800' has a name that is no text in UTF-8 \(surrogates"):
            fw.Message({"\ud800": [1]}).to_arrow()


class TestNotes:
    def test_a_note_of_a_newer_version_is_refused(self):
        with pytest.raises(
            ColumnValueError,
            match=r"column 'x' was written by a newer fireworks, .* version 2; this one reads up to 1\. Update",
        ):
            column(pa.array([1]), version=2, future=True)

    @pytest.mark.parametrize(
        "text",
        [
            b"{",
            b"[]",
            b"null",
            b"\xff",
            b"{}",
            b'{"version": "one"}',
            b'{"version": 1}',
            b'{"version": 1, "tensor": "no such", "shape": []}',
            b'{"version": 1, "tensor": "load", "shape": []}',
            b'{"version": 1, "tensor": "float32"}',
            b'{"version": 1, "pandas": "category", "of": null, "all": "not base 64"}',
        ],
    )
    def test_a_damaged_note_is_refused(self, text):
        field = pa.field("x", pa.int64(), metadata={"fireworks": text})
        table = pa.Table.from_arrays([pa.array([1])], schema=pa.schema([field]))
        with pytest.raises(
            ColumnValueError, match=r"the note of fireworks beside the Arrow column 'x' is damaged: .* Remove"
        ):
            fw.Message(table)

    def test_the_notes_of_others_are_no_notes(self):
        field = pa.field("x", pa.int64(), metadata={"other": "{"})
        assert fw.Message(pa.Table.from_arrays([pa.array([1])], schema=pa.schema([field]))) == fw.Message({"x": [1]})


class TestPortable:
    def test_half_floats_are_widened_for_readers_that_lack_them(self):
        message = fw.Message({"x": torch.ones(2, 2).half(), "y": torch.ones(2).half(), "n": np.ones(2, np.float16)})
        table = table_of(message, portable=True)
        assert table.schema.types == [pa.fixed_shape_tensor(pa.float32(), (2,)), pa.float32(), pa.float32()]
        assert fw.Message(table) == message
        assert table_of(message).schema.types[1:] == [pa.float16(), pa.float16()]

    def test_categories_that_are_no_texts_are_their_values(self):
        message = fw.Message(
            {"x": pd.Categorical([7, 3, None], [7, 5, 3], ordered=True), "t": pd.Categorical(["a", "b", "a"])}
        )
        table = table_of(message, portable=True)
        assert table["x"].to_pylist() == [7, 3, None]
        assert pa.types.is_dictionary(table["t"].type)
        assert fw.Message(table) == message

    def test_a_stream_of_no_rows_keeps_the_categories(self):
        message = fw.Message({"x": pd.Categorical([], ["v", "u"])})
        assert fw.Message(pa.table(message)).raw("x").categories.tolist() == ["v", "u"]
