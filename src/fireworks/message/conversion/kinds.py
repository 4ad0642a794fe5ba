"""What kind of column a column is, and its rows as Python values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pandas.api.extensions import ExtensionArray
from pandas.arrays import NumpyExtensionArray

from fireworks.message.columns import Column, to_series
from fireworks.message.conversion.exact import Array, numpy_of


class NoConversionError(TypeError):
    """No rule turns one type into another without loss."""


def is_arrow(column: Column, *kinds: Callable[[pa.DataType], bool]) -> bool:
    """Tell whether a column is one of Arrow's, of a type for which one of the functions says yes."""
    dtype = column.dtype
    return isinstance(dtype, pd.ArrowDtype) and any(is_kind(dtype.pyarrow_dtype) for is_kind in kinds)


def is_text(column: Column) -> bool:
    """Tell whether a column holds texts, of pandas or of Arrow."""
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return isinstance(column.dtype, pd.StringDtype) or is_arrow(column, *strings)


def is_objects(column: Column) -> bool:
    """Tell whether a column holds any Python objects."""
    return type(column) is NumpyExtensionArray and column.dtype.kind == "O"  # pandas' texts of Python are one too


def arrow_of(column: Any) -> pa.Array:
    """Return a column that is one of Arrow's, or that Arrow knows, as one Arrow array."""
    array = pa.array(column)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def cells_of(column: Column) -> Array:
    """Return one Python value per row, None where a type of column that has missing values misses one.

    Numbers, texts and dates are Python's and pandas'; a row of a tensor of more dimensions is a tensor.
    """
    if isinstance(column, torch.Tensor):
        return object_array(numpy_of(column).tolist() if column.dim() == 1 else column.detach())
    if isinstance(column.dtype, pd.ArrowDtype):
        return object_array(arrow_of(column).to_pylist())
    cells = np.array(to_series("", column).to_numpy(dtype=object))
    if isinstance(column, ExtensionArray) and not is_objects(column):
        cells[np.asarray(column.isna())] = None
    return cells


def object_array(values: Any) -> Array:
    """Return values as an array of objects of one dimension, even where the values are lists."""
    return np.fromiter(values, dtype=object, count=len(values))
