"""Rows in a scattered order from a base that is read in one go."""

from __future__ import annotations

from collections.abc import Iterator

from fireworks.core.chunk import Chunk, Span
from fireworks.core.flow import Flow
from fireworks.core.run import Run


def in_order(flow: Flow, span: Span, run: Run) -> Iterator[Chunk] | None:
    """Return the items at positions behind the orders of a flow; None where its base is better asked piece by piece."""
    if not isinstance(span, range):
        return None
    rows = flow._locate(span, run.epoch)
    return flow.base.pieces(rows, run) if isinstance(rows, range) else None
