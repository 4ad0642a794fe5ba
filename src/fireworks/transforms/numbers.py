"""Numbers of a filter, computed and compared exactly: integers of any size, and never one rounded to a float unasked.

NumPy would wrap an int8 around, and compare an int64 with a float after rounding it. Here integers are computed in int64
where the result fits and as Python's integers where it does not; decimals are fractions; floats are float64.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from fireworks.core.comparisons import COMPARISONS

Array: TypeAlias = "np.ndarray[Any, Any]"
Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

_COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_SAME_AS_FLOAT = 2**53
_INT64 = np.iinfo(np.int64)
_NUMBERS = (bool, int, float, np.number, np.bool_, Decimal)


def is_number(value: object) -> bool:
    """Tell whether a value is a number or a boolean, which counts as 0 or 1."""
    return isinstance(value, (*_NUMBERS, Fraction))


def numbers_of(series: pd.Series[Any], known: Mask) -> Array | None:
    """Return a column's numbers, anything where they are not known; None for a column of something else.

    Args:
        series: Of any type.
        known: Where it is not null.

    Shapes:
        ``(rows,)`` of booleans, integers or floats, or of objects: Python's integers, floats and fractions.
    """
    dtype: Any = series.dtype
    if isinstance(dtype, pd.SparseDtype):
        return numbers_of(pd.Series(np.asarray(series)), known)
    if isinstance(dtype, np.dtype):
        if dtype.kind in "biuf":
            return series.to_numpy()
    elif dtype.kind in "biuf" and hasattr(dtype, "numpy_dtype"):
        return series.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
    elif isinstance(dtype, pd.CategoricalDtype):
        if not pd.api.types.is_numeric_dtype(dtype.categories.dtype):
            return None
        series = series.astype(object)
    if series.dtype != object and not _is_arrow_decimal(dtype):
        return None
    values = np.zeros(len(series), dtype=object)
    cells = series.to_numpy(dtype=object)[known]
    if not len(cells) or not all(isinstance(cell, _NUMBERS) for cell in cells):
        return None
    values[known] = [exact_number(cell) for cell in cells]
    return values.astype(bool) if all(isinstance(cell, (bool, np.bool_)) for cell in cells) else values


def _is_arrow_decimal(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and dtype.type is Decimal


def exact_number(value: Any) -> Any:
    """Return a number as Python computes with it exactly: an int, a float or a fraction."""
    if isinstance(value, Decimal):
        return Fraction(value) if value.is_finite() else float(value)
    return value.item() if isinstance(value, (np.number, np.bool_)) else value


def array_of(value: Any) -> Array:
    """Return one number as an array of one."""
    value = exact_number(value)
    is_wide = isinstance(value, Fraction) or (isinstance(value, int) and not _INT64.min <= value <= _INT64.max)
    made: Array = np.empty(1, dtype=object if is_wide else type(value))
    made[0] = value
    return made


# --- computing --------------------------------------------------------------------------------------------------------


def compute(sign: str, left: Array, right: Array, known: Mask) -> tuple[Array, Mask]:
    """Return the results of ``+ - * / // %``, and where they are known: not where the divisor is 0, nor where it is NaN.

    Args:
        sign: The operator.
        left: Numbers.
        right: Numbers, as many, or one.
        known: Where both are known.

    Shapes:
        ``(rows,)`` twice.

    Example:
        >>> compute("+", np.array([2**62, 1]), np.array([2**62]), np.array([True, True]))[0].tolist()
        [9223372036854775808, 4611686018427387905]
    """
    left, right = np.broadcast_to(left, known.shape), np.broadcast_to(right, known.shape)
    if sign in {"/", "//", "%"}:
        known = known & np.asarray(right != 0, dtype=bool)
    # what is unknown is computed too, so it must be harmless
    left, right = np.where(known, _wide(left), 0), np.where(known, _wide(right), 1)
    left, right = _in_one_kind(sign, left, right)
    with np.errstate(all="ignore"):
        result = np.asarray(_COMPUTE[sign](left, right))
    if result.dtype.kind == "f":
        known = known & ~np.isnan(result)
    elif result.dtype == object:
        known = known & np.asarray(result == result, dtype=bool)
    return result, known


def _wide(values: Array) -> Array:
    if values.dtype.kind == "f":
        return values.astype(np.result_type(values.dtype, np.float64), copy=False)
    if values.dtype == np.uint64 and len(values) and values.max() > _INT64.max:
        return values.astype(object)
    return values if values.dtype == object else values.astype(np.int64, copy=False)


def _in_one_kind(sign: str, left: Array, right: Array) -> tuple[Array, Array]:
    """Return both as objects where 64 bits would not do."""
    if left.dtype == object or right.dtype == object:
        if left.dtype.kind == "f" or right.dtype.kind == "f":  # as Python: a float makes floats
            return _floats(left), _floats(right)
        return left.astype(object), right.astype(object)
    if left.dtype.kind == "i" and right.dtype.kind == "i" and len(left) and not _fits(sign, left, right):
        return left.astype(object), right.astype(object)
    return left, right


def _floats(values: Array) -> Array:
    return values if values.dtype.kind == "f" else np.array([_float(value) for value in values.tolist()], dtype=float)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _fits(sign: str, left: Array, right: Array) -> bool:
    (low, high), (least, most) = ((int(side.min()), int(side.max())) for side in (left, right))
    if sign == "/":
        return max(-low, high, -least, most) <= _SAME_AS_FLOAT
    if sign in {"//", "%"}:
        return low > _INT64.min and least > _INT64.min
    corners = [_COMPUTE[sign](one, other) for one in (low, high) for other in (least, most)]
    return bool(_INT64.min <= min(corners) and max(corners) <= _INT64.max)


# --- comparing --------------------------------------------------------------------------------------------------------


def compare(sign: str, left: Array, right: Array) -> Mask:
    """Return which numbers compare, as they are: 2**53 + 1 is not 2.0**53. Where a side is not known the answer is any.

    Example:
        >>> compare("==", np.array([2**53 + 1]), np.array([2.0**53])).tolist()
        [False]
    """
    if {left.dtype.kind, right.dtype.kind} <= set("biu") or left.dtype.kind == right.dtype.kind != "O":
        return np.asarray(COMPARISONS[sign](left, right), dtype=bool)
    if _is_like_floats(left) and _is_like_floats(right):
        return np.asarray(COMPARISONS[sign](left, right), dtype=bool)
    with np.errstate(invalid="ignore"):  # NaN
        return np.asarray(COMPARISONS[sign](left.astype(object), right.astype(object)), dtype=bool)


def _is_like_floats(values: Array) -> bool:
    if values.dtype.kind in "fb" or not len(values):
        return True
    return values.dtype.kind in "iu" and -_SAME_AS_FLOAT <= int(values.min()) <= int(values.max()) <= _SAME_AS_FLOAT


def compare_with_value(sign: str, values: Array, value: Any) -> Mask:
    """Return which numbers compare with one that stands in the text.

    A number with a point is brought to the precision of a column of floats first, so that 0.1 is found in float32; an integer
    is not, nor is a float of NumPy.

    Example:
        >>> floats = np.array([0.1, 2.0**24], dtype="float32")
        >>> compare_with_value("==", floats, 0.1).tolist(), compare_with_value("==", floats, 2**24 + 1).tolist()
        ([True, False], [False, False])
    """
    if values.dtype.kind == "f" and isinstance(value, (int, Fraction)):
        return compare(sign, values, array_of(value))
    if values.dtype.kind == "f" and isinstance(value, Decimal):
        value = float(value)
    elif values.dtype.kind in "biu" and isinstance(value, (float, np.floating)) and value.is_integer():
        value = int(value)
    elif isinstance(value, Decimal):
        value = exact_number(value)
    if values.dtype == object or isinstance(value, Fraction):
        return np.asarray(COMPARISONS[sign](values.astype(object), exact_number(value)), dtype=bool)
    with np.errstate(over="ignore"):
        return np.asarray(COMPARISONS[sign](values, value), dtype=bool)


def is_one_of(values: Array, listed: list[Any]) -> Mask:
    """Return which numbers are in a list; a number of the list keeps its own precision, and what is no number is no match.

    Example:
        >>> is_one_of(np.array([1, 2, 2**53 + 1]), [2.0, 2.5, 2.0**53, "1"]).tolist()
        [False, True, False]
    """
    wanted = [exact_number(value) for value in listed if is_number(value)]
    if values.dtype == object:
        same = set(wanted)
        return np.array([value in same for value in values], dtype=bool)
    if values.dtype.kind == "f":
        wide = values.astype(np.result_type(values.dtype, np.float64))
        return np.isin(wide, np.array([_float(value) for value in wanted if _float(value) == value], dtype=float))
    limits = np.iinfo(np.int64 if values.dtype.kind == "b" else values.dtype)
    fitting = [int(value) for value in wanted if limits.min <= value <= limits.max and value == int(value)]
    return np.isin(values.astype(limits.dtype, copy=False), np.array(fitting, dtype=limits.dtype))
