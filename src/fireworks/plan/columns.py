"""Which columns a flow gives, and which of them the stages at its front need: what may be left unread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fireworks.core.flow import Barrier, Base, Flow
from fireworks.core.pipe import Pipe
from fireworks.core.source import SourceBase

_THINNED = "fireworks.core.stages.Thinned"
_STEERING = (
    "fireworks.parallel.prefetch.Prefetch",
    "fireworks.parallel.progress.Progress",
    "fireworks.parallel.with_budget.WithBudget",
)
"""Stages that say how a pass runs, and look at no column."""


def _is(part: object, *paths: str) -> bool:
    """Tell whether a thing is of one of our classes, by name: no class is loaded to ask whether something is one."""
    kind = type(part)
    return f"{kind.__module__}.{kind.__qualname__}" in paths


def passes_columns(base: Base) -> bool:
    """Tell whether a base is a barrier that passes columns on and looks at none."""
    return isinstance(base, Barrier) and base.passes_columns


def passed_on(base: Base, wanted: frozenset[str] | None) -> frozenset[str] | None:
    """Return the columns that a barrier needs of the flow below it where these are wanted of itself; None for all."""
    if wanted is None or passes_columns(base):
        return wanted
    seen = _looked_at_by(base)
    return None if seen is None else wanted | frozenset(seen)


def _looked_at_by(base: Base) -> Sequence[str] | None:
    """Return the columns that a filter of a stream looks at, where it is one by an expression."""
    return looked_at(base.stage) if _is(base, _THINNED) else None  # type: ignore[attr-defined]


def selected(stage: Any) -> Sequence[str] | None:
    """Return the columns that a stage keeps if it is a select, else None."""
    return stage.columns if _is(stage, "fireworks.transforms.select.Select") else None


def dropped(stage: Any) -> Sequence[str] | None:
    """Return the columns that a stage leaves out if it is a drop, else None."""
    return stage.columns if _is(stage, "fireworks.transforms.drop.Drop") else None


def steers(stage: Any) -> bool:
    """Tell whether a stage says how a pass runs, and lets every row pass as it is."""
    return _is(stage, *_STEERING)


def looked_at(stage: Any) -> Sequence[str] | None:
    """Return the columns that a filter by an expression looks at, else None."""
    if not _is(stage, "fireworks.transforms.filter.Filter") or stage.on_error != "raise":
        return None  # rows that are set aside are shown whole
    expression = stage.expression
    return None if expression is None else expression.columns


def runs_components(stage: Any) -> bool:
    """Tell whether a stage runs the row stages of a junction's components, and then the junction."""
    return _is(stage, "fireworks.junctions.side_by_side.Merge")


def is_shared(base: Base) -> bool:
    """Tell whether a base is a pass over a stream that several branches share."""
    return _is(base, "fireworks.junctions.branch._Shared")


def names_of(base: Base) -> list[str] | None:
    """Return the columns of what a base gives, where they are known without running anything."""
    if isinstance(base, SourceBase):
        return base.source.known_columns
    passes = isinstance(base, Barrier) and (passes_columns(base) or _looked_at_by(base) is not None)
    return names_behind(base.flow) if isinstance(base, Barrier) and passes else None


def names_behind(flow: Flow) -> list[str] | None:
    """Return the columns of what a flow gives, where they are known without running anything."""
    names = names_of(flow.base)
    for stage in flow.stages:
        names = None if names is None else _after(names, stage)
    return names


def _after(names: list[str], stage: Pipe) -> list[str] | None:
    """Return the columns behind a stage; None where it is of no known kind, or would refuse these."""
    kept, left_out, seen = selected(stage), dropped(stage), looked_at(stage)
    if not set(kept or left_out or seen or ()) <= set(names):
        return None
    if kept is not None:
        return list(kept)
    if left_out is not None:
        return [name for name in names if name not in left_out] or None  # a drop of everything is an error
    return names if seen is not None or steers(stage) else None


def needed(flow: Flow, wanted: frozenset[str] | None) -> frozenset[str] | None:
    """Return the columns of the base that a flow needs to give the ``wanted`` ones; None where it needs all of them.

    A drop does not need the columns that it drops, so it can't run where they are missing; see `optimised`.

    Args:
        flow: Base, orders and stages.
        wanted: Columns behind the last stage; None for all.
    """
    names = names_of(flow.base)
    if names is None:
        return None
    every = frozenset(names)
    must: set[str] = set()
    for stage in flow.stages:
        behind = _after(names, stage)
        if behind is None:
            return _unless_all(must | set(names), every)
        must |= set(selected(stage) or ()) | set(looked_at(stage) or ())
        names = behind
    if wanted is not None and wanted <= set(names):
        return _unless_all(must | wanted, every)
    return _unless_all(must | set(names), every)


def _unless_all(must: set[str], every: frozenset[str]) -> frozenset[str] | None:
    return None if not must or must == every else frozenset(must)
