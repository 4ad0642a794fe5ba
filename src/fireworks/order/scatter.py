"""Where each row of an input goes: keys that sort the rows, computed piece by piece as the rows are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from fireworks.message.columns import Positions
from fireworks.order.keys import Keys, keys, permutation

_KEYS_AT_A_TIME = 2**18


class Scatter(ABC):
    """The order of one epoch of one stage, as a key for each row: the rows stand in the order of (key, place).

    A place is the position in the stage's input. No more than the keys of some rows need be in memory at a time, so the
    order of any number of rows can be made in piles: rows whose keys begin with the same bits make a pile.
    """

    held_bytes: int = 0
    """What it takes in memory for as long as it lives."""

    @abstractmethod
    def of(self, start: int, stop: int) -> tuple[Positions | None, Keys]:
        """Return the keys of the rows at places ``start`` to before ``stop``.

        Returns:
            Which of these rows are meant, counted from ``start``, where not each is meant once, in this order; else None.
            And the keys, as many.
        """


class KeyScatter(Scatter):
    """A shuffle: the keys are words of a Philox stream; see `fireworks.order.keys.keys`.

    Args:
        seed: The user's seed.
        stage: The stage name, ``shuffle:0``.
        epoch: From 0.
    """

    def __init__(self, seed: int, stage: str, epoch: int) -> None:
        self._key = seed, stage, epoch

    def of(self, start: int, stop: int) -> tuple[None, Keys]:
        return None, keys(*self._key, start, stop)

    def all_keys(self, count: int) -> Iterator[Keys]:
        """Yield the keys of all places, some at a time.

        Args:
            count: How many places there are.
        """
        for start in range(0, count, _KEYS_AT_A_TIME):
            yield keys(*self._key, start, min(start + _KEYS_AT_A_TIME, count))


class PlaceScatter(Scatter):
    """Any order, given as places: at each position the place of the item that stands there; places may repeat.

    Args:
        places: Shape ``(positions,)`` of int64. Needs 16 bytes a position more for as long as it lives.
    """

    def __init__(self, places: Positions) -> None:
        self._by_place = np.argsort(places, kind="stable")
        self._places = places[self._by_place]
        self.held_bytes = self._by_place.nbytes + self._places.nbytes
        self._shift = np.uint64(64 - max(1, (len(places) - 1).bit_length()))

    def of(self, start: int, stop: int) -> tuple[Positions, Keys]:
        first, last = np.searchsorted(self._places, [start, stop])
        words = self._by_place[first:last].astype(np.uint64) << self._shift  # the high bits say which pile
        return self._places[first:last] - start, words


def sorted_by(words: Keys, places: Positions | None, skip: int = 0) -> Positions:
    """Return the order of (key, place).

    Args:
        words: The keys.
        places: Where the rows stand; None where they come in the order of their places.
        skip: How many bits all keys begin with in common; to leave them out makes it quicker.
    """
    order = permutation(words << np.uint64(skip) if skip else words)
    if places is None or len(order) < 2:
        return order
    in_order = words[order]
    tied = in_order[1:] == in_order[:-1]
    if tied.any():
        return np.lexsort((places, words))
    return order


def pile_of(words: Keys, skip: int, bits: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Return the pile of each row: the number that ``bits`` bits of its key make, behind the first ``skip``."""
    if not bits:
        return np.zeros(len(words), dtype=np.uint16)
    kind = np.uint8 if bits <= 8 else np.uint16
    high = (words << np.uint64(skip)) if skip else words
    return (high >> np.uint64(64 - bits)).astype(kind)
