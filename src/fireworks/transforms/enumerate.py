"""The position of each item, as a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import numpy as np
import torch

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, Span, as_positions, numbered
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Barrier, Flow
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Run
from fireworks.core.stages import RowStage
from fireworks.core.workers import THREAD
from fireworks.errors import ColumnTypeError
from fireworks.message import Message

# On its way through the orders and the row stages of the input, the position travels as a column of such a name, which no
# user gives by accident, with the number of this kind of stage upstream.
_MARK = "\0position"


@final
class Enumerate(Pipe):
    """Add a column with the position of each item, as it is here: a shuffle behind it moves the numbers with the items.

    Behind ``batch`` an item is a batch, so all rows of a batch get its number; for the numbers of rows write it before
    ``batch``. Each epoch is numbered from ``start`` again. Functions in front of it run in the caller's thread or in threads;
    write those that run in processes behind it.

    Args:
        input: Rows or batches.
        column: The name of the new column.
        start: The number of the first item. At least 0.

    Shapes:
        the new column: int64 tensor ``(rows,)``.

    Raises:
        ValueError: ``start`` is negative.
        TypeError: ``column`` is no text.
        ColumnTypeError: there is a column of that name already.

    Example:
        >>> pipe = Enumerate(fw.source({"x": ["a", "b", "c"]})).shuffle(seed=0)
        >>> [(row["x"].item(), row["index"].item()) for row in pipe]
        [('c', 2), ('b', 1), ('a', 0)]
    """

    def __init__(self, input: Pipe, column: str = "index", *, start: int = 0) -> None:
        super().__init__(input)
        if not isinstance(column, str):
            raise TypeError(f"enumerate: column must be a name; got {column!r:.60}.")
        self.column, self.start = column, check_count(start, at_least=0, where="enumerate: start")
        _refuse(column, self.upstream.known_columns or ())
        self.mark = f"{_MARK} {sum(isinstance(stage, Enumerate) for stage in chain(self.upstream))}"

    @property
    def known_columns(self) -> list[str] | None:
        known = self.upstream.known_columns
        return None if known is None else [*known, self.column]

    def describe(self) -> str:
        return f"Enumerate({self.column}{f', start={self.start}' if self.start else ''})"

    def call(self, message: Message) -> Message:
        """Number the rows of a message; behind ``batch`` it is one batch, the first."""
        numbers = torch.zeros(len(message), dtype=torch.int64) if self.is_batched else torch.arange(len(message))
        return with_column(message, self.column, numbers + self.start)

    def make_flow(self) -> Flow:
        # Row stages of the input run behind orders that are yet to come, so the number is taken before them.
        flow = self.upstream.flow
        return Flow(_Numbered(Flow(flow.base, flow.orders), self.mark), stages=(_WithPosition(self, flow),))


def _refuse(column: str, known: object) -> None:
    if column in known:  # type: ignore[operator]
        raise ColumnTypeError(
            f"enumerate: there is a column {column!r} already; name the new one otherwise: .enumerate('position')."
        )


def with_column(message: Message, column: str, numbers: torch.Tensor) -> Message:
    """Return the message with the numbers behind its own columns."""
    _refuse(column, message.columns)
    return Message._of({**message._columns, column: numbers}, len(message))


def _marked(chunk: Chunk, mark: str, numbers: torch.Tensor) -> Chunk:
    return Chunk(Message._of({**chunk.message._columns, mark: numbers}, len(chunk.rows)), chunk.rows)


class _Numbered(Barrier):
    """The items of a flow of orders alone, with their positions."""

    def __init__(self, flow: Flow, mark: str) -> None:
        super().__init__(flow)
        self._mark = mark

    @property
    def row_bytes(self) -> int:
        return self.flow.base.row_bytes

    def no_rows(self) -> Message:
        nothing = self.flow.no_rows()
        return _marked(
            Chunk(nothing, np.empty(0, dtype=np.int64)), self._mark, torch.empty(0, dtype=torch.int64)
        ).message

    def num_rows(self, span: Span, epoch: int) -> int:
        return self.flow.num_rows_of(span, epoch)

    def rows_at(self, span: Span, epoch: int) -> Origins:
        return self.flow.rows_at(span, epoch)

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        numbers, start = torch.from_numpy(as_positions(span)), 0
        for chunk in self.flow.pieces(span, run):
            if self.is_batched:
                yield _marked(chunk, self._mark, numbers[start].expand(len(chunk.rows)))
                start += 1
            else:
                yield _marked(chunk, self._mark, numbers[start : start + len(chunk.rows)])
                start += len(chunk.rows)

    def open(self, run: Run) -> Cursor:
        return _NumberingCursor(self.flow.open(run), self._mark, counts_batches=self.is_batched)


class _NumberingCursor(Cursor):
    """A pass over a stream that counts."""

    def __init__(self, input: Cursor, mark: str, *, counts_batches: bool) -> None:
        self._input, self._mark, self._counts_batches, self._next = input, mark, counts_batches, 0

    def read(self, num_rows: int) -> Chunk | None:
        chunk = self._input.read(num_rows)
        if chunk is None:
            return None
        count, first = len(chunk.rows), self._next
        self._next += 1 if self._counts_batches else count
        numbers = torch.full((count,), first) if self._counts_batches else torch.arange(first, first + count)
        return _marked(chunk, self._mark, numbers)

    def state_dict(self) -> State:
        return {"input": self._input.state_dict(), "next": self._next}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
        self._next = int(state["next"])


class _WithPosition(RowStage):
    """Runs the row stages of the input, which don't see the position, and puts it into its column."""

    def __init__(self, stage: Enumerate, flow: Flow) -> None:
        super().__init__(None)
        self._stage, self._flow = stage, flow
        self.on_grid = any(inner.on_grid for inner in flow.stages)  # type: ignore[misc]
        self.drops_rows = any(inner.drops_rows for inner in flow.stages)
        # Threads that ran one of the stages run all of them. A process would be sent everything upstream of them.
        in_threads = (inner.staff for inner in flow.stages if inner.staff and inner.staff.backend == THREAD)
        self.staff = next(in_threads, None)

    def describe(self) -> str:
        return self._stage.describe()

    def transform(self, rows: Message) -> Message:
        return self.compute(numbered(rows), Run(0), 0).message

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        return self.compute(chunk, run, block)  # the input's own stages note their place on an error

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        stored = dict(chunk.message._columns)
        numbers = stored.pop(self._stage.mark)
        assert isinstance(numbers, torch.Tensor)  # noqa: S101 (our own column)
        part = self._flow.run_stages(Chunk(Message._of(stored, len(chunk.rows)), chunk.rows), run, block)
        if len(part.rows) != len(chunk.rows):
            # A batch may shrink or grow, behind a filter or a flatten; all its rows have one number.
            numbers = numbers[:1].expand(len(part.rows))
        return Chunk(with_column(part.message, self._stage.column, numbers + self._stage.start), part.rows)
