"""Some of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, final

import numpy as np

from fireworks.core.chunk import Chunk, Span, recut
from fireworks.core.cursor import BlockCursor, Cursor
from fireworks.core.flow import Barrier, Flow, Order, block_rows
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, placing_errors, require_columns
from fireworks.errors import NoRandomAccessError, UnknownLengthError
from fireworks.message import Message
from fireworks.message.columns import Positions
from fireworks.transforms.map import function_name
from fireworks.transforms.predicate import condition, from_function


@final
class Filter(RowStage):
    """Keep the rows that satisfy a predicate.

    Where the input is the same in every epoch the filter has random access: the rows that it keeps are found in one
    pass, when they are first needed, and remembered. Where it is not (behind a shuffle or a seeded map) the filter is a
    stream, whose length nobody knows. Behind ``batch`` it thins out each batch, which may leave a batch empty.

    Args:
        input: Rows or batches.
        predicate: A function from a message to one boolean per row, or the name of a column.
        comparison: With a column: an operator and its values; see `condition`. Null and NaN are dropped.

    Raises:
        TypeError: the predicate is neither, or answers something else than one boolean per row.
        ColumnNotFoundError: there is no such column.

    Example:
        >>> data = fw.source({"x": torch.arange(5)})
        >>> Filter(data, "x", "between", 1, 3).to_message()["x"].tolist()
        [1, 2, 3]
        >>> len(Filter(data, lambda rows: rows["x"] % 2 == 0))
        3
    """

    drops_rows = True

    def __init__(self, input: Pipe, predicate: Callable[[Message], Any] | str, *comparison: Any) -> None:
        super().__init__(input)
        if isinstance(predicate, str) and comparison:
            require_columns(self.upstream, [predicate], who="filter")
            self._predicate = condition(predicate, *comparison)
            self._text = " ".join([predicate, comparison[0], *map(repr, comparison[1:])])
        elif callable(predicate) and not comparison:
            self._text = function_name(predicate)
            self._predicate = from_function(predicate, who="filter")
        else:
            raise TypeError(
                f"filter: expected a function, or a column, an operator and values as in filter('x', '>=', 0); "
                f"got {(predicate, *comparison)!r:.80}."
            )

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    @property
    def order_varies(self) -> bool:
        return self.upstream.order_varies or self.upstream.values_vary

    def describe(self) -> str:
        return f"Filter({self._text})"

    def transform(self, rows: Message) -> Message:
        return rows.take(np.flatnonzero(self._predicate(rows)))

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        mask = self._predicate(chunk.message)
        return chunk if mask.all() else chunk.take(np.flatnonzero(mask))

    def make_flow(self) -> Flow:
        flow = self.upstream.flow
        if flow.is_batched:
            return flow.staged(self)
        if flow.is_indexable and not self.order_varies:
            return flow.ordered(_Kept(self, flow))
        return Flow(_FilteredStream(flow, self))

    def kept(self, flow: Flow, num_items: int) -> Positions:
        """Return the positions in the input of the rows that are kept, of the first ``num_items``; reads them once.

        ``flow`` is the input's, as it was when this filter was put on it: a live table gives another each time.
        """
        start, found = 0, []
        for block in recut(flow.pieces(range(num_items), Run(0)), block_rows(flow.base.row_bytes)):
            mask = placing_errors(self, block, self._predicate, block.message)
            found.append(start + np.flatnonzero(mask))
            start += len(block.rows)
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


class _Kept(Order):
    """The order that leaves out what a filter drops."""

    def __init__(self, filter: Filter, flow: Flow) -> None:
        self._filter, self._flow = filter, flow
        self._found: tuple[int, Positions] | None = None  # of how many rows, and which

    def _positions(self, num_items: int) -> Positions:
        if self._found is None or self._found[0] != num_items:  # a live table may have grown
            self._found = num_items, self._filter.kept(self._flow, num_items)
        return self._found[1]

    def num_items_out(self, num_items: int) -> int:
        return len(self._positions(num_items))

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        positions = self._positions(num_items)
        return positions[span.start : span.stop] if isinstance(span, range) else positions[span]


class _FilteredStream(Barrier):
    """The rows that a filter keeps of an input that differs from epoch to epoch, or that is a stream."""

    def __init__(self, flow: Flow, filter: Filter) -> None:
        super().__init__(flow)
        self.is_indexable = False
        self._filter = filter

    def num_items(self) -> int:
        raise UnknownLengthError(
            f"{self._filter.describe()}: its input changes with every epoch or is a stream, so the number of rows that "
            "it keeps is not known before the end. Filter before shuffling, or count the rows of one epoch."
        )

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:  # noqa: ARG002
        raise NoRandomAccessError(f"{self._filter.describe()} is a stream here.")

    def open(self, run: Run) -> Cursor:
        size = block_rows(self.row_bytes)
        return BlockCursor(self.flow.open(run), size, lambda chunk, block: self._filter.process(chunk, run, block))
