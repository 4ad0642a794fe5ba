"""The row stages of a flow as parts that run one behind the other: here, in workers, or ahead of the consumer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeAlias

from fireworks.core.chunk import Chunk
from fireworks.core.cursor import Cursor
from fireworks.core.flow import Flow, block_rows
from fireworks.core.run import Run
from fireworks.core.stages import RowStage
from fireworks.parallel.ahead import AheadCursor
from fireworks.parallel.crew import in_workers
from fireworks.parallel.steering import Steering
from fireworks.parallel.stopping import closed_at_exit

Numbered: TypeAlias = Iterator[tuple[int, Chunk]]
Part: TypeAlias = Callable[[Numbered, Run], Numbered]


class Schedule:
    """How the row stages of one flow run.

    Args:
        flow: At least one of its stages has workers or steers.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._parts: list[Part] = []
        steers = [stage for stage in flow.stages if isinstance(stage, Steering)]
        self._budget = next((stage.budget for stage in reversed(steers) if stage.budget is not None), None)
        key = lambda stage: id(stage) if stage.steers else stage.staff  # noqa: E731 (for one line)
        for _, group in itertools.groupby(flow.stages, key=key):
            self._parts.append(self._part(list(group)))

    def _part(self, stages: list[RowStage]) -> Part:
        first = stages[0]
        if isinstance(first, Steering):
            return lambda chunks, run: first.steer(chunks, self._flow, run)
        if (workers := first.staff) is not None:
            return lambda chunks, run: in_workers(stages, workers, chunks, run)
        return lambda chunks, run: _here(stages, chunks, run)

    def within(self, run: Run) -> Run:
        """Return the pass with the budget that a stage of this flow gives it."""
        return run if self._budget is None else run.within(self._budget)

    def finished(self, chunks: Iterable[tuple[int, Chunk]], run: Run) -> Iterator[Chunk]:
        """Yield what becomes of numbered blocks or batches, in order; a single one is made here, without workers."""
        return closed_at_exit(self._finished(chunks, run))

    def _finished(self, chunks: Iterable[tuple[int, Chunk]], run: Run) -> Generator[Chunk]:
        rest = iter(chunks)
        opened: list[Iterator[tuple[int, Chunk]]] = [rest]
        try:
            first = list(itertools.islice(rest, 1))
            try:
                second = list(itertools.islice(rest, 1)) if first else []
            except Exception:
                # The error belongs behind the first.
                yield from self._finished_here(first, run)
                raise
            if not second:
                yield from self._finished_here(first, run)
                return
            numbered: Numbered = itertools.chain(first, second, rest)
            del first, second
            for part in self._parts:
                numbered = part(numbered, run)
                opened.append(numbered)
            for _, chunk in numbered:
                yield chunk
        finally:
            # Whoever keeps an error keeps our frames, and with them what they hold: so nothing is left to the collector.
            while opened:
                _close(opened.pop())

    def _finished_here(self, chunks: Iterable[tuple[int, Chunk]], run: Run) -> Iterator[Chunk]:
        for number, chunk in chunks:
            yield self._flow.run_stages(chunk, run, number)

    def open(self, cursor: Cursor, run: Run) -> Cursor:
        """Return a cursor over what becomes of a stream."""
        flow = self._flow
        size = 0 if flow.is_batched else flow.grid or block_rows(flow.base.row_bytes)
        return AheadCursor(cursor, size, lambda chunks: self.finished(chunks, run))


def _here(stages: list[RowStage], chunks: Numbered, run: Run) -> Numbered:
    for number, chunk in chunks:
        for stage in stages:
            chunk = stage.process(chunk, run, number)  # noqa: PLW2901 (what becomes of it)
        yield number, chunk


def _close(chunks: object) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
