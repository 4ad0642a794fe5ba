"""When the footer of a row group rules an expression out."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.expressions import parse
from fireworks.formats.parquet_statistics import may_hold, statistics_of, stored_bytes_of

SCHEMA = fw.Schema({"n": "int64", "f": "float64", "s": "str", "h": "float32", "b": "bool"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n > 20", False),
        ("n >= 20", True),
        ("n < 10", False),
        ("n <= 10", True),
        ("n == 21", False),
        ("n == 10", True),
        ("n != 10", True),
        ("n between 21 and 30", False),
        ("n between 1 and 10", True),
        ("n in [1, 2, 30]", False),
        ("n in [1, 15]", True),
        ("n not in [15]", True),
        ("not n > 5", True),
        ("n > 20 or f > 5", False),
        ("n > 20 or f > 0.5", True),
        ("n > 10 and f > 5", False),
        ("f > 1", False),
        ("f == 0.25", True),
        ("s > 'c'", False),
        ("s >= 'b'", True),
        ("h > 100", True),  # what a float32 compares with is rounded first
        ("n == 21.0", True),  # integers and floats are compared after rounding
        ("f > 9007199254740993", True),
        ("n > null", True),
        ("n is null", True),
        ("n > f", True),
        ("other > 3", True),
        ("b == true", True),
    ],
)
def test_a_group_is_skipped_only_where_it_is_sure(text, expected):
    ends = {"n": (10, 20), "f": (0.0, 1.0), "s": ("a", "c"), "h": (0.0, 1.0), "b": (False, False)}
    assert may_hold(parse(text), ends, SCHEMA) is expected


def test_statistics_are_read_by_leaf():
    table = pa.table(
        {
            "list": [[1, None], [2]],
            "struct": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
            "n": [3, 4],
            "maybe": [None, 1],
            "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
            "last": ["p", "q"],
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    reader = pq.ParquetFile(pa.BufferReader(sink.getvalue()))
    ends, may_be_null = statistics_of(reader.metadata.row_group(0), reader.schema_arrow)
    assert ends["n"] == (3, 4)
    assert ends["last"] == ("p", "q")
    assert "struct" not in ends
    assert {"list", "maybe"} <= may_be_null
    assert not {"n", "last", "struct"} & may_be_null


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(-5, 5), min_size=1, max_size=6),
    operator=st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    limit=st.integers(-7, 7),
)
def test_nothing_that_a_group_holds_is_skipped(values, operator, limit):
    text = f"n {operator} {limit}"
    holds = len(fw.source({"n": np.array(values)}).filter(text)) > 0
    assert may_hold(parse(text), {"n": (min(values), max(values))}, SCHEMA) or not holds


def test_the_bytes_of_columns_are_those_of_their_leaves(tmp_path):
    table = pa.table({"n": range(1000), "pair": [{"a": i, "b": "x"} for i in range(1000)], "s": ["long text"] * 1000})
    pq.write_table(table, tmp_path / "t.parquet", use_dictionary=["s"], compression="none")
    reader = pq.ParquetFile(tmp_path / "t.parquet")
    group = reader.metadata.row_group(0)
    sizes, coded = stored_bytes_of(group, reader.schema_arrow)
    parts = [group.column(number).total_uncompressed_size for number in range(4)]
    assert sizes == {"n": parts[0], "pair": parts[1] + parts[2], "s": parts[3]}
    assert 8000 < sizes["n"] < 8200
    assert sizes["s"] < 200
    assert coded == {"s"}
