"""Windows of consecutive rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast, final

import numpy as np
import torch
from pandas.arrays import ArrowExtensionArray

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, Span, as_positions, groups, join, recut
from fireworks.core.cursor import Cursor
from fireworks.core.flow import Barrier, Flow, read_rows
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError
from fireworks.message import Message
from fireworks.message.columns import Column, Positions, take
from fireworks.message.conversion.kinds import arrow_of
from fireworks.message.conversion.lists import fixed_size_lists
from fireworks.message.interchange.arrow_columns import array_of_column, one_array
from fireworks.transforms.ragged import places


@final
class Window(Pipe):
    """Turn rows into overlapping windows of ``num_rows`` consecutive rows, one per ``stride``.

    A window is one row. Where windows are read in order their tensors are views of the input's rows, so that neighbouring
    windows share memory; call `Message.clone` before changing one. The rows after the last whole window are left out;
    `rows_left_out` counts them. Errors name a window by its first row.

    Functions upstream run on the rows in their order, before windows are cut. Write those that keep to one row behind it,
    if a shuffle follows: otherwise their blocks are computed again for each group of windows.

    Args:
        input: Rows with random access, in time order.
        num_rows: Rows in one window. At least 1.
        stride: Rows between the starts of two windows. At least 1.

    Shapes:
        every tensor column ``(rows, *rest)`` -> ``(1, num_rows, *rest)`` for one window; dtype and device unchanged.
        Every other column becomes an Arrow list of ``num_rows`` elements per window, which `tensors` turns into a tensor.

    Raises:
        ValueError: ``num_rows`` or ``stride`` is below 1.
        TypeError: the input is batched.
        NoRandomAccessError: the input is a stream; the message names `to_message`.
        ColumnTypeError: a column is of a type that Arrow lacks.

    Source:
        Strided windows as in ``numpy.lib.stride_tricks.sliding_window_view`` (NumPy 1.20); differs in the stride.

    Example:
        >>> [window["x"].flatten().tolist() for window in Window(fw.source({"x": torch.arange(4)}), 2, stride=2)]
        [[0, 1], [2, 3]]
    """

    def __init__(self, input: Pipe, num_rows: int, stride: int = 1) -> None:
        super().__init__(input)
        self.window_rows = check_count(num_rows, at_least=1, where="window: num_rows")
        self.stride = check_count(stride, at_least=1, where="window: stride")
        if self.upstream.is_batched:
            raise TypeError(
                f"window: the input has batches ({input!r}), and a window is cut from rows; .unbatch() first."
            )
        self.upstream.flow.require_random_access("window", self.upstream)

    @property
    def rows_left_out(self) -> int:
        """How many rows of the input are in no window: those after the last, and those between where the stride is longer."""
        num_windows = len(self)
        seen = self.window_rows + (num_windows - 1) * min(self.stride, self.window_rows) if num_windows else 0
        return len(self.upstream) - seen

    def describe(self) -> str:
        return f"Window({self.window_rows}{f', stride={self.stride}' if self.stride != 1 else ''})"

    def make_flow(self) -> Flow:
        return Flow(_Windows(self.upstream.flow, self.window_rows, self.stride))


class _Windows(Barrier):
    """The windows of a flow of rows."""

    def __init__(self, flow: Flow, num_rows: int, stride: int) -> None:
        super().__init__(flow)
        self._num_rows, self._stride = num_rows, stride

    @property
    def row_bytes(self) -> int:
        return self.flow.base.row_bytes * self._num_rows

    def num_items(self) -> int:
        return max(0, (self.flow.num_items() - self._num_rows) // self._stride + 1)

    def no_rows(self) -> Message:
        return _cut(self.flow.no_rows(), np.empty(0, dtype=np.int64), self._num_rows)

    def rows_at(self, span: Span, epoch: int) -> Origins:
        return self.flow.rows_at(as_positions(span) * self._stride, epoch)

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        if not len(span):
            return
        if isinstance(span, range) and self._stride <= self._num_rows:
            yield from self._in_order(span, run)
        else:
            for group in groups(np.asarray(span, dtype=np.int64), read_rows(self.row_bytes)):
                yield self._scattered(as_positions(group), run)

    def _in_order(self, span: range, run: Run) -> Iterator[Chunk]:
        """Read every row once, some thousand at a time; the rows that the next windows begin with are kept."""
        size = max(self._num_rows, read_rows(self.flow.base.row_bytes))
        if not self.flow.stages and not self.flow.orders:  # a source gives views, and joining what is kept would copy
            for group in groups(span, (size - self._num_rows) // self._stride + 1):
                yield self._view(cast("range", group), run)
            return
        first, last = span.start * self._stride, (span.stop - 1) * self._stride + self._num_rows
        kept: Chunk | None = None
        for chunk in recut(self.flow.pieces(range(first, last), run), size):
            rows = chunk if kept is None else join([kept, chunk])
            count = (len(rows.rows) - self._num_rows) // self._stride + 1
            if count > 0:
                starts = range(0, count * self._stride, self._stride)
                yield Chunk(_cut(rows.message, starts, self._num_rows), rows.rows[:: self._stride][:count])
            kept = rows.cut(max(count, 0) * self._stride, len(rows.rows))

    def _view(self, span: range, run: Run) -> Chunk:
        first, last = span.start * self._stride, (span.stop - 1) * self._stride + self._num_rows
        rows = join(list(self.flow.pieces(range(first, last), run)))
        starts = range(0, len(span) * self._stride, self._stride)
        return Chunk(_cut(rows.message, starts, self._num_rows), rows.rows[:: self._stride][: len(span)])

    def _scattered(self, span: Positions, run: Run) -> Chunk:
        """Read every row that is in one of the windows, once. In order, the rows of one window stand side by side."""
        windows, slot = np.unique(span, return_inverse=True)
        starts = windows * self._stride
        own = np.minimum(np.diff(starts), self._num_rows)  # a window's rows in front of the next one
        rows = places(starts, np.append(own, self._num_rows))
        chunk = join(list(self.flow.pieces(rows, run)))
        begins = np.append(0, np.cumsum(own))[slot]
        return Chunk(_cut(chunk.message, begins, self._num_rows), chunk.rows[begins])

    def open(self, run: Run) -> Cursor:  # noqa: ARG002
        raise NoRandomAccessError("window needs random access.")  # pragma: no cover (refused when it is built)


def _cut(message: Message, starts: range | Positions, num_rows: int) -> Message:
    """Return one row for each start, which holds the ``num_rows`` rows from there on."""
    stored = {name: _windows(name, column, starts, num_rows) for name, column in message._columns.items()}
    return Message._of(stored, len(starts))


def _windows(name: str, column: Column, starts: range | Positions, num_rows: int) -> Column:
    if isinstance(column, torch.Tensor):
        if not len(starts):
            return column.new_empty((0, num_rows, *column.shape[1:]))
        if isinstance(starts, range):
            return column.unfold(0, num_rows, starts.step).movedim(-1, 1)
        # the same views of rows that lie end to end, which are gathered a window at a time
        rows = column.contiguous()
        shape, strides = (len(rows) - num_rows + 1, num_rows, *rows.shape[1:]), (rows.stride(0), *rows.stride())
        return take({name: rows.as_strided(shape, strides, rows.storage_offset())}, starts)[name]
    elements = places(np.asarray(starts, dtype=np.int64), np.full(len(starts), num_rows))
    array: Any = array_of_column(name, cast("Column", column.take(elements)))[0]
    array = one_array(array) if hasattr(array, "num_chunks") else arrow_of(array)
    return cast("Column", ArrowExtensionArray(fixed_size_lists(array, (num_rows,), len(starts))))
