"""Each item of one component: what `Concat`, `Mix` and `Cycle` run.

The base is the rows of the components one after the other, before their row stages. Orders over it say whose row stands
where; behind all orders, the row stages of each component run on its own rows, which are then put back in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from fireworks.core.chunk import Chunk, Span, as_positions, groups, join, numbered
from fireworks.core.failures import note_place
from fireworks.core.flow import Barrier, Base, Flow, read_rows
from fireworks.core.junction import Junction
from fireworks.core.origins import Origins, joined
from fireworks.core.run import Run
from fireworks.core.stages import RAISE, RowStage
from fireworks.errors import SchemaMismatchError
from fireworks.junctions.assorted import COLUMN, Assorted, assorted, no_rows, of_one
from fireworks.junctions.side_by_side import require_same_items, shared_workers
from fireworks.message import Message, concat
from fireworks.message.columns import Positions

Kinds = dict[str, tuple[Any, ...]]


def check_alike(junction: Junction) -> None:
    """Check that all components give the same columns, as far as that is known before anything runs.

    Raises:
        TypeError: some components give rows and some give batches.
        SchemaMismatchError: a component lacks a column, or has one of another type.
    """
    require_same_items(junction)
    who, components = type(junction).__name__, junction.components
    known = {name: component.known_columns for name, component in components.items()}
    (first, *_), seen = components, [name for name in components if known[name] is not None]
    for name in seen[1:]:
        _require_same_names(who, seen[0], known[seen[0]] or [], name, known[name] or [])
    nothing = {name: _without_reading(component.flow) for name, component in components.items()}
    kinds = {name: _kinds_of(message) for name, message in nothing.items() if message is not None}
    if first in kinds:
        for name, kind in kinds.items():
            require_alike(who, first, kinds[first], name, kind)


def known_columns(junction: Junction) -> list[str] | None:
    """Return the columns of the first component, where those of all are known."""
    known = [component.known_columns for component in junction.components.values()]
    return None if None in known else known[0]


def _without_reading(flow: Flow) -> Message | None:
    """Return a message without rows of what a flow gives, where no function has to run for it."""
    while not flow.stages:
        if not isinstance(flow.base, Barrier):
            message = flow.base.no_rows() if flow.base.is_indexable else Message()
            return message if message.columns and COLUMN not in message.columns else None
        flow = flow.base.flow
    return None


def _kinds_of(message: Message) -> Kinds:
    return {
        name: (column.dtype, tuple(column.shape[1:]), column.device)
        if isinstance(column, torch.Tensor)
        else (column.dtype,)
        for name, column in message._columns.items()
    }


def _require_same_names(who: str, first: str, there: list[str], name: str, here: list[str]) -> None:
    if set(there) == set(here):
        return
    lacks = [column for column in there if column not in here]
    extra = [column for column in here if column not in there]
    both = " and " if lacks and extra else ""
    raise SchemaMismatchError(
        f"{who}: components must have the same columns; {name!r} {f'lacks {lacks}' if lacks else ''}{both}"
        f"{f'alone has {extra}' if extra else ''}, compared with {first!r}. Select or rename columns, or add one with map."
    )


def require_alike(who: str, first: str, there: Kinds, name: str, here: Kinds) -> None:
    """Raise a SchemaMismatchError that names the component and the column where two differ."""
    _require_same_names(who, first, list(there), name, list(here))
    for column, kind in there.items():
        if here[column] != kind:
            raise SchemaMismatchError(
                f"{who}: column {column!r} is {_text(here[column])} in {name!r} and {_text(kind)} in {first!r}; "
                "bring them to one type first, as with cast."
            )


def _text(kind: tuple[Any, ...]) -> str:
    if len(kind) == 1:
        return str(kind[0])
    dtype, shape, device = kind
    on = "" if device.type == "cpu" else f" on {device}"
    return f"{str(dtype).removeprefix('torch.')}{list(shape) if shape else ''} tensor{on}"


class End(Base):
    """The items of the components one after the other, before their row stages.

    Rows of files without row stages stand in columns of one message from the beginning, so that a shuffle behind can bring
    them to disk.
    """

    def __init__(self, junction: Junction, flows: list[Flow]) -> None:
        self._junction, self._flows = junction, flows
        self.is_batched = flows[0].is_batched
        self.is_indexable = all(flow.is_indexable for flow in flows)
        self._alike: Callable[[str, Message], Message] | None = None

    def read_in_order(self, alike: Callable[[str, Message], Message]) -> None:
        """Give rows in columns, and say that they are better read one after the other.

        Args:
            alike: Given the name of a component and rows of it, returns them with the columns of all.
        """
        self._alike, self.reads_in_order = alike, True

    def estimated_bytes(self) -> int:
        return sum(flow.base.estimated_bytes() for flow in self._flows)

    def require_unchanged(self) -> None:
        for flow in self._flows:
            flow.base.require_unchanged()

    @property
    def row_bytes(self) -> int:
        return max(flow.base.row_bytes for flow in self._flows)

    def lengths(self) -> list[int]:
        """Return how many items each component has.

        Raises:
            UnknownLengthError: one is a stream.
        """
        return [flow.num_items() for flow in self._flows]

    def num_items(self) -> int:
        return sum(self.lengths())

    def _starts(self) -> Positions:
        return np.cumsum([0, *self.lengths()])

    def num_rows(self, span: Span, epoch: int) -> int:
        if not self.is_batched:
            return len(span)
        return sum(self._flows[number].num_rows_of(part, epoch) for number, part, _ in self._shared_out(span))

    def rows_at(self, span: Span, epoch: int) -> Origins:
        if not self.is_batched:
            return Origins(as_positions(span))
        parts = list(self._shared_out(span))
        found = joined([self._flows[number].rows_at(part, epoch) for number, part, _ in parts], is_batched=True)
        if isinstance(span, range):
            return found
        order = np.concatenate([np.empty(0, dtype=np.int64), *(at for _, _, at in parts if at is not None)])
        return found.taken(np.argsort(order, kind="stable"))

    def num_source_rows(self) -> int | None:
        return None if self.is_batched or not self.is_indexable else self.num_items()

    def no_rows(self) -> Message:
        return no_rows(len(self._flows)).message if self._alike is None else self._flows[0].no_rows()

    def _shared_out(self, span: Span) -> Iterator[tuple[int, Span, Positions | None]]:
        """Yield, for each component with items in a span, its positions and their places in the span, None for a run."""
        starts = self._starts()
        if isinstance(span, range):
            for number, (start, stop) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
                part = range(max(span.start, start) - start, min(span.stop, stop) - start)
                if part:
                    yield number, part, None
            return
        owner = np.searchsorted(starts, span, side="right") - 1
        for number in np.unique(owner).tolist():
            places = np.flatnonzero(owner == number)
            yield number, span[places] - starts[number], places

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        if isinstance(span, range):
            starts = self._starts()
            for number, part, _ in self._shared_out(span):
                done = int(starts[number]) + part[0]
                for chunk in self._flows[number].pieces(part, run):
                    count = 1 if self.is_batched else len(chunk.rows)
                    rows = chunk.rows if self.is_batched else np.arange(done, done + count, dtype=np.int64)
                    yield of_one(number, chunk, rows) if self._alike is None else self._in_columns(number, chunk, rows)
                    done += count
        elif self.is_batched:
            yield from self._scattered_batches(span, run)
        else:
            for group in groups(span, read_rows(self.row_bytes)):
                yield self._scattered_rows(group, run)

    def _scattered_batches(self, span: Span, run: Run) -> Iterator[Chunk]:
        found: dict[int, Chunk] = {}
        for number, part, places in self._shared_out(span):
            wanted = range(len(part)) if places is None else places
            for place, chunk in zip(wanted, self._flows[number].pieces(part, run), strict=True):
                found[int(place)] = of_one(number, chunk, chunk.rows)
        for place in range(len(span)):
            yield found[place]

    def _scattered_rows(self, span: Span, run: Run) -> Chunk:
        parts: list[tuple[int, Chunk]] = []
        at: list[Positions] = []
        part, place = np.zeros(len(span), dtype=np.int64), np.zeros(len(span), dtype=np.int64)
        for number, positions, places in self._shared_out(span):
            at.append(np.arange(len(positions)) if places is None else places)
            part[at[-1]] = len(parts)
            place[at[-1]] = np.arange(len(positions))
            parts.append((number, join(list(self._flows[number].pieces(positions, run)))))
        rows = np.asarray(span, dtype=np.int64)
        if self._alike is None:
            return assorted(parts, part, place, rows)
        messages = [self._in_columns(number, chunk, chunk.rows).message for number, chunk in parts]
        return Chunk(interleaved(messages, at), rows)

    def _in_columns(self, number: int, chunk: Chunk, rows: Positions) -> Chunk:
        assert self._alike is not None  # noqa: S101 (asked for in that case alone)
        return Chunk(self._alike(list(self._junction.components)[number], chunk.message), rows)


class Sorted(RowStage):
    """Runs the row stages of each component on its own rows, then puts the rows back in order."""

    def __init__(self, junction: Junction, flows: Mapping[str, Flow]) -> None:
        super().__init__(None)
        self._junction, self._flows = junction, dict(flows)
        self.staff = shared_workers(junction, flows)
        stages = [stage for flow in flows.values() for stage in flow.stages]
        self.on_grid = any(stage.on_grid for stage in stages)  # type: ignore[misc]
        self.drops_rows = any(stage.drops_rows or stage.on_error != RAISE for stage in stages)
        self._columns = next(iter(junction.components.values())).known_columns
        self._seen: tuple[str, Kinds] | None = None

    def describe(self) -> str:
        return self._junction.describe()

    def transform(self, rows: Message) -> Message:
        return self.process(numbered(rows), Run(0), 0).message

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        names, flows = list(self._flows), list(self._flows.values())
        if COLUMN not in chunk.message._columns:  # no component has a stage, see `End.read_in_order`
            return chunk
        column = chunk.message.raw(COLUMN)
        assert isinstance(column, Assorted)  # noqa: S101 (nothing else gives this column)
        found: list[Message] = []
        order: list[Positions] = []
        for component, places, rows in column.by_component() if len(column) else []:
            # A block number of its own for each component, so that two that share a seed draw independently.
            part = flows[component].run_stages(rows, run, block * len(flows) + component)
            try:
                found.append(self.alike(names[component], part.message))
            except SchemaMismatchError as error:
                note_place(error, self._junction, part, run, block)
                raise
            order.append(places)
            if len(column.parts) == 1 or len(places) == len(column):
                rows_out = chunk.rows if len(part.rows) == len(chunk.rows) else part.rows
                return Chunk(found[0], rows_out)
        if not found:
            return Chunk(self._nothing(), chunk.rows)
        return Chunk(interleaved(found, order), chunk.rows)

    def _nothing(self) -> Message:
        return next((message for flow in self._flows.values() if (message := flow.no_rows()).columns), Message())

    def alike(self, name: str, message: Message) -> Message:
        """Return the columns in the order of the first component; raise if they differ from what was seen before."""
        kinds = _kinds_of(message)
        if self._seen is None:
            self._seen = name, kinds
        elif self._seen[1] != kinds:
            require_alike(type(self._junction).__name__, *self._seen, name, kinds)
        if self._columns is not None and set(self._columns) == kinds.keys():
            return message if list(kinds) == self._columns else message.select(*self._columns)
        if list(kinds) != list(self._seen[1]):
            raise SchemaMismatchError(
                f"{type(self._junction).__name__}: {name!r} has the columns in the order {list(kinds)}, "
                f"{self._seen[0]!r} in the order {list(self._seen[1])}; put select(…) behind one of them."
            )
        return message


@lru_cache
def _is_in_numpy(dtype: torch.dtype) -> bool:
    try:
        torch.empty(0, dtype=dtype).numpy()
    except TypeError:
        return False
    return True


def interleaved(messages: Sequence[Message], places: Sequence[Positions]) -> Message:
    """Return the rows of messages with the same columns, each at its place."""
    count = sum(map(len, messages))
    stored: dict[str, Any] = {}
    others: list[str] = []
    for name, first in messages[0]._columns.items():
        if not isinstance(first, torch.Tensor) or not first.is_cpu or not _is_in_numpy(first.dtype):
            others.append(name)
            continue
        if any(message._columns[name].requires_grad for message in messages):  # type: ignore[union-attr]
            others.append(name)
            continue
        stored[name] = torch.empty((count, *first.shape[1:]), dtype=first.dtype)
        rows = stored[name].numpy()
        for message, place in zip(messages, places, strict=True):
            rows[place] = message._columns[name].numpy()  # type: ignore[union-attr]
    if others:
        back = np.empty(count, dtype=np.int64)
        back[np.concatenate(places)] = np.arange(count)
        rest = concat(message.select(*others) for message in messages).take(back)
        stored = {name: rest.raw(name) if name in others else stored[name] for name in messages[0].columns}
    return Message._of(stored, count)


def lowered(junction: Junction, base: Callable[[Junction, list[Flow]], End]) -> tuple[End, Sorted]:
    """Return the base and the row stage of a junction whose items are each of one component."""
    flows = {name: component.flow for name, component in junction.components.items()}
    end, stage = base(junction, [Flow(flow.base, flow.orders) for flow in flows.values()]), Sorted(junction, flows)
    are_files = any(flow.base.reads_in_order for flow in flows.values())
    if are_files and end.is_indexable and not end.is_batched and not any(flow.stages for flow in flows.values()):
        end.read_in_order(stage.alike)
    return end, stage
