"""Arrow files: our files come back without loss and are read by others, and theirs by us."""

import contextlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from disks import largest_file
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, FileFormatError
from fireworks.formats.arrow_ipc import write_table
from message.strategies import ARRAYS, messages, some_message


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.arrow"


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    """One path for all examples of hypothesis."""
    return tmp_path_factory.mktemp("arrow") / "rows"


class TestComesBack:
    @settings(deadline=None)
    @given(message=messages())
    def test_any_message(self, message, shared_path):
        with contextlib.suppress(ColumnTypeError):  # of objects of several types
            message.to_feather(shared_path)
            assert fw.Message.read_feather(shared_path) == message

    @pytest.mark.parametrize("num_rows", [0, 7])
    @pytest.mark.parametrize("kind", sorted(ARRAYS.keys() - {"objects"}))
    def test_every_kind_of_column_but_mixed_objects(self, kind, num_rows, path):
        message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), num_rows)})
        message.to_feather(path)
        assert fw.Message.read_feather(path) == message

    @pytest.mark.parametrize("compression", ["lz4", "zstd", None])
    def test_with_any_compression(self, compression, path):
        message = fw.Message({"x": torch.zeros(10_000)})
        message.to_feather(str(path), compression=compression)
        assert fw.Message.read_feather(str(path)) == message
        assert (path.stat().st_size < 10_000) == (compression is not None)

    def test_a_table_of_no_rows_keeps_its_categories(self):
        table = pa.table({"c": pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), pa.array(["u", "v"]))})
        sink = pa.BufferOutputStream()
        write_table(table, sink)
        again = pa.ipc.open_file(sink.getvalue()).read_all()
        assert again["c"].chunk(0).dictionary.to_pylist() == ["u", "v"]

    def test_chosen_columns_in_the_order_asked_for(self, path):
        some_message().to_feather(path)
        assert fw.Message.read_feather(path, columns=["name", "x"]) == some_message()[["name", "x"]]
        assert fw.Message.read_feather(path, columns="x") == some_message()[["x"]]

    def test_pieces_with_categories_of_their_own(self, path):
        pieces = [pa.array(values).dictionary_encode() for values in (["a", "b"], ["c", "a"])]
        message = fw.Message({"c": pd.arrays.ArrowExtensionArray(pa.chunked_array(pieces))})
        message.to_feather(path)
        assert fw.Message.read_feather(path)["c"].tolist() == ["a", "b", "c", "a"]


class TestOthersRead:
    def test_pandas(self, path):
        some_message().to_feather(path)
        frame = pd.read_feather(path)
        assert frame["name"].tolist()[0::2] == ["ann", "größe"]
        assert np.stack(frame["x"]).tolist() == [[0, 1], [2, 3], [4, 5]]

    @pytest.mark.parametrize("compression", ["lz4", None])
    def test_polars(self, compression, path):
        polars = pytest.importorskip("polars")
        some_message().to_feather(path, compression=compression)
        frame = polars.read_ipc(path)
        assert frame["name"].to_list() == ["ann", None, "größe"]
        assert fw.Message(frame)["x"].tolist() == some_message()["x"].tolist()

    def test_duckdb_through_arrow(self, path):
        duckdb = pytest.importorskip("duckdb")
        some_message().to_feather(path)
        stored = pa.ipc.open_file(path).read_all()  # noqa: F841 (DuckDB finds it by its name)
        assert duckdb.sql("select name from stored order by half desc limit 1").fetchall() == [("größe",)]


class TestWeReadOthers:
    @pytest.mark.parametrize("index", [pd.RangeIndex(2), pd.Index(["a", "b"], name="key")], ids=["range", "named"])
    def test_pandas(self, index, path):
        frame = pd.DataFrame({"x": [1.5, 2.5], "s": ["x", None]}, index=index)
        table = pa.Table.from_pandas(frame)
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
        assert fw.Message.read_feather(path) == fw.Message(frame)

    def test_a_feather_of_pandas(self, path):
        frame = pd.DataFrame({"x": [1.5, 2.5], "c": pd.Categorical(["b", "a"])})
        frame.to_feather(path)
        assert fw.Message.read_feather(path) == fw.Message(frame)

    def test_polars(self, path):
        polars = pytest.importorskip("polars")
        polars.DataFrame({"n": [1, 2], "s": ["a", None]}).write_ipc(path)
        message = fw.Message.read_feather(path)
        assert message == fw.Message({"n": [1, 2], "s": ["a", None]})

    def test_a_stream_that_was_stored(self, path):
        table = some_message().to_arrow()
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        assert fw.Message.read_feather(path) == some_message()
        assert fw.Message.read_feather(path, columns=["name"]) == some_message()[["name"]]


class TestErrors:
    def test_a_missing_file(self, path):
        with pytest.raises(FileNotFoundError, match=r"Message.read_feather: '.*' can't be read: there is no such file"):
            fw.Message.read_feather(path)

    @pytest.mark.parametrize(
        "data", [b"", b"name,age\nann,3\n", b"ARROW1" + b"x" * 100], ids=["empty", "text", "broken"]
    )
    def test_what_is_no_arrow(self, data, path):
        path.write_bytes(data)
        with pytest.raises(FileFormatError, match=r"Message.read_feather: '.*' is no Arrow file, or a damaged one: "):
            fw.Message.read_feather(path)

    def test_a_file_cut_short(self, path):
        some_message().to_feather(path)
        data = path.read_bytes()
        for length in range(0, len(data), 41):
            path.write_bytes(data[:length])
            with pytest.raises(FileFormatError, match="is no Arrow file, or a damaged one"):
                fw.Message.read_feather(path)

    def test_a_column_that_is_not_there(self, path):
        some_message().to_feather(path)
        with pytest.raises(
            ColumnNotFoundError, match=r"Message.read_feather: no column 'names'; .* Did you mean 'name'\?"
        ):
            fw.Message.read_feather(path, columns=["names"])

    def test_a_compression_that_arrow_lacks(self, path):
        with pytest.raises(ValueError, match=r"Message.to_feather: compression is 'lz4', 'zstd' or None; got 'gzip'"):
            some_message().to_feather(path, compression="gzip")

    def test_objects_that_arrow_would_change(self, path):
        with pytest.raises(ColumnTypeError, match=r"Message.to_feather: column 'odd' holds 5 of type int in row 1"):
            fw.Message({"odd": pd.Series(["a", 5], dtype=object)}).to_feather(path)
        assert not path.exists()

    def test_without_room_the_old_file_stays(self, path):
        some_message().to_feather(path)
        with (
            largest_file(50_000),
            pytest.raises(OSError, match=r"Message.to_feather: .* can't be written: File too large"),
        ):
            fw.Message({"x": torch.randn(100_000)}).to_feather(path)
        assert fw.Message.read_feather(path) == some_message()
