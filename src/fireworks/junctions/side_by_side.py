"""The same rows of several components at a time: what `Zip`, `Join` and junctions of one's own run.

Until the row stages of the components have run, the rows of all components travel in one message whose columns are
named "0/x", "1/y": the number of the component, then the name. So orders behind a junction reach through it, and a
map above it still runs behind them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fireworks.core.chunk import Chunk, Span, numbered, recut
from fireworks.core.cursor import Cursor, State, read_exactly, unmoved_by_errors
from fireworks.core.failures import note_place
from fireworks.core.flow import Base, Flow
from fireworks.core.junction import Junction
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Run
from fireworks.core.stages import RAISE, RowStage
from fireworks.core.workers import PROCESS, Workers
from fireworks.errors import SchemaMismatchError
from fireworks.message import Message

_ALIGNED_ROWS = 16 * 1024


def check_aligned(junction: Junction) -> None:
    """Check that components can stand side by side, as far as that can be seen before anything runs.

    Raises:
        ValueError: they differ in length, or rows may go missing from the batches of one.
        TypeError: some are batched and some are not.
    """
    who, components = type(junction).__name__, junction.components
    require_same_items(junction)
    if all(component.is_indexable and not _needs_a_pass(component) for component in components.values()):
        equal_length(junction)
    thinned = {
        name: any(stage.drops_rows or stage.on_error != RAISE for stage in pipe.flow.stages)
        for name, pipe in components.items()
    }
    if any(thinned.values()):
        raise ValueError(
            f"{who}: filters thin out the batches of {_true(thinned)}, so rows would stand beside others than their own. "
            "Filter before .batch."
        )


def require_same_items(junction: Junction) -> None:
    """Raise a TypeError where some components give rows and some give batches."""
    batched = {name: component.is_batched for name, component in junction.components.items()}
    if len(set(batched.values())) > 1:
        raise TypeError(
            f"{type(junction).__name__}: components must all give rows or all give batches; batched are {_true(batched)}."
        )


def equal_length(junction: Junction) -> int:
    """Return the length of all components, or raise a ValueError that shows each."""
    lengths = {name: len(component) for name, component in junction.components.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{type(junction).__name__}: components must have equal length; got {lengths}.")
    return next(iter(lengths.values()))


def _needs_a_pass(pipe: Pipe) -> bool:
    """Tell whether the length of a pipe is known only after a pass over it: behind a filter, through junctions too."""
    return any(
        stage.length_needs_a_pass or any(map(_needs_a_pass, stage.components.values()))
        if isinstance(stage, Junction)
        else isinstance(stage, RowStage) and stage.drops_rows
        for stage in chain(pipe)
    )


def _true(flags: Mapping[str, bool]) -> list[str]:
    return [name for name, flag in flags.items() if flag]


def claim(owners: dict[str, str], column: str, component: str, *, who: str) -> None:
    """Note that a column comes from a component; raise if another brings it too."""
    if owners.setdefault(column, component) != component:
        raise SchemaMismatchError(
            f"{who}: column {column!r} is in both {owners[column]!r} and {component!r}; select or rename one of them first."
        )


def side_by_side(messages: Mapping[str, Message], *, who: str) -> Message:
    """Return the columns of all messages as one; no two may have one of the same name."""
    stored: dict[str, object] = {}
    owners: dict[str, str] = {}
    for name, message in messages.items():
        for column in message.columns:
            claim(owners, column, name, who=who)
            stored[column] = message.raw(column)
    return Message._of(stored, len(next(iter(messages.values()))))  # type: ignore[arg-type]


def aligned_flow(junction: Junction) -> Flow:
    """Return the flow of a junction that combines the same rows of every component."""
    flows = {name: component.flow for name, component in junction.components.items()}
    bare = [Flow(flow.base, flow.orders) for flow in flows.values()]
    return Flow(Side(junction, bare), stages=(Merge(junction, flows),))


def marked(chunks: Sequence[Chunk]) -> Chunk:
    """Return the rows of several components in one message; the row numbers are those of the first."""
    stored = {
        f"{number}/{name}": column
        for number, chunk in enumerate(chunks)
        for name, column in chunk.message._columns.items()
    }
    return Chunk(Message._of(stored, len(chunks[0].rows)), chunks[0].rows)


def unmarked(number: int, message: Message) -> Message:
    """Return the columns of one component."""
    mark = f"{number}/"
    mine = {key.removeprefix(mark): column for key, column in message._columns.items() if key.startswith(mark)}
    return Message._of(mine, len(message))


class Side(Base):
    """The components' rows before their row stages, side by side."""

    def __init__(self, junction: Junction, flows: list[Flow]) -> None:
        self._junction, self._flows = junction, flows
        self._names = list(junction.components)
        self.is_batched = flows[0].is_batched
        self.is_indexable = all(flow.is_indexable for flow in flows)
        self.reads_in_order = any(flow.base.reads_in_order for flow in flows)

    @property
    def row_bytes(self) -> int:
        return sum(flow.base.row_bytes for flow in self._flows)

    def estimated_bytes(self) -> int:
        return sum(flow.base.estimated_bytes() for flow in self._flows)

    def require_unchanged(self) -> None:
        for flow in self._flows:
            flow.base.require_unchanged()

    def num_items(self) -> int:
        return equal_length(self._junction)

    def num_rows(self, span: Span, epoch: int) -> int:
        return self._flows[0].num_rows_of(span, epoch)

    def rows_at(self, span: Span, epoch: int) -> Origins:
        return self._flows[0].rows_at(span, epoch)

    def num_source_rows(self) -> int | None:
        return self._flows[0].base.num_source_rows()

    def no_rows(self) -> Message:
        return marked([Chunk(flow.no_rows(), np.empty(0, dtype=np.int64)) for flow in self._flows]).message

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        parts = [flow.pieces(span, run) for flow in self._flows]
        if not self.is_batched:
            parts = [recut(part, _ALIGNED_ROWS) for part in parts]
        for chunks in zip(*parts, strict=True):
            self._require_equal_lengths(chunks)
            yield marked(chunks)

    def open(self, run: Run) -> Cursor:
        return _SideCursor(self, [flow.open(run) for flow in self._flows])

    def _require_equal_lengths(self, chunks: Sequence[Chunk | None]) -> None:
        lengths = {
            name: 0 if chunk is None else len(chunk.rows) for name, chunk in zip(self._names, chunks, strict=True)
        }
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"{type(self._junction).__name__}: components must have equal length; the next parts of them have "
                f"{lengths} rows."
            )


class _SideCursor(Cursor):
    """A pass over several streams in step."""

    def __init__(self, side: Side, cursors: list[Cursor]) -> None:
        self._side, self._cursors = side, cursors

    def read(self, num_rows: int) -> Chunk | None:
        size = min(num_rows, _ALIGNED_ROWS)
        with unmoved_by_errors(self):
            chunks = [
                cursor.read(size) if self._side.is_batched else read_exactly(cursor, size) for cursor in self._cursors
            ]
            self._side._require_equal_lengths(chunks)
        whole = [chunk for chunk in chunks if chunk is not None]
        return marked(whole) if whole else None

    def state_dict(self) -> State:
        return {"components": [cursor.state_dict() for cursor in self._cursors]}

    def load_state_dict(self, state: State) -> None:
        for cursor, saved in zip(self._cursors, state["components"], strict=True):
            cursor.load_state_dict(saved)


def shared_workers(junction: Junction, flows: Mapping[str, Flow]) -> Workers | None:
    """Return the workers of the stage that runs the row stages of all components: as many as any of them has.

    Raises:
        ValueError: a component maps in processes; what a junction runs for its components stays in this one.
    """
    most = 0
    for name, flow in flows.items():
        for stage in flow.stages:
            if stage.staff is not None and stage.staff.backend == PROCESS:
                raise ValueError(
                    f"{type(junction).__name__}: component {name!r} has {stage.describe()} in worker processes, which a "
                    "junction can't feed. Put the map behind the junction, or use backend='thread'."
                )
            most = max(most, 0 if stage.staff is None else stage.staff.count)
    return Workers(most) if most else None


class Merge(RowStage):
    """Runs the row stages of each component on its own columns, then what the junction makes of them."""

    def __init__(self, junction: Junction, flows: Mapping[str, Flow]) -> None:
        super().__init__(None)
        self._junction, self._flows = junction, dict(flows)
        self.staff = shared_workers(junction, flows)
        self.on_grid = junction.on_grid or any(  # type: ignore[misc]
            stage.on_grid for flow in flows.values() for stage in flow.stages
        )

    def describe(self) -> str:
        return self._junction.describe()

    def transform(self, rows: Message) -> Message:
        return self.process(numbered(rows), Run(0), 0).message

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        parts = {
            name: flow.run_stages(Chunk(unmarked(number, chunk.message), chunk.rows), run, block)
            for number, (name, flow) in enumerate(self._flows.items())
        }  # the components' own stages note their place on an error
        rows = next(iter(parts.values())).rows
        try:
            result = self._junction.combine({name: part.message for name, part in parts.items()})
            return Chunk(self.checked(result, len(rows)), rows)
        except Exception as error:
            note_place(error, self._junction, chunk, run, block)
            raise
