"""An order of rows for which the memory has no room: scattered once to piles on disk, and handed out pile by pile.

Rows are read once, in the order of the input, and each goes to the pile that the first bits of its key say. A pile is read
back, sorted by the keys, and handed out; then the next. The order is the one that a gather in memory gives, row for row,
because both sort by the same keys.

For the next epoch the rows are not read from their source again: they are scattered from these piles to new ones, as far as
possible while the consumer of this epoch is busy with other things.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator

import numpy as np
import torch

from fireworks._internal.background import Background
from fireworks._internal.memory import give_back
from fireworks.core.budget import limit_of
from fireworks.core.buffers import Buffers
from fireworks.core.chunk import Chunk, Span, as_positions, groups, join
from fireworks.core.flow import Flow, Order, read_rows
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.source import SourceBase
from fireworks.errors import DiskSpaceError
from fireworks.message.columns import Positions
from fireworks.order.handing_out import handed_out
from fireworks.order.keys import Keys
from fireworks.order.piled import Keyed, Layout, Piled, PileUp, keyed, pile_up
from fireworks.order.scatter import KeyScatter
from fireworks.spill.arena import Arena
from fireworks.spill.piles import Stored
from fireworks.spill.scratch import Scratch

_MOST_MOVERS = 2  # threads that bring rows from pile to pile
_EXTRA_BYTES = 24  # a key, a row number, a place, at most


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
        self._scratch: Scratch | None = None
        self._arena: Arena | None = None
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
        size = read_rows(flow.base.row_bytes)
        size = size // unit * unit or unit
        places = self._places(flow, number, span, run.epoch)
        piled = self._take_up(order, run)
        try:
            if isinstance(places, range) and len(places) > size:
                yield from handed_out(piled, places, run, size, self._prepared(order, run))
            else:
                for group in groups(places, size):
                    yield self._some(piled, as_positions(group), run)
        finally:
            self._leave(run.epoch)
        if len(places) > size:
            give_back()

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
                try:
                    piled = self._made(order, run)
                    give_back()
                except BaseException:
                    if not self._epochs:
                        self._let_go()
                    raise
                self._forget()
                self._epochs[run.epoch] = piled
            self._users[run.epoch] = self._users.get(run.epoch, 0) + 1
            return piled

    def _leave(self, epoch: int) -> None:
        with self._lock:
            self._users[epoch] -= 1
            if not self._users[epoch]:
                del self._users[epoch]
                self._epochs[epoch].cool()

    def _forget(self) -> None:
        """Remove the piles that nobody reads."""
        for epoch in [epoch for epoch in self._epochs if not self._users.get(epoch)]:
            self._epochs.pop(epoch).close()

    def _made(self, order: Order, run: Run) -> Piled:
        prepared, self._next = self._next, None
        if prepared is not None and (prepared.epoch != run.epoch or prepared.has_failed):
            prepared.close()
            prepared = None
        epoch = next(iter(self._epochs), None) if prepared is None else prepared.source
        if prepared is None and epoch is not None:
            prepared = self._preparation(order, epoch, run)
        if prepared is not None:
            self._before.base.require_unchanged()
            is_needed = prepared.source in self._users
            if not is_needed:  # what is read of its piles is written over
                self._epochs.pop(prepared.source, None)
            try:
                return prepared.finish(consume=not is_needed)
            except DiskSpaceError:
                if self._users:
                    raise
                self._epochs.clear()  # without them there is room, and the rows are read again
                self._let_go()
        count = self._before.num_items()
        scatter = order.scatter(count, run.epoch)
        per_row = self._before.base.estimated_bytes() / max(self._before.base.num_items(), 1) + _EXTRA_BYTES
        num_bytes = int(per_row * order.num_items_out(count))
        layout = self._layout(num_bytes, run, in_order=True, held_bytes=scatter.held_bytes)
        try:
            arena = self._room_for(num_bytes, order)
        except DiskSpaceError:
            if self._users or not self._epochs:
                raise
            self._epochs.clear()  # these piles are not needed any more
            self._let_go()
            arena = self._room_for(num_bytes, order)
        run.budget.take(scatter.held_bytes)
        try:
            return pile_up(keyed(self._before.pieces(range(count), run), scatter), layout, arena)
        finally:
            run.budget.give(scatter.held_bytes)

    def _layout(self, num_bytes: int, run: Run, *, in_order: bool, held_bytes: int = 0) -> Layout:
        base = self._before.base
        # Of a bare source the place of a row is its number.
        has_places = self._steady and not (isinstance(base, SourceBase) and not self._before.orders)
        num_rows = base.num_items() if isinstance(base, SourceBase) else None
        limit = limit_of(run.budget)
        limit = max(limit - held_bytes, limit // 4)
        return Layout.fitting(num_bytes, limit, has_places=has_places, num_rows=num_rows, in_order=in_order)

    def _room(self, order: Order) -> tuple[Scratch, Arena]:
        if self._scratch is None or self._arena is None or self._arena.is_closed:
            self._scratch = Scratch(_text(order))
            self._arena = Arena(self._scratch.path, self._scratch.user)
        return self._scratch, self._arena

    def _room_for(self, num_bytes: int, order: Order) -> Arena:
        scratch, arena = self._room(order)
        scratch.require_space(num_bytes - arena.num_free_bytes)
        return arena

    def _prepared(self, order: Order, run: Run) -> Preparation | None:
        """Return the piles of the next epoch, to be made while this one is handed out; None where that can't be."""
        with self._lock:
            if self._next is None and not self.has(run.epoch + 1):
                self._next = self._preparation(order, run.epoch, run.at(run.epoch + 1), beside=True)
            return self._next

    def _preparation(self, order: Order, epoch: int, run: Run, *, beside: bool = False) -> Preparation | None:
        """Return the piles of an epoch to be made from those of another; None where the rows have to be read again.

        Args:
            order: The order that scatters.
            epoch: The other.
            run: The pass over the new epoch.
            beside: Whether the disk has to hold both.
        """
        count, piled = self._before.num_items(), self._epochs[epoch]
        scatter = order.scatter(count, run.epoch) if self._steady else None
        if not isinstance(scatter, KeyScatter) or piled.num_rows != count:
            return None
        scratch, arena = self._room(order)
        try:
            scratch.require_space(piled.num_bytes - arena.num_free_bytes if beside else piled.num_bytes // 8)
        except DiskSpaceError:
            return None
        layout = self._layout(piled.memory_bytes, run, in_order=False)
        return Preparation(
            run.epoch,
            epoch,
            piled,
            lambda: arena.mapped(scatter.all_keys(count), np.uint64),
            PileUp(layout, arena),
        )

    def _let_go(self) -> None:
        """Give the disk back; what is made next begins anew."""
        for held in (self._arena, self._scratch):
            if held is not None:
                held.close()
        self._arena = self._scratch = None

    def __del__(self) -> None:
        if "_scratch" in self.__dict__:
            self._let_go()


class Preparation:
    """The piles of one epoch, made step by step from those of another.

    Args:
        epoch: Of the new piles.
        source: Of the other's.
        piled: The other's.
        words: Gives the keys of the new epoch, by place.
        made: Takes the rows.
    """

    def __init__(self, epoch: int, source: int, piled: Piled, words: Callable[[], Keys], made: PileUp) -> None:
        self.epoch, self.source = epoch, source
        self._made = made
        self._consumes = threading.Event()
        self._failure: BaseException | None = None
        self._steps = _steps(piled, words, made, self._consumes)  # which knows nothing of this, so that both go at once
        self._lock = threading.Lock()

    def step(self) -> bool:
        """Do some of the work; return whether there is more."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                return next(self._steps, self) is not self
            except BaseException as error:
                self._failure = error  # a generator that raised says from then on that it is at its end
                raise

    @property
    def has_failed(self) -> bool:
        """Whether a step failed, so that nothing will come of it."""
        return self._failure is not None

    def finish(self, *, consume: bool) -> Piled:
        """Do the rest, and return the piles.

        Args:
            consume: Whether nobody needs the others any more.
        """
        if consume:
            self._consumes.set()
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
            self._steps.close()
            self._made.close()


def _steps(piled: Piled, make_words: Callable[[], Keys], made: PileUp, consumes: threading.Event) -> Generator[None]:
    """Bring all rows from the piles of one epoch to those of another, some in each step."""
    rows, reading = _rows_of(piled, make_words(), consumes), threading.Lock()
    yield

    def move_some() -> bool:
        with reading:
            some = next(rows, None)
        if some is not None:
            made.add(some)
        return some is not None

    count = min(_MOST_MOVERS, torch.get_num_threads())
    threads = Background(count, "ahead of fireworks")
    try:
        moving = deque(threads.submit(move_some) for _ in range(count))
        while moving:
            if moving.popleft().result():
                moving.append(threads.submit(move_some))
            yield
    finally:
        threads.close()


def _rows_of(piled: Piled, words: Keys, consumes: threading.Event) -> Iterator[Keyed[Stored]]:
    kept = []  # piles that were read, and are still there
    buffers = Buffers()
    for number in range(len(piled.starts)):
        for some in piled.raw(number, buffers):
            yield some._replace(words=words[some.places])
        kept.append(number)
        while consumes.is_set() and kept:
            piled.discard(kept.pop())


def _text(order: Order) -> str:
    return order.describe() if isinstance(order, Pipe) else type(order).__name__


def is_steady(before: Flow, order: Order) -> bool:
    """Tell whether the rows before an order, and their order, are known to be the same in each epoch."""
    if not isinstance(order, Pipe) or order.upstream.order_varies:
        return False
    return isinstance(before.base, SourceBase) or not order.upstream.values_vary
