"""What a message can be made of besides a mapping of columns: rows, frames, arrays of records, Arrow, a schema."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.arrays import NumpyExtensionArray

from fireworks.errors import ColumnTypeError, SchemaMismatchError
from fireworks.message.columns import Column, as_column
from fireworks.message.frames.frame import columns_of_frame
from fireworks.message.schema import Field

_COLLECTIONS = (np.ndarray, pd.Series, pd.DataFrame, Mapping, list, tuple, set, frozenset)


def columns_of(data: Any) -> dict[str, Column]:
    """Return the columns of anything that holds named columns or rows, sharing memory where that is possible.

    Args:
        data: A DataFrame; a NumPy array of records; a tensordict; an object with ``__arrow_c_stream__``, such as an Arrow
            table, a polars frame, a DuckDB relation; a list, a tuple or an iterator of rows.

    Raises:
        TypeError: it is none of these.
        ColumnTypeError: a column has no name that is text, or a name comes twice.
        SchemaMismatchError: rows differ in their columns.
    """
    if isinstance(data, pd.DataFrame):
        return columns_of_frame(data)
    if isinstance(data, np.ndarray) and data.dtype.names is not None:
        from fireworks.message.interchange.plain import columns_of_records

        return columns_of_records(data)
    if _is_tensordict(data):
        from fireworks.message.interchange.interop import columns_of_tensordict

        return columns_of_tensordict(data)
    if isinstance(data, Mapping):
        return {as_name(name): as_column(name, value) for name, value in data.items()}
    if hasattr(data, "__arrow_c_stream__"):
        from fireworks.message.interchange.arrow import columns_of_stream

        return columns_of_stream(data)
    if isinstance(data, (list, tuple, Iterator)):
        return columns_of_rows(list(data), where="Message")
    raise TypeError(
        "Message: expected a mapping from names to columns, rows, a DataFrame, an Arrow table or a message; "
        f"got {type(data).__name__}.{_hint(data)}"
    )


def _is_tensordict(data: object) -> bool:
    tensordict = sys.modules.get("tensordict")  # whoever has one has loaded it
    return tensordict is not None and bool(tensordict.is_tensor_collection(data))


def _hint(data: object) -> str:
    if isinstance(data, (torch.Tensor, np.ndarray, pd.Index)) or hasattr(data, "__arrow_c_array__"):
        return " One column needs a name: fw.Message({'x': …})."
    return " Collect it first." if hasattr(data, "collect") else ""  # a lazy frame of polars or Dask, a query


def columns_of_rows(rows: Sequence[Any], *, where: str) -> dict[str, Column]:
    """Turn rows, each a mapping of one row's values or a message, into columns; tensors are stacked.

    A list, an array or any other collection in a row is one object of a column of objects.

    Args:
        rows: Mappings with the same names, of which the first one's order counts; or messages, which are joined.
        where: Who asks, for the errors.

    Raises:
        TypeError: a row is something else.
        SchemaMismatchError: rows differ in their columns.
        ColumnTypeError: the tensors of a column differ in shape, type or device, or a value beside them is no tensor.
    """
    from fireworks.message.combine import concat
    from fireworks.message.message import Message

    if rows and all(isinstance(row, Message) for row in rows):
        return concat(rows)._columns
    for row in rows:
        if not isinstance(row, Mapping):
            shown = " ".join(repr(row).split())
            raise TypeError(
                f"{where}: each item must be a mapping of one row's values, such as {{'x': 1.0}}; "
                f"got {shown:.60} of type {type(row).__name__}."
            )
    names = rows[0].keys() if rows else ()
    for number, row in enumerate(rows):
        if row.keys() != names:
            raise SchemaMismatchError(
                f"{where}: rows must have the same columns; {list(names)} came first, then {list(row)}, "
                f"{number} rows later."
            )
    return {as_name(name): _stacked(name, [row[name] for row in rows], where) for name in names}


def _stacked(name: str, values: list[Any], where: str) -> Column:
    if not any(issubclass(kind, torch.Tensor) for kind in set(map(type, values))):
        return _column_of_scalars(name, values)
    for number, value in enumerate(values):
        if _kind(value) != _kind(values[0]):
            raise ColumnTypeError(
                f"{where}: column {name!r} is {_text(values[0])} in the first row and {_text(value)} {number} rows later; "
                "the tensors of one column have one shape, type and device: pad or convert them first."
            )
    return torch.stack(values)


def _kind(value: object) -> object:
    return (value.shape, value.dtype, value.device) if isinstance(value, torch.Tensor) else None


def _text(value: object) -> str:
    if not isinstance(value, torch.Tensor):
        return f"{value!r:.40} of type {type(value).__name__}"
    return f"a tensor of {str(value.dtype).removeprefix('torch.')}, shape {tuple(value.shape)}, on {value.device}"


def _column_of_scalars(name: str, values: list[Any]) -> Column:
    if all(type(value).__module__.partition(".")[0] == "pyarrow" and hasattr(value, "as_py") for value in values):
        import pyarrow as pa

        from fireworks.message.interchange.arrow_columns import column_of_array

        return column_of_array(pa.chunked_array([pa.array(values)]), {})
    if isinstance(values[0], np.ndarray) and values[0].ndim == 0:  # numbers, which pandas would take for objects
        values = [v[()] if isinstance(v, np.ndarray) and v.ndim == 0 else v for v in values]
    return as_column(name, values)


def columns_of_objects(values: Mapping[str, Any]) -> dict[str, Column]:
    """Return columns of one row: a tensor gains a leading dimension of 1, anything else is the one value as it is."""
    return {
        as_name(name): value[None] if isinstance(value, torch.Tensor) else _one_object(name, value)
        for name, value in values.items()
    }


def _one_object(name: str, value: Any) -> Column:
    if isinstance(value, _COLLECTIONS):
        cell = np.empty(1, dtype=object)
        cell[0] = value
        return NumpyExtensionArray(cell)
    return _column_of_scalars(name, [value])


def empty_column(field: Field) -> Column:
    """Return a column of no rows."""
    if isinstance(field.dtype, torch.dtype):
        return torch.empty((0, *field.shape), dtype=field.dtype)
    return as_column(field.name, pd.Series([], dtype=field.dtype))


def as_name(name: object) -> str:
    """Return a column's name, or raise a ColumnTypeError where it is no text."""
    if not isinstance(name, str):
        raise ColumnTypeError(f"Message: column names are text; got {name!r} of type {type(name).__name__}.")
    return name
