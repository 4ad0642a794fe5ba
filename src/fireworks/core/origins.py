"""Which rows of the source items are made of, as numbers alone: what an order says before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fireworks.message.columns import Positions


class Origins(NamedTuple):
    """The row numbers of some items, item after item: what `Chunk.rows` will say when they are read.

    Example:
        >>> batches = Origins(np.array([7, 3, 5]), np.array([2, 1]))
        >>> [rows.tolist() for rows in batches.each()], batches.taken(np.array([1, 0])).rows.tolist()
        ([[7, 3], [5]], [5, 7, 3])
    """

    rows: Positions
    """Row numbers of the source."""
    sizes: Positions | None = None
    """How many rows each item has; None where each item is a row."""

    def each(self) -> list[Positions]:
        """Return the row numbers of each item by themselves."""
        if self.sizes is None:
            return list(self.rows.reshape(-1, 1))
        return np.split(self.rows, np.cumsum(self.sizes)[:-1]) if len(self.sizes) else []

    def taken(self, places: Positions) -> Origins:
        """Return the items at ``places``."""
        if self.sizes is None:
            return Origins(self.rows[places])
        starts = np.cumsum(self.sizes) - self.sizes
        return Origins(self.rows[runs(starts[places], self.sizes[places])], self.sizes[places])


def joined(parts: Sequence[Origins], *, is_batched: bool) -> Origins:
    """Return items one part after the other.

    Args:
        parts: Any number, also none.
        is_batched: Whether an item is a batch.
    """
    nothing = np.empty(0, dtype=np.int64)
    rows = np.concatenate([nothing, *(part.rows for part in parts)])
    sizes = [part.sizes for part in parts if part.sizes is not None]
    return Origins(rows, np.concatenate([nothing, *sizes]) if is_batched else None)


def runs(starts: Positions, lengths: Positions) -> Positions:
    """Return the positions of runs, one after the other.

    Example:
        >>> runs(np.array([5, 0]), np.array([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()), dtype=np.int64)
