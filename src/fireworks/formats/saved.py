"""A message in one file that brings back every bit of it: a safetensors file that also holds Arrow.

The tensors of the file are the tensor columns under their own names, so that ``safetensors.torch.load_file`` reads
them, and one of bytes, ``columns.arrow``: the other columns as an Arrow IPC file. The header's metadata, all of it text,
says how they make a message::

    format      fireworks-message
    sha256      of the header but for this value, its length in front included
    version     1
    rows        the number of rows
    columns     JSON: one object per column, in order. Of a tensor column its key in the file, its type, the shape,
                whether it requires a gradient, and the SHA-256 of its bytes; of any other the name alone
    arrow       JSON: key and SHA-256 of the Arrow file; left out where there is none

Equal messages make equal files, and a file with one wrong bit is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import pyarrow as pa
import torch

from fireworks._internal.files import open_file, whole_file
from fireworks.errors import ColumnTypeError, FileFormatError
from fireworks.formats.arrow_ipc import table_for, write_table
from fireworks.message import Message
from fireworks.message.arrays.tensor_dtype import INTEGERS, dtype_name
from fireworks.message.columns import Column
from fireworks.message.interchange.arrow import columns_of_table

_VERSION = 1
_BEGIN = b'{"__metadata__":{"format":"fireworks-message","sha256":"'
_ARROW = "columns.arrow"
_RESERVED = "__metadata__"
_DIGITS = 64  # of a SHA-256
_LENGTH = 8  # bytes of the header's length
_PIECE = 16 * 2**20  # bytes that are hashed while the next ones are on their way to or from the disk

# What safetensors calls torch's types; one that it lacks is kept as bytes, `U8`, with a last dimension more.
_NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.uint16: "U16",
    torch.uint32: "U32",
    torch.uint64: "U64",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.complex64: "C64",
}
_DTYPES = {dtype_name(dtype): dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)}
_OTHERS = {
    b"PAR1": "it is a Parquet file: use Message.read_parquet",
    b"ARROW1": "it is an Arrow file: use Message.read_feather",
    b"PK\x03\x04": "it is a zip archive: use Message.read_npz if NumPy wrote it",
}


class _Member(NamedTuple):
    """What is one tensor of the file: its bytes, how the header describes them, and where they may begin."""

    key: str
    data: np.ndarray[Any, Any]
    dtype: str
    shape: list[int]
    alignment: int


def save_message(message: Message, path: str | Path) -> None:
    """Write a message into one file; see `Message.save`.

    Source:
        the safetensors format (github.com/huggingface/safetensors, version 0.5) and the Arrow IPC file format.
    """
    columns = {name: message.raw(name) for name in message.columns}
    members = {name: _tensor_member(name, c, columns) for name, c in columns.items() if isinstance(c, torch.Tensor)}
    others = [name for name in columns if name not in members]
    arrow = _arrow_member(message.select(*others), columns) if others else None
    # the widest first, so that each begins where its type may lie in memory
    parts = sorted([*members.values(), *([arrow] if arrow else [])], key=lambda part: -part.alignment)

    def header(sums: Mapping[str, str]) -> bytes:
        notes = {"version": str(_VERSION), "rows": str(len(message))}
        notes["columns"] = _json([_note(name, c, members.get(name), sums) for name, c in columns.items()])
        if arrow:
            notes["arrow"] = _json({"key": arrow.key, "sha256": sums[arrow.key]})
        return _header(notes, parts)

    not_yet = header({part.key: "0" * _DIGITS for part in parts})
    with whole_file(path, where="Message.save") as file:
        file.write(not_yet)
        sums = {part.key: _transfer(file.write, part.data) for part in parts}
        file.seek(0)
        file.write(header(sums))


def _tensor_member(name: str, tensor: torch.Tensor, names: Iterable[str]) -> _Member:
    if tensor.is_quantized or tensor.is_meta:
        lack = "is quantized" if tensor.is_quantized else "is on the meta device, which holds no values"
        raise ColumnTypeError(f"Message.save: column {name!r} {lack}; convert it first, or leave it out with drop.")
    plain = tensor.detach().cpu()
    # torch copies integers of every width, but not all of its other types
    bits = plain.view(INTEGERS[plain.itemsize]) if plain.itemsize in INTEGERS else plain
    data = np.ascontiguousarray(bits.numpy()).reshape(-1).view(np.uint8)
    key = _free(name, {*names, _RESERVED}) if name == _RESERVED else name
    if tensor.dtype in _NAMES:
        return _Member(key, data, _NAMES[tensor.dtype], [*tensor.shape], tensor.itemsize)
    return _Member(key, data, "U8", [*tensor.shape, tensor.itemsize], tensor.itemsize)


def _arrow_member(message: Message, names: Iterable[str]) -> _Member:
    table = table_for(message, portable=False, where="Message.save")
    sink = pa.BufferOutputStream()
    write_table(table, sink)
    data = np.frombuffer(sink.getvalue(), dtype=np.uint8)
    return _Member(_free(_ARROW, {*names}), data, "U8", [len(data)], 1)


def _free(key: str, taken: set[str]) -> str:
    while key in taken:
        key += "'"
    return key


def _note(name: str, column: Any, member: _Member | None, sums: Mapping[str, str]) -> dict[str, Any]:
    if member is None:
        return {"name": name}
    facts = {"dtype": dtype_name(column.dtype), "shape": [*column.shape], "requires_grad": column.requires_grad}
    return {"name": name, "key": member.key, **facts, "sha256": sums[member.key]}


def _header(notes: Mapping[str, str], parts: Iterable[_Member]) -> bytes:
    entries, end = {}, 0
    for part in parts:
        begin, end = end, end + part.data.nbytes
        entries[part.key] = {"dtype": part.dtype, "shape": part.shape, "data_offsets": [begin, end]}
    text = f'",{_json(notes)[1:]}' + (f",{_json(entries)[1:]}" if entries else "}")
    try:
        rest = text.encode()
    except UnicodeEncodeError as error:
        raise ColumnTypeError(f"Message.save: a column's name is no text that UTF-8 can write: {error}.") from error
    rest += b" " * (-(len(_BEGIN) + _DIGITS + len(rest)) % _LENGTH)
    start = (len(_BEGIN) + _DIGITS + len(rest)).to_bytes(_LENGTH, "little") + _BEGIN
    return start + _digest(start + rest) + rest


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _transfer(move: Callable[[Any], int], data: np.ndarray[Any, Any]) -> str:
    """Pass memory to a file's ``write`` or ``readinto`` in pieces; return its SHA-256, which is made meanwhile."""
    digest, last = hashlib.sha256(), data[:0]
    with ThreadPoolExecutor(1) as hasher:
        for start in range(0, len(data), _PIECE):
            if len(last):
                hasher.submit(digest.update, last.data)
            last = data[start : start + _PIECE]
            if move(last) < len(last):
                raise _damaged("it became shorter while it was read")
    digest.update(last.data)
    return digest.hexdigest()


def load_message(path: str | Path, device: torch.device | str | None = None) -> Message:
    """Read a message that `save_message` wrote; see `Message.load`."""
    with open_file(path, where="Message.load") as file:
        try:
            message = _read(file)
        except _Refused as error:
            raise FileFormatError(f"Message.load: {str(path)!r} {error}") from None
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            # each part is as it was written, so whoever wrote them was not `save_message`
            raise FileFormatError(f"Message.load: {str(path)!r} contradicts itself: {error}.") from error
    if device is None:
        return message
    return Message({name: _on_device(device, message.raw(name)) for name in message.columns})


def _on_device(device: torch.device | str, column: Column) -> Column:
    if not isinstance(column, torch.Tensor):
        return column
    return column.detach().to(device).requires_grad_(column.requires_grad)  # a leaf, as the other one was


class _Refused(Exception):  # noqa: N818 (it never leaves this file)
    """What is wrong with a file; the caller knows its path."""


def _damaged(how: str) -> _Refused:
    return _Refused(f"is damaged: {how}. Take another copy of it, or save it again.")


def _read(file: BinaryIO) -> Message:
    size = os.fstat(file.fileno()).st_size
    header = _read_header(file, size)
    notes = header.pop(_RESERVED)
    if int(notes["version"]) > _VERSION:
        raise _Refused(
            f"has version {notes['version']}; this fireworks reads up to {_VERSION}. Upgrade fireworks-torch."
        )
    columns, arrow = json.loads(notes["columns"]), json.loads(notes.get("arrow", "{}"))
    members = _read_members(
        file, size, header, {note["key"]: note["sha256"] for note in [*columns, arrow] if "key" in note}
    )
    others = _arrow_columns(members[arrow["key"]]) if arrow else {}
    return Message(
        {
            note["name"]: _tensor_column(note, members[note["key"]]) if "key" in note else others[note["name"]]
            for note in columns
        }
    )


def _read_header(file: BinaryIO, size: int) -> dict[str, Any]:
    start = file.read(_LENGTH + len(_BEGIN))
    if not start[_LENGTH:] or not _BEGIN.startswith(start[_LENGTH:]):
        hint = next((f"; {kind}" for magic, kind in _OTHERS.items() if start.startswith(magic)), "")
        raise _Refused(f"holds no message that Message.save wrote{hint}." if start else "is empty.")
    length = int.from_bytes(start[:_LENGTH], "little")
    if len(start) < _LENGTH + len(_BEGIN) or _LENGTH + length > size:
        raise _damaged(f"it ends after {size:,} bytes, within its header")
    digest = file.read(_DIGITS)
    rest = file.read(max(length - len(_BEGIN) - _DIGITS, 0))
    if digest != _digest(start + rest):
        raise _damaged("the checksum of its header is wrong")
    return cast("dict[str, Any]", json.loads(start[_LENGTH:] + digest + rest))


def header_is_whole(header: bytes) -> bool:
    """Tell whether a header, its length in front included, is one that `save_message` wrote and nobody changed."""
    text = header[_LENGTH:]
    digest, rest = text[len(_BEGIN) : len(_BEGIN) + _DIGITS], text[len(_BEGIN) + _DIGITS :]
    return text.startswith(_BEGIN) and digest == _digest(header[:_LENGTH] + _BEGIN + rest)


def _read_members(
    file: BinaryIO, size: int, header: Mapping[str, Any], sums: Mapping[str, str]
) -> dict[str, torch.Tensor]:
    """Return the bytes of each tensor of the file, each in memory of its own."""
    lengths = {key: end - begin for key, entry in header.items() for begin, end in [entry["data_offsets"]]}
    whole = file.tell() + sum(lengths.values())
    if size != whole:
        raise _damaged(f"it has {size:,} bytes instead of {whole:,}")
    members = {}
    for key, length in lengths.items():
        members[key] = torch.empty(length, dtype=torch.uint8)
        if _transfer(cast("Any", file).readinto, members[key].numpy()) != sums[key]:
            raise _damaged(f"the checksum of {key!r} is wrong")
    return members


def _tensor_column(note: Mapping[str, Any], data: torch.Tensor) -> torch.Tensor:
    if note["dtype"] not in _DTYPES:
        raise _Refused(f"holds column {note['name']!r} of type {note['dtype']}, which torch {torch.__version__} lacks.")
    return data.view(_DTYPES[note["dtype"]]).view(note["shape"]).requires_grad_(note["requires_grad"])


def _arrow_columns(data: torch.Tensor) -> dict[str, Column]:
    table = pa.ipc.open_file(pa.py_buffer(data.numpy())).read_all()
    table.validate(full=True)  # a checksum is no proof against one who makes a file to crash its reader
    return columns_of_table(table)
