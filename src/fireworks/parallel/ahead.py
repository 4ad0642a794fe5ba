"""A pass over a stream whose stages read ahead: the state is the consumer's place, whatever was read beyond it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

from fireworks.core.chunk import Chunk
from fireworks.core.cursor import Cursor, State, read_exactly

Numbered: TypeAlias = Generator[tuple[int, Chunk], None, None]


class AheadCursor(Cursor):
    """Runs numbered blocks or batches of a stream through a function that may take many before it gives one back.

    Its state has the form of the cursors that read one at a time.

    Args:
        input: Rows or batches.
        num_rows: Rows of one block; 0 where the input gives batches.
        finish: From numbered blocks to what becomes of each, in order.
    """

    def __init__(self, input: Cursor, num_rows: int, finish: Callable[[Numbered], Iterator[Chunk]]) -> None:
        self._input, self._num_rows, self._finish = input, num_rows, finish
        self._move(input.state_dict(), 0)

    def _move(self, place: State, number: int) -> None:
        """Stand before block ``number``, where the input's state was ``place``."""
        self._place, self._number = place, number
        self._results: Iterator[Chunk] | None = None
        self._read: deque[State] = deque()  # where the input stood behind each block that was read and not handed out
        self._block: Chunk | None = None
        self._behind: State = place  # where the input stood behind the block in hand
        self._used = 0

    def read(self, num_rows: int) -> Chunk | None:
        if not self._num_rows:
            if not self._next_block():
                return None
            batch, self._block = self._block, None
            self._place, self._number = self._behind, self._number + 1
            return batch
        while self._block is None or self._used == len(self._block.rows):
            if not self._next_block():
                return None
        part = self._block.cut(self._used, min(self._used + num_rows, len(self._block.rows)))
        self._used += len(part.rows)
        return part

    def _next_block(self) -> bool:
        if self._results is None:
            number = self._number + (self._block is not None)
            # The generator knows nothing of this cursor: a thread that holds it must not keep the pass alive.
            self._results = self._finish(_blocks(self._input, self._num_rows, number, self._read))
        try:
            block = next(self._results, None)
        except BaseException:
            self._stop()
            raise
        if block is None:
            return False
        if self._block is not None:
            self._number += 1
        self._place, self._behind = self._behind, self._read.popleft()
        self._block, self._used = block, 0
        return True

    def _stop(self) -> None:
        """Stop reading ahead, and move the input back behind the block in hand."""
        results, self._results = self._results, None
        close = getattr(results, "close", None)
        if close is not None:
            close()  # nobody else touches the input from here on
        self._read.clear()
        self._input.load_state_dict(self._behind)

    def state_dict(self) -> State:
        if not self._num_rows:
            return {"input": self._place, "number": self._number}
        return {"input": self._place, "block": self._number, "used": self._used}

    def load_state_dict(self, state: State) -> None:
        self._stop()
        self._input.load_state_dict(state["input"])
        if not self._num_rows:
            self._move(state["input"], int(state["number"]))
            return
        self._move(state["input"], int(state["block"]))
        if state["used"]:
            self._next_block()
            self._used = int(state["used"])


def _blocks(input: Cursor, num_rows: int, number: int, read: deque[State]) -> Numbered:
    while True:
        chunk = read_exactly(input, num_rows) if num_rows else input.read(1)
        if chunk is None:
            return
        read.append(input.state_dict())
        yield number, chunk
        number += 1
