"""A flow that runs as the real one does, over the first rows of its sources only; and nothing that it leaves behind."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from fireworks.core.chunk import Chunk, Span
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Barrier, Base, Flow, Order
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.source import SourceBase
from fireworks.plan.columns import is_shared, runs_components
from fireworks.plan.optimise import looking_again, on_changed


def sampled(flow: Flow, num_rows: int) -> Flow:
    """Return a flow over the first rows of every source; filters look again, at these rows."""

    def change(below: Flow) -> Flow:
        return sampled(below, num_rows)

    if is_shared(flow.base):  # a branch must not take part in the pass that the others are reading
        return Flow(_Through(change(cast("Barrier", flow.base).flow)), flow.orders, flow.stages)
    base: Any = _First(flow.base, num_rows) if isinstance(flow.base, SourceBase) else on_changed(flow.base, change)
    if flow.stages and runs_components(flow.stages[0]):
        # Side by side: as many as the shortest has, for a filter may thin out the first rows of one more than another's.
        base.num_items = lambda: min(below.num_items() for below in base._flows)
    orders = tuple(_again(order, change) for order in flow.orders)
    return Flow(base, orders, flow.stages)


def _again(order: Order, change: Any) -> Order:
    if isinstance(order, Pipe):
        return copy.copy(order) if "_found" in vars(order) else order
    return looking_again(on_changed(order, change), order)


class _Through(Barrier):
    """A flow as it is."""

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        return self.flow.pieces(span, run)

    def open(self, run: Run) -> Cursor:
        return self.flow.open(run)

    def num_rows(self, span: Span, epoch: int) -> int:
        return self.flow.num_rows_of(span, epoch)


class _First(Base):
    """The first rows of a source."""

    def __init__(self, base: SourceBase, num_rows: int) -> None:
        self._base, self._num_rows = base, num_rows
        self.is_indexable = base.is_indexable

    @property
    def row_bytes(self) -> int:
        return self._base.row_bytes

    def num_items(self) -> int:
        return min(self._num_rows, self._base.num_items())

    def no_rows(self) -> Any:
        return self._base.no_rows()

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        return self._base.pieces(span, run)

    def open(self, run: Run) -> Cursor:
        return _FirstCursor(self._base.open(run), self._num_rows)


class _FirstCursor(Cursor):
    """A pass over the first rows of a stream."""

    def __init__(self, input: Cursor, num_rows: int) -> None:
        self._input, self._left = input, num_rows

    def read(self, num_rows: int) -> Chunk | None:
        chunk = self._input.read(min(num_rows, self._left)) if self._left else None
        self._left -= 0 if chunk is None else len(chunk.rows)
        return chunk

    def state_dict(self) -> State:
        return {"input": self._input.state_dict(), "left": self._left}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
        self._left = int(state["left"])


@contextmanager
def nothing_left_behind(modules: list[nn.Module]) -> Iterator[None]:
    """Put back what running functions and models changes besides their results: generators of random numbers, buffers."""
    python, numpy, torchs = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 (what functions of users draw from)
    buffers = [(buffer, buffer.detach().clone()) for module in modules for buffer in module.buffers()]
    try:
        with torch.no_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(torchs)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
