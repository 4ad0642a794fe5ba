"""The numbers of a column, whatever kind of column holds them: of NumPy, nullable, texts, objects, or lists."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pandas.api.extensions import ExtensionArray
from pandas.arrays import ArrowExtensionArray, NumpyExtensionArray

from fireworks.message.columns import Column, Positions
from fireworks.message.conversion import texts
from fireworks.message.conversion.exact import (
    NUMBER_KINDS,
    Array,
    Flags,
    MisfitError,
    as_shared_tensor,
    exact,
    numpy_of,
)
from fireworks.message.conversion.kinds import NoConversionError, arrow_of, cells_of, is_arrow, is_objects, is_text
from fireworks.message.conversion.lists import (
    Digits,
    arrow_elements,
    decode_json,
    fixed_size_lists,
    is_list,
    object_elements,
    shape_of_lists,
)

_SPELLINGS = {bool: "bool", float: "float64", complex: "complex128", str: "text", Digits: "text"}
_LONG = "gG"  # NumPy's letters of the numbers that torch lacks, longdouble and its complex


# --- in a type that is wanted -----------------------------------------------------------------------------------------


def numbers_of(column: Column, dtype: np.dtype[Any]) -> tuple[Array, Flags]:
    """Return the numbers of a column in one of NumPy's types, and which rows have none.

    NaN is a number where the type has it, and missing where it has not.

    Raises:
        MisfitError: a value is no number of the type.
        NoConversionError: no row of the column holds one number.
    """
    if isinstance(column, torch.Tensor):
        if column.dim() > 1:
            raise NoConversionError
        column = numpy_of(column)
    if isinstance(column, np.ndarray) and column.dtype.kind in NUMBER_KINDS:
        return _exact_or_missing(column, np.zeros(len(column), dtype=bool), dtype)
    if is_text(column) or is_objects(column) or is_arrow(column, pa.types.is_decimal):
        return _numbers_of_objects(cells_of(column), dtype)
    if isinstance(column, ExtensionArray) and column.dtype.kind in "biuf":
        missing = np.asarray(column.isna())
        plain = np.dtype(cast("Any", column.dtype).numpy_dtype)
        return _exact_or_missing(column.to_numpy(dtype=plain, na_value=plain.type()), missing, dtype)
    raise NoConversionError


def _exact_or_missing(values: Array, missing: Flags, dtype: np.dtype[Any]) -> tuple[Array, Flags]:
    if values.dtype.kind in "fc" and dtype.kind not in "fc" and (nan := np.isnan(values)).any():
        return exact(np.where(nan, 0, values), dtype), missing | nan
    return exact(values, dtype), missing


def _numbers_of_objects(cells: Array, dtype: np.dtype[Any]) -> tuple[Array, Flags]:
    """Convert Python values kind by kind, because NumPy would bring an int and a float to one type first."""
    missing = np.asarray(pd.isna(cells))
    values = np.zeros(len(cells), dtype=dtype)
    for spelling, rows in _by_spelling(cells, np.flatnonzero(~missing)).items():
        part = cells[rows]
        try:
            if spelling == "text":
                values[rows] = texts.numbers(np.array(list(map(str, part)), dtype=object), dtype)
            else:
                values[rows] = exact(part.astype(spelling), dtype)
        except MisfitError as misfit:
            raise MisfitError(rows[misfit.position], part[misfit.position]) from None
    if dtype.kind in "fc":
        values[missing] = np.nan
        missing = np.array([cell is None or cell is pd.NA for cell in cells], dtype=bool)
    return values, missing


def _by_spelling(cells: Array, rows: Positions) -> dict[str, Positions]:
    """Return the rows of each kind of value, by the type in which they lose nothing: one of NumPy's, or ``text``."""
    kinds = set(map(type, cells[rows]))
    if len(kinds) == 1 and kinds <= _SPELLINGS.keys():
        return {_SPELLINGS[kinds.pop()]: rows}
    if kinds == {int} and min(cells[rows]) >= -(2**63) and max(cells[rows]) < 2**63:
        return {"int64": rows}
    groups: dict[str, list[int]] = {}
    for row in rows.tolist():
        groups.setdefault(_spelling(cells, row), []).append(row)
    return {spelling: np.array(group) for spelling, group in groups.items()}


def _spelling(cells: Array, row: int) -> str:
    cell = cells[row]
    if isinstance(cell, np.number) or (isinstance(cell, torch.Tensor) and cell.numel() == 1):
        cell = cell.item()
    if isinstance(cell, (str, Decimal)):
        return "text"
    if isinstance(cell, (bool, np.bool_)):
        return "bool"
    if isinstance(cell, int):
        return "int64" if -(2**63) <= cell < 2**63 else "uint64" if 0 < cell < 2**64 else "text"
    if isinstance(cell, float):
        return "float64"
    if isinstance(cell, complex):
        return "complex128"
    raise MisfitError(row, cells[row])


def filled(values: Array, missing: Flags) -> Array:
    """Return the numbers with NaN for what is missing.

    Raises:
        MisfitError: something is missing, and the type has no NaN.
    """
    if not missing.any():
        return values
    if values.dtype.kind not in "fc":
        raise MisfitError(int(np.argmax(missing)), None)
    values = values.copy()
    values[missing] = np.nan
    return values


def elements_of(column: Column, shape: tuple[int, ...]) -> Column:
    """Return the elements of all rows, which are lists of one shape, end to end.

    Args:
        column: Lists of Arrow or of Python, or texts that spell them in JSON.
        shape: Of each row.

    Shapes:
        ``(rows, *shape)`` -> ``(rows * product of shape,)``.

    Raises:
        MisfitError: a row is missing or has another shape.
        NoConversionError: the column holds no lists.
    """
    if is_arrow(column, is_list, is_arrow_tensor):
        return ArrowExtensionArray(arrow_elements(arrow_of(column), shape))
    if not (is_text(column) or is_objects(column)):
        raise NoConversionError
    return NumpyExtensionArray(object_elements(decode_json(cells_of(column), keep_digits=True), shape))


@contextmanager
def per_row(num_elements: int) -> Iterator[None]:
    """Turn the position of an element that does not fit into that of its row."""
    try:
        yield
    except MisfitError as misfit:
        raise MisfitError(misfit.position // num_elements, misfit.value, misfit.why) from None


# --- in the type that they have ---------------------------------------------------------------------------------------


def tensor_of(column: Column) -> torch.Tensor:
    """Return a column of numbers, or of lists of numbers that are all of one length, as a tensor of its own type.

    Memory is shared wherever NumPy, Arrow and torch can.

    Raises:
        MisfitError: a value is missing (None), or a list has another length than the first one.
        NoConversionError: it holds something else.
    """
    if is_arrow(column, is_list, is_arrow_tensor):
        return _tensor_of_lists(arrow_of(column))
    if isinstance(column, pd.arrays.SparseArray):
        column = np.asarray(column.to_dense())
    if isinstance(column, ExtensionArray) and column.dtype.kind in "biuf":
        missing = np.asarray(column.isna())
        if missing.any():
            raise MisfitError(int(np.argmax(missing)), None)
        column = column.to_numpy(dtype=cast("Any", column.dtype).numpy_dtype)
    if not isinstance(column, np.ndarray) or column.dtype.kind not in NUMBER_KINDS or column.dtype.char in _LONG:
        raise NoConversionError
    return as_shared_tensor(column)


def _tensor_of_lists(array: pa.Array) -> torch.Tensor:
    shape = shape_of_lists(array)
    flat = ArrowExtensionArray(arrow_elements(array, shape))
    with per_row(math.prod(shape)):
        rows = tensor_of(flat).reshape(len(array), *shape)
    order = getattr(array.type, "permutation", None) or range(len(shape))
    return rows.permute(0, *(axis + 1 for axis in order))


def frame_column(tensor: torch.Tensor) -> Column:
    """Return a tensor as a column of pandas' kind: NumPy's for one number per row, Arrow's lists for more; shared.

    Raises:
        TypeError: neither can hold the numbers: quantized ones, lists of complex ones, none at all on ``meta``.
    """
    values = numpy_of(tensor)
    if values.ndim == 1:
        return values
    if values.dtype.kind == "c":
        raise TypeError("Arrow has no complex numbers.")
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return ArrowExtensionArray(fixed_size_lists(flat, values.shape[1:], len(values)))


def is_arrow_tensor(kind: pa.DataType) -> bool:
    """Tell whether an Arrow type is that of tensors of one shape."""
    return isinstance(kind, pa.FixedShapeTensorType)
