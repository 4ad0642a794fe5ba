"""How much memory a pipeline needs at least, stage by stage, told before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fireworks.core.budget import Budget
from fireworks.core.flow import read_rows
from fireworks.errors import MemoryBudgetError
from fireworks.message.display import bytes_text

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe
NO_LIMIT = Budget(None)


class Need(NamedTuple):
    """The least memory in which one stage can work."""

    stage: str
    num_bytes: int


def needs(pipe: Pipe) -> list[Need]:
    """Return what each stage from the sources to a pipe needs at least, where it needs any.

    Rows that the user holds in memory are not counted, nor what functions make for themselves.

    Example:
        >>> pipe = fw.source(lambda: ({"x": n} for n in range(9))).shuffle(seed=0).batch(4)
        >>> [need.stage for need in needs(pipe)]
        ['Shuffle(seed=0)', 'Batch(4)']
    """
    from fireworks.core.model import upstream_pipes

    found = [Need(part.describe(), part.least_bytes()) for part in reversed(list(upstream_pipes(pipe)))]
    return [need for need in found if need.num_bytes]


def require_room(pipe: Pipe, budget: Budget) -> None:
    """Raise `MemoryBudgetError` where a pipeline can't run in a memory budget; the stage that needs most is named.

    Args:
        pipe: What is to be run.
        budget: That of the pass; a stage ``with_budget`` has one of its own for what stands before it.
    """
    from fireworks.core.model import upstream_pipes

    for part in upstream_pipes(pipe):
        own: Budget | None = part.__dict__.get("budget")
        if isinstance(own, Budget):
            _require_room(part, own.max_bytes)
            budget = NO_LIMIT if part is pipe else budget
    _require_room(pipe, budget.max_bytes)


def _require_room(pipe: Pipe, limit: int | None) -> None:
    if limit is None:
        return
    found = needs(pipe)
    needed = sum(need.num_bytes for need in found)
    if needed > limit:
        most = max(found, key=lambda need: need.num_bytes)
        raise MemoryBudgetError(
            f"The memory budget of {bytes_text(limit)} is too small for {pipe!r}: it needs at least {bytes_text(needed)}, "
            f"{bytes_text(most.num_bytes)} of it for {most.stage}. Give it fw.memory_budget({needed}) or more, or make "
            "batches, workers or the cache smaller.",
            needed_bytes=needed,
        )


def chunk_bytes(pipe: Pipe) -> int:
    """Return the bytes of as many rows as are read at once of the source of a pipe, of all where there are fewer."""
    base = pipe.flow.base
    num_bytes = read_rows(base.row_bytes) * base.row_bytes
    return min(num_bytes, base.num_items() * base.row_bytes) if base.is_indexable else num_bytes
