"""Columns whose rows are lists: of Arrow, of Python, or spelled as JSON. Taken apart into elements, and put together."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch

from fireworks.message.conversion.exact import Array, MisfitError, numpy_of

_LIST_KINDS: tuple[Callable[[Any], bool], ...] = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)


class Digits(str):
    """A number as JSON spells it."""

    __slots__ = ()

    __repr__ = str.__str__  # in an error, as it was written


def is_list(kind: Any) -> bool:
    """Tell whether an Arrow type is one of lists."""
    return any(is_kind(kind) for is_kind in _LIST_KINDS)


def arrow_elements(array: Any, shape: tuple[int, ...]) -> Any:
    """Return the elements of an Arrow array of lists of one shape, end to end; those of fixed size are not copied.

    Args:
        array: Lists of lists as deep as the shape, or lists of as many elements as the shape has, in C order.
        shape: Of each row.

    Shapes:
        ``(rows, *shape)`` -> ``(rows * product of shape,)``.

    Raises:
        MisfitError: a row is missing or has another shape.
    """
    if isinstance(array, pa.ExtensionArray):  # the tensors of Arrow's own extension type
        array = array.storage
    if 0 in shape:
        return _no_elements(array, shape)
    rows, before = array, 1
    for size in shape if is_list(array.type.value_type) else (math.prod(shape),):
        lengths = pc.list_value_length(array).fill_null(-1).to_numpy(zero_copy_only=False)
        if len(wrong := np.flatnonzero(lengths != size)):
            row = int(wrong[0]) // before
            raise _misfit(row, rows[row].as_py(), shape)
        before *= size
        array = array.flatten()
    return array


def _no_elements(array: Any, shape: tuple[int, ...]) -> Any:
    """Where a size is 0, a row may be spelled as any list that holds nothing: [], [[], []]."""
    for row, value in enumerate(array.to_pylist()):
        if value is None or np.array(value, dtype=object).size:
            raise _misfit(row, value, shape)
    while is_list(array.type):
        array = pa.array([], type=array.type.value_type)
    return array


def shape_of_lists(array: Any) -> tuple[int, ...]:
    """Return the shape of the first row of an Arrow array of lists, and of every row where the type says so.

    Raises:
        MisfitError: the first row is missing.
    """
    if isinstance(array, pa.ExtensionArray):
        return tuple(array.type.shape)
    shape: tuple[int, ...] = ()
    while is_list(array.type):
        if not pa.types.is_fixed_size_list(array.type) and array[:1].null_count:
            raise MisfitError(0, None)
        fixed = array.type.list_size if pa.types.is_fixed_size_list(array.type) else None
        shape = (*shape, len(array[0]) if fixed is None and len(array) else fixed or 0)
        array = array.flatten()
    return shape


def object_elements(cells: Iterable[Any], shape: tuple[int, ...]) -> Array:
    """Return the elements of lists, tuples, arrays and tensors of one shape, end to end, as an array of objects.

    Raises:
        MisfitError: a row is missing or has another shape.
    """
    rows = [nested(cell) for cell in cells]
    for number, row in enumerate(rows):
        own = np.array(row, dtype=object).shape if isinstance(row, (list, np.ndarray)) else None
        if own != shape and not (own is not None and 0 in shape and 0 in own):
            raise _misfit(number, row, shape)
    if 0 in shape:
        return np.empty(0, dtype=object)
    return np.array(rows, dtype=object).reshape(-1) if rows else np.empty(0, dtype=object)


def _misfit(row: int, value: Any, shape: tuple[int, ...]) -> MisfitError:
    if value is None or value is pd.NA:
        return MisfitError(row, None)
    return MisfitError(row, value, f"has another shape than {list(shape)}")


def nested(cell: Any) -> Any:
    """Return a tensor as an array, a tuple as a list, and what they hold the same way; anything else as it is."""
    if isinstance(cell, torch.Tensor):
        return numpy_of(cell) if cell.dim() else cell.item()
    return [nested(item) for item in cell] if isinstance(cell, (list, tuple)) else cell


def decode_json(cells: Array, *, keep_digits: bool) -> Array:
    """Return the values that texts spell in JSON; what is no text stays as it is.

    Args:
        cells: One value per row.
        keep_digits: Whether numbers shall stay texts, so that no digit is lost before their type is known.

    Raises:
        MisfitError: a text is no JSON.
    """
    spelled: dict[str, Any] = (
        {"parse_float": Digits, "parse_int": Digits, "parse_constant": Digits} if keep_digits else {}
    )
    decoded = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        try:
            decoded[row] = json.loads(cell, **spelled) if isinstance(cell, str) else cell
        except ValueError:
            raise MisfitError(row, cell) from None
    return decoded


def fixed_size_lists(elements: Any, shape: tuple[int, ...], num_rows: int) -> Any:
    """Return an Arrow array of lists of lists of fixed sizes over an array of elements, which is shared.

    Shapes:
        ``(num_rows * product of shape,)`` -> ``(num_rows, *shape)``.

    Example:
        >>> fixed_size_lists(pa.array([1, 2, 3, 4]), (2,), 2).to_pylist()
        [[1, 2], [3, 4]]
    """
    counts = [num_rows * math.prod(shape[:depth]) for depth in range(len(shape))]
    for size, count in zip(reversed(shape), reversed(counts), strict=True):
        # from_arrays refuses lists of size 0
        elements = pa.Array.from_buffers(pa.list_(elements.type, size), count, [None], children=[elements])
    return elements
