"""One pass over a stream that several read, each at its own place, through a bounded buffer."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from typing import NamedTuple

from fireworks.core.chunk import Chunk
from fireworks.core.cursor import Cursor, State
from fireworks.errors import BranchBehindError

_LOOK_EVERY_S = 0.05  # how often one that waits looks whether the other is still there


class Piece(NamedTuple):
    """Items that were read at once."""

    before: State
    """Where the stream stood before them."""
    item: int
    """The number of the first item."""
    row: int
    """How many rows came before."""
    chunk: Chunk


class Reader:
    """A place in a shared pass; while it is there, the pass keeps what it has not read."""

    def __init__(self, shared: SharedPass, number: int) -> None:
        self.shared, self.number = shared, number
        self.item = 0
        self.row = 0
        self.has_left = False
        self.thread = threading.get_ident()
        self.moved_at = time.monotonic()


class SharedPass:
    """One pass over a stream for several readers.

    Args:
        input: The stream, where the pass shall begin.
        count: How many branches there are.
        max_rows: How many rows one may be ahead of another.
        timeout_s: Seconds that one waits for another in another thread.
        position: The item at which the stream stands.
        is_batched: Whether an item is a batch.
    """

    def __init__(
        self, input: Cursor, count: int, max_rows: int, timeout_s: float, *, position: int, is_batched: bool
    ) -> None:
        self._input, self._max_rows, self._timeout_s = input, max_rows, timeout_s
        self._is_batched = is_batched
        self._moved = threading.Condition(threading.RLock())
        self._pieces: deque[Piece] = deque()
        self._items, self._rows = position, 0  # items before the next of the stream; rows read from it
        self._ended = False
        self._dropped = position > 0
        self._readers: list[weakref.ref[Reader]] = []
        self._to_begin = set(range(count))

    @property
    def num_rows(self) -> int:
        """How many rows are kept now."""
        return self._rows - self._pieces[0].row if self._pieces else 0

    def reader(self, number: int, item: int) -> Reader | None:
        """Return a reader for a branch at an item; None where that one is gone, or the branch is being read already."""
        with self._moved:
            if any(other.number == number for other in self._alive()):
                return None
            reader = Reader(self, number)
            if not self.move(reader, item):
                return None
            self._readers.append(weakref.ref(reader))
            self._to_begin.discard(number)
            return reader

    def leave(self, reader: Reader) -> None:
        """Keep nothing for a reader any more."""
        with self._moved:
            reader.has_left = True
            self._trim()
            self._moved.notify_all()

    def move(self, reader: Reader, item: int) -> bool:
        """Move a reader to an item, if that one is kept, or is the next of the stream; tell whether it is."""
        with self._moved:
            if item == self._items:
                row = self._rows
            else:
                piece = self._piece_at(item)
                if piece is None:
                    return False
                row = piece.row + (0 if self._is_batched else item - piece.item)
            reader.item, reader.row = item, row
            reader.has_left = False
            return True

    def read(self, reader: Reader, num_rows: int) -> Chunk | None:
        """Return the next items for a reader: those that are kept, or else from the stream.

        Raises:
            BranchBehindError: another one is too far behind.
        """
        with self._moved:
            reader.thread, reader.moved_at = threading.get_ident(), time.monotonic()
            while (piece := self._piece_at(reader.item)) is None:
                if self._ended:
                    self.leave(reader)
                    return None
                if room := self._room(reader):
                    self._read_on(min(num_rows, room))
            if self._is_batched:
                part = piece.chunk
                reader.item += 1
                reader.row = piece.row + len(part.rows)
            else:
                start = reader.item - piece.item
                part = piece.chunk.cut(start, min(start + num_rows, len(piece.chunk.rows)))
                reader.item += len(part.rows)
                reader.row += len(part.rows)
            self._trim()
            self._moved.notify_all()
            return part

    def place_of(self, reader: Reader) -> State:
        """Return where a reader stands, so that the stream can be read from there by itself."""
        with self._moved:
            piece = self._piece_at(reader.item)
            if piece is None:
                return {"input": self._input.state_dict(), "used": 0, "position": reader.item}
            return {"input": piece.before, "used": reader.item - piece.item, "position": reader.item}

    def _piece_at(self, item: int) -> Piece | None:
        for piece in reversed(self._pieces):  # most read what came last
            if piece.item <= item:
                size = 1 if self._is_batched else len(piece.chunk.rows)
                return piece if item < piece.item + size else None
        return None

    def _read_on(self, num_rows: int) -> None:
        before = self._input.state_dict()
        chunk = self._input.read(num_rows)
        if chunk is None:
            self._ended = True
            return
        self._pieces.append(Piece(before, self._items, self._rows, chunk))
        self._items += 1 if self._is_batched else len(chunk.rows)
        self._rows += len(chunk.rows)

    def _alive(self) -> list[Reader]:
        """Return the readers that hold rows: those that are there and not at the end."""
        readers = [reader for reference in self._readers if (reader := reference()) is not None]
        self._readers = [weakref.ref(reader) for reader in readers]
        return [reader for reader in readers if not reader.has_left]

    def _room(self, reader: Reader) -> int:
        """Return how many rows may be read from the stream now; 0 after waiting a little for the one that is behind."""
        others = [other for other in self._alive() if other is not reader]
        slowest = min(others, key=lambda other: other.row, default=None)
        if slowest is None:
            return self._max_rows
        room = self._max_rows - (self._rows - slowest.row)
        if room > 0:
            return room
        if slowest.thread == threading.get_ident():
            raise self._behind(reader, slowest, "")
        if time.monotonic() - max(slowest.moved_at, reader.moved_at) > self._timeout_s:
            raise self._behind(reader, slowest, f" and has read nothing for {self._timeout_s:g} s")
        del slowest, others  # or waiting would keep the one that is waited for
        self._moved.wait(_LOOK_EVERY_S)
        return 0

    def _behind(self, reader: Reader, slowest: Reader, why: str) -> BranchBehindError:
        behind = self._rows - slowest.row
        return BranchBehindError(
            f"Branch: branch {reader.number} is asked for more, and branch {slowest.number} is {behind} rows behind it"
            f"{why}; max_rows={self._max_rows}. Read them in step, for instance as fw.Zip; or let it be further behind: "
            "branch(…, max_rows=…); or read the rows first, fw.source(stream.to_message()), and no branch waits for another.",
            ahead=reader.number,
            behind=slowest.number,
            num_rows=behind,
        )

    def _trim(self) -> None:
        """Let go of what every reader has read; the beginning stays for those to begin, as far as there is room."""
        lowest = min((reader.item for reader in self._alive()), default=self._items)
        while self._pieces:
            piece = self._pieces[0]
            size = 1 if self._is_batched else len(piece.chunk.rows)
            waits = bool(self._to_begin) and not self._dropped and not self._ended and self.num_rows <= self._max_rows
            if piece.item + size > lowest or waits:
                return
            self._pieces.popleft()
            self._dropped = True
