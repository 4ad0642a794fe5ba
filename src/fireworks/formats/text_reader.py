"""The bytes of text files, in UTF-8, whatever they are packed or encoded in."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from fireworks.errors import FileChangedError, FireworksError
from fireworks.formats.compression import unpacked
from fireworks.formats.files import Files

PACKED = (".gz", ".bz2", ".zst")
BROKEN: tuple[type[Exception], ...] = (pa.ArrowException, EOFError, zlib.error, UnicodeError)

_AT_A_TIME = 2**18


def check_encoding(encoding: object, *, where: str) -> str:
    """Return the name of an encoding as Python has it.

    Raises:
        ValueError: there is no such encoding of text.

    Example:
        >>> check_encoding("UTF8", where="this example"), check_encoding("latin1", where="this example")
        ('utf-8', 'iso8859-1')
    """
    try:
        found = codecs.lookup(encoding)  # type: ignore[arg-type]
        "".encode(found.name)
    except (LookupError, TypeError) as error:
        raise ValueError(
            f"{where}: encoding is the name of an encoding of text, such as 'utf-8' or 'latin-1'; got {encoding!r}."
        ) from error
    return "utf-8" if found.name == "utf-8-sig" else found.name


class TextReader:
    """Reads pieces of files, best in the order in which they stand there; for one thread at a time.

    A plain file is read at the place that is asked for. A packed one, or one in another encoding than UTF-8, can only be
    read from its beginning on: a piece before the last one begins it anew.

    Args:
        files: Which.
        kind: What they are, for errors: ``"CSV"``.
        encoding: As Python names it.
        errors: What becomes of bytes that are no text in that encoding, as Python names it.
    """

    def __init__(self, files: Files, *, kind: str, encoding: str = "utf-8", errors: str = "strict") -> None:
        self._files, self._kind, self._encoding, self._errors = files, kind, encoding, errors
        self._number = -1
        self._stack = ExitStack()
        self._file: Any = None
        self._position = 0
        self._ready = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self._stack.close()
        self._number, self._file, self._ready = -1, None, b""

    def read(self, number: int, start: int, stop: int) -> bytes:
        """Return the bytes of a file from ``start`` to before ``stop``, of its text in UTF-8.

        Raises:
            OSError: it can't be read.
            FileChangedError: it is another one than when the source was made.
            FileFormatError: it is damaged, or not in that encoding.
        """
        data = self._upto(number, start, stop)
        if len(data) < stop - start:
            self._files.require_unchanged(number)
            raise FileChangedError(
                f"{self._files.where}: {self._files.names[number]!r} ends before it did when it was first read; make the pipe anew."
            )
        return data

    def starts_with(self, number: int, begin: bytes) -> bool:
        """Tell whether a file begins with some bytes."""
        return self._upto(number, 0, len(begin)) == begin

    def chunks(self, number: int) -> Iterator[bytes]:
        """Yield a whole file piece by piece; none ends between a carriage return and a line feed."""
        with TextReader(self._files, kind=self._kind, encoding=self._encoding, errors=self._errors) as reader:
            at = 0
            while chunk := reader._upto(number, at, at + _AT_A_TIME):
                while chunk.endswith(b"\r") and (more := reader._upto(number, at + len(chunk), at + len(chunk) + 1)):
                    chunk += more
                at += len(chunk)
                yield chunk

    def _upto(self, number: int, start: int, stop: int) -> bytes:
        """Return fewer bytes at the end of the file; an error says which file it is."""
        try:
            return self._read(number, start, stop)
        except BaseException as error:
            self.close()
            of_library = isinstance(error, OSError) and error.errno is None and not isinstance(error, FireworksError)
            if not of_library and not isinstance(error, BROKEN):
                raise
            broken = (*BROKEN, OSError)
            with self._files.open(number, kind=self._kind, broken=broken):  # which has the words for it
                raise

    def is_plain(self, number: int) -> bool:
        """Tell whether a file can be read at any place."""
        return self._encoding == "utf-8" and Path(self._files.names[number]).suffix.lower() not in PACKED

    def _read(self, number: int, start: int, stop: int) -> bytes:
        """Return fewer bytes at the end of the file."""
        if number != self._number or (start < self._position and not self.is_plain(number)):
            self._begin(number)
        else:
            self._files.require_unchanged(number)
        if self.is_plain(number):
            if start != self._position:
                self._file.seek(start)
            data = bytes(self._file.read(stop - start))
            self._position = start + len(data)
            return data
        parts, at = [], self._position
        while at < stop:
            if not self._ready and not (ready := self._more()):
                break
            ready, self._ready = self._ready, b""
            wanted = ready[max(0, start - at) : stop - at]
            parts.append(wanted)
            used = min(len(ready), stop - at)
            self._ready = ready[used:]
            at += used
        self._position = at
        return b"".join(parts)

    def _begin(self, number: int) -> None:
        self.close()
        self._number, self._position = number, 0
        self._file = self._stack.enter_context(self._files.open(number, kind=self._kind))
        if not self.is_plain(number):
            self._file = unpacked(self._file, self._files.names[number])
            self._decoder = codecs.getincrementaldecoder(self._encoding)(self._errors)

    def _more(self) -> bytes:
        while data := bytes(self._file.read(_AT_A_TIME)):
            self._ready = data if self._encoding == "utf-8" else self._decoder.decode(data).encode()
            if self._ready:
                return self._ready
        if self._encoding != "utf-8":
            self._ready, rest = self._decoder.decode(b"", final=True).encode(), self._ready
            self._decoder.reset()
            return self._ready or rest
        return b""
