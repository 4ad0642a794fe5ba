"""Rows that were read or computed once are kept for the next time, as many as there is room for."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, final

import numpy as np

from fireworks._internal.checks import check_count
from fireworks.cache.message_cache import CacheStats, check_policy
from fireworks.cache.store import Settings, Store
from fireworks.core.budget import check_bytes
from fireworks.core.chunk import Chunk, Span, join
from fireworks.core.cursor import Cursor
from fireworks.core.failures import fold
from fireworks.core.flow import Barrier, Coming, Flow
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError
from fireworks.message.index import Rows


@final
class Cache(Pipe):
    """Keep the rows of the input, as many as there is room for, and read or compute only the others.

    It is a barrier: functions before it run on blocks of the input's order, once per row as long as the row is kept. Rows
    are the same with any size and policy. Pipes that are built on one cache share it. What is kept is chosen by what the
    passes are about to ask for, where that is known and of use.

    Of a stream it makes a pipe with random access: rows that are neither kept nor ahead are had by reading the stream once
    more from its start. Its length is learnt by reading it to the end, once, when a pass or ``len`` needs it.

    Args:
        input: Rows that are the same in every epoch.
        max_rows: At most so many rows in memory.
        max_bytes: At most so many bytes of memory, or a text: ``"1GB"``. If neither is given, a quarter of the memory
            budget; without a budget, half of the memory that is free.
        policy: ``"pin"``, ``"lru"``, ``"lfu"`` or ``"belady"``, see `MessageCache`. If not given, ``"pin"``, until blocks,
            repeated rows or several consumers make it pay to look ahead; then ``"belady"``, which takes 16 bytes of memory
            besides for each row of a pass, 40 where rows repeat.
        disk_bytes: Rows for which the memory has no room are kept in files, up to so many bytes; None for none.

    Raises:
        ValueError: a size is below 1, the policy is unknown, items are batches, or the input differs from epoch to epoch.

    Example:
        >>> calls = []
        >>> def slow(rows):
        ...     calls.append(len(rows))
        ...     return rows.assign(y=rows["x"] * 2)
        >>> pipe = Cache(fw.source({"x": torch.arange(100)}).map(slow), max_bytes="1MB").shuffle(seed=0).batch(10)
        >>> for epoch in range(3):
        ...     for batch in pipe: pass
        >>> sum(calls), pipe.cache_stats().rate > 0.6
        (100, True)
    """

    def __init__(
        self,
        input: Pipe,
        max_rows: int | None = None,
        max_bytes: int | str | None = None,
        policy: str | None = None,
        *,
        disk_bytes: int | str | None = None,
    ) -> None:
        super().__init__(input)
        settings = Settings(
            None if max_rows is None else check_count(max_rows, at_least=1, where="cache: max_rows"),
            None if max_bytes is None else check_bytes(max_bytes, where="cache: max_bytes"),
            None if policy is None else check_policy(policy, who="cache"),
            None if disk_bytes is None else check_bytes(disk_bytes, where="cache: disk_bytes"),
        )
        if self.upstream.is_batched:
            raise ValueError(
                f"cache: it keeps rows, and the items of {self.upstream!r} are batches. Put it before .batch, or behind "
                ".unbatch()."
            )
        if self.upstream.order_varies or self.upstream.values_vary:
            raise ValueError(
                f"cache: {self.upstream!r} differs from epoch to epoch, so what is kept of one is wrong in the next. Put "
                "the cache before what draws, or fix the epoch: .at_epoch(0).cache()."
            )
        self._store = Store(settings)

    def describe(self) -> str:
        return "Cache()"  # its size changes no row, so a state that was saved with one loads with another

    def least_bytes(self) -> int:
        return self._store.settings.max_bytes or 0

    def make_flow(self) -> Flow:
        return Flow(Cached(self.upstream.flow, self._store))

    def cache_stats(self) -> CacheStats:
        """Return how many rows were found in the cache, and what it holds.

        Example:
            >>> pipe = fw.source({"x": torch.arange(4)}).cache()
            >>> _ = pipe[1], pipe[[1, 2]]
            >>> stats = pipe.cache_stats()
            >>> stats.hits, stats.misses, stats.num_rows
            (1, 2, 2)
        """
        return self._store.stats()

    def clear_cache(self) -> None:
        """Let all rows go that are kept; they are read or computed again when they are asked for."""
        self._store.clear()

    def get(self, key: Rows, epoch: int) -> Any:
        """Return the rows at ``key``; of a stream only as much is read as is needed, see `Pipe.get`."""
        positions = None if self._store.known_length is not None else _from_start(key)
        if positions is None or self.upstream.is_indexable:
            return super().get(key, epoch)
        run = Run(epoch, how="get")
        try:
            chunks = list(self.runnable.base.pieces(positions, run))
        except Exception as error:
            fold(error)
            raise
        if run.book.set_aside:
            self.note_pass(run)
        run.book.report()
        return join(chunks).message


def _from_start(key: object) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Return a key as positions where these do not depend on the number of rows; else None."""
    if isinstance(key, slice):
        return None  # it clamps at the end
    if isinstance(key, (list, tuple, range, np.ndarray)):
        positions = np.asarray(key)
        is_plain = positions.ndim == 1 and positions.dtype.kind in "iu" and len(positions)
        return positions.astype(np.int64) if is_plain and positions.min() >= 0 else None
    try:
        position = operator.index(key)  # type: ignore[arg-type]
    except TypeError:
        return None
    return np.array([position]) if position >= 0 and not isinstance(key, bool) else None


class Cached(Barrier):
    """The rows of a flow, those that a store keeps from there.

    Args:
        flow: Of rows, the same in every epoch.
        store: Shared by all that are built on the same cache.
    """

    looks_ahead = True

    def __init__(self, flow: Flow, store: Store) -> None:
        super().__init__(flow)
        self.is_indexable = True
        self._store = store

    @property
    def reads_in_order(self) -> bool:
        """Whether rows here and there are dear: the input's are, and the cache has no room for all."""
        return self._is_dear and not self._store.holds_all(self.flow)

    @reads_in_order.setter
    def reads_in_order(self, of_flow: bool) -> None:
        self._is_dear = of_flow or not self.flow.is_indexable

    def expect(self, coming: Coming) -> None:
        self._store.expect(coming)

    def num_items(self) -> int:
        return self._store.num_items(self.flow)

    def estimated_bytes(self) -> int:
        return super().estimated_bytes() if self.flow.is_indexable else self.num_items() * self.row_bytes

    def rows_at(self, span: Span, epoch: int) -> Any:  # noqa: ARG002
        return self.flow.rows_at(span, 0)

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        return self._store.pieces(self.flow, span, run)

    def open(self, run: Run) -> Cursor:  # noqa: ARG002
        raise NoRandomAccessError("Cache: it has random access, so it is asked by position.")
