"""One rule for every way of naming rows: an int, a slice, positions or a mask, from Python, NumPy, torch or pandas."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from pandas.api.extensions import ExtensionArray

from fireworks.errors import RowIndexError
from fireworks.message.columns import Positions

_MANY = (list, tuple, range, np.ndarray, torch.Tensor, pd.Series, pd.Index, ExtensionArray)

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
    if not isinstance(key, _MANY) or (isinstance(key, (np.ndarray, torch.Tensor)) and key.ndim == 0):
        try:
            position = operator.index(_no_bool(key))
        except TypeError:
            raise TypeError(
                f"{where}: {_plural(item)} are named by ints, slices, lists, masks or a column name; "
                f"got {key!r:.60} of type {type(key).__name__}."
            ) from None
        if not -num_rows <= position < num_rows:
            raise _past_the_end(position, num_rows, where, item)
        position %= num_rows
        return slice(position, position + 1, 1)
    array = _as_array(key, where)
    if array.dtype == bool and array.ndim == 1:
        if len(array) != num_rows:
            raise RowIndexError(
                f"{where}: a mask needs one value per {item}; it has {len(array)}, there are {num_rows}."
            )
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(f"{where}: expected a list of ints or booleans; got {key!r:.60}.")
    return _in_range(array, num_rows, where, item)


def _no_bool(key: Any) -> Any:
    return None if isinstance(key, bool) or getattr(key, "dtype", None) == torch.bool else key  # True is not row 1


def _as_array(key: Any, where: str) -> np.ndarray[Any, Any]:
    if isinstance(key, torch.Tensor):
        array: np.ndarray[Any, Any] = key.numpy(force=True)
    else:
        if isinstance(key, (pd.Series, pd.Index, ExtensionArray)) and pd.isna(key).any():
            raise TypeError(f"{where}: a mask or a list of rows can't have missing values; fill them first.")
        array = np.asarray(key, dtype=bool if getattr(key, "dtype", None) == "boolean" else None)
    return array.astype(np.int64) if array.size == 0 and array.dtype != bool else array


def _in_range(array: np.ndarray[Any, Any], num_rows: int, where: str, item: str) -> Positions:
    positions = array.astype(np.int64)
    if not len(positions) or positions.view(np.uint64).max() < num_rows:  # as unsigned, a negative number is huge
        return positions
    low, high = int(array.min()), int(array.max())
    if low < -num_rows or high >= num_rows:
        raise _past_the_end(low if low < -num_rows else high, num_rows, where, item)
    return np.where(positions < 0, positions + num_rows, positions)


def _past_the_end(position: int, num_rows: int, where: str, item: str) -> RowIndexError:
    return RowIndexError(f"{where}: {item} {position} is past the end; there are {num_rows} {_plural(item)}.")


def _plural(item: str) -> str:
    return "batches" if item == "batch" else f"{item}s"
