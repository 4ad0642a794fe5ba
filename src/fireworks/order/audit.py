"""How well a pipeline mixes, measured: one pass over its row numbers and at most one column."""

from __future__ import annotations

import copy
import html
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from fireworks._internal.checks import check_count
from fireworks._internal.lazy import load
from fireworks.core.chunk import Chunk
from fireworks.core.cursor import read_exactly
from fireworks.core.flow import Barrier, Flow
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run, some_rows
from fireworks.core.source import SourceBase
from fireworks.errors import NoRandomAccessError, UnknownLengthError
from fireworks.message.columns import Positions
from fireworks.order.labels import Labels
from fireworks.order.measures import (
    Measure,
    deciles,
    displacement,
    effective_batch,
    neighbours,
    rank_correlation,
    span,
    usual,
)
from fireworks.order.provenance import origins_in

_BATCH_ROWS = 256


@dataclass(frozen=True, eq=False)
class OrderAudit:
    """What an audit of a pipeline's order found; prints as a table, and shows as one in a notebook.

    Args:
        pipe: The pipeline as text.
        epoch: Which epoch was read.
        num_rows: Rows that came.
        num_batches: Batches that they came in.
        batch_rows: Rows of most batches.
        num_source_rows: Rows of the source; None where that is not known, as of a stream.
        missing: Rows of the source that did not come, by number; of a stream, up to the last that came.
        repeated: Rows of the source that came more than once, by number.
        set_aside: Rows that a stage with ``on_error="quarantine"`` set aside on the way.
        as_planned: Whether the rows came as `Pipe.rows_of` says; None where nobody knows before a pass.
        measures: What tells the order from a uniform one.
        guarantees: What each stage says of the order that it gives, with the stage, from the source on.
    """

    pipe: str
    epoch: int
    num_rows: int
    num_batches: int
    batch_rows: int
    num_source_rows: int | None
    missing: Positions
    repeated: Positions
    set_aside: int
    as_planned: bool | None
    measures: tuple[Measure, ...]
    guarantees: tuple[tuple[str, str], ...]

    @property
    def each_row_once(self) -> bool:
        """Whether each row of the source came, and none twice."""
        return not len(self.missing) and not len(self.repeated)

    @property
    def is_uniform(self) -> bool:
        """Whether every measure is as it may well be in a uniform order; False where nothing could be measured."""
        return bool(self.measures) and all(measure.is_uniform for measure in self.measures)

    def __getitem__(self, name: str) -> Measure:
        """Return a measure by its name, such as ``"span of a batch"``, or by the beginning of it.

        Raises:
            KeyError: there is none; the error has the names.
        """
        for measure in self.measures:
            if measure.name.startswith(name):
                return measure
        raise KeyError(f"audit: no measure {name!r}; there are {[measure.name for measure in self.measures]}.")

    @property
    def effective_batch(self) -> float:
        """How many rows drawn at random tell as much as a batch: by the column, or else by the place in the source."""
        return self["effective batch"].observed

    @property
    def verdict(self) -> str:
        """The whole in one sentence."""
        if not self.measures:
            return "too few rows or batches to tell an order from another"
        bad = [measure.name for measure in self.measures if not measure.is_uniform and measure.z > 0]
        if bad:
            return f"NOT mixed as by a uniform order: see {', '.join(bad)}"
        even = [measure.name for measure in self.measures if not measure.is_uniform]
        return f"more even than a uniform order: see {', '.join(even)}" if even else "mixed as by a uniform order"

    @property
    def rows_text(self) -> str:
        """Which rows came, in words."""
        plan = {None: "", True: ", as planned", False: ", NOT as planned: another row than rows_of says"}[
            self.as_planned
        ]
        aside = f"; {self.set_aside:,} were set aside" if self.set_aside else ""
        if self.each_row_once:
            return f"each of {self.num_rows:,} rows once{plan}{aside}"
        of = "" if self.num_source_rows is None else f", of {self.num_source_rows:,} in the source"
        lost = f"; {len(self.missing):,} did not come: {some_rows(self.missing)}" if len(self.missing) else ""
        twice = (
            f"; {len(self.repeated):,} came more than once: {some_rows(self.repeated)}" if len(self.repeated) else ""
        )
        return f"{self.num_rows:,} rows came{of}{plan}{lost}{twice}{aside}"

    @property
    def _title(self) -> str:
        batches = f"{self.num_batches:,} batches of {self.batch_rows:,}"
        return f"Order of epoch {self.epoch}, {self.num_rows:,} rows in {batches}: {self.verdict}"

    def _cells(self) -> Iterator[tuple[str, str, str, str, str]]:
        yield "", "measured", "expected", "95 % of uniform", ""
        for each in self.measures:
            band = f"{each.low:.4g} to {each.high:.4g}"
            yield each.name, f"{each.observed:.4g}", f"{each.expected:.4g}", band, each.verdict

    def __str__(self) -> str:
        lines = [self._title, "", f"rows: {self.rows_text}"]
        if self.measures:
            table = list(self._cells())
            wide = [max(len(row[column]) for row in table) for column in range(4)]
            lines += [
                "",
                *(
                    f"{name:<{wide[0]}}  {seen:>{wide[1]}}  {due:>{wide[2]}}  {band:>{wide[3]}}  {verdict}".rstrip()
                    for name, seen, due, band, verdict in table
                ),
            ]
        if self.guarantees:
            lines += ["", "guaranteed", *(f"{stage}: {text}" for stage, text in self.guarantees)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *body = (
            "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row) for row in self._cells()
        )
        rows = "".join(f"<tr>{row}</tr>" for row in body)
        stages = "".join(f"<li>{html.escape(stage)}: {html.escape(text)}</li>" for stage, text in self.guarantees)
        return (
            f"<p><b>{html.escape(self._title)}</b></p><p>Rows: {html.escape(self.rows_text)}</p><table><thead><tr>"
            f"{head}</tr></thead><tbody>{rows}</tbody></table>"
            + (f"<p><b>Guaranteed</b></p><ul>{stages}</ul>" if stages else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all that was found as plain numbers, texts and lists, ready for JSON, which has None for infinity."""
        found = asdict(self)
        found |= {"missing": self.missing.tolist(), "repeated": self.repeated.tolist()}
        found["measures"] = {
            measure.pop("name"): {
                key: None if value in (math.inf, -math.inf) else value for key, value in measure.items()
            }
            for measure in found["measures"]
        }
        found["guarantees"] = dict(self.guarantees)
        return found | {"each_row_once": self.each_row_once, "is_uniform": self.is_uniform, "verdict": self.verdict}


def audit(pipe: Pipe, by: str | None = None, *, epoch: int = 0, batch_rows: int | None = None) -> OrderAudit:
    """Measure the order of a pipeline: run one epoch, and compare what came with a uniform order.

    Reads the row numbers, and the column ``by`` where it is given; functions run only where that column, or which rows there
    are, depends on them. Holds some 40 bytes per row. The pass counts nowhere: the next ``iter`` starts the epoch that it
    would have started, and `stats` and `quarantined` go on to speak of the pass before.

    What is measured, each beside what it is in a uniform order of the same rows:

    - *effective batch*, by the column and by the tenths of the source: how many rows drawn at random tell as much of the
      whole as a batch does; see `effective_batch`.
    - *rank correlation* and *displacement*: how far rows are from where they stand in the source.
    - *neighbours together*: how often rows next to each other in the source are in one batch, as a multiple of chance; not
      where rows come more than once.
    - *span of a batch*: how much of the source the rows of a batch come from.

    Row numbers are those of `Pipe.rows_of`. A row that comes several times takes so many places in the source.

    Args:
        pipe: Rows or batches, with random access or a stream.
        by: A column with one value per row: its classes, or, where it holds floats, times or more than 1,000 different
            ints, its numbers. Missing labels are a class of their own.
        epoch: From 0.
        batch_rows: Of a pipe of rows: how many make a batch; 256 if not given.

    Raises:
        ValueError: ``epoch`` is negative, or ``batch_rows`` is below 2 or given for a pipe that has batches.
        ColumnNotFoundError: there is no such column.
        ColumnTypeError: a row of it has several values.
        ColumnValueError: one of its numbers is missing or not finite.

    Example:
        >>> data = fw.source({"label": torch.arange(40_000) // 4_000})
        >>> audit(data.shuffle(seed=0).batch(100), by="label").is_uniform
        True
        >>> print(audit(data.batch(100), by="label")["effective batch"].verdict)
        NOT as in a uniform order: a batch tells of 'label' what 0.998 rows at random would (p < 1e-300)
    """
    epoch = check_count(epoch, at_least=0, where="audit: epoch")
    if pipe.is_batched and batch_rows is not None:
        raise ValueError(f"audit: batch_rows is for a pipe of rows; this one has batches of its own: {pipe!r}.")
    wanted = _BATCH_ROWS if batch_rows is None else check_count(batch_rows, at_least=2, where="audit: batch_rows")
    if by is not None and not isinstance(by, str):
        raise TypeError(f"audit: by is the name of a column or None; got {by!r:.60} of type {type(by).__name__}.")
    flow = pipe.select(by).runnable if by is not None else _bare(pipe)
    labels = None if by is None else Labels(by)
    run, parts = Run(epoch), []
    for chunk in _chunks(flow, run, wanted):
        parts.append(chunk.rows)
        if labels is not None:
            labels.add(chunk.message.raw(labels.name), chunk.rows)
    rows = np.concatenate([np.empty(0, dtype=np.int64), *parts])
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    sizes = sizes[sizes > 0]
    num_source_rows = flow.base.num_source_rows()
    ranks, missing, repeated = _places(rows, num_source_rows)
    return OrderAudit(
        repr(pipe),
        epoch,
        len(rows),
        len(sizes),
        usual(sizes),
        num_source_rows,
        missing,
        repeated,
        sum(len(aside.rows) for aside in run.book.set_aside),
        _as_planned(pipe, epoch, rows),
        tuple(_measured(ranks, sizes, labels, is_once=not len(repeated))),
        tuple(guarantees(pipe)),
    )


def guarantees(pipe: Pipe) -> Iterator[tuple[str, str]]:
    """Yield what each stage upstream, and this one, says of the order that it gives; inputs of junctions too."""
    for stage in reversed(list(load("core.model.upstream_pipes")(pipe))):
        if stage.guarantee is not None:
            yield stage.describe(), stage.guarantee


def _chunks(flow: Flow, run: Run, batch_rows: int) -> Iterator[Chunk]:
    """Yield the batches of a whole pass; rows by so many."""
    cursor = flow.open(run)
    while (chunk := cursor.read(1) if flow.is_batched else read_exactly(cursor, batch_rows)) is not None:
        yield chunk


def _bare(pipe: Pipe) -> Flow:
    """Return a flow with the same row numbers that runs no function, where they don't depend on one, and reads one column."""
    bare = _without_functions(pipe.flow)
    base = bare.base
    while isinstance(base, Barrier) and base.passes_columns and not base.flow.stages:
        base = base.flow.base
    if bare.stages or not isinstance(base, SourceBase) or not base.source.known_columns:
        return cast("Flow", load("plan.optimise.optimised")(bare))
    smallest = min(base.source.schema, key=lambda field: field.row_bytes)
    return cast("Flow", load("plan.optimise.optimised")(bare, frozenset({smallest.name})))


def _without_functions(flow: Flow) -> Flow:
    if any(stage.drops_rows or stage.on_error != "raise" for stage in flow.stages):
        return flow
    base = flow.base
    if isinstance(base, Barrier) and base.passes_columns:
        below = _without_functions(base.flow)
        if below is not base.flow:
            base = copy.copy(base)
            base.__dict__.pop("_narrowed", None)
            base.flow = below
    return flow if base is flow.base and not flow.stages else Flow(base, flow.orders)


def _places(rows: Positions, count: int | None) -> tuple[Positions, Positions, Positions]:
    """Return each row's place among those that came, from 0, and which rows are missing and which are repeated.

    Rows that come several times are put in some order, at random, so that all orders stay equally likely.
    """
    highest = int(rows.max(initial=-1)) + 1
    count = highest if count is None else max(count, highest)
    found = np.bincount(rows, minlength=count) if len(rows) else np.zeros(count, dtype=np.int64)
    missing, repeated = np.flatnonzero(found == 0), np.flatnonzero(found > 1)
    if not len(repeated):
        ranks = (np.cumsum(found) - 1)[rows]
    else:
        by_chance = np.random.Generator(np.random.Philox(0)).permutation(len(rows))
        ranks = np.empty(len(rows), dtype=np.int64)
        ranks[by_chance[np.argsort(rows[by_chance], kind="stable")]] = np.arange(len(rows))
    return ranks, missing, repeated


def _as_planned(pipe: Pipe, epoch: int, rows: Positions) -> bool | None:
    """Tell whether the rows came as the order says; None where nobody knows before a pass."""
    if not pipe.is_indexable:
        return None
    start = 0
    try:
        for _, part in origins_in(pipe.runnable, epoch):
            if not np.array_equal(part.rows, rows[start : start + len(part.rows)]):
                return False
            start += len(part.rows)
    except (NoRandomAccessError, UnknownLengthError):
        return None
    return start == len(rows)


def _measured(ranks: Positions, sizes: Positions, labels: Labels | None, *, is_once: bool) -> Iterator[Measure]:
    found = [
        None if labels is None else labels.effective_batch(sizes),
        effective_batch("effective batch by source", deciles(ranks), sizes, of="the source"),
        rank_correlation(ranks),
        displacement(ranks),
        neighbours(ranks, sizes)
        if is_once
        else None,  # of a row that comes twice it is not clear what its neighbours are
        span(ranks, sizes),
    ]
    yield from (measure for measure in found if measure is not None)
