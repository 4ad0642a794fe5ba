"""What a chain of pipes does when it runs, worked out once from the chain: base -> orders -> stages.

- The *base* is where items come from: a source, or a barrier behind which everything starts anew (batches, a
  junction, repetitions, one fixed epoch).
- The *orders* say which item of the base stands at which position. They touch no data.
- The *row stages* compute. They always run behind the orders, wherever they were written: ``map`` then ``shuffle``
  means ``shuffle`` then ``map``, so that a function runs on rows that are asked for together.

Functions of users and models run on a fixed grid: blocks of R consecutive positions, or the batch behind ``batch``.
Floating-point results depend on the length of a call, so the grid must not depend on how rows are asked for.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

import numpy as np

from fireworks._internal.lazy import load
from fireworks.core.chunk import Chunk, Span, as_positions, groups, join, recut
from fireworks.core.function_chain import Process, processes
from fireworks.core.origins import Origins
from fireworks.core.recursion import chain
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError, UnknownLengthError
from fireworks.message import Message

if TYPE_CHECKING:
    from fireworks.core.cursor import Cursor
    from fireworks.core.pipe import Pipe
    from fireworks.core.stages import RowStage
    from fireworks.order.scatter import Scatter
    from fireworks.parallel.schedule import Schedule

MAX_BLOCK_ROWS = 1024
MAX_BLOCK_BYTES = 4 * 2**20
# How many rows a source is asked for at once: enough to make the cost of a call vanish, few enough to stay in cache.
_READ_ROWS = 16 * 1024
_READ_BYTES = 8 * 2**20


def block_rows(row_bytes: int) -> int:
    """Return R, the rows of one block: the largest power of two with at most 1,024 rows and 4 MB.

    Args:
        row_bytes: Bytes of one row by the schema of the source, so that R depends on nothing that may vary.

    Example:
        >>> block_rows(144), block_rows(50_000)
        (1024, 64)
    """
    fitting = max(1, min(MAX_BLOCK_ROWS, MAX_BLOCK_BYTES // max(1, row_bytes)))
    return 1 << (fitting.bit_length() - 1)


def read_rows(row_bytes: int) -> int:
    """Return how many rows a source is asked for at once, at most.

    Args:
        row_bytes: Bytes of one row by the schema of the source.

    Example:
        >>> read_rows(144), read_rows(50_000)
        (16384, 167)
    """
    return max(block_rows(row_bytes), min(_READ_ROWS, _READ_BYTES // max(1, row_bytes)))


class Base(ABC):
    """Where the items of a flow come from.

    A base with random access implements `num_items` and `pieces`; one without implements `open`.
    """

    is_batched: bool = False
    """Whether an item is a batch rather than a row."""
    is_indexable: bool = True
    """Whether `num_items` and `pieces` work; if not, only `open` does."""
    reads_in_order: bool = False
    """Whether items one after the other come much cheaper than items here and there."""
    looks_ahead: bool = False
    """Whether it wants to know which items will be asked for; see `expect`."""

    @property
    @abstractmethod
    def row_bytes(self) -> int:
        """Bytes of one row by the schema of the source."""

    def estimated_bytes(self) -> int:
        """Return about how much memory all items would take."""
        return self.num_items() * self.row_bytes

    def require_unchanged(self) -> None:  # noqa: B027 (most bases have nothing that could change)
        """Raise where what the items come from has changed since the pipe was made."""

    def expect(self, coming: Coming) -> None:  # noqa: B027 (most bases have no use for it)
        """Take note of the items that a pass is about to ask for; called where `looks_ahead` is set."""

    @abstractmethod
    def num_items(self) -> int:
        """Return the number of items, or raise `UnknownLengthError`."""

    @abstractmethod
    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        """Yield the items at the positions of ``span``: rows in chunks of any length, batches one by one."""

    @abstractmethod
    def open(self, run: Run) -> Cursor:
        """Return a cursor before the first item, for a base without random access."""

    def num_rows(self, span: Span, epoch: int) -> int:  # noqa: ARG002
        """Return how many rows the items of ``span`` hold."""
        return len(span)

    def rows_at(self, span: Span, epoch: int) -> Origins:  # noqa: ARG002
        """Return which rows of the source the items at the positions of ``span`` hold, without reading any.

        They are those that the chunks of `pieces` will name.

        Raises:
            NoRandomAccessError: nobody knows before a pass.
            UnknownLengthError: a stage drops rows of batches.
        """
        raise NoRandomAccessError(
            f"{type(self).__name__.lstrip('_')}: nobody knows before a pass which rows of the source its items hold."
        )

    def num_source_rows(self) -> int | None:
        """Return below which number the row numbers are that items can have; None where it is not known."""
        return None

    def no_rows(self) -> Message:
        """Return a message without rows, with columns if they are known."""
        return Message()


class Order(ABC):
    """Says which item of an input stands at which position, without touching data."""

    scatters: bool = False
    """Whether items that follow each other come from far apart, so that a file is better read once than here and there."""

    @abstractmethod
    def num_items_out(self, num_items: int) -> int:
        """Return how many items there are behind this order, of ``num_items`` before it."""

    @abstractmethod
    def locate(self, span: Span, num_items: int, epoch: int) -> Span:
        """Return the positions in the input of the items at the positions of ``span``.

        Args:
            span: Positions behind this order, from 0 to before ``num_items_out(num_items)``.
            num_items: Items of the input.
            epoch: From 0.
        """

    def scatter(self, num_items: int, epoch: int) -> Scatter:
        """Return the same order as keys that come item by item; asked where `scatters` is set."""
        places = as_positions(self.locate(range(self.num_items_out(num_items)), num_items, epoch))
        return cast("Scatter", load("order.scatter.PlaceScatter")(places))

    def require_known(self, epoch: int) -> None:  # noqa: B027 (most orders are functions of the epoch)
        """Raise `NoRandomAccessError` where the order of that epoch depends on what happens before it."""

    def open(self, cursor: Cursor, run: Run) -> Cursor:  # noqa: ARG002
        """Return a cursor that does the same to a stream; only an order that can overrides this."""
        raise NoRandomAccessError(f"{type(self).__name__} needs random access, and its input is a stream.")


class Coming(NamedTuple):
    """The items of its base that a flow is about to ask for, and those of later epochs: a known future."""

    flow: Flow
    span: Span
    """Positions behind the orders of the flow, in the order in which they will be asked for."""
    epoch: int

    def positions(self) -> Span:
        """Return the positions in the base that this pass asks for, in that order."""
        return self.flow._locate(self.span, self.epoch)

    def positions_in(self, epoch: int) -> Span:
        """Return the positions in the base that a whole pass over another epoch would ask for, in that order."""
        return self.flow._locate(range(self.flow.num_items()), epoch)


@dataclass(frozen=True, eq=False)
class Flow:
    """Base, orders and row stages of one pipe; what the pipe runs."""

    base: Base
    orders: tuple[Order, ...] = ()
    stages: tuple[RowStage, ...] = ()

    def ordered(self, order: Order) -> Flow:
        """Return this flow with one more order; the row stages run behind it."""
        return replace(self, orders=(*self.orders, order))

    def staged(self, stage: RowStage) -> Flow:
        """Return this flow with one more row stage."""
        return replace(self, stages=(*self.stages, stage))

    @property
    def is_batched(self) -> bool:
        """Whether the items are batches."""
        return self.base.is_batched

    @property
    def is_indexable(self) -> bool:
        """Whether any item can be asked for."""
        return self.base.is_indexable

    @cached_property
    def grid(self) -> int:
        """Rows of one block, or 0 where no stage minds how many rows it gets at a time."""
        if self.is_batched or not any(stage.on_grid for stage in self.stages):
            return 0
        return block_rows(self.base.row_bytes)

    def num_items(self) -> int:
        """Return the number of items.

        Raises:
            UnknownLengthError: a stream, whose length nobody knows before its end.
        """
        count = self.base.num_items()
        for order in self.orders:
            count = order.num_items_out(count)
        return count

    def num_rows_of(self, span: Span, epoch: int) -> int:
        """Return the number of rows in the items at the positions of ``span`` in one epoch.

        Raises:
            UnknownLengthError: a stream, or a filter on batches: nobody knows before the end.
        """
        self._require_all_rows("their number")
        return self.base.num_rows(self._locate(span, epoch), epoch)

    def rows_at(self, span: Span, epoch: int) -> Origins:
        """Return which rows of the source the items at the positions of ``span`` hold in one epoch, without reading any.

        Raises:
            NoRandomAccessError: a stream, or an order that is not known yet.
            UnknownLengthError: a filter on batches: nobody knows before a pass.
        """
        if not self.is_indexable:
            raise NoRandomAccessError(
                "Nobody knows before a pass which rows come: upstream a stream is read, of which a cache keeps the rows."
            )
        self._require_all_rows("which rows they hold")
        for order in self.orders:
            order.require_known(epoch)
        return self.base.rows_at(self._locate(span, epoch), epoch)

    def _require_all_rows(self, what: str) -> None:
        for stage in self.stages:
            if stage.drops_rows or stage.on_error != "raise":
                raise UnknownLengthError(
                    f"{stage.describe()} drops rows of batches, so {what} is not known before the end."
                )

    def no_rows(self) -> Message:
        """Return a message without rows, with the columns that rows would have wherever they can be found out."""
        if self.is_indexable and self.num_items():
            return next(self.pieces(range(1), Run(0))).message[:0]
        # Nothing to look at: the stages see what there is, a block without rows.
        nothing = Chunk(self.base.no_rows(), np.empty(0, dtype=np.int64))
        return self.run_stages(nothing, Run(0), 0).message if nothing.message.columns else nothing.message

    def _locate(self, span: Span, epoch: int) -> Span:
        """Follow positions up through the orders to positions of the base."""
        if not self.orders:
            return span
        counts = [self.base.num_items()]
        for order in self.orders[:-1]:
            counts.append(order.num_items_out(counts[-1]))
        for order, count in zip(reversed(self.orders), reversed(counts), strict=True):
            span = order.locate(span, count, epoch)
        return span

    def pieces(self, span: Span, run: Run, *, unit: int = 1) -> Iterator[Chunk]:
        """Yield the items at the positions of ``span`` in one pass: rows in chunks of any length, batches one by one.

        Work is done as the pieces are asked for.

        Args:
            span: Positions of items.
            run: The pass.
            unit: Rows that will be handed on together; where it costs nothing, chunks are multiples of it.
        """
        if self.schedule is not None:
            run = self.schedule.within(run)
        if self.base.looks_ahead:
            self.base.expect(Coming(self, span, run.epoch))
        if self.grid:
            yield from self._on_grid(span, run)
        elif self.stages:
            yield from self.finished(zip(self._numbers(span), self._located(span, run, unit), strict=False), run)
        else:
            yield from self._located(span, run, unit)

    def _numbers(self, span: Span) -> Iterator[int]:
        """Yield the number of the batch that each piece is; without a grid no stage minds which block its rows are of."""
        return (int(number) for number in span) if self.is_batched else itertools.repeat(0)

    def _located(self, span: Span, run: Run, unit: int) -> Iterator[Chunk]:
        """Yield the items of the base for positions behind the orders, some thousand at a time."""
        if (asked := self._in_order(span, run, unit)) is not None:
            yield from asked
            return
        if not self.orders and unit == 1:
            yield from self.base.pieces(span, run)
            return
        for group in groups(span, 64 if self.is_batched else self._read_rows // unit * unit or unit):
            yield from self.base.pieces(self._locate(group, run.epoch), run)

    def _in_order(self, span: Span, run: Run, unit: int) -> Iterator[Chunk] | None:
        """Return the items at the positions of ``span`` from a base that is read in one go; None where it need not be.

        A base that is a file is asked for one long range where the orders let it be one. Where they scatter the rows it is
        read once, and the rows are brought into order in memory or on disk.
        """
        if not self.base.reads_in_order or self.is_batched:
            return None
        if self.orders:
            return cast("Iterator[Chunk] | None", load("order.in_order.in_order")(self, span, run, unit))
        is_long = isinstance(span, range) and len(span) > self._read_rows
        return self.base.pieces(span, run) if is_long else None

    @cached_property
    def _read_rows(self) -> int:
        return read_rows(self.base.row_bytes)

    @cached_property
    def schedule(self) -> Schedule | None:
        """How the row stages run in workers or ahead of the consumer; None where all run when they are asked."""
        if not any(stage.staff or stage.steers for stage in self.stages):
            return None
        return cast("Schedule", load("parallel.schedule.Schedule")(self))

    def finished(self, chunks: Iterable[tuple[int, Chunk]], run: Run) -> Iterator[Chunk]:
        """Run every row stage on numbered blocks or batches, and yield what becomes of each, in order."""
        return self._finished(chunks, run) if self.schedule is None else self.schedule.finished(chunks, run)

    def _finished(self, chunks: Iterable[tuple[int, Chunk]], run: Run) -> Iterator[Chunk]:
        for number, chunk in chunks:
            yield self.run_stages(chunk, run, number)

    def run_stages(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        """Run every row stage on one block or batch."""
        for process in self._processes:
            chunk = process(chunk, run, block)
        return chunk

    @cached_property
    def _processes(self) -> list[Process]:
        return processes(self.stages)

    def _on_grid(self, span: Span, run: Run) -> Iterator[Chunk]:
        if not len(span):
            return
        if isinstance(span, range):
            first = span.start // self.grid
            numbers: Iterable[int] = range(first, -(-span.stop // self.grid))
            for number, block in zip(numbers, self.finished(self._blocks(numbers, run), run), strict=True):
                piece = block.cut(max(span.start - number * self.grid, 0), span.stop - number * self.grid)
                if len(piece.rows):
                    yield piece
            return
        # Scattered positions: every block that holds one of them is computed whole, once.
        numbers, slot = np.unique(span // self.grid, return_inverse=True)
        blocks = list(self.finished(self._blocks(numbers.tolist(), run), run))
        starts = np.cumsum([0, *(len(block.rows) for block in blocks[:-1])])
        yield join(blocks).take(starts[slot] + span % self.grid)

    def _blocks(self, numbers: Iterable[int], run: Run) -> Iterator[tuple[int, Chunk]]:
        """Yield the given blocks of the grid with their numbers, before the row stages; runs of blocks are read at once."""
        size, count = self.grid, self.num_items()
        for first, last in _runs_of(numbers):
            span = range(first * size, min(last * size, count))
            number = first
            if (asked := self._in_order(span, run, size)) is not None:
                yield from zip(range(first, last), recut(asked, size), strict=True)
                continue
            for group in groups(span, self._read_rows // size * size):
                for block in recut(self.base.pieces(self._locate(group, run.epoch), run), size):
                    yield number, block
                    number += 1

    def open(self, run: Run) -> Cursor:
        """Return a cursor before the first item of one pass."""
        from fireworks.core.cursor import BlockCursor, IndexCursor, StageCursor

        if self.schedule is not None:
            run = self.schedule.within(run)
        if self.is_indexable:
            return IndexCursor(self, run)
        cursor = self.base.open(run)
        for order in self.orders:
            cursor = order.open(cursor, run)
        if not self.stages:
            return cursor
        if self.schedule is not None:
            return self.schedule.open(cursor, run)
        if self.is_batched:
            return StageCursor(cursor, lambda chunk, block: self.run_stages(chunk, run, block))
        size = self.grid or block_rows(self.base.row_bytes)
        return BlockCursor(cursor, size, lambda chunk, block: self.run_stages(chunk, run, block))

    def require_random_access(self, who: str, pipe: Pipe) -> None:
        """Raise `NoRandomAccessError` if this flow, of the pipe that is named, is a stream."""
        if not self.is_indexable:
            first = next((stage for stage in reversed(list(chain(pipe))) if not stage.is_indexable), pipe)
            streams = [name for name, part in first.named_inputs().items() if not part.is_indexable]
            if streams:
                why = f"its component {streams[0]!r} is one. Read"
            elif first.input is None and not first.named_inputs():
                why = f"{first.describe()} can only be read on (a table needs an integer primary key). Read"
            else:
                why = f"{first.describe()} makes it one. Put this before it, or read"
            raise NoRandomAccessError(
                f"{who} needs random access, and {pipe!r} is a stream: {why} the rows first: fw.source(pipe.to_message())."
            )


class Barrier(Base):
    """A base that stands on another flow and starts a flow of its own."""

    passes_columns: ClassVar[bool] = False
    """Whether rows pass with the columns that they have, and none is looked at: then what is left unread below is missed by
    nobody but those who ask for it."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.is_batched = flow.is_batched
        self.is_indexable = flow.is_indexable
        self.reads_in_order = flow.base.reads_in_order

    @property
    def row_bytes(self) -> int:
        """Bytes of one row by the schema of the source."""
        return self.flow.base.row_bytes

    def estimated_bytes(self) -> int:
        """Return about how much memory all items of the flow below would take."""
        return self.flow.base.estimated_bytes()

    def require_unchanged(self) -> None:
        """Raise where what the items of the flow below come from has changed."""
        self.flow.base.require_unchanged()

    def num_items(self) -> int:
        """Return the number of items of the flow below."""
        return self.flow.num_items()

    def num_source_rows(self) -> int | None:
        """Return below which number the row numbers of the flow below are."""
        return self.flow.base.num_source_rows()

    def no_rows(self) -> Message:
        """Return a message without rows, as the flow below gives it."""
        return self.flow.no_rows()


def _runs_of(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield increasing numbers as runs without gaps: the first, and the one behind the last."""
    if isinstance(numbers, range):
        yield numbers.start, numbers.stop
        return
    first = last = -1
    for number in numbers:
        if number != last:
            if last > first:
                yield first, last
            first = number
        last = number + 1
    if last > first:
        yield first, last


def batched_positions(span: Span, num_rows: int, total: int) -> Span:
    """Return the positions of the rows of the batches at ``span``, batch after batch."""
    if isinstance(span, range):
        return range(min(span.start * num_rows, total), min(span.stop * num_rows, total))
    rows = (as_positions(span)[:, None] * num_rows + np.arange(num_rows)).reshape(-1)
    return rows[rows < total]
