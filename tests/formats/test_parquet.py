"""Parquet: our files come back without loss and are read by others, and theirs by us."""

import contextlib
import datetime as dt
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from disks import largest_file
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, FileFormatError
from message.strategies import ARRAYS, messages


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.parquet"


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    """One path for all examples of hypothesis."""
    return tmp_path_factory.mktemp("parquet") / "rows"


def some_message():
    return fw.Message(
        {
            "x": torch.arange(6.0).reshape(3, 2),
            "half": torch.tensor([1, 2, 3], dtype=torch.bfloat16),
            "z": torch.tensor([1 + 2j, 0, -1j]),
            "n": pd.array([1, None, 3], dtype="Int16"),
            "name": ["ann", None, "größe"],
            "kind": pd.Categorical(["u", "v", None], categories=["v", "w", "u"]),
            "day": np.array(["2020-02-29", "1969-01-01", "NaT"], dtype="M8[s]"),
        }
    )


class TestComesBack:
    @settings(deadline=None)
    @given(message=messages())
    def test_any_message(self, message, shared_path):
        with contextlib.suppress(ColumnTypeError):  # of objects of several types
            message.to_parquet(shared_path)
            assert fw.Message.read_parquet(shared_path) == message

    @pytest.mark.parametrize("kind", sorted(ARRAYS.keys() - {"objects"}))
    def test_every_kind_of_column_but_mixed_objects(self, kind, path):
        message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), 7)})
        message.to_parquet(path)
        assert fw.Message.read_parquet(path) == message

    @pytest.mark.parametrize(
        "options",
        [{"compression": "zstd"}, {"row_group_size": 1}, {"use_dictionary": False}, {"use_dictionary": ["n"]}],
    )
    def test_with_any_options(self, options, path):
        some_message().to_parquet(str(path), **options)
        assert fw.Message.read_parquet(str(path)) == some_message()

    @pytest.mark.parametrize(
        "kind",
        [pa.timestamp("s"), pa.timestamp("s", "Asia/Tokyo"), pa.date64(), pa.time32("s"), pa.list_(pa.timestamp("s"))],
        ids=str,
    )
    def test_types_that_parquet_widens(self, kind, path):
        value = (
            dt.time(12, 30)
            if pa.types.is_time(kind)
            else dt.datetime(2020, 2, 29, 12, 30, tzinfo=dt.UTC if kind == pa.timestamp("s", "UTC") else None)
        )
        value = dt.date(2020, 2, 29) if kind == pa.date64() else [value] if pa.types.is_list(kind) else value
        message = fw.Message({"a": pd.arrays.ArrowExtensionArray(pa.array([value, None], type=kind))})
        message.to_parquet(path)
        assert fw.Message.read_parquet(path) == message

    def test_a_name_with_a_dot_is_one_name(self, path):
        message = fw.Message({"a.b": [1], "a": pd.arrays.ArrowExtensionArray(pa.array([{"b": 2, "c": 3}]))})
        message.to_parquet(path)
        assert fw.Message.read_parquet(path) == message
        assert fw.Message.read_parquet(path, columns=["a.b"]) == message[["a.b"]]
        assert fw.Message.read_parquet(path, columns="a") == message[["a"]]

    def test_chosen_columns_in_the_order_asked_for(self, path):
        some_message().to_parquet(path)
        assert fw.Message.read_parquet(path, columns=["name", "x"]) == some_message()[["name", "x"]]
        assert fw.Message.read_parquet(path, columns="x") == some_message()[["x"]]

    def test_pages_have_checksums_unless_told_otherwise(self, path):
        message = fw.Message({"x": np.arange(1000)})
        message.to_parquet(path, compression=None, use_dictionary=False)
        data = bytearray(path.read_bytes())
        place = data.index(np.arange(500, 510).tobytes())
        data[place] ^= 1
        path.write_bytes(data)
        with pytest.raises(
            FileFormatError, match=r"Message.read_parquet: .* is no Parquet file, or a damaged one: .*checksum"
        ):
            fw.Message.read_parquet(path)
        message.to_parquet(path, write_page_checksum=False)
        assert fw.Message.read_parquet(path) == message


class TestOthersRead:
    @pytest.fixture
    def plain(self, path):
        """A message whose types all others know."""
        message = some_message().drop("z")
        message.to_parquet(path)
        return message

    def test_pandas(self, plain, path):
        frame = pd.read_parquet(path)
        assert list(frame.columns) == plain.columns
        assert np.array_equal(np.stack(frame["x"]), plain["x"].numpy())
        assert frame["half"].tolist() == [1, 2, 3]
        assert frame["name"].tolist()[0::2] == ["ann", "größe"]
        assert frame["kind"].tolist()[:2] == ["u", "v"]
        assert frame["day"][0] == pd.Timestamp("2020-02-29")

    def test_polars(self, plain, path):
        polars = pytest.importorskip("polars")
        frame = polars.read_parquet(path)
        assert frame["name"].to_list() == ["ann", None, "größe"]
        assert frame["n"].to_list() == [1, None, 3]
        assert fw.Message(frame)["x"].tolist() == plain["x"].tolist()

    def test_duckdb(self, plain, path):
        duckdb = pytest.importorskip("duckdb")
        rows = duckdb.sql(f"select x[2] as second, half, name, n from '{path}' order by half desc").fetchall()
        assert rows == [(5.0, 3.0, "größe", 3), (3.0, 2.0, None, None), (1.0, 1.0, "ann", 1)]


class TestWeReadOthers:
    def test_a_named_index_of_pandas_becomes_the_first_column(self, path):
        frame = pd.DataFrame({"x": [1.5, 2.5]}, index=pd.Index(["a", "b"], name="key"))
        frame.to_parquet(path)
        assert fw.Message.read_parquet(path) == fw.Message({"key": ["a", "b"], "x": [1.5, 2.5]})
        assert fw.Message.read_parquet(path, columns=["x"]).columns == ["x"]

    @pytest.mark.parametrize("index", [pd.RangeIndex(2), pd.Index([5, 3])], ids=["range", "rows of a filter"])
    def test_an_index_that_says_nothing_is_left_out(self, index, path):
        pd.DataFrame({"x": [1.5, 2.5]}, index=index).to_parquet(path)
        assert fw.Message.read_parquet(path) == fw.Message({"x": [1.5, 2.5]})

    def test_several_levels_and_one_without_a_name(self, path):
        index = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["key", None])
        frame = pd.DataFrame({"x": [1.5, 2.5]}, index=index)
        frame.to_parquet(path)
        message = fw.Message.read_parquet(path)
        assert message == fw.Message(frame)
        assert [values.tolist() for _, values in message.items()] == [["a", "b"], [1, 2], [1.5, 2.5]]

    def test_any_frame_of_pandas(self, path):
        frame = pd.DataFrame(
            {
                "n": pd.array([1, None], dtype="Int32"),
                "t": pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Berlin"),
                "c": pd.Categorical(["a", "b"]),
                "b": [True, False],
                "s": ["x", None],
            }
        )
        frame.to_parquet(path)
        assert fw.Message.read_parquet(path) == fw.Message(frame)

    def test_polars(self, path):
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame(
            {
                "n": [1, None],
                "s": ["a", None],
                "x": polars.Series([[1.0, 2.0], [3.0, 4.0]], dtype=polars.Array(polars.Float32, 2)),
            }
        )
        frame.write_parquet(path)
        message = fw.Message.read_parquet(path)
        assert message["x"].tolist() == [[1, 2], [3, 4]]
        assert message["n"].tolist()[0] == 1
        assert message["s"].tolist()[0] == "a"

    def test_duckdb(self, path):
        duckdb = pytest.importorskip("duckdb")
        duckdb.sql(
            f"copy (select 1 as i, 1.5::decimal(9, 2) as d, 'a' as s, [1, 2] as l, date '2020-02-29' as t) to '{path}' (format parquet)"
        )
        message = fw.Message.read_parquet(path)
        assert message["i"].tolist() == [1]
        assert str(message["d"][0]) == "1.50"
        assert list(message["l"][0]) == [1, 2]
        assert message["t"][0] == dt.date(2020, 2, 29)

    def test_arrow_without_its_notes(self, path):
        pq.write_table(pa.table({"x": pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2))}), path, store_schema=False)
        assert [list(row) for row in fw.Message.read_parquet(path)["x"]] == [[1, 2], [3, 4]]

    def test_two_columns_of_one_name_are_refused(self, path):
        pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), path)
        with pytest.raises(ColumnTypeError, match="has 'x' twice"):
            fw.Message.read_parquet(path)


class TestErrors:
    def test_a_missing_file(self, path):
        with pytest.raises(FileNotFoundError, match=r"Message.read_parquet: '.*' can't be read: there is no such file"):
            fw.Message.read_parquet(path)

    @pytest.mark.parametrize(
        "data", [b"", b"name,age\n", b"PAR1" + b"x" * 100 + b"PAR1"], ids=["empty", "text", "broken"]
    )
    def test_what_is_no_parquet(self, data, path):
        path.write_bytes(data)
        with pytest.raises(FileFormatError, match=r"Message.read_parquet: '.*' is no Parquet file, or a damaged one: "):
            fw.Message.read_parquet(path)

    def test_a_file_cut_short(self, path):
        some_message().to_parquet(path)
        data = path.read_bytes()
        for length in range(0, len(data), 97):
            path.write_bytes(data[:length])
            with pytest.raises(FileFormatError, match="is no Parquet file, or a damaged one"):
                fw.Message.read_parquet(path)

    def test_a_column_that_is_not_there(self, path):
        some_message().to_parquet(path)
        with pytest.raises(
            ColumnNotFoundError, match=r"Message.read_parquet: no column 'names'; .* Did you mean 'name'\?"
        ):
            fw.Message.read_parquet(path, columns=["names"])

    def test_objects_that_arrow_would_change(self, path):
        with pytest.raises(ColumnTypeError, match=r"Message.to_parquet: column 'odd' holds 5 of type int in row 1"):
            fw.Message({"odd": pd.Series(["a", 5], dtype=object)}).to_parquet(path)
        assert not path.exists()

    @pytest.mark.parametrize(
        "column",
        [
            np.array([0, 2**62], dtype="M8[s]"),
            pd.arrays.ArrowExtensionArray(pa.array([pa.MonthDayNano([1, 2, 3])] * 2)),
        ],
        ids=["year 10000000", "months, days and more"],
    )
    def test_values_that_parquet_can_not_hold(self, column, path):
        some_message().to_parquet(path)
        with pytest.raises(
            ColumnTypeError, match=r"Message.to_parquet: column 'odd' holds .*, which Parquet can't keep as it is"
        ):
            fw.Message({"x": [1, 2], "odd": column}).to_parquet(path)
        assert fw.Message.read_parquet(path) == some_message()

    def test_an_option_of_arrow_that_is_wrong(self, path):
        with pytest.raises(pa.ArrowException, match="brotlix"):
            some_message().to_parquet(path, compression="brotlix")
        assert not path.exists()

    def test_an_index_can_not_be_written(self, path):
        some_message().to_parquet(path, index=False)
        with pytest.raises(ValueError, match=r"Message.to_parquet: a message has no index to write"):
            some_message().to_parquet(path, index=True)

    def test_without_room_the_old_file_stays(self, path):
        some_message().to_parquet(path)
        with (
            largest_file(50_000),
            pytest.raises(OSError, match=r"Message.to_parquet: .* can't be written: File too large"),
        ):
            fw.Message({"x": torch.randn(100_000)}).to_parquet(path)
        assert fw.Message.read_parquet(path) == some_message()

    def test_a_wrong_option_leaves_the_old_file(self, path):
        some_message().to_parquet(path)
        with pytest.raises(TypeError, match="kompression"):
            some_message().to_parquet(path, kompression="zstd")
        assert fw.Message.read_parquet(path) == some_message()

    def test_a_buffer_is_no_path(self):
        with pytest.raises(TypeError, match=r"Message.to_parquet: a path is a str or a Path; got .* of type BytesIO"):
            some_message().to_parquet(io.BytesIO())
