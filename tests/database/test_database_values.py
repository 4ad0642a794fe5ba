import datetime as dt

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fireworks as fw
from fireworks.database.types import ColumnType, type_of
from fireworks.database.values import decode, encode, operand
from fireworks.errors import ColumnTypeError, ColumnValueError


def there_and_back(values, dtype):
    column = fw.Message({"x": pd.Series(values, dtype=dtype)}).raw("x")
    column_type = type_of("x", column)
    return fw.Message({"x": column}), fw.Message({"x": decode("x", column_type, encode("x", column_type, column))})


@given(
    hnp.arrays(
        st.one_of(
            hnp.integer_dtypes(),
            hnp.unsigned_integer_dtypes(sizes=(8, 16, 32)),
            hnp.floating_dtypes(sizes=(16, 32, 64)),
        )
        | st.just(np.dtype(bool)),
        st.integers(0, 5),
    )
)
@settings(deadline=None)
def test_numbers_come_back_as_they_were(array):
    column_type = type_of("x", array)
    again = decode("x", column_type, encode("x", column_type, array))
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


DATES = st.datetimes() | st.none()
VALUES = {
    **{f"{sign}Int{bits}": st.integers(0, 127) | st.none() for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "Float32": st.floats(width=32, allow_nan=False) | st.none(),
    "Float64": st.floats(allow_nan=False) | st.none(),
    "double[pyarrow]": st.floats(allow_nan=False) | st.none(),
    "int16[pyarrow]": st.integers(-9, 9) | st.none(),
    "bool[pyarrow]": st.booleans() | st.none(),
    "boolean": st.booleans() | st.none(),
    "str": st.text() | st.none(),
    "string": st.text() | st.none(),
    "datetime64[us]": DATES,
    "datetime64[us, UTC]": DATES,
    "datetime64[us, Europe/Berlin]": DATES,
    "datetime64[s]": st.datetimes().map(lambda time: time.replace(microsecond=0)) | st.none(),
    "datetime64[ns]": st.datetimes(pd.Timestamp(1700, 1, 1).to_pydatetime(), pd.Timestamp(2200, 1, 1).to_pydatetime())
    | st.none(),
    "timedelta64[us]": st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999)) | st.none(),
}


@pytest.mark.parametrize("dtype", VALUES)
def test_nullable_columns_come_back_as_they_were(dtype):
    @given(st.lists(VALUES[dtype], max_size=5))
    @settings(max_examples=25, deadline=None)
    def check(values):
        if "," in dtype:
            values = [value and value.replace(year=min(max(value.year, 2), 9998), tzinfo=dt.UTC) for value in values]
        column, again = there_and_back(values, dtype)
        assert again == column

    check()


def test_nan_is_nan_in_a_plain_column_and_null_in_a_nullable_one():
    plain = np.array([1.5, np.nan, np.inf, -np.inf])
    assert encode("x", ColumnType("float", "float64"), plain) == [1.5, None, np.inf, -np.inf]
    np.testing.assert_array_equal(decode("x", ColumnType("float", "float64"), [1.5, None]), [1.5, np.nan])
    nullable = decode("x", ColumnType("float", "Float64"), [1.5, None])
    assert nullable.isna().tolist() == [False, True]
    assert nullable.dtype == "Float64"


def test_dates_are_text_of_one_width_whose_order_is_time():
    times = np.array(["2024-01-05T10", "0987-12-31T23", "NaT"], dtype="datetime64[h]")
    assert encode("x", type_of("x", times), times) == ["2024-01-05 10:00:00.000000", "0987-12-31 23:00:00.000000", None]
    fine = np.array(["2024-01-05T10:00:00.000000001"], dtype="datetime64[ns]")
    assert encode("x", type_of("x", fine), fine) == ["2024-01-05 10:00:00.000000001"]


@pytest.mark.parametrize("dtype", [np.uint64, "UInt64"])
def test_an_integer_past_63_bits_is_refused_by_its_row(dtype):
    column = fw.Message({"x": pd.Series([0, 2**63], dtype=dtype)}).raw("x")
    with pytest.raises(ColumnValueError, match=r"'x' holds 9223372036854775808 in row 8.*2\*\*63 - 1.*tensor"):
        encode("x", type_of("x", column), column, first_row=7)


def test_a_date_of_five_digits_is_refused_by_its_row():
    times = np.array(["2024", "NaT", "12024"], dtype="datetime64[Y]").astype("datetime64[s]")
    with pytest.raises(ColumnValueError, match=r"'x' holds 12024-01-01T00:00:00 in row 12; .*year 1 to year 9999"):
        encode("x", type_of("x", times), times, first_row=10)


@pytest.mark.parametrize(
    ("kind", "dtype", "values", "text"),
    [
        ("integer", "int64", [1, 2.5], "row 1 of those read holds 2.5 of type float"),
        ("integer", "int64", [1, "two"], "holds 'two' of type str"),
        ("integer", "int64", [None], "holds None of type NoneType"),
        ("integer", "int8", [1, 300], "row 1 of those read holds 300"),
        ("integer", "UInt8", [None, -1], "row 1 of those read holds -1"),
        ("bool", "bool", [0, 2], "holds 2 of type int"),
        ("float", "float64", ["x"], "holds 'x' of type str"),
        ("text", "str", ["a", b"b"], "holds b'b' of type bytes"),
        ("bytes", "object", ["a"], "holds 'a' of type str"),
        ("datetime", "datetime64[us]", ["2024-01-01", "soon"], "row 1 of those read holds 'soon'"),
        ("datetime", "datetime64[us]", [1700000000], "holds 1700000000 of type int"),
        ("timedelta", "timedelta64[s]", ["1 s"], "holds '1 s' of type str"),
    ],
)
def test_a_value_that_something_else_wrote_is_refused_and_never_bent(kind, dtype, values, text):
    with pytest.raises(ColumnValueError, match=f"Column 'x' is {ColumnType(kind, dtype)!s:.5}.*{text}.*Something else"):
        decode("x", ColumnType(kind, dtype), values)


@pytest.mark.parametrize(
    ("kind", "dtype", "value", "expected"),
    [
        ("integer", "int64", np.int8(3), 3),
        ("integer", "int64", True, True),
        ("integer", "int64", 2**70, float(2**70)),
        ("float", "float32", 0.1, float(np.float32(0.1))),
        ("float", "float32", np.float64(0.1), 0.1),
        ("float", "Float32", 0.1, float(np.float32(0.1))),
        ("float", "float16", 1e9, np.inf),
        ("text", "str", "a", "a"),
        ("bytes", "object", b"a", b"a"),
        ("datetime", "datetime64[us]", "2024-01-05", "2024-01-05 00:00:00.000000"),
        ("datetime", "datetime64[us]", dt.date(2024, 1, 5), "2024-01-05 00:00:00.000000"),
        ("datetime", "datetime64[ns]", np.datetime64("2024-01-05"), "2024-01-05 00:00:00.000000000"),
        ("datetime", "datetime64[us]", pd.Timestamp("2024-01-05 00:00:00.000000001"), "2024-01-05 00:00:00.000000001"),
        ("datetime", "datetime64[us, Europe/Berlin]", "2024-07-05 12:00", "2024-07-05 10:00:00.000000"),
        ("datetime", "datetime64[us, UTC]", "2024-07-05 12:00+02:00", "2024-07-05 10:00:00.000000"),
        ("timedelta", "timedelta64[s]", "2 min", 120),
        ("timedelta", "timedelta64[s]", dt.timedelta(milliseconds=500), 0.5),
    ],
)
def test_what_a_column_is_compared_with_is_spelled_as_it_is_stored(kind, dtype, value, expected):
    assert operand("x", ColumnType(kind, dtype), value, where="filter") == expected


@pytest.mark.parametrize(
    ("kind", "dtype", "value"),
    [
        ("integer", "int64", "3"),
        ("text", "str", 3),
        ("bytes", "object", "a"),
        ("datetime", "datetime64[us]", 3),
        ("datetime", "datetime64[us]", pd.Timestamp("2024", tz="UTC")),
        ("datetime", "datetime64[us, UTC]", pd.Timestamp(2024, 1, 1)),
        ("timedelta", "timedelta64[s]", 3),
        ("mixed", "object", 3),
    ],
)
def test_a_value_of_another_kind_is_refused(kind, dtype, value):
    with pytest.raises(ColumnTypeError, match=r"filter: column 'x' is .*, which can't be compared with"):
        operand("x", ColumnType(kind, dtype), value, where="filter")


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT")])
def test_every_missing_value_is_null(value):
    assert operand("x", ColumnType("float", "float64"), value, where="filter") is None


def test_a_tensor_is_not_compared():
    with pytest.raises(ColumnTypeError, match=r"'x' is float32\[3\] tensor, stored as bytes.*pass a function"):
        operand("x", type_of("x", torch.zeros(1, 3)), 0, where="filter")
