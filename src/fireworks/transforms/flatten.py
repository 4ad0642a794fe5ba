"""One row per element of a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from fireworks.core.chunk import Chunk, Span, as_positions, join, numbered, recut
from fireworks.core.cursor import BlockCursor, Cursor
from fireworks.core.failures import note_place
from fireworks.core.flow import Barrier, Flow, block_rows
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, require_columns
from fireworks.errors import NoRandomAccessError, UnknownLengthError
from fireworks.message import Message
from fireworks.message.columns import Positions
from fireworks.transforms.ragged import list_elements, list_lengths


@final
class Flatten(RowStage):
    """Make one row of each element of a column of lists; the other columns are repeated beside it.

    A row with an empty list gives no row. Where the input is the same in every epoch there is random access: the lengths
    are found in one pass, when they are first needed, and remembered (8 bytes per row of the input). Where it is not, or
    is a stream, the rows come as a stream. Behind ``batch`` each batch grows by itself.

    Functions upstream run before it: a shuffle *behind* would ask for single elements of many blocks.

    Args:
        input: Rows or batches.
        column: Its name. Arrow lists; objects that are lists, arrays or tensors; or a tensor of two or more dimensions.

    Shapes:
        the column ``(rows, length, *rest)`` -> ``(sum of lengths, *rest)``; others ``(rows, *rest)`` ->
        ``(sum of lengths, *rest)``.

    Raises:
        ColumnNotFoundError: there is no such column.
        ColumnTypeError: its rows are no lists.
        ColumnValueError: a row is missing.
        TypeError: ``column`` is no text.

    Example:
        >>> data = fw.source({"user": ["ann", "bob"], "clicks": [[3, 4], [5]]})
        >>> [(row["user"].item(), row["clicks"].item()) for row in Flatten(data, "clicks")]
        [('ann', 3), ('ann', 4), ('bob', 5)]
    """

    on_grid: ClassVar[bool] = False
    drops_rows = True

    def __init__(self, input: Pipe, column: str) -> None:
        super().__init__(input)
        if not isinstance(column, str):
            raise TypeError(f"flatten: column must be a name; got {column!r:.60}.")
        require_columns(self.upstream, [column], who="flatten")
        self.column = column

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    @property
    def order_varies(self) -> bool:
        return self.upstream.order_varies or self.upstream.values_vary

    def describe(self) -> str:
        return f"Flatten({self.column})"

    def transform(self, rows: Message) -> Message:
        return self.compute(numbered(rows), Run(0), 0).message

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        of_row = np.repeat(np.arange(len(chunk.rows)), self._lengths(chunk))
        elements = list_elements(self.column, chunk.message.raw(self.column), who="flatten")
        others = chunk.message.drop(self.column)
        stored = others.take(of_row)._columns if others.columns else {}
        stored = {name: elements if name == self.column else stored[name] for name in chunk.message.columns}
        return Chunk(Message._of(stored, len(of_row)), chunk.rows[of_row])

    def _lengths(self, chunk: Chunk) -> Positions:
        return list_lengths(self.column, chunk.message.raw(self.column), chunk.rows, who="flatten")

    def make_flow(self) -> Flow:
        flow = self.upstream.flow
        if flow.is_batched:
            return flow.staged(self)
        return Flow(_Elements(flow, self, is_indexable=flow.is_indexable and not self.order_varies))

    def ends(self, flow: Flow, num_rows: int) -> Positions:
        """Return where the elements of each of the first rows end, among the elements of all; reads the rows once."""
        run, lengths = Run(0), [np.zeros(0, dtype=np.int64)]
        for number, chunk in enumerate(recut(flow.pieces(range(num_rows), run), block_rows(flow.base.row_bytes))):
            try:
                lengths.append(self._lengths(chunk))
            except Exception as error:
                note_place(error, self, chunk, run, number)
                raise
        return np.cumsum(np.concatenate(lengths), dtype=np.int64)


class _Elements(Barrier):
    """The elements of a flow of rows."""

    def __init__(self, flow: Flow, stage: Flatten, *, is_indexable: bool) -> None:
        super().__init__(flow)
        self.is_indexable = is_indexable
        self._stage = stage
        self._found: dict[int, Positions] = {}  # where each row's elements end, by the number of rows

    def _ends(self) -> Positions:
        num_rows = self.flow.num_items()
        if num_rows not in self._found:  # a live table may have grown
            self._found.clear()
            self._found[num_rows] = self._stage.ends(self.flow, num_rows)
        return self._found[num_rows]

    def num_items(self) -> int:
        if not self.is_indexable:
            raise UnknownLengthError(
                f"{self._stage.describe()}: its input changes with every epoch or is a stream, so the number of elements "
                "is not known before the end. Flatten before shuffling."
            )
        ends = self._ends()
        return int(ends[-1]) if len(ends) else 0

    def no_rows(self) -> Message:
        nothing = self.flow.no_rows()
        return self._stage.transform(nothing) if nothing.columns else nothing

    def rows_at(self, span: Span, epoch: int) -> Origins:
        return self.flow.rows_at(np.searchsorted(self._ends(), as_positions(span), side="right"), epoch)

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        if not self.is_indexable:
            raise NoRandomAccessError(f"{self._stage.describe()} is a stream here.")
        if not len(span):
            return
        ends = self._ends()
        if not isinstance(span, range):
            yield self._scattered(span, ends, run)
            return
        first, last = np.searchsorted(ends, [span.start, span.stop - 1], side="right").tolist()
        position = int(ends[first - 1]) if first else 0
        # in blocks, so that long lists are not all taken apart at once
        for number, block in enumerate(
            recut(self.flow.pieces(range(first, last + 1), run), block_rows(self.row_bytes))
        ):
            flat = self._stage.process(block, run, number)
            piece = flat.cut(max(span.start - position, 0), max(span.stop - position, 0))
            position += len(flat.rows)
            if len(piece.rows):
                yield piece

    def _scattered(self, span: Positions, ends: Positions, run: Run) -> Chunk:
        """Take apart every row that holds one of the elements, once."""
        rows, slot = np.unique(np.searchsorted(ends, span, side="right"), return_inverse=True)
        starts = np.where(rows > 0, ends[rows - 1], 0)
        flat = self._stage.process(join(list(self.flow.pieces(rows, run))), run, 0)
        lengths = ends[rows] - starts
        return flat.take((np.cumsum(lengths) - lengths)[slot] + span - starts[slot])

    def open(self, run: Run) -> Cursor:
        size = block_rows(self.row_bytes)
        return BlockCursor(self.flow.open(run), size, lambda chunk, block: self._stage.process(chunk, run, block))
