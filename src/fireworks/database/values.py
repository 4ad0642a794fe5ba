"""Between the values of a message's columns and those that a driver binds and returns, many rows at a time.

What the kinds of `ColumnType` are stored as:

- numbers, booleans, text and bytes as themselves; NaN is null to every database that we write, for SQLite has no NaN,
  and elsewhere NaN would equal itself and sort last;
- dates and times as ISO text of one width, ``2024-01-05 10:00:00.000000``, in UTC where there is a zone, so that text
  order is time order; nine digits behind the point if the dtype counts nanoseconds;
- durations as an integer count of the dtype's unit;
- tensors as the bytes of `codec`, but one integer or boolean per row as a number.
"""

from __future__ import annotations

import datetime as dt
import numbers
from collections.abc import Sequence
from typing import Any, NoReturn, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from fireworks.database.codec import decode_tensor, encode_tensor, torch_dtype
from fireworks.database.types import ColumnType
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.columns import Column

_MAX_INTEGER = 2**63 - 1
_FIRST_DAY, _LAST_DAY = np.datetime64("0001-01-01", "D"), np.datetime64("9999-12-31", "D")
_SEPARATOR = 10  # where ISO text has its T


# --- to the driver ----------------------------------------------------------------------------------------------------


def encode(name: str, column_type: ColumnType, column: Any, *, first_row: int = 0) -> list[Any]:
    """Return what a driver binds for each row; None where a value is missing.

    Args:
        name: The column's name, for errors.
        column_type: What `type_of` said of the column.
        column: As a message stores it.
        first_row: The number of the first row, for errors.

    Raises:
        ColumnValueError: a value is beyond what a database can hold; the first row of those is named.

    Example:
        >>> encode("x", ColumnType("float", "float64"), np.array([0.5, np.nan]))
        [0.5, None]
    """
    if column_type.kind == "tensor":
        return encode_tensor(name, column)
    if column_type.kind == "integer tensor":
        return cast("list[Any]", column.detach().cpu().tolist())
    if column_type.kind == "float":
        values = column if isinstance(column, np.ndarray) else column.to_numpy(dtype=np.float64, na_value=np.nan)
        return _with_none(values, np.isnan(values))
    if column_type.kind == "datetime":
        return _iso_text(name, column, _unit(column_type), first_row)
    if column_type.kind == "timedelta":
        return _with_none(column.view(np.int64), np.isnat(column))
    if column_type.kind == "integer" and column_type.dtype.lower().startswith("uint64"):
        _check_unsigned(name, column, first_row)
    plain = column if isinstance(column, np.ndarray) else column.to_numpy(dtype=object, na_value=None)
    return cast("list[Any]", plain.tolist())


def _with_none(values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> list[Any]:
    if missing.any():
        values = values.astype(object)
        values[missing] = None
    return cast("list[Any]", values.tolist())


def _check_unsigned(name: str, column: Any, first_row: int) -> None:
    values = column if isinstance(column, np.ndarray) else column.to_numpy(dtype=np.uint64, na_value=0)
    if (values > _MAX_INTEGER).any():
        row = int(np.argmax(values > _MAX_INTEGER))
        raise ColumnValueError(
            f"Column {name!r} holds {values[row]} in row {first_row + row}, and the integers of a database end at 2**63 - 1. "
            "A tensor column, which is stored as bytes, can hold it."
        )


def _unit(column_type: ColumnType) -> str:
    dtype = column_type.pandas_dtype
    return np.datetime_data(dtype)[0] if isinstance(dtype, np.dtype) else str(dtype.unit)


def _stored_unit(unit: str) -> str:
    """Return the unit that dates are written in: microseconds, unless that would lose something."""
    return "ns" if unit == "ns" else "us"


def _iso_text(name: str, column: Any, unit: str, first_row: int) -> list[Any]:
    times = np.asarray(column, dtype=f"datetime64[{unit}]")
    missing = np.isnat(times)
    days = times[~missing].astype("datetime64[D]")
    if ((days < _FIRST_DAY) | (days > _LAST_DAY)).any():
        place = np.flatnonzero(~missing)[(days < _FIRST_DAY) | (days > _LAST_DAY)][0]
        raise ColumnValueError(
            f"Column {name!r} holds {times[place]} in row {first_row + place}; dates are stored as text, from year 1 to year 9999."
        )
    texts = np.datetime_as_string(times.astype(f"datetime64[{_stored_unit(unit)}]"))
    if len(texts):
        texts.view("U1").reshape(len(texts), -1)[:, _SEPARATOR] = " "
    return _with_none(texts, missing)


# --- from the driver --------------------------------------------------------------------------------------------------


def decode(name: str, column_type: ColumnType, values: Sequence[Any]) -> Column:
    """Return the column whose values a driver returned, of exactly the type's dtype.

    Args:
        name: The column's name, for errors.
        column_type: What the column is.
        values: One for each row; None where it is null.

    Raises:
        ColumnValueError: a value is none that the type can have, because something else than fireworks wrote it;
            nothing is rounded or parsed to make it fit.

    Example:
        >>> decode("n", ColumnType("integer", "Int8"), [1, None])
        <IntegerArray>
        [1, <NA>]
        Length: 2, dtype: Int8
    """
    if column_type.kind == "tensor":
        return decode_tensor(name, values, torch_dtype(column_type.dtype), column_type.shape)
    if column_type.kind == "integer tensor":
        return torch.from_numpy(np.asarray(_decode_integers(name, column_type, values)))
    if column_type.kind in {"integer", "bool", "automatic key"}:
        return _decode_integers(name, column_type, values)
    if column_type.kind == "float":
        _require(name, column_type, values, float, int)
        floats = np.array(values, dtype=np.float64)  # None becomes NaN
        return _of_dtype(column_type.pandas_dtype, floats, np.isnan(floats))
    if column_type.kind == "datetime":
        return _decode_datetimes(name, column_type, values)
    if column_type.kind == "timedelta":
        counts, missing = _integers(name, column_type, values)
        counts[missing] = np.iinfo(np.int64).min  # NaT
        return cast("Column", counts.view(column_type.pandas_dtype))
    if column_type.kind != "mixed":
        _require(name, column_type, values, str if column_type.kind == "text" else bytes)
    return cast("Column", pd.Series(list(values), dtype=column_type.pandas_dtype).array)


def _require(name: str, column_type: ColumnType, values: Sequence[Any], *kinds: Any) -> None:
    if not set(map(type, values)) <= {*kinds, type(None)}:
        _refuse(name, column_type, values, lambda value: isinstance(value, (*kinds, type(None))))


def _refuse(name: str, column_type: ColumnType, values: Sequence[Any], is_right: Any) -> NoReturn:
    place = next(place for place, value in enumerate(values) if not is_right(value))
    raise ColumnValueError(
        f"Column {name!r} is {column_type}, and row {place} of those read holds {values[place]!r:.40} of type "
        f"{type(values[place]).__name__}. Something else than fireworks wrote it; mend the row, or leave the column out."
    )


def _integers(name: str, column_type: ColumnType, values: Sequence[Any]) -> tuple[Any, Any]:
    """Return 64-bit integers, 0 for null, and which are null."""
    _require(name, column_type, values, int, bool)
    missing = np.zeros(len(values), dtype=bool)
    if not column_type.is_nullable and None in values:
        _refuse(name, column_type, values, lambda value: value is not None)
    if column_type.is_nullable and None in values:
        missing = np.array([value is None for value in values])
        values = [0 if value is None else value for value in values]
    return np.array(values, dtype=np.int64), missing


def _decode_integers(name: str, column_type: ColumnType, values: Sequence[Any]) -> Column:
    integers, missing = _integers(name, column_type, values)
    dtype = column_type.pandas_dtype
    if dtype.kind == "b":
        low, high = 0, 1
    else:
        plain = getattr(dtype, "numpy_dtype", dtype)
        low, high = np.iinfo(plain).min, min(np.iinfo(plain).max, _MAX_INTEGER)
    if len(integers) and (integers.min() < low or integers.max() > high):
        _refuse(name, column_type, values, lambda value: value is None or low <= value <= high)
    return _of_dtype(dtype, integers, missing)


def _decode_datetimes(name: str, column_type: ColumnType, values: Sequence[Any]) -> Column:
    _require(name, column_type, values, str, dt.datetime, dt.date)
    dtype, unit = column_type.pandas_dtype, _unit(column_type)
    try:
        times = np.array(values, dtype=f"datetime64[{_stored_unit(unit)}]")
    except ValueError:
        _refuse(name, column_type, values, lambda value: _is_time(value, _stored_unit(unit)))
    if isinstance(dtype, np.dtype):
        return times.astype(dtype)
    zoned = pd.Series(times.astype(f"datetime64[{unit}]")).dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
    return cast("Column", zoned.array)


def _is_time(value: Any, unit: str) -> bool:
    try:
        np.array(value, dtype=f"datetime64[{unit}]")
    except ValueError:
        return False
    return True


def _of_dtype(dtype: Any, values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> Column:
    if isinstance(dtype, np.dtype):
        return values.astype(dtype, copy=False)
    if isinstance(dtype, pd.ArrowDtype):
        plain = values.astype(bool) if pa.types.is_boolean(dtype.pyarrow_dtype) else values
        return cast("Column", pd.arrays.ArrowExtensionArray(pa.array(plain, type=dtype.pyarrow_dtype, mask=missing)))
    return cast("Column", dtype.construct_array_type()(values.astype(dtype.numpy_dtype), missing))


# --- to compare with --------------------------------------------------------------------------------------------------


def operand(name: str, column_type: ColumnType, value: Any, *, where: str, is_one_of_many: bool = False) -> Any:
    """Return what a driver binds for a value that a column is compared with; None for null, NaN and NaT.

    Args:
        name: The column.
        column_type: What the column holds.
        value: What the user wrote.
        where: Who compares, for errors.
        is_one_of_many: It stands in a list. pandas rounds a single number to the column's precision before it
            compares and the numbers of a list not at all; both engines must keep the same rows, so we do as it does.

    Raises:
        ColumnTypeError: the column is a tensor, or the value can't be compared with it.
    """
    require_comparable(name, column_type, where=where)
    if _is_missing(value):
        return None  # to SQL, as to every filter, any comparison with null is unknown
    plain = value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
    if column_type.kind in {"integer", "integer tensor", "bool", "automatic key", "float"} and isinstance(
        plain, numbers.Real
    ):
        has_point = isinstance(plain, float) and not isinstance(value, np.generic)  # an integer is exact everywhere
        rounds = column_type.kind == "float" and has_point and not is_one_of_many
        return _number(column_type, plain) if rounds else _fitting(plain)
    if column_type.kind == "text" and isinstance(plain, str):
        return plain
    if column_type.kind == "bytes" and isinstance(plain, bytes):
        return plain
    if column_type.kind == "datetime" and isinstance(plain, (str, dt.date, np.datetime64)):
        return _time_operand(name, column_type, plain, where)
    if column_type.kind == "timedelta" and isinstance(plain, (str, dt.timedelta, np.timedelta64)):
        return _count(pd.Timedelta(plain), _unit(column_type))
    raise _incomparable(name, column_type, value, where)


def require_comparable(name: str, column_type: ColumnType, *, where: str) -> None:
    """Raise `ColumnTypeError` for a column that a database can't compare: a tensor."""
    if column_type.kind == "tensor":
        raise ColumnTypeError(
            f"{where}: column {name!r} is {column_type}, stored as bytes that a database can't compare; "
            "pass a function to filter: filter(lambda rows: …)."
        )


def _is_missing(value: Any) -> bool:
    """Tell whether a value is None, NaN, NaT or NA."""
    return value is None or value is pd.NA or value is pd.NaT or bool(np.isscalar(value) and value != value)


def _incomparable(name: str, column_type: ColumnType, value: Any, where: str) -> ColumnTypeError:
    return ColumnTypeError(
        f"{where}: column {name!r} is {column_type}, which can't be compared with {value!r:.40} of type {type(value).__name__}."
    )


def _number(column_type: ColumnType, value: Any) -> float:
    plain = column_type.pandas_dtype
    plain = getattr(plain, "numpy_dtype", plain)
    with np.errstate(over="ignore"):
        return float(np.array(float(value), dtype=plain))


def _fitting(value: Any) -> float:
    """Return an integer or a float; a database has no integers beyond 64 bits, and no column holds one."""
    return value if isinstance(value, int) and -_MAX_INTEGER <= value <= _MAX_INTEGER else float(value)


def _time_operand(name: str, column_type: ColumnType, value: Any, where: str) -> str:
    zone = getattr(column_type.pandas_dtype, "tz", None)
    time = pd.Timestamp(value)
    if time.tz is None and zone is not None and isinstance(value, str):
        time = time.tz_localize(zone)
    if (time.tz is None) != (zone is None):
        raise _incomparable(name, column_type, value, where)
    if time.tz is not None:
        time = time.tz_convert(None)
    # A finer value is written longer: as text it stands behind its prefix, where it belongs.
    unit = "ns" if time.nanosecond else _stored_unit(_unit(column_type))
    return str(np.datetime_as_string(time.to_datetime64().astype(f"datetime64[{unit}]"))).replace("T", " ")


def _count(duration: pd.Timedelta, unit: str) -> float:
    nanoseconds = duration.as_unit("ns").value
    per_unit = int(np.timedelta64(1, unit) / np.timedelta64(1, "ns"))  # type: ignore[call-overload]
    whole, rest = divmod(nanoseconds, per_unit)
    return nanoseconds / per_unit if rest else whole
