"""Between tensors and Arrow arrays of numbers, of lists of one size, and of Arrow's own tensors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.conversion.exact import Array, as_shared_tensor, numpy_of


def array_of_tensor(tensor: torch.Tensor, *, name: str = "") -> Any:
    """Return a tensor as an Arrow array of its values, one element per row; a contiguous one in main memory is shared.

    Booleans are copied, since Arrow keeps them as bits, and so are bfloat16 and the 8-bit floats, which become float32:
    it holds every value of them. Gradients stay behind.

    Args:
        tensor: On any device; what is not in main memory is copied there.
        name: The column's name, for the error.

    Shapes:
        ``(rows,)`` -> plain numbers; ``(rows, *rest)`` -> the canonical ``arrow.fixed_shape_tensor`` of shape ``rest``;
        complex numbers have one dimension more, of size 2: the real and the imaginary part. Rows without elements are
        empty lists, since neither polars nor Parquet can read lists of the fixed size 0.

    Raises:
        ColumnTypeError: the tensor's type is none of these, such as a quantized one.

    Source:
        the Arrow columnar format, canonical extension types, "Fixed shape tensor".
    """
    try:
        values = np.ascontiguousarray(numpy_of(tensor))
    except TypeError as error:
        raise ColumnTypeError(
            f"Message.to_arrow: column {name!r} is a {tensor.dtype} tensor on {tensor.device}: {error} Convert it, or "
            "leave it out with drop."
        ) from error
    return array_of_rows(values)


def array_of_rows(values: Array) -> Any:
    """Return numbers of NumPy, in one piece, as the Arrow array that `array_of_tensor` makes of them; shared.

    Shapes:
        ``(rows, *rest)``, as there.
    """
    if values.dtype.kind == "c":
        values = values.view(values.real.dtype).reshape(*values.shape, 2)
    shape = values.shape[1:]
    flat = pa.array(values.reshape(-1))
    if not shape:
        return flat
    if 0 in shape:
        return pa.ListArray.from_arrays(np.zeros(len(values) + 1, dtype=np.int32), flat)
    rows = pa.FixedSizeListArray.from_arrays(flat, math.prod(shape))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(flat.type, shape), rows)


def tensor_of_array(array: Any, *, share: bool = False) -> torch.Tensor:
    """Return an Arrow array of numbers, of fixed-size lists of them or of fixed-shape tensors as a tensor.

    Args:
        array: An Array or a ChunkedArray. Dimensions that Arrow keeps permuted come out in their logical order.
        share: Use Arrow's memory where it is one piece, instead of copying it. A tensor can't be read-only, so this is
            for memory that nobody else looks at, and never for a mapped file, where a write ends the process.

    Shapes:
        numbers -> ``(rows,)``; lists of lists of sizes a and b -> ``(rows, a, b)``; tensors -> ``(rows, *shape)``.

    Raises:
        ColumnTypeError: it holds something else.
        ColumnValueError: a row, or an element of one, is null.
    """
    layout = layout_of(array.type)
    if layout is None:
        raise ColumnTypeError(f"Message: an Arrow array of {array.type} has no rows of numbers of one shape.")
    pieces = [_elements(chunk) for chunk in _chunks(array)]
    if any(piece is None for piece in pieces):
        raise ColumnValueError(f"Message: an Arrow array of {array.type} has nulls, which a tensor can't hold.")
    values = [piece.to_numpy(zero_copy_only=False) for piece in pieces] or [_no_numbers(layout.element)]
    flat = as_shared_tensor(values[0] if share and len(values) == 1 else np.concatenate(values))
    rows = flat.reshape(len(array), *layout.shape)
    return rows.permute(0, *(axis + 1 for axis in layout.order)) if layout.order else rows


class _Layout(NamedTuple):
    """How the elements of a row lie in Arrow: their type, the sizes in memory, and the order of the dimensions."""

    element: Any
    shape: tuple[int, ...]
    order: tuple[int, ...] = ()


def layout_of(kind: Any) -> _Layout | None:
    """Return the layout of a type whose rows are numbers of one shape, and None for any other type."""
    if isinstance(kind, pa.FixedShapeTensorType):
        return _Layout(kind.value_type, tuple(kind.shape), tuple(kind.permutation or ()))
    shape: tuple[int, ...] = ()
    while pa.types.is_fixed_size_list(kind):
        shape, kind = (*shape, kind.list_size), kind.value_type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return _Layout(kind, shape) if is_number else None


def _elements(array: Any) -> Any:
    """Return the numbers of an array of rows, end to end, or None where anything is null."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    while pa.types.is_fixed_size_list(array.type) and not array.null_count:
        array = array.flatten()
    return None if array.null_count else array


def has_nulls(array: Any) -> bool:
    """Tell whether an array that has a layout misses a row or an element of one."""
    return any(_elements(chunk) is None for chunk in _chunks(array))


def _chunks(array: Any) -> list[Any]:
    return list(array.chunks) if isinstance(array, pa.ChunkedArray) else [array]


def _no_numbers(element: Any) -> Array:
    return np.empty(0, dtype=element.to_pandas_dtype())
