"""Which rows will be asked for, and when: what a shuffle, a sampler or a split knows beforehand."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np

from fireworks.core.chunk import Span, as_positions
from fireworks.message.columns import Positions

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

NEVER = 1 << 61
"""When a row is due that will not be asked for, as far as is known."""
_STALLED = 4  # a consumer that rests while the others ask for so many times its rows has gone


class Future:
    """The rows that one consumer will ask for.

    Args:
        rows: Those of this pass, in the order in which they will be asked for.
        then: Those of its next pass, as far as they are known.

    Example:
        >>> future = Future(np.array([2, 0, 1]), np.array([1, 0, 2]))
        >>> future.advance(np.array([2, 0])), future.steps(np.array([0, 1, 2, 9])).tolist()[:3]
        (True, [2, 0, 3])
    """

    def __init__(self, rows: Span, then: Span | None = None) -> None:
        self._rows = rows
        every = as_positions(rows) if then is None else np.concatenate([as_positions(rows), as_positions(then)])
        self._length = len(every)
        self.now = 0
        """How many were asked for."""
        self._names: Positions | None = None
        width = self._length + 1
        if self._length and int(every.max()) >= NEVER // width:
            # row numbers too large to share 64 bits with a time
            self._names, every = np.unique(every, return_inverse=True)
        self._width = width
        # each use as one number: the row, then the time
        self._uses = every * width
        self._uses += np.arange(self._length)
        self._uses.sort()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_finished(self) -> bool:
        """Whether the pass is at its end."""
        return self.now >= len(self._rows)

    def steps(self, rows: Positions) -> Positions:
        """Return how many rows will be asked for before each of these is; `NEVER` for one that is not."""
        if not self._length:
            return np.full(len(rows), NEVER)
        base, is_known = self._numbers(rows)
        at = np.searchsorted(self._uses, base + self.now)
        use = self._uses.take(at, mode="clip") - base
        return np.where(is_known & (use >= self.now) & (use < self._width), use - self.now, NEVER)

    def _numbers(self, rows: Positions) -> tuple[Positions, Mask]:
        if self._names is None:
            is_known = (rows >= 0) & (rows < NEVER // self._width)
            return np.where(is_known, rows, 0) * self._width, is_known
        at = np.searchsorted(self._names, rows)
        is_known = self._names.take(at, mode="clip") == rows
        return np.where(is_known, at, 0) * self._width, is_known

    def advance(self, rows: Positions) -> bool:
        """Move behind rows if they are what comes next, maybe after others that are skipped; else return False."""
        if not len(rows) or self.is_finished:
            return False
        if self._is_at(self.now, rows):
            self.now += len(rows)
            return True
        start = self.now + int(self.steps(rows[:1])[0])
        if start < len(self._rows) and self._is_at(start, rows):
            self.now = start + len(rows)
            return True
        return False

    def _is_at(self, start: int, rows: Positions) -> bool:
        part = self._rows[start : start + len(rows)]
        if isinstance(part, range):
            first = part.start
            return (
                len(part) == len(rows)
                and rows[0] == first
                and rows[-1] == first + len(rows) - 1
                and bool((np.diff(rows) == 1).all())
            )
        return len(part) == len(rows) and bool((part == rows).all())


class Futures:
    """What several consumers of one cache will ask for, as one future.

    Consumers are taken to go at the same pace. Which of them asks is seen from what it asks for.
    """

    def __init__(self) -> None:
        self._known: list[tuple[Hashable, Future, int]] = []  # who, what, and when it last asked
        self._clock = 0

    def __len__(self) -> int:
        return len(self._known)

    def expect(self, future: Future, consumer: Hashable) -> None:
        """Add what a consumer will ask for; what it has asked for before is forgotten, and consumers that have gone."""
        self._known = [
            (who, old, seen)
            for who, old, seen in self._known
            if not (old.is_finished and who == consumer) and self._clock - seen <= _STALLED * max(1, len(old))
        ]
        self._known.append((consumer, future, self._clock))

    def asked(self, rows: Positions) -> None:
        """Take note that rows were asked for, by whichever consumer these come next for."""
        self._clock += len(rows)
        for number, (who, future, _) in enumerate(self._known):
            if future.advance(rows):
                self._known[number] = who, future, self._clock
                return

    def due(self, rows: Positions) -> Positions:
        """Return when each row will be asked for, on the clock of all consumers; `NEVER` if it is not."""
        soonest = np.full(len(rows), NEVER)
        for _, future, _ in self._known:
            np.minimum(soonest, future.steps(rows), out=soonest)
        return np.where(soonest < NEVER, self._clock + soonest * max(1, len(self._known)), NEVER)
