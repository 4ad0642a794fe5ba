"""What stands for rows of a tensor column (numbers, lists, tensors, missing values) as one tensor of the column's type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_list_like

from fireworks.message.arrays.tensor_dtype import TensorDtype
from fireworks.message.conversion.exact import MisfitError, exact_tensor

Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
Positions: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_ONLY_STORED = frozenset({torch.uint16, torch.uint32, torch.uint64})


def row_text(row: torch.Tensor) -> str:
    """Return one row in one short line: the first four elements of a vector, the shape of anything larger."""
    if row.dim() == 0:
        return "?" if row.is_meta else str(row.item())
    if row.dim() > 1 or row.is_meta:
        return f"[{'x'.join(map(str, row.shape))} values]"
    shown = row[:4].tolist()
    inside = ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in shown)
    return f"[{inside}{', …' if len(row) > len(shown) else ''}]"


def dtype_of(tensor: torch.Tensor) -> TensorDtype:
    """Return the dtype of the column that a tensor is."""
    return TensorDtype(tensor.dtype, tuple(tensor.shape[1:]))


def missing_rows(tensor: torch.Tensor) -> Flags:
    """Return which rows hold a NaN; a tensor on the ``meta`` device has no values, so none of them is."""
    if tensor.is_meta or not dtype_of(tensor).can_be_missing or not computable(tensor.detach()).sum().isnan():
        return np.zeros(len(tensor), dtype=bool)  # a sum is NaN if anything in it is, and is the quickest to compute
    return per_row(tensor.detach().isnan(), torch.any)


def per_row(flags: torch.Tensor, join: Callable[..., torch.Tensor]) -> Flags:
    """Return one boolean per row of ``(rows, *rest)``, joined by ``torch.any`` or ``torch.all``."""
    joined: Flags = (join(flags.flatten(1), dim=1) if flags.dim() > 1 else flags).cpu().numpy()
    return joined


# --- values to rows ---------------------------------------------------------------------------------------------------


def is_missing(value: object) -> bool:
    """Tell whether a single value means that there is none: None, NA or NaN."""
    return value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and math.isnan(value))


def is_one_row(value: Any, dtype: TensorDtype) -> bool:
    """Tell whether a value is one row of a column rather than many of them: its number of dimensions decides."""
    if not is_list_like(value):
        return True
    if isinstance(value, (list, tuple)):
        return bool(value) and not _holds_rows(value) and _depth(value) <= len(dtype.shape)
    is_array = isinstance(value, torch.Tensor) or (isinstance(value, np.ndarray) and value.dtype != object)
    return is_array and value.ndim <= len(dtype.shape)


def _holds_rows(values: Any) -> bool:
    return any(isinstance(value, torch.Tensor) or value is None or value is pd.NA for value in values)


def _depth(values: Any) -> int:
    return 1 + _depth(values[0]) if isinstance(values, (list, tuple)) and len(values) else 0


def rows_of(values: Any, dtype: TensorDtype | None = None) -> torch.Tensor:
    """Return many rows as one tensor; a tensor of the right type is shared, all else is copied.

    Args:
        values: A tensor, an array, or any sequence of rows, in which None, NA and NaN are rows of NaN.
        dtype: None for the type that the rows have: NumPy's for numbers, that of the first row for tensors.

    Raises:
        TypeError: a value does not fit the type, or is missing where the type has no NaN.
        ValueError: a row has another shape.
    """
    plain = _as_one_tensor(values)
    if plain is None:
        listed = list(values)
        dtype = _guess(listed) if dtype is None else dtype
        rows = [row_of(value, dtype) for value in listed]
        return torch.stack(rows) if rows else torch.empty((0, *dtype.shape), dtype=dtype.element)
    if dtype is None:
        return plain
    if plain.dim() == 1 and dtype.shape:  # numbers, each of which stands for a row of nothing else
        plain = plain.reshape(-1, *[1] * len(dtype.shape)).expand(-1, *dtype.shape).contiguous()
    if tuple(plain.shape[1:]) != dtype.shape:
        raise ValueError(f"A row of {dtype} has shape {dtype.shape}; got one of shape {tuple(plain.shape[1:])}.")
    return fit(plain, dtype)


def _as_one_tensor(values: Any) -> torch.Tensor | None:
    """Return what torch or NumPy read in one step as numbers, and None where each row has to be looked at."""
    tensor = getattr(values, "tensor", values)
    if isinstance(tensor, torch.Tensor):
        return tensor
    if isinstance(values, (list, tuple)) and (not values or _holds_rows(values)):
        return None
    if isinstance(values, pd.api.extensions.ExtensionArray) and pd.isna(values).any():
        return None  # NumPy would read the whole as objects
    try:
        # NumPy reads Python floats as float64, torch as float32; a copy, since what pandas hands out is often read-only
        array = np.array(values)
    except ValueError:  # rows of different lengths
        return None
    return torch.from_numpy(array) if array.dtype.kind in "biufc" else None


def _guess(listed: list[Any]) -> TensorDtype:
    """Return the type of the first row that there is; float64 where it has no NaN and another row is missing."""
    first = next((value for value in listed if not is_missing(value)), math.nan)
    row = _one_row(first, TensorDtype())
    dtype = TensorDtype(row.dtype, tuple(row.shape)) if listed else TensorDtype()
    without_nan = not dtype.can_be_missing and any(map(is_missing, listed))
    return TensorDtype(torch.float64, dtype.shape) if without_nan else dtype


def row_of(value: Any, dtype: TensorDtype) -> torch.Tensor:
    """Return one row; a number stands for a row of nothing else, a missing value for a row of NaN.

    Raises:
        TypeError: it does not fit the type, or is missing where the type has no NaN.
        ValueError: it has another shape.
    """
    if is_missing(value):
        if not dtype.can_be_missing:
            raise _no_missing_value(dtype)
        return torch.full(dtype.shape, math.nan, dtype=dtype.element)
    row = _one_row(value, dtype)
    if row.dim() and tuple(row.shape) != dtype.shape:
        raise ValueError(f"A row of {dtype} has shape {dtype.shape}; got one of shape {tuple(row.shape)}.")
    if not row.dim() and dtype.can_be_missing and not row.is_complex():
        row = row.double()  # an integer of Python's may be rounded, since it has no type that would be kept
    return fit(row, dtype).expand(dtype.shape)


def _one_row(value: Any, dtype: TensorDtype) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    array = np.array(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{value!r:.60} does not fit {dtype}; convert the column first.")
    return torch.from_numpy(array)


def row_of_text(text: Any, dtype: TensorDtype) -> Any:
    """Return the row that a cell of a text file stands for: a number, or a list of numbers in brackets.

    Raises:
        ValueError: it is none.
    """
    if is_missing(text) or not text.strip():
        return None
    try:
        if dtype.shape:
            return json.loads(re.sub(r"\bnan\b", "NaN", re.sub(r"\binf\b", "Infinity", text)))
        return _TRUTH[text.strip().lower()] if dtype.kind == "b" else dtype.type(text)
    except (ValueError, KeyError) as error:
        form = "numbers in brackets, as in [1.5, 2.0]" if dtype.shape else f"a value of type {dtype.type.__name__}"
        raise ValueError(f"{text!r:.60} is no row of {dtype}; expected {form}.") from error


_TRUTH = {"true": True, "false": False, "1": True, "0": False}


# --- types ------------------------------------------------------------------------------------------------------------


def fit(plain: torch.Tensor, dtype: TensorDtype) -> torch.Tensor:
    """Return elements in the type of a column: floats may be rounded to narrower ones, nothing else changes a value.

    Raises:
        TypeError: an integer or a boolean type can't hold a value, a floating type can't hold an integer, or a number
            would become infinite.
    """
    element = dtype.element
    if plain.dtype == element:
        return plain
    if (plain.is_floating_point() and dtype.can_be_missing) or (plain.is_complex() and element.is_complex):
        return _rounded(plain, dtype)
    try:
        return exact_tensor(plain, element)
    except MisfitError as misfit:
        if is_missing(misfit.value):
            raise _no_missing_value(dtype) from misfit
        raise TypeError(f"{misfit.value} does not fit {dtype}; convert the column first.") from misfit


def _rounded(plain: torch.Tensor, dtype: TensorDtype) -> torch.Tensor:
    rounded = plain.to(dtype.element)
    if rounded.itemsize < plain.itemsize and not plain.is_meta:
        lost = computable(plain.detach()).isfinite() & ~computable(rounded.detach()).isfinite()
        if lost.any():
            raise TypeError(f"{plain[lost][0].item()} does not fit {dtype}; convert the column first.")
    return rounded


def _no_missing_value(dtype: TensorDtype) -> TypeError:
    return TypeError(f"{dtype} has no missing value; convert the column to floating point first.")


def with_room_for_nan(tensor: torch.Tensor) -> torch.Tensor:
    """Return floats and complex numbers as they are, integers and booleans as float64, as in pandas.

    Raises:
        TypeError: float64 can't hold one of the integers; a value above 2**53 may be one.
    """
    dtype = dtype_of(tensor)
    return tensor if dtype.can_be_missing else fit(tensor, TensorDtype(torch.float64, dtype.shape))


def computable(tensor: torch.Tensor) -> torch.Tensor:
    """Return the values in a type that torch computes with; some types it can only store.

    Raises:
        TypeError: a uint64 above 2**63 - 1.
    """
    if tensor.is_floating_point() and tensor.element_size() == 1:
        return tensor.float()
    if tensor.dtype in _ONLY_STORED:
        return fit(tensor, TensorDtype(torch.int64))
    return tensor
