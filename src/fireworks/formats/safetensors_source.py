"""Safetensors files as a source, those of `Message.save` too; their tensors are mapped into memory, not read."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import pyarrow as pa
import torch

from fireworks._internal.checks import check_columns
from fireworks.core.chunk import Span
from fireworks.core.pipe import Pipe
from fireworks.errors import ColumnTypeError, FileFormatError, FireworksError, SchemaMismatchError
from fireworks.formats.files import Files
from fireworks.formats.saved import header_is_whole
from fireworks.formats.stored_arrays import Stack, StoredArray
from fireworks.formats.stored_bytes import Mapped, StoredBytes, Unpacked
from fireworks.formats.stored_source import ArrayColumn, StoredSource, require_one_length
from fireworks.message import Message, concat
from fireworks.message.columns import Column, field_of
from fireworks.message.interchange.arrow import columns_of_table

_WHERE = "read_safetensors"
_NOTES = "__metadata__"
_OURS = "fireworks-message"
_VERSION = 1
_LENGTH = 8  # bytes of the header's length
_MOST_HEADER = 100_000_000  # bytes; the format's own limit
# The format's names of torch's types; what a torch lacks, or the format adds later, is said to be unknown.
_TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
_INTEGERS = {1: "u1", 2: "<i2", 4: "<i4"}  # for types that NumPy lacks: only bytes are moved


def read_safetensors(path: str | Path | Iterable[str | Path], columns: str | Sequence[str] | None = None) -> Pipe:
    """Return a pipe over the rows of safetensors files, in which each tensor of a file is a column.

    Tensors are mapped into memory, not read, of every type that torch has. Files that `Message.save` wrote
    give back all of their columns. The checksums of the values are not looked at, which would read everything:
    `Message.load` does.

    Args:
        path: A file, a folder, a pattern or a list of these; their rows come one file after the other.
        columns: The names of the tensors; all if not given.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a file is no safetensors file, or a damaged one, or one that was cut short.
        ColumnNotFoundError: no such tensor.
        ColumnTypeError: a tensor is a single value, or of a type that torch lacks.
        ColumnLengthError: the tensors of a file differ in length.
        SchemaMismatchError: two files don't have the same columns.

    Source:
        the safetensors format (github.com/huggingface/safetensors, version 0.5).

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "embeddings.safetensors"
        >>> fw.Message({"x": torch.ones(4, 2, dtype=torch.bfloat16), "word": list("abcd")}).save(path)
        >>> data = fw.read_safetensors(path)
        >>> data[1:3]["x"].dtype, data[[3, 0]]["word"].tolist()
        (torch.bfloat16, ['d', 'a'])
    """
    return SafetensorsSource(path, columns)


@final
class SafetensorsSource(StoredSource):
    """The rows of tensors in safetensors files; see `read_safetensors`.

    Args:
        path: A file, a folder, a pattern or a list of these.
        columns: The names of the tensors; all if not given.

    Raises:
        FileFormatError: a file is no safetensors file, or a damaged one.
        ColumnNotFoundError: no such tensor.
        ColumnTypeError: a tensor is a single value, or of a type that torch lacks.
        ColumnLengthError: the tensors of a file differ in length.
        SchemaMismatchError: two files don't have the same columns.

    Example:
        >>> import pathlib, tempfile
        >>> from safetensors.torch import save_file
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.safetensors"
        >>> save_file({"x": torch.arange(4), "y": torch.zeros(4, 2)}, path)
        >>> SafetensorsSource(path, "x")[2:].to_dict()
        {'x': [2, 3]}
    """

    def __init__(self, path: str | Path | Iterable[str | Path], columns: str | Sequence[str] | None = None) -> None:
        files = Files(path, where=_WHERE, suffixes=(".safetensors",))
        found = [_parts(files, number, columns) for number in range(len(files))]
        for file, parts in zip(files.names, found, strict=True):
            if list(parts) != list(found[0]):
                raise SchemaMismatchError(
                    f"{_WHERE}: {files.names[0]!r} holds the columns {list(found[0])} and {file!r} {list(parts)}; read them "
                    "one by one, or name those that both have in columns."
                )
        joined = {name: _joined(name, [parts[name] for parts in found], files) for name in found[0]}
        super().__init__("Safetensors", [files], joined, where=_WHERE)


@dataclass(frozen=True)
class _Tensor:
    """A tensor of one file."""

    array: StoredArray
    dtype: torch.dtype

    @property
    def num_rows(self) -> int:
        return self.array.shape[0]


class _Table:
    """The columns of one file of `Message.save` that are no tensors: an Arrow file inside it, mapped too."""

    def __init__(self, held: StoredBytes, start: int, stop: int, name: str) -> None:
        self._held, self._start, self._stop, self._name = held, start, stop, name
        self._forget()

    def _forget(self) -> None:
        self._lock, self._read = threading.Lock(), None

    def table(self) -> Any:
        """Return all of it; nothing is copied."""
        memory = self._held.memory()  # which sees whether the file has changed
        with self._lock:
            if self._read is None:
                try:
                    table = pa.ipc.open_file(pa.py_buffer(memory[self._start : self._stop])).read_all()
                    table.validate()
                except pa.ArrowException as error:
                    raise _damaged(self._name, f"its table can't be read: {error}") from error
                self._read = table
            return self._read

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in {"_lock", "_read"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()


class _Of(NamedTuple):
    """One column of a table in a file."""

    table: _Table
    name: str

    @property
    def num_rows(self) -> int:
        return int(self.table.table().num_rows)

    def fetch(self, rows: Span) -> Column:
        table = self.table.table().select([self.name])
        taken = table.slice(rows.start, len(rows)) if isinstance(rows, range) else table.take(pa.array(rows))
        return columns_of_table(taken)[self.name]


class _OfTables:
    """One column of the tables in all files."""

    def __init__(self, name: str, parts: list[_Of], files: Files) -> None:
        self._name, self._parts = name, parts
        ends = np.cumsum([0, *(part.num_rows for part in parts)])
        self._starts, self.num_rows = ends[:-1], int(ends[-1])
        self.num_bytes = sum(part.table.table().column(name).nbytes for part in parts)
        fields = [field_of(name, part.fetch(range(0))) for part in parts]
        for file, field in zip(files.names, fields, strict=True):
            if field != fields[0]:
                raise SchemaMismatchError(
                    f"{_WHERE}: column {name!r} is {fields[0].dtype!r} in {files.names[0]!r} and {field.dtype!r} in {file!r}; "
                    "files that are read as one need the same columns: read them one by one, or save them again."
                )

    def fetch(self, rows: Span) -> Column:
        if len(self._parts) == 1 or not len(rows):
            return self._parts[0].fetch(rows)
        positions = np.arange(rows.start, rows.stop) if isinstance(rows, range) else rows
        slot = np.searchsorted(self._starts, positions, side="right") - 1
        places = [np.flatnonzero(slot == number) for number in range(len(self._parts))]
        columns = [
            part.fetch(positions[mine] - start)
            for part, mine, start in zip(self._parts, places, self._starts, strict=True)
            if len(mine)
        ]
        joined = concat([Message({self._name: column}) for column in columns])
        return joined.take(np.argsort(np.concatenate(places))).raw(self._name)


_Part = _Tensor | _Of


def _joined(name: str, parts: Sequence[Any], files: Files) -> Any:
    if all(isinstance(part, _Of) for part in parts):
        return _OfTables(name, list(parts), files)
    kinds = [_kind(part) for part in parts]
    for file, kind in zip(files.names, kinds, strict=True):
        if kind != kinds[0]:
            raise SchemaMismatchError(
                f"{_WHERE}: column {name!r} is {kinds[0]} in {files.names[0]!r} and {kind} in {file!r}; files that are read as "
                "one need the same columns: read them one by one, or save them again."
            )
    return ArrayColumn(name, Stack([part.array for part in parts]), _WHERE, dtype=parts[0].dtype)


def _kind(part: _Part) -> str:
    if isinstance(part, _Of):
        return "no tensor"
    return f"{str(part.dtype).removeprefix('torch.')} of row shape {_row_shape(part)}"


def _row_shape(part: _Tensor) -> tuple[int, ...]:
    return part.array.shape[1:]


def _damaged(name: str, how: str) -> FileFormatError:
    return FileFormatError(f"{_WHERE}: {name!r} is no safetensors file, or a damaged one: {how}.")


# --- headers ----------------------------------------------------------------------------------------------------------


def _parts(files: Files, number: int, columns: str | Sequence[str] | None) -> dict[str, _Part]:
    """Return the columns of one file, in its order or in that of ``columns``."""
    name = files.names[number]
    with files.open(number, kind="safetensors") as file:
        size = file.seek(0, 2)
        file.seek(0)
        start = file.read(_LENGTH)
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH or length > min(_MOST_HEADER, size - _LENGTH):
            raise _damaged(name, f"it has {size:,} bytes, and its header ends behind them" if start else "it is empty")
        text = file.read(length)
    held: StoredBytes = Mapped(files, number, kind="safetensors")
    if not files.is_local(number):
        held = Unpacked(files, number, partial(files.open, number, kind="safetensors"), num_bytes=size)
    try:
        header = json.loads(text)
        notes = header.pop(_NOTES, {})
        found = {key: _entry(name, key, held, entry, _LENGTH + length, size) for key, entry in header.items()}
        if notes.get("format") == _OURS:
            return _of_ours(name, start + text, notes, found, columns)
    except FireworksError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise _damaged(name, f"its header contradicts itself, {str(error) or type(error).__name__}") from error
    parts: dict[str, _Part] = {
        key: _tensor(name, key, found[key], _TYPES.get(found[key].dtype, ""), found[key].shape)
        for key in check_columns(columns, list(found), where=_WHERE)
    }
    require_one_length({key: part.num_rows for key, part in parts.items()}, where=_WHERE, of=repr(name))
    return parts


class _Entry(NamedTuple):
    held: StoredBytes
    start: int
    stop: int
    dtype: str
    shape: tuple[int, ...]


def _entry(file: str, key: str, held: StoredBytes, entry: dict[str, Any], begin: int, size: int) -> _Entry:
    start, stop = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(type(n) is int and n >= 0 for n in (start, stop, *shape)) or stop < start:
        raise _damaged(file, f"the place of {key!r} makes no sense")
    if begin + stop > size:
        raise _damaged(file, f"it ends after {size:,} bytes, within {key!r}")
    return _Entry(held, begin + start, begin + stop, str(entry["dtype"]), shape)


def _tensor(file: str, key: str, entry: _Entry, dtype_name: str, shape: tuple[int, ...]) -> _Tensor:
    dtype = getattr(torch, dtype_name, None)
    if not isinstance(dtype, torch.dtype):
        raise ColumnTypeError(
            f"{_WHERE}: tensor {key!r} of {file!r} is of type {dtype_name or entry.dtype}, which torch {torch.__version__} "
            "lacks; name the others in columns."
        )
    if not shape:
        raise ColumnTypeError(
            f"{_WHERE}: tensor {key!r} of {file!r} is one value, and no column: it has no rows. Name the others in columns."
        )
    known = np.sctypeDict.get(dtype_name)
    stored = np.dtype(_INTEGERS[dtype.itemsize] if known is None else known).newbyteorder("<")
    if dtype.itemsize * math.prod(shape) != entry.stop - entry.start:
        raise _damaged(
            file,
            f"{key!r} takes {entry.stop - entry.start:,} bytes, which is not what {dtype_name} of shape {shape} takes",
        )
    return _Tensor(StoredArray(entry.held, entry.start, stored, shape), dtype)


def _of_ours(
    file: str, header: bytes, notes: dict[str, str], found: dict[str, _Entry], columns: str | Sequence[str] | None
) -> dict[str, _Part]:
    """Return the columns of a file of `Message.save`."""
    if int(notes["version"]) > _VERSION:
        raise FileFormatError(
            f"{_WHERE}: {file!r} has version {notes['version']}; this fireworks reads up to {_VERSION}. Upgrade "
            "fireworks-torch."
        )
    if not header_is_whole(header):
        raise _damaged(file, "the checksum of its header is wrong")
    described = {note["name"]: note for note in json.loads(notes["columns"])}
    table = None
    if "arrow" in notes:
        entry = found[json.loads(notes["arrow"])["key"]]
        table = _Table(entry.held, entry.start, entry.stop, file)
    parts: dict[str, _Part] = {}
    for name in check_columns(columns, list(described), where=_WHERE):
        note = described[name]
        if "key" in note:
            parts[name] = _tensor(file, name, found[note["key"]], note["dtype"], tuple(note["shape"]))
        elif table is not None:
            parts[name] = _Of(table, name)
    return parts
