"""What lies where in the piles: the rows of one write, scattered, and the rows of one pile, brought together.

A column is stored as one or more *planes*: arrays of one fixed width per row, or bytes whose number per row varies. One
write makes a *segment*: of each pile, its rows of the first plane, then of the second, and so on. The file of a pile is its
slices of all segments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fireworks.message.columns import Positions
from fireworks.spill.arena import ArenaFiles

Array: TypeAlias = "np.ndarray[Any, Any]"
Room: TypeAlias = "Callable[[Hashable, tuple[int, ...], Any], Array]"
"""Gives memory for a result by key, shape and type."""

_NOTHING = memoryview(b"")
_ALL = slice(None)
_ALIGNED = 64
_CACHED_BYTES = 2**21
_TOGETHER_BYTES = 32 * 2**20  # planes that are read together: fewer calls, and so much memory more


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
        view: Array = kept[:num_bytes].view(dtype)
        return view.reshape(shape)


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

    def numbers(self, key: Hashable, parts: Sequence[Array]) -> Plane:
        """Return a plane of fixed width from its parts, one after the other; without parts, nothing is stored."""
        if not parts:
            return self.nothing()
        whole = self._in_cache(parts)
        if not whole.nbytes:
            return self.sorted(whole)
        out = self._warm.array(key, whole.shape, whole.dtype)
        np.take(whole, self.order, axis=0, out=out, mode="clip")
        return self.sorted(out)

    def sorted(self, values: Array) -> Plane:
        """Return a plane of fixed width whose rows are sorted by pile already."""
        width = math.prod(values.shape[1:]) * values.dtype.itemsize
        return Plane(bytes_of(values), self.cuts * width, values.dtype, width)

    def _in_cache(self, parts: Sequence[Array]) -> Array:
        """Return the parts in one piece; a copy even of one, where that brings it into the processor's cache.

        A gather reads here and there, and waits for the memory each time; a copy reads straight on.
        """
        if len(parts) == 1 and parts[0].nbytes > _CACHED_BYTES:
            return parts[0]
        dtype = parts[0].dtype if len(parts) == 1 else np.result_type(*parts)
        out = self._warm.array("joined", (len(self.order), *parts[0].shape[1:]), dtype)
        return np.concatenate(parts, out=out)

    def bytes(self, data: Array, cuts: Positions, form: Any) -> Plane:
        """Return a plane of bytes that are sorted by pile already."""
        return Plane(bytes_of(data), cuts, form, None)

    def nothing(self) -> Plane:
        """Return a plane that is left out."""
        return Plane(_NOTHING, np.zeros(len(self.cuts), dtype=np.int64), None, 0)


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


class Directory:
    """Where everything lies: all segments of a writer, as arrays.

    Args:
        segments: In the order of writing.
        num_piles: How many piles.
        num_planes: How many planes each segment has.
    """

    def __init__(self, segments: Sequence[Segment], num_piles: int, num_planes: int) -> None:
        shape = (len(segments), num_piles)
        self.counts: Positions = np.array([part.counts for part in segments], dtype=np.int64).reshape(shape)
        self._offsets = np.array([part.offsets for part in segments], dtype=np.int64).reshape(shape)
        widths = [[width or 0 for width in part.widths] for part in segments]
        self._widths = np.array(widths, dtype=np.int64).reshape(len(segments), num_planes)
        nothing = np.zeros(num_piles, dtype=np.int64)
        self._lengths = {
            plane: np.array([part.lengths.get(plane, nothing) for part in segments])
            for plane in sorted({plane for part in segments for plane in part.lengths})
        }
        self.forms = [[part.forms[plane] for part in segments] for plane in range(num_planes)]

    def sizes(self, number: int) -> list[tuple[int, int]]:
        """Return the segments that a pile has rows in, each with its bytes."""
        which, _, _, sizes = self.of_pile(number)
        return list(zip(which.tolist(), sizes.sum(axis=1).tolist(), strict=True))

    def joins(self, first: int, second: int) -> bool:
        """Tell whether two segments can be read as one and go on to another pile: none has a form that the other lacks."""
        return all(forms[first] == forms[second] or _is_simple(forms[first], forms[second]) for forms in self.forms)

    def of_pile(
        self, number: int, segments: Sequence[int] | None = None
    ) -> tuple[Positions, Positions, Positions, Positions]:
        """Return which segments a pile has rows in, how many, where they begin, and the bytes of each one's planes.

        Args:
            number: Which pile.
            segments: Of which segments; None for all.

        Shapes:
            three of ``(segments,)``, one of ``(segments, planes)``.
        """
        which = np.flatnonzero(self.counts[:, number]) if segments is None else np.array(segments)
        counts = self.counts[which, number]
        sizes = self._widths[which] * counts[:, None]
        for plane, lengths in self._lengths.items():
            sizes[:, plane] += lengths[which, number]
        return which, counts, self._offsets[which, number], sizes


def _is_simple(*forms: Any) -> bool:
    """Tell whether forms are of numbers or bytes, of which several kinds go together."""
    return all(form is None or isinstance(form, np.dtype | str) for form in forms)


class _Loaded(NamedTuple):
    """Neighbouring planes that have been read: each in one piece, its slices end to end."""

    data: Array
    starts: list[list[int]]
    """By plane: where each slice begins in the data, and behind the last where it ends."""


class PileRows:
    """The rows of one pile while they are read; gives each plane in one piece.

    Planes are read together as long as they are small, into memory that is used again.

    Args:
        files: Where they are.
        descriptor: Of the pile's file, open for as long as this lives.
        number: The pile.
        directory: What lies where.
        segments: The neighbouring segments to read; None for all.
        warm: Memory for what is read and not kept.
        room: Gives memory for what is kept.
        is_kept: Whether what is read is kept as it is, in memory for results.
    """

    def __init__(
        self,
        files: ArenaFiles,
        descriptor: int,
        number: int,
        directory: Directory,
        segments: Sequence[int] | None,
        warm: Warm,
        room: Room,
        *,
        is_kept: bool = False,
    ) -> None:
        self._files, self._descriptor, self._number = files, descriptor, number
        which, counts, offsets, self._sizes = directory.of_pile(number, segments)
        self._forms, self._which = directory.forms, which.tolist()
        self._counts: list[int] = counts.tolist()
        before = np.cumsum(self._sizes, axis=1) - self._sizes
        self._offsets: Positions = offsets[:, None] + before
        self._totals: list[int] = self._sizes.sum(axis=0).tolist()
        self._loaded: dict[int, _Loaded] = {}
        self.stored_rows = int(counts.sum())
        self.order: Positions | None = None
        self.num_slices = len(counts)
        self._warm, self.room, self.is_kept = warm, room, is_kept

    def _raw(self, key: Hashable, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return memory for what is read."""
        if not self.is_kept:
            return self._warm.array(key, shape, dtype)
        return self.room(key, (shape[0] + shape[0] // 8, *shape[1:]), dtype)[: shape[0]]  # so that it will do again

    @property
    def num_rows(self) -> int:
        """How many rows come out."""
        return self.stored_rows if self.order is None else len(self.order)

    def forms(self, plane: int) -> list[Any]:
        """Return the forms of a plane, slice by slice."""
        forms = self._forms[plane]
        return [forms[place] for place in self._which]

    def slices(self, plane: int, part: slice = _ALL) -> Iterator[tuple[int, int, Any]]:
        """Yield the first row, counted from the first of all, the rows and the form of each slice."""
        row = 0
        for count, form in zip(self._counts[part], self.forms(plane)[part], strict=True):
            yield row, count, form
            row += count

    def is_left_out(self, plane: int) -> bool:
        """Whether no slice has a plane."""
        return all(form is None for form in self.forms(plane))

    def runs(self, plane: int, part: slice = _ALL) -> Iterator[tuple[bool, slice]]:
        """Yield stretches of some slices that all have a plane, or all lack it, and which of the two."""
        kinds = [form is not None for form in self.forms(plane)]
        start, stop, _ = part.indices(len(kinds))
        for place in range(start + 1, stop + 1):
            if place == stop or kinds[place] != kinds[start]:
                yield kinds[start], slice(start, place)
                start = place

    def numbers(self, plane: int, rest: tuple[int, ...] = (), *, empty: Any = np.uint8) -> Array:
        """Return a plane of fixed width in the order that was asked for, in memory for results.

        Args:
            plane: Which.
            rest: The shape of a row.
            empty: The type where no slice has the plane.
        """
        return self.taken(plane, self.raw_numbers(plane, rest=rest, empty=empty))

    def taken(self, key: Hashable, raw: Array) -> Array:
        """Return numbers as they lie in the pile in the order that was asked for, in memory for results."""
        out = self.room(key, (self.num_rows, *raw.shape[1:]), raw.dtype)
        if self.order is None:
            out[...] = raw
        elif out.nbytes:
            np.take(raw, self.order, axis=0, out=out, mode="clip")
        return out

    def raw_numbers(
        self, plane: int, part: slice = _ALL, *, rest: tuple[int, ...] = (), empty: Any = np.uint8
    ) -> Array:
        """Return a plane of some slices as it lies there, in memory that the next call may take."""
        forms, counts = self.forms(plane)[part], self._counts[part]
        kinds = set(forms)
        if len(kinds) == 1 and None not in kinds:
            data, _ = self.raw_bytes(plane, part)
            return (
                data.view(forms[0]).reshape(sum(counts), *rest)
                if len(data)
                else np.empty((sum(counts), *rest), forms[0])
            )
        kinds.discard(None)
        out = self._raw(("mixed", plane), (sum(counts), *rest), np.result_type(*kinds) if kinds else np.dtype(empty))
        for place, (row, count, form) in enumerate(self.slices(plane, part), start=part.start or 0):
            out[row : row + count] = (
                0
                if form is None
                else self.raw_bytes(plane, slice(place, place + 1))[0].view(form).reshape(count, *rest)
            )
        return out

    def raw_bytes(self, plane: int, part: slice = _ALL) -> tuple[Array, list[int]]:
        """Return the bytes of a plane of some slices, and where each slice ends; the next call may take the memory."""
        if plane not in self._loaded:
            self._load(plane)
        loaded = self._loaded[plane]
        starts = loaded.starts[plane][part.start or 0 : None if part.stop is None else part.stop + 1]
        return loaded.data[starts[0] : starts[-1]], [stop - starts[0] for stop in starts[1:]]

    def _load(self, first: int) -> None:
        """Read a plane, and those behind it as long as all of them are small."""
        self._loaded = {}
        if self.is_kept:
            first, last = 0, len(self._totals)
        else:
            last, total = first + 1, self._totals[first]
            while last < len(self._totals) and total + self._totals[last] <= _TOGETHER_BYTES:
                total += self._totals[last]
                last += 1
        starts, end = [], 0
        for plane in range(first, last):
            cuts = np.concatenate([[end], end + np.cumsum(self._sizes[:, plane])])
            starts.append(cuts.tolist())
            end = -(-int(cuts[-1]) // _ALIGNED) * _ALIGNED
        data = self._raw("raw", (end,), np.uint8)
        self._read(data, starts, first, last)
        loaded = _Loaded(data, [[]] * first + starts)
        self._loaded = dict.fromkeys(range(first, last), loaded)

    def _read(self, data: Array, starts: list[list[int]], first: int, last: int) -> None:
        view = bytes_of(data)
        whole = first == 0 and last == len(self._totals)  # then the slices too lie one after the other
        pieces: list[memoryview] = []
        offsets = self._offsets[:, first].tolist()
        for place, offset in enumerate(offsets):
            pieces += [view[cuts[place] : cuts[place + 1]] for cuts in starts if cuts[place] < cuts[place + 1]]
            if not whole:
                self._files.fill(self._number, self._descriptor, pieces, offset)
                pieces = []
        if pieces:
            self._files.fill(self._number, self._descriptor, pieces, offsets[0])


def bytes_of(array: Array) -> memoryview:
    """Return the memory of an array without gaps."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.nbytes else _NOTHING
