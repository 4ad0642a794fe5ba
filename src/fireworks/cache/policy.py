"""What a full cache keeps: one number per slot, and those with the lowest go first.

- *pin* keeps what came first and lets nothing go. For one pass per epoch no policy can hit more often: a row that was used
  is not wanted again before every other row was.
- *LRU* lets go what was not used for longest, *LFU* what was used least often.
- *Belady* lets go what will not be wanted for longest, which is the best there is where the future is known.

Source:
    Belady: A study of replacement algorithms for a virtual-storage computer, IBM Systems Journal 5(2), 1966. Rows that come
    in compete with those that are held, so a row that is wanted late does not get in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias, final

import numpy as np

from fireworks.cache.future import Futures
from fireworks.message.columns import Positions

Array: TypeAlias = "np.ndarray[Any, Any]"

FREE = np.iinfo(np.int64).max
"""The number of a slot that holds no row: it is never chosen."""
_COUNT_BITS = 40  # below them, when it was used last; above, how often
_MOST_USES = (1 << (62 - _COUNT_BITS)) - 1


class Policy(ABC):
    """Says which rows stay; one number per slot, in ``score``."""

    def __init__(self) -> None:
        self.score = np.empty(0, dtype=np.int64)

    def grow(self, capacity: int) -> None:
        """Make room for so many slots; the new ones are free."""
        before = len(self.score)
        self.score.resize(capacity, refcheck=False)
        self.score[before:] = FREE

    def left(self, slots: Positions) -> None:
        """Take note that slots are free now."""
        self.score[slots] = FREE

    @abstractmethod
    def entered(self, slots: Positions, rows: Positions) -> None:
        """Take note that rows were put into slots."""

    @abstractmethod
    def used(self, slots: Positions, rows: Positions) -> None:
        """Take note that rows were asked for and found."""

    @abstractmethod
    def make_room(self, over: int, count: int, rows: Positions) -> tuple[Positions, Positions]:
        """Choose what stays of rows that are held and rows that come.

        Args:
            over: How many of them all do not fit; at least 1, at most all.
            count: How many are held.
            rows: Those that come.

        Returns:
            The slots that are to be emptied, and the positions in ``rows`` of those that come in.
        """


@final
class Pin(Policy):
    """Let nothing go."""

    def entered(self, slots: Positions, rows: Positions) -> None:  # noqa: ARG002
        self.score[slots] = 0

    def used(self, slots: Positions, rows: Positions) -> None:
        pass

    def make_room(self, over: int, count: int, rows: Positions) -> tuple[Positions, Positions]:  # noqa: ARG002
        return _NONE, np.arange(max(0, len(rows) - over))


class _ByUse(Policy):
    """Let go what was used least; rows that come in always do."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = 0

    def make_room(self, over: int, count: int, rows: Positions) -> tuple[Positions, Positions]:
        gone = min(over, count)
        return lowest(self.score, gone), np.arange(over - gone, len(rows))

    def _now(self, num_rows: int) -> Positions:
        self._clock += num_rows
        return np.arange(self._clock - num_rows, self._clock)


@final
class LeastRecentlyUsed(_ByUse):
    """Let go what was asked for or put in the longest ago; of one call, the first rows go first."""

    def entered(self, slots: Positions, rows: Positions) -> None:
        self.used(slots, rows)

    def used(self, slots: Positions, rows: Positions) -> None:  # noqa: ARG002
        self.score[slots] = self._now(len(slots))


@final
class LeastFrequentlyUsed(_ByUse):
    """Let go what was asked for in the fewest calls; of equals, what was used longest ago."""

    def entered(self, slots: Positions, rows: Positions) -> None:  # noqa: ARG002
        self.score[slots] = self._now(len(slots))

    def used(self, slots: Positions, rows: Positions) -> None:  # noqa: ARG002
        uses = np.minimum((self.score[slots] >> _COUNT_BITS) + 1, _MOST_USES)
        self.score[slots] = (uses << _COUNT_BITS) | self._now(len(slots))


@final
class Belady(Policy):
    """Let go what will not be asked for the longest.

    Args:
        futures: What is known of the rows that will be asked for.
    """

    def __init__(self, futures: Futures) -> None:
        super().__init__()
        self._futures = futures

    def entered(self, slots: Positions, rows: Positions) -> None:
        self.score[slots] = -self._futures.due(rows)

    def used(self, slots: Positions, rows: Positions) -> None:
        self.entered(slots, rows)

    def make_room(self, over: int, count: int, rows: Positions) -> tuple[Positions, Positions]:
        coming = -self._futures.due(rows)
        held = lowest(self.score, min(over, count))
        held_score = self.score[held]
        # of equals the rows that come stay out: nothing is moved for nothing
        is_held = np.r_[np.ones(len(held), dtype=bool), np.zeros(len(rows), dtype=bool)]
        last = np.lexsort((is_held, np.r_[held_score, coming]))[:over]
        stays = np.ones(len(rows), dtype=bool)
        stays[last[last >= len(held)] - len(held)] = False
        return held[last[last < len(held)]], np.flatnonzero(stays)


_NONE = np.empty(0, dtype=np.int64)
POLICIES = ("pin", "lru", "lfu", "belady")


def make_policy(name: str, futures: Futures) -> Policy:
    """Return a policy by its name."""
    if name == "belady":
        return Belady(futures)
    others: dict[str, Callable[[], Policy]] = {"pin": Pin, "lru": LeastRecentlyUsed, "lfu": LeastFrequentlyUsed}
    return others[name]()


_SAMPLE = 4096


def lowest(score: Array, count: int) -> Positions:
    """Return the positions of the ``count`` lowest numbers, in any order.

    Example:
        >>> sorted(lowest(np.array([5, 1, 4, 0]), 2).tolist())
        [1, 3]
    """
    if not count:
        return _NONE
    if count * 64 < len(score) > 16 * _SAMPLE:
        # A few numbers from everywhere tell about how low these are; then one comparison leaves little to sort.
        sample = score[:: len(score) // _SAMPLE]
        bound_at = min(len(sample) - 1, 2 * count * len(sample) // len(score) + 16)
        near = np.flatnonzero(score <= np.partition(sample, bound_at)[bound_at])
        if count <= len(near) < len(score) // 4:
            return near[np.argpartition(score[near], count - 1)[:count]]
    return np.argpartition(score, count - 1)[:count]
