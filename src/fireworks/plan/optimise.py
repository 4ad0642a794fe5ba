"""From a flow to an equal flow that reads less: same items, same order, same row numbers, same state.

What is done, and where:

- *Columns.* Where the stages in front keep some columns only, the source is asked for those (`_narrowed`).
- *Filters.* The rows that a filter keeps are found by the source where it can; otherwise the pass that finds them reads
  the columns of the expression only (`found`). Orders hold positions, so nothing behind a filter changes.
- *Row maps behind orders*, and *one chain of row stages per block*, are how flows run anyway; see `Flow`.

The grid of blocks follows the schema of the whole source, whatever is left unread, so results are the same to the last bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from fireworks.core.chunk import Chunk, as_positions
from fireworks.core.flow import Base, Flow, Order
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.source import Mask, SourceBase
from fireworks.plan.columns import (
    dropped,
    looked_at,
    names_behind,
    names_of,
    needed,
    passed_on,
    runs_components,
    selected,
    steers,
)
from fireworks.plan.switch import is_on

if TYPE_CHECKING:
    from fireworks.core.expressions import Expression
    from fireworks.core.stages import RowStage
    from fireworks.message.columns import Positions

Part = TypeVar("Part", Base, Order)


class WrittenFlow(Flow):
    """A flow that runs as it was written; a filter that stands on it asks no source."""


def runnable(pipe: Pipe) -> Flow:
    """Return what a pass over a pipe runs: its flow, optimised unless that is switched off."""
    flow, is_written = pipe.flow, "_as_written" in pipe.__dict__
    if not (is_on() or is_written):
        return flow
    known = pipe.__dict__.get("_runnable")
    if known is None or known[0] is not flow:  # a live table has another flow each time
        known = flow, written(flow) if is_written else optimised(flow)
        object.__setattr__(pipe, "_runnable", known)
    return cast("Flow", known[1])


# --- columns ----------------------------------------------------------------------------------------------------------


def optimised(flow: Flow, wanted: frozenset[str] | None = None) -> Flow:
    """Return a flow that gives the same and reads less.

    Args:
        flow: As written.
        wanted: The columns that are needed of it; None for all. More may come.
    """
    base = _narrowed(flow.base, needed(flow, wanted))
    if flow.stages and runs_components(flow.stages[0]):
        base = _narrowed_side(base, cast("Any", flow.stages[0]))
    if base is flow.base:
        return flow
    stages = _fitted(flow.stages, base)
    if stages is None:  # a drop would miss a column
        base, stages = _narrowed(flow.base, None), flow.stages
    return flow if base is flow.base else replace(flow, base=base, stages=stages)


def _narrowed(base: Base, wanted: frozenset[str] | None) -> Base:
    """Return a base of the same items with the wanted columns, and maybe more; the same one for the same question.

    Pipes share the bases below them, and what these have found out, so they must share the narrowed ones too.
    """
    known = base.__dict__.setdefault("_narrowed", {})
    if wanted not in known:
        known[wanted] = _made(base, wanted)
    return cast("Base", known[wanted])


def _made(base: Base, wanted: frozenset[str] | None) -> Base:
    if isinstance(base, SourceBase):
        if wanted is None:
            return base
        source = base.source.narrowed([name for name in base.source.known_columns or () if name in wanted])
        return base if source is base.source else SourceBase(source, stands_for=base.stands_for)
    passed = passed_on(base, wanted)
    return on_changed(base, lambda flow: optimised(flow, passed))


def _narrowed_side(base: Base, merge: Any) -> Base:
    """Return the base of a junction that runs the stages of its components itself, each on the columns that they need."""
    known = base.__dict__.setdefault("_narrowed", {})
    if "components" not in known:
        flows: Any = cast("Any", base)._flows
        new = [_bare(flow, whole) for flow, whole in zip(flows, merge._flows.values(), strict=True)]
        made = base
        if any(one is not other for one, other in zip(new, flows, strict=True)):
            made = copy.copy(base)
            made.__dict__.pop("_narrowed")
            made.__dict__["_flows"] = new
        known["components"] = made
    return cast("Base", known["components"])


def _bare(flow: Flow, whole: Flow) -> Flow:
    base = _narrowed(flow.base, needed(whole, None))
    fitted = None if base is flow.base else _fitted(whole.stages, base)
    if fitted is None or any(isinstance(stage, Done) and dropped(stage.stage) is not None for stage in fitted):
        return flow
    return replace(flow, base=base)


def on_changed(part: Part, change: Callable[[Flow], Flow]) -> Part:
    """Return a base or an order on changed flows: itself where nothing changes, else a copy."""
    changes = {}
    for name, value in vars(part).items():
        if name != "_narrowed" and (new := _changed(value, change)) is not value:
            changes[name] = new
    if not changes:
        return part
    made = copy.copy(part)
    made.__dict__.pop("_narrowed", None)
    made.__dict__.update(changes)
    return made


def _changed(value: Any, change: Callable[[Flow], Flow]) -> Any:
    if isinstance(value, Flow):
        return change(value)
    if isinstance(value, dict):
        new: Any = {key: _changed(part, change) for key, part in value.items()}
        return new if any(new[key] is not value[key] for key in value) else value
    if type(value) in {list, tuple}:
        new = [_changed(part, change) for part in value]
        return type(value)(new) if any(a is not b for a, b in zip(new, value, strict=True)) else value
    return value


def _fitted(stages: tuple[RowStage, ...], base: Base) -> tuple[RowStage, ...] | None:
    """Return the stages without the work that a narrowed base has done; None where a drop misses a part of its columns."""
    names = names_of(base)
    if names is None:
        return stages
    fitted: list[RowStage] = []
    for number, stage in enumerate(stages):
        kept, left_out = selected(stage), dropped(stage)
        if kept is None and left_out is None and looked_at(stage) is None and not steers(stage):
            return (*fitted, *stages[number:])
        if left_out is not None:
            missing = [name for name in left_out if name not in names]
            if missing and len(missing) < len(left_out):
                return None
            names = [name for name in names if name not in left_out]
            fitted.append(cast("RowStage", Done(stage)) if missing else stage)
        elif kept is not None:
            fitted.append(cast("RowStage", Done(stage)) if list(kept) == names else stage)
            names = list(kept)
        else:
            fitted.append(stage)
    return tuple(fitted)


class Done:
    """Stands for a row stage whose work the source has done; the pass notes the rows that went by."""

    on_grid = False
    drops_rows = False
    on_error = "raise"

    def __init__(self, stage: RowStage) -> None:
        self.stage = stage

    def __getattr__(self, name: str) -> Any:
        if name == "stage":
            raise AttributeError(name)
        return getattr(self.stage, name)

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        """Pass the rows on."""
        run.book.note(self.stage, len(chunk.rows), len(chunk.rows), 0)
        return chunk


# --- filters ----------------------------------------------------------------------------------------------------------


def found(flow: Flow, expression: Expression, mask: Mask, num_items: int) -> Positions | None:
    """Return the positions behind a flow of the rows for which an expression is true, if its source can tell.

    Args:
        flow: What the filter stands on; of rows.
        expression: A condition.
        mask: What decides, for a message, which of its rows satisfy the expression.
        num_items: How many rows are behind the flow.
    """
    if not is_pushed(flow, expression):
        return None
    source = cast("SourceBase", flow.base).source
    try:
        rows = source.find(expression, mask)
    except Exception:  # noqa: BLE001 (the pass over the rows meets it again, and says where)
        return None
    if rows is None:
        return None
    if not flow.orders:
        return rows[: np.searchsorted(rows, num_items)]
    is_kept = np.zeros(source.count(), dtype=bool)
    is_kept[rows] = True
    return np.flatnonzero(is_kept[as_positions(flow._locate(range(num_items), 0))])


def is_pushed(flow: Flow, expression: Expression | None) -> bool:
    """Tell whether a filter that stands on a flow asks the source: it can answer, and nothing changes values before it."""
    if expression is None or not is_on() or isinstance(flow, WrittenFlow) or not isinstance(flow.base, SourceBase):
        return False
    names = names_behind(flow)
    is_able = type(flow.base.source).find is not _source_find()
    return is_able and names is not None and bool(expression.columns) and set(expression.columns) <= set(names)


def _source_find() -> Any:
    from fireworks.core.source import Source

    return Source.find


def for_finding(flow: Flow, expression: Expression) -> Flow:
    """Return the flow to pass over once for a filter: with the columns of its expression, and maybe more."""
    if not is_on() or isinstance(flow, WrittenFlow):
        return flow
    return optimised(flow, frozenset(expression.columns) or None)


# --- as written -------------------------------------------------------------------------------------------------------


def as_written(pipe: Pipe) -> Pipe:
    """Return a pipe that runs as it was written; see `Pipe.as_written`."""
    made = copy.copy(pipe)
    made.next_epoch_is(0)
    object.__setattr__(made, "_as_written", True)
    return made


def written(flow: Flow) -> Flow:
    """Return a flow that neither is optimised nor lets its filters ask the source."""
    return WrittenFlow(_as_written(flow.base), tuple(_as_written(order) for order in flow.orders), flow.stages)


def _as_written(part: Part) -> Part:
    if isinstance(cast("Any", part), Pipe):  # an order that is a stage holds no flow of its own
        return part
    return looking_again(on_changed(part, written), part)


def looking_again(made: Part, part: Part) -> Part:
    """Let the copy of a filter's order forget which rows it has found."""
    if made is not part and "_found" in vars(made):
        cast("Any", made)._found = None
    return made
