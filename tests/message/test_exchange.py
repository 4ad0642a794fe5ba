"""What goes out of a message in memory: to Arrow, and by Arrow's PyCapsule protocol to polars, DuckDB and pandas."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import assume, given, settings

import fireworks as fw
from fireworks.errors import ColumnTypeError, SchemaMismatchError
from message.strategies import messages, restorable


@pytest.fixture
def message():
    return fw.Message(
        {
            "x": torch.arange(18, dtype=torch.float32).reshape(3, 3, 2),
            "v": torch.tensor([3, 1, 2]),
            "h": torch.tensor([0.5, 1.5, 2.5], dtype=torch.float16),
            "b": torch.tensor([[0.5], [1.5], [2.5]], dtype=torch.bfloat16),
            "c": torch.tensor([1j, 2, 3 + 1j]),
            "z": torch.zeros(3, 0, 3),
            "n": [1, 2, 3],
            "f": [0.5, np.nan, 2.5],
            "s": ["a", None, "b"],
            "i": pd.array([1, 2, 3], dtype="Int64"),
            "k": pd.Categorical(["low", None, "high"], ["low", "middle", "high"], ordered=True),
            "t": pd.DatetimeIndex(["2020-01-01", None, "2021-06-01T12:00"], tz="Asia/Tokyo").as_unit("us"),
            "d": np.array(["2020-01-01", "NaT", "1969-12-31"], "M8[s]"),
            "l": pa.array([[1, 2], None, []]),
        }
    )


class TestPolars:
    def test_a_frame_is_made_of_a_message(self, message):
        frame = pl.DataFrame(message)
        assert frame.columns == message.columns
        assert frame["x"].ext.storage().to_list() == message["x"].flatten(1).tolist()
        assert frame["v"].to_list() == [3, 1, 2]
        assert frame["h"].to_list() == [0.5, 1.5, 2.5]
        assert frame["s"].to_list() == ["a", None, "b"]
        assert pl.Schema(message) == frame.schema
        assert pl.scan_arrow_c_stream(message).filter(pl.col("n") > 2).collect()["s"].to_list() == ["b"]
        # of a stream that is no table of PyArrow's own, polars makes a Series of structs
        assert pl.from_arrow(message).struct.unnest().equals(frame)

    def test_it_comes_back_by_its_schema(self, message):
        assert fw.Message(pl.DataFrame(message), schema=message.schema) == message

    def test_tensors_of_more_dimensions_categories_and_zones_come_back_without(self, message):
        back = fw.Message(pl.DataFrame(message))
        for name in ("x", "n", "f", "s", "t"):
            assert back.select(name) == message.select(name)
        assert back["k"].tolist()[0] == "low"

    @settings(deadline=None, max_examples=100)
    @given(messages(min_columns=1))
    def test_any_message_comes_back_by_its_schema(self, message):
        assume(restorable(message))
        assert fw.Message(pl.DataFrame(message), schema=message.schema) == message


class TestDuckdb:
    def test_sql_reads_a_message_by_its_name(self, message):
        found = duckdb.sql("select n, s, x, h from message where v < 3 order by n")
        assert found.fetchall() == [
            (2, None, (6.0, 7.0, 8.0, 9.0, 10.0, 11.0), 1.5),
            (3, "b", (12.0, 13.0, 14.0, 15.0, 16.0, 17.0), 2.5),
        ]
        assert duckdb.sql("select sum(v) + sum(i), avg(b[1]) from message").fetchall() == [(12, 1.5)]

    def test_its_answer_is_a_message(self, message):
        answer = fw.Message(duckdb.sql("select v, s, k from message order by v"))
        assert answer.schema == fw.Schema({"v": "int64", "s": "str", "k": "str"})
        assert answer["v"].tolist() == [1, 2, 3]

    def test_it_comes_back_by_its_schema(self, message):
        assert fw.Message(duckdb.sql("select * from message"), schema=message.schema) == message

    def test_the_schema_brings_back_shapes_categories_and_zones(self, message):
        part = message.select("x", "k", "t", "i", "v")
        back = fw.Message(duckdb.sql("select * from part where v > 1 order by v"), schema=part.schema)
        assert back == part[[2, 0]]
        assert back.raw("k").categories.tolist() == ["low", "middle", "high"]

    @settings(deadline=None, max_examples=60)
    @given(messages(min_columns=1))
    def test_any_message_comes_back_by_its_schema(self, message):
        # DuckDB has no extension types, so no periods and no intervals; its own intervals are of months and days
        columns = [
            message.raw(name)
            for name, field in zip(message.columns, message.schema, strict=True)
            if restorable(message.select(name), "m")
            and not isinstance(field.dtype, (pd.PeriodDtype, pd.IntervalDtype))
            and not isinstance(getattr(getattr(field.dtype, "categories", None), "dtype", None), pd.IntervalDtype)
        ]
        assume(columns)
        # names are without case in SQL
        numbered = fw.Message({f"c{number}": column for number, column in enumerate(columns)})
        assert fw.Message(duckdb.sql("select * from numbered"), schema=numbered.schema) == numbered

    def test_names_that_c_would_cut_off_are_refused(self):
        odd = fw.Message({"a\0": [1]})  # noqa: F841 (the query names it)
        with pytest.raises((ColumnTypeError, duckdb.Error), match="has a NUL in its name"):
            duckdb.sql("select * from odd")


class TestPandas:
    def test_pandas_reads_the_stream(self, message):
        frame = pd.DataFrame.from_arrow(message.select("n", "s", "t", "v"))
        assert frame["s"].dtype == "str"
        assert frame["t"].equals(message["t"])


class TestPyarrow:
    def test_a_table_is_made_of_a_message(self, message):
        table = pa.table(message)
        assert table.column_names == message.columns
        assert pa.schema(message) == table.schema
        assert fw.Message(table) == message

    def test_a_schema_may_be_asked_for(self):
        small = fw.Message({"n": [1, 2], "x": np.array([0.5, 1.5])})
        wanted = pa.schema([("n", pa.int32()), ("x", pa.float32())])
        assert pa.table(small, schema=wanted).schema.equals(wanted)
        assert pa.table(small, schema=wanted).to_pydict() == {"n": [1, 2], "x": [0.5, 1.5]}

    def test_numbers_and_tensors_go_through_the_stream_without_a_copy(self):
        big = fw.Message({"x": torch.zeros(1000, 3), "v": torch.zeros(1000), "n": np.zeros(1000)})
        table = pa.table(big)
        assert table["x"].chunk(0).storage.buffers()[-1].address == big["x"].data_ptr()
        assert table["v"].chunk(0).buffers()[-1].address == big["v"].data_ptr()
        assert table["n"].chunk(0).buffers()[-1].address == big.raw("n").ctypes.data

    def test_the_table_outlives_the_message(self):
        table = fw.Message({"x": torch.arange(1000.0).reshape(500, 2)}).to_arrow()
        torch.zeros(1000)
        assert table["x"].chunk(0).to_numpy_ndarray().sum() == 999 * 500


def test_a_schema_that_does_not_fit_is_refused():
    with pytest.raises(SchemaMismatchError, match="'n' is int64, the schema says"):
        fw.Message(pa.table({"n": [1]}), schema={"n": pd.ArrowDtype(pa.list_(pa.int64()))})
