"""The type that holds all values of several types of one kind, and columns brought to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from fireworks.errors import SchemaMismatchError
from fireworks.message.columns import Column
from fireworks.message.conversion.exact import MisfitError
from fireworks.message.conversion.retype import retype
from fireworks.message.schema import Field

_UNITS = ("s", "ms", "us", "ns")
_VALUES = {"b": "booleans", "i": "integers", "u": "integers", "f": "floats", "c": "complex numbers"}
_TIMES = {"M": "dates", "m": "durations"}


class _Family(NamedTuple):
    """What the values of a type are, and whose type it is; types of one family have a widest one."""

    values: str
    holder: str


def common_dtype(dtypes: Sequence[Any]) -> Any:
    """Return the type that holds all values of the given ones, or None.

    Integers go to integers, floats to floats, NumPy's numbers to pandas' nullable ones; texts to the first type of texts;
    dates of one zone, and durations, to the finer unit; categories without an order to those of all, in order of
    appearance. Nothing goes from one kind to another, such as from integers to floats, which hold fewer digits.

    Example:
        >>> common_dtype([np.dtype("int8"), np.dtype("uint8")]), common_dtype([np.dtype("int64"), np.dtype("float64")])
        (dtype('int16'), None)
    """
    families = [_family(dtype) for dtype in dtypes]
    values = {family.values if family else None for family in families}
    holders = {family.holder for family in families if family}
    if len(values) > 1 or None in values or not (len(holders) == 1 or holders == {"numpy", "nullable"}):
        return None
    kind, holder = values.pop(), "nullable" if len(holders) > 1 else holders.pop()
    if kind in _VALUES.values():
        return _widest(dtypes, holder)
    if kind == "texts":
        return pd.ArrowDtype(pa.large_string()) if holder == "arrow" else dtypes[0]
    if isinstance(dtypes[0], pd.CategoricalDtype):
        return _all_categories([dtype.categories for dtype in dtypes])
    return max(dtypes, key=_fineness)


def _family(dtype: Any) -> _Family | None:
    """Return the family of a type; None where no other type goes with it."""
    if isinstance(dtype, np.dtype):
        return _numbers_or_times(dtype.kind, "numpy")
    if isinstance(dtype, pd.StringDtype):
        return _Family("texts", "pandas")
    if isinstance(dtype, pd.CategoricalDtype):
        return None if dtype.ordered else _Family(f"categories of {dtype.categories.dtype}", "pandas")
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _Family(f"dates in {dtype.tz}", "pandas")
    if isinstance(dtype, pd.ArrowDtype):
        return _family_of_arrow(dtype)
    return _numbers_or_times(dtype.kind, "nullable") if hasattr(dtype, "numpy_dtype") else None


def _numbers_or_times(kind: str, holder: str) -> _Family | None:
    values = {**_VALUES, **_TIMES}.get(kind)
    return None if values is None else _Family(values, holder)


def _family_of_arrow(dtype: pd.ArrowDtype) -> _Family | None:
    kind = dtype.pyarrow_dtype
    if pa.types.is_date(kind):
        return None
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return _Family(f"dates in {kind.tz}", "arrow")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _Family("texts", "arrow")
    return _numbers_or_times(dtype.kind, "arrow") if dtype.kind != "O" else None


def _all_categories(categories: Sequence[pd.Index[Any]]) -> pd.CategoricalDtype:
    found = categories[0]
    for others in categories[1:]:
        found = found.append(others[~others.isin(found)])
    return pd.CategoricalDtype(found)


def _widest(dtypes: Sequence[Any], holder: str) -> Any:
    plain = [getattr(dtype, "numpy_dtype", dtype) for dtype in dtypes]
    widest = np.result_type(*plain)
    if _VALUES[widest.kind] != _VALUES[plain[0].kind]:  # NumPy brings int64 and uint64 to float64
        return None
    if holder == "numpy":
        return widest
    if holder == "arrow":
        return pd.ArrowDtype(pa.from_numpy_dtype(widest))
    return next(dtype for dtype in _NULLABLE if dtype.numpy_dtype == widest)


_NULLABLE: tuple[Any, ...] = (
    *(pd.BooleanDtype(), pd.Float32Dtype(), pd.Float64Dtype()),
    *(pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype()),
    *(pd.UInt8Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype()),
)


def _fineness(dtype: Any) -> int:
    """Return how fine the unit of dates or durations is."""
    if isinstance(dtype, np.dtype):
        return _UNITS.index(np.datetime_data(dtype)[0])
    return _UNITS.index(dtype.pyarrow_dtype.unit if isinstance(dtype, pd.ArrowDtype) else dtype.unit)


def widened(name: str, columns: Sequence[Column], dtype: Any, numbers: Sequence[int]) -> list[Column]:
    """Return columns in their common type; only dates that a finer unit has no room for don't fit.

    Args:
        name: The column's name, for the error.
        columns: One per message.
        dtype: What `common_dtype` found.
        numbers: The numbers of the messages, for the error.

    Raises:
        SchemaMismatchError: a value does not fit.
    """
    converted = []
    for number, column in zip(numbers, columns, strict=True):
        try:
            converted.append(retype(column, Field(name, dtype)))
        except MisfitError as misfit:
            raise SchemaMismatchError(
                f"concat: column {name!r} is {column.dtype} in message {number} and {dtype} in another, which has no room "
                f"for {misfit.value} in row {misfit.position}; convert one of them first."
            ) from None
    return converted
