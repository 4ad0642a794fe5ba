"""One level of a cache, in memory or on disk: rows in slots, within a bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fireworks.cache.columns import Columns
from fireworks.cache.future import Futures
from fireworks.cache.policy import make_policy
from fireworks.cache.slots import BYTES_PER_ROW, FIRST_BYTES, Slots
from fireworks.message import Message
from fireworks.message.columns import Positions

_FIRST_ROWS = 64
_SLOT_BYTES = 8 + 8 + 4  # which row it holds, what the policy thinks of it, and the list of free slots
TABLE_BYTES = BYTES_PER_ROW + _SLOT_BYTES
"""At most so many bytes are needed for a row besides its columns."""
_UNBOUNDED = 1 << 62


class Level:
    """Rows by number in columns, as many as fit.

    Args:
        policy: The name of what says which rows stay.
        futures: What is known of the rows that will be asked for.
        max_rows: At most so many rows.
        max_bytes: At most so many bytes: of columns and tables in memory, of columns on disk.
        folder: Where files are made; None for memory.
    """

    def __init__(
        self,
        policy: str,
        futures: Futures,
        max_rows: int | None = None,
        max_bytes: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self._policy_name, self._futures = policy, futures
        self.max_rows = _UNBOUNDED if max_rows is None else max_rows
        self.max_bytes = max_bytes
        self._folder = folder
        self.columns: Columns | None = None
        self.slots = Slots()
        self.evictions = 0
        self.is_closed = False
        """Whether it is full, and stays so until rows are let go by name."""
        self.clear()

    def clear(self) -> None:
        """Let all rows go, and the memory or the files that they took."""
        if self.columns is not None:
            self.columns.close()
        self.columns = None
        self.slots.clear()
        self.policy = make_policy(self._policy_name, self._futures)
        self.is_closed = False
        self.count = 0
        self._row_of = np.empty(0, dtype=np.int64)
        self._free = np.empty(0, dtype=np.int32)
        self._num_free = 0

    def __len__(self) -> int:
        return self.count

    @property
    def rows(self) -> Positions:
        """The numbers of the rows that are here, increasing."""
        rows: Positions = self._row_of[self._row_of >= 0]
        rows.sort()
        return rows

    @property
    def column_bytes(self) -> int:
        """Bytes of the columns, of slots without a row too."""
        columns = self.columns
        return 0 if columns is None else columns.capacity * columns.row_bytes + columns.piece_bytes

    @property
    def table_bytes(self) -> int:
        """Bytes that are needed besides, always in memory."""
        return self.slots.num_bytes + len(self._row_of) * _SLOT_BYTES

    @property
    def row_cost(self) -> int:
        """Bytes that one row takes of the bound, those of columns whose width varies left out."""
        assert self.columns is not None  # noqa: S101
        return self.columns.row_bytes + (TABLE_BYTES if self._folder is None else 0)

    def most_rows(self, loose_bytes: float = 0.0) -> int:
        """Return how many rows fit, if each takes so many bytes in columns whose width varies."""
        if self.max_bytes is None:
            return self.max_rows
        first = FIRST_BYTES if self._folder is None else 0
        fit = int(max(0, self.max_bytes - first) // max(self.row_cost + loose_bytes, 1))
        return min(self.max_rows, fit)

    def room_for(self, row_bytes: int) -> int:
        """Return about how many rows of so many bytes fit in all."""
        if self.max_bytes is None:
            return self.max_rows
        return min(self.max_rows, self.max_bytes // max(1, row_bytes + (TABLE_BYTES if self._folder is None else 0)))

    def free_rows(self, coming: int, message: Message) -> int:
        """Return how many of the rows that come fit without any that would have to go."""
        while coming and (over := self._over(coming, message[:coming])) > 0:
            coming = max(0, coming - over)
        return coming

    def use_policy(self, name: str) -> None:
        """Decide by another policy from now on."""
        self._policy_name = name
        self.is_closed = False
        self.policy = make_policy(name, self._futures)
        self.policy.grow(len(self._row_of))
        self.rescore()

    def take(self, slots: Positions) -> Message:
        """Return the rows of slots, in that order."""
        assert self.columns is not None  # noqa: S101
        return self.columns.take(slots)

    def prepare(self, like: Message) -> None:
        """Make the columns for rows like these, or check that they are those that are here."""
        if self.columns is None:
            self.columns = Columns(like, self._folder)
        else:
            self.columns.require_same(like)

    def drop(self, rows: Positions, slots: Positions) -> None:
        """Let rows go that are here, each named once."""
        if not len(rows):
            return
        self.is_closed = False
        try:
            self.slots.remove(rows)
            self._row_of[slots] = -1
            self.policy.left(slots)
            self._free[self._num_free : self._num_free + len(slots)] = slots
            self._num_free += len(slots)
            self.count -= len(slots)
            assert self.columns is not None  # noqa: S101
            self.columns.forget(slots)
        except BaseException:
            self.clear()  # half of it done, nothing here could be trusted
            raise

    def put(self, rows: Positions, message: Message, *, keep_left: bool) -> list[tuple[Positions, Message]]:
        """Put rows in that are not here, each named once, as far as the policy lets them.

        Args:
            rows: Their numbers.
            message: Their columns, as `prepare` has seen them.
            keep_left: Whether to return the rows that had to go and those that did not get in.
        """
        columns, left = self.columns, []
        assert columns is not None  # noqa: S101
        try:
            while len(rows):
                over = self._over(len(rows), message)
                if over <= 0:
                    self._write(rows, message)
                    break
                gone, stay = self.policy.make_room(min(over, self.count + len(rows)), self.count, rows)
                self.evictions += len(gone)
                if len(gone):
                    gone_rows = self._row_of[gone]
                    if keep_left:
                        left.append((gone_rows, columns.take(gone)))
                    self.drop(gone_rows, gone)
                if len(stay) < len(rows):
                    self.is_closed = self._policy_name == "pin"
                    if keep_left:
                        out = np.setdiff1d(np.arange(len(rows)), stay, assume_unique=True)
                        left.append((rows[out], message.take(out)))
                    rows, message = rows[stay], message.take(stay)
        except BaseException:
            self.clear()
            raise
        return left

    def _over(self, coming: int, message: Message) -> int:
        """Return how many rows too many there are with those that come; 0 if all fit."""
        columns = self.columns
        assert columns is not None  # noqa: S101
        together = self.count + coming
        if not columns.varies or self.max_bytes is None:
            return together - self.most_rows()
        coming_bytes = columns.loose_bytes(message)
        if self._folder is not None:
            coming_bytes += columns.file_bytes(coming)
        for is_compact in (False, True):
            loose = columns.piece_bytes + coming_bytes
            capacity = max(self.columns.capacity, together)  # type: ignore[union-attr]
            first = FIRST_BYTES if self._folder is None else 0
            excess = first + capacity * self.row_cost + loose - self.max_bytes
            if excess <= 0:
                return together - self.max_rows
            if not is_compact:
                columns.compact()
        # about so many rows; asked again until it fits
        each = loose / together + (self.row_cost if together > columns.capacity else 0)
        return max(together - self.max_rows, min(together, int(excess / max(each, 1.0)) + 1))

    def _write(self, rows: Positions, message: Message) -> None:
        columns = self.columns
        assert columns is not None  # noqa: S101
        if len(rows) > self._num_free:
            self._grow(self.count + len(rows), message)
        self._num_free -= len(rows)
        slots = self._free[self._num_free : self._num_free + len(rows)].astype(np.int64)
        columns.write(slots, message)
        self._row_of[slots] = rows
        self.policy.entered(slots, rows)
        self.slots.add(rows, slots)
        self.count += len(rows)

    def _grow(self, needed: int, message: Message) -> None:
        """Make room for so many rows: twice as many as before, within the bound."""
        columns = self.columns
        assert columns is not None  # noqa: S101
        before = len(self._row_of)
        most = self.max_rows
        if self.max_bytes is not None:
            loose = columns.piece_bytes + columns.loose_bytes(message) if columns.varies else 0
            first = FIRST_BYTES if self._folder is None else 0
            most = min(most, (self.max_bytes - first - loose) // max(1, self.row_cost))
            if columns.varies:
                # leave the rows to come the room that their varying columns will take
                most = min(most, max(needed, self.most_rows(loose / needed)))
        capacity = max(needed, min(most, max(2 * before, _FIRST_ROWS)))
        columns.grow(capacity)
        self.policy.grow(capacity)
        self._row_of.resize(capacity, refcheck=False)
        self._row_of[before:] = -1
        self._free.resize(capacity, refcheck=False)
        # the lowest are taken first
        self._free[self._num_free : self._num_free + capacity - before] = np.arange(
            capacity - 1, before - 1, -1, dtype=np.int32
        )
        self._num_free += capacity - before

    def rescore(self) -> None:
        """Let the policy think anew of every row, after it has learnt of the future."""
        slots = np.flatnonzero(self._row_of >= 0)
        self.policy.entered(slots, self._row_of[slots])
