"""What decides whether a row stays: a function, an expression, or Arrow's; with one meaning of null everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pandas as pd
import torch

from fireworks.core.expressions import Expression, comparison
from fireworks.core.in_place import call
from fireworks.message import Message
from fireworks.transforms.numbers import Mask
from fireworks.transforms.truth import require_condition, truth

if TYPE_CHECKING:
    import pyarrow.compute as pc

Predicate: TypeAlias = Callable[[Message], Mask]


def condition(column: str, operator: str, *values: Any) -> Predicate:
    """Return a predicate for one column.

    What is null or NaN compares as unknown, and the row is dropped by every operator but ``is null``: by ``!=`` and
    ``not in`` too, as in SQL. That holds for a value to compare with as well: ``!= None`` keeps nothing.

    Args:
        column: The column's name; one value per row.
        operator: ``==  !=  <  <=  >  >=  in  not in  between  is null  is not null``.
        values: One; for ``in`` and ``not in`` one list; for ``between`` the lowest and the highest kept; else none.

    Raises:
        ValueError: there is no such operator, or the number of values is not the operator's.
        TypeError: ``in`` got something else than a list.

    Example:
        >>> condition("x", "!=", 2.0)(fw.Message({"x": [1.0, 2.0, float("nan")]})).tolist()
        [True, False, False]
    """
    return from_expression(comparison(column, operator, values))


def from_expression(expression: Expression) -> Predicate:
    """Return a predicate that keeps the rows for which a condition is true, not those for which it is unknown.

    Raises:
        TypeError: the expression is no condition.
    """
    require_condition(expression)
    return functools.partial(_is_true, expression)


def _is_true(expression: Expression, rows: Message) -> Mask:
    return truth(expression, rows).true


# --- Arrow ------------------------------------------------------------------------------------------------------------


def from_arrow(expression: pc.Expression) -> Predicate:
    """Return a predicate of an expression of ``pyarrow.compute``; NaN is null to it, as to every filter.

    Raises:
        TypeError: when it is run, if the expression is not boolean.
        ColumnNotFoundError: when it is run, if there is no column of a name in it.
    """
    return functools.partial(_in_arrow, expression)


def _in_arrow(expression: pc.Expression, rows: Message) -> Mask:
    import pyarrow as pa
    import pyarrow.dataset as ds

    table = pa.table({name: _without_nan(array) for name, array in _arrow_columns(rows)})
    try:
        answer = ds.dataset(table).scanner(columns={"kept": expression}, use_threads=False).to_table()["kept"]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, KeyError) as error:
        raise _unreadable(expression, rows, error) from error
    if not pa.types.is_boolean(answer.type):
        raise TypeError(
            f"filter: the expression '{expression}' is {answer.type}, not true or false, and a filter keeps the rows for "
            "which something is true; compare it: expression > 0."
        )
    return np.asarray(answer.fill_null(fill_value=False).to_numpy(), dtype=bool)


def _arrow_columns(rows: Message) -> list[tuple[str, Any]]:
    table = rows.to_arrow()
    return [(name, table[name]) for name in table.column_names]


def _without_nan(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(array.type):
        return array
    return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)


def _unreadable(expression: pc.Expression, rows: Message, error: Exception) -> Exception:
    from fireworks.errors import ColumnNotFoundError, ColumnTypeError

    text = str(error)
    if "No match for FieldRef" in text:
        name = text.partition("FieldRef.Name(")[2].partition(")")[0]
        return ColumnNotFoundError(name, available=rows.columns, where="filter")
    return ColumnTypeError(
        f"filter: Arrow can't compute '{expression}': {text.splitlines()[0]} Pass a function: filter(lambda rows: …)."
    )


# --- functions --------------------------------------------------------------------------------------------------------


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
            f"got {mask.dtype} of shape {mask.shape}. Write: return rows['x'] > 0."
        )
    return cast("Mask", mask)
