"""One rule for every way of naming rows: an int, a slice, positions or a mask, from Python, NumPy, torch or pandas."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

from fireworks.errors import RowIndexError
from fireworks.message.columns import Positions

Rows: TypeAlias = "int | slice | Sequence[int] | Sequence[bool] | np.ndarray[Any, Any] | torch.Tensor | pd.Series[Any]"


def as_rows(key: Any, num_rows: int, *, where: str = "Message", item: str = "row") -> slice | Positions:
    """Turn a key into a slice with a positive step or an array of positions from 0 to ``num_rows - 1``.

    Slices clamp as Python's do; single positions past the end are an error.

    Args:
        key: What stands between the brackets.
        num_rows: The number of rows to index.
        where: Who is indexed, for the error.
        item: What is counted, for the error: ``row`` or ``batch``.

    Raises:
        RowIndexError: a position is past the end, or a mask has another number of rows.
        TypeError: the key is none of these.

    Example:
        >>> as_rows([-1, 0], 5).tolist(), as_rows(slice(3, 99), 5)
        ([4, 0], slice(3, 5, 1))
    """
    if isinstance(key, slice):
        start, stop, step = key.indices(num_rows)
        if step > 0:
            return slice(start, max(start, stop), step)
        return np.arange(start, stop, step, dtype=np.int64)
    if not isinstance(key, (list, tuple, range, np.ndarray, torch.Tensor, pd.Series, pd.Index)) or _is_scalar(key):
        try:
            position = operator.index(key)
        except TypeError:
            raise TypeError(
                f"{where}: {item}s are named by ints, slices, lists, masks or a column name; "
                f"got {key!r:.60} of type {type(key).__name__}."
            ) from None
        return _in_range(np.array([position], dtype=np.int64), num_rows, where, item)
    array = _as_array(key)
    if array.dtype == bool:
        if len(array) != num_rows:
            raise RowIndexError(
                f"{where}: a mask needs one value per {item}; it has {len(array)}, there are {num_rows}."
            )
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(f"{where}: expected a list of ints or booleans; got {key!r:.60}.")
    return _in_range(array.astype(np.int64), num_rows, where, item)


def _is_scalar(key: Any) -> bool:
    return isinstance(key, (np.ndarray, torch.Tensor)) and key.ndim == 0


def _as_array(key: Any) -> np.ndarray[Any, Any]:
    if isinstance(key, torch.Tensor):
        return np.asarray(key.detach().cpu().numpy())
    if isinstance(key, (pd.Series, pd.Index)) and key.hasnans:
        raise TypeError("Message: a mask or a list of rows can't have missing values; fill them first.")
    array = np.asarray(key, dtype=bool if isinstance(key, pd.Series) and key.dtype == "boolean" else None)
    return array.astype(np.int64) if array.size == 0 and array.dtype != bool else array


def _in_range(positions: Positions, num_rows: int, where: str, item: str) -> Positions:
    low, high = (int(positions.min()), int(positions.max())) if len(positions) else (0, -1)
    if low < -num_rows or high >= num_rows:
        worst = low if low < -num_rows else high
        raise RowIndexError(f"{where}: {item} {worst} is past the end; there are {num_rows} {item}s.")
    return np.where(positions < 0, positions + num_rows, positions) if low < 0 else positions
