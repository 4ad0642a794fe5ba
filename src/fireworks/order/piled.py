"""The rows of one epoch in piles on disk."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from fireworks.core.chunk import Chunk
from fireworks.message import Message
from fireworks.message.columns import Positions
from fireworks.order.keys import Keys
from fireworks.order.scatter import Scatter, pile_of, sorted_by
from fireworks.spill.arena import Arena
from fireworks.spill.piles import Piles, PileWriter, Stored

if TYPE_CHECKING:
    from fireworks.core.buffers import Buffers

MAX_PILES_BITS = 12
_PILE_BYTES = 64 * 2**20  # larger ones leave the processor's cache, and smaller ones make many small writes
# Of the budget. One pile is handed out, two are read, and their memory is used again when nobody holds the one before: four
# twelfths. What is written takes twice its bytes and half as much for codes, a sixth; what is read to be written again, an
# eighth; and the source reads ahead with a quarter.
_PILE_SHARE, _WRITE_SHARE = 12, 24
_FEW_ROWS = 2**32 - 1
_KEY, _ROW, _PLACE = "key", "row", "place"


Content = TypeVar("Content", Message, Stored)


class Keyed(NamedTuple, Generic[Content]):
    """Rows on their way to a pile."""

    content: Content
    rows: Positions
    """Their numbers in the source."""
    places: Positions
    """Their positions in the input of the stage that scatters them."""
    words: Keys


class Layout(NamedTuple):
    """How rows are shared out to piles.

    Args:
        bits: There are 2**bits piles.
        skip: How many bits of the keys are the same in all rows.
        pile_bytes: A larger pile is shared out again before it is read.
        write_bytes: So much is gathered before it is written.
        has_places: Whether places are written; without, rows come in the order of their places, or the places are the row
            numbers.
        row_type: Of the row numbers and places.
        in_order: Whether rows come in the order of their places.
    """

    bits: int
    skip: int
    pile_bytes: int
    write_bytes: int
    has_places: bool
    row_type: np.dtype[Any]
    in_order: bool

    @classmethod
    def fitting(
        cls, num_bytes: int, limit: int, *, has_places: bool, num_rows: int | None = None, in_order: bool = True
    ) -> Layout:
        """Return a layout.

        Args:
            num_bytes: Bytes of all rows.
            limit: How many of them may be in memory.
            has_places: Whether places are written.
            num_rows: How many rows the source has, where that is known.
            in_order: Whether rows come in the order of their places.
        """
        largest = max(limit // _PILE_SHARE, 1)
        wanted = -(-num_bytes // min(largest, _PILE_BYTES))
        bits = min(max((wanted - 1).bit_length(), 1), MAX_PILES_BITS)
        row_type = np.dtype(np.int64 if num_rows is None or num_rows > _FEW_ROWS else np.uint32)
        return cls(bits, 0, largest, max(limit // _WRITE_SHARE, 1), has_places, row_type, in_order)

    def below(self, num_bytes: int) -> Layout:
        """Return a layout for the rows of one pile that is too large."""
        bits = min(max((-(-num_bytes // self.pile_bytes) - 1).bit_length() + 1, 1), MAX_PILES_BITS, 64 - self.skip)
        return self._replace(bits=bits, skip=self.skip + self.bits)


class Piled:
    """Rows in piles: pile after pile, and sorted inside each, they are the order of an epoch.

    Made by `pile_up`. A pile that is larger than planned, because strings were longer or many rows have nearly equal keys, is
    shared out again when it is read.
    """

    def __init__(self, piles: Piles, arena: Arena, layout: Layout, first: int = 0) -> None:
        self._piles, self._arena, self._layout = piles, arena, layout
        counts = np.asarray(piles.counts, dtype=np.int64)
        self.starts = first + np.cumsum([0, *counts])[:-1]
        """The position of the first row of each pile in the order."""
        self.num_rows = int(counts.sum())

    @property
    def num_bytes(self) -> int:
        """Bytes on disk."""
        return self._piles.num_bytes

    def bytes_of(self, number: int) -> int:
        """Return about how much memory a pile takes when it is read."""
        return max(self._piles.bytes_of(number), int(self._piles.row_bytes * self._piles.counts[number]))

    @property
    def memory_bytes(self) -> int:
        """About how much memory all rows would take."""
        return max(self.num_bytes, int(self._piles.row_bytes * self.num_rows))

    def pile_at(self, position: int) -> int:
        """Return the pile in which a position of the order lies."""
        return int(np.searchsorted(self.starts, position, side="right")) - 1

    def read(self, number: int, buffers: Buffers | None) -> Iterator[Chunk]:
        """Yield the rows of one pile in the order of the epoch: in one chunk, or several where the pile is too large."""
        if self.is_too_large(number):
            below = self._shared_out(number)
            try:
                for pile in range(len(below.starts)):
                    yield from below.read(pile, buffers)
            finally:
                below.close()
            return
        if self._piles.counts[number]:
            message, extras = self._piles.read(number, order=self._sorted, buffers=buffers)
            yield Chunk(message, extras[_ROW].astype(np.int64, copy=False))

    def _sorted(self, extras: Mapping[str, Any]) -> Positions:
        places = None if self._layout.in_order else extras.get(_PLACE, extras[_ROW])
        return sorted_by(extras[_KEY], places, self._layout.skip + self._layout.bits)

    def is_too_large(self, number: int) -> bool:
        """Tell whether a pile is shared out again before it is read."""
        layout = self._layout
        return bool(
            self.bytes_of(number) > layout.pile_bytes
            and self._piles.counts[number] > 1
            and layout.skip + layout.bits < 64
        )

    def _shared_out(self, number: int) -> Piled:
        layout = self._layout.below(self.bytes_of(number))
        return pile_up(self.raw(number), layout, self._arena, first=int(self.starts[number]))

    def cool(self) -> None:
        """Let go of the memory that reading used; it is had again when somebody reads."""
        self._piles.cool()

    def discard(self, number: int) -> None:
        """Give the room back that a pile takes."""
        self._piles.discard(number)

    def raw(self, number: int, buffers: Buffers | None = None) -> Iterator[Keyed[Stored]]:
        """Yield the rows of one pile as they were written, some at a time."""
        for stored, extras in self._piles.stored(number, self._layout.pile_bytes, buffers):
            rows = extras[_ROW].astype(np.int64, copy=False)
            places = extras[_PLACE].astype(np.int64, copy=False) if _PLACE in extras else rows
            yield Keyed(stored, rows, places, extras[_KEY])

    def close(self) -> None:
        """Remove the piles."""
        self._piles.close()


class PileUp:
    """Rows on their way into piles, by the bits of their keys.

    Args:
        layout: How.
        arena: Where the piles go.
        first: The position of the first row of all in the order.
    """

    def __init__(self, layout: Layout, arena: Arena, *, first: int = 0) -> None:
        self._layout, self._arena, self._first = layout, arena, first
        self._kinds: dict[str, np.dtype[Any]] = {_KEY: np.dtype(np.uint64), _ROW: layout.row_type}
        if layout.has_places:
            self._kinds[_PLACE] = layout.row_type
        self._writer: PileWriter | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    def add(self, some: Keyed[Any]) -> None:
        """Write rows. Several threads may, where they come from other piles and their order does not matter.

        Raises:
            DiskSpaceError: the disk is full; nothing is left.
            ColumnTypeError: a column can't be written.
        """
        layout = self._layout
        with self._lock:
            if self._is_closed:
                return
            if self._writer is None:
                self._writer = self._begun(some.content, 1 << layout.bits)
        extras = {_KEY: some.words, _ROW: some.rows.astype(layout.row_type, copy=False)}
        if layout.has_places:
            extras[_PLACE] = some.places.astype(layout.row_type, copy=False)
        piles = pile_of(some.words, layout.skip, layout.bits)
        if isinstance(some.content, Stored):
            self._writer.move(some.content, piles, extras)
        else:
            self._writer.write(some.content, piles, extras)

    def _begun(self, like: Message | Stored, num_piles: int) -> PileWriter:
        arena, write_bytes = self._arena, self._layout.write_bytes
        return PileWriter(
            like, num_piles, arena, extras=self._kinds, write_bytes=write_bytes, user=arena.user, aside=True
        )

    def finish(self) -> Piled:
        """Return the piles."""
        writer = self._begun(Message(), 1) if self._writer is None else self._writer
        return Piled(writer.finish(), self._arena, self._layout, self._first)

    def close(self) -> None:
        """Remove what was written, where it will not be finished; what a thread still adds is dropped."""
        with self._lock:
            self._is_closed = True
        if self._writer is not None:
            self._writer.close()


def pile_up(rows: Iterable[Keyed[Any]], layout: Layout, arena: Arena, *, first: int = 0) -> Piled:
    """Write all rows to piles; see `PileUp`."""
    made = PileUp(layout, arena, first=first)
    try:
        for some in rows:
            made.add(some)
        return made.finish()
    except BaseException:
        made.close()
        raise


def keyed(chunks: Iterable[Chunk], scatter: Scatter) -> Iterator[Keyed[Message]]:
    """Yield rows with their keys.

    Args:
        chunks: All rows of the input, from the first on.
        scatter: Says where they go.
    """
    start = 0
    for chunk in chunks:
        yield _with_keys(chunk, scatter, start)
        start += len(chunk.rows)


def _with_keys(chunk: Chunk, scatter: Scatter, start: int) -> Keyed[Message]:
    which, words = scatter.of(start, start + len(chunk.rows))
    if which is None:
        return Keyed(chunk.message, chunk.rows, np.arange(start, start + len(chunk.rows), dtype=np.int64), words)
    return Keyed(chunk.message.take(which), chunk.rows[which], which + start, words)
