"""Rows in the order of a flow from a base that is read in one go: in memory where there is room, else in piles on disk."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from fireworks.core.budget import Budget, limit_of
from fireworks.core.chunk import Chunk, Span, as_positions, groups, join
from fireworks.core.flow import Base, Flow, Order, read_rows
from fireworks.core.run import Run
from fireworks.message.columns import Positions

if TYPE_CHECKING:
    from fireworks.order.external import External

# To hold all rows and bring them into order takes their bytes twice while they are joined, and for each the keys, the
# positions and two epochs' orders.
_COPIES, _ORDER_BYTES = 2.2, 40
_ON_THE_WAY = 8  # so many rows are read on to reach one, rather than looking for it
_WRONG_BY = 1.25  # an estimate of strings may be


def in_order(flow: Flow, span: Span, run: Run, unit: int) -> Iterator[Chunk] | None:
    """Return the items at positions behind the orders of a flow; None where its base is better asked piece by piece.

    Where an order scatters the rows and most of them are wanted, the base is read once: into memory if they fit into the
    budget, and stay there for the epochs to come; else into piles on disk. The rows and their order are the same.

    Args:
        flow: Its base is read in order, and it has orders.
        span: Positions behind the orders.
        run: The pass.
        unit: Rows that will be handed on together.
    """
    scattering = [number for number, order in enumerate(flow.orders) if order.scatters]
    if not scattering:
        is_long = isinstance(span, range) and len(span) > read_rows(flow.base.row_bytes)
        return _in_a_row(flow.base, flow._locate(span, run.epoch), run) if is_long else None
    loaded = _loaded(flow.base)
    if loaded is not None and loaded.num_bytes > limit_of(run.budget) and run.budget.max_bytes is not None:
        loaded = None  # read under another budget
        del flow.base.__dict__["_loaded"]
    if loaded is not None:
        return loaded.pieces(flow, span, run, unit)
    external = _known(flow, scattering[-1])
    is_wanted = run.how == "next" and (run.is_whole or _is_most(flow, span))
    if not is_wanted and (external is None or not external.has(run.epoch)):
        return None
    if external is None:
        loaded = _load(flow.base, run)
        if loaded is not None:
            return loaded.pieces(flow, span, run, unit)
        external = _external(flow, scattering[-1])
    return external.pieces(flow, scattering[-1], span, run, unit)


def _in_a_row(base: Base, places: Span, run: Run) -> Iterator[Chunk] | None:
    """Return the rows at places that increase, by reading on; None where only a few of those on the way are wanted."""
    if isinstance(places, range):
        return base.pieces(places, run)
    first, stop = int(places[0]), int(places[-1]) + 1
    if stop - first > _ON_THE_WAY * len(places) or not is_increasing(places):
        return None
    return _sifted(base.pieces(range(first, stop), run), places - first)


def _sifted(chunks: Iterator[Chunk], places: Positions) -> Iterator[Chunk]:
    start = 0
    for chunk in chunks:
        stop = start + len(chunk.rows)
        here, behind = np.searchsorted(places, [start, stop])
        if behind > here:
            yield chunk.take(places[here:behind] - start)
        start = stop


def _is_most(flow: Flow, span: Span) -> bool:
    """Tell whether so many rows are wanted that reading all of them costs less than looking for each."""
    return len(span) > max(read_rows(flow.base.row_bytes), flow.num_items() // 8)


# By the order that scatters, and by the base: what is made of them lives as long as both. Pipes that are built anew for each
# epoch on the same shuffle, as `at_epoch` is, share it. A forked child makes its own: it would write into its parent's file.
_externals: weakref.WeakKeyDictionary[Order, dict[tuple[int, int], External]] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def _known(flow: Flow, number: int) -> External | None:
    return _externals.get(flow.orders[number], {}).get(_key(flow))


def _key(flow: Flow) -> tuple[int, int]:
    return os.getpid(), id(flow.base)


def _external(flow: Flow, number: int) -> External:
    from fireworks.order.external import External, is_steady  # which bring what only large data needs

    order = flow.orders[number]
    with _making:
        known = _externals.setdefault(order, {})
        if _key(flow) not in known:
            before = Flow(flow.base, flow.orders[:number])
            known[_key(flow)] = External(before, steady=is_steady(before, order))
        return known[_key(flow)]


class Loaded:
    """All rows of a base, in memory.

    Args:
        chunk: The rows, by position in the base.
    """

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self.num_bytes = chunk.message.num_bytes

    def pieces(self, flow: Flow, span: Span, run: Run, unit: int) -> Iterator[Chunk]:
        """Yield the items at positions behind the orders of a flow, some thousand at a time."""
        size = read_rows(flow.base.row_bytes)
        flow.base.require_unchanged()
        for group in groups(span, size // unit * unit or unit):
            yield self._take(as_positions(flow._locate(group, run.epoch)), run)

    def _take(self, places: Positions, run: Run) -> Chunk:
        if run.buffers is None:
            return self._chunk.take(places)
        return Chunk(run.buffers.take(id(self), self._chunk.message, places), self._chunk.rows[places])


def _loaded(base: Base) -> Loaded | None:
    return cast("Loaded | None", base.__dict__.get("_loaded"))


def _load(base: Base, run: Run) -> Loaded | None:
    """Read all rows of a base into memory, once; None where they don't fit into the budget."""
    count = base.num_items()
    limit = limit_of(run.budget)
    if bytes_to_order(base.estimated_bytes(), count) > limit:
        return None
    chunks, num_bytes = [], 0
    allowed = base.estimated_bytes() * _WRONG_BY
    for chunk in base.pieces(range(count), run):
        chunks.append(chunk)
        num_bytes += chunk.message.num_bytes
        if num_bytes > allowed and bytes_to_order(num_bytes, count) > limit:
            return None
    if not chunks:
        return None
    loaded = base.__dict__["_loaded"] = Loaded(join(chunks))
    run.budget.take(num_bytes)
    weakref.finalize(loaded, Budget.give, run.budget, num_bytes)
    return loaded


def bytes_to_order(num_bytes: float, num_rows: int) -> float:
    """Return what it takes in memory to hold rows and bring them into order."""
    return num_bytes * _COPIES + num_rows * _ORDER_BYTES


def is_increasing(places: Positions) -> bool:
    """Tell whether each place is higher than the one before."""
    return bool((places[1:] > places[:-1]).all())
