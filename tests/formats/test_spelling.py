"""Every value has one plain form, which a schema reads back; what has none is named."""

import datetime as dt
import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pandas.arrays import ArrowExtensionArray, FloatingArray
from pandas.tests.extension.decimal.array import DecimalArray

import fireworks as fw
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.formats.spelling import conformed, plain_values
from fireworks.message.conversion.lists import Digits


def spelled(column):
    return plain_values("c", fw.Message({"c": column}).raw("c"), where="Writer")


def arrow(values, kind):
    return ArrowExtensionArray(pa.array(values, type=kind))


def objects(*values):
    return pd.Series(values, dtype=object)


NAN, INF = math.nan, math.inf
SPELLED = {
    "tensor": (torch.tensor([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "tensor without elements": (torch.zeros(2, 2, 0), [[[], []], [[], []]]),
    "tensor of bools": (torch.tensor([True, False]), [True, False]),
    "tensor on its way to a gradient": (torch.ones(1, requires_grad=True), [1.0]),
    "uint64": (torch.tensor([2**62]).to(torch.uint64) * 2, [2**63]),
    "float32": (torch.tensor([0.1, NAN, INF, -INF]), [0.1, None, "Infinity", "-Infinity"]),
    "bfloat16": (torch.tensor([1 / 3]).to(torch.bfloat16), [0.33398438]),
    "float16": (np.array([0.1], dtype="f2"), [0.1]),
    "float64": (np.array([0.1, 1e300, -0.0, NAN]), [0.1, 1e300, -0.0, None]),
    "complex": (torch.tensor([1 + 2j, -0.5j]), ["(1+2j)", "(-0-0.5j)"]),
    "texts": (["a", "", None], ["a", "", None]),
    "nullable": (pd.array([1, None], dtype="Int8"), [1, None]),
    "nullable bools": (pd.array([True, None], dtype="boolean"), [True, None]),
    "nullable floats": (FloatingArray(np.array([0.1, NAN, 1]), np.array([False, False, True])), [0.1, "NaN", None]),
    "categories": (pd.Categorical(["v", None], categories=["u", "v"]), ["v", None]),
    "categories of numbers": (pd.Categorical([7, None]), [7, None]),
    "seconds": (np.array(["2020-02-29T12:00:00", "NaT"], dtype="M8[s]"), ["2020-02-29T12:00:00", None]),
    "nanoseconds": (np.array([1], dtype="M8[ns]"), ["1970-01-01T00:00:00.000000001"]),
    "durations": (np.array([86_400_000_001, "NaT"], dtype="m8[us]"), ["1 days 00:00:00.000001", None]),
    "zone": (
        pd.DatetimeIndex(["2020-07-01 12:00", None, "2020-01-01 12:00"], tz="America/New_York"),
        ["2020-07-01T12:00:00.000000-04:00", None, "2020-01-01T12:00:00.000000-05:00"],
    ),
    "zone of half an hour": (
        pd.DatetimeIndex(["2020-07-01"], tz="Asia/Kolkata").as_unit("s"),
        ["2020-07-01T00:00:00+05:30"],
    ),
    "zone of odd seconds": (
        pd.DatetimeIndex(["1880-01-01"], tz="Europe/Amsterdam").as_unit("s"),
        ["1879-12-31T23:40:28+00:00"],
    ),
    "months": (pd.PeriodIndex(["2020-01", None], freq="M"), ["2020-01", None]),
    "intervals": (pd.arrays.IntervalArray.from_tuples([(0.1, 1e-7 + 1), None]), ["(0.1, 1.0000001]", None]),
    "categories of intervals": (pd.cut([0.5, math.nan], [0, 1]), ["(0, 1]", None]),
    "sparse": (pd.arrays.SparseArray([0, 0, 3]), [0, 0, 3]),
    "objects": (
        objects("a", None, 5, 0.5, True, [1, [None]], {"k": [1]}, NAN, np.int8(3)),
        ["a", None, 5, 0.5, True, [1, [None]], {"k": [1]}, None, 3],
    ),
    "Arrow floats": (arrow([0.1, NAN, None, INF], pa.float32()), [0.1, "NaN", None, "Infinity"]),
    "Arrow decimals": (arrow([Decimal("1.50"), None], pa.decimal128(9, 2)), ["1.50", None]),
    "Arrow dates": (arrow([dt.date(2020, 2, 29), None], pa.date32()), ["2020-02-29", None]),
    "Arrow times": (arrow([dt.time(1, 2, 3)], pa.time64("us")), ["01:02:03"]),
    "Arrow timestamps": (arrow([1, None], pa.timestamp("ms")), ["1970-01-01T00:00:00.001", None]),
    "Arrow timestamps with a zone": (
        arrow([0, None], pa.timestamp("s", "Asia/Tokyo")),
        ["1970-01-01T09:00:00+09:00", None],
    ),
    "Arrow durations": (arrow([1, None], pa.duration("s")), ["0 days 00:00:01", None]),
    "Arrow dictionary": (ArrowExtensionArray(pa.array(["a", None, "a"]).dictionary_encode()), ["a", None, "a"]),
    "Arrow nulls": (arrow([None, None], pa.null()), [None, None]),
    "Arrow lists": (arrow([[0.5, INF, None], None, []], pa.list_(pa.float64())), [[0.5, "Infinity", None], None, []]),
    "Arrow structs": (
        arrow([{"a": 1, "b": dt.date(2020, 1, 1)}, None], pa.struct([("a", pa.int8()), ("b", pa.date32())])),
        [{"a": 1, "b": "2020-01-01"}, None],
    ),
    "Arrow maps": (arrow([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), [[["k", 1]], None]),
    "Arrow lists of durations": (arrow([[1]], pa.list_(pa.duration("s"))), [["0 days 00:00:01"]]),
    "Arrow lists of instants": (
        arrow([[0]], pa.list_(pa.timestamp("s", "Asia/Tokyo"))),
        [["1970-01-01T00:00:00+00:00"]],
    ),
}


@pytest.mark.parametrize("kind", SPELLED)
def test_each_kind_of_column_has_its_plain_values(kind):
    column, expected = SPELLED[kind]
    values = spelled(column)
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]
    assert json.dumps(values, allow_nan=False)


@pytest.mark.parametrize("kind", SPELLED)
def test_a_schema_reads_them_back(kind, tmp_path):
    message = fw.Message({"c": SPELLED[kind][0]})
    digits = {} if kind == "objects" else {"parse_float": Digits, "parse_int": Digits}
    read = json.loads(json.dumps(spelled(message.raw("c"))), **digits)
    values = np.fromiter(read, dtype=object, count=len(message))
    again = conformed({"c": pd.Series(values, dtype=object)}, message.schema, tmp_path)
    assert again.schema == message.schema
    assert spelled(again.raw("c")) == SPELLED[kind][1]
    if kind not in {"tensor on its way to a gradient", "Arrow floats"}:  # NaN of Arrow equals no other
        assert again == message


def test_the_word_for_infinity_can_be_chosen():
    assert plain_values("c", torch.tensor([INF, -INF]), where="Writer", infinity="inf") == ["inf", "-inf"]


@pytest.mark.parametrize(
    "column",
    [
        DecimalArray([Decimal(1)]),
        np.ones(2, dtype=np.longdouble),
        np.ones(2, dtype=np.clongdouble),
        arrow([b"a"], pa.binary()),
        arrow([[b"a"]], pa.list_(pa.binary())),
        arrow([pa.MonthDayNano([1, 2, 3])], pa.month_day_nano_interval()),
    ],
    ids=["a type of others", "wide floats", "wide complex numbers", "bytes", "lists of bytes", "months, days and more"],
)
def test_a_type_without_a_plain_form_is_named(column):
    with pytest.raises(
        ColumnTypeError,
        match=r"^Writer: column 'c' holds .*, which has no form that could be read back; convert the column, as with "
        r"\.astype\(str\), leave it out with drop, or use save\.$",
    ):
        spelled(column)


@pytest.mark.parametrize(
    "value",
    [(1, 2), b"a", {1: 2}, {"k": (1,)}, [INF], {1, 2}, 1 + 2j, np.zeros(2), torch.zeros(2), pd.Timestamp(0), pd.NA],
    ids=repr,
)
def test_an_object_that_would_come_back_as_another_is_named_with_its_row(value):
    with pytest.raises(
        ColumnTypeError,
        match=r"Writer: column 'c' holds .* of type \w+ in row 2, which would be read back as something else",
    ):
        spelled(objects("a", None, value))


@pytest.mark.parametrize(
    "values",
    [
        np.array(["2020-01-01", "NaT", "10000-01-01"], dtype="M8[s]"),
        np.array(["2020-01-01", "NaT", "-0044-03-15"], dtype="M8[us]"),
        np.array([0, "NaT", 2**62], dtype="m8[s]"),
        np.array([0, "NaT", -(2**62)], dtype="m8[ms]"),
        arrow([0, None, 2**62], pa.timestamp("ms")),
    ],
    ids=["year 10000", "44 BC", "long", "long ago", "Arrow"],
)
def test_a_time_beyond_what_text_can_say_is_named(values):
    with pytest.raises(ColumnTypeError, match=r"Writer: column 'c' holds .*64.* in row 2, which would be read back as"):
        spelled(values)


def test_the_first_and_the_last_times_that_text_can_say(tmp_path):
    message = fw.Message(
        {
            "s": np.array(["0001-01-01", "9999-12-31T23:59:59"], dtype="M8[s]"),
            "us": np.array(["0001-01-01", "9999-12-31T23:59:59.999999"], dtype="M8[us]"),
            "ns": np.array([-(2**63) + 1, 2**63 - 1], dtype="M8[ns]"),
            "d": np.array([-(2**63) + 1, 2**63 - 1], dtype="m8[ns]"),
            "ds": np.array([-(2**33), 2**33], dtype="m8[s]"),
        }
    )
    message.to_json(tmp_path / "x")
    assert fw.Message.read_json(tmp_path / "x", message.schema) == message


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_tensor_without_plain_values_is_named():
    for tensor in (torch.ones(2, device="meta"), torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8)):
        with pytest.raises(ColumnTypeError, match=r"Writer: column 'c' holds q?.* tensor, which has no form"):
            spelled(tensor)


def test_an_error_of_the_schema_names_the_file():
    with pytest.raises(ColumnValueError, match="column 'n', row 1: 'x' does not fit int64") as caught:
        conformed({"n": ["1", "x"]}, fw.Schema({"n": "int64"}), "rows.csv")
    assert caught.value.__notes__ == ["In 'rows.csv'; the first row below the names is row 0."]
