"""What is known of each stage of a pipeline without running it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fireworks.core.flow import block_rows, read_rows
from fireworks.core.junction import Junction
from fireworks.core.links import inputs_of
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.source import Source
from fireworks.core.stages import OrderStage, RowStage
from fireworks.errors import FireworksError
from fireworks.message import Schema
from fireworks.message.schema import Field
from fireworks.plan.columns import dropped, looked_at, selected, steers


@dataclass(frozen=True)
class StageFacts:
    """One stage of a plan.

    Args:
        number: From 1, in the order of the text.
        pipe: The stage itself.
        depth: How many junctions it stands inside of.
        component: The name under which a junction reads from it; empty elsewhere.
        same_as: The number of the same pipe, where a graph comes by it again.
        num_items: Rows, or batches; None where a pass would be needed to know.
        num_rows: Rows; None where a pass would be needed to know.
        columns: Names, and types where they are known; None where a function decides.
        row_bytes: Bytes of one row by the schema; None where the schema is not known.
        runs: Where and how it runs.
        varies: What differs from epoch to epoch from here on.
        guarantee: What it promises of the order that it draws; empty where it draws none.
    """

    number: int
    pipe: Pipe
    depth: int
    component: str
    same_as: int | None
    num_items: int | None
    num_rows: int | None
    columns: tuple[tuple[str, Field | None], ...] | None
    row_bytes: int | None
    runs: str
    varies: str
    guarantee: str


def facts_of(pipe: Pipe, *, count: bool = False) -> list[StageFacts]:
    """Return the facts of every stage from the sources to a pipe, inputs of junctions before the junction.

    Args:
        pipe: Any pipe.
        count: Count rows even where that takes a pass over the data.
    """
    found: list[StageFacts] = []
    _collect(pipe, 0, "", found, {}, count=count)
    return found


def _collect(
    pipe: Pipe, depth: int, component: str, found: list[StageFacts], seen: dict[int, int], *, count: bool
) -> None:
    stages = list(reversed(list(chain(pipe))))
    known = [number for number, stage in enumerate(stages) if id(stage) in seen]
    if known:  # a diamond: what stands above was shown already
        stages = stages[known[-1] :]
    elif isinstance(stages[0], Junction):
        for name, part in _components(stages[0]):
            _collect(part, depth + 1, name, found, seen, count=count)
    for stage in stages:
        same_as = seen.get(id(stage))
        found.append(_facts(stage, len(found) + 1, depth, component, same_as, count=count))
        seen.setdefault(id(stage), len(found))
        component = ""


def _components(junction: Junction) -> Iterator[tuple[str, Pipe]]:
    yield from zip(junction.components, inputs_of(junction), strict=True)


def _facts(stage: Pipe, number: int, depth: int, component: str, same_as: int | None, *, count: bool) -> StageFacts:
    columns = columns_of(stage)
    num_items = num_rows = None
    if is_counted(stage) or count:
        num_items, num_rows = _counts(stage)
    fields = None if columns is None else [field for _, field in columns]
    is_typed = fields is not None and None not in fields
    row_bytes = sum(field.row_bytes for field in fields or () if field is not None) if is_typed else None
    varies = [
        word
        for word, now, before in (
            ("rows or their order", stage.order_varies, any(part.order_varies for part in inputs_of(stage))),
            ("values", stage.values_vary, any(part.values_vary for part in inputs_of(stage))),
        )
        if now and not before
    ]
    return StageFacts(
        number,
        stage,
        depth,
        component,
        same_as,
        num_items,
        num_rows,
        columns,
        row_bytes,
        how_it_runs(stage),
        f"{' and '.join(varies)} new each epoch" if varies else "",
        stage.guarantee or "",
    )


def is_counted(pipe: Pipe) -> bool:
    """Tell whether the length of a pipe is known without a pass over its rows."""
    if not pipe.is_indexable:
        return False
    return not any(
        _may_pass(stage) or not all(map(is_counted, inputs_of(stage) if isinstance(stage, Junction) else ()))
        for stage in chain(pipe)
    )


def _may_pass(stage: Pipe) -> bool:
    """Tell whether a stage may look at every row to know how many there are."""
    if isinstance(stage, RowStage):
        return stage.drops_rows or stage.on_error != "raise"
    return not _is_ours_and_plain(stage)


_PLAIN = ("core", "database", "formats", "order")
_PLAIN_STAGES = {"Batch", "Repeat", "Enumerate", "Zip", "Concat", "Mix", "Cycle", "AtEpoch", "Prefetch"}


def _is_ours_and_plain(stage: Pipe) -> bool:
    if isinstance(stage, (Source, OrderStage)):
        return True
    return type(stage).__module__.startswith("fireworks.") and type(stage).__name__ in _PLAIN_STAGES


def _counts(stage: Pipe) -> tuple[int | None, int | None]:
    try:
        num_items = len(stage)
    except (FireworksError, NotImplementedError):
        return None, None
    try:
        return num_items, stage.num_rows
    except (FireworksError, NotImplementedError):
        return num_items, None


def columns_of(stage: Pipe) -> tuple[tuple[str, Field | None], ...] | None:
    """Return the columns behind a stage: names, and types where no function stands in between."""
    if isinstance(stage, Source):
        if stage.known_columns is None:
            return None  # looking would begin the stream
        return tuple((field.name, field) for field in stage.schema)
    names = stage.known_columns
    if names is None:
        return None
    types: dict[str, Field | None] = {}
    if _passes_types(stage):
        for part in inputs_of(stage):
            types |= dict(columns_of(part) or ())
    return tuple((name, types.get(name)) for name in names)


def _passes_types(stage: Pipe) -> bool:
    if isinstance(stage, RowStage):
        return stage.drops_rows or any(kind(stage) is not None for kind in (selected, dropped, looked_at))
    return _is_ours_and_plain(stage)


def how_it_runs(stage: Pipe) -> str:
    """Return where and how a stage runs, in a few words."""
    if isinstance(stage, Source):
        if not stage.random_access:
            return "read on, from the first row"
        return f"read when asked for, {read_rows(stage.schema.row_bytes):,} rows at a time"
    if steers(stage):
        return where_it_runs(stage) if hasattr(stage, "num_items") else ""
    if isinstance(stage, RowStage):
        if stage.drops_rows and not stage.is_batched:
            return "moves row numbers" if stage.is_indexable else "on blocks of the stream"
        return f"{_grain(stage)}, {where_it_runs(stage)}"
    if isinstance(stage, OrderStage):
        return "moves row numbers"
    return ""


def _grain(stage: RowStage) -> str:
    if stage.is_batched:
        return "on each batch"
    if not stage.on_grid:
        return "on whatever is read at once"
    return f"on blocks of {block_rows(stage.flow.base.row_bytes):,} rows"


CALLER = "in the caller's thread"


def where_it_runs(stage: Any) -> str:
    """Return in which threads or processes a stage works."""
    if steers(stage) and getattr(stage, "num_items", None):
        return f"with all before it up to {stage.num_items} items ahead, in a thread of its own"
    workers = getattr(stage, "workers", 0)
    if not isinstance(workers, int) or workers < 1:
        return CALLER
    kind = "processes" if getattr(stage, "backend", "thread") == "process" else "threads"
    return f"in {workers} worker {kind}"


def schema_of(columns: tuple[tuple[str, Field | None], ...] | None) -> Schema | None:
    """Return columns as a schema where every type is known."""
    if columns is None or any(field is None for _, field in columns):
        return None
    return Schema([field for _, field in columns if field is not None])
