"""An order of rows for which the memory has no room: scattered once to piles on disk, and handed out pile by pile.

Rows are read once, in the order of the input, and each goes to the pile that the first bits of its key say. A pile is read
back, sorted by the keys, and handed out; then the next. The order is the one that a gather in memory gives, row for row,
because both sort by the same keys.

For the next epoch the rows are not read from their source again, but scattered from these piles to new ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import cast

import numpy as np

from fireworks.core.budget import bytes_of, limit_of
from fireworks.core.chunk import Chunk, Span, as_positions, groups, join
from fireworks.core.flow import Flow, read_rows
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.message.columns import Positions
from fireworks.order.piled import Keyed, Layout, Piled, pile_up
from fireworks.order.scatter import Scatter
from fireworks.spill.scratch import Scratch

_EXTRA_BYTES = 16  # a key and a row number


class External:
    """The rows of a flow behind its last order that scatters them, by epoch.

    Args:
        flow: With random access.
        number: Which of its orders scatters.
    """

    def __init__(self, flow: Flow, number: int) -> None:
        self._before = Flow(flow.base, flow.orders[:number])
        self._order = flow.orders[number]
        self._behind = flow.orders[number + 1 :]
        self._epochs: dict[int, Piled] = {}
        self._users: dict[int, int] = {}
        self._lock = threading.RLock()
        self._last: tuple[int, int, Chunk] | None = None  # epoch, pile and rows, for whoever asks for a few at a time

    @property
    def is_begun(self) -> bool:
        """Whether there are piles of some epoch."""
        return bool(self._epochs)

    def has(self, epoch: int) -> bool:
        """Tell whether the piles of an epoch are there."""
        return epoch in self._epochs

    # --- handing out ----------------------------------------------------------------------------------------------

    def pieces(self, flow: Flow, span: Span, run: Run, unit: int) -> Iterator[Chunk]:
        """Yield the items at positions behind all orders of the flow, some thousand at a time."""
        piled = self._take_up(run)
        try:
            size = read_rows(flow.base.row_bytes)
            size = size // unit * unit or unit
            places = self._places(span, run.epoch)
            if isinstance(places, range) and len(places) > size:
                yield from handed_out(piled, places, run, size)
            else:
                for group in groups(places, size):
                    yield self._some(piled, as_positions(group), run)
        finally:
            self._leave(run.epoch)

    def _places(self, span: Span, epoch: int) -> Span:
        """Return the positions right behind the order that scatters, of positions behind all orders."""
        if not self._behind:
            return span
        counts = [self._order.num_items_out(self._before.num_items())]
        for order in self._behind[:-1]:
            counts.append(order.num_items_out(counts[-1]))
        for order, count in zip(reversed(self._behind), reversed(counts), strict=True):
            span = order.locate(span, count, epoch)
        return span

    def _some(self, piled: Piled, places: Positions, run: Run) -> Chunk:
        """Return the rows at a few positions."""
        numbers = np.searchsorted(piled.starts, places, side="right") - 1
        parts, where = [], []
        for number in np.unique(numbers):
            mine = np.flatnonzero(numbers == number)
            parts.append(self._whole(piled, int(number), run).take(places[mine] - piled.starts[number]))
            where.append(mine)
        if len(parts) == 1:
            return parts[0]
        return join(parts).take(np.argsort(np.concatenate(where)))

    def _whole(self, piled: Piled, number: int, run: Run) -> Chunk:
        last = self._last
        if last is not None and last[:2] == (run.epoch, number):
            return last[2]
        chunk = join(list(piled.read(number, None)))
        self._last = run.epoch, number, chunk
        return chunk

    # --- piling up ------------------------------------------------------------------------------------------------

    def _take_up(self, run: Run) -> Piled:
        """Return the piles of an epoch, made now if they are not there, and hold them until `_leave`."""
        with self._lock:
            piled = self._epochs.get(run.epoch)
            if piled is None:
                piled = self._made(run)
                for old in [epoch for epoch in self._epochs if not self._users.get(epoch)]:
                    self._epochs.pop(old).close()
                self._epochs[run.epoch] = piled
            self._users[run.epoch] = self._users.get(run.epoch, 0) + 1
            return piled

    def _leave(self, epoch: int) -> None:
        with self._lock:
            self._users[epoch] -= 1
            if not self._users[epoch]:
                del self._users[epoch]

    def _made(self, run: Run) -> Piled:
        before, order = self._before, self._order
        count = before.num_items()
        scatter = order.scatter(count, run.epoch)
        num_out = order.num_items_out(count)
        per_row = before.base.estimated_bytes() / max(before.base.num_items(), 1) + _EXTRA_BYTES
        num_bytes = int(per_row * num_out)
        scratch = Scratch(cast("Pipe", order).describe())
        try:
            scratch.require_space(num_bytes)
        except BaseException:
            scratch.close()
            raise
        layout = Layout.fitting(num_bytes, limit_of(run.budget), has_places=True)
        return pile_up(self._keyed(scatter, count, run), layout, scratch)

    def _keyed(self, scatter: Scatter, count: int, run: Run) -> Iterator[Keyed]:
        start = 0
        for chunk in self._before.pieces(range(count), run):
            stop = start + len(chunk.rows)
            yield keyed(chunk, scatter, start)
            start = stop

    def __del__(self) -> None:
        for piled in self.__dict__.get("_epochs", {}).values():
            piled.close()


def keyed(chunk: Chunk, scatter: Scatter, start: int) -> Keyed:
    """Return the rows of a chunk with their keys.

    Args:
        chunk: Rows of the input.
        scatter: Says where they go.
        start: The place of the first.
    """
    which, words = scatter.of(start, start + len(chunk.rows))
    if which is None:
        return Keyed(chunk.message, chunk.rows, np.arange(start, start + len(chunk.rows), dtype=np.int64), words)
    return Keyed(chunk.message.take(which), chunk.rows[which], which + start, words)


def handed_out(piled: Piled, places: range, run: Run, size: int) -> Iterator[Chunk]:
    """Yield the rows at positions of an order that follow each other; the next pile is read while one is handed out.

    Args:
        piled: The order.
        places: Positions, at least one.
        run: The pass.
        size: At most so many rows come at once, and pieces begin at multiples of it where they can.
    """
    first, last = piled.pile_at(places.start), piled.pile_at(places.stop - 1)
    at = int(piled.starts[first])
    with closing(_read_ahead(lambda number: piled.read(number, run.buffers), range(first, last + 1), run)) as chunks:
        for chunk in chunks:
            start, stop = max(places.start - at, 0), min(places.stop - at, len(chunk.rows))
            while start < stop:
                end = min(start + size - (at + start - places.start) % size, stop)
                yield chunk.cut(start, end)
                start = end
            at += len(chunk.rows)


def _read_ahead(read: Callable[[int], Iterator[Chunk]], numbers: range, run: Run) -> Generator[Chunk]:
    """Yield the chunks of some piles; a thread reads the next one while one is worked on."""

    def chunks() -> Generator[Chunk]:
        for number in numbers:
            yield from read(number)

    source = chunks()
    with ThreadPoolExecutor(1, thread_name_prefix="fireworks piles") as thread:
        waiting = thread.submit(next, source, None)
        held = 0
        try:
            while (chunk := waiting.result()) is not None:
                waiting = thread.submit(next, source, None)
                run.budget.take(bytes_of(chunk) - held)
                held = bytes_of(chunk)
                yield chunk
        finally:
            run.budget.give(held)
            waiting.cancel()
            thread.shutdown(wait=True)
            source.close()
