"""Columns whose rows hold several elements each, and not all of them as many: lengths, and elements end to end."""

from __future__ import annotations

import itertools
import math
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pandas.arrays import ArrowExtensionArray

from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.columns import Column, Positions, as_column, field_of
from fireworks.message.conversion.kinds import arrow_of, is_arrow, is_objects
from fireworks.message.conversion.lists import is_list
from fireworks.message.interchange.arrow_columns import column_of_data

_SHOWN_ROWS = 10
_CELLS = (list, tuple, np.ndarray, torch.Tensor)


def list_lengths(name: str, column: Column, rows: Positions, *, who: str) -> Positions:
    """Return how many elements each row of a column holds.

    Args:
        name: The column's name, for the errors.
        column: Arrow lists; objects that are lists, tuples, arrays or tensors; or a tensor of two or more dimensions.
        rows: The numbers of the rows in the source, for the errors.
        who: Who asks, for the errors.

    Shapes:
        result: ``(rows,)``.

    Raises:
        ColumnTypeError: a row of the column is no list.
        ColumnValueError: a row is missing.

    Example:
        >>> from fireworks.message.columns import as_column
        >>> list_lengths("x", as_column("x", [[1, 2], [], [3]]), np.arange(3), who="example").tolist()
        [2, 0, 1]
    """
    if isinstance(column, torch.Tensor):
        if column.dim() == 1:
            raise _no_lists(name, column, who)
        return np.full(len(column), column.shape[1], dtype=np.int64)
    if is_arrow(column, is_list):
        counts = pc.list_value_length(arrow_of(column))
        counts = counts.fill_null(-1) if counts.null_count else counts
        lengths: Positions = counts.to_numpy().astype(np.int64)
    elif is_objects(column):
        lengths = np.fromiter((_length(name, cell, column, who) for cell in column), np.int64, len(column))
    else:
        raise _no_lists(name, column, who)
    missing = rows[lengths < 0]
    if len(missing):
        more = ", …" if len(missing) > _SHOWN_ROWS else ""
        raise ColumnValueError(
            f"{who}: column {name!r} has {len(missing)} missing values, in rows "
            f"{', '.join(map(str, missing[:_SHOWN_ROWS]))}{more} of the source; fill them, or leave the rows out: "
            f".filter({name!r}, 'is not null')."
        )
    return lengths


def _length(name: str, cell: Any, column: Column, who: str) -> int:
    if isinstance(cell, _CELLS) and getattr(cell, "ndim", True):
        return len(cell)
    if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
        return -1
    raise _no_lists(name, column, who, f", such as {cell!r:.40}")


def _no_lists(name: str, column: Column, who: str, example: str = "") -> ColumnTypeError:
    return ColumnTypeError(
        f"{who}: column {name!r} holds {field_of(name, column).type_text}{example}; its rows must be lists, or rows of a "
        "tensor of two or more dimensions."
    )


def list_elements(name: str, column: Column, *, who: str) -> Column:
    """Return the elements of all rows end to end; of a tensor and of Arrow lists without a copy.

    Elements of Arrow lists keep Arrow's type, texts become pandas' texts; Python's lists are taken as pandas takes them.

    Args:
        name: The column's name, for the errors.
        column: Without missing rows; see `list_lengths`.
        who: Who asks, for the errors.

    Shapes:
        ``(rows, length, *rest)`` -> ``(sum of lengths, *rest)``.

    Raises:
        ColumnTypeError: the rows are tensors or arrays that don't fit together.
    """
    if isinstance(column, torch.Tensor):
        return column.reshape(column.shape[0] * column.shape[1], *column.shape[2:])
    if is_arrow(column, is_list):
        elements = arrow_of(column).flatten()
        is_text = pa.types.is_string(elements.type) or pa.types.is_large_string(elements.type)
        return column_of_data(elements) if is_text else ArrowExtensionArray(elements)
    cells = list(cast("Any", column))
    try:
        if cells and all(isinstance(cell, torch.Tensor) for cell in cells):
            return _same_type(torch.cat(cells), cells)  # type: ignore[no-any-return]
        if cells and all(isinstance(cell, np.ndarray) for cell in cells):
            array = _same_type(np.concatenate(cells), cells)
            return as_column(name, array) if array.ndim == 1 else torch.from_numpy(array)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ColumnTypeError(f"{who}: the rows of column {name!r} don't fit together: {error}.") from error
    return as_column(name, list(itertools.chain.from_iterable(cells)))


def _same_type(joined: Any, cells: list[Any]) -> Any:
    # torch and NumPy would widen, and the type of a row would depend on the rows beside it
    other = next((cell for cell in cells if cell.dtype != joined.dtype), None)
    if other is not None:
        raise TypeError(f"some are of {joined.dtype} and some of {other.dtype}")
    return joined


def places(starts: Positions, counts: Positions) -> Positions:
    """Return ``counts[i]`` consecutive positions from ``starts[i]`` on, for each i, end to end.

    Example:
        >>> places(np.array([5, 0]), np.array([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(counts)
    found: Positions = np.repeat(starts - (ends - counts), counts)
    return found + np.arange(len(found))
