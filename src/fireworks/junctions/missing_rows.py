"""Columns in which some rows are missing: null, or a value that stands for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.errors import ColumnValueError
from fireworks.message import Message, concat
from fireworks.message.columns import Column, Positions


def with_missing(rows: Message, place: Positions, fill: Mapping[str, Any], keys: Message) -> Message:
    """Return the rows at the given places; what is missing is null, or the value that is given for the column.

    Types depend on the column alone, never on whether a row is missing: a column without a value to fill in is of a
    type that holds nulls.

    Args:
        rows: Those that are there.
        place: For each row of the result its place there, -1 for one that is missing.
        fill: Values by column.
        keys: The key of each row of the result, for the error.

    Raises:
        ColumnValueError: a row of a tensor column without a value is missing, or a value does not fit its column.
    """
    stored: dict[str, Column] = {}
    for name, column in rows._columns.items():
        if name in fill:
            stored[name] = _filled(name, column, place, fill[name])
        elif isinstance(column, torch.Tensor):
            _require_all(name, place, keys)
            stored[name] = Message._of({name: column}, len(rows)).take(place).raw(name)
        else:
            stored[name] = _with_nulls(column, place)
    return Message._of(stored, len(place))


def _require_all(name: str, place: Positions, keys: Message) -> None:
    missing = np.flatnonzero(place < 0)
    if len(missing):
        first = int(missing[0])
        key = {column: keys[first : first + 1][column].tolist()[0] for column in keys.columns}
        raise ColumnValueError(
            f"join: {key} has no partner, and a tensor column holds no nulls: give {name!r} a value to stand for it, "
            f"fill={{{name!r}: 0}}; or drop such rows, how='inner'."
        )


def _filled(name: str, column: Column, place: Positions, value: Any) -> Column:
    try:
        stands = _as_row(column, value)
        both = Message._of({name: column}, len(column)), Message._of({name: stands}, 1)
        return concat(both).take(np.where(place < 0, len(column), place)).raw(name)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ColumnValueError(f"join: fill={{{name!r}: {value!r:.60}}} does not fit the column: {error}.") from error


def _as_row(column: Any, value: Any) -> Any:
    """Return a value as one row of a column of the same type; raise if it does not fit there unchanged."""
    row: Any
    if isinstance(column, torch.Tensor):
        given = torch.as_tensor(value, device=column.device)
        row = given.to(column.dtype).expand(1, *column.shape[1:])
        fits = torch.can_cast(given.dtype, column.dtype)
    elif isinstance(column, np.ndarray):
        row = np.asarray([value]).astype(column.dtype, casting="same_kind" if column.dtype.kind in "fc" else "unsafe")
        fits = bool(row[0] == value) or column.dtype.kind in "fc"
    else:
        row = type(column)._from_sequence([value], dtype=column.dtype)
        fits = bool(row[0] == value)
    if not fits:
        raise TypeError(f"it is no {'.'.join(str(column.dtype).split('.')[-1:])}")
    return row


def _with_nulls(column: Any, place: Positions) -> Any:
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "iub":
            column = pd.Series(column).astype(_nullable(column.dtype)).array
        else:
            nothing = np.full(1, np.nan if column.dtype.kind in "fc" else "NaT", dtype=column.dtype)
            return np.concatenate([column, nothing])[np.where(place < 0, len(column), place)]
    return column.take(place, allow_fill=True)


def _nullable(dtype: np.dtype[Any]) -> Any:
    """Return the name of pandas' type of the same numbers, and null."""
    return "boolean" if dtype.kind == "b" else dtype.name.replace("int", "Int").replace("uI", "UI")
