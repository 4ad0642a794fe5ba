"""A column in an Arrow type, part by part where the type has parts: inside them, Arrow itself rounds and cuts off."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pandas.arrays import NumpyExtensionArray

from fireworks.message.columns import Column
from fireworks.message.conversion import texts
from fireworks.message.conversion.exact import Array, Flags, MisfitError
from fireworks.message.conversion.kinds import (
    NoConversionError,
    arrow_of,
    cells_of,
    is_arrow,
    is_objects,
    is_text,
    object_array,
)
from fireworks.message.conversion.lists import Digits, decode_json, fixed_size_lists, nested
from fireworks.message.conversion.numbers import frame_column, numbers_of
from fireworks.message.conversion.times import dates_of, durations_of


def to_arrow(column: Column, kind: pa.DataType) -> pa.Array:
    """Return a column as an Arrow array of a type; NaN of NumPy's, which means missing there, is null.

    Args:
        column: Anything that holds values of the type; texts spell lists, structs and maps in JSON.
        kind: The Arrow type.

    Raises:
        MisfitError: a value, or a part of one, does not fit; by the row.
        NoConversionError: the column holds nothing of the kind.
    """
    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        values, missing = numbers_of(column, np.dtype(kind.to_pandas_dtype()))
        if isinstance(column, np.ndarray) and values.dtype.kind == "f":
            missing = missing | np.isnan(values)
        return pa.array(values, type=kind, mask=missing)
    if types.is_timestamp(kind):
        instants = dates_of(column, kind.unit, zoned=kind.tz is not None)
        return pa.array(instants, type=pa.timestamp(kind.unit)).cast(kind)
    if types.is_date(kind):
        return pa.array(texts.in_unit(dates_of(column, "s", zoned=False), "D")).cast(kind)
    if types.is_duration(kind):
        return pa.array(durations_of(column, kind.unit), type=kind)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.array(strings_of(column), from_pandas=True).cast(kind)
    if types.is_dictionary(kind):
        return to_arrow(column, kind.value_type).dictionary_encode().cast(kind)
    return _to_nested(column, kind) if types.is_nested(kind) else _to_other(cells_of(column), kind)


def strings_of(column: Column) -> Any:
    """Return texts as what pandas and Arrow can store: an Arrow array, pandas' own, or objects.

    Raises:
        MisfitError: an object is neither a text nor missing.
        NoConversionError: the column holds no texts; a number is none.
    """
    if is_text(column):
        return arrow_of(column) if isinstance(column.dtype, pd.ArrowDtype) else column
    if not is_objects(column):
        raise NoConversionError
    cells = np.asarray(column)
    for row, (cell, is_missing) in enumerate(zip(cells, pd.isna(cells), strict=True)):
        if isinstance(cell, Digits) or not (isinstance(cell, str) or is_missing):
            raise MisfitError(row, cell)
    return cells


# --- types with parts -------------------------------------------------------------------------------------------------


def _to_nested(column: Column, kind: pa.DataType) -> pa.Array:
    if isinstance(column, torch.Tensor):
        column = frame_column(column)
    if is_arrow(column, pa.types.is_nested):
        array = arrow_of(column)
        try:
            if (converted := array.cast(kind)).cast(array.type).equals(array):
                return converted
        except pa.ArrowException:
            pass  # then value by value, to find the one that does not fit
    elif not (is_text(column) or is_objects(column)):
        raise NoConversionError
    cells = decode_json(cells_of(column), keep_digits=True)
    cells = object_array([None if cell is pd.NA or cell is pd.NaT else nested(cell) for cell in cells])
    if pa.types.is_struct(kind):
        return _to_structs(cells, kind)
    return _to_maps(cells, kind) if pa.types.is_map(kind) else _to_lists(cells, kind)


def _to_lists(cells: Array, kind: pa.DataType) -> pa.Array:
    size = kind.list_size if pa.types.is_fixed_size_list(kind) else None
    for row, cell in enumerate(cells):
        if not (cell is None or isinstance(cell, (list, np.ndarray))):
            raise MisfitError(row, cell)
        if size is not None and cell is not None and len(cell) != size:
            raise MisfitError(row, cell, f"has another length than {size}")
    filler: list[None] = [None] * (size or 0)
    rows = [filler if cell is None else cell for cell in cells]
    offsets = np.cumsum([0, *map(len, rows)])
    values = _part([value for row in rows for value in row], kind.value_type, offsets)
    if size is None:
        return _with_nulls(pa.LargeListArray.from_arrays(offsets, values), cells).cast(kind)
    return _with_nulls(fixed_size_lists(values, (size,), len(cells)), cells).cast(kind)


def _to_maps(cells: Array, kind: pa.DataType) -> pa.Array:
    pairs = object_array([list(cell.items()) if isinstance(cell, dict) else cell for cell in cells])
    for row, cell in enumerate(pairs):
        if not (cell is None or (isinstance(cell, list) and all(_is_pair(part) for part in cell))):
            raise MisfitError(row, cell)
    offsets = np.cumsum([0, *(len(cell or ()) for cell in pairs)])
    flat = [pair for cell in pairs for pair in cell or ()]
    keys = _part([key for key, _ in flat], kind.key_type, offsets)
    items = _part([item for _, item in flat], kind.item_type, offsets)
    starts = pa.array(offsets, pa.int32(), mask=np.append(_missing(cells), values=False))
    return pa.MapArray.from_arrays(starts, keys, items).cast(kind)


def _is_pair(part: Any) -> bool:
    return isinstance(part, (list, tuple)) and len(part) == 2


def _to_structs(cells: Array, kind: pa.DataType) -> pa.Array:
    names = {field.name for field in kind}
    for row, cell in enumerate(cells):
        if not (cell is None or (isinstance(cell, dict) and names.issuperset(cell))):
            raise MisfitError(row, cell)
    rows = np.arange(len(cells) + 1)
    parts = [_part([(cell or {}).get(field.name) for cell in cells], field.type, rows) for field in kind]
    return pa.StructArray.from_arrays(parts, fields=list(kind), mask=pa.array(_missing(cells)))


def _part(values: list[Any], kind: pa.DataType, offsets: Array) -> pa.Array:
    """Convert values that are parts of rows; those of row i end before ``offsets[i + 1]``."""
    try:
        return to_arrow(NumpyExtensionArray(object_array(values)), kind)
    except MisfitError as misfit:
        row = int(np.searchsorted(offsets, misfit.position, side="right")) - 1
        raise MisfitError(row, misfit.value, misfit.why) from None


def _missing(cells: Array) -> Flags:
    return np.array([cell is None for cell in cells], dtype=bool)


def _with_nulls(array: pa.Array, cells: Array) -> pa.Array:
    missing = _missing(cells)
    return pc.if_else(pa.array(missing), pa.scalar(None, array.type), array) if missing.any() else array


# --- types that are rare ----------------------------------------------------------------------------------------------


def _to_other(cells: Array, kind: pa.DataType) -> pa.Array:
    """Convert to decimals, times, bytes and the like one by one, and read every value back."""
    converted = [pa.array([], type=kind)]
    for row, cell in enumerate(cells):
        try:
            value = _respelled(cell, kind)
            converted.append(pa.array([value], type=kind))
        except (pa.ArrowException, TypeError, ValueError, OverflowError, InvalidOperation):
            raise MisfitError(row, cell) from None
        if value is not None and converted[-1][0].as_py() != value:
            raise MisfitError(row, cell)
    return pa.concat_arrays(converted)


def _respelled(cell: Any, kind: pa.DataType) -> Any:
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if pa.types.is_decimal(kind) and isinstance(cell, (str, int, float)):
        return Decimal(str(cell))
    return dt.time.fromisoformat(cell) if pa.types.is_time(kind) and isinstance(cell, str) else cell
