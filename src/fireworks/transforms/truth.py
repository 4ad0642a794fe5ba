"""What an expression says of rows, in three-valued logic: where it is true, where it is false, and else unknown.

Null and NaN are unknown, and so is whatever is compared or computed with them, except where the answer does not hang on it:
``false and unknown`` is false, ``true or unknown`` is true. It is the logic of SQL.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from fireworks.core.comparisons import COMPARISONS
from fireworks.core.expressions import (
    And,
    Arithmetic,
    Between,
    Column,
    Comparison,
    Expression,
    IsNull,
    Member,
    Negative,
    Not,
    Or,
    Value,
)
from fireworks.errors import ColumnTypeError
from fireworks.message import Message
from fireworks.message.columns import field_of
from fireworks.message.conversion.exact import numpy_of
from fireworks.transforms.numbers import (
    Array,
    Mask,
    array_of,
    compare,
    compare_with_value,
    compute,
    is_number,
    is_one_of,
    numbers_of,
)

_CONDITIONS = (And, Or, Not, Comparison, Member, Between, IsNull)
_UNFIT = (TypeError, ValueError, OverflowError, pa.ArrowNotImplementedError, pa.ArrowInvalid)


class Truth(NamedTuple):
    """Where something is true and where it is false; where it is neither, it is unknown."""

    true: Mask
    false: Mask


class Known(NamedTuple):
    """The values of an expression, and where they are known.

    ``values`` are numbers as `numbers_of` gives them, or a Series of anything else.
    """

    values: Array | pd.Series[Any]
    known: Mask


Operand: TypeAlias = "Known | Value"


def require_condition(expression: Expression) -> None:
    """Raise a TypeError for an expression that is known to be no condition, such as ``n + 1``; a column may be one.

    Example:
        >>> require_condition(Column("is_valid"))
    """
    if isinstance(expression, (And, Or, Not)):
        for part in expression.children:
            require_condition(part)
    elif isinstance(expression, (Arithmetic, Negative)) or (
        isinstance(expression, Value) and expression.value is not None and not isinstance(expression.value, bool)
    ):
        raise TypeError(_no_condition(expression, "a value"))


def _no_condition(expression: Expression, kind: str) -> str:
    return (
        f"filter: '{expression}' is {kind}, not true or false, and a filter keeps the rows for which something is true; "
        f"compare it: '{expression} > 0'."
    )


def truth(expression: Expression, rows: Message) -> Truth:
    """Return for which rows a condition is true, and for which it is false.

    Args:
        expression: A condition, or a column of booleans.
        rows: With the columns that it names.

    Shapes:
        ``(rows,)`` twice.

    Raises:
        ColumnNotFoundError: a column is not there.
        ColumnTypeError: a column can't be compared or computed with what it is, or has several values per row; or
            the expression is no condition.

    Example:
        >>> from fireworks.core.expressions import parse
        >>> found = truth(parse("x > 1 and x < y"), fw.Message({"x": [0.0, 2.0, 2.0], "y": [None, None, 3.0]}))
        >>> found.true.tolist(), found.false.tolist()
        ([False, False, True], [True, False, False])
    """
    if isinstance(expression, And):
        parts = [truth(part, rows) for part in expression.parts]
        return Truth(_all([part.true for part in parts]), _any([part.false for part in parts]))
    if isinstance(expression, Or):
        parts = [truth(part, rows) for part in expression.parts]
        return Truth(_any([part.true for part in parts]), _all([part.false for part in parts]))
    if isinstance(expression, Not):
        found = truth(expression.operand, rows)
        return Truth(found.false, found.true)
    if isinstance(expression, Between):
        limits = (
            Comparison(">=", expression.operand, expression.low),
            Comparison("<=", expression.operand, expression.high),
        )
        return truth(And(limits), rows)
    with _explaining(expression, rows):
        if isinstance(expression, Comparison):
            return _compared(expression, rows)
        if isinstance(expression, Member):
            return _listed(expression, rows)
        if isinstance(expression, IsNull):
            known = _known(_operand(expression.operand, rows), len(rows))
            return Truth(known, ~known) if expression.negated else Truth(~known, known)
        return _boolean(expression, rows)


def _all(masks: list[Mask]) -> Mask:
    return functools.reduce(np.logical_and, masks)


def _any(masks: list[Mask]) -> Mask:
    return functools.reduce(np.logical_or, masks)


def _decided(answer: Mask, known: Mask) -> Truth:
    return Truth(known & answer, known & ~answer)


@contextmanager
def _explaining(expression: Expression, rows: Message) -> Iterator[None]:
    """Turn an error of NumPy, pandas or Arrow about types that don't go together into one that says what they are."""
    try:
        yield
    except ColumnTypeError:
        raise
    except _UNFIT as error:
        types = [f"{name!r} is {field_of(name, rows.raw(name)).type_text}" for name in expression.columns]
        raise ColumnTypeError(
            f"filter: '{expression}' makes no sense, for {' and '.join(types) or 'there is no column in it'}: {error}. "
            "Pass a function: filter(lambda rows: …)."
        ) from error


# --- conditions -------------------------------------------------------------------------------------------------------


def _boolean(expression: Expression, rows: Message) -> Truth:
    operand = _operand(expression, rows)
    if isinstance(operand, Value):
        if operand.value is None or isinstance(operand.value, bool):
            return _decided(np.full(len(rows), operand.value is True), _known(operand, len(rows)))
    elif isinstance(operand.values, np.ndarray) and operand.values.dtype == bool:
        return _decided(operand.values, operand.known)
    elif not operand.known.any():
        return Truth(~operand.known & False, ~operand.known & False)  # of what type it is nobody can tell
    name = expression.columns[0] if isinstance(expression, Column) else ""
    kind = field_of(name, rows.raw(name)).type_text if name else "a value"
    raise ColumnTypeError(_no_condition(expression, kind))


def _compared(expression: Comparison, rows: Message) -> Truth:
    left, right = _operand(expression.left, rows), _operand(expression.right, rows)
    sign = expression.operator
    known = _known(left, len(rows)) & _known(right, len(rows))
    if not known.any():
        return Truth(known, known)
    if isinstance(left, Value) and isinstance(right, Value):
        return _decided(np.full(len(rows), bool(COMPARISONS[sign](*_exactly(left.value, right.value)))), known)
    if isinstance(left, Value):
        left, right, sign = right, left, _TURNED[sign]
    assert isinstance(left, Known)  # noqa: S101 (for the type checker: one of them is)
    if isinstance(right, Value):
        return _decided(_compared_with_value(sign, left, right.value), known)
    return _decided(_compared_with_column(sign, left, right, known), known)


_TURNED: dict[Any, Any] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _exactly(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two values of the text in types that Python compares."""
    if isinstance(left, pd.Timestamp) or isinstance(right, pd.Timestamp):
        return pd.Timestamp(left), pd.Timestamp(right)
    return left, right


def _compared_with_value(sign: str, left: Known, value: Any) -> Mask:
    if isinstance(left.values, np.ndarray):
        if is_number(value):
            return compare_with_value(sign, left.values, value)
        if sign in {"==", "!="} and isinstance(value, (str, bytes)):
            return np.full(len(left.values), sign == "!=")  # a number is no text, whichever
        raise TypeError(f"{value!r:.40} is no number")
    return _mask(COMPARISONS[sign](left.values, _like(left.values, value)), left.known)


def _compared_with_column(sign: str, left: Known, right: Known, known: Mask) -> Mask:
    one, other = left.values, right.values
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return compare(sign, one, other)
    if isinstance(one, pd.Series) and isinstance(other, pd.Series) and _both(one, other, "mM"):
        return _mask(COMPARISONS[sign](one, other), known)
    answer = np.zeros(len(known), dtype=bool)
    cells = [np.asarray(side, dtype=object)[known] for side in (one, other)]
    answer[known] = [bool(COMPARISONS[sign](a, b)) for a, b in zip(*cells, strict=True)]
    return answer


def _both(one: pd.Series[Any], other: pd.Series[Any], kinds: str) -> bool:
    return one.dtype.kind in kinds and other.dtype.kind in kinds


def _mask(answer: Any, known: Mask) -> Mask:
    """Return pandas' answer as an array; where it is null, so is the row."""
    if not isinstance(answer, pd.Series):
        raise TypeError(f"the answer is {answer!r:.40}")
    found: Mask = answer.fillna(value=False).to_numpy(dtype=bool)
    return found & known


def _like(series: pd.Series[Any], value: Any) -> Any:
    """Return a value of the text as the dates or durations of a column are."""
    if series.dtype.kind == "M" and isinstance(value, (str, dt.date)):
        time = pd.Timestamp(value)
        zone = getattr(series.dt, "tz", None)
        return time.tz_localize(zone) if zone is not None and time.tz is None and isinstance(value, str) else time
    if series.dtype.kind == "m" and isinstance(value, str):
        return pd.Timedelta(value)
    return value


def _listed(expression: Member, rows: Message) -> Truth:
    operand = _operand(expression.operand, rows)
    known = _known(operand, len(rows))
    listed = [value.value for value in expression.values if value.value is not None]
    if isinstance(operand, Value):
        found = np.full(len(rows), operand.value in listed)
    elif isinstance(operand.values, np.ndarray):
        found = is_one_of(operand.values, listed)
    else:
        wanted = [_like(operand.values, value) for value in listed]
        found = operand.values.isin(wanted).to_numpy(dtype=bool)
    # nothing is known to be none of several values if one of them is unknown
    missed = ~found & (len(listed) == len(expression.values))
    answer = Truth(known & found, known & missed)
    return answer if expression.operator == "in" else Truth(answer.false, answer.true)


# --- values -----------------------------------------------------------------------------------------------------------


def _operand(expression: Expression, rows: Message) -> Operand:
    if isinstance(expression, Value):
        return expression
    if isinstance(expression, Column):
        return _column(expression.name, rows)
    if isinstance(expression, _CONDITIONS):
        true, false = truth(expression, rows)
        return Known(true, true | false)
    with _explaining(expression, rows):
        if isinstance(expression, Negative):
            return _arithmetic("-", Value(0), _operand(expression.operand, rows), rows)
        two = cast("Arithmetic", expression)  # there are no others
        return _arithmetic(two.operator, _operand(two.left, rows), _operand(two.right, rows), rows)


def _known(operand: Operand, num_rows: int) -> Mask:
    return np.full(num_rows, operand.value is not None) if isinstance(operand, Value) else operand.known


def _column(name: str, rows: Message) -> Known:
    values: Any = rows.raw(name)
    if isinstance(values, torch.Tensor):
        if values.dim() > 1:
            raise ColumnTypeError(
                f"filter: column {name!r} is a tensor of {tuple(values.shape[1:])} per row, and a comparison needs one "
                "value per row; pass a function: filter(lambda rows: …)."
            )
        values = numpy_of(values)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biu":
        return Known(values, np.ones(len(values), dtype=bool))
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return Known(values, ~np.isnan(values))
    series = pd.Series(values, copy=False)
    known: Mask = ~series.isna().to_numpy()
    numbers = numbers_of(series, known)
    if numbers is None:
        return Known(_plain_dates(series), known)
    return Known(numbers, known & ~np.isnan(numbers) if numbers.dtype.kind == "f" else known)


def _plain_dates(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return Arrow's days as instants, which compare with each other and with what the text says."""
    dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype) and pa.types.is_date(dtype.pyarrow_dtype):
        return series.astype("datetime64[s]")
    return series


def _arithmetic(sign: Any, left: Operand, right: Operand, rows: Message) -> Known:
    known = _known(left, len(rows)) & _known(right, len(rows))
    if not known.any():
        return Known(np.zeros(len(rows)), known)
    numbers = [_numbers(side) for side in (left, right)]
    if numbers[0] is not None and numbers[1] is not None:
        return Known(*compute(sign, numbers[0], numbers[1], known))
    return _of_time(sign, left, right, known)


def _numbers(operand: Operand) -> Array | None:
    if isinstance(operand, Value):
        return array_of(operand.value) if is_number(operand.value) else None
    return operand.values if isinstance(operand.values, np.ndarray) else None


def _of_time(sign: Any, left: Operand, right: Operand, known: Mask) -> Known:
    """Add and subtract instants and durations, as pandas does."""
    sides = [side.value if isinstance(side, Value) else side.values for side in (left, right)]
    kinds = {_is_time(side) for side in sides}
    if kinds != {True} or sign not in {"+", "-"}:
        raise TypeError(f"{sign!r} takes numbers, or instants and durations for + and -")
    function: Callable[[Any, Any], Any] = pd.Series.__add__ if sign == "+" else pd.Series.__sub__
    one, other = (side if isinstance(side, pd.Series) else pd.Series([_instant(side)] * len(known)) for side in sides)
    result = function(one, other)
    return Known(result, known & ~result.isna().to_numpy())


def _is_time(side: Any) -> bool:
    return side.dtype.kind in "mM" if hasattr(side, "dtype") else isinstance(side, (dt.date, dt.timedelta))


def _instant(value: Any) -> Any:
    return pd.Timestamp(value) if isinstance(value, dt.date) else value
