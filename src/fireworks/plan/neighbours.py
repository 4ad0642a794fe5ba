"""Whether a row's result depends on the rows that come with it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.message import Message, concat
from fireworks.message.columns import equal

_FEWEST = 2


def cuts(num_rows: int) -> list[tuple[int, int]]:
    """Return another grid over some rows: one row alone, a third, the rest.

    Example:
        >>> cuts(9), cuts(2)
        ([(0, 1), (1, 3), (3, 9)], [(0, 1), (1, 2)])
    """
    ends = sorted({0, min(1, num_rows), max(1, num_rows // 3), num_rows})
    return list(pairwise(ends))


def differing_column(whole: Message, parts: list[Message]) -> str | None:
    """Return the first column that differs where rows were worked on in parts, beyond the last bits; None if none does.

    Floating-point sums depend on how many rows a call gets, so numbers may differ by a little.
    """
    together = concat(parts)
    if together.columns != whole.columns or len(together) != len(whole):
        return next((name for name in whole.columns if name not in together.columns), "the number of rows")
    for name in whole.columns:
        if not _nearly_equal(whole.raw(name), together.raw(name)):
            return name
    return None


def _nearly_equal(left: Any, right: Any) -> bool:
    one, other = _numbers(left), _numbers(right)
    if one is None or other is None:
        return equal(left, right)
    if one.shape != other.shape:
        return False
    with np.errstate(all="ignore"):
        scale = float(np.max(np.abs(one[np.isfinite(one)]), initial=0.0))
        is_short = _is_short(left)
        close = np.isclose(
            one, other, rtol=1e-2 if is_short else 1e-4, atol=scale * (1e-3 if is_short else 1e-6), equal_nan=True
        )
    return bool(close.all())


def _numbers(column: Any) -> np.ndarray[Any, Any] | None:
    """Return a column of floats as one array; None for anything that must be equal to the last bit."""
    if isinstance(column, torch.Tensor):
        if not column.is_floating_point():
            return None
        return column.detach().cpu().double().numpy()
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return column.astype(np.float64)
    if isinstance(column, pd.arrays.FloatingArray):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return None


def _is_short(column: Any) -> bool:
    return getattr(getattr(column, "dtype", None), "itemsize", 4) < 4
