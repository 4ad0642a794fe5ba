"""What one column says of each row, in eight bytes a row: the hash of a key, a time, a weight; whatever type holds it."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import torch

from fireworks.errors import ColumnTypeError
from fireworks.message.columns import Column, field_of
from fireworks.message.conversion.exact import numpy_of
from fireworks.order.hashing import Bytes, Hashes, xxh64

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
_Array: TypeAlias = "np.ndarray[Any, Any]"

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_S = 86_400
_SMALLEST, _BEYOND = -(2.0**63), 2.0**63


class Instants(NamedTuple):
    """Dates, instants or durations: whole seconds, and how far beyond."""

    seconds: _Array
    nanoseconds: _Array


class Texts(NamedTuple):
    """Texts or bytes, one behind the other."""

    data: Bytes
    offsets: _Array


class Values(NamedTuple):
    """The values of a column by what they are rather than by what holds them, and where there is none."""

    held: _Array | Instants | Texts
    is_null: Mask


def values_of(name: str, column: Column, *, who: str) -> Values:
    """Return the values of a column: numbers, instants, or texts. NaN is null. A category counts as the value it stands for.

    Raises:
        ColumnTypeError: the column holds something else, or several values per row.
    """
    if isinstance(column, torch.Tensor):
        if column.dim() > 1 or column.is_complex():
            raise ColumnTypeError(
                f"{who}: column {name!r} is a tensor of {column.dtype} in rows of shape {tuple(column.shape[1:])}; it takes one "
                "number, text or date per row."
            )
        column = numpy_of(column.float() if column.dtype == torch.bfloat16 else column)
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        return _numbers(column)
    if isinstance(column, pd.Categorical):
        categories = values_of(name, _column_of(column.categories), who=who)
        return _taken(categories, np.asarray(column.codes, dtype=np.int64))
    return _of_arrow(name, _arrow(name, column, who), field_of(name, column).type_text, who)


def _column_of(index: pd.Index[Any]) -> Any:
    return index.to_numpy() if isinstance(index.dtype, np.dtype) and index.dtype.kind in "biuf" else index.array


def _arrow(name: str, column: Any, who: str) -> Any:
    from fireworks.message.interchange.arrow_columns import array_of_column, one_array

    try:
        array = array_of_column(name, column)[0]
    except ColumnTypeError as error:
        raise ColumnTypeError(f"{who}: column {name!r} takes one number, text or date per row. {error}") from error
    return one_array(array) if hasattr(array, "num_chunks") else array


def _taken(values: Values, places: _Array) -> Values:
    """Return the values at some places, null at -1."""
    is_null = places < 0
    if not len(values.is_null):
        return Values(np.zeros(len(places), dtype=np.int64), is_null)
    places = np.maximum(places, 0)
    is_null = is_null | values.is_null[places]
    held = values.held
    if isinstance(held, Instants):
        return Values(Instants(held.seconds[places], held.nanoseconds[places]), is_null)
    if isinstance(held, Texts):
        import pyarrow as pa

        array = pa.Array.from_buffers(
            pa.large_binary(), len(held.offsets) - 1, [None, pa.py_buffer(held.offsets), pa.py_buffer(held.data)]
        )
        return Values(_texts(array.take(pa.array(places))), is_null)
    return Values(held[places], is_null)


def _numbers(values: _Array) -> Values:
    if values.dtype.kind == "f":
        return Values(values.astype(np.float64), np.isnan(values))
    return Values(values, np.zeros(len(values), dtype=bool))


def _of_arrow(name: str, array: Any, kind: str, who: str) -> Values:
    import pyarrow as pa
    import pyarrow.compute as pc

    types, of = pa.types, array.type
    if types.is_null(of):
        return Values(np.zeros(len(array), dtype=np.int64), np.ones(len(array), dtype=bool))
    if types.is_dictionary(of):
        places = np.asarray(pc.fill_null(array.indices.cast(pa.int64()), -1))
        return _taken(_of_arrow(name, array.dictionary, kind, who), places)
    is_null = np.asarray(array.is_null(), dtype=bool)
    if types.is_boolean(of) or types.is_integer(of) or types.is_floating(of):
        if types.is_boolean(of):
            array = array.cast(pa.uint8())
        found = _numbers(np.asarray(array.fill_null(0)))
        return Values(found.held, found.is_null | is_null)
    if types.is_date(of) or types.is_timestamp(of) or types.is_duration(of):
        return Values(_instants(array), is_null)
    if types.is_string_view(of) or types.is_binary_view(of) or types.is_fixed_size_binary(of):
        array = array.cast(pa.large_binary())
        of = array.type
    if types.is_string(of) or types.is_large_string(of) or types.is_binary(of) or types.is_large_binary(of):
        return Values(_texts(array), is_null)
    raise ColumnTypeError(
        f"{who}: column {name!r} is {kind}; it takes one number, text or date per row. Make such a column with map, or "
        "cast it."
    )


def _instants(array: Any) -> Instants:
    import pyarrow as pa

    if pa.types.is_date32(array.type):
        days = np.asarray(array.cast(pa.int32()).fill_null(0), dtype=np.int64)
        return Instants(days * _DAY_S, np.zeros(len(days), dtype=np.uint32))
    per_second = _PER_SECOND["ms" if pa.types.is_date64(array.type) else array.type.unit]
    ticks = np.asarray(array.cast(pa.int64()).fill_null(0), dtype=np.int64)
    seconds, ticks = np.divmod(ticks, per_second)
    return Instants(seconds, (ticks * (10**9 // per_second)).astype(np.uint32))


def _texts(array: Any) -> Texts:
    import pyarrow as pa

    array = array.cast(pa.large_binary())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1] if offsets else None
    if ends is None or not len(ends):
        return Texts(np.empty(0, dtype=np.uint8), np.zeros(len(array) + 1, dtype=np.int64))
    held = np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    return Texts(held[ends[0] : ends[-1]], ends - ends[0])


def hashes_of(values: Values, seed: int = 0) -> Hashes:
    """Return the hash of each value; of a null, whatever.

    What is hashed: of a number that is whole, and of true and false as 1 and 0, the eight bytes of the integer; of another
    number the eight bytes of the double; of a text its bytes in UTF-8; of bytes, they; of a date, an instant or a duration
    the eight bytes of its seconds (since 1970, in UTC where it has a zone) and the four of the nanoseconds beyond. All
    little-endian, integers in two's complement. So the hash does not hang on what type or unit holds a value.

    Shapes:
        ``(rows,)`` of uint64.

    Source:
        XXH64; see `xxh64`.

    Example:
        >>> narrow, wide = (values_of("n", np.array([7, -1], dtype=kind), who="example") for kind in ("int8", "float32"))
        >>> bool((hashes_of(narrow) == hashes_of(wide)).all())
        True
    """
    held = values.held
    if isinstance(held, Texts):
        return xxh64(held.data, held.offsets, seed)
    if isinstance(held, Instants):
        data = np.empty((len(held.seconds), 12), dtype=np.uint8)
        data[:, :8] = held.seconds.astype("<i8").view(np.uint8).reshape(-1, 8)
        data[:, 8:] = held.nanoseconds.astype("<u4").view(np.uint8).reshape(-1, 4)
    else:
        data = _words(held).view(np.uint8).reshape(-1, 8)
    count, width = data.shape
    return xxh64(data.reshape(-1), np.arange(count + 1, dtype=np.int64) * width, seed)


def _words(numbers: _Array) -> _Array:
    """Return whole numbers as integers and others as doubles, in eight bytes each."""
    if numbers.dtype.kind != "f":
        return numbers.astype("<u8") if numbers.dtype.kind == "u" else numbers.astype("<i8")
    doubles = np.where(np.isnan(numbers), 0.0, numbers)  # the place of a null
    words = doubles.astype("<f8").view("<u8")
    whole = (np.floor(doubles) == doubles) & (doubles >= _SMALLEST) & (doubles < 2 * _BEYOND)
    large = whole & (doubles >= _BEYOND)
    small = whole & ~large
    words[small] = doubles[small].astype("<i8").view("<u8")
    words[large] = doubles[large].astype("<u8")
    return words
