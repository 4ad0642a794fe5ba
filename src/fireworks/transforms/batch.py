"""Rows into batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, Span, as_positions, join, recut
from fireworks.core.cursor import Cursor, State, read_exactly
from fireworks.core.flow import Barrier, Flow, batched_positions
from fireworks.core.needs import chunk_bytes
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.message.columns import Positions


@final
class Batch(Pipe):
    """Group rows into batches of exactly ``num_rows``; only the last may be shorter, and it is kept.

    From here on an item is a batch: ``len`` counts batches, ``pipe[3]`` is the fourth, and a function over rows gets
    one batch at a time.

    Args:
        input: Rows.
        num_rows: Rows in one batch. At least 1.
        drop_last: Leave the last batch out if it is shorter.

    Raises:
        ValueError: ``num_rows`` is below 1.
        TypeError: the input is batched already.

    Example:
        >>> rows = fw.source({"x": torch.arange(5)})
        >>> [len(batch) for batch in Batch(rows, 2)], len(Batch(rows, 2, drop_last=True))
        ([2, 2, 1], 2)
    """

    def __init__(self, input: Pipe, num_rows: int, *, drop_last: bool = False) -> None:
        super().__init__(input)
        self.batch_rows = check_count(num_rows, at_least=1, where="batch: num_rows")
        if self.upstream.is_batched:
            raise TypeError(f"batch: the input is batched already ({input!r}); batch once.")
        self.drop_last = drop_last

    def describe(self) -> str:
        return f"Batch({self.batch_rows}{', drop_last=True' if self.drop_last else ''})"

    def least_bytes(self) -> int:
        """Return the bytes of one batch as it comes and as it goes."""
        return min(2 * self.batch_rows * self.flow.base.row_bytes, 2 * chunk_bytes(self.upstream))

    def make_flow(self) -> Flow:
        return Flow(_Batches(self.upstream.flow, self.batch_rows, drop_last=self.drop_last))


class _Batches(Barrier):
    """The rows of a flow, grouped."""

    passes_columns: ClassVar[bool] = True

    def __init__(self, flow: Flow, num_rows: int, *, drop_last: bool) -> None:
        super().__init__(flow)
        self.is_batched = True
        self._num_rows, self._drop_last = num_rows, drop_last

    def num_items(self) -> int:
        rows = self.flow.num_items()
        return rows // self._num_rows if self._drop_last else -(-rows // self._num_rows)

    def sizes(self, epoch: int) -> Positions:  # noqa: ARG002
        """Return the number of rows in every batch."""
        sizes = np.full(self.num_items(), self._num_rows, dtype=np.int64)
        if len(sizes) and not self._drop_last:
            sizes[-1] = self.flow.num_items() - (len(sizes) - 1) * self._num_rows
        return sizes

    def bounds(self, numbers: Positions) -> tuple[Positions, Positions]:
        """Return where batches begin and end among the rows of the flow, for whoever wants a part of each alone."""
        starts = numbers * self._num_rows
        return starts, np.minimum(starts + self._num_rows, self.flow.num_items())

    def num_rows(self, span: Span, epoch: int) -> int:  # noqa: ARG002
        return len(batched_positions(span, self._num_rows, self.flow.num_items()))

    def rows_at(self, span: Span, epoch: int) -> Origins:
        total = self.flow.num_items()
        rows = self.flow.rows_at(batched_positions(span, self._num_rows, total), epoch).rows
        return Origins(rows, np.minimum(self._num_rows, total - as_positions(span) * self._num_rows))

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        rows = batched_positions(span, self._num_rows, self.flow.num_items())
        if isinstance(span, range) or len(rows) == len(span) * self._num_rows:
            yield from recut(self.flow.pieces(rows, run, unit=self._num_rows), self._num_rows)
            return
        # The short last batch stands somewhere among the others.
        chunk = join(list(self.flow.pieces(rows, run)))
        start = 0
        for number in span:
            stop = start + min(self._num_rows, self.flow.num_items() - int(number) * self._num_rows)
            yield chunk.cut(start, stop)
            start = stop

    def open(self, run: Run) -> Cursor:
        return _BatchCursor(self.flow.open(run), self._num_rows, drop_last=self._drop_last)


class _BatchCursor(Cursor):
    """A pass over a stream in batches. It reads just the rows of one batch, so the input's place says all."""

    def __init__(self, input: Cursor, num_rows: int, *, drop_last: bool) -> None:
        self._input, self._num_rows, self._drop_last = input, num_rows, drop_last

    def read(self, num_rows: int) -> Chunk | None:  # noqa: ARG002
        batch = read_exactly(self._input, self._num_rows)
        if batch is not None and self._drop_last and len(batch.rows) < self._num_rows:
            return None
        return batch

    def state_dict(self) -> State:
        return {"input": self._input.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
