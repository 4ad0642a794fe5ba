"""Where the record batches of an Arrow file or stream lie, from its metadata alone: nothing is decoded.

The metadata are tables of FlatBuffers. What is needed of them is little: places, numbers of rows, numbers of nulls.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa

from fireworks.errors import FileFormatError

MAGIC = b"ARROW1"
_PREFIX = 8  # of a message: four bytes that say it is one, and four for the length of its metadata
_FOOTER_END = 10  # four bytes for the length of the footer, and the magic
_BLOCK = np.dtype([("offset", "<i8"), ("metadata", "<i4"), ("", "<i4"), ("body", "<i8")])
_OF_SCHEMA, _OF_DICTIONARY, _OF_BATCH = 1, 2, 3


class Batch(NamedTuple):
    """One record batch."""

    start: int
    stop: int
    num_rows: int
    nulls: tuple[bool, ...]
    """Of each column: whether it has a null, at any depth."""
    is_compressed: bool


@dataclass
class Layout:
    """What one file holds."""

    is_file: bool
    schema: Any
    batches: list[Batch] = field(default_factory=list)
    schema_end: int = 0
    """Of a stream: where its schema ends."""
    dictionaries: list[tuple[int, int]] = field(default_factory=list)
    """Of a stream: where each dictionary begins and ends."""

    @cached_property
    def first_row(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The number of the first row of each record batch, and of all rows."""
        return np.cumsum([0, *(batch.num_rows for batch in self.batches)], dtype=np.int64)

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return int(self.first_row[-1])


def layout_of_file(file: BinaryIO, *, name: str, where: str) -> Layout:
    """Return where the record batches of an open file lie.

    Args:
        file: An Arrow file (Feather, version 2), or a stored Arrow stream; it can be sought in.
        name: Of the file, for the errors.
        where: Who asks, for the errors.

    Raises:
        FileFormatError: it is neither, or is cut short; the record batch is named.

    Source:
        the Arrow columnar format: IPC messages and files.

    Example:
        >>> import io
        >>> table = pa.table({"n": [1, None, 3]})
        >>> sink = io.BytesIO()
        >>> with pa.ipc.new_file(sink, table.schema) as writer: writer.write_table(table, max_chunksize=2)
        >>> [batch.num_rows for batch in layout_of_file(sink, name="x", where="this example").batches]
        [2, 1]
    """
    size = file.seek(0, 2)
    file.seek(0)
    begin = file.read(len(MAGIC))
    if not begin:
        raise FileFormatError(f"{where}: {name!r} is empty: an Arrow file has at least a schema; leave it out.")
    if begin[:4] == b"FEA1":
        raise FileFormatError(
            f"{where}: {name!r} is a Feather file of version 1; write it again: pyarrow.feather.write_feather(table, path)."
        )
    try:
        return _file(file, size, name, where) if begin == MAGIC else _stream(file, size, name, where)
    except (struct.error, IndexError, ValueError, KeyError, pa.ArrowException) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{where}: {name!r} is no Arrow file, or a damaged one: {error}.") from error


def _file(file: BinaryIO, size: int, name: str, where: str) -> Layout:
    file.seek(max(0, size - _FOOTER_END))
    end = file.read()
    length = int.from_bytes(end[:4], "little")
    if end[4:] != MAGIC or length <= 0 or length + _FOOTER_END > size:
        raise FileFormatError(
            f"{where}: {name!r} is cut short: the footer of the Arrow file is missing, which says where the record batches are; "
            "write it again."
        )
    file.seek(size - _FOOTER_END - length)
    footer = file.read(length)
    blocks = _blocks(footer, 3)
    file.seek(0)
    schema = pa.ipc.open_file(pa.PythonFile(file, mode="r")).schema
    found = Layout(is_file=True, schema=schema)
    nodes = [_num_nodes(one.type) for one in schema]
    for number, block in enumerate(blocks):
        start, metadata = int(block["offset"]), int(block["metadata"])
        stop = start + metadata + int(block["body"])
        if start < 0 or metadata < _PREFIX or not start < stop <= size:
            raise _cut_short(number, len(blocks), name, where)
    for block in blocks:
        start, metadata = int(block["offset"]), int(block["metadata"])
        file.seek(start)
        message = _Message(file.read(metadata)[_PREFIX:])
        found.batches.append(message.batch(start, start + metadata + int(block["body"]), nodes))
    return found


def _stream(file: BinaryIO, size: int, name: str, where: str) -> Layout:
    found: Layout | None = None
    nodes: list[int] = []
    at = 0
    while at < size:
        file.seek(at)
        prefix = file.read(_PREFIX)
        is_marked = prefix[:4] == b"\xff\xff\xff\xff"
        length = int.from_bytes(prefix[4:] if is_marked else prefix[:4], "little", signed=True)
        begin = at + (_PREFIX if is_marked else 4)
        if length == 0 and (is_marked or found is not None):
            break
        if found is None and not (0 < length <= size - begin):
            raise ValueError("it begins with neither a file's magic nor a schema")
        file.seek(begin)
        text = file.read(max(0, length))
        count = 0 if found is None else len(found.batches)
        if length < 0 or len(text) < length:
            raise _cut_short(count, None, name, where)
        message = _Message(text)
        stop = begin + length + message.body_length
        if stop > size:
            raise _cut_short(count, None, name, where)
        if found is None:
            file.seek(0)
            found = Layout(is_file=False, schema=pa.ipc.read_schema(pa.py_buffer(file.read(stop))), schema_end=stop)
            nodes = [_num_nodes(one.type) for one in found.schema]
        elif message.kind == _OF_DICTIONARY:
            found.dictionaries.append((at, stop))
        elif message.kind == _OF_BATCH:
            found.batches.append(message.batch(at, stop, nodes))
        at = stop
    if found is None:
        raise ValueError("it has no schema")
    return found


def _cut_short(number: int, count: int | None, name: str, where: str) -> FileFormatError:
    of = "" if count is None else f" of {count}"
    return FileFormatError(
        f"{where}: {name!r} is cut short, or damaged: record batch {number}{of} does not end inside it; write it again."
    )


def _num_nodes(kind: Any) -> int:
    """Return how many arrays a column consists of, as messages count them."""
    if isinstance(kind, pa.BaseExtensionType):
        return _num_nodes(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return 1
    return 1 + sum(_num_nodes(kind.field(number).type) for number in range(kind.num_fields))


class _Message:
    """The metadata of one message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._table = _Table(data, _place(data, 0))
        kind = self._table.at(1)
        self.kind = data[kind] if kind else 0
        length = self._table.at(3)
        self.body_length = int(struct.unpack_from("<q", data, length)[0]) if length else 0
        if self.body_length < 0:
            raise ValueError("a message has a negative length")

    def batch(self, start: int, stop: int, nodes: Sequence[int]) -> Batch:
        if self.kind != _OF_BATCH:
            raise ValueError("a record batch is none")
        header = self._table.at(2)
        table = _Table(self._data, _place(self._data, header))
        length, vector = table.at(0), table.at(1)
        num_rows = int(struct.unpack_from("<q", self._data, length)[0]) if length else 0
        found = _vector(self._data, vector, np.dtype([("length", "<i8"), ("nulls", "<i8")]))
        ends = np.cumsum([0, *nodes])
        if len(found) != ends[-1] or num_rows < 0 or (found["length"][ends[:-1]] != num_rows).any():
            raise ValueError("a record batch has other columns than the schema")
        counts = found["nulls"] > 0
        nulls = tuple(bool(counts[first:last].any()) for first, last in pairwise(ends))
        return Batch(start, stop, num_rows, nulls, is_compressed=bool(table.at(3)))


class _Table:
    """A table of FlatBuffers."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._names = at - int(struct.unpack_from("<i", data, at)[0])
        if self._names < 0:
            raise ValueError("its metadata are damaged")
        self._size = int(struct.unpack_from("<H", data, self._names)[0])

    def at(self, slot: int) -> int:
        """Return where the value of a slot is; 0 where it has none."""
        offset = 4 + 2 * slot
        if offset + 2 > self._size:
            return 0
        found = int(struct.unpack_from("<H", self._data, self._names + offset)[0])
        return self._at + found if found else 0


def _place(data: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


def _vector(data: bytes, at: int, dtype: np.dtype[Any]) -> Any:
    if not at:
        return np.empty(0, dtype=dtype)
    begin = _place(data, at)
    count = int(struct.unpack_from("<I", data, begin)[0])
    return np.frombuffer(data, dtype=dtype, count=count, offset=begin + 4)


def _blocks(footer: bytes, slot: int) -> Any:
    return _vector(footer, _Table(footer, _place(footer, 0)).at(slot), _BLOCK)
