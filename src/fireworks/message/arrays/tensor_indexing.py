"""Rows of a tensor by position: which ones a key of pandas means, how they are read, and how they are written."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from pandas.api.extensions import ExtensionArray
from pandas.api.indexers import check_array_indexer
from pandas.api.types import is_integer

from fireworks.message.arrays.tensor_rows import Positions

_WITHOUT_INDEX_SELECT = frozenset({torch.uint16, torch.uint32, torch.uint64})  # in torch 2.6
_SAME_BITS = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}


def rows_named(key: Any, array: ExtensionArray) -> int | slice | Positions:
    """Return an int, a slice with a positive step or positions, all in range, for whatever pandas puts in brackets.

    Args:
        key: An int, a slice, a list or an array of positions or of booleans; an ellipsis beside it says nothing.
        array: What is indexed.

    Raises:
        IndexError: a position is past the end, a mask has another length, or the key is none of these.
        ValueError: a position is missing.
    """
    num_rows = len(array)
    key = _without_ellipsis(key)
    if isinstance(key, slice):
        return key if (key.step or 1) > 0 else np.arange(num_rows)[key]
    if is_integer(key):
        if not -num_rows <= key < num_rows:
            raise IndexError(f"index {key} is out of bounds for axis 0 with size {num_rows}")
        return int(key)
    checked = check_array_indexer(array, key)
    if not isinstance(checked, np.ndarray):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are "
            f"valid indices; got {key!r:.60}"
        )
    return np.flatnonzero(checked) if checked.dtype == bool else positions(checked, num_rows)


def _without_ellipsis(key: Any) -> Any:
    if isinstance(key, tuple):
        rest = [part for part in key if part is not Ellipsis]
        return rest[0] if len(rest) == 1 else key
    return slice(None) if key is Ellipsis else key


def positions(indices: Any, num_rows: int) -> Positions:
    """Return positions from 0 up for positions of which negative ones count from the end.

    Raises:
        IndexError: one of them is past the end.
    """
    indices = np.asarray(indices, dtype=np.int64)
    if len(indices) and not num_rows:
        raise IndexError("cannot do a non-empty take from an empty axes; there are no rows")
    outside = (indices < -num_rows) | (indices >= num_rows)
    if outside.any():
        raise IndexError(f"row {indices[outside][0]} is out of bounds for {num_rows} rows")
    counted: Positions = np.where(indices < 0, indices + num_rows, indices)
    return counted


def gather(tensor: torch.Tensor, rows: Positions) -> torch.Tensor:
    """Return the rows at positions from 0 up, as a copy that autograd knows of."""
    index = torch.from_numpy(rows.copy()).to(tensor.device)  # torch reads no array backwards, and none that is locked
    return tensor[index] if tensor.dtype in _WITHOUT_INDEX_SELECT else tensor.index_select(0, index)


def assign(tensor: torch.Tensor, rows: int | slice | Positions, values: torch.Tensor) -> None:
    """Write values into rows of a tensor: one row for all of them, or as many as are named.

    Raises:
        ValueError: the number of values is another one; the tensor is unchanged then.
    """
    if values.dim() == tensor.dim():
        count = 1 if isinstance(rows, int) else len(range(len(tensor))[rows] if isinstance(rows, slice) else rows)
        if len(values) != count:
            raise ValueError(f"Length of values ({len(values)}) does not match the number of rows to set ({count}).")
        values = values[0] if isinstance(rows, int) else values
    if values.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr():
        values = values.clone()
    if tensor.dtype in _SAME_BITS:  # torch can't write what has no sign
        tensor, values = tensor.view(_SAME_BITS[tensor.dtype]), values.view(_SAME_BITS[tensor.dtype])
    owners = [tensor] if tensor._base is None else [tensor, tensor._base]
    is_parameter = any(owner.is_leaf and owner.requires_grad for owner in owners)
    with torch.no_grad() if is_parameter else contextlib.nullcontext():  # as optimizers write
        tensor[torch.from_numpy(rows.copy()) if isinstance(rows, np.ndarray) else rows] = values.to(tensor.device)
