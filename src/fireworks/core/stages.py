"""The two kinds of stage between a source and a model: one computes on rows, one says where rows stand."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

import numpy as np

from fireworks.core.chunk import Chunk
from fireworks.core.flow import Flow, Order, block_rows
from fireworks.core.in_place import call
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Run
from fireworks.errors import ColumnNotFoundError, FireworksError
from fireworks.message import Message, concat

Result = TypeVar("Result")

_SHOWN_ROWS = 10


class RowStage(Pipe):
    """A stage that computes: rows in, as many rows out, in the same order.

    Subclass it and write `transform`; indexing, iteration, state, resume and errors come from here. It is called with
    one block of the fixed grid at a time, or with one batch behind ``batch``; a row's result may depend on nothing else.

    Example:
        >>> class Double(fw.RowStage):
        ...     def transform(self, rows):
        ...         return rows.assign(x=rows["x"] * 2)
        >>> Double(fw.source({"x": torch.arange(3)}))[1:]["x"].tolist()
        [2, 4]
    """

    on_grid: ClassVar[bool] = True
    """Whether results may depend, in their last bits, on how many rows come at a time. False only where each element is
    converted or passed on by itself."""
    drops_rows: bool = False
    """Whether fewer rows may come out than went in."""

    @abstractmethod
    def transform(self, rows: Message) -> Message:
        """Return what becomes of the rows: a new message of the same length; never change the one given."""

    @property
    def known_columns(self) -> list[str] | None:
        """Unknown: a function may add and drop columns. A stage that knows better says so."""
        return None

    def make_flow(self) -> Flow:
        """Return the input's flow with this stage behind it."""
        return self.upstream.flow.staged(self)

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        """Run this stage on one block; an error leaves with the stage, the user's line and the row numbers on it."""
        return placing_errors(self, chunk, self.compute, chunk, run, block)

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        """Transform one block and check what came back."""
        result = call(self.transform, chunk.message, who=self.describe())
        return Chunk(self.checked(result, len(chunk.rows)), chunk.rows)

    def checked(self, result: object, num_rows: int) -> Message:
        """Return a transform's result, or say that it is no message of the right length."""
        if not isinstance(result, Message):
            raise TypeError(
                f"{self.describe()}: the function must return a Message; it returned {type(result).__name__}. "
                "Write: return rows.assign(column=…)."
            )
        if len(result) != num_rows:
            raise ValueError(
                f"{self.describe()}: {num_rows} rows went in, {len(result)} came out; a row stage keeps rows. "
                "Use filter to drop some."
            )
        return result

    def call(self, message: Message) -> Message:
        """Apply this stage to a message: on the fixed grid for a row pipe, in one piece behind ``batch``."""
        size = self._rows_per_call(len(message))
        if len(message) <= size:
            return self._call_block(message, 0, 0)
        starts = range(0, len(message), size)
        return concat(self._call_block(message[start : start + size], start, n) for n, start in enumerate(starts))

    def _rows_per_call(self, num_rows: int) -> int:
        # A chain that begins with a model instead of a source has no grid; what it is called with is a batch.
        has_source = not isinstance(list(chain(self))[-1], RowStage)
        on_grid = self.on_grid and has_source and not self.is_batched
        return block_rows(self.flow.base.row_bytes) if on_grid else num_rows

    def _call_block(self, block: Message, start: int, number: int) -> Message:
        rows = np.arange(start, start + len(block), dtype=np.int64)
        return self.process(Chunk(block, rows), Run(0), number).message


def placing_errors(stage: Pipe, chunk: Chunk, function: Callable[..., Result], *args: Any) -> Result:
    """Return ``function(*args)``; an error leaves with a note of where in the pipeline it happened."""
    try:
        return function(*args)
    except StopIteration as error:
        # To whoever iterates it would say that the rows are at their end.
        stopped = RuntimeError(f"{stage.describe()}: the function raised StopIteration.")
        _add_place(stopped, stage, chunk)
        raise stopped from error
    except Exception as error:
        _add_place(error, stage, chunk)
        raise


def _add_place(error: Exception, stage: Pipe, chunk: Chunk) -> None:
    """Note the stage, the user's line and the rows on an error; only the innermost stage does."""
    if getattr(error, "__fireworks_place__", False):
        return
    rows = chunk.rows[:_SHOWN_ROWS].tolist()
    more = f" and {len(chunk.rows) - len(rows)} more" if len(chunk.rows) > len(rows) else ""
    error.add_note(f"In {stage.describe()}, built at {stage.built_at}, on rows {rows}{more} of the source.")
    if not isinstance(error, FireworksError):
        error.add_note(f"The pipeline: {stage!r}")
    error.__fireworks_place__ = True  # type: ignore[attr-defined]


class OrderStage(Pipe, Order):
    """A stage that says which item of its input stands at which position, and touches no data.

    Subclass it and write `num_items_out` and `locate`. It acts on items: rows, or batches behind ``batch``.

    Raises:
        NoRandomAccessError: the input is a stream and the stage can't work on one.

    Example:
        >>> class Reverse(fw.OrderStage):
        ...     def num_items_out(self, num_items): return num_items
        ...     def locate(self, span, num_items, epoch): return num_items - 1 - np.asarray(span)
        >>> Reverse(fw.source({"x": torch.arange(4)})).batch(3)[0]["x"].tolist()
        [3, 2, 1]
    """

    def __init__(self, input: Pipe) -> None:
        super().__init__(input)
        if type(self).open is Order.open:
            self.upstream.flow.require_random_access(self.random_kind or type(self).__name__, self.upstream)

    def make_flow(self) -> Flow:
        """Return the input's flow with this order on it."""
        return self.upstream.flow.ordered(self)


def require_columns(input: Pipe, columns: Iterable[str], *, who: str) -> None:
    """Raise `ColumnNotFoundError` for a column that the input is known to lack."""
    known = input.known_columns
    for name in columns:
        if known is not None and name not in known:
            raise ColumnNotFoundError(name, available=known, where=who)


def stage_name(input: Pipe, kind: str, name: str | None) -> str:
    """Return the name that keys a random stage: ``name``, or its kind and the count of that kind upstream.

    Inserting a stage that draws nothing changes no name, and paths through other inputs of a junction don't enter,
    so that two zipped branches with one seed draw the same.
    """
    if name is not None:
        return name
    count = sum(pipe.random_kind == kind for pipe in chain(input))
    return f"{kind}:{count}"
