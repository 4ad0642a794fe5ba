"""Positions: where one pass over a pipe stands. A pipe is the plan and never changes; all that moves is here.

The state of a cursor is a small dict of numbers, never rows: what had been read ahead is read again on resume.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from fireworks.core.chunk import Chunk, join

if TYPE_CHECKING:
    from fireworks.core.flow import Flow
    from fireworks.core.run import Run

State: TypeAlias = dict[str, Any]


class Cursor(ABC):
    """A place between two items of one pass, and the way to the next."""

    @abstractmethod
    def read(self, num_rows: int) -> Chunk | None:
        """Return the next items and move behind them; None at the end. An error leaves the cursor where it was.

        Args:
            num_rows: At most so many rows, and at least one. A cursor over batches returns one batch, whatever this says.
        """

    @abstractmethod
    def state_dict(self) -> State:
        """Return where the cursor stands."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Move to where another cursor over an equal pipe stood."""


@contextmanager
def unmoved_by_errors(cursor: Cursor) -> Iterator[State]:
    """Give where the cursor stands, and move it back there on an error, so that no row is lost if one goes on."""
    before = cursor.state_dict()
    try:
        yield before
    except BaseException:  # Ctrl-C too: in a notebook one goes on with next
        cursor.load_state_dict(before)
        raise


def read_exactly(cursor: Cursor, num_rows: int) -> Chunk | None:
    """Read ``num_rows`` rows, fewer only at the end; None if there are no more."""
    parts: list[Chunk] = []
    missing = num_rows
    with unmoved_by_errors(cursor):
        while missing and (part := cursor.read(missing)) is not None:
            parts.append(part)
            missing -= len(part.rows)
    return join(parts) if parts else None


class IndexCursor(Cursor):
    """A pass over a flow with random access: the position is all there is to know."""

    def __init__(self, flow: Flow, run: Run) -> None:
        self._flow, self._run = flow, run
        self._move(0)

    def _move(self, position: int) -> None:
        self._position = position
        self._ahead: Chunk | None = None  # rows that were read and not handed out yet
        self._used = 0
        self._pieces: Iterator[Chunk] | None = None

    def read(self, num_rows: int) -> Chunk | None:
        if self._pieces is None:
            self.num_items = self._flow.num_items()
            self._pieces = self._flow.pieces(range(self._position, self.num_items), self._run)
        if self._flow.is_batched:
            batch = self._next_piece(self._pieces)
            self._position += batch is not None
            return batch
        if self._ahead is None or self._used == len(self._ahead.rows):
            self._ahead, self._used = self._next_piece(self._pieces), 0
            if self._ahead is None:
                return None
        part = self._ahead.cut(self._used, min(self._used + num_rows, len(self._ahead.rows)))
        self._used += len(part.rows)
        self._position += len(part.rows)
        return part

    def _next_piece(self, pieces: Iterator[Chunk]) -> Chunk | None:
        try:
            return next(pieces, None)
        except BaseException:
            self._pieces = None  # a generator that raised says from then on that it is at its end
            raise

    def state_dict(self) -> State:
        return {"position": self._position}

    def load_state_dict(self, state: State) -> None:
        self._move(int(state["position"]))


class BlockCursor(Cursor):
    """Runs a function over the rows of a stream, block by block on the fixed grid.

    Args:
        input: Rows.
        num_rows: Rows of one block.
        function: From a block and its number to what becomes of it; it may drop rows.
    """

    def __init__(self, input: Cursor, num_rows: int, function: Callable[[Chunk, int], Chunk]) -> None:
        self._input, self._num_rows, self._function = input, num_rows, function
        self._before: State | None = None  # where the input stood before the block in hand
        self._block: Chunk | None = None
        self._number = 0
        self._used = 0

    def read(self, num_rows: int) -> Chunk | None:
        while self._block is None or self._used == len(self._block.rows):
            if not self._next_block():
                return None
        part = self._block.cut(self._used, min(self._used + num_rows, len(self._block.rows)))
        self._used += len(part.rows)
        return part

    def _next_block(self) -> bool:
        number = self._number + (self._block is not None)
        with unmoved_by_errors(self._input) as before:
            block = read_exactly(self._input, self._num_rows)
            if block is None:
                return False
            block = self._function(block, number)
        self._before, self._number, self._block, self._used = before, number, block, 0
        return True

    def state_dict(self) -> State:
        before = self._input.state_dict() if self._before is None else self._before
        return {"input": before, "block": self._number, "used": self._used}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
        self._number, self._used, self._block, self._before = int(state["block"]), 0, None, None
        if state["used"]:
            self._next_block()
            self._used = int(state["used"])


class StageCursor(Cursor):
    """Runs row stages on each batch of a stream of batches."""

    def __init__(self, input: Cursor, function: Callable[[Chunk, int], Chunk]) -> None:
        self._input, self._function, self._number = input, function, 0

    def read(self, num_rows: int) -> Chunk | None:
        with unmoved_by_errors(self._input):
            batch = self._input.read(num_rows)
            if batch is None:
                return None
            batch = self._function(batch, self._number)
        self._number += 1
        return batch

    def state_dict(self) -> State:
        return {"input": self._input.state_dict(), "number": self._number}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
        self._number = int(state["number"])
