"""A column as the plain values that JSON has, spelled so that a schema brings every one of them back.

Numbers, booleans and text are what they are; missing values and NaN are null, infinities ``"Infinity"`` and
``"-Infinity"`` as in the JSON form of Protocol Buffers. Rows of tensors are lists of lists. Dates and durations are text
in ISO 8601 and as pandas spells them, complex numbers as Python spells them.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pandas.arrays import BooleanArray, FloatingArray, IntegerArray

from fireworks.errors import ColumnTypeError, FireworksError
from fireworks.message import Message, Schema
from fireworks.message.columns import Column, as_column, field_of
from fireworks.message.conversion.exact import numpy_of
from fireworks.message.conversion.kinds import arrow_of, is_objects

_NULLABLE = (BooleanArray, FloatingArray, IntegerArray)
_DOUBLE = 8  # bytes; JSON knows no wider floats
_DATES = np.array(["0001-01-01", "10000-01-01"], dtype="M8[s]")  # of four digits, which is what ISO 8601 promises
_DURATIONS = np.array([-9_223_372_035, 9_223_372_035], dtype="m8[s]")  # beyond, pandas prints others
_WHOLE_MINUTE = 60  # seconds; older zones have odd ones, which no text form of a date knows


class NotPlainError(Exception):
    """A column that has no plain values, or one row that has none; whoever knows the column makes a sentence of it."""

    def __init__(self, row: int | None = None, value: object = None) -> None:
        super().__init__(row, value)
        self.row, self.value = row, value


def plain_values(name: str, column: Column, *, where: str, infinity: str = "Infinity") -> list[Any]:
    """Return one value per row: None, a bool, an int, a finite float, a text, or a list or dict of them.

    Args:
        name: The column's name, for the error.
        column: Of any kind.
        where: Who asks, for the error.
        infinity: How an infinite number is spelled.

    Raises:
        ColumnTypeError: a value is of a type that would not come back; the error names column, row and value.

    Example:
        >>> plain_values("x", torch.tensor([[1.0, math.nan], [0.1, -math.inf]]), where="this example")
        [[1.0, None], [0.1, '-Infinity']]
    """
    try:
        return _plain(column, infinity)
    except NotPlainError as error:
        what = f"{field_of(name, column).type_text}, which has no form that could be read back"
        if error.row is not None:
            value = f"{error.value!r:.60} of type {type(error.value).__name__}"
            what = f"{value} in row {error.row}, which would be read back as something else"
        raise ColumnTypeError(
            f"{where}: column {name!r} holds {what}; convert the column, as with .astype(str), leave it out with drop, or use save."
        ) from None


def _plain(column: Column, infinity: str) -> list[Any]:
    if isinstance(column, torch.Tensor):
        try:
            return _of_numpy(numpy_of(column), infinity)
        except TypeError:  # quantized, or on the meta device
            raise NotPlainError from None
    if isinstance(column, np.ndarray):
        return _of_numpy(column, infinity)
    if isinstance(column, pd.Categorical):
        found = [*_plain(as_column("", column.categories.array), infinity), None]
        return [found[code] for code in column.codes]
    if is_objects(column):
        return [_of_object(value, row) for row, value in enumerate(np.asarray(column))]
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _plain(as_column("", np.asarray(column)), infinity)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _with_zone(pd.DatetimeIndex(column))
    if isinstance(dtype, (pd.PeriodDtype, pd.IntervalDtype)):
        return _with_nulls([str(value) for value in column], column.isna())
    if isinstance(dtype, pd.StringDtype):
        return _with_nulls(list(column), column.isna())
    if isinstance(dtype, pd.ArrowDtype) or isinstance(column, _NULLABLE):
        return _of_arrow(arrow_of(column), infinity)
    raise NotPlainError


def _of_numpy(values: np.ndarray[Any, Any], infinity: str) -> list[Any]:
    kind = values.dtype.kind
    if kind in "fc" and values.real.itemsize > _DOUBLE:
        raise NotPlainError
    if kind in "biu":
        return list(values.tolist())
    if kind == "c":
        return list(values.astype("U").tolist())
    if kind in "mM":
        _refuse_beyond(values, _DATES if kind == "M" else _DURATIONS)
    if kind == "M":
        return _with_nulls(np.datetime_as_string(values).tolist(), np.isnat(values))
    if kind == "m":
        return _with_nulls(pd.Series(values).astype(str).tolist(), np.isnat(values))
    # the float64 that the shortest text of a narrower float spells: 0.1, not 0.10000000149011612
    shortest = values if values.itemsize == _DOUBLE else values.astype("U").astype(np.float64)
    if np.isfinite(values).all():
        return list(shortest.tolist())
    cells = shortest.astype(object)
    cells[np.isnan(values)] = None
    cells[np.isposinf(values)] = infinity
    cells[np.isneginf(values)] = f"-{infinity}"
    return list(cells.tolist())


def _refuse_beyond(values: np.ndarray[Any, Any], limits: np.ndarray[Any, Any]) -> None:
    if np.datetime_data(values.dtype)[0] == "ns":  # none is beyond, but the limits are
        return
    low, high = limits.astype(values.dtype)
    beyond = ~np.isnat(values) & ((values < low) | (values >= high))
    if beyond.any():
        row = int(np.argmax(beyond))
        raise NotPlainError(row, values[row])


def _with_nulls(values: list[Any], missing: Any) -> list[Any]:
    return [None if is_missing else value for value, is_missing in zip(values, missing, strict=True)]


def _with_zone(times: pd.DatetimeIndex) -> list[Any]:
    """Spell local times with their distance from UTC; where that is no whole minute, the time in UTC."""
    utc, local = times.tz_convert(None).to_numpy(), times.tz_localize(None).to_numpy()
    seconds = (local - utc).astype("m8[s]").astype(np.int64)
    odd = seconds % _WHOLE_MINUTE != 0
    texts = np.datetime_as_string(np.where(odd, utc, local)).tolist()
    distances = np.where(odd, 0, seconds).tolist()
    zoned = [f"{text}{_distance(distance)}" for text, distance in zip(texts, distances, strict=True)]
    return _with_nulls(zoned, np.isnat(utc))


def _distance(seconds: int) -> str:
    hours, minutes = divmod(abs(seconds) // _WHOLE_MINUTE, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02d}:{minutes:02d}"


def _of_object(value: Any, row: int) -> Any:
    """Return an object that JSON gives back as it is."""

    def plain(part: Any) -> Any:
        if isinstance(part, (np.bool_, np.integer, np.floating)):
            part = part.item()
        if part is None or type(part) in {bool, int, str} or (type(part) is float and math.isfinite(part)):
            return part
        if type(part) is list:
            return [plain(item) for item in part]
        if type(part) is dict and all(type(key) is str for key in part):
            return {key: plain(item) for key, item in part.items()}
        raise NotPlainError(row, value)

    return None if isinstance(value, float) and math.isnan(value) else plain(value)


def conformed(columns: Mapping[str, Any], schema: Schema, path: str | Path) -> Message:
    """Return what was read from a file as a message of the schema; an error says which file it was."""
    try:
        return Message(dict(columns), schema=schema)
    except FireworksError as error:
        error.add_note(f"In {str(path)!r}; the first row below the names is row 0.")
        raise


# --- Arrow ------------------------------------------------------------------------------------------------------------


def _of_arrow(array: Any, infinity: str) -> list[Any]:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_timestamp(array.type) and array.type.tz:
        return _with_zone(pd.DatetimeIndex(array.to_pandas()))
    if pa.types.is_timestamp(array.type) or pa.types.is_duration(array.type):
        return _of_numpy(array.to_numpy(zero_copy_only=False), infinity)
    if pa.types.is_floating(array.type):
        values, missing = array.fill_null(0).to_numpy(zero_copy_only=False), array.is_null().to_pylist()
        cells = ["NaN" if cell is None else cell for cell in _of_numpy(values, infinity)]
        return _with_nulls(cells, missing)
    spell = _spelling(array.type, infinity)
    return [None if value is None else spell(value) for value in array.to_pylist()]


def _spelling(kind: Any, infinity: str) -> Callable[[Any], Any]:
    """Return the function that makes a plain value of one of an Arrow type, as Python has it."""
    types = pa.types
    if types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind) or is_text_type(kind):
        return lambda value: value
    if types.is_floating(kind):
        return lambda value: _of_float(value, infinity)
    if types.is_decimal(kind) or types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return _of_scalar
    if types.is_duration(kind):
        return lambda value: str(pd.Timedelta(value))
    if types.is_map(kind):
        key, item = _spelling(kind.key_type, infinity), _spelling(kind.item_type, infinity)
        return lambda value: [[key(name), None if part is None else item(part)] for name, part in value]
    if types.is_struct(kind):
        parts = {field.name: _spelling(field.type, infinity) for field in kind}
        return lambda value: {name: None if part is None else parts[name](part) for name, part in value.items()}
    if types.is_nested(kind) and not types.is_union(kind):
        each = _spelling(kind.value_type, infinity)
        return lambda value: [None if part is None else each(part) for part in value]
    raise NotPlainError


def is_text_type(kind: Any) -> bool:
    """Tell whether an Arrow type is one of texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _of_float(value: float, infinity: str) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else infinity if value > 0 else f"-{infinity}"


def _of_scalar(value: Decimal | dt.date | dt.time) -> str:
    if isinstance(value, Decimal):
        return str(value)
    return (value.astimezone(dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo else value).isoformat()
