"""The elements of a tensor column's rows as plain columns of pandas, for what pandas computes down a column."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.message.arrays.tensor_groups import KERNELS, aggregate
from fireworks.message.conversion.exact import numpy_of

REDUCTIONS = ("sum", "prod", "mean", "median", "var", "std", "sem", "skew", "kurt", "min", "max", "any", "all")
# As torch does it; pandas would make uint64 of them, which torch can't compute with.
_ADDED_AS_INT64 = frozenset({torch.uint8, torch.uint16, torch.uint32})


def as_columns(tensor: torch.Tensor, index: Any = None) -> pd.DataFrame:
    """Return a frame of one column per element of a row; memory is shared where NumPy has the type.

    Shapes:
        ``(rows, *rest)`` -> rows by ``prod(rest)`` columns, the last dimension first.
    """
    values = numpy_of(tensor.float() if tensor.dtype == torch.float16 else tensor)  # of which pandas knows little
    return pd.DataFrame(values.reshape(len(tensor), math.prod(tensor.shape[1:])), index=index, copy=False)


def from_columns(frame: pd.DataFrame, like: torch.Tensor) -> torch.Tensor:
    """Return rows made of plain columns; floats in the type of ``like``, everything in the shape of its rows."""
    values = frame.to_numpy()
    result = torch.from_numpy(np.array(values, order="C")).reshape(len(frame), *like.shape[1:])
    both_floats = like.is_floating_point() and result.is_floating_point()
    return result.to(like.device, like.dtype if both_floats else result.dtype)


def reduce(tensor: torch.Tensor, how: str, *, skipna: bool = True, **options: Any) -> Any:
    """Return what all rows come to, as pandas reduces numbers, each element of a row on its own.

    Args:
        tensor: ``(rows, *rest)``.
        how: One of `REDUCTIONS`.
        skipna: Whether NaN is left out.
        options: ``min_count``, ``ddof``, … as pandas has them.

    Shapes:
        ``(rows,)`` -> a number; ``(rows, *rest)`` -> a tensor ``rest``.

    Raises:
        TypeError: complex numbers have no such thing.
    """
    if tensor.dtype in _ADDED_AS_INT64 and how in {"sum", "prod"}:
        tensor = tensor.long()
    if tensor.dim() == 1:
        return getattr(pd.Series(numpy_of(tensor), copy=False), how)(skipna=skipna, **options)
    if how in KERNELS:
        ids = np.zeros(len(tensor), dtype=np.int64)
        return aggregate(tensor, ids, 1, how, skipna=skipna, **options)[0]
    return from_columns(getattr(as_columns(tensor), how)(skipna=skipna, **options).to_frame().T, tensor)[0]
