"""Which slot of a cache holds which row: a table from any int64 to a place, looked up many at a time.

Two kinds of table, whichever is smaller. One entry for each row number there may be, where the rows that are held are
many of them; else buckets of eight row numbers, found by a hash: one cache line each, so a look-up is one gather and one
comparison.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from fireworks.message.columns import Positions

Array: TypeAlias = "np.ndarray[Any, Any]"

BYTES_PER_ROW = 48
"""At most so many bytes of table are there for each row that is or was held at once, and `FIRST_BYTES` besides."""
FIRST_BYTES = 96

_WIDE = 8  # row numbers in a bucket
_BUCKET_BYTES = _WIDE * (8 + 4)
_EMPTY, _GONE = -1, -2
# Fibonacci hashing: the fraction of the golden ratio spreads neighbouring numbers evenly over the high bits.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Slots:
    """A table from row numbers to slots.

    Source:
        Hashing by multiplication: Knuth, The Art of Computer Programming, volume 3, section 6.4.

    Example:
        >>> slots = Slots()
        >>> slots.add(np.array([7, 2**60]), np.array([0, 1]))
        >>> slots.find(np.array([2**60, 8, 7])).tolist()
        [1, -1, 0]
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._count = 0  # rows in the table
        self._highest = -1
        self._dense: Array | None = np.full(1, _EMPTY, dtype=np.int32)  # the last entry stands for all beyond it
        self._keys = np.empty((0, _WIDE), dtype=np.int64)
        self._values = np.empty((0, _WIDE), dtype=np.int32)
        self._filled = 0  # places of buckets that are taken, or were

    @property
    def num_bytes(self) -> int:
        """Bytes of the table."""
        return self._keys.nbytes + self._values.nbytes if self._dense is None else self._dense.nbytes

    def find(self, rows: Positions) -> Positions:
        """Return the slot of each row, -1 where it is not held.

        Args:
            rows: Row numbers, at least 0.
        """
        if self._dense is not None:
            return self._dense.take(rows, mode="clip")
        bucket = self._bucket(rows)
        lines = self._keys.take(bucket, axis=0)
        at = (lines == rows[:, None]).argmax(axis=1)
        at += bucket * _WIDE
        slots: Array = self._values.reshape(-1).take(at)
        is_held = self._keys.reshape(-1).take(at) == rows
        if not is_held.all():
            slots[~is_held] = _EMPTY
            self._look_further(rows, bucket, lines, slots)
        return slots

    def _look_further(self, rows: Positions, bucket: Positions, lines: Array, slots: Array) -> None:
        """Look on in the next bucket for rows whose own bucket was full."""
        left = np.flatnonzero(slots < 0)
        left = left[(lines[left] != _EMPTY).all(axis=1)]
        while len(left):
            bucket[left] = (bucket[left] + 1) % len(self._keys)
            lines = self._keys[bucket[left]]
            found = lines == rows[left, None]
            hit = found.any(axis=1)
            slots[left[hit]] = self._values[bucket[left[hit]], found[hit].argmax(axis=1)]
            left = left[~hit & (lines != _EMPTY).all(axis=1)]

    def add(self, rows: Positions, slots: Positions) -> None:
        """Note where rows are that the table lacks.

        Args:
            rows: Row numbers, at least 0, each once.
            slots: The slot of each.
        """
        if not len(rows):
            return
        self._highest = max(self._highest, int(rows.max()))
        self._count += len(rows)
        if self._dense is not None:
            if self._highest < len(self._dense) - 1:
                self._dense[rows] = slots
                return
            if self._is_dense_smaller():
                self._dense = self._densely(*self._all(), rows, slots)
                return
        elif self._filled + len(rows) <= self._keys.size // 2:
            self._fill(rows, slots)
            return
        self._rebuild(rows, slots)

    def remove(self, rows: Positions) -> None:
        """Forget rows that the table has, each once."""
        self._count -= len(rows)
        if self._dense is not None:
            self._dense[rows] = _EMPTY
            return
        bucket, left = self._bucket(rows), np.arange(len(rows))
        while len(left):
            found = self._keys[bucket[left]] == rows[left, None]
            hit = found.any(axis=1)
            self._keys[bucket[left[hit]], found[hit].argmax(axis=1)] = _GONE
            left = left[~hit]
            bucket[left] = (bucket[left] + 1) % len(self._keys)

    def _is_dense_smaller(self) -> bool:
        return (self._highest + 2) * 4 <= max(FIRST_BYTES, self._count * BYTES_PER_ROW // 2)

    def _all(self) -> tuple[Array, Array]:
        """Return the rows of the table and their slots."""
        if self._dense is not None:
            rows = np.flatnonzero(self._dense[:-1] >= 0)
            return rows, self._dense[rows]
        held = self._keys >= 0
        return self._keys[held], self._values[held]

    def _densely(self, rows: Array, slots: Array, more: Array, more_slots: Array) -> Array:
        roomy = min((self._highest + 2) * 3 // 2, max(FIRST_BYTES, self._count * BYTES_PER_ROW) // 4)
        dense = np.full(max(self._highest + 2, roomy), _EMPTY, dtype=np.int32)
        dense[rows], dense[more] = slots, more_slots
        return dense

    def _rebuild(self, more: Positions, more_slots: Positions) -> None:
        rows, slots = self._all()
        if self._is_dense_smaller():
            self._dense = self._densely(rows, slots, more, more_slots)
            self._keys, self._values = self._keys[:0].copy(), self._values[:0].copy()
            return
        self._dense = None
        # at most half full now, and after as many rows again three quarters of the buckets are not full
        buckets = 1 << max(0, -(-self._count * 2 // _WIDE) - 1).bit_length()
        self._keys = np.full((buckets, _WIDE), _EMPTY, dtype=np.int64)
        self._values = np.empty((buckets, _WIDE), dtype=np.int32)
        self._filled = 0
        self._fill(rows, slots)
        self._fill(more, more_slots)

    def _bucket(self, rows: Positions) -> Positions:
        bits = (len(self._keys) - 1).bit_length()
        if not bits:
            return np.zeros(len(rows), dtype=np.int64)
        return ((rows.view(np.uint64) * _SPREAD) >> np.uint64(64 - bits)).view(np.int64)

    def _fill(self, rows: Array, slots: Array) -> None:
        """Put rows into their buckets, or the next that have room."""
        self._filled += len(rows)
        bucket = self._bucket(np.ascontiguousarray(rows))
        while len(rows):
            order = np.argsort(bucket, kind="stable")
            rows, slots, bucket = rows[order], slots[order], bucket[order]
            first = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
            rank = np.arange(len(rows)) - np.repeat(first, np.diff(np.r_[first, len(rows)]))
            # the k-th row that comes to a bucket takes its k-th empty place; places of rows that are gone stay taken
            places = (self._keys[bucket] == _EMPTY).cumsum(axis=1) == rank[:, None] + 1
            fits = places.any(axis=1)
            at = places.argmax(axis=1)
            self._keys[bucket[fits], at[fits]] = rows[fits]
            self._values[bucket[fits], at[fits]] = slots[fits]
            rows, slots, bucket = rows[~fits], slots[~fits], (bucket[~fits] + 1) % len(self._keys)
