"""One pass over a pipe: which epoch it is, and a book of what happened to its rows, stage by stage."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from fireworks.core.budget import Budget, current_budget
from fireworks.core.site import is_ours
from fireworks.errors import AuditError, QuarantineWarning, SchemaMismatchError, StageResultError, UnknownLengthError
from fireworks.message import Message, concat

if TYPE_CHECKING:
    from fireworks.core.buffers import Buffers
    from fireworks.core.cursor import Cursor
    from fireworks.core.pipe import Pipe
    from fireworks.message.columns import Positions


_SHOWN_ROWS = 10


@dataclass(slots=True)
class Meter:
    """What one stage did in one pass."""

    calls: int = 0
    rows_in: int = 0
    rows_out: int = 0
    set_aside: int = 0
    work_ns: int = 0
    wait_ns: int = 0

    def add(self, other: Meter) -> None:
        """Add what the same stage did elsewhere, in a worker."""
        self.calls += other.calls
        self.rows_in += other.rows_in
        self.rows_out += other.rows_out
        self.set_aside += other.set_aside
        self.work_ns += other.work_ns
        self.wait_ns += other.wait_ns


@dataclass(slots=True)
class SetAside:
    """Rows that a stage could not work on, with the reason."""

    stage: str
    built_at: str
    rows: Positions
    """Their numbers in the source."""
    message: Message
    """The rows as they came to the stage."""
    reason: str


@dataclass(slots=True)
class Book:
    """What happened in one pass. Notes may come from several threads."""

    meters: dict[int, Meter] = field(default_factory=dict)
    """By ``id`` of the stage; a pass holds its stages alive."""
    set_aside: list[SetAside] = field(default_factory=list)
    schemas: dict[int, Any] = field(default_factory=dict)
    """Names and dtypes of what a stage returned first, by ``id`` of the stage."""
    reported: int = 0
    """How many entries of ``set_aside`` were reported."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    began_ns: int = field(default_factory=perf_counter_ns)
    ended_ns: int = 0
    """When the pass was at its end; 0 while it is under way."""
    inside_ns: int = 0
    """How long whoever asked for items waited for them."""

    def meter(self, stage: object) -> Meter:
        """Return the meter of a stage; a new one is at zero."""
        return self.meters.setdefault(id(stage), Meter())

    def note(self, stage: object, rows_in: int, rows_out: int, work_ns: int) -> None:
        """Note one call of a stage."""
        with self.lock:
            self._add(stage, rows_in, rows_out, work_ns)

    def note_each(self, stages: Iterable[object], num_rows: int, work_ns: Iterable[int]) -> None:
        """Note one call of each stage, all on the same rows and none dropped."""
        with self.lock:
            for stage, took_ns in zip(stages, work_ns, strict=True):
                self._add(stage, num_rows, num_rows, took_ns)

    def _add(self, stage: object, rows_in: int, rows_out: int, work_ns: int) -> None:
        meter = self.meters.get(id(stage))
        if meter is None:
            meter = self.meters[id(stage)] = Meter()
        meter.calls += 1
        meter.rows_in += rows_in
        meter.rows_out += rows_out
        meter.work_ns += work_ns

    def require_same_columns(self, stage: Pipe, message: Message, block: int) -> None:
        """Check that a function returns the same columns, of the same types, as for the first block of the pass.

        Raises:
            StageResultError: it does not; the first column that differs is named.
        """
        these = [(name, column.dtype) for name, column in message._columns.items()]
        known = self.schemas.get(id(stage))
        if (known is None or known[1] != these) and message._num_rows:  # without rows it has said nothing yet
            self._require_same(stage, these, block)

    def _require_same(self, stage: Pipe, these: list[tuple[str, Any]], block: int) -> None:
        first, before = self.schemas.setdefault(id(stage), (block, these))
        if before == these:
            return
        was, now = dict(before), dict(these)
        differ = (n for n in [*was, *now] if n not in was or n not in now or was[n] != now[n])
        name = next(differ, None)
        differs = (
            f"columns {list(now)} after {list(was)}"
            if name is None
            else f"column {name!r} as {now.get(name, 'nothing')} after {was.get(name, 'nothing')}"
        )
        raise StageResultError(
            f"{stage.describe()}: the function returned {differs} (block {block}, and block {first} before it); return the "
            "same columns of the same types for all rows."
        )

    def merge(self, other: Book, stages: Iterable[Pipe]) -> None:
        """Add what happened elsewhere, in a worker; the books of blocks are merged in the order of the blocks.

        Args:
            other: The book of one block.
            stages: Those that the worker ran.

        Raises:
            StageResultError: a stage returned other columns than for the blocks before.
        """
        for stage in stages:
            if id(stage) in other.schemas:
                block, columns = other.schemas[id(stage)]
                self._require_same(stage, columns, block)
        with self.lock:
            for key, meter in other.meters.items():
                self.meters.setdefault(key, Meter()).add(meter)
        self.set_aside += other.set_aside

    def quarantined(self, stage: str | None = None) -> Message:
        """Return the rows that were set aside, with their number, stage and reason; see `Pipe.quarantined`."""
        parts = [
            aside.message.assign(
                row=aside.rows,
                stage=[aside.stage] * len(aside.rows),
                built_at=[aside.built_at] * len(aside.rows),
                reason=[aside.reason] * len(aside.rows),
            )
            for aside in self.set_aside
            if stage is None or stage in aside.stage
        ]
        try:
            return concat(parts) if parts else Message()
        except SchemaMismatchError as error:
            stages = list(dict.fromkeys(aside.stage for aside in self.set_aside))
            raise SchemaMismatchError(
                f"quarantined: several stages set rows aside that have different columns; name one, stage={stages[0]!r}. "
                f"They are {stages}."
            ) from error

    def report(self) -> None:
        """Warn once of the rows that were set aside since the last report."""
        fresh, self.reported = self.set_aside[self.reported :], len(self.set_aside)
        if not fresh:
            return
        stages = dict.fromkeys(f"{aside.stage}, built at {aside.built_at}" for aside in fresh)
        rows = np.concatenate([aside.rows for aside in fresh])
        warnings.warn(
            f"{len(rows)} rows were set aside by {'; '.join(stages)}: {some_rows(rows)} of the source; the first because "
            f"of {fresh[0].reason}. pipe.quarantined() has them all, with the reasons.",
            QuarantineWarning,
            stacklevel=_outside(),
        )

    def audit(self, pipe: Pipe, epoch: int, rows_out: int, cursor: Cursor) -> None:
        """Check the rows that a whole pass handed out against the plan.

        Raises:
            AuditError: they are more or fewer.
        """
        flow = pipe.runnable
        try:
            count = flow.num_items()
            if count != getattr(cursor, "num_items", count):
                return  # a live table that has grown since
            planned = flow.num_rows_of(range(count), epoch)
        except UnknownLengthError:
            if not flow.stages or id(flow.stages[-1]) not in self.meters:
                return  # a stream without a stage of its own: nothing is planned or counted
            planned = self.meters[id(flow.stages[-1])].rows_out
        if planned != rows_out:
            raise AuditError(
                f"{pipe.describe()}: the pass over epoch {epoch} handed out {rows_out} rows; by the plan there are {planned}. "
                f"The pipeline: {pipe!r}."
            )


def _outside() -> int:
    """Return the stack level of the nearest caller outside fireworks, for a warning that points there."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and is_ours(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    return level


def some_rows(rows: Positions) -> str:
    """Return row numbers as text, the first ten of many."""
    shown = rows[:_SHOWN_ROWS].tolist()
    more = f" and {len(rows) - len(shown)} more" if len(rows) > len(shown) else ""
    return f"rows {shown}{more}"


class Run:
    """What one pass carries with it: its epoch and its book.

    Args:
        epoch: From 0.
        book: Where the pass notes what happens; a new one if not given.
        budget: Bytes that may be under way; that of all passes if not given.
        buffers: Memory for gathered rows; None where it doesn't pay, because few rows are asked for or all are kept.
        how: How the rows are asked for: ``"next"`` by iteration, ``"get"`` by position, ``"call"`` with a message.
        is_whole: Whether all items of the epoch will be asked for, some at a time, or evenly spread ones of them.
    """

    __slots__ = ("book", "budget", "buffers", "epoch", "how", "is_whole")

    def __init__(
        self,
        epoch: int,
        book: Book | None = None,
        budget: Budget | None = None,
        buffers: Buffers | None = None,
        how: str = "next",
        *,
        is_whole: bool = False,
    ) -> None:
        self.how = how
        self.is_whole = is_whole
        self.buffers = buffers
        self.epoch = epoch
        self.book = Book() if book is None else book
        self.budget = current_budget() if budget is None else budget

    def at(self, epoch: int) -> Run:
        """Return the same pass in another epoch: behind ``repeat`` and ``at_epoch`` epochs are counted differently."""
        return Run(epoch, self.book, self.budget, self.buffers, self.how, is_whole=self.is_whole)

    def within(self, budget: Budget) -> Run:
        """Return the same pass with a budget of its own."""
        return Run(self.epoch, self.book, budget, self.buffers, self.how, is_whole=self.is_whole)
