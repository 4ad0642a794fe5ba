"""One column as a message stores it, and the few things that can be done to it.

A column is one of three raw arrays, never a Series (slicing a Series costs seven times as much):

- a ``torch.Tensor`` of at least one dimension, the first of which counts the rows;
- a one-dimensional ``numpy.ndarray`` of numbers, booleans, dates or durations;
- a pandas ``ExtensionArray`` for all the rest: strings, categories, nullable numbers, dates with a zone, objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
import torch
from pandas.api.extensions import ExtensionArray

from fireworks.errors import ColumnTypeError, SchemaMismatchError
from fireworks.message.schema import Field
from fireworks.message.tensor_array import TensorArray, dtype_name

Column: TypeAlias = "torch.Tensor | np.ndarray[Any, Any] | ExtensionArray"
Positions: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_RAW_KINDS = frozenset("biufcmM")  # what NumPy itself stores with one fixed width


def as_column(name: str, value: Any) -> Column:
    """Turn what a user passes as a column into a stored one, sharing memory wherever that is possible.

    Args:
        name: The column's name, for the error.
        value: A tensor, array, Series, Index, Arrow array, list, tuple or range.

    Raises:
        ColumnTypeError: it is a scalar or a string, or has no rows to count (0-d), or is an array of two or more
            dimensions that is not a tensor.
    """
    if isinstance(value, torch.Tensor):
        if value.dim() == 0:
            raise ColumnTypeError(
                f"Message: column {name!r} is a tensor without dimensions; the first dimension counts the rows, "
                f"so write {name}.reshape(1) for one row."
            )
        return value
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in _RAW_KINDS:
        return value
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise ColumnTypeError(
            f"Message: column {name!r} is an array of {value.ndim} dimensions, shape {value.shape}; "
            "only tensors may have more or fewer than one: pass torch.from_numpy(array)."
        )
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        raise ColumnTypeError(
            f"Message: column {name!r} is {value!r:.60} of type {type(value).__name__}; a column needs one value "
            "per row: pass a tensor, an array or a list."
        )
    return _through_pandas(value)


def _through_pandas(value: Any) -> Column:
    if isinstance(value, ExtensionArray):
        array: Any = value
    elif type(value).__module__.partition(".")[0] == "pyarrow":
        array = pd.Series(value, dtype=pd.ArrowDtype(value.type)).array
    elif isinstance(value, (pd.Series, pd.Index)):
        array = value.array
    else:
        array = pd.Series(value if isinstance(value, (list, np.ndarray)) else list(value)).array
    if isinstance(array, TensorArray):
        return array.tensor
    if isinstance(array, pd.arrays.NumpyExtensionArray) and array.dtype.kind in _RAW_KINDS:
        return cast("np.ndarray[Any, Any]", array.to_numpy())
    # pandas wraps NumPy's dates without a zone; they are stored bare, like numbers.
    if isinstance(array, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)) and isinstance(array.dtype, np.dtype):
        return array.to_numpy()
    return cast("ExtensionArray", array)


def take(column: Column, positions: Positions) -> Column:
    """Return the rows at ``positions`` in that order, as a copy. Positions are known to be in range."""
    if isinstance(column, torch.Tensor):
        return column.index_select(0, torch.from_numpy(positions).to(column.device))
    return column.take(positions)


def to_series(name: str, column: Column) -> pd.Series[Any]:
    """Return the column as a Series that shares its memory."""
    return pd.Series(to_pandas_array(column), name=name, copy=False)


def to_pandas_array(column: Column) -> Any:
    """Return what pandas stores for the column: a tensor travels inside a `TensorArray`."""
    return TensorArray(column) if isinstance(column, torch.Tensor) else column


def field_of(name: str, column: Column) -> Field:
    """Describe a column."""
    if isinstance(column, torch.Tensor):
        return Field(name, "tensor", dtype_name(column.dtype), tuple(column.shape[1:]), column.element_size())
    dtype = column.dtype
    fixed = isinstance(column, np.ndarray) or getattr(dtype, "kind", "O") in _RAW_KINDS
    return Field(name, "array", str(dtype), (), getattr(dtype, "itemsize", None) if fixed else None)


def equal(left: Column, right: Column) -> bool:
    """Compare two columns by type, shape, device and value; NaN equals NaN and null equals null."""
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and _tensors_equal(left, right)
    if left.dtype != right.dtype or len(left) != len(right):
        return False
    return pd.Series(left, copy=False).equals(pd.Series(right, copy=False))


def _tensors_equal(left: torch.Tensor, right: torch.Tensor) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape or left.device != right.device:
        return False
    if torch.equal(left, right):
        return True
    if not (left.is_floating_point() or left.is_complex()):
        return False
    return bool(((left == right) | ((left != left) & (right != right))).all())


def concat_columns(name: str, columns: Sequence[Column]) -> Column:
    """Join columns end to end.

    Raises:
        SchemaMismatchError: the columns differ in type, in the shape of a row, or in device.
    """
    first = columns[0]
    if isinstance(first, torch.Tensor):
        tensors = [column for column in columns if isinstance(column, torch.Tensor)]
        kinds = {(column.dtype, column.shape[1:], column.device) for column in tensors}
        if len(tensors) < len(columns) or len(kinds) > 1:
            raise _mismatch(name, columns)
        return torch.cat(tensors)
    if any(isinstance(column, torch.Tensor) or column.dtype != first.dtype for column in columns):
        raise _mismatch(name, columns)
    if isinstance(first, np.ndarray):
        return np.concatenate(cast("Sequence[np.ndarray[Any, Any]]", columns))
    return cast("ExtensionArray", type(first)._concat_same_type(columns))  # type: ignore[attr-defined]  # not in the stubs


def _mismatch(name: str, columns: Sequence[Column]) -> SchemaMismatchError:
    kinds: dict[str, int] = {}
    for number, column in enumerate(columns):
        device = f" on {column.device}" if isinstance(column, torch.Tensor) else ""
        kinds.setdefault(f"{field_of(name, column)}{device}", number)
    (one, first), (other, second), *_ = kinds.items()
    return SchemaMismatchError(
        f"concat: column {name!r} differs: {one!r} in message {first}, {other!r} in message {second}. "
        "Convert one of them first."
    )
