"""A text that two messages share when their columns have the same names, types and values, in any process."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch

from fireworks.errors import ColumnTypeError
from fireworks.message import Message
from fireworks.message.arrays.tensor_dtype import INTEGERS
from fireworks.message.columns import Column, field_of
from fireworks.message.interchange.arrow_columns import array_of_column

_ROWS_AT_A_TIME = 2**18


class ContentHash:
    """The SHA-256 of messages that follow each other, of what they hold and not of how it lies in memory.

    Example:
        >>> whole, parts, table = ContentHash(), ContentHash(), fw.Message({"n": [1, 2, 3], "word": ["a", None, "c"]})
        >>> whole.add(table); parts.add(table[:1]); parts.add(table[1:])
        >>> whole.hexdigest() == parts.hexdigest()
        True
    """

    def __init__(self) -> None:
        self._columns: dict[str, Any] = {}  # a hash for each, because pieces of them come in turns
        self._schema = ""
        self._num_rows = 0

    def add(self, message: Message) -> None:
        """Add the rows of a message.

        Raises:
            TypeError: a column holds objects that have no content to compare.
        """
        self._schema = repr([(field.name, _type_text(field.dtype), field.shape) for field in message.schema])
        self._num_rows += len(message)
        for start in range(0, len(message), _ROWS_AT_A_TIME):
            part = message[start : start + _ROWS_AT_A_TIME]
            for name in part.columns:
                _add(self._columns.setdefault(name, _Streams()), name, part.raw(name))

    def hexdigest(self) -> str:
        """Return the hash of everything so far."""
        whole = hashlib.sha256(f"{self._schema}{self._num_rows}".encode())
        for streams in self._columns.values():
            whole.update(streams.digest())
        return whole.hexdigest()


class _Streams:
    """Bytes of several kinds that belong to one column, each kind hashed by itself: lengths, letters, which are null."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}

    def update(self, kind: str, data: Any) -> None:
        self._hashes.setdefault(kind, hashlib.sha256()).update(data)

    def digest(self) -> bytes:
        whole = hashlib.sha256()
        for kind in sorted(self._hashes):
            whole.update(kind.encode() + self._hashes[kind].digest())
        return whole.digest()


def _type_text(dtype: Any) -> str:
    """Return a type as a text that says all of it; categories are compared in their order."""
    if isinstance(dtype, pd.CategoricalDtype):
        return f"category {dtype.ordered} {dtype.categories.dtype} {dtype.categories.tolist()!r}"
    return str(dtype)


def _add(streams: _Streams, name: str, column: Column) -> None:
    if isinstance(column, torch.Tensor):
        plain = column.detach().cpu().contiguous()
        bits = plain.view(INTEGERS[plain.itemsize]) if plain.itemsize in INTEGERS else plain
        streams.update("values", _bytes(bits.numpy()))
    elif isinstance(column, np.ndarray):
        streams.update("values", _bytes(column))
    elif isinstance(column, pd.Categorical):
        streams.update("values", _bytes(column.codes.astype(np.int64)))
    else:
        try:
            array, _ = array_of_column(name, column)
        except ColumnTypeError as error:
            raise TypeError(
                f"fingerprint: column {name!r} is {field_of(name, column).type_text}, whose content has no fingerprint; "
                "convert the column or leave it out with select."
            ) from error
        _add_arrow(streams, "", array)


def _bytes(array: np.ndarray[Any, Any]) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b""


def _add_arrow(streams: _Streams, path: str, array: Any) -> None:
    """Add an Arrow array, whatever its chunks, its offsets, and what lies below its nulls."""
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        _add_chunk(streams, path, chunk)


def _add_chunk(streams: _Streams, path: str, array: Any) -> None:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        _add_chunk(streams, path, array.storage)
        return
    if pa.types.is_dictionary(kind):
        _add_chunk(streams, path, array.dictionary_decode())
        return
    streams.update(f"{path}?", _bytes(array.is_valid().to_numpy(zero_copy_only=False)))
    if pa.types.is_null(kind):
        return
    if pa.types.is_struct(kind):
        for field, inside in zip(kind, array.flatten(), strict=True):
            _add_chunk(streams, f"{path}.{field.name}", inside)
    elif pa.types.is_fixed_size_list(kind):
        _add_chunk(streams, f"{path}[]", array.drop_null().flatten())
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        plain = array.drop_null()
        if pa.types.is_map(kind):
            plain = plain.cast(pa.list_(pa.struct([kind.key_field, kind.item_field])))
        streams.update(f"{path}#", _bytes(pc.list_value_length(plain).to_numpy().astype(np.int64)))
        _add_chunk(streams, f"{path}[]", plain.flatten())
    elif _has_letters(kind):
        plain = array.drop_null()
        wide = plain.cast(pa.large_binary())
        streams.update(f"{path}#", _bytes(pc.binary_length(wide).to_numpy()))
        _, offsets, letters = wide.buffers()
        if len(wide):
            ends = np.frombuffer(offsets, dtype=np.int64)[wide.offset : wide.offset + len(wide) + 1]
            streams.update(path, memoryview(letters)[ends[0] : ends[-1]] if letters is not None else b"")
    else:
        _add_fixed(streams, path, array.drop_null())


def _has_letters(kind: Any) -> bool:
    names = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    return str(kind) in names


def _add_fixed(streams: _Streams, path: str, array: Any) -> None:
    kind = array.type
    if pa.types.is_boolean(kind):
        streams.update(path, _bytes(array.to_numpy(zero_copy_only=False)))
    elif len(array):
        width = kind.bit_width // 8
        values = array.buffers()[1]
        streams.update(path, memoryview(values)[array.offset * width : (array.offset + len(array)) * width])
