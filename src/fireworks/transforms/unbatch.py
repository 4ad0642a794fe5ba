"""Batches back into rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar, final

import numpy as np

from fireworks.core.chunk import Chunk, Span, as_positions, join
from fireworks.core.cursor import Cursor, State, unmoved_by_errors
from fireworks.core.flow import Barrier, Flow
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Run
from fireworks.core.stages import RowStage
from fireworks.errors import NoRandomAccessError, UnknownLengthError
from fireworks.message.columns import Positions

_EPOCHS_KEPT = 2
# Rows that stand scattered are taken from so many batches at a time.
_BATCHES_AT_A_TIME = 64


@final
class Unbatch(Pipe):
    """Turn batches back into rows, batch after batch; functions upstream go on to get whole batches.

    There is random access where the sizes of the batches are known without running anything: behind ``batch`` and what
    keeps rows, also where batches are shuffled. Behind a filter of batches, or where ``take`` stands behind a shuffle of
    them, the rows are a stream. A shuffle behind it would ask for single rows of many batches: shuffle before ``batch``.

    Args:
        input: Batches.

    Raises:
        TypeError: the input is not batched.

    Example:
        >>> batches = fw.source({"x": torch.arange(5)}).batch(2)
        >>> sums = batches.map(lambda rows: rows.assign(sum=rows["x"].sum().expand(len(rows))))
        >>> Unbatch(sums)[1:4]["sum"].tolist()
        [1, 5, 5]
    """

    def __init__(self, input: Pipe) -> None:
        super().__init__(input)
        if not self.upstream.is_batched:
            raise TypeError(f"unbatch: the input has no batches ({input!r}); it gives rows already.")

    def make_flow(self) -> Flow:
        return unbatched(self.upstream, who="unbatch")


def unbatched(pipe: Pipe, *, who: str) -> Flow:
    """Return the rows of a batched pipe's batches as a flow.

    Args:
        pipe: Batched.
        who: Who asks, for the errors.
    """
    flow = pipe.flow
    keeps_rows = not any(stage.drops_rows or stage.on_error != "raise" for stage in flow.stages)
    is_indexable = flow.is_indexable and keeps_rows and not _sizes_vary(pipe)
    return Flow(_Rows(flow, who, is_indexable=is_indexable))


def _sizes_vary(pipe: Pipe) -> bool:
    """Tell whether the number of rows in all batches together may differ from epoch to epoch.

    A shuffle of batches moves the sizes; anything else that changes their order may leave some out.
    """
    moved = False
    for stage in chain(pipe):
        if not stage.order_varies or _makes_batches(stage):
            return False
        if stage.random_kind == "shuffle":
            moved = True
        elif not isinstance(stage, RowStage):
            return True
    return moved or pipe.order_varies


def _makes_batches(stage: Pipe) -> bool:
    """Tell whether the sizes of a stage's batches follow from the number of rows before it."""
    flow = stage.flow
    return hasattr(flow.base, "sizes") and not flow.orders and not flow.stages


class _Rows(Barrier):
    """The rows of a flow of batches."""

    passes_columns: ClassVar[bool] = True

    def __init__(self, flow: Flow, who: str, *, is_indexable: bool) -> None:
        super().__init__(flow)
        self.is_batched = False
        self.is_indexable = is_indexable
        self._who = who
        self._forget()

    def _forget(self) -> None:
        self._ends = lru_cache(_EPOCHS_KEPT)(self._find_ends)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_ends"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _find_ends(self, epoch: int, num_batches: int) -> Positions:
        """Return at which row each batch of one epoch ends."""
        return np.cumsum(batch_sizes(self.flow, num_batches, epoch), dtype=np.int64)

    def num_items(self) -> int:
        if not self.is_indexable:
            raise UnknownLengthError(
                f"{self._who}: the sizes of the batches are not known before the end (a stream, a filter of batches, or "
                "batches left out behind a shuffle of them). Filter before .batch."
            )
        return self.flow.num_rows_of(range(self.flow.num_items()), epoch=0)

    def rows_at(self, span: Span, epoch: int) -> Origins:
        ends, positions = self._ends(epoch, self.flow.num_items()), as_positions(span)
        batches, slot = np.unique(np.searchsorted(ends, positions, side="right"), return_inverse=True)
        below = self.flow.rows_at(batches, epoch)
        sizes = ends[batches] - np.where(batches > 0, ends[batches - 1], 0)
        first = np.cumsum(sizes) - ends[batches]  # from a position among all rows to one among those of these batches
        return Origins(below.rows[positions + first[slot]])

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        if not self.is_indexable:
            raise NoRandomAccessError(f"{self._who}: the rows of these batches are a stream.")
        if not len(span):
            return
        ends = self._ends(run.epoch, self.flow.num_items())
        if not isinstance(span, range):
            yield self._scattered(span, ends, run)
            return
        first, last = np.searchsorted(ends, [span.start, span.stop - 1], side="right").tolist()
        position = int(ends[first - 1]) if first else 0
        for batch in self.flow.pieces(range(first, last + 1), run):
            piece = batch.cut(max(span.start - position, 0), span.stop - position)
            position += len(batch.rows)
            if len(piece.rows):
                yield piece

    def _scattered(self, span: Positions, ends: Positions, run: Run) -> Chunk:
        """Compute every batch that holds one of the rows, once, and keep just those rows."""
        batches, slot = np.unique(np.searchsorted(ends, span, side="right"), return_inverse=True)
        starts = np.where(batches > 0, ends[batches - 1], 0)
        order = np.argsort(slot, kind="stable")
        bounds = np.searchsorted(slot[order], np.arange(0, len(batches) + _BATCHES_AT_A_TIME, _BATCHES_AT_A_TIME))
        parts = []
        for number, (low, high) in enumerate(pairwise(bounds)):
            group = slice(number * _BATCHES_AT_A_TIME, (number + 1) * _BATCHES_AT_A_TIME)
            joined = join(list(self.flow.pieces(batches[group], run)))
            sizes = ends[batches[group]] - starts[group]
            wanted = order[low:high]
            inside = slot[wanted] - group.start
            parts.append(joined.take((np.cumsum(sizes) - sizes)[inside] + span[wanted] - starts[slot[wanted]]))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return join(parts).take(back)

    def open(self, run: Run) -> Cursor:
        return _RowsCursor(self.flow.open(run))


def batch_sizes(flow: Flow, num_batches: int, epoch: int) -> Positions:
    """Return the number of rows in each batch of a flow, in one epoch.

    A base that knows all of them at once says so by a method ``sizes``.
    """
    sizes = getattr(flow.base, "sizes", None)
    if sizes is None:
        return np.array([flow.num_rows_of(range(n, n + 1), epoch) for n in range(num_batches)], dtype=np.int64)
    positions = flow._locate(range(num_batches), epoch)
    known: Positions = sizes(epoch)
    return known[positions.start : positions.stop] if isinstance(positions, range) else known[positions]


class _RowsCursor(Cursor):
    """A pass over the rows of a stream of batches."""

    def __init__(self, input: Cursor) -> None:
        self._input = input
        self._before: State | None = None  # where the input stood before the batch in hand
        self._batch: Chunk | None = None
        self._used = 0

    def read(self, num_rows: int) -> Chunk | None:
        while self._batch is None or self._used == len(self._batch.rows):
            if not self._next_batch():
                return None
        part = self._batch.cut(self._used, min(self._used + num_rows, len(self._batch.rows)))
        self._used += len(part.rows)
        return part

    def _next_batch(self) -> bool:
        with unmoved_by_errors(self._input) as before:
            batch = self._input.read(1)
        if batch is None:
            return False
        self._before, self._batch, self._used = before, batch, 0
        return True

    def state_dict(self) -> State:
        return {"input": self._input.state_dict() if self._before is None else self._before, "used": self._used}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
        self._before, self._batch, self._used = None, None, 0
        if state["used"]:
            self._next_batch()
            self._used = int(state["used"])
