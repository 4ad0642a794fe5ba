"""Text files whose name says that they are compressed: ``.gz``, ``.bz2``, ``.zst``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

_BY_SUFFIX = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


def packed(data: bytes, path: str | Path) -> bytes:
    """Return the bytes as a file of that name holds them.

    Example:
        >>> packed(b"text", "rows.csv"), packed(b"text" * 100, "rows.csv.gz") == b"text" * 100
        (b'text', False)
    """
    method = _BY_SUFFIX.get(Path(path).suffix.lower())
    if method is None:
        return data
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, method) as stream:
        stream.write(data)
    return cast("bytes", sink.getvalue().to_pybytes())


def unpacked(file: BinaryIO, path: str | Path) -> Any:
    """Return a file to read the bytes from that were packed."""
    method = _BY_SUFFIX.get(Path(path).suffix.lower())
    return file if method is None else pa.CompressedInputStream(file, method)
