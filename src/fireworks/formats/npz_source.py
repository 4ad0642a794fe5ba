"""NumPy's archives of arrays as a source: what is not compressed is mapped where it lies in the archive."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, final

from fireworks._internal.checks import check_columns
from fireworks.core.pipe import Pipe
from fireworks.errors import ColumnTypeError, SchemaMismatchError
from fireworks.formats.files import Files
from fireworks.formats.npy_header import MOST_BYTES, NpyHeader, read_npy_header
from fireworks.formats.stored_arrays import Stack, StoredArray
from fireworks.formats.stored_bytes import Mapped, StoredBytes, Unpacked
from fireworks.formats.stored_source import (
    ArrayColumn,
    StoredSource,
    require_one_length,
    require_same_arrays,
    split_fields,
)

_WHERE = "read_npz"
_SUFFIX = ".npy"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)
_LOCAL_HEADER = struct.Struct("<26xHH")  # what stands before a member: at its end the lengths of its name and of more


def read_npz(path: str | Path | Iterable[str | Path], columns: str | Sequence[str] | None = None) -> Pipe:
    """Return a pipe over the rows of NumPy's ``.npz`` files.

    What is not compressed is mapped into memory, not read. What is compressed is unpacked once, when its rows are first
    asked for: into memory where that takes up to 16 MB, else into a scratch file that goes away by itself. Columns
    are what `Message.read_npz` gives; the fields of records are columns of their own.

    Args:
        path: A file, a folder, a pattern or a list of these; their rows come one file after the other.
        columns: The names of the arrays; all if not given.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a file is no NPZ file, or a damaged one, or one that was cut short.
        ColumnNotFoundError: no such array.
        ColumnTypeError: an array holds Python objects, which would run code, or is a single value.
        ColumnLengthError: the arrays of a file differ in length.
        SchemaMismatchError: two files don't have the same columns.
        DiskSpaceError: there is no room for what is to be unpacked.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "digits.npz"
        >>> np.savez(path, image=np.zeros((5, 8, 8), dtype=np.uint8), label=np.arange(5))
        >>> data = fw.read_npz(path)
        >>> data[1:3]["image"].shape, data[[4, 0]]["label"].tolist()
        (torch.Size([2, 8, 8]), [4, 0])
    """
    return NpzSource(path, columns)


@final
class NpzSource(StoredSource):
    """The rows of NumPy's archives of arrays; see `read_npz`.

    The checksum of a member is looked at where it is unpacked; of one that is mapped, only the length.

    Args:
        path: A file, a folder, a pattern or a list of these.
        columns: The names of the arrays; all if not given.

    Raises:
        FileFormatError: a file is no NPZ file, or a damaged one.
        ColumnNotFoundError: no such array.
        ColumnTypeError: an array holds Python objects, or is a single value.
        ColumnLengthError: the arrays of a file differ in length.
        SchemaMismatchError: two files don't have the same columns.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "n.npz"
        >>> fw.Message({"n": [3, 1, 2], "x": torch.zeros(3)}).to_npz(path)
        >>> NpzSource(path, "n").to_message()["n"].tolist()
        [3, 1, 2]
    """

    def __init__(self, path: str | Path | Iterable[str | Path], columns: str | Sequence[str] | None = None) -> None:
        files = Files(path, where=_WHERE, suffixes=(".npz",))
        wanted: list[str] | None = None
        found: dict[str, list[_Member]] = {}
        for number, file in enumerate(files.names):
            members = _members(files, number, columns)
            if wanted is not None and members.keys() != found.keys():
                raise SchemaMismatchError(
                    f"{_WHERE}: {files.names[0]!r} holds the columns {wanted} and {file!r} {list(members)}; read them one by "
                    "one, or name those that both have in columns."
                )
            wanted = list(members)
            for name, member in members.items():
                found.setdefault(name, []).append(member)
        super().__init__("Npz", [files], {n: _column(n, some, files) for n, some in found.items()}, where=_WHERE)


@dataclass(frozen=True)
class _Member:
    array: StoredArray
    comment: str


def _column(name: str, members: list[_Member], files: Files) -> ArrayColumn:
    require_same_arrays(name, zip(files.names, (member.array for member in members), strict=True), where=_WHERE)
    comments = {member.comment for member in members}
    if len(comments) > 1:
        raise SchemaMismatchError(
            f"{_WHERE}: column {name!r} was written as different types, {sorted(comments)}; read the files one by one."
        )
    return ArrayColumn(name, Stack([member.array for member in members]), _WHERE, note=comments.pop())


def _members(files: Files, number: int, columns: str | Sequence[str] | None) -> dict[str, _Member]:
    """Return the columns of one file, in its order or in that of ``columns``."""
    found: dict[str, _Member] = {}
    whole: StoredBytes | None = None
    file_name = files.names[number]
    with files.open(number, kind="NPZ", broken=_BROKEN) as file, zipfile.ZipFile(file) as archive:
        infos = {i.filename.removesuffix(_SUFFIX): i for i in archive.infolist() if i.filename.endswith(_SUFFIX)}
        if archive.namelist() and not infos:
            raise ValueError(f"it is a zip archive without arrays; it holds {archive.namelist()[:5]}")
        for name in dict.fromkeys(check_columns(columns, list(infos), where=_WHERE)):
            info = infos[name]
            with archive.open(info) as member:
                start = member.read(MOST_BYTES)
            called = f"the array {name!r} of {file_name!r}"
            header = read_npy_header(start, where=_WHERE, name=called, num_bytes=info.file_size)
            if info.compress_type == zipfile.ZIP_STORED and files.is_local(number):
                if whole is None:
                    whole = Mapped(files, number, kind="NPZ")
                array = header.stored_in(whole, _offset(file, info))
            else:
                array = _unpacked(files, number, info, header)
            for field, one in split_fields(name, array).items():
                if field in found:
                    raise ColumnTypeError(
                        f"{_WHERE}: {file_name!r} has two columns {field!r}, one of them a field of {name!r}; name the arrays "
                        "to read in columns."
                    )
                found[field] = _Member(one, "" if one.field else info.comment.decode())
    require_one_length({name: m.array.shape[0] for name, m in found.items()}, where=_WHERE, of=repr(file_name))
    return found


def _offset(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member begin; only what stands before them in the file says it."""
    file.seek(info.header_offset)
    name, more = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))  # zipfile has seen that it is one
    offset = info.header_offset + _LOCAL_HEADER.size + int(name) + int(more)
    if offset + info.file_size > file.seek(0, 2):
        raise zipfile.BadZipFile(f"{info.filename!r} ends behind the end of the file")
    return offset


def _unpacked(files: Files, number: int, info: zipfile.ZipInfo, header: NpyHeader) -> StoredArray:
    begin = partial(_open_member, files, number, info.filename)
    return header.stored_in(Unpacked(files, number, begin, num_bytes=info.file_size))


@contextmanager
def _open_member(files: Files, number: int, name: str) -> Iterator[Any]:
    with (
        files.open(number, kind="NPZ", broken=_BROKEN) as file,
        zipfile.ZipFile(file) as archive,
        archive.open(name) as member,
    ):
        yield member
