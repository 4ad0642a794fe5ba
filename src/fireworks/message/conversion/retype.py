"""One column in the type of a field, where nothing is lost: the conversions behind `Message(…, schema=…)`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pandas.api.extensions import ExtensionArray
from pandas.arrays import ArrowExtensionArray, NumpyExtensionArray

from fireworks.message.arrays.tensor_dtype import TensorDtype
from fireworks.message.build import empty_column
from fireworks.message.columns import Column, as_column, field_of, to_series
from fireworks.message.conversion.exact import (
    NUMBER_KINDS,
    Array,
    MisfitError,
    exact_tensor,
    from_numpy,
    numpy_dtype,
    numpy_of,
)
from fireworks.message.conversion.kinds import NoConversionError, arrow_of, cells_of, is_arrow
from fireworks.message.conversion.lists import is_list
from fireworks.message.conversion.numbers import elements_of, filled, is_arrow_tensor, numbers_of, per_row, tensor_of
from fireworks.message.conversion.times import dates_of, durations_of
from fireworks.message.interchange.arrow_types import strings_of, to_arrow
from fireworks.message.schema import Field

_UNITS = ("s", "ms", "us", "ns")
_INTERVAL = re.compile(r"([\[(])(.+), (.+)([\])])")


def retype(column: Column, field: Field) -> Column:
    """Return a column in a field's type, shared where that is its type already.

    Numbers go to every type that holds them; texts to numbers, dates, durations and, as JSON, to lists; lists of one
    shape to tensors; everything to objects and to categories. What is missing becomes NaN where a type has nothing else.

    Args:
        column: Of any type.
        field: What it shall be.

    Raises:
        MisfitError: a value does not fit; it is the first one.
        NoConversionError: no value of the one type is one of the other.
    """
    dtype: Any = field.dtype
    if isinstance(dtype, TensorDtype):
        dtype, field = dtype.element, Field(field.name, dtype.element, dtype.shape)
    if _is_already(column, dtype):
        return column
    if not len(column) and not isinstance(column, torch.Tensor):
        return empty_column(field)  # without rows, no value is lost
    try:
        return _retyped(column, dtype, tuple(field.shape))
    except MisfitError as misfit:
        if misfit.position:
            retype(
                column[: misfit.position], field
            )  # an earlier value may not fit for a reason that is looked at later
        raise
    except NoConversionError:
        if isinstance(column, torch.Tensor) or not pd.isna(column).all():
            raise
        # of a column where all is missing, the type is a guess of whoever read it
        return _retyped(NumpyExtensionArray(np.full(len(column), None)), dtype, tuple(field.shape))


def _is_already(column: Column, dtype: Any) -> bool:
    own: Any = field_of("", column).dtype
    if isinstance(own, pd.CategoricalDtype) and isinstance(dtype, pd.CategoricalDtype):
        if dtype.categories is None:
            return dtype.ordered in {None, own.ordered}
        # pandas takes the categories of one order for those of another, but their codes differ
        return own == dtype and list(own.categories) == list(dtype.categories)
    return not isinstance(own, torch.dtype) and bool(own == dtype)


def _retyped(column: Column, dtype: Any, shape: tuple[int, ...]) -> Column:
    if isinstance(dtype, torch.dtype):
        return _to_tensor(column, dtype, shape)
    if isinstance(dtype, pd.CategoricalDtype):
        return _to_categories(column, dtype)
    column = _decoded(column)
    for kind, convert in _WAYS.items():
        if isinstance(dtype, kind):
            return convert(column, dtype)
    return _to_nullable(column, dtype) if hasattr(dtype, "numpy_dtype") else _by_pandas(column, dtype)


def _decoded(column: Column) -> Column:
    """Return categories, dictionaries and sparse values as the plain values that they stand for."""
    if isinstance(column, pd.Categorical):
        values: Any = column.categories.array
        if (column.codes >= 0).all():
            return as_column("", values.take(column.codes))
        return cast("ExtensionArray", pd.array(values)).take(column.codes, allow_fill=True)
    if isinstance(column, pd.arrays.SparseArray):
        return as_column("", column.to_dense())
    if is_arrow(column, pa.types.is_dictionary):
        return ArrowExtensionArray(arrow_of(column).dictionary_decode())
    return column


# --- tensors ----------------------------------------------------------------------------------------------------------


def _to_tensor(column: Column, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    if isinstance(column, torch.Tensor):
        return _tensor_to_tensor(column, dtype, shape)
    column = _decoded(column)
    if is_arrow(column, _is_permuted):
        return _tensor_to_tensor(tensor_of(column), dtype, shape)
    if dtype.is_complex and is_arrow(column, is_list, is_arrow_tensor):
        return torch.view_as_complex(_to_tensor(column, dtype.to_real(), (*shape, 2)))
    if not shape:
        return from_numpy(filled(*numbers_of(column, numpy_dtype(dtype))), dtype)
    elements = elements_of(column, shape)
    with per_row(math.prod(shape)):
        values = from_numpy(filled(*numbers_of(elements, numpy_dtype(dtype))), dtype)
    return values.reshape(len(column), *shape)


def _tensor_to_tensor(tensor: torch.Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    own, size = tuple(tensor.shape[1:]), math.prod(shape)
    if own == shape:
        return _exact_rows(tensor, dtype)
    if dtype.is_complex and not tensor.is_complex() and own in {(*shape, 2), (2 * size,)}:
        # Arrow has no complex numbers, so they come out of it as pairs
        parts = _exact_rows(tensor, dtype.to_real()).reshape(len(tensor), *shape, 2)
        return torch.view_as_complex(parts.contiguous())
    if shape and own == (size,):  # how Arrow stores a tensor, for those who do not know its type of tensors
        return _exact_rows(tensor, dtype).reshape(len(tensor), *shape)
    raise NoConversionError


def _exact_rows(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    with per_row(tensor[:1].numel()):
        return exact_tensor(tensor, dtype)


def _is_permuted(kind: pa.DataType) -> bool:
    return is_arrow_tensor(kind) and kind.permutation is not None


# --- NumPy and pandas -------------------------------------------------------------------------------------------------


def _to_numpy(column: Column, dtype: np.dtype[Any]) -> Column:
    if dtype.kind in NUMBER_KINDS:
        return filled(*numbers_of(column, dtype.newbyteorder("=")))
    if dtype.kind in "mM":
        unit = np.datetime_data(dtype)[0]
        unit = unit if unit in _UNITS else "s"  # as pandas does
        return dates_of(column, unit, zoned=False) if dtype.kind == "M" else durations_of(column, unit)
    if dtype.kind == "O":
        return NumpyExtensionArray(cells_of(column))
    raise NoConversionError


def _to_nullable(column: Column, dtype: Any) -> ExtensionArray:
    values, missing = numbers_of(column, dtype.numpy_dtype)
    if values.dtype.kind == "f" and isinstance(column, np.ndarray):
        missing = missing | np.isnan(values)  # NumPy has nothing else to say that a number is missing
    return cast("ExtensionArray", dtype.construct_array_type()(values.copy(), missing))


def _to_categories(column: Column, dtype: pd.CategoricalDtype) -> pd.Categorical:
    if isinstance(column, pd.Categorical) and dtype.categories is None:
        return column.set_ordered(bool(dtype.ordered))
    plain = _decoded(column)
    if isinstance(plain, torch.Tensor):
        if plain.dim() > 1:
            raise NoConversionError
        plain = numpy_of(plain)
    if dtype.categories is None:
        return pd.Categorical(to_series("", plain), ordered=dtype.ordered)
    missing = np.asarray(pd.isna(plain))
    present = np.flatnonzero(~missing)
    try:
        values = retype(plain.take(present), Field("", dtype.categories.dtype))
    except MisfitError as misfit:
        raise MisfitError(present[misfit.position], misfit.value) from None
    codes = np.full(len(plain), -1)
    codes[present] = dtype.categories.get_indexer(pd.Index(to_series("", values)))
    if (unknown := (codes == -1) & ~missing).any():
        row = int(np.argmax(unknown))
        raise MisfitError(row, cells_of(plain[row : row + 1])[0], "is none of the categories")
    return pd.Categorical.from_codes(codes, dtype=dtype)


def _with_zone(instants: Array, zone: Any) -> ExtensionArray:
    return cast("ExtensionArray", pd.DatetimeIndex(instants).tz_localize("UTC").tz_convert(zone).array)


def _by_pandas(column: Column, dtype: Any) -> ExtensionArray:
    """Convert to another type of pandas, such as periods and intervals, one by one, and read every value back."""
    array_type: Any = dtype.construct_array_type()
    parts = [array_type._from_sequence([], dtype=dtype)]
    for row, cell in enumerate(cells_of(column)):
        try:
            value = _interval(cell, dtype) if isinstance(dtype, pd.IntervalDtype) and isinstance(cell, str) else cell
            parts.append(array_type._from_sequence([value], dtype=dtype))
        except (TypeError, ValueError):
            raise MisfitError(row, cell) from None
        after = parts[-1][0]
        if value is not None and value != after and value != str(after):
            raise MisfitError(row, cell)
    return cast("ExtensionArray", array_type._concat_same_type(parts))


def _interval(text: str, dtype: pd.IntervalDtype) -> pd.Interval[Any]:
    """Read an interval as pandas prints it: ``(0.5, 1.0]``."""
    found = _INTERVAL.fullmatch(text)
    closed: Any = found and {"[)": "left", "(]": "right", "[]": "both", "()": "neither"}[found[1] + found[4]]
    if found is None:
        raise ValueError(text)
    ends = retype(as_column("", [found[2], found[3]]), Field("", cast("Any", dtype.subtype)))
    left, right = to_series("", ends)
    return pd.Interval(left, right, closed)


_WAYS: dict[type, Callable[[Column, Any], Column]] = {
    np.dtype: _to_numpy,
    pd.ArrowDtype: lambda column, dtype: ArrowExtensionArray(to_arrow(column, dtype.pyarrow_dtype)),
    pd.StringDtype: lambda column, dtype: cast("ExtensionArray", pd.array(strings_of(column), dtype=dtype)),
    pd.DatetimeTZDtype: lambda column, dtype: _with_zone(dates_of(column, dtype.unit, zoned=True), dtype.tz),
    pd.SparseDtype: lambda column, dtype: pd.arrays.SparseArray(
        np.asarray(retype(column, Field("", dtype.subtype))), dtype=dtype
    ),
}
