"""What decides whether a row stays: a function, or ``column, operator, values`` with one meaning of null everywhere."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
import torch

from fireworks.errors import ColumnTypeError, did_you_mean
from fireworks.message import Message

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
Predicate: TypeAlias = Callable[[Message], Mask]

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUM_VALUES = {**dict.fromkeys(_COMPARISONS, 1), "in": 1, "not in": 1, "between": 2, "is null": 0, "is not null": 0}


def condition(column: str, comparison: str, *values: Any) -> Predicate:
    """Return a predicate for one column.

    A row whose value is null or NaN compares as unknown, and is dropped by every operator but ``is null``: by
    ``!=`` and ``not in`` too, as in SQL.

    Args:
        column: The column's name; one value per row.
        comparison: ``==  !=  <  <=  >  >=  in  not in  between  is null  is not null``.
        values: One; for ``in`` and ``not in`` one list; for ``between`` the lowest and the highest kept; else none.

    Raises:
        ValueError: there is no such operator, or the number of values is not the operator's.

    Example:
        >>> condition("x", "!=", 2.0)(fw.Message({"x": [1.0, 2.0, float("nan")]})).tolist()
        [True, False, False]
    """
    if comparison not in _NUM_VALUES:
        raise ValueError(
            f"filter: no operator {comparison!r}; operators are {list(_NUM_VALUES)}.{did_you_mean(comparison, _NUM_VALUES)}"
        )
    if len(values) != _NUM_VALUES[comparison]:
        raise ValueError(
            f"filter: {column!r} {comparison} takes {_NUM_VALUES[comparison]} values; got {len(values)}: {values!r:.60}."
        )
    return functools.partial(_compare, column, comparison, values)


def _compare(column: str, comparison: str, values: tuple[Any, ...], rows: Message) -> Mask:
    return _evaluate(_series(rows, column), comparison, values)


def _series(rows: Message, column: str) -> Any:
    values: Any = rows[column]
    if not isinstance(values, torch.Tensor):
        return values
    if values.dim() > 1:
        raise ColumnTypeError(
            f"filter: column {column!r} is a tensor of {tuple(values.shape[1:])} per row, and a comparison needs one "
            "value per row; pass a function: filter(lambda rows: …)."
        )
    return pd.Series(values.detach().cpu().numpy(), copy=False)


def _evaluate(series: Any, comparison: str, values: tuple[Any, ...]) -> Mask:
    known: Mask = ~series.isna().to_numpy()
    if comparison in {"is null", "is not null"}:
        return ~known if comparison == "is null" else known
    if comparison == "between":
        result = (series >= values[0]) & (series <= values[1])
    elif comparison in {"in", "not in"}:
        result = series.isin(list(values[0]))
        result = ~result if comparison == "not in" else result
    else:
        result = _COMPARISONS[comparison](series, values[0])
    mask = known & result.fillna(value=False).to_numpy(dtype=bool)
    return cast("Mask", mask)


def from_function(function: Callable[[Message], Any], *, who: str) -> Predicate:
    """Return a predicate that checks what a user's function answers.

    Raises:
        TypeError: when it is run, if the answer is not one boolean per row.
    """
    return functools.partial(_ask, function, who)


def _ask(function: Callable[[Message], Any], who: str, rows: Message) -> Mask:
    answer = function(rows)
    if isinstance(answer, torch.Tensor):
        answer = answer.detach().cpu().numpy()
    elif isinstance(answer, pd.Series) and answer.dtype == "boolean":
        answer = answer.fillna(value=False)
    mask = np.asarray(answer)
    if mask.dtype != bool or mask.shape != (len(rows),):
        raise TypeError(
            f"{who}: the function must answer one boolean per row, shape ({len(rows)},); "
            f"got {mask.dtype} of shape {mask.shape}."
        )
    return cast("Mask", mask)
