"""Arrow's types with parts hold exactly what was given, where Arrow's own conversions round and cut off."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnValueError, SchemaMismatchError
from fireworks.message.conversion.kinds import arrow_of

PAIR = pa.struct([("a", pa.int8()), ("b", pa.list_(pa.float32()))])


def arrow(value, kind):
    """Return the Arrow array that a column becomes."""
    return arrow_of(fw.Message({"x": value}, schema={"x": pd.ArrowDtype(kind)}).raw("x"))


def objects(*values):
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    return pd.Series(cells)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (objects([1, 2.0], None, ()), pa.list_(pa.int8()), [[1, 2], None, []]),
        (objects([[1], []], [[2**53 + 1]]), pa.list_(pa.large_list(pa.int64())), [[[1], []], [[2**53 + 1]]]),
        (objects(np.array([1, 2]), torch.tensor([3, 4])), pa.list_(pa.int16(), 2), [[1, 2], [3, 4]]),
        (objects([1, 2], None), pa.list_(pa.int8(), 2), [[1, 2], None]),
        (objects([], None), pa.list_(pa.int8(), 0), [[], None]),
        (["[1, null]", None], pa.list_(pa.float64()), [[1.0, None], None]),
        (["[0.1]"], pa.list_(pa.float32()), [[float(np.float32(0.1))]]),
        (['["2020-01-02"]'], pa.list_(pa.date32()), [[dt.date(2020, 1, 2)]]),
        (['["a", "1"]'], pa.list_(pa.string()), [["a", "1"]]),
        (objects({"a": 1, "b": [0.5]}, {"a": None}, None), PAIR, [{"a": 1, "b": [0.5]}, {"a": None, "b": None}, None]),
        (['{"a": 1}'], PAIR, [{"a": 1, "b": None}]),
        (objects({"k": 1}, None, {}), pa.map_(pa.string(), pa.int8()), [[("k", 1)], None, []]),
        (objects([("k", 1), ("l", None)]), pa.map_(pa.string(), pa.int8()), [[("k", 1), ("l", None)]]),
        (['{"k": [1]}'], pa.map_(pa.string(), pa.list_(pa.int8())), [[("k", [1])]]),
        (pa.array([[1, 2], None]), pa.list_(pa.int8()), [[1, 2], None]),
        (pa.array([[1.0, 2.0]]), pa.list_(pa.float32(), 2), [[1.0, 2.0]]),
        (pa.array([{"a": 1, "b": [1.0]}]), PAIR, [{"a": 1, "b": [1.0]}]),
        (torch.tensor([[1, 2], [3, 4]]), pa.list_(pa.int8()), [[1, 2], [3, 4]]),
        (torch.tensor([[1.5]]).bfloat16(), pa.list_(pa.float32(), 1), [[1.5]]),
        (["1.50", None], pa.decimal128(9, 2), [Decimal("1.50"), None]),
        (np.array([1, 2]), pa.decimal128(9, 2), [Decimal("1.00"), Decimal("2.00")]),
        (np.array([0.1, math.nan]), pa.decimal128(9, 2), [Decimal("0.10"), None]),
        (["12:30:01.5"], pa.time64("us"), [dt.time(12, 30, 1, 500_000)]),
        (objects(b"a", None), pa.large_binary(), [b"a", None]),
        (["a", None, "a"], pa.dictionary(pa.int32(), pa.string()), ["a", None, "a"]),
    ],
    ids=str,
)
def test_every_part_is_kept(value, kind, expected):
    result = arrow(value, kind)
    assert result.type == kind
    assert result.to_pylist() == expected


def test_nan_stays_nan_beside_nulls():
    found = arrow(pa.array([[1.0, math.nan, None]]), pa.list_(pa.float32())).to_pylist()[0]
    assert math.isnan(found[1])
    assert found[2] is None


@pytest.mark.parametrize(
    ("value", "kind", "problem"),
    [
        (objects([1], [2, 1.5]), pa.list_(pa.int8()), r"row 1: 1\.5 does not fit list<item: int8>\[pyarrow\]\."),
        (objects([1], [[2]]), pa.list_(pa.int8()), r"row 1: \[2\] does not fit"),
        (objects([0.5], [0.1]), pa.list_(pa.float32()), r"row 1: 0\.1 does not fit"),
        (objects([1], 5), pa.list_(pa.int8()), r"row 1: 5 does not fit"),
        (objects([1], [2, 3]), pa.list_(pa.int8(), 1), r"row 1: \[2, 3\] has another length than 1; expected"),
        (pa.array([[0.5], [0.1]]), pa.list_(pa.float32()), r"row 1: 0\.1 does not fit"),
        (["[1]", "[x]"], pa.list_(pa.int8()), r"row 1: '\[x\]' does not fit"),
        (["[1]"], pa.list_(pa.string()), r"row 0: 1 does not fit"),
        (objects({"a": 1}, {"a": 300}), PAIR, r"row 1: 300 does not fit"),
        (objects({"a": 1}, {"c": 3}), PAIR, r"row 1: \{'c': 3\} does not fit"),
        (objects({"a": 1}, {"b": [0.1]}), PAIR, r"row 1: 0\.1 does not fit"),
        (objects({"a": 1}, [1]), PAIR, r"row 1: \[1\] does not fit"),
        (objects({"k": 300}), pa.map_(pa.string(), pa.int8()), r"row 0: 300 does not fit"),
        (objects({1: 3}), pa.map_(pa.string(), pa.int8()), r"row 0: 1 does not fit"),
        (objects([1, 2]), pa.map_(pa.string(), pa.int8()), r"row 0: \[1, 2\] does not fit"),
        (["1.505"], pa.decimal128(9, 2), r"row 0: '1\.505' does not fit decimal128\(9, 2\)\[pyarrow\]\."),
        (["1.50", "x"], pa.decimal128(9, 2), r"row 1: 'x' does not fit"),
        (["25:00"], pa.time64("us"), r"row 0: '25:00' does not fit"),
        (["a"], pa.binary(), r"row 0: 'a' does not fit binary\[pyarrow\]\."),
        (["2020-01-01 12:00"], pa.date32(), r"row 0: '?2020-01-01"),
    ],
    ids=str,
)
def test_the_first_part_that_does_not_fit_is_named_with_its_row(value, kind, problem):
    with pytest.raises(ColumnValueError, match=rf"^Message: column 'x', {problem}"):
        arrow(value, kind)


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), PAIR, pa.map_(pa.string(), pa.int8())], ids=str)
def test_numbers_are_no_lists(kind):
    with pytest.raises(SchemaMismatchError, match=r"^Message: column 'x' is int64, the schema says "):
        arrow(np.array([1]), kind)
