"""A pass over a stream in a scattered order: all of it is read before the first row is handed out."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from fireworks.core.budget import bytes_of, limit_of
from fireworks.core.chunk import Chunk, groups, join
from fireworks.core.cursor import Cursor, State
from fireworks.core.run import Run
from fireworks.message import Message
from fireworks.order.handing_out import handed_out
from fireworks.order.in_order import bytes_to_order
from fireworks.order.piled import Keyed, Layout, Piled, keyed, pile_up
from fireworks.order.scatter import Scatter, sorted_by
from fireworks.spill.arena import Arena
from fireworks.spill.scratch import Scratch

_READ_ROWS = 16 * 1024
# Nobody knows how much will come; a pile that becomes too large is shared out again.
_EXPECTED = 64


class ShuffledCursor(Cursor):
    """The rows of a stream in the order of their keys: in memory where the budget has room, else in piles on disk.

    Args:
        input: Rows.
        scatter: The order.
        run: The pass.
        who: The stage, as text.
    """

    def __init__(self, input: Cursor, scatter: Scatter, run: Run, *, who: str) -> None:
        self._input, self._scatter, self._run, self._who = input, scatter, run, who
        self._begin = input.state_dict()
        self._all: Chunk | Piled | None = None
        self._held_bytes = 0
        self._scratch: Scratch | None = None
        self._arena: Arena | None = None
        self._move(0)

    def _move(self, position: int) -> None:
        self._position = position
        self._pieces: Generator[Chunk] | None = None
        self._ahead: Chunk | None = None
        self._used = 0

    def read(self, num_rows: int) -> Chunk | None:
        if self._all is None:
            self._all = self._read_all()
        if self._pieces is None:
            self._pieces = self._from(self._all, self._position)
        while self._ahead is None or self._used == len(self._ahead.rows):
            try:
                self._ahead, self._used = next(self._pieces, None), 0
            except BaseException:
                self._pieces = None
                raise
            if self._ahead is None:
                return None
        part = self._ahead.cut(self._used, self._used + num_rows)
        self._used += len(part.rows)
        self._position += len(part.rows)
        return part

    def _read_all(self) -> Chunk | Piled:
        try:
            rows = keyed(self._chunks(), self._scatter)
            limit = limit_of(self._run.budget)
            held: list[Keyed[Message]] = []
            num_bytes = num_rows = 0
            for some in rows:
                held.append(some)
                num_bytes += some.content.num_bytes
                num_rows += len(some.rows)
                if bytes_to_order(num_bytes, num_rows) > limit:
                    return self._piled(held, rows, num_bytes, limit)
            return self._sorted(held)
        except BaseException:
            self._input.load_state_dict(self._begin)  # to begin anew, if somebody asks again
            raise

    def _chunks(self) -> Iterator[Chunk]:
        self._input.load_state_dict(self._begin)
        while (chunk := self._input.read(_READ_ROWS)) is not None:
            yield chunk

    def _sorted(self, held: list[Keyed[Message]]) -> Chunk:
        if not held:
            return Chunk(Message(), np.empty(0, dtype=np.int64))
        whole = join([Chunk(some.content, some.rows) for some in held])
        sorted_rows = whole.take(sorted_by(np.concatenate([some.words for some in held]), None))
        self._held_bytes = bytes_of(sorted_rows)
        self._run.budget.take(self._held_bytes)
        return sorted_rows

    def _piled(self, held: list[Keyed[Message]], rest: Iterator[Keyed[Message]], num_bytes: int, limit: int) -> Piled:
        def rows() -> Iterator[Keyed[Message]]:
            held.reverse()
            while held:
                yield held.pop()
            yield from rest

        layout = Layout.fitting(num_bytes * _EXPECTED, limit, has_places=False)
        self._scratch = Scratch(self._who)
        try:
            self._arena = Arena(self._scratch.path, self._who)
            return pile_up(rows(), layout, self._arena)
        except BaseException:
            self._let_go()
            raise

    def _from(self, all_rows: Chunk | Piled, position: int) -> Generator[Chunk]:
        if isinstance(all_rows, Chunk):
            for span in groups(range(position, len(all_rows.rows)), _READ_ROWS):
                assert isinstance(span, range)  # noqa: S101 (a part of a range is one)
                yield all_rows.cut(span.start, span.stop)
        elif position < all_rows.num_rows:
            yield from handed_out(all_rows, range(position, all_rows.num_rows), self._run, _READ_ROWS)

    def state_dict(self) -> State:
        return {"position": self._position}

    def load_state_dict(self, state: State) -> None:
        self._move(int(state["position"]))

    def __del__(self) -> None:
        if self.__dict__.get("_held_bytes"):
            self._run.budget.give(self._held_bytes)
        self._let_go()

    def _let_go(self) -> None:
        for held in (self._arena, self._scratch):
            if held is not None:
                held.close()
