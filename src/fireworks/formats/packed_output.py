"""Files that are compressed while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

METHODS = {"gzip": ".gz", "bz2": ".bz2", "zstd": ".zst"}


def check_method(compression: object, path: object, *, is_folder: bool, where: str) -> str | None:
    """Return how a file is compressed: as the user says, or else by the end of its name.

    Raises:
        ValueError: there is no such method.

    Example:
        >>> check_method(None, "rows.csv.gz", is_folder=False, where="this example")
        'gzip'
    """
    if compression is None:
        suffix = Path(path).suffix.lower() if isinstance(path, (str, Path)) and not is_folder else ""
        return next((method for method, ending in METHODS.items() if ending == suffix), None)
    if compression not in METHODS:
        known = ", ".join(map(repr, METHODS))
        raise ValueError(
            f"{where}: compression is one of {known}, or None for what the name says; got {compression!r}."
        )
    return str(compression)


@contextmanager
def packed_output(file: BinaryIO, method: str | None) -> Iterator[Any]:
    """Give something to write to whose bytes go into an open file, compressed; the file stays open.

    Example:
        >>> import gzip, io
        >>> file = io.BytesIO()
        >>> with packed_output(file, "gzip") as packed: _ = packed.write(b"text")
        >>> gzip.decompress(file.getvalue())
        b'text'
    """
    if method is None:
        yield file
        return
    with pa.CompressedOutputStream(pa.PythonFile(_StaysOpen(file), mode="w"), method) as packed:
        yield packed


class _StaysOpen:
    """A file that the one who compresses into it doesn't close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.closed = False

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True
