"""What stands in front of an array in NumPy's own format; nothing in it is run, and no pickle is followed."""

from __future__ import annotations

import ast
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from fireworks.errors import ColumnTypeError, FileFormatError
from fireworks.formats.stored_arrays import StoredArray
from fireworks.formats.stored_bytes import StoredBytes

MAGIC = b"\x93NUMPY"
MOST_BYTES = 2**16
"""So much of a file or a member is enough to read its header: NumPy's own have at most 10,000 letters."""

_LENGTHS = {1: struct.Struct("<H"), 2: struct.Struct("<I"), 3: struct.Struct("<I")}


@dataclass(frozen=True)
class NpyHeader:
    """What is known of an array before its values: where they begin, their type, how many, and in which order."""

    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool

    @property
    def num_bytes(self) -> int:
        """Bytes of the header and the values."""
        return self.start + self.dtype.itemsize * math.prod(self.shape)

    def stored_in(self, held: StoredBytes, offset: int = 0) -> StoredArray:
        """Return the array, which begins with its header at ``offset``."""
        return StoredArray(held, offset + self.start, self.dtype, self.shape, self.is_fortran and len(self.shape) > 1)


def read_npy_header(data: bytes, *, where: str, name: str, num_bytes: int | None) -> NpyHeader:
    """Read the header at the beginning of ``data``.

    Args:
        data: The first bytes; `MOST_BYTES` are enough.
        where: The function that the user called.
        name: What is read, for the errors: the file, and the member of it.
        num_bytes: How many bytes there are, header included; None where nobody knows.

    Raises:
        FileFormatError: it is none, or more or fewer bytes follow than it says.
        ColumnTypeError: the array holds Python objects, or is one value without rows.

    Source:
        the NPY format, versions 1.0 to 3.0 (NEP 1, ``numpy.lib.format``).
    """
    try:
        header = _parsed(data)
    except (SyntaxError, ValueError, TypeError, KeyError, MemoryError, RecursionError, struct.error) as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise FileFormatError(f"{where}: {name} is no NPY file, or a damaged one: {reason}.") from error
    if header.dtype.hasobject:
        raise ColumnTypeError(
            f"{where}: {name} holds Python objects as a pickle, which runs code when it is read. Load it where you trust it, "
            "with numpy.load(…, allow_pickle=True), and save it as numbers or texts."
        )
    if not header.shape:
        raise ColumnTypeError(f"{where}: {name} is one value, and no column: it has no rows.")
    if num_bytes is not None and num_bytes != header.num_bytes:
        raise FileFormatError(
            f"{where}: {name} has {num_bytes:,} bytes instead of {header.num_bytes:,}; take another copy of it."
        )
    return header


def _parsed(data: bytes) -> NpyHeader:
    if not data:
        raise ValueError("it is empty")
    if not data.startswith(MAGIC):
        raise ValueError("it does not begin as one does")
    version = data[len(MAGIC)] if len(data) > len(MAGIC) + 1 else 0
    if version not in _LENGTHS:
        raise ValueError(f"its version is {version}, and versions 1 to 3 are known" if version else "it ends early")
    at = len(MAGIC) + 2
    (length,) = _LENGTHS[version].unpack_from(data, at)
    at += _LENGTHS[version].size
    text = data[at : at + length]
    if len(text) < length:
        raise ValueError("it ends within its header" if len(data) < MOST_BYTES else "its header is too long")
    facts = ast.literal_eval(text.decode("utf-8" if version == 3 else "latin-1").strip())
    shape, is_fortran = facts["shape"], facts["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"its shape is {shape!r}")
    dtype = np.lib.format.descr_to_dtype(facts["descr"])
    if dtype.subdtype is not None:
        raise ValueError(f"its type is {dtype}, which is several values")
    return NpyHeader(at + length, dtype, shape, bool(is_fortran))
