"""What a pass did, stage by stage, and what holds it up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from time import perf_counter_ns
from typing import Any

from fireworks.core.junction import Junction
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Book, Meter
from fireworks.core.stages import RowStage
from fireworks.message import Message

_NS = 1e-9
_NAME_WIDTH = 48
# Below this part of the time nothing is worth the name of a bottleneck.
_MUCH = 0.1


@dataclass(frozen=True)
class StageStats:
    """What one stage did in one pass.

    Units:
        seconds; rows per second.
    """

    name: str
    rows_in: int
    rows_out: int
    set_aside: int
    """Rows that it set aside as bad; see `Pipe.quarantined`."""
    workers: int
    """How many worked at the same time; 0 in the thread that asked."""
    work_s: float
    """Time in the stage, of all workers together."""
    wait_s: float
    """How long whoever stands behind it waited for its workers, or for items made ahead."""
    rows_per_s: float
    """Rows in by the time that the stage kept its workers busy: how fast it could be alone."""

    @property
    def dropped(self) -> int:
        """Rows that it dropped as it is told to, as a filter does; a stage that makes more rows of few drops none."""
        return max(0, self.rows_in - self.rows_out - self.set_aside)

    @property
    def busy_s(self) -> float:
        """Time in the stage by its workers: how long a pass takes with nothing but this stage."""
        return self.work_s / max(1, self.workers)


@dataclass(frozen=True)
class Stats:
    """What one pass did. Printed, it is a table.

    Rows are counted where they come out; a pass that was moved or met an error has counted what it made twice.
    """

    stages: tuple[StageStats, ...]
    """From the source on; only those that read, drop or compute. Stages of a junction's components carry its name for them."""
    seconds: float
    """Since the pass began, or until its end."""
    outside_s: float
    """How much of that went by in the loop over the pipe, between two items."""
    is_at_end: bool

    @property
    def bottleneck(self) -> str:
        """A sentence: what takes longest."""
        slowest = max(self.stages, key=lambda stage: stage.busy_s, default=None)
        known_s = 0.0 if slowest is None else slowest.busy_s
        waited = max(self.stages, key=lambda stage: stage.wait_s, default=None)
        if waited is not None and waited.wait_s > max(known_s, self.outside_s, self.seconds / 2):
            return (
                f"Most of the time went by waiting for the workers of {waited.name}: {waited.wait_s:.2f} of "
                f"{self.seconds:.2f} s, while its work took {waited.busy_s:.2f} s. The first processes take seconds to start."
            )
        if max(known_s, self.outside_s) < _MUCH * self.seconds:
            return "No stage takes much of the time."
        if slowest is None or self.outside_s > known_s:
            return (
                f"What is done with the items takes longest, {self.outside_s:.2f} of {self.seconds:.2f} s; "
                "the pipe is quick enough."
            )
        workers = f" in each of its {slowest.workers} workers" if slowest.workers else ""
        return f"{slowest.name} is the bottleneck: it worked {slowest.busy_s:.2f} of {self.seconds:.2f} s{workers}."

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        return asdict(self) | {"bottleneck": self.bottleneck}

    def to_message(self) -> Message:
        """Return the table as a message, a row per stage."""
        rows = [asdict(stage) for stage in self.stages]
        return Message({name: [row[name] for row in rows] for name in StageStats.__dataclass_fields__})

    def __repr__(self) -> str:
        heads = ("stage", "rows in", "rows out", "dropped", "set aside", "workers", "work s", "wait s", "rows/s")
        lines: list[tuple[str, ...]] = [heads]
        for stage in self.stages:
            counts = (stage.rows_in, stage.rows_out, stage.dropped, stage.set_aside)
            times = (
                f"{stage.work_s:.3f}",
                f"{stage.wait_s:.3f}",
                f"{stage.rows_per_s:,.0f}" if stage.rows_per_s else "-",
            )
            lines.append((_short(stage.name), *(f"{count:,}" for count in counts), str(stage.workers), *times))
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        text = [
            "  ".join(
                part.ljust(width) if column == 0 else part.rjust(width)
                for column, (part, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        state = "The pass took" if self.is_at_end else "So far the pass took"
        outside = f"{state} {self.seconds:.3f} s, {self.outside_s:.3f} s of it outside the pipe."
        return "\n".join([*text, outside, self.bottleneck])


def stats_of(pipe: Pipe, book: Book) -> Stats:
    """Return what a pass over a pipe did, from its book."""
    ended_ns = book.ended_ns or perf_counter_ns()
    total_ns = ended_ns - book.began_ns
    stages = tuple(
        _stage(name, stage, meter)
        for name, stage in _named(pipe)
        if (meter := book.meters.get(id(stage)) or _planned(stage)) is not None
        and (meter.wait_ns or not (isinstance(stage, RowStage) and stage.steers))
    )
    return Stats(stages, total_ns * _NS, max(0, total_ns - book.inside_ns) * _NS, bool(book.ended_ns))


def _planned(stage: Pipe) -> Meter | None:
    """Return the rows in and out of a stage that does its part before the pass begins: a filter with random access."""
    counts = stage.planned_rows()
    return None if counts is None else Meter(rows_in=counts[0], rows_out=counts[1])


def _named(pipe: Pipe, prefix: str = "") -> Iterator[tuple[str, Pipe]]:
    """Yield every stage with its name, from the source on; a junction behind its components."""
    for stage in reversed(list(chain(pipe))):
        if isinstance(stage, Junction):
            for name, component in stage.components.items():
                yield from _named(component, f"{prefix}{name}/")
        yield prefix + stage.describe(), stage


def _stage(name: str, stage: Pipe, meter: Meter) -> StageStats:
    workers = stage.workers if isinstance(stage, RowStage) else 0
    work_s = meter.work_ns * _NS
    busy_s = work_s / max(1, workers)
    rows_per_s = meter.rows_in / busy_s if busy_s else 0.0
    wait_s = meter.wait_ns * _NS
    return StageStats(name, meter.rows_in, meter.rows_out, meter.set_aside, workers, work_s, wait_s, rows_per_s)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - 1] + "…"
