"""What lies where in the piles: the rows of one write, scattered, and the rows of one pile, brought together.

A column is stored as one or more *planes*: arrays of one fixed width per row, or bytes whose number per row varies. One
write makes a *segment*: of each pile, its rows of the first plane, then of the second, and so on. The file of a pile is its
slices of all segments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from fireworks.message.columns import Positions
from fireworks.spill.pile_files import PileFiles

Array: TypeAlias = "np.ndarray[Any, Any]"
Room: TypeAlias = "Callable[[Hashable, tuple[int, ...], Any], Array]"
"""Gives memory for a result by key, shape and type."""

_T = TypeVar("_T")
_NOTHING = memoryview(b"")


class Plane(NamedTuple):
    """One plane of one write, sorted by pile."""

    data: memoryview
    cuts: Positions
    """Where the bytes of each pile begin, and behind the last one where they end."""
    form: Any
    """What the reader has to know of it; None where the plane is left out of this segment."""
    width: int | None
    """Bytes of one row; None where it varies."""


class Warm:
    """Memory that is used again and again, by key. Not for several threads."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Array] = {}

    def array(self, key: Hashable, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array over it; what was there before is overwritten."""
        num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        kept = self._kept.get(key)
        if kept is None or len(kept) < num_bytes:
            kept = self._kept[key] = np.empty(num_bytes + num_bytes // 16 + 64, dtype=np.uint8)
        if not num_bytes:
            return np.empty(shape, dtype=dtype)
        return kept[:num_bytes].view(dtype).reshape(shape)


class Scatter:
    """The rows of one write on their way into the piles.

    Args:
        piles: The pile of each row.
        num_piles: How many there are.
        warm: Memory for what is gathered; filled again by the next write.
    """

    def __init__(self, piles: Array, num_piles: int, warm: Warm) -> None:
        self.order: Positions = np.argsort(piles, kind="stable")  # counts the digits of such small integers
        self.counts: Positions = np.bincount(piles, minlength=num_piles)
        self.cuts: Positions = np.concatenate([[0], np.cumsum(self.counts)])
        self._warm = warm

    def numbers(self, key: Hashable, parts: Sequence[Array | None], *, is_sorted: bool = False) -> Plane:
        """Return a plane of fixed width from its parts, one after the other; a part of None is all zeros.

        Where all are None, nothing is stored.
        """
        known = [part for part in parts if part is not None]
        if not known:
            return self.nothing()
        whole = known[0] if len(parts) == 1 else self._joined(key, parts, known)
        width = math.prod(whole.shape[1:]) * whole.dtype.itemsize
        if width and not is_sorted:
            out = self._warm.array((key, "scattered"), whole.shape, whole.dtype)
            np.take(whole, self.order, axis=0, out=out, mode="clip")
            whole = out
        return Plane(bytes_of(whole), self.cuts * width, whole.dtype, width)

    def bytes(self, data: Array, cuts: Positions, form: Any) -> Plane:
        """Return a plane of bytes that are sorted by pile already."""
        return Plane(bytes_of(data), cuts, form, None)

    def nothing(self) -> Plane:
        """Return a plane that is left out."""
        return Plane(_NOTHING, np.zeros(len(self.cuts), dtype=np.int64), None, 0)

    def _joined(self, key: Hashable, parts: Sequence[Array | None], known: Sequence[Array]) -> Array:
        dtype, rest = known[0].dtype, known[0].shape[1:]
        if any(part.dtype != dtype for part in known):
            dtype = np.result_type(*known)
        if any(part is None for part in parts):
            raise AssertionError("a part that is left out has to say how many rows it has")
        out = self._warm.array((key, "joined"), (len(self.order), *rest), dtype)
        return np.concatenate(known, out=out)


class Segment(NamedTuple):
    """Where the rows of one write lie, in all piles."""

    counts: Positions
    """Rows in each pile."""
    offsets: Positions
    """Where it begins in the file of each pile."""
    forms: list[Any]
    """By plane."""
    widths: list[int | None]
    """By plane."""
    lengths: dict[int, Positions]
    """By plane without a fixed width: its bytes in each pile."""

    def sizes(self, number: int) -> list[int]:
        """Return the bytes of each plane in one pile."""
        rows = int(self.counts[number])
        return [
            int(self.lengths[plane][number]) if width is None else rows * width
            for plane, width in enumerate(self.widths)
        ]


class _Slice(NamedTuple):
    """What one segment has for one pile."""

    start: int
    """Its first row in the pile."""
    rows: int
    forms: list[Any]
    offsets: list[int]
    """In the file, by plane, and the end."""


class PileRows:
    """The rows of one pile while they are read; gives each column's planes in one piece.

    Args:
        files: Where they are.
        descriptor: Of the pile's file, open for as long as this lives.
        number: The pile.
        segments: All of the writer.
        warm: Memory for what is read and not kept.
        room: Gives memory for what is kept.
    """

    def __init__(
        self, files: PileFiles, descriptor: int, number: int, segments: Sequence[Segment], warm: Warm, room: Room
    ) -> None:
        self._files, self._descriptor, self._number = files, descriptor, number
        self._slices: list[_Slice] = []
        rows = 0
        for segment in segments:
            if count := int(segment.counts[number]):
                ends = np.cumsum([int(segment.offsets[number]), *segment.sizes(number)])
                self._slices.append(_Slice(rows, count, segment.forms, ends.tolist()))
                rows += count
        self.stored_rows = rows
        self.order: Positions | None = None
        self._warm, self.room = warm, room

    @property
    def num_rows(self) -> int:
        """How many rows come out."""
        return self.stored_rows if self.order is None else len(self.order)

    def runs(self, plane: int, alike: Callable[[Any], _T]) -> Iterator[tuple[_T, range]]:
        """Yield stretches of slices whose forms of a plane come to the same, and what that is."""
        start = 0
        kinds = [alike(piece.forms[plane]) for piece in self._slices]
        for place in range(1, len(kinds) + 1):
            if place == len(kinds) or kinds[place] != kinds[start]:
                yield kinds[start], range(start, place)
                start = place

    def all_slices(self) -> range:
        """Return the numbers of all slices."""
        return range(len(self._slices))

    def rows_in(self, slices: range) -> int:
        """Return the rows of a stretch of slices."""
        return sum(self._slices[place].rows for place in slices)

    def forms(self, plane: int) -> list[Any]:
        """Return the forms of a plane, slice by slice."""
        return [piece.forms[plane] for piece in self._slices]

    def is_left_out(self, plane: int) -> bool:
        """Whether no slice has a plane."""
        return all(form is None for form in self.forms(plane))

    def numbers(self, plane: int, rest: tuple[int, ...] = (), *, empty: Any = np.uint8) -> Array:
        """Return a plane of fixed width in the order that was asked for, in memory for results.

        Args:
            plane: Which.
            rest: The shape of a row.
            empty: The type where no slice has the plane.
        """
        dtype = self._common(plane, self.all_slices(), empty)
        out = self.room(plane, (self.num_rows, *rest), dtype)
        if self.order is None:
            self._read_numbers(plane, self.all_slices(), out)
        elif out.nbytes:
            raw = self._warm.array("raw", (self.stored_rows, *rest), dtype)
            self._read_numbers(plane, self.all_slices(), raw)
            np.take(raw, self.order, axis=0, out=out, mode="clip")
        return out

    def raw_numbers(self, plane: int, slices: range, key: Hashable = "raw") -> Array:
        """Return one number per row of some slices as they lie there, in memory that the next call with the key takes."""
        out = self._warm.array(key, (self.rows_in(slices),), self._common(plane, slices, np.uint8))
        self._read_numbers(plane, slices, out)
        return out

    def raw_bytes(self, plane: int, slices: range, *, keep: bool) -> tuple[Array, list[int]]:
        """Return the bytes of a plane in some slices, end to end, and the number of each slice's.

        Args:
            plane: Which.
            slices: Which.
            keep: Whether they are part of a result; else the next call takes the memory.
        """
        lengths = [self._slices[place].offsets[plane + 1] - self._slices[place].offsets[plane] for place in slices]
        total = sum(lengths)
        out = np.empty(total, dtype=np.uint8) if keep else self._warm.array("bytes", (total,), np.uint8)
        view, start = bytes_of(out), 0
        for place, length in zip(slices, lengths, strict=True):
            self._fill([view[start : start + length]], self._slices[place].offsets[plane])
            start += length
        return out, lengths

    def _common(self, plane: int, slices: range, empty: Any) -> Any:
        forms = {self._slices[place].forms[plane] for place in slices} - {None}
        if len(forms) == 1:
            return next(iter(forms))
        return np.result_type(*forms) if forms else np.dtype(empty)

    def _read_numbers(self, plane: int, slices: range, out: Array) -> None:
        if not out.nbytes:
            return
        view, width, row = bytes_of(out), out.nbytes // len(out), 0
        for place in slices:
            piece = self._slices[place]
            form, stop = piece.forms[plane], row + piece.rows
            if form is None:
                out[row:stop] = 0
            elif form == out.dtype:
                self._fill([view[row * width : stop * width]], piece.offsets[plane])
            else:
                narrow = self._warm.array("narrow", (piece.rows, *out.shape[1:]), form)
                self._fill([bytes_of(narrow)], piece.offsets[plane])
                out[row:stop] = narrow
            row = stop

    def _fill(self, pieces: list[memoryview], offset: int) -> None:
        self._files.fill(self._number, self._descriptor, pieces, offset)


def bytes_of(array: Array) -> memoryview:
    """Return the memory of an array without gaps."""
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8)) if array.nbytes else _NOTHING
