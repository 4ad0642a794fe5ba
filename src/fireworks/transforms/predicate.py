"""What decides whether a row stays: a function, or ``column, operator, values`` with one meaning of null everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
import torch

from fireworks.core.comparisons import COMPARISONS, check_comparison, require_list
from fireworks.core.in_place import call
from fireworks.errors import ColumnTypeError
from fireworks.message import Message

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
Predicate: TypeAlias = Callable[[Message], Mask]


def condition(column: str, comparison: str, *values: Any) -> Predicate:
    """Return a predicate for one column.

    What is null or NaN compares as unknown, and the row is dropped by every operator but ``is null``: by ``!=`` and
    ``not in`` too, as in SQL. That holds for a value to compare with as well: ``!= None`` keeps nothing.

    Args:
        column: The column's name; one value per row.
        comparison: ``==  !=  <  <=  >  >=  in  not in  between  is null  is not null``.
        values: One; for ``in`` and ``not in`` one list; for ``between`` the lowest and the highest kept; else none.

    Raises:
        ValueError: there is no such operator, or the number of values is not the operator's.
        TypeError: ``in`` got something else than a list.

    Example:
        >>> condition("x", "!=", 2.0)(fw.Message({"x": [1.0, 2.0, float("nan")]})).tolist()
        [True, False, False]
    """
    check_comparison(column, comparison, values)
    if comparison in {"in", "not in"}:
        values = _listed(column, comparison, values[0])
    return functools.partial(_compare, column, comparison, values)


def _listed(column: str, comparison: str, values: Any) -> tuple[list[Any], bool]:
    """Return the known values of a list, and whether there are unknown ones among them."""
    require_list(values, who=f"filter: {column!r} {comparison}")
    every = values.tolist() if hasattr(values, "tolist") else list(values)
    known = [value for value in every if not pd.isna(value)]
    return known, len(known) < len(every)


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
    values = values.detach().cpu()
    # NumPy has no bfloat16; every value of it is a float32 too.
    return pd.Series((values.float() if values.dtype == torch.bfloat16 else values).numpy(), copy=False)


def _evaluate(series: Any, comparison: str, values: tuple[Any, ...]) -> Mask:
    known: Mask = ~series.isna().to_numpy()
    if comparison in {"is null", "is not null"}:
        return ~known if comparison == "is null" else known
    if comparison in {"in", "not in"}:
        listed, some_unknown = values
        result = series.isin(listed)
        if comparison == "not in":
            # Nothing is known to be none of several values if one of them is unknown.
            result = ~result & (not some_unknown)
    elif any(pd.isna(value) for value in values):
        return np.zeros(len(series), dtype=bool)
    elif comparison == "between":
        result = (series >= values[0]) & (series <= values[1])
    else:
        result = COMPARISONS[comparison](series, values[0])
    mask = known & result.fillna(value=False).to_numpy(dtype=bool)
    return cast("Mask", mask)


def from_function(function: Callable[[Message], Any], *, who: str) -> Predicate:
    """Return a predicate that checks what a user's function answers.

    Raises:
        TypeError: when it is run, if the answer is not one boolean per row.
    """
    return functools.partial(_ask, function, who)


def _ask(function: Callable[[Message], Any], who: str, rows: Message) -> Mask:
    answer = call(function, rows, who=who)
    if isinstance(answer, Message):
        raise TypeError(
            f"{who}: the function must answer one boolean per row; got a Message. Write: return rows['x'] > 0."
        )
    if isinstance(answer, torch.Tensor):
        answer = answer.detach().cpu().numpy()
    elif pd.api.types.is_bool_dtype(answer) and pd.api.types.is_extension_array_dtype(answer):
        answer = pd.Series(answer).fillna(value=False)  # null is unknown, and unknown is dropped
    mask = np.asarray(answer)
    if mask.dtype != bool or mask.shape != (len(rows),):
        raise TypeError(
            f"{who}: the function must answer one boolean per row, shape ({len(rows)},); "
            f"got {mask.dtype} of shape {mask.shape}."
        )
    return cast("Mask", mask)
