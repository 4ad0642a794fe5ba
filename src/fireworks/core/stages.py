"""The two kinds of stage between a source and a model: one computes on rows, one says where rows stand."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar

from fireworks.core.chunk import Chunk, Span, numbered
from fireworks.core.failures import note_place, stopped, without_bad_rows
from fireworks.core.flow import Barrier, Flow, Order, block_rows
from fireworks.core.in_place import call
from fireworks.core.needs import chunk_bytes
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Run
from fireworks.core.workers import THREAD, Workers
from fireworks.errors import ColumnNotFoundError, NoRandomAccessError, StageResultError, UnknownLengthError
from fireworks.message import Message, concat

if TYPE_CHECKING:
    from fireworks.core.cursor import Cursor

RAISE, QUARANTINE = "raise", "quarantine"


def check_on_error(on_error: str, *, who: str) -> str:
    """Return what a stage is told to do with bad rows, checked.

    Raises:
        ValueError: it is neither ``"raise"`` nor ``"quarantine"``.
    """
    if on_error not in {RAISE, QUARANTINE}:
        raise ValueError(f"{who}: on_error is 'raise' or 'quarantine'; got {on_error!r}.")
    return on_error


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

    of_its_role: ClassVar[frozenset[str]] = frozenset(
        {
            "transform",
            "compute",
            "process",
            "checked",
            "staff",
            "workers",
            "backend",
            "steers",
            "drops_rows",
            "on_grid",
            "on_error",
        }
    )
    on_grid: ClassVar[bool] = True
    """Whether results may depend, in their last bits, on how many rows come at a time. False only where each element is
    converted or passed on by itself."""
    drops_rows: bool = False
    """Whether fewer rows may come out than went in."""

    on_error: str = RAISE
    """``"raise"``, or ``"quarantine"`` where bad rows are set aside; see `Pipe.quarantined`."""
    staff: Workers | None = None
    """The workers that run this stage; None where it runs in the thread that asks for rows."""
    steers: ClassVar[bool] = False
    """Whether rows pass it as they are, and it says how they are made: ahead, within a budget, with a bar."""

    @property
    def workers(self) -> int:
        """How many workers run this stage; 0 where it runs in the thread that asks for rows."""
        return 0 if self.staff is None else self.staff.count

    @property
    def backend(self) -> str:
        """What its workers are: ``"thread"`` or ``"process"``."""
        return THREAD if self.staff is None else self.staff.backend

    @property
    def computes(self) -> bool:
        """It does."""
        return True

    @property
    def plain_function(self) -> Callable[[Message], Any] | None:
        """The function that this stage is, where it is nothing else: rows in, rows out, no draws, errors raised."""
        return None

    @abstractmethod
    def transform(self, rows: Message) -> Message:
        """Return what becomes of the rows: a new message of the same length; never change the one given."""

    @property
    def known_columns(self) -> list[str] | None:
        """Unknown: a function may add and drop columns. A stage that knows better says so."""
        return None

    def least_bytes(self) -> int:
        """Return the bytes of one block as it comes and as it goes; of a batch `Batch` knows them."""
        if self.is_batched:
            return 0
        row_bytes = self.flow.base.row_bytes
        return min(2 * block_rows(row_bytes) * row_bytes, 2 * chunk_bytes(self))

    def make_flow(self) -> Flow:
        """Return the input's flow with this stage behind it."""
        flow = self.upstream.flow
        if self.on_error == QUARANTINE and not flow.is_batched:
            return Flow(Thinned(flow, self))
        return flow.staged(self)

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        """Run this stage on one block and note what happened in the pass's book.

        An error leaves with the stage, the user's line and the rows on it; or, with ``on_error="quarantine"``, the bad
        rows are set aside.
        """
        started = perf_counter_ns()
        try:
            result = self.compute(chunk, run, block)
        except StopIteration as error:
            raise stopped(self, chunk, run, block) from error
        except Exception as error:
            if self.on_error != QUARANTINE:
                note_place(error, self, chunk, run, block)
                raise
            result = without_bad_rows(error, self, self.compute, chunk, run, block)
        run.book.note(self, len(chunk.rows), len(result.rows), perf_counter_ns() - started)
        return result

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        """Transform one block and check what came back."""
        result = call(self.transform, chunk.message, who=self)
        return Chunk(self.checked(result, len(chunk.rows)), chunk.rows)

    def checked(self, result: object, num_rows: int) -> Message:
        """Return a transform's result, or say that it is no message of the right length."""
        if not isinstance(result, Message):
            raise StageResultError(
                f"{self.describe()}: the function must return a Message; it returned {type(result).__name__}. "
                "Write: return rows.assign(column=…)."
            )
        if len(result) != num_rows:
            raise StageResultError(
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
        return self.process(numbered(block, start), Run(0, how="call"), number).message


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


class Thinned(Barrier):
    """The rows of a flow that a stage leaves over, where nobody knows beforehand which: a stream.

    Args:
        flow: The stage's input: rows.
        stage: A filter, or a stage that sets bad rows aside.
    """

    def __init__(self, flow: Flow, stage: RowStage) -> None:
        super().__init__(flow)
        self.is_indexable = False
        self.stage = stage

    def num_items(self) -> int:
        raise UnknownLengthError(
            f"{self.stage.describe()}: {self._why()}, so the number of rows that it keeps is not known before the end. "
            f"{self._mend()}, or count the rows of one epoch."
        )

    def _why(self) -> str:
        if self.stage.on_error == QUARANTINE:
            return "it sets bad rows aside"
        return "its input changes with every epoch or is a stream"

    def _mend(self) -> str:
        return "Put it behind .batch" if self.stage.on_error == QUARANTINE else "Filter before shuffling"

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:  # noqa: ARG002
        raise NoRandomAccessError(f"{self.stage.describe()} is a stream here.")

    def open(self, run: Run) -> Cursor:
        from fireworks.core.cursor import BlockCursor

        alone = Flow(self, stages=(self.stage,))
        if alone.schedule is not None:
            return alone.schedule.open(self.flow.open(run), run)
        size = block_rows(self.row_bytes)
        return BlockCursor(self.flow.open(run), size, lambda chunk, block: self.stage.process(chunk, run, block))


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
