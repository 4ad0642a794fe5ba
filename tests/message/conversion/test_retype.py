"""A column in the type of a schema: what it becomes, written down by hand, and what is refused."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import ColumnValueError, SchemaMismatchError
from message.strategies import ARRAYS, messages

NAN = math.nan


# what Python prints of lists, and of objects does not say what they were
PRINTED = set(ARRAYS) - {"objects", "arrow lists", "structs", "bytes", "ragged arrays"}


def column(value, kind):
    return fw.Message({"x": value}, schema={"x": kind}).raw("x")


def arrow(kind):
    return pd.ArrowDtype(kind)


def plain(value):
    """One Python value per row; None for everything that is missing."""
    values = list(fw.Message({"x": value})["x"]) if not isinstance(value, torch.Tensor) else value.tolist()
    values = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    return [None if not isinstance(value, list) and pd.isna(value) else value for value in values]


_INTERVAL = pd.Interval(pd.Timestamp("2020-01-01"), pd.Timestamp("2020-02-01"), closed="left")

# the column, the type in the schema, the values expected
KEPT = [
    # integers
    ([1, -2], "int8", [1, -2]),
    ([1, 255], "uint8", [1, 255]),
    ([2**63], torch.uint64, [2**63]),
    ([1.0, 2.0], "int32", [1, 2]),
    ([True, False], "int64", [1, 0]),
    (["1", "-7", "1e2", "3.0"], "int64", [1, -7, 100, 3]),
    (pd.array([1, None], dtype="Int8"), "Int64", [1, None]),
    (pd.array([1, 2], dtype="Int8"), torch.int32, [1, 2]),
    (np.array([1.0, NAN]), "Int64", [1, None]),
    ([2**53 + 1, None], "Int64", [2**53 + 1, None]),
    ([2**63 + 1, 0.5], "object", [2**63 + 1, 0.5]),
    ([1, "2", 3.0, True, Decimal(4), np.int8(5), torch.tensor(6), None], "Int64", [1, 2, 3, 1, 4, 5, 6, None]),
    (pd.Series([2**63 + 1, 5, 2.0], dtype=object), "uint64", [2**63 + 1, 5, 2]),
    (pa.array([1, None], pa.int16()), "Int16", [1, None]),
    (pa.array([1, None], pa.int16()), "float32", [1.0, None]),
    (pa.array([1, 2], pa.int64()), torch.int8, [1, 2]),
    (pa.array([Decimal("1.00"), None]), "Int64", [1, None]),
    (pd.Categorical([3, 5, 3]), "int16", [3, 5, 3]),
    (pd.Categorical([3, None]), "Int16", [3, None]),
    (pd.arrays.SparseArray([0, 0, 5]), torch.int64, [0, 0, 5]),
    (pa.array([7, None, 7]).dictionary_encode(), "Int8", [7, None, 7]),
    # floats
    ([0.5, NAN], torch.float16, [0.5, None]),
    ([1, 2], torch.bfloat16, [1.0, 2.0]),
    (["0.1", "nan", "-inf", None], "float32", [float(np.float32(0.1)), None, -math.inf, None]),
    (["0.100097656"], torch.bfloat16, [0.10009765625]),  # as NumPy prints the bfloat16 that is nearest to 0.1
    ([None, "2.5"], torch.float64, [None, 2.5]),
    ([2**70, 0.5], "float64", [2.0**70, 0.5]),
    (pd.array([0.5, None], dtype="Float64"), "float32", [0.5, None]),
    (np.array([0.5, NAN], np.float32), "Float64", [0.5, None]),
    (torch.tensor([0.5, NAN]), "Float32", [0.5, None]),
    (torch.tensor([0.5, 448.0]).to(torch.float8_e4m3fn), "float64", [0.5, 448.0]),
    (np.array([0.5, NAN]), arrow(pa.float16()), [0.5, None]),
    ([1, 0], arrow(pa.bool_()), [True, False]),
    # booleans and complex numbers
    (["True", "false", "1", "0"], torch.bool, [True, False, True, False]),
    ([0.0, 1.0], "bool", [False, True]),
    (["true", None], "boolean", [True, None]),
    (["(1+2j)", "3"], torch.complex64, [1 + 2j, 3]),
    ([1, 2], "complex128", [1, 2]),
    (torch.tensor([1 + 0j]), "float64", [1.0]),
    # tensors with rows of a shape
    ([[1, 2], (3, 4)], (torch.uint8, 2), [[1, 2], [3, 4]]),
    ([[1, 2.5], np.array([3, NAN])], (torch.float32, 2), [[1, 2.5], [3, NAN]]),
    ([torch.tensor([1.5]), torch.tensor([2.5])], (torch.bfloat16, 1), [[1.5], [2.5]]),
    ([[None, 2.0]], (torch.float32, 2), [[NAN, 2.0]]),
    ([[torch.tensor(1), np.int8(2)]], (torch.int16, 2), [[1, 2]]),
    ([[[1], [2]]], (torch.int64, 2, 1), [[[1], [2]]]),
    (["[1.0, 2.0]", "[3, 4.5e1]"], (torch.float32, 2), [[1, 2], [3, 45]]),
    (["[0.1, NaN]", "[null, -Infinity]"], (torch.float32, 2), [[float(np.float32(0.1)), NAN], [NAN, -math.inf]]),
    (["[[true, false]]"], (torch.bool, 1, 2), [[[True, False]]]),
    (["[9007199254740993]"], (torch.int64, 1), [[2**53 + 1]]),
    (['["(1+2j)"]'], (torch.complex64, 1), [[1 + 2j]]),
    (["[]", "[]"], (torch.float32, 0), [[], []]),
    (["[[], []]", "[]"], (torch.float32, 2, 0), [[[], []], [[], []]]),
    (pa.array([[1, 2], [3, 4]]), (torch.float16, 2), [[1, 2], [3, 4]]),
    (pa.array([[1.0, None]]), (torch.float32, 2), [[1.0, NAN]]),
    (pa.array([[[1], [2]]], pa.list_(pa.list_(pa.int8(), 1), 2)), (torch.int8, 2, 1), [[[1], [2]]]),
    (pa.array([[1, 2, 3, 4]], pa.list_(pa.int8(), 4)), (torch.int8, 2, 2), [[[1, 2], [3, 4]]]),
    (pa.array([[1.5, 2.0]], pa.list_(pa.float32(), 2)), torch.complex64, [1.5 + 2j]),
    (torch.tensor([[1, 2, 3, 4]]), (torch.int8, 2, 2), [[[1, 2], [3, 4]]]),
    (torch.tensor([[1.5, 2.0]]), torch.complex64, [1.5 + 2j]),
    (torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), (torch.complex128, 2), [[1 + 2j, 3 + 4j]]),
    (torch.tensor([[1.0, 2.0]]), (torch.complex64, 2), [[1, 2]]),
    # texts
    (["a", None], "string", ["a", None]),
    (pd.array(["a", None], dtype="string"), "str", ["a", None]),
    (pd.Series(["a", None], dtype=object), "str", ["a", None]),
    (pa.array(["a", None]), "str", ["a", None]),
    (["a", None], arrow(pa.large_string()), ["a", None]),
    (pd.Categorical(["b", None, "b"]), "str", ["b", None, "b"]),
    # dates and durations
    (["2020-01-02", None, "NaT"], "datetime64[s]", [pd.Timestamp("2020-01-02"), None, None]),
    (["2020-01-02 03:04:05.000000006"], "datetime64[ns]", [pd.Timestamp("2020-01-02 03:04:05.000000006")]),
    (["2020-01-01T00:00:00+09:00"], "datetime64[us, UTC]", [pd.Timestamp("2019-12-31T15:00Z")]),
    (np.array(["2020"], "M8[ns]"), "datetime64[s]", [pd.Timestamp("2020")]),
    (np.array(["2020"], "M8[s]"), "M8[D]", [pd.Timestamp("2020")]),
    (pd.DatetimeIndex(["2020"], tz="UTC"), "datetime64[s, Asia/Tokyo]", [pd.Timestamp("2020-01-01T09:00+09:00")]),
    (
        pd.Series([dt.date(2020, 1, 2), pd.Timestamp("2020-01-03"), np.datetime64("2020-01-04"), None], dtype=object),
        "datetime64[us]",
        [pd.Timestamp("2020-01-02"), pd.Timestamp("2020-01-03"), pd.Timestamp("2020-01-04"), None],
    ),
    (pa.array([dt.date(2020, 1, 2), None]), "datetime64[s]", [pd.Timestamp("2020-01-02"), None]),
    (pa.array([1_577_923_200_000_000], pa.timestamp("us", "UTC")), "datetime64[s, UTC]", [pd.Timestamp("2020-01-02T00Z")]),
    (["2020-01-02"], arrow(pa.date32()), [dt.date(2020, 1, 2)]),
    (["2020-01-02", None], arrow(pa.date64()), [dt.date(2020, 1, 2), None]),
    (["2020-01-02T00:00Z"], arrow(pa.timestamp("ms", "UTC")), [pd.Timestamp("2020-01-02T00Z")]),
    (["1 days 00:00:01.5", None], "timedelta64[ms]", [pd.Timedelta(86401.5, "s"), None]),
    ([dt.timedelta(seconds=1)], "timedelta64[ns]", [pd.Timedelta(1, "s")]),
    (pa.array([5, None], pa.duration("s")), "timedelta64[us]", [pd.Timedelta(5, "s"), None]),
    (["PT5S"], arrow(pa.duration("s")), [pd.Timedelta(5, "s")]),
    # categories
    (["b", None, "a"], pd.CategoricalDtype(["a", "b", "c"]), ["b", None, "a"]),
    (["2", "1"], pd.CategoricalDtype([1, 2], ordered=True), [2, 1]),
    ([1.0, NAN], pd.CategoricalDtype([1, 2]), [1, None]),
    (torch.tensor([2, 1]), pd.CategoricalDtype([1, 2]), [2, 1]),
    (pd.Categorical(["b"], categories=["x", "b"]), pd.CategoricalDtype(["b", "c"]), ["b"]),
    (["2020-01-01"], pd.CategoricalDtype(pd.DatetimeIndex(["2020-01-01"])), [pd.Timestamp("2020-01-01")]),
    (["a", "b", "a"], "category", ["a", "b", "a"]),
    # objects and what is rare
    ([1, 2], "object", [1, 2]),
    (torch.tensor([1.5]), "object", [1.5]),
    (pa.array([{"k": 1}, None]), "object", [{"k": 1}, None]),
    (["2020-01", None], "period[M]", [pd.Period("2020-01"), None]),
    ([0, 5], "Sparse[int]", [0, 5]),
    (["(0, 1]"], pd.IntervalDtype("int64", "right"), [pd.Interval(0, 1)]),
    (["(0.5, 1.0]", None], pd.IntervalDtype("float64", "right"), [pd.Interval(0.5, 1.0), None]),
    (["[2020-01-01, 2020-02-01)"], pd.IntervalDtype("datetime64[s]", "left"), [_INTERVAL]),
    (pd.arrays.IntervalArray.from_tuples([(0, 1)]), pd.IntervalDtype("float64", "right"), [pd.Interval(0.0, 1.0)]),
    # a column in which all is missing has no type of its own
    ([NAN, NAN], "str", [None, None]),
    ([NAN, NAN], "datetime64[s, UTC]", [None, None]),
    ([None, None], "Int8", [None, None]),
    (pa.nulls(2), "float32", [None, None]),
    (pa.nulls(1), arrow(pa.list_(pa.int8())), [None]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind", "expected"), KEPT, ids=lambda value: str(value)[:40])
def test_values_that_fit_are_kept(value, kind, expected):
    result = column(value, kind)
    if isinstance(result, torch.Tensor):
        wanted = torch.tensor([NAN if row is None else row for row in expected], dtype=result.dtype)
        assert fw.Message({"x": result}) == fw.Message({"x": wanted.reshape(result.shape)})
    else:
        assert plain(result) == expected
        assert all(
            type(got) is type(want) for got, want in zip(plain(result), expected, strict=True) if result.dtype == object
        )
    made, wanted = fw.Message({"x": result}).schema["x"], fw.Schema({"x": kind})["x"]
    if kind not in {"category", "M8[D]"}:
        assert made == wanted


# the column, the type in the schema, what the error says behind the column's name
REFUSED = [
    ([1, 300, 400], "int8", r"row 1: 300 does not fit int8\."),
    ([1, 300], torch.int8, r"row 1: 300 does not fit int8 tensor\."),
    ([0.5], "int64", r"row 0: 0\.5 does not fit int64\."),
    ([0.1], torch.float32, r"row 0: 0\.1 does not fit float32 tensor\."),
    ([2**53 + 1], "float64", r"row 0: 9007199254740993 does not fit float64\."),
    ([1e300], "float32", r"row 0: 1e\+300 does not fit float32\."),
    ([2**70], "int64", r"row 0: 1180591620717411303424 does not fit int64\."),
    ([2], "bool", r"row 0: 2 does not fit bool\."),
    (["7", "abc"], "int64", r"row 1: 'abc' does not fit int64\."),
    ([1 + 1j], "float64", r"row 0: \(1\+1j\) does not fit float64\."),
    ([1, "x", object], "Int64", r"row 1: 'x' does not fit Int64\."),
    ([1, [2], None], "Int64", r"row 1: \[2\] does not fit Int64\."),
    ([1.0, NAN], "int64", r"row 1: the value is missing, and int64 has nothing for that; fill it first, or let the sch"),
    ([NAN], torch.int8, r"row 0: the value is missing, and int8 tensor has nothing for that"),
    (pd.array([True, None], dtype="boolean"), "bool", r"row 1: the value is missing, and bool has nothing"),
    # rows of a shape
    ([[1, 2], [3]], (torch.int8, 2), r"row 1: \[3\] has another shape than \[2\]; expected int8\[2\] tensor\."),
    ([[1, 2], 3], (torch.int8, 2), r"row 1: 3 has another shape than \[2\]"),
    ([[1, 2], [3, [4]]], (torch.int8, 2), r"row 1: \[4\] does not fit int8\[2\] tensor\."),
    ([[1, 2], None], (torch.int8, 2), r"row 1: the value is missing, and int8\[2\] tensor has nothing for that"),
    ([[1, 2], [3, None]], (torch.int8, 2), r"row 1: the value is missing"),
    ([[1, 2], [3, 400]], (torch.int8, 2), r"row 1: 400 does not fit int8\[2\] tensor\."),
    ([[1, 2], ["a", 4]], (torch.int8, 2), r"row 1: 'a' does not fit"),
    (["[1, 2]", "[3]"], (torch.int8, 2), r"row 1: \[3\] has another shape than \[2\]"),
    (["[1, 2]", "[3, 4"], (torch.int8, 2), r"row 1: '\[3, 4' does not fit int8\[2\] tensor\."),
    (["[1, 2]", None], (torch.int8, 2), r"row 1: the value is missing"),
    (["[1, 2]", "[3, 0.1]"], (torch.int8, 2), r"row 1: 0\.1 does not fit"),
    (pa.array([[1, 2], [3]]), (torch.int8, 2), r"row 1: \[3\] has another shape than \[2\]"),
    (pa.array([[1, 2], None]), (torch.int8, 2), r"row 1: the value is missing"),
    (pa.array([[1, 2], [3, None]]), (torch.int8, 2), r"row 1: the value is missing"),
    (pa.array([[[1, 2]], [[3]]]), (torch.int8, 1, 2), r"row 1: \[\[3\]\] has another shape than \[1, 2\]"),
    (["[]", "[1]"], (torch.int8, 0), r"row 1: \[1\] has another shape than \[0\]"),
    (pa.array([[], [1]]), (torch.int8, 0), r"row 1: \[1\] has another shape than \[0\]"),
    (torch.tensor([[1, 2], [3, 400]]), (torch.int8, 2), r"row 1: 400 does not fit"),
    (torch.tensor([[1.0, 0.1]]), torch.complex32, r"row 0: 0\.1\d* does not fit complex32 tensor\."),
    # texts, dates, categories, the rest
    (pd.Series(["a", 5], dtype=object), "str", r"row 1: 5 does not fit str\."),
    (["2020-01-01", "x"], "datetime64[s]", r"row 1: 'x' does not fit datetime64\[s\]\."),
    (["2020-01-01Z"], "datetime64[s]", r"row 0: '2020-01-01Z' does not fit datetime64\[s\]"),
    (["2020-01-01T00Z"], "datetime64[s]", r"row 0: '2020-01-01T00Z' has a zone; expected datetime64\[s\]\."),
    (["2020-01-01"], "datetime64[s, UTC]", r"row 0: '2020-01-01' has no zone; expected datetime64\[s, UTC\]\."),
    (["2020-01-01T00:00:00.5"], "datetime64[s]", r"row 0: '2020-01-01T00:00:00\.5"),
    (np.array(["2020", "9999"], "M8[s]"), "datetime64[ns]", r"row 1: '9999-01-01T00:00:00' does not fit"),
    (pd.Series([5, dt.date(2020, 1, 1)], dtype=object), "datetime64[s]", r"row 0: 5 does not fit datetime64\[s\]\."),
    ([None, "5"], "timedelta64[s]", r"row 1: '5' does not fit timedelta64\[s\]\."),
    (pd.Series([None, 5], dtype=object), "timedelta64[s]", r"row 1: 5 does not fit timedelta64\[s\]\."),
    (["a", None, "c"], pd.CategoricalDtype(["a"]), r"row 2: 'c' is none of the categories; expected category\."),
    ([None, "x", "7"], pd.CategoricalDtype([7]), r"row 1: 'x' does not fit category\."),
    ([1, 9], pd.CategoricalDtype([1]), r"row 1: 9 is none of the categories"),
    (["2020-01", "x"], "period[M]", r"row 1: 'x' does not fit period\[M\]\."),
    (["2020-01-15"], "period[M]", r"row 0: '2020-01-15' does not fit period\[M\]\."),
    (["(0, 1]", "[1, 2]"], pd.IntervalDtype("int64", "right"), r"row 1: '\[1, 2\]' does not fit interval\[int64, right\]\."),
    (["(0, 1]", "(1, x]"], pd.IntervalDtype("int64", "right"), r"row 1: '\(1, x\]' does not fit"),
    (["(2, 1]"], pd.IntervalDtype("int64", "right"), r"row 0: '\(2, 1\]' does not fit"),
    (["x", "y"], pd.IntervalDtype("int64", "right"), r"row 0: 'x' does not fit"),
    # an earlier row is named, though what is wrong with it is found out later
    ([300, "x"], "int8", r"row 0: 300 does not fit int8\."),
    (["16777217", "x"], "float32", r"row 0: '16777217' does not fit float32\."),
    ([None, 5], "int8", r"row 0: the value is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind", "problem"), REFUSED, ids=lambda value: str(value)[:40])
def test_the_first_value_that_does_not_fit_is_named(value, kind, problem):
    with pytest.raises(ColumnValueError, match=rf"^Message: column 'x', {problem}"):
        column(value, kind)


@pytest.mark.parametrize(
    ("value", "kind", "has", "wants"),
    [
        (np.array([1]), "str", "int64", "str"),
        (np.array([1]), "datetime64[s]", "int64", r"datetime64\[s\]"),
        (np.array([1]), (torch.int64, 2), "int64", r"int64\[2\] tensor"),
        (np.array([True]), "timedelta64[s]", "bool", r"timedelta64\[s\]"),
        (torch.zeros(1, 2), "float32", r"float32\[2\] tensor", "float32"),
        (torch.zeros(1, 2), (torch.float32, 3), r"float32\[2\] tensor", r"float32\[3\] tensor"),
        (torch.zeros(1, 1), torch.float32, r"float32\[1\] tensor", "float32 tensor"),
        (torch.zeros(1, 2), pd.CategoricalDtype([1]), r"float32\[2\] tensor", "category"),
        (torch.zeros(0, 2), (torch.float32, 3), r"float32\[2\] tensor", r"float32\[3\] tensor"),
        (pd.DatetimeIndex(["2020"], tz="UTC"), "datetime64[s]", r"datetime64\[us, UTC\]", r"datetime64\[s\]"),
        (np.array(["2020"], "M8[s]"), "datetime64[s, UTC]", r"datetime64\[s\]", r"datetime64\[s, UTC\]"),
        (pa.array([[1]]), "int64", r"list<item: int64>\[pyarrow\]", "int64"),
        (np.array([1]), "S5", "int64", r"\|S5"),
    ],
)
def test_types_without_a_way_from_one_to_the_other_are_shown_both(value, kind, has, wants):
    with pytest.raises(
        SchemaMismatchError,
        match=rf"^Message: column 'x' is {has}, the schema says {wants}, and there is no way .* convert it first\.$",
    ):
        column(value, kind)


class TestProperties:
    @settings(deadline=None, max_examples=80)
    @given(messages())
    def test_a_message_in_its_own_schema_is_the_message_and_shares_everything(self, message):
        again = fw.Message(message, schema=message.schema)
        assert again == message
        assert all(again.raw(name) is message.raw(name) for name in message.columns)

    @settings(deadline=None, max_examples=80)
    @given(messages())
    def test_without_rows_every_type_goes_to_every_other(self, message):
        names = [name for name in message.columns if not message.schema[name].is_tensor]
        for kind in (
            "float32",
            torch.int8,
            "str",
            pd.CategoricalDtype(["a"]),
            "datetime64[s, UTC]",
            arrow(pa.list_(pa.int8())),
            "object",
        ):
            schema = fw.Schema(dict.fromkeys(names, kind))
            assert fw.Message(message.select(*names)[:0], schema=schema).schema == schema

    @settings(deadline=None, max_examples=80)
    @given(messages())
    def test_objects_hold_every_column_and_give_it_back(self, message):
        # what Arrow's lists are as objects, and categories that no value has, are not to be known from the objects
        kept = [name for name in message.columns if "arrow list" not in str(message.schema[name].dtype)]
        message = message.select(*kept)
        objects = fw.Message(message, schema=dict.fromkeys(kept, "object"))
        assert all(field.dtype == object for field in objects.schema)
        assert fw.Message(objects, schema=message.schema) == message

    @settings(deadline=None, max_examples=80)
    @given(st.sampled_from(sorted(PRINTED)), st.integers(0, 9), st.integers(0, 2**32 - 1))
    def test_what_python_prints_of_each_value_is_read_back(self, kind, num_rows, seed):
        message = fw.Message({"x": ARRAYS[kind](np.random.default_rng(seed), num_rows)})
        values = [pd.Timestamp(cell) if isinstance(cell, np.datetime64) else cell for cell in message.raw("x")]
        values = [pd.Timedelta(cell) if isinstance(cell, np.timedelta64) else cell for cell in values]
        printed = [str(cell) if isinstance(cell, np.floating) or not pd.isna(cell) else None for cell in values]
        texts = fw.Message({"x": pd.array(printed, dtype="str")})
        assert fw.Message(texts, schema=message.schema) == message

    @settings(deadline=None, max_examples=80)
    @given(messages())
    def test_tensors_printed_as_lists_are_read_back(self, message):
        message = message.select(*(name for name in message.columns if message.schema[name].is_tensor))
        texts = {}
        for name in message.columns:
            tensor = message[name]
            rows = (tensor if tensor.is_complex() or not tensor.is_floating_point() else tensor.double()).tolist()
            quoted = [repr(row).replace("True", "true").replace("False", "false").replace("nan", "NaN") for row in rows]
            if tensor.is_complex():
                quoted = [str(row) if tensor.dim() == 1 else None for row in rows]
            texts[name] = pd.array(quoted, dtype="str")
        kept = [name for name in texts if not (message[name].is_complex() and message[name].dim() > 1)]
        found = fw.Message({name: texts[name] for name in kept}, schema=message.select(*kept).schema)
        assert found == message.select(*kept)


def test_nan_is_missing_where_nothing_else_says_so_and_a_number_elsewhere():
    for missing in (np.array([NAN]), pd.Series([None], dtype=object), pd.Series([pd.NA], dtype=object)):
        assert column(missing, "Float64").isna().tolist() == [True]
    for number in (
        pd.array(["nan"], dtype="str"),
        torch.tensor([NAN]),
        pa.array([NAN]),
        pd.Series([NAN], dtype=object),
    ):
        assert column(number, "Float64").isna().tolist() == [False]
    assert column(np.array([NAN]), arrow(pa.float32())).isna().tolist() == [True]
    assert column(torch.tensor([NAN]), arrow(pa.float32())).isna().tolist() == [False]
    assert column(["[NaN, null]"], arrow(pa.list_(pa.float32())))._pa_array.to_pylist()[0][1] is None
    assert math.isnan(column(["[NaN, null]"], arrow(pa.list_(pa.float32())))._pa_array.to_pylist()[0][0])


def test_a_category_without_categories_takes_those_of_the_values():
    assert list(column(["b", "a"], "category").categories) == ["a", "b"]
    known = pd.Categorical(["b"], categories=["b", "a"])
    assert column(known, "category") is known
    ordered = column(known, pd.CategoricalDtype(ordered=True))
    assert (list(ordered.categories), ordered.ordered) == (["b", "a"], True)


def test_categories_in_another_order_get_the_codes_of_the_schema():
    given = pd.Categorical(["a", "b"], categories=["a", "b"])
    assert column(given, pd.CategoricalDtype(["b", "a"])).codes.tolist() == [1, 0]


def test_a_schema_of_pandas_tensor_dtype_means_a_tensor():
    assert column([[1.0, 2.0]], fw.TensorDtype(torch.float32, (2,))).tolist() == [[1.0, 2.0]]


def test_a_tensor_keeps_its_device_and_its_gradient():
    leaf = torch.ones(2, requires_grad=True)
    column(leaf, torch.float64).sum().backward()
    assert leaf.grad.tolist() == [1.0, 1.0]
    assert column(torch.zeros(2, device="meta"), torch.int8).device.type == "meta"


def test_four_numbers_are_two_complex_ones():
    pairs = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert column(pairs, (torch.complex64, 2)).tolist() == [[1 + 2j, 3 + 4j]]


def test_days_become_seconds_as_pandas_makes_them():
    assert column(["2020-01-02"], np.dtype("M8[D]")).dtype == "M8[s]"


def test_a_nullable_column_is_no_view_of_the_array_that_it_was_made_of():
    values = np.array([1, 2])
    nullable = column(values, "Int64")
    values[0] = 9
    assert nullable.tolist() == [1, 2]


def test_big_endian_types_of_a_schema_are_native():
    assert column([1, 2], ">i4").dtype.isnative


def test_arrow_tensors_come_in_their_logical_order():
    values = pa.array([[1, 2, 3, 4, 5, 6]], pa.list_(pa.int8(), 6))
    kinds = [pa.fixed_shape_tensor(pa.int8(), (2, 3), permutation=order) for order in (None, [1, 0])]
    arrays = [pd.arrays.ArrowExtensionArray(pa.ExtensionArray.from_storage(kind, values)) for kind in kinds]
    plain_order, turned = arrays
    assert column(plain_order, (torch.int16, 2, 3)).tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert column(turned, (torch.int16, 3, 2)).tolist() == [[[1, 4], [2, 5], [3, 6]]]
