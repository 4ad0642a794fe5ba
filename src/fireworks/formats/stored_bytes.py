"""The bytes of a file as memory, of which the system reads only what is looked at.

Nothing that is written to that memory reaches the file. A file on this machine is mapped. What is compressed, or behind a URL, is unpacked once: into memory where it is small,
otherwise into a scratch file without a name, which the system removes with the process, however that ends.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, BinaryIO, final

import numpy as np

from fireworks.errors import DiskSpaceError, FileFormatError
from fireworks.formats.files import Files

_IN_MEMORY = 16 * 2**20  # bytes; what is unpacked and larger goes to the disk
_PIECE = 2**20
_ROOM = 1.01  # a file system keeps some blocks for itself
# A private map may be larger than memory and swap together; Python has the flag's name from 3.13 on.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if os.uname().sysname == "Linux" else 0)

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class StoredBytes(ABC):
    """Bytes that are there when they are looked at. Several threads may ask; pickled without what is in memory."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._bytes: Bytes | None = None

    def memory(self) -> Bytes:
        """Return all bytes, shape ``(bytes,)``.

        Raises:
            OSError: the file can't be read.
            FileChangedError: it has changed since the source was made.
            FileFormatError: it ends too early, or what is compressed is damaged.
            DiskSpaceError: there is no room for what is to be unpacked.
        """
        self._require_unchanged()
        with self._lock:
            if self._bytes is None:
                self._bytes = self._made()
            return self._bytes

    @abstractmethod
    def _made(self) -> Bytes: ...

    @abstractmethod
    def _require_unchanged(self) -> None: ...

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in {"_lock", "_bytes"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()


@final
class Mapped(StoredBytes):
    """A file on this machine.

    Args:
        files: Those of the source.
        number: Which of them.
        kind: What it should be, for the errors.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "x"
        >>> _ = path.write_bytes(b"fire")
        >>> memory = Mapped(Files(path, where="this example", suffixes=()), 0, kind="text").memory()
        >>> memory[0] = ord("h")
        >>> memory.tobytes(), path.read_bytes()
        (b'hire', b'fire')
    """

    def __init__(self, files: Files, number: int, *, kind: str) -> None:
        super().__init__()
        self._files, self._number, self._kind = files, number, kind

    def _require_unchanged(self) -> None:
        self._files.require_unchanged(self._number)

    def _made(self) -> Bytes:
        with self._files.open(self._number, kind=self._kind) as file:
            return _mapped(file)


@final
class Unpacked(StoredBytes):
    """What has to be read from the beginning: a compressed file, a compressed member of an archive, a URL.

    Args:
        files: Those of the source.
        number: Which of them.
        begin: Opens a file and yields what is read from it; it turns its own errors into ours.
        num_bytes: How many bytes there are, where that is known.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "x"
        >>> _ = path.write_bytes(b"fire")
        >>> files = Files(path, where="this example", suffixes=())
        >>> Unpacked(files, 0, partial(files.open, 0, kind="text"), num_bytes=4).memory().tobytes()
        b'fire'
    """

    def __init__(
        self,
        files: Files,
        number: int,
        begin: Callable[[], AbstractContextManager[Any]],
        *,
        num_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self._files, self._number, self._begin, self._num_bytes = files, number, begin, num_bytes

    def _require_unchanged(self) -> None:
        if self._bytes is None:  # what has been unpacked is ours, whatever becomes of the file
            self._files.require_unchanged(self._number)

    def _made(self) -> Bytes:
        expected = self._num_bytes
        with self._begin() as stream:
            if expected is not None and expected > _IN_MEMORY:
                return self._on_disk(iter(partial(stream.read, _PIECE), b""), expected)
            start = _read(stream, _IN_MEMORY if expected is None else expected + 1)
            if len(start) < _IN_MEMORY:
                self._require_length(len(start))
                return np.frombuffer(bytearray(start), dtype=np.uint8)
            return self._on_disk(_chained(start, stream), 0)

    def _on_disk(self, parts: Iterator[bytes], expected: int) -> Bytes:
        folder, name = tempfile.gettempdir(), self._files.names[self._number]
        free = shutil.disk_usage(folder).free
        if expected * _ROOM > free:
            raise DiskSpaceError(
                f"{self._files.where}: {name!r} takes {expected:,} bytes unpacked, and {folder!r} has {free:,} free; make "
                "room there, or set the environment's TMPDIR to a folder on another disk."
            )
        with _refused(f"{self._files.where}: {name!r} can't be unpacked into {folder!r}"):
            file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (closed below)
        with file:
            num_bytes = 0
            for part in parts:
                num_bytes += len(part)
                with _refused(f"{self._files.where}: {name!r} can't be unpacked into {folder!r}"):
                    _write(file, part)
            self._require_length(num_bytes)
            return _mapped(file)

    def _require_length(self, found: int) -> None:
        if self._num_bytes is not None and found != self._num_bytes:
            more = "ends early" if found < self._num_bytes else "has more bytes than it should"
            raise FileFormatError(
                f"{self._files.where}: {self._files.names[self._number]!r} {more}: {self._num_bytes:,} bytes were "
                f"expected{f', {found:,} are there' if found < self._num_bytes else ''}; take another copy of it."
            )


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Say of an error of the system what could not be done."""
    try:
        yield
    except OSError as error:
        raise DiskSpaceError(error.errno, f"{what}: {error.strerror}") from error


def _write(file: Any, part: bytes) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[file.write(rest) :]


def _read(stream: Any, most: int) -> bytes:
    parts, missing = [], most
    while missing and (part := stream.read(min(missing, _PIECE))):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _chained(start: bytes, stream: Any) -> Iterator[bytes]:
    yield start
    yield from iter(partial(stream.read, _PIECE), b"")


def _mapped(file: BinaryIO | Any) -> Bytes:
    """Map a file so that writing to the memory is allowed, as torch wants it, and stays in this process."""
    length = os.fstat(file.fileno()).st_size
    if not length:
        return np.empty(0, dtype=np.uint8)
    held = mmap.mmap(file.fileno(), length, flags=mmap.MAP_PRIVATE | _NO_RESERVE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return np.frombuffer(held, dtype=np.uint8)
