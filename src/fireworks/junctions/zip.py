"""Several inputs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import final

import numpy as np

from fireworks.core.chunk import Chunk, Span, recut
from fireworks.core.cursor import Cursor, State, read_exactly, unmoved_by_errors
from fireworks.core.flow import Base, Flow
from fireworks.core.junction import Junction
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Run
from fireworks.core.stages import RowStage
from fireworks.errors import SchemaMismatchError
from fireworks.message import Message

_ALIGNED_ROWS = 16 * 1024


@final
class Zip(Junction):
    """Put the columns of several pipes side by side, item i of one beside item i of the others.

    All components must have as many items, and no two may have a column of the same name. The row numbers that errors
    speak of are those of the first component.

    Args:
        components: Pipes by name; all over rows, or all over batches.

    Raises:
        ValueError: the components differ in length; at once where lengths are known, else where the shortest ends. Or
            a filter thins out the batches of one.
        TypeError: some are batched and some are not.
        SchemaMismatchError: two components have a column of the same name.

    Example:
        >>> images, labels = fw.source({"x": torch.zeros(3, 2)}), fw.source({"y": torch.arange(3)})
        >>> Zip({"images": images, "labels": labels})[1:].columns
        ['x', 'y']
    """

    def __init__(self, components: Mapping[str, Pipe]) -> None:
        super().__init__(components)
        batched = {name: component.is_batched for name, component in self.components.items()}
        if len(set(batched.values())) > 1:
            raise TypeError(f"Zip: components must all give rows or all give batches; batched are {_true(batched)}.")
        if all(component.is_indexable and not _needs_a_pass(component) for component in self.components.values()):
            self._check_lengths()
        thinned = {name: any(stage.drops_rows for stage in pipe.flow.stages) for name, pipe in self.components.items()}
        if any(thinned.values()):
            raise ValueError(
                f"Zip: filters thin out the batches of {_true(thinned)}, so rows would stand beside others than their own. "
                "Filter before .batch."
            )
        owners: dict[str, str] = {}
        for name, component in self.components.items():
            for column in component.known_columns or ():
                _claim(owners, column, name)

    def _check_lengths(self) -> int:
        lengths = {name: len(component) for name, component in self.components.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Zip: components must have equal length; got {lengths}.")
        return next(iter(lengths.values()))

    @property
    def known_columns(self) -> list[str] | None:
        known = [component.known_columns for component in self.components.values()]
        return [name for names in known if names is not None for name in names] if None not in known else None

    def make_flow(self) -> Flow:
        flows = {name: component.flow for name, component in self.components.items()}
        bare = [Flow(flow.base, flow.orders) for flow in flows.values()]
        return Flow(_Side(self, bare), stages=(_Merge(self, flows),))


def _needs_a_pass(pipe: Pipe) -> bool:
    """Tell whether the length of a pipe is known only after a pass over it: behind a filter, through junctions too."""
    return any(
        any(map(_needs_a_pass, stage.components.values())) if isinstance(stage, Junction) else _drops_rows(stage)
        for stage in chain(pipe)
    )


def _drops_rows(stage: Pipe) -> bool:
    return isinstance(stage, RowStage) and stage.drops_rows


def _true(flags: Mapping[str, bool]) -> list[str]:
    return [name for name, flag in flags.items() if flag]


def _claim(owners: dict[str, str], column: str, component: str) -> None:
    """Note that a column comes from a component; raise if another brings it too."""
    if owners.setdefault(column, component) != component:
        raise SchemaMismatchError(
            f"Zip: column {column!r} is in both {owners[column]!r} and {component!r}; select or rename one of them first."
        )


# Until the row stages of the components have run, the rows of all components travel in one message whose columns are
# named "0/x", "1/y": the number of the component, then the name. So orders behind a junction reach through it, and a
# map above it still runs behind them.


def _marked(number: int, message: Message) -> dict[str, object]:
    return {f"{number}/{name}": message.raw(name) for name in message.columns}


class _Side(Base):
    """The components' rows before their row stages, side by side."""

    def __init__(self, junction: Zip, flows: list[Flow]) -> None:
        self._junction, self._flows = junction, flows
        self._names = list(junction.components)
        self.is_batched = flows[0].is_batched
        self.is_indexable = all(flow.is_indexable for flow in flows)

    @property
    def row_bytes(self) -> int:
        return sum(flow.base.row_bytes for flow in self._flows)

    def num_items(self) -> int:
        return self._junction._check_lengths()

    def num_rows(self, span: Span, epoch: int) -> int:
        return self._flows[0].num_rows_of(span, epoch)

    def no_rows(self) -> Message:
        return _merged([Chunk(flow.no_rows(), np.empty(0, dtype=np.int64)) for flow in self._flows]).message

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        parts = [flow.pieces(span, run) for flow in self._flows]
        if not self.is_batched:
            parts = [recut(part, _ALIGNED_ROWS) for part in parts]
        for chunks in zip(*parts, strict=True):
            _require_equal_lengths(self._names, chunks)
            yield _merged(chunks)

    def open(self, run: Run) -> Cursor:
        cursors = [flow.open(run) for flow in self._flows]
        return _SideCursor(self._names, cursors, is_batched=self.is_batched)


def _require_equal_lengths(names: Sequence[str], chunks: Sequence[Chunk | None]) -> None:
    lengths = {name: 0 if chunk is None else len(chunk.rows) for name, chunk in zip(names, chunks, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Zip: components must have equal length; the next parts of them have {lengths} rows.")


def _merged(chunks: Sequence[Chunk]) -> Chunk:
    stored = {
        key: column for number, chunk in enumerate(chunks) for key, column in _marked(number, chunk.message).items()
    }
    return Chunk(Message(stored), chunks[0].rows)


class _SideCursor(Cursor):
    """A pass over several streams in step."""

    def __init__(self, names: Sequence[str], cursors: list[Cursor], *, is_batched: bool) -> None:
        self._names, self._cursors, self._is_batched = names, cursors, is_batched

    def read(self, num_rows: int) -> Chunk | None:
        size = min(num_rows, _ALIGNED_ROWS)
        with unmoved_by_errors(self):
            chunks = [cursor.read(size) if self._is_batched else read_exactly(cursor, size) for cursor in self._cursors]
            _require_equal_lengths(self._names, chunks)
        whole = [chunk for chunk in chunks if chunk is not None]
        return _merged(whole) if whole else None

    def state_dict(self) -> State:
        return {"components": [cursor.state_dict() for cursor in self._cursors]}

    def load_state_dict(self, state: State) -> None:
        for cursor, saved in zip(self._cursors, state["components"], strict=True):
            cursor.load_state_dict(saved)


class _Merge(RowStage):
    """Runs the row stages of each component on its own columns, then puts the columns side by side."""

    def __init__(self, junction: Zip, flows: Mapping[str, Flow]) -> None:
        super().__init__(None)
        self._junction, self._flows = junction, dict(flows)
        self.on_grid = any(stage.on_grid for flow in flows.values() for stage in flow.stages)  # type: ignore[misc]

    def describe(self) -> str:
        return self._junction.describe()

    def transform(self, rows: Message) -> Message:
        return self.compute(Chunk(rows, np.arange(len(rows), dtype=np.int64)), Run(0), 0).message

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        return self.compute(chunk, run, block)  # the components' own stages note their place on an error

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        stored: dict[str, object] = {}
        owners: dict[str, str] = {}
        rows = chunk.rows
        for number, (name, flow) in enumerate(self._flows.items()):
            mark = f"{number}/"
            mine = {
                key.removeprefix(mark): chunk.message.raw(key) for key in chunk.message.columns if key.startswith(mark)
            }
            part = flow.run_stages(Chunk(Message(mine), chunk.rows), run, block)
            rows = part.rows if number == 0 else rows
            for column in part.message.columns:
                _claim(owners, column, name)
                stored[column] = part.message.raw(column)
        return Chunk(Message(stored), rows)
