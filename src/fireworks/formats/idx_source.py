"""The files of MNIST and of what was made in its likeness, as a source."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np

from fireworks.core.pipe import Pipe
from fireworks.errors import FileFormatError, SchemaMismatchError
from fireworks.formats.files import Files
from fireworks.formats.npz import TENSOR
from fireworks.formats.stored_arrays import Stack, StoredArray
from fireworks.formats.stored_bytes import Mapped, Unpacked
from fireworks.formats.stored_source import ArrayColumn, StoredSource, require_same_arrays

_WHERE = "read_idx"
_SUFFIXES = ("-ubyte", "-ubyte.gz", ".idx", ".idx.gz")
_GZIP = b"\x1f\x8b"
_BROKEN = (gzip.BadGzipFile, zlib.error, EOFError, struct.error)
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_Paths = str | Path | Iterable[str | Path]


def read_idx(images: _Paths, labels: _Paths | None = None) -> Pipe:
    """Return a pipe over images and labels in the format of MNIST, compressed by gzip or not.

    The columns are tensors, ``image`` and ``label``, of the type that the file has: bytes of MNIST stay bytes. A file that
    is not compressed is mapped into memory, not read; one that is is unpacked once, when its rows are first asked for.

    Args:
        images: A file, or a list of files that come one after the other.
        labels: As many files with as many rows; no column ``label`` if not given.

    Shapes:
        ``image`` is ``(rows, *the other dimensions of the file)``, ``(rows, 28, 28)`` for MNIST; ``label`` is ``(rows,)``.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a file is no IDX file, or a damaged one, or one that was cut short.
        ColumnLengthError: there are more images than labels, or fewer.
        SchemaMismatchError: files of one column differ in their type or in the shape of a row.

    Source:
        the IDX format as described at yann.lecun.com/exdb/mnist (1998).

    Example:
        >>> import pathlib, struct, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "images").write_bytes(struct.pack(">HBB3I", 0, 8, 3, 2, 2, 2) + bytes(range(8)))
        >>> _ = (folder / "labels").write_bytes(struct.pack(">HBBI", 0, 8, 1, 2) + bytes([7, 4]))
        >>> row = fw.read_idx(folder / "images", folder / "labels")[1]
        >>> row["image"].tolist(), row["label"].tolist()
        ([[[4, 5], [6, 7]]], [4])
    """
    return IdxSource(images, labels)


@final
class IdxSource(StoredSource):
    """The rows of files in the format of MNIST; see `read_idx`.

    Args:
        images: Files of the column ``image``.
        labels: Files of the column ``label``.

    Raises:
        FileFormatError: a file is no IDX file, or a damaged one.
        ColumnLengthError: there are more images than labels, or fewer.
        SchemaMismatchError: files of one column differ.

    Example:
        >>> import pathlib, struct, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "train-labels-idx1-ubyte"
        >>> _ = path.write_bytes(struct.pack(">HBBI", 0, 8, 1, 3) + bytes([5, 0, 4]))
        >>> IdxSource(path).to_message()["image"].tolist()
        [5, 0, 4]
    """

    def __init__(self, images: _Paths, labels: _Paths | None = None) -> None:
        paths: dict[str, Any] = {"image": images} | ({} if labels is None else {"label": labels})
        every, columns = [], {}
        for name, some in paths.items():
            files = Files(some, where=_WHERE, suffixes=_SUFFIXES)
            arrays = [_array(files, number) for number in range(len(files))]
            require_same_arrays(name, zip(files.names, arrays, strict=True), where=_WHERE)
            every.append(files)
            columns[name] = ArrayColumn(name, Stack(arrays), _WHERE, note=TENSOR)
        if labels is not None and len(every[0]) != len(every[1]):
            raise SchemaMismatchError(
                f"{_WHERE}: {len(every[0])} files of images and {len(every[1])} of labels were named; name as many of both."
            )
        super().__init__("Idx", every, columns, where=_WHERE)


def _array(files: Files, number: int) -> StoredArray:
    name = files.names[number]
    with files.open(number, kind="IDX") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
        size = None if is_packed else file.seek(0, 2)
    with _opened(files, number, is_packed=is_packed) as stream:
        start = stream.read(4)
        if start[:2] != b"\0\0" or len(start) < 4 or start[2] not in _TYPES or not start[3]:
            found = f"begins with {start.hex(' ')}" if start else "is empty"
            raise FileFormatError(
                f"{_WHERE}: {name!r} is no IDX file, or a damaged one: it {found}, not with 00 00, a type and the number of "
                "dimensions."
            )
        dtype, num_dimensions = np.dtype(_TYPES[start[2]]), start[3]
        shape = struct.unpack(f">{num_dimensions}I", stream.read(4 * num_dimensions))
    begin = 4 + 4 * num_dimensions
    num_bytes = begin + dtype.itemsize * math.prod(shape)
    if size is not None and size != num_bytes:
        raise FileFormatError(
            f"{_WHERE}: {name!r} has {size:,} bytes instead of {num_bytes:,}, for {' x '.join(map(str, shape))} values; take "
            "another copy of it."
        )
    if not is_packed and files.is_local(number):
        return StoredArray(Mapped(files, number, kind="IDX"), begin, dtype, shape)
    opened = partial(_opened, files, number, is_packed=is_packed)
    return StoredArray(Unpacked(files, number, opened, num_bytes=num_bytes), begin, dtype, shape)


@contextmanager
def _opened(files: Files, number: int, *, is_packed: bool) -> Iterator[Any]:
    with files.open(number, kind="IDX", broken=_BROKEN) as file:
        if not is_packed:
            yield file
            return
        with gzip.open(file) as stream:
            yield stream
