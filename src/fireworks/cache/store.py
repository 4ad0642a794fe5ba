"""What the caches of one pipeline share: the rows, and how those that are missing are had from above."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from fireworks.cache.columns import interleaved
from fireworks.cache.message_cache import CacheStats, MessageCache
from fireworks.core.budget import Budget, current_budget, limit_of
from fireworks.core.chunk import Chunk, Span, as_positions, groups, join
from fireworks.core.cursor import Cursor
from fireworks.core.flow import Coming, Flow, read_rows
from fireworks.core.run import Book, Run
from fireworks.errors import RowIndexError
from fireworks.message import Message
from fireworks.message.columns import Positions

_ROW = "\0row"  # the row number in the source, as one more column; no user's column has this name
_SHARE = 4  # what a cache takes of a memory budget if nobody says how much: a quarter
_FUTURE_BYTES = 16  # an item of a pass, and of the one after it
_EPOCHS_OF_REPEATS = 4  # where rows are drawn, some are drawn again only after several epochs


@dataclass(frozen=True)
class Settings:
    """What the user said of the size of a cache; it changes no result."""

    max_rows: int | None
    max_bytes: int | None
    policy: str | None
    disk_bytes: int | None


class Store:
    """Rows at positions of a flow. Any number of passes may use it at once, from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._cache: MessageCache | None = None
        self._counted = _Counted()
        self._flows: weakref.WeakSet[Flow] = weakref.WeakSet()
        self._is_filled_whole = False
        self._hits = self._misses = self._read = 0
        self._reader: _Reader | None = None
        self._length: int | None = None
        self._furthest = 0  # how far a stream was ever read
        self._coming: list[Coming] = []
        self._noted = Book()  # what happened when a stream was read for its length, outside of any pass

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.settings = state["settings"]
        self._begin()  # rows stay where they are: a copy begins empty

    # --- what is asked of it --------------------------------------------------------------------------------------

    def pieces(self, flow: Flow, span: Span, run: Run) -> Iterator[Chunk]:
        """Yield the rows at positions of a flow, from the cache or from the flow."""
        run = run.at(0)  # the same in every epoch
        with self._lock:
            run.book.merge(self._noted, ())
            self._noted = Book()
        while self._coming:
            self._look_ahead(flow, self._coming.pop(), run)
        if isinstance(span, range) and flow.is_indexable:
            yield from self._along(flow, span, run)
            return
        for some in groups(span, read_rows(flow.base.row_bytes)):
            yield self._scattered(flow, as_positions(some), run)

    def num_items(self, flow: Flow) -> int:
        """Return the number of rows of a flow; a stream is read to its end, once."""
        if flow.is_indexable:
            return flow.num_items()
        if self._length is None:
            run = Run(0, book=self._noted)
            with self._locked(run) as cache:
                while self._length is None:
                    self._read_on(flow, cache, run, evict=False)
        return self._length

    @property
    def known_length(self) -> int | None:
        """The number of rows of a stream, once it was read to its end."""
        return self._length

    def holds_all(self, flow: Flow) -> bool:
        """Tell whether all rows of a flow have room, as far as can be told."""
        count, row_bytes = self.num_items(flow), flow.base.row_bytes + 8
        with self._lock:
            cache = self._made(current_budget()) if self._cache is None else self._cache
            return cache.holds(count, row_bytes)

    def expect(self, coming: Coming) -> None:
        """Take note of the items that a pass is about to ask for."""
        self._coming.append(coming)

    def _look_ahead(self, flow: Flow, coming: Coming, run: Run) -> None:
        """Learn what a pass will ask for, where it asks for much and it pays to know."""
        count = self.num_items(flow)
        if len(coming.span) * 4 < count or len(coming.span) < 2:
            return
        with self._locked(run) as cache:
            self._flows.add(coming.flow)
            if self.holds_all(flow):
                # Everything is wanted and has room: what is cheap to read in order is read so, once.
                self._is_filled_whole = flow.base.reads_in_order
                return
            self._is_filled_whole = False
            room, policy = cache.max_bytes, self.settings.policy
            if policy not in {None, "belady"}:
                return
            if policy is None and room is not None and len(coming.span) * _FUTURE_BYTES > room // _SHARE:
                return  # to know the future would take more memory than it is worth
            positions = _on_whole_blocks(coming).positions()
            repeats = _repeats(positions, count)
            if policy is None and cache.policy != "belady":
                if not flow.grid and len(self._flows) < 2 and not repeats:
                    return  # one pass per epoch over rows that come singly: to pin is best already
                cache.use_policy("belady")
            cache.expect(positions, _epochs_after(coming, repeats=repeats), consumer=id(coming.flow))

    def stats(self) -> CacheStats:
        """Return what the cache has done."""
        cache = self._cache
        found = CacheStats(0, 0, 0, 0, 0) if cache is None else cache.stats
        return replace(found, hits=self._hits, misses=self._misses, rows_read=self._read)

    def clear(self) -> None:
        """Let all rows go."""
        with self._lock:
            if self._cache is not None:
                self._cache.clear()
                self._counted.update(self._cache)

    # --- one piece after the other --------------------------------------------------------------------------------

    def _along(self, flow: Flow, span: range, run: Run) -> Iterator[Chunk]:
        """Yield consecutive rows; those that are missing are read on from the flow as long as none is held."""
        size = read_rows(flow.base.row_bytes)
        ahead: Generator[Chunk] | None = None
        at, reads_at, ends_at = span.start, -1, -1
        try:
            while at < span.stop:
                stop = min(at + size, span.stop)
                with self._locked(run) as cache:
                    held = cache.contains(np.arange(at, stop, dtype=np.int64))
                    run_length = _first(~held)
                    if run_length:
                        yield_now = self._scattered(flow, np.arange(at, at + run_length, dtype=np.int64), run)
                        at += run_length
                    else:
                        if ahead is None or reads_at != at or reads_at >= ends_at:
                            if ahead is not None:
                                ahead.close()
                            reads_at = at // (flow.grid or 1) * (flow.grid or 1)
                            ends_at = self._end_of_gap(flow, cache, at, span.stop)
                            ahead = self._from(flow, reads_at, ends_at, run)
                        chunk = next(ahead, None)
                        if chunk is None:
                            raise ValueError(
                                f"Cache: the input has fewer than the {span.stop} rows that it said it had."
                            )
                        self._keep(cache, reads_at, chunk)
                        first, reads_at = reads_at, reads_at + len(chunk.rows)
                        yield_now = chunk.cut(max(0, at - first), min(len(chunk.rows), span.stop - first))
                        rows = np.arange(at, at + len(yield_now.rows), dtype=np.int64)
                        cache.pass_by(rows)
                        self._misses += len(rows)
                        at += len(rows)
                if len(yield_now.rows):
                    yield yield_now
        finally:
            if ahead is not None:
                ahead.close()

    def _from(self, flow: Flow, start: int, stop: int, run: Run) -> Generator[Chunk]:
        """Yield rows of a flow, small blocks together: what is done per piece must not be done per block."""
        size = read_rows(flow.base.row_bytes)
        waiting: list[Chunk] = []
        with closing(cast("Generator[Chunk]", flow.pieces(range(start, stop), run))) as chunks:
            for chunk in chunks:
                if waiting and sum(len(part.rows) for part in waiting) + len(chunk.rows) > size:
                    yield join(waiting)
                    waiting = []
                waiting.append(chunk)
        if waiting:
            yield join(waiting)

    def _end_of_gap(self, flow: Flow, cache: MessageCache, start: int, stop: int) -> int:
        """Return where the next row stands that is held, on the grid of blocks; at most where the pass ends."""
        size = read_rows(flow.base.row_bytes)
        end = stop
        for first in range(start, stop, size):
            held = cache.contains(np.arange(first, min(first + size, stop), dtype=np.int64))
            if held.any():
                end = first + _first(held)
                break
        grid = flow.grid or 1
        return min(-(-end // grid) * grid, flow.num_items())

    def _scattered(self, flow: Flow, positions: Positions, run: Run) -> Chunk:
        """Return rows at any positions."""
        with self._locked(run) as cache:
            held, found = cache.look_up(positions)
            self._hits += (hits := int(held.sum()))
            self._misses += len(positions) - hits
            if hits == len(positions):
                return _as_chunk(found)
            asked = positions[~held]
            missing = _once(asked)
            fetched = self._fetch(flow, cache, missing, run)
            if len(missing) != len(asked) or (missing != asked).any():
                fetched = fetched.take(np.searchsorted(missing, asked))
            if not hits:
                return fetched
            with_rows = {**fetched.message._columns, _ROW: fetched.rows}
            return _as_chunk(interleaved(held, found, Message._of(with_rows, len(asked))))

    # --- what is missing ------------------------------------------------------------------------------------------

    def _fetch(self, flow: Flow, cache: MessageCache, missing: Positions, run: Run) -> Chunk:
        """Return rows that are not held, at increasing positions, and keep them as the policy says."""
        if not flow.is_indexable:
            return self._fetch_from_stream(flow, cache, missing, run)
        count, grid = flow.num_items(), flow.grid
        if self._is_filled_whole:
            ranges = _runs(np.flatnonzero(~cache.contains(np.arange(count, dtype=np.int64))), 1, count)
        elif grid:
            ranges = _runs(np.unique(missing // grid), grid, count)
        else:
            found, start = [], 0
            for chunk in flow.pieces(missing, run):
                stop = start + len(chunk.rows)
                self._keep(cache, missing[start:stop], chunk)
                found.append(chunk)
                start = stop
            return join(found)
        found = []
        for start, stop in ranges:
            at = start
            for chunk in self._from(flow, start, stop, run):
                found += _wanted(chunk, at, missing)
                self._keep(cache, at, chunk)
                at += len(chunk.rows)
        return join(found)

    def _fetch_from_stream(self, flow: Flow, cache: MessageCache, missing: Positions, run: Run) -> Chunk:
        """Read a stream on as far as rows are wanted, then from its start for those that it has gone by."""
        behind, ahead = np.split(missing, [np.searchsorted(missing, 0 if self._reader is None else self._reader.at)])
        late = self._read_until(flow, cache, ahead, run)
        if len(behind):
            self._reader = None
        return join(self._read_until(flow, cache, behind, run) + late)

    def _read_until(self, flow: Flow, cache: MessageCache, wanted: Positions, run: Run) -> list[Chunk]:
        found: list[Chunk] = []
        have = 0
        while have < len(wanted):
            known = self._length
            read = self._read_on(flow, cache, run, evict=True)
            if read is None and known is None:
                raise RowIndexError(f"Cache: row {wanted[-1]} is past the end; there are {self._length} rows.")
            if read is None:
                raise ValueError(
                    f"Cache: the stream ended before row {wanted[have]}; when it was read before it had {known} rows. It must "
                    "give the same rows each time."
                )
            part = _wanted(read[1], read[0], wanted)
            have += sum(len(chunk.rows) for chunk in part)
            found += part
        return found

    def _read_on(self, flow: Flow, cache: MessageCache, run: Run, *, evict: bool) -> tuple[int, Chunk] | None:
        """Read some rows of a stream and keep what may be kept; return where they stand. None at its end."""
        if self._reader is None:
            self._reader = _Reader(flow, run.budget)
        reader = self._reader
        at = reader.at
        try:
            chunk = reader.read(run.book, is_new=at >= self._furthest)
        except BaseException:
            self._reader = None  # begun anew, whatever state it is in
            raise
        if chunk is None:
            self._length = at if self._length is None else self._length
            return None
        self._furthest = max(self._furthest, reader.at)
        self._keep(cache, at, chunk, evict=evict)
        return at, chunk

    def _keep(self, cache: MessageCache, at: int | Positions, chunk: Chunk, *, evict: bool = True) -> None:
        rows = np.arange(at, at + len(chunk.rows), dtype=np.int64) if isinstance(at, int) else at
        self._read += len(rows)
        if len(rows):
            stored = {**chunk.message._columns, _ROW: chunk.rows}
            cache.add(rows, Message._of(stored, len(rows)), evict=evict)

    def _locked(self, run: Run) -> _Locked:
        """Return what gives the cache, for one thread at a time; it is made when it is first used."""
        if os.getpid() != self._pid:  # a fork: the rows and their files stay with the parent
            self._inherited = self._cache
            self._begin()
        if self._cache is None:
            with self._lock:
                if self._cache is None:
                    self._cache = self._made(run.budget)
                    self._counted.begin(run.budget)
        return _Locked(self._lock, self._cache, self._counted)

    def _made(self, budget: Budget) -> MessageCache:
        settings = self.settings
        max_bytes = settings.max_bytes
        if max_bytes is None and (settings.max_rows is None or budget.max_bytes is not None):
            max_bytes = limit_of(budget) if budget.max_bytes is None else max(1, budget.max_bytes // _SHARE)
        return MessageCache(settings.max_rows, max_bytes, settings.policy or "pin", disk_bytes=settings.disk_bytes)


class _Counted:
    """The bytes of a cache, as they are counted in the budget of the pass that made it."""

    def __init__(self) -> None:
        self._box = [0]
        self._budget: Budget | None = None

    def begin(self, budget: Budget) -> None:
        self._budget = budget
        weakref.finalize(self, _give_back, budget, self._box).atexit = False

    def update(self, cache: MessageCache) -> None:
        if self._budget is not None and (more := cache.num_bytes - self._box[0]):
            self._budget.take(more)
            self._box[0] += more


def _give_back(budget: Budget, box: list[int]) -> None:
    budget.give(box[0])


class _Locked:
    """Holds the lock of a store, and counts what the cache has grown by."""

    def __init__(self, lock: Any, cache: MessageCache, counted: _Counted) -> None:
        self._lock, self._cache, self._counted = lock, cache, counted

    def __enter__(self) -> MessageCache:
        self._lock.acquire()
        return self._cache

    def __exit__(self, *error: object) -> None:
        try:
            self._counted.update(self._cache)
        finally:
            self._lock.release()


class _Reader:
    """One pass over a stream, from its start; what it notes goes into the books of those for whom it reads on."""

    def __init__(self, flow: Flow, budget: Budget) -> None:
        self._run = Run(0, budget=budget)
        self._cursor: Cursor = flow.open(self._run)
        self._num_rows = read_rows(flow.base.row_bytes)
        self.at = 0

    def read(self, book: Book, *, is_new: bool) -> Chunk | None:
        mine = self._run.book
        try:
            chunk = self._cursor.read(self._num_rows)
        finally:
            if not is_new:
                mine.set_aside.clear()  # reported when they were read for the first time
            book.merge(mine, ())
            mine.meters.clear()
            mine.set_aside.clear()
        if chunk is not None:
            self.at += len(chunk.rows)
        return chunk


def _as_chunk(found: Message) -> Chunk:
    columns = dict(found._columns)
    rows = columns.pop(_ROW)
    return Chunk(Message._of(columns, len(found)), cast("Positions", rows))


def _wanted(chunk: Chunk, at: int, wanted: Positions) -> list[Chunk]:
    """Return the wanted rows of a chunk that stands at a position."""
    first, last = np.searchsorted(wanted, [at, at + len(chunk.rows)])
    return [chunk.take(wanted[first:last] - at)] if first < last else []


def _runs(numbers: Positions, size: int, count: int) -> list[tuple[int, int]]:
    """Return increasing block numbers as ranges of rows, neighbours together."""
    if not len(numbers):
        return []
    cuts = np.flatnonzero(np.diff(numbers) > 1)
    starts, stops = numbers[np.r_[0, cuts + 1]], numbers[np.r_[cuts, len(numbers) - 1]] + 1
    return [
        (start * size, min(stop * size, count)) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
    ]


def _once(rows: Positions) -> Positions:
    """Return each of the rows once, increasing; quicker than `numpy.unique`, which hashes them first."""
    rows = np.sort(rows)
    return rows[np.r_[True, rows[1:] != rows[:-1]]]


def _first(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Return the position of the first True, or the length."""
    return int(mask.argmax()) if mask.any() else len(mask)


def _repeats(positions: Span, count: int) -> bool:
    return not isinstance(positions, range) and bool((np.bincount(positions, minlength=count) > 1).any())


def _epochs_after(coming: Coming, *, repeats: bool) -> Span | None:
    """Return what the epochs after this one will ask for, as many as matter; None where the pass is not a whole one."""
    if len(coming.span) != coming.flow.num_items():
        return None
    after = range(coming.epoch + 1, coming.epoch + 1 + (_EPOCHS_OF_REPEATS if repeats else 1))
    return np.concatenate([as_positions(coming.positions_in(epoch)) for epoch in after])


def _on_whole_blocks(coming: Coming) -> Coming:
    """Return what comes with the rest of the blocks at both ends, which are asked for whole."""
    grid, span = coming.flow.grid, coming.span
    if not grid or not isinstance(span, range):
        return coming
    stop = min(-(-span.stop // grid) * grid, coming.flow.num_items())
    return coming._replace(span=range(span.start // grid * grid, stop))
