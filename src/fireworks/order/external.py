"""An order of rows for which the memory has no room: scattered once to piles on disk, and handed out pile by pile.

Rows are read once, in the order of the input, and each goes to the pile that the first bits of its key say. A pile is read
back, sorted by the keys, and handed out; then the next. The order is the one that a gather in memory gives, row for row,
because both sort by the same keys.

For the next epoch the rows are not read from their source again: they are scattered from these piles to new ones, as far as
possible while the consumer of this epoch is busy with other things.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from fireworks.core.budget import limit_of
from fireworks.core.chunk import Chunk, Span, as_positions, groups, join
from fireworks.core.flow import Flow, Order, read_rows
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.source import SourceBase
from fireworks.errors import DiskSpaceError
from fireworks.message.columns import Positions
from fireworks.order.handing_out import handed_out
from fireworks.order.piled import Keyed, Layout, Piled, PileUp, keyed, pile_up
from fireworks.order.scatter import KeyScatter, Scatter
from fireworks.spill.scratch import Scratch

_EXTRA_BYTES = 24  # a key, a row number, a place


class External:
    """The rows of a base behind the last order that scatters them, by epoch.

    Args:
        before: The base, and the orders before that one.
        steady: Whether its rows are the same in each epoch.
    """

    def __init__(self, before: Flow, *, steady: bool) -> None:
        self._before, self._steady = before, steady
        self._epochs: dict[int, Piled] = {}
        self._users: dict[int, int] = {}
        self._next: Preparation | None = None
        self._lock = threading.RLock()
        self._last: tuple[int, int, Chunk] | None = None  # epoch, pile and rows, for whoever asks for a few at a time

    def has(self, epoch: int) -> bool:
        """Tell whether the piles of an epoch are there."""
        return epoch in self._epochs

    # --- handing out ----------------------------------------------------------------------------------------------

    def pieces(self, flow: Flow, number: int, span: Span, run: Run, unit: int) -> Iterator[Chunk]:
        """Yield the items at positions behind all orders of a flow, some thousand at a time.

        Args:
            flow: The base and all orders.
            number: Which of the orders scatters.
            span: Positions.
            run: The pass.
            unit: Rows that will be handed on together.
        """
        order = flow.orders[number]
        piled = self._take_up(order, run)
        try:
            size = read_rows(flow.base.row_bytes)
            size = size // unit * unit or unit
            places = self._places(flow, number, span, run.epoch)
            if isinstance(places, range) and len(places) > size:
                yield from handed_out(piled, places, run, size, self._prepared(order, piled, run))
            else:
                for group in groups(places, size):
                    yield self._some(piled, as_positions(group), run)
        finally:
            self._leave(run.epoch)

    def _places(self, flow: Flow, number: int, span: Span, epoch: int) -> Span:
        """Return the positions right behind the order that scatters, of positions behind all orders."""
        behind = flow.orders[number + 1 :]
        counts = [flow.orders[number].num_items_out(self._before.num_items())]
        for order in behind:
            counts.append(order.num_items_out(counts[-1]))
        for order, count in zip(reversed(behind), reversed(counts[:-1]), strict=True):
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

    def _take_up(self, order: Order, run: Run) -> Piled:
        """Return the piles of an epoch, made now if they are not there, and hold them until `_leave`."""
        with self._lock:
            piled = self._epochs.get(run.epoch)
            if piled is None:
                piled = self._made(order, run)
                self._forget(but=piled)
                self._epochs[run.epoch] = piled
            self._users[run.epoch] = self._users.get(run.epoch, 0) + 1
            return piled

    def _leave(self, epoch: int) -> None:
        with self._lock:
            self._users[epoch] -= 1
            if not self._users[epoch]:
                del self._users[epoch]

    def _forget(self, but: Piled | None = None) -> None:
        """Remove the piles that nobody reads."""
        for epoch in [epoch for epoch in self._epochs if not self._users.get(epoch)]:
            if self._epochs[epoch] is not but:
                self._epochs.pop(epoch).close()

    def _made(self, order: Order, run: Run) -> Piled:
        prepared, self._next = self._next, None
        if prepared is not None:
            if prepared.epoch == run.epoch:
                return prepared.finish()
            prepared.close()
        count = self._before.num_items()
        known = next(iter(self._epochs.values()), None)
        if known is not None and (again := self._preparation(order, known, run)) is not None:
            return again.finish()
        scatter = order.scatter(count, run.epoch)
        per_row = self._before.base.estimated_bytes() / max(self._before.base.num_items(), 1) + _EXTRA_BYTES
        num_bytes = int(per_row * order.num_items_out(count))
        layout = Layout.fitting(num_bytes, limit_of(run.budget), has_places=self._steady)
        scratch = Scratch(_text(order))
        try:
            scratch.require_space(num_bytes)
            return pile_up(_keyed(self._before.pieces(range(count), run), scatter), layout, scratch)
        except BaseException:
            scratch.close()
            raise

    def _prepared(self, order: Order, piled: Piled, run: Run) -> Preparation | None:
        """Return the piles of the next epoch, to be made while this one is handed out; None where that can't be."""
        with self._lock:
            if self._next is None and not self.has(run.epoch + 1):
                self._next = self._preparation(order, piled, run.at(run.epoch + 1))
            return self._next

    def _preparation(self, order: Order, piled: Piled, run: Run) -> Preparation | None:
        """Return the piles of an epoch to be made from those of another; None where the rows have to be read again."""
        count = self._before.num_items()
        scatter = order.scatter(count, run.epoch) if self._steady else None
        if not isinstance(scatter, KeyScatter) or piled.num_rows != count:
            return None
        scratch = Scratch(_text(order))
        try:
            scratch.require_space(piled.num_bytes)
        except DiskSpaceError:
            scratch.close()
            return None
        layout = Layout.fitting(piled.num_bytes, limit_of(run.budget), has_places=True)
        return Preparation(run.epoch, piled, scatter, count, layout, scratch)

    def __del__(self) -> None:
        if self.__dict__.get("_next") is not None:
            self._next.close()  # type: ignore[union-attr]
        for piled in self.__dict__.get("_epochs", {}).values():
            piled.close()


class Preparation:
    """The piles of one epoch, made step by step from those of another.

    Args:
        epoch: Of the new piles.
        piled: The other's.
        scatter: The keys of the new epoch.
        count: How many rows there are.
        layout: Of the new piles.
        scratch: Where they go.
    """

    def __init__(
        self, epoch: int, piled: Piled, scatter: KeyScatter, count: int, layout: Layout, scratch: Scratch
    ) -> None:
        self.epoch = epoch
        self._scratch = scratch
        self._made = PileUp(layout, scratch)
        self._steps = self._all_steps(piled, scatter, count)
        self._lock = threading.Lock()

    def _all_steps(self, piled: Piled, scatter: KeyScatter, count: int) -> Iterator[None]:
        with scatter.kept(count, self._scratch.path / "keys") as words:
            yield
            for some in piled.all_raw():
                self._made.add(some._replace(words=words[some.places]))
                yield

    def step(self) -> bool:
        """Do some of the work; return whether there is more."""
        with self._lock:
            return next(self._steps, self) is not self

    def finish(self) -> Piled:
        """Do the rest, and return the piles."""
        try:
            while self.step():
                pass
            return self._made.finish()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove what there is."""
        with self._lock:
            self._steps.close()  # type: ignore[attr-defined]
            self._made.close()


def _keyed(chunks: Iterator[Chunk], scatter: Scatter) -> Iterator[Keyed]:
    start = 0
    for chunk in chunks:
        yield keyed(chunk, scatter, start)
        start += len(chunk.rows)


def _text(order: Order) -> str:
    return order.describe() if isinstance(order, Pipe) else type(order).__name__


def is_steady(before: Flow, order: Order) -> bool:
    """Tell whether the rows before an order, and their order, are known to be the same in each epoch."""
    if not isinstance(order, Pipe) or order.upstream.order_varies:
        return False
    return isinstance(before.base, SourceBase) or not order.upstream.values_vary
