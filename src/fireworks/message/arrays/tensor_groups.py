"""Rows of a tensor column, group by group: sums, means, extremes and the like, as torch computes them.

Each element of a row is treated as pandas would treat it in a column of its own: NaN is skipped there and not in the rest
of the row. The same rows give the same bytes every time and with any number of threads: sums go through the rows in
their order, floats are added up as float64, and what torch may do in any order, such as a maximum, has one result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from pandas.arrays import BooleanArray, FloatingArray, IntegerArray

from fireworks.message.arrays.tensor_keys import ranks
from fireworks.message.arrays.tensor_rows import computable, dtype_of, missing_rows, with_room_for_nan
from fireworks.message.conversion.exact import numpy_of

Array = np.ndarray[Any, Any]
Blocks = Callable[[slice], torch.Tensor]

# Elements that are converted to float64 at a time, so that they stay in the processor's cache: several times as quick as
# whole columns, and as quick as adding float32 to float32.
_BLOCK = 1 << 17


def aggregate(
    rows: torch.Tensor, ids: Array, num_groups: int, how: str, *, min_count: int = -1, **options: Any
) -> torch.Tensor:
    """Return one row per group; of running results (``cumsum``, ``rank``, …) one per row.

    Integers and booleans are summed exactly, as int64; their mean and spread are float64. Floats keep their type. A
    group without an element that counts gets NaN, for which integers become float64. All is computed in main memory,
    since an accelerator adds in the order in which its threads come. Gradients stay behind.

    Args:
        rows: ``(rows, *rest)``, on any device.
        ids: The number of each row's group; -1 for a row that is in none.
        num_groups: How many groups there are.
        how: ``sum``, ``prod``, ``mean``, ``var``, ``std``, ``sem``, ``min``, ``max``, ``any``, ``all``, ``first``,
            ``last``; or anything else that pandas computes for groups of numbers, by pandas.
        min_count: The result is NaN where fewer elements count.
        options: What pandas passes on: ``skipna`` (whether NaN is left out), ``ddof`` (what a variance subtracts from
            the number of elements), and for other ways their own.

    Shapes:
        ``(rows, *rest)`` -> ``(num_groups, *rest)`` on the same device.

    Raises:
        TypeError: the elements have no such aggregate.

    Example:
        >>> from fireworks.message.arrays.tensor_groups import aggregate
        >>> aggregate(torch.tensor([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]), np.array([0, 0, 1]), 2, "mean")
        tensor([[2., 3.],
                [9., 9.]])
    """
    if rows.is_complex() and how not in _OF_COMPLEX:
        raise TypeError(f"{dtype_of(rows)} has no {how!r}; complex numbers have {', '.join(_OF_COMPLEX)}.")
    if how == "ohlc" and rows.dim() > 1:
        raise TypeError(f"{dtype_of(rows)} has no 'ohlc'; it is for one number per row.")
    if how in {"any", "all"} and rows.dtype == torch.uint64:
        rows = rows != 0
    if how not in KERNELS or rows.dtype == torch.uint64:
        options |= {"ids": ids, "ngroups": num_groups, "min_count": min_count, "has_dropped_na": bool((ids < 0).any())}
        return _by_pandas(rows, how=how, **options).to(rows.device)
    groups = _groups(rows, ids, num_groups, skipna=options.get("skipna", True), ddof=options.get("ddof", 1))
    result = KERNELS[how](groups).reshape(num_groups, *rows.shape[1:])
    if how in {"any", "all"}:
        return result.to(rows.device)
    absent = groups.sizes < (min_count if how in {"sum", "prod"} else max(min_count, 1))
    if absent.any():
        absent = absent.expand(num_groups, groups.values.shape[1]).reshape(result.shape)
        result = with_room_for_nan(result.masked_fill(absent, 0)).masked_fill(absent, math.nan)
    elif how in {"min", "max", "first", "last"}:
        result = result.to(rows.dtype)
    return result.to(rows.device, rows.dtype if dtype_of(rows).can_be_missing else result.dtype)


@dataclass(frozen=True)
class _Groups:
    """Rows as ``(rows, elements)`` in a type that torch computes with, and the number of each row's group."""

    values: torch.Tensor
    ids: torch.Tensor
    count: int
    skipna: bool
    ddof: int

    @cached_property
    def skips(self) -> bool:
        """Whether there is a NaN to leave out; found by one sum, in an eighth of the time of asking each element."""
        can_skip = self.skipna and (self.values.is_floating_point() or self.values.is_complex())
        return can_skip and bool(self.values.sum().isnan())

    @cached_property
    def sizes(self) -> torch.Tensor:
        """How many elements count: ``(groups, elements)``, or ``(groups, 1)`` where all do."""
        if self.skips:
            return self.fold(lambda rows: self.values[rows] == self.values[rows], "sum", 0, torch.float64)
        return torch.bincount(self.ids, minlength=self.count)[:, None]

    @property
    def wide(self) -> torch.dtype:
        """The type to add up in."""
        if self.values.is_complex():
            return torch.complex128
        return torch.float64 if self.values.is_floating_point() else torch.int64

    def counted(self, instead: float) -> Blocks:
        """Return a function that gives some rows, with another number for what does not count."""
        if not self.skips:
            return self.values.__getitem__
        if self.values.is_complex():
            return lambda rows: self.values[rows].where(self.values[rows] == self.values[rows], instead)
        return lambda rows: self.values[rows].nan_to_num(instead, math.inf, -math.inf)  # twice as quick as `where`

    def fold(self, part: Blocks, how: str, start: float, dtype: torch.dtype) -> torch.Tensor:
        """Return the sum, product, least or greatest element of each group, block by block in the order of the rows.

        Args:
            part: What is folded, for some of the rows.
            how: ``sum``, ``prod``, ``amin`` or ``amax``.
            start: What each group begins with.
            dtype: What to compute in.
        """
        step = max(1, _BLOCK // max(1, self.values.shape[1]))
        width = part(slice(0, 0)).shape[1]
        folded = torch.full((self.count, width), start, dtype=dtype)
        for first in range(0, len(self.values), step):
            rows = slice(first, first + step)
            ids, values = self.ids[rows], part(rows).to(dtype)
            if how == "sum":
                folded.index_add_(0, ids, values)
            else:
                folded.scatter_reduce_(0, ids[:, None].expand_as(values), values, how)
        return folded


def _groups(rows: torch.Tensor, ids: Array, count: int, **options: Any) -> _Groups:
    values = computable(rows.detach().cpu())
    values = values.flatten(1) if values.dim() > 1 else values[:, None]
    numbers = torch.from_numpy(np.array(ids, dtype=np.int64))
    if len(ids) and ids.min() < 0:
        values, numbers = values[numbers >= 0], numbers[numbers >= 0]
    return _Groups(values.byte() if values.dtype == torch.bool else values, numbers, count, **options)


# --- one function for each way ----------------------------------------------------------------------------------------


def _sum(groups: _Groups) -> torch.Tensor:
    return groups.fold(groups.counted(0), "sum", 0, groups.wide)


def _prod(groups: _Groups) -> torch.Tensor:
    return groups.fold(groups.counted(1), "prod", 1, groups.wide)


def _mean(groups: _Groups) -> torch.Tensor:
    wide = torch.complex128 if groups.values.is_complex() else torch.float64
    return groups.fold(groups.counted(0), "sum", 0, wide) / groups.sizes


def _var(groups: _Groups) -> torch.Tensor:
    mean = _mean(groups)

    def squares(rows: slice) -> torch.Tensor:
        values = groups.values[rows]
        deviations = values.double() - mean[groups.ids[rows]]
        if groups.skips:
            deviations.masked_fill_(values.isnan(), 0)
        return deviations.square_()

    freedom = groups.sizes - groups.ddof
    return (groups.fold(squares, "sum", 0, torch.float64) / freedom).where(freedom > 0, math.nan)


def _std(groups: _Groups) -> torch.Tensor:
    return _var(groups).sqrt_()


def _sem(groups: _Groups) -> torch.Tensor:
    return (_var(groups) / groups.sizes).sqrt_()


def _min(groups: _Groups) -> torch.Tensor:
    return groups.fold(groups.counted(math.inf), "amin", _limits(groups.values)[1], groups.values.dtype)


def _max(groups: _Groups) -> torch.Tensor:
    return groups.fold(groups.counted(-math.inf), "amax", _limits(groups.values)[0], groups.values.dtype)


def _limits(values: torch.Tensor) -> tuple[float, float]:
    if values.is_floating_point():
        return -math.inf, math.inf
    limits = torch.iinfo(values.dtype)
    return limits.min, limits.max


def _any(groups: _Groups) -> torch.Tensor:
    counted = groups.counted(0)
    return groups.fold(lambda rows: counted(rows) != 0, "sum", 0, torch.float64) > 0


def _all(groups: _Groups) -> torch.Tensor:
    counted = groups.counted(1)
    return groups.fold(lambda rows: counted(rows) == 0, "sum", 0, torch.float64) == 0


def _first(groups: _Groups) -> torch.Tensor:
    return _at(groups, "amin", len(groups.values))


def _last(groups: _Groups) -> torch.Tensor:
    return _at(groups, "amax", -1)


def _at(groups: _Groups, how: str, nowhere: int) -> torch.Tensor:
    """Return each group's element at the least or the greatest position that counts."""
    num_rows, width = groups.values.shape
    all_positions = torch.arange(num_rows)[:, None]

    def positions(rows: slice) -> torch.Tensor:
        return all_positions[rows].where(~groups.values[rows].isnan(), nowhere) if groups.skips else all_positions[rows]

    found = groups.fold(positions, how, nowhere, torch.int64)
    if not num_rows:
        return groups.values.new_zeros((groups.count, width))
    return groups.values.gather(0, found.clamp(0, num_rows - 1).expand(-1, width))


KERNELS: dict[str, Callable[[_Groups], torch.Tensor]] = {
    "sum": _sum,
    "prod": _prod,
    "mean": _mean,
    "var": _var,
    "std": _std,
    "sem": _sem,
    "min": _min,
    "max": _max,
    "any": _any,
    "all": _all,
    "first": _first,
    "last": _last,
}
_OF_COMPLEX = ("sum", "prod", "mean", "any", "all", "first", "last")
_OF_WHOLE_ROWS = frozenset({"rank", "idxmin", "idxmax"})


# --- everything else --------------------------------------------------------------------------------------------------


def _by_pandas(rows: torch.Tensor, *, how: str, **options: Any) -> torch.Tensor:
    """Let pandas group each element as a column of its own; what is about whole rows goes by their order."""
    if how in {"cumsum", "cumprod"} and not dtype_of(rows).can_be_missing and rows.dtype != torch.uint64:
        rows = rows.long()  # else pandas makes the type depend on the sums
    if rows.dim() == 1 or how in _OF_WHOLE_ROWS:
        values = numpy_of(rows) if rows.dim() == 1 else ranks(rows)
        result = torch.from_numpy(_numbers(_column(values, missing_rows(rows))._groupby_op(how=how, **options)))
        return result.to(rows.dtype) if rows.is_floating_point() and how not in _OF_WHOLE_ROWS else result
    width = math.prod(rows.shape[1:])
    elements = (rows if width else rows.new_zeros((len(rows), 1))).flatten(1).unbind(1)
    columns = [_by_pandas(element, how=how, **options) for element in elements]
    return torch.stack(columns, dim=1)[:, :width].reshape(len(columns[0]), *rows.shape[1:])


def _column(values: Array, missing: Array) -> Any:
    kind = values.dtype.kind
    if kind == "f":
        return FloatingArray(values.astype(np.float32) if values.dtype.itemsize < 4 else values.copy(), missing)
    return BooleanArray(values.copy(), missing) if kind == "b" else IntegerArray(values.copy(), missing)


def _numbers(result: Any) -> Array:
    """Return what pandas found as plain numbers: NaN for what is missing, and for that floats instead of integers."""
    if isinstance(result, np.ndarray):
        return result
    plain = result.dtype.numpy_dtype
    if plain.kind != "f" and result.isna().any():
        plain = np.dtype(np.float64)
    array: Array = result.to_numpy(dtype=plain, na_value=np.nan) if plain.kind == "f" else result.to_numpy(dtype=plain)
    return array
