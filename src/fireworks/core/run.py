"""One pass over a pipe: which epoch it is, and a book of what happened to its rows, stage by stage."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fireworks.message import Message

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe
    from fireworks.message.columns import Positions


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
    lock: threading.Lock = field(default_factory=threading.Lock)

    def meter(self, stage: object) -> Meter:
        """Return the meter of a stage; a new one is at zero."""
        return self.meters.setdefault(id(stage), Meter())

    def note(self, stage: Pipe, rows_in: int, rows_out: int, work_ns: int) -> None:
        """Note one call of a stage."""
        with self.lock:
            meter = self.meters.get(id(stage))
            if meter is None:
                meter = self.meters[id(stage)] = Meter()
            meter.calls += 1
            meter.rows_in += rows_in
            meter.rows_out += rows_out
            meter.work_ns += work_ns


class Run:
    """What one pass carries with it: its epoch and its book.

    Args:
        epoch: From 0.
        book: Where the pass notes what happens; a new one if not given.
    """

    __slots__ = ("book", "epoch")

    def __init__(self, epoch: int, book: Book | None = None) -> None:
        self.epoch = epoch
        self.book = Book() if book is None else book

    def at(self, epoch: int) -> Run:
        """Return the same pass in another epoch: behind ``repeat`` and ``at_epoch`` epochs are counted differently."""
        return Run(epoch, self.book)
