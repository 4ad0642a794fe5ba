"""Arrays that lie in files, one after the other as one long array of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fireworks.core.chunk import Span
from fireworks.formats.stored_bytes import Bytes, StoredBytes
from fireworks.message.columns import Positions

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class StoredArray:
    """Where one array lies, and how.

    Args:
        bytes: What it lies in.
        start: Its first byte.
        dtype: As it is stored: in any byte order, or one field of records.
        shape: The first dimension counts the rows.
        is_fortran: Whether the first dimension is the one that runs fastest.
        field: The field of the records that is meant; ``dtype`` is that of the records then.
    """

    bytes: StoredBytes
    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool = False
    field: str | None = None

    @property
    def num_bytes(self) -> int:
        """How many bytes it takes, with all fields of its records."""
        return self.dtype.itemsize * math.prod(self.shape)

    @property
    def row_dtype(self) -> np.dtype[Any]:
        """The type of what comes out, in this machine's byte order."""
        base = self.dtype if self.field is None else self.dtype[self.field].base
        return base.newbyteorder("=")

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row of what comes out."""
        return self.shape[1:] + (() if self.field is None else self.dtype[self.field].shape)

    def rows(self, start: int, stop: int) -> Array:
        """Return rows one after the other: a view where their bytes lie as this machine wants them, else a copy."""
        array = self._array(self.bytes.memory())[start:stop]
        # torch wants strides of whole elements, which fields of records may lack
        fits = array.flags.aligned and not any(stride % (array.itemsize or 1) for stride in array.strides)
        return array if fits and array.dtype.isnative else array.astype(self.row_dtype)

    def take(self, positions: Positions) -> Array:
        """Return rows here and there, a copy; only their pages are read."""
        memory = self.bytes.memory()
        row_bytes = self.num_bytes // self.shape[0] if self.shape[0] else 0
        if self.is_fortran or self.field is not None or not row_bytes:
            # `take` would first copy the whole of what does not lie row by row
            return self._array(memory)[positions].astype(self.row_dtype, copy=False)
        # as rows of bytes, which may begin anywhere
        whole = memory[self.start : self.start + self.num_bytes].view(f"V{row_bytes}")
        rows = whole.take(positions).view(self.dtype).reshape(len(positions), *self.shape[1:])
        native: Array = rows.astype(self.row_dtype, copy=False)
        return native

    def _array(self, memory: Bytes) -> Array:
        array: Array = np.ndarray(
            self.shape, self.dtype, memory.data, self.start, order="F" if self.is_fortran else "C"
        )
        return array if self.field is None else array[self.field]


class Stack:
    """Stored arrays, one after the other.

    Args:
        arrays: At least one; all of one type and one shape of a row. Texts may differ in their longest.

    Shapes:
        ``(rows of all arrays, *row_shape)``.
    """

    def __init__(self, arrays: Sequence[StoredArray]) -> None:
        self._arrays = tuple(arrays)
        ends = np.cumsum([0, *(array.shape[0] for array in arrays)])
        self._starts, self.num_rows = ends[:-1], int(ends[-1])
        self.dtype, self.row_shape = np.result_type(*(array.row_dtype for array in arrays)), arrays[0].row_shape
        self.num_bytes = self.num_rows * self.dtype.itemsize * math.prod(self.row_shape)

    def fetch(self, rows: Span) -> Array:
        """Return the rows at the given numbers, in that order."""
        if isinstance(rows, range):
            return self._range(rows.start, rows.stop)
        if len(self._arrays) == 1:
            return self._arrays[0].take(rows)
        slot = np.searchsorted(self._starts, rows, side="right") - 1
        touched = np.unique(slot)
        if len(touched) == 1:
            return self._arrays[int(touched[0])].take(rows - self._starts[touched[0]])
        out = np.empty((len(rows), *self.row_shape), dtype=self.dtype)
        for number in touched.tolist():
            places = np.flatnonzero(slot == number)
            out[places] = self._arrays[number].take(rows[places] - self._starts[number])
        return out

    def _range(self, start: int, stop: int) -> Array:
        if start >= stop:
            return np.empty((0, *self.row_shape), dtype=self.dtype)
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = int(np.searchsorted(self._starts, stop, side="left"))
        parts = [
            self._arrays[number].rows(
                max(start - int(self._starts[number]), 0),
                min(stop - int(self._starts[number]), self._arrays[number].shape[0]),
            )
            for number in range(first, last)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
