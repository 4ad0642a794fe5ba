"""One column as a message stores it, and the few things that can be done to it.

A column is one of three raw arrays, never a Series (slicing a Series costs seven times as much):

- a ``torch.Tensor`` of at least one dimension, the first of which counts the rows;
- a one-dimensional ``numpy.ndarray`` of numbers, booleans, dates or durations;
- a pandas ``ExtensionArray`` for all the rest: strings, categories, nullable numbers, dates with a zone, objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
import torch
from pandas.api.extensions import ExtensionArray
from pandas.arrays import NumpyExtensionArray
from torch.compiler import is_dynamo_compiling

from fireworks.errors import ColumnTypeError
from fireworks.message.arrays.tensor_array import TensorArray, dtype_name
from fireworks.message.frames.copy_on_write import lock, locked, protect
from fireworks.message.schema import Field

Column: TypeAlias = "torch.Tensor | np.ndarray[Any, Any] | ExtensionArray"
Positions: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_IN_NUMPY = frozenset(
    dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype) and dtype_name(dtype) in np.sctypeDict
)
_RAW_KINDS = frozenset("biufcmM")  # what NumPy itself stores with one fixed width
_WITHOUT_INDEX_SELECT = frozenset({torch.uint16, torch.uint32, torch.uint64})
_FEW = 4096  # elements; torch divides work among threads from 32,768 on


def as_column(name: str, value: Any) -> Column:
    """Turn what a user passes as a column into a stored one, sharing memory wherever that is possible.

    Args:
        name: The column's name, for the error.
        value: A tensor, array, Series, Index, Arrow array, list, tuple or range.

    Raises:
        ColumnTypeError: it is a scalar or a string, or has no rows to count (0-d), or has no order (a set), or is a
            table, or is an array of two or more dimensions that is not a tensor.
    """
    if isinstance(value, torch.Tensor):
        if value.dim() == 0:
            raise ColumnTypeError(
                f"Message: column {name!r} is a tensor without dimensions; the first dimension counts the rows, "
                f"so write {name}.reshape(1) for one row."
            )
        if value.layout is not torch.strided:
            raise ColumnTypeError(
                f"Message: column {name!r} is a tensor of layout {value.layout}, which has no rows to slice; "
                "pass tensor.to_dense()."
            )
        # a conjugate or a negative that torch has put off: NumPy can't read it; torch.compile can't ask
        delayed = is_dynamo_compiling() or value.is_conj() or value.is_neg()
        return value.resolve_conj().resolve_neg() if delayed else value
    if isinstance(value, np.ndarray):
        return _of_array(name, value)
    is_table = isinstance(value, Mapping) or hasattr(value, "columns")
    if is_table or isinstance(value, (str, bytes, set, frozenset)) or not hasattr(value, "__len__"):
        raise ColumnTypeError(
            f"Message: column {name!r} is {value!r:.60} of type {type(value).__name__}; a column needs one value "
            "per row: pass a tensor, an array or a list."
        )
    return _through_pandas(value)


def _of_array(name: str, array: np.ndarray[Any, Any]) -> Column:
    if array.ndim != 1:
        raise ColumnTypeError(
            f"Message: column {name!r} is an array of {array.ndim} dimensions, shape {array.shape}; "
            "only tensors may have more or fewer than one: pass torch.from_numpy(array)."
        )
    kind = array.dtype.kind
    if kind == "V":
        raise ColumnTypeError(
            f"Message: column {name!r} is an array of records, {array.dtype}; pass each field as a column of its own."
        )
    if kind in "biufc" and not isinstance(array, np.ma.MaskedArray):
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    # S and T are NumPy's own bytes and texts, which pandas lacks
    return _through_pandas(array.tolist() if kind in "ST" else array)


def _through_pandas(value: Any) -> Column:
    if isinstance(value, ExtensionArray):
        array: Any = value
    elif isinstance(value, (pd.Series, pd.Index)) and not isinstance(value, pd.MultiIndex):
        # what its owner writes to a Series from now on goes to a copy
        array = (protect(value) if isinstance(value, pd.Series) else value).array
    elif type(value).__module__.partition(".")[0] == "pyarrow" and not _holds_tensors(value):
        array = pd.Series(value, dtype=pd.ArrowDtype(value.type)).array
    elif hasattr(value, "__arrow_c_array__") or hasattr(value, "__arrow_c_stream__"):  # or a Series of polars
        from fireworks.message.interchange.arrow_columns import column_of_data

        return column_of_data(value)
    else:
        array = pd.Series(value if isinstance(value, (list, range, np.ndarray)) else list(value), copy=False).array
    if isinstance(array, TensorArray):
        return array.tensor
    if isinstance(array, NumpyExtensionArray) and array.dtype.kind in _RAW_KINDS:
        return cast("np.ndarray[Any, Any]", array.to_numpy())
    # pandas wraps NumPy's dates without a zone; they are stored bare, like numbers.
    if isinstance(array, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)) and isinstance(array.dtype, np.dtype):
        return array.to_numpy()
    return cast("ExtensionArray", array)


def _holds_tensors(array: Any) -> bool:
    return getattr(array.type, "extension_name", None) == "arrow.fixed_shape_tensor"


def take(columns: Mapping[str, Column], positions: Positions, index: torch.Tensor | None = None) -> dict[str, Column]:
    """Return the rows at ``positions`` in that order, as copies; ``index`` is the same as a tensor, where there is one.

    Raises:
        IndexError: a position is past the end. A negative one may be that too: not every kind of column counts from the
            end.
    """
    if index is None:
        index = torch.from_numpy(positions)
    return {name: _take(column, positions, index) for name, column in columns.items()}


def _take(column: Column, positions: Positions, index: torch.Tensor) -> Column:
    # NumPy gathers for tensors in main memory too: one thread of it is as quick as two of torch, and where another
    # process wants a core it is four times as quick, because it waits for no other thread. For the few numbers of
    # one batch torch starts none, and has less to do around them.
    if isinstance(column, torch.Tensor):
        if column.is_cpu and column.dtype in _IN_NUMPY and column.is_contiguous() and not column.requires_grad:
            if column.dim() == 1 and len(positions) <= _FEW and column.dtype not in _WITHOUT_INDEX_SELECT:
                return column.index_select(0, index)
            return torch.from_numpy(column.numpy().take(positions, axis=0))
        if not column.is_cpu and len(positions) and positions.view(np.uint64).max() >= len(column):
            raise IndexError("past the end")  # which a device would not say: CUDA ends the process
        index = index.to(column.device)
        return column[index] if column.dtype in _WITHOUT_INDEX_SELECT else column.index_select(0, index)
    return column.take(positions)


def compact(column: Column) -> Column:
    """Return the column, or a copy of its own where it is part of a larger tensor, which pickle would write whole."""
    if not isinstance(column, torch.Tensor) or column.untyped_storage().nbytes() <= column.nbytes:
        return column
    return column.detach().clone().requires_grad_(column.requires_grad)


def to_series(name: str, column: Column, index: pd.Index[Any] | None = None) -> pd.Series[Any]:
    """Return the column as a Series that shares its memory; a tensor travels inside a `TensorArray`.

    Nothing that is written to the Series, or to the array inside it, reaches the column.
    """
    if isinstance(column, torch.Tensor):
        return protect(pd.Series(lock(TensorArray(column)), index, name=name, copy=False))
    if isinstance(column, np.ndarray) or type(column) is NumpyExtensionArray:
        array = np.asarray(column)  # without its dtype, objects that are texts would become `str`
        return protect(pd.Series(locked(array), index, name=name, dtype=array.dtype, copy=False))
    return protect(pd.Series(locked(column), index, name=name, copy=False))


def field_of(name: str, column: Column) -> Field:
    """Describe a column."""
    if isinstance(column, torch.Tensor):
        return Field(name, column.dtype, tuple(column.shape[1:]))
    # pandas' texts of Python are a NumpyExtensionArray too
    return Field(name, cast("Any", column.dtype).numpy_dtype if type(column) is NumpyExtensionArray else column.dtype)


def equal(left: Column, right: Column) -> bool:
    """Compare two columns by type, shape, device and value; NaN equals NaN and null equals null."""
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and _tensors_equal(left, right)
    if left.dtype != right.dtype or len(left) != len(right):
        return False
    if isinstance(left, NumpyExtensionArray) and any(isinstance(value, torch.Tensor) for value in (*left, *right)):
        return all(_objects_equal(one, other) for one, other in zip(left, right, strict=True))
    return to_series("", left).equals(to_series("", right))


def _objects_equal(left: object, right: object) -> bool:
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and _tensors_equal(left, right)
    return pd.Series([left], dtype=object).equals(pd.Series([right], dtype=object))


def _tensors_equal(left: torch.Tensor, right: torch.Tensor) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape or left.device != right.device:
        return False
    if left.is_floating_point() and left.element_size() == 1:
        left, right = left.float(), right.float()  # torch can't compare its 8-bit floats
    if torch.equal(left, right):
        return True
    if not (left.is_floating_point() or left.is_complex()):
        return False
    return bool(((left == right) | ((left != left) & (right != right))).all())
