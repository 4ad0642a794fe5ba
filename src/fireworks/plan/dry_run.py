"""A few rows through every branch before the long run: what breaks, what would be wrong, how much there will be."""

from __future__ import annotations

import copy
import html
import itertools
import json
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, final

import numpy as np
from torch import nn

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, join
from fireworks.core.flow import Barrier, Flow, read_rows
from fireworks.core.iterator import PipeIterator
from fireworks.core.junction import Junction
from fireworks.core.links import inputs_of
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.source import Source
from fireworks.core.stages import OrderStage, RowStage
from fireworks.errors import DryRunError, FireworksError
from fireworks.message import Message, Schema
from fireworks.plan.facts import facts_of, is_counted
from fireworks.plan.neighbours import cuts, differing_column
from fireworks.plan.pickles import why_not_picklable
from fireworks.plan.sample import nothing_left_behind, sampled
from fireworks.plan.shorten import bytes_text, shortened

_FEWEST_SEEN = 1024  # rows of a source that a filter may look through for the few that are wanted
_STATE_ITEMS = 2


@dataclass
class Tried:
    """What became of one stage.

    Args:
        stage: Its text.
        status: ``ok``, ``warning``, ``error`` or ``skipped``.
        findings: What was found, one sentence each.
        schema: The columns behind it, as real rows have them.
        rows_in: Rows that went in.
        rows_out: Rows that came out.
        seconds: How long it worked.
    """

    stage: str
    built_at: str
    status: str = "ok"
    findings: list[str] = field(default_factory=list)
    schema: Schema | None = None
    rows_in: int = 0
    rows_out: int = 0
    seconds: float = 0.0

    def found(self, status: str, finding: str) -> None:
        """Note a finding; an error outweighs a warning."""
        self.findings.append(finding)
        if self.status != "error":
            self.status = status


@final
class Report:
    """What a dry run found; prints as text, and as a table in a notebook.

    Example:
        >>> pipe = fw.source({"x": torch.arange(8.0)}).map(lambda rows: rows.assign(x=rows["x"] - rows["x"].mean()))
        >>> report = pipe.dry_run()
        >>> report.ok, [tried.status for tried in report.stages]
        (False, ['ok', 'warning'])
        >>> print(report.warnings[-1][:56])
        Map(<lambda>): a row's result depends on its neighbours:
    """

    def __init__(
        self, stages: list[Tried], overall: list[tuple[str, str]], estimates: dict[str, str], seconds: float
    ) -> None:
        self.stages, self.overall, self.estimates, self.seconds = stages, overall, estimates, seconds

    @property
    def errors(self) -> list[str]:
        """Sentences of what would stop the run."""
        return self._of("error")

    @property
    def warnings(self) -> list[str]:
        """Sentences of what may be wrong."""
        return self._of("warning")

    def _of(self, status: str) -> list[str]:
        found = [f"{tried.stage}: {text}" for tried in self.stages if tried.status == status for text in tried.findings]
        return found + [text for kind, text in self.overall if kind == status]

    @property
    def ok(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return not self.errors and not self.warnings

    def __str__(self) -> str:
        verdict = "ok" if self.ok else f"{_many(len(self.errors), 'error')}, {_many(len(self.warnings), 'warning')}"
        lines = [f"dry run: {verdict} ({self.seconds:.2g} s)", ""]
        width = max(len(tried.status) for tried in self.stages)
        for tried in self.stages:
            amount = f"  {tried.rows_in} rows in, {tried.rows_out} out" if tried.status != "skipped" else ""
            lines.append(f"{tried.status:<{width}}  {tried.stage}{amount}")
            lines += [" " * (width + 2) + "! " + text for text in tried.findings]
            if tried.schema is not None:
                lines.append(" " * (width + 2) + ", ".join(map(str, tried.schema)))
        lines += [f"{kind:<{width}}  {text}" for kind, text in self.overall]
        lines += ["", *(f"{name}: {text}" for name, text in self.estimates.items())]
        return "\n".join(lines).rstrip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{tried.status}</td><td style='text-align:left'>{html.escape(tried.stage)}</td><td>{tried.rows_in}</td>"
            f"<td>{tried.rows_out}</td><td style='text-align:left'>"
            f"{html.escape(', '.join(map(str, tried.schema)) if tried.schema is not None else '')}</td>"
            f"<td style='text-align:left'>{'<br>'.join(map(html.escape, tried.findings))}</td></tr>"
            for tried in self.stages
        )
        more = "".join(f"<li>{html.escape(f'{kind}: {text}')}</li>" for kind, text in self.overall)
        more += "".join(f"<li>{html.escape(f'{name}: {text}')}</li>" for name, text in self.estimates.items())
        return (
            "<table><thead><tr><th></th><th>stage</th><th>rows in</th><th>rows out</th><th>columns</th><th>findings</th></tr>"
            f"</thead><tbody>{rows}</tbody></table><ul>{more}</ul>"
        )


def dry_run(pipe: Pipe, rows: int = 64, *, strict: bool = False, seconds: float = 1.0) -> Report:
    """Send a few real rows through every branch of a pipe, and report what a long run would trip over.

    Each stage gets the rows that the one before gave; order, batches and repetitions let them pass. It checks that
    functions run and return messages, that row maps give a row the same result on another grid of blocks (seeded ones
    draw by block, so they are left out), that every stage pickles, and that the state of a pass survives JSON and goes on
    with the very next item. Rows, bytes and peak memory of a whole pass are estimated from the rows seen.

    No epoch begins, and generators of random numbers and buffers of models are put back; what a function of yours does
    elsewhere stays done.

    Args:
        pipe: Any pipe.
        rows: How many rows of each source are tried.
        strict: Raise where an error or a warning is found.
        seconds: Begin no further check after so long. A function that is running is not interrupted.

    Raises:
        ValueError: ``rows`` is below 1, or ``seconds`` is not positive.
        DryRunError: ``strict``, and something was found; its text is the report, and ``report`` the report itself.

    Example:
        >>> data = fw.source({"x": torch.rand(1000, 3)})
        >>> report = data.shuffle(seed=0).batch(100).dry_run()
        >>> report.ok, report.estimates["rows"]
        (True, '1,000')
    """
    check_count(rows, at_least=1, where="dry_run: rows")
    given: Any = seconds
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not given > 0:
        raise ValueError(f"dry_run: seconds must be a positive number; got {given!r:.60}.")
    report = _DryRun(pipe, rows, perf_counter() + seconds).report()
    if strict and not report.ok:
        raise DryRunError(str(report), report=report)
    return report


class _DryRun:
    def __init__(self, pipe: Pipe, num_rows: int, deadline: float) -> None:
        self._pipe, self._num_rows, self._deadline = pipe, num_rows, deadline
        self._started = perf_counter()
        self._tried: dict[int, Tried] = {}
        self._chunks: dict[int, Chunk | None] = {}
        self._graph = [facts.pipe for facts in facts_of(pipe) if facts.same_as is None]
        self._overall: list[tuple[str, str]] = []

    def report(self) -> Report:
        """Try everything while there is time."""
        with nothing_left_behind(_modules(self._graph)):
            for stage in self._graph:
                self._try(stage)
            if not any(tried.status == "error" for tried in self._tried.values()):
                self._try_state()
        late = sum(tried.status == "skipped" for tried in self._tried.values())
        if self._is_late():
            self._overall.append(("late", f"time was up; {_many(late, 'stage')} not tried. Give it more: seconds=…"))
        return Report(list(self._tried.values()), self._overall, self._estimates(), perf_counter() - self._started)

    def _is_late(self) -> bool:
        return perf_counter() > self._deadline

    # --- stage by stage -------------------------------------------------------------------------------------------

    def _try(self, stage: Pipe) -> None:
        tried = self._tried[id(stage)] = Tried(shortened(_text(stage)), stage.built_at)
        self._chunks[id(stage)] = None
        before = [self._chunks[id(part)] for part in inputs_of(stage)]
        if None in before:
            tried.status = "skipped"
            tried.findings.append("not tried, for what it reads from failed.")
            return
        if self._is_late():
            tried.status = "skipped"
            return
        reason = why_not_picklable(stage)
        if reason is not None:
            tried.found(
                "warning",
                f"it does not pickle, so it can't work in another process or be saved: {shortened(reason, 160)}.",
            )
        tried.rows_in = sum(len(chunk.rows) for chunk in before if chunk is not None)
        started = perf_counter()
        try:
            chunk = self._run(stage, before[0] if len(before) == 1 else None)
        except Exception as error:  # noqa: BLE001 (whatever a function raises is a finding)
            notes = [note for note in getattr(error, "__notes__", []) if "rows" in note][:1]
            tried.found("error", f"{type(error).__name__}: {shortened(str(error), 300)} {' '.join(notes)}".strip())
            return
        tried.seconds = perf_counter() - started
        self._chunks[id(stage)] = chunk
        tried.rows_out, tried.schema = len(chunk.rows), chunk.message.schema
        tried.rows_in = tried.rows_in or tried.rows_out
        if not len(chunk.rows) and tried.rows_in:
            tried.found("warning", f"none of the first {tried.rows_in} rows is left behind it.")
        if isinstance(stage, Source) and stage.random_access:
            _check_schema(stage, chunk.message, tried)
        if before and before[0] is not None and not isinstance(stage, Junction) and not self._is_late():
            _check_neighbours(stage, before[0], chunk, tried)

    def _run(self, stage: Pipe, before: Chunk | None) -> Chunk:
        """Return what becomes of a few rows at a stage."""
        if before is not None and isinstance(stage, RowStage):
            return stage.process(before, Run(0), 0)
        if before is not None and (isinstance(stage, OrderStage) or _passes(stage)):
            return before.cut(0, getattr(stage, "batch_rows", len(before.rows)))
        return self._first(sampled(stage.flow, max(_FEWEST_SEEN, 16 * self._num_rows)))

    def _first(self, flow: Flow) -> Chunk:
        chunks: list[Chunk] = []
        missing = self._num_rows
        if flow.is_indexable:
            num_items = flow.num_items()
            for chunk in flow.pieces(range(min(missing, num_items)), Run(0)):
                chunks.append(chunk.cut(0, missing))
                missing -= len(chunks[-1].rows)
                if missing <= 0:
                    break
        else:
            cursor = flow.open(Run(0))
            while missing > 0 and (part := cursor.read(missing)) is not None:
                chunks.append(part.cut(0, missing))
                missing -= len(chunks[-1].rows)
        return join(chunks) if chunks else Chunk(flow.no_rows(), np.empty(0, dtype=np.int64))

    # --- the state of a pass --------------------------------------------------------------------------------------

    def _try_state(self) -> None:
        """Check that a state survives JSON and goes on with the very next item."""
        if self._is_late():
            return
        last = self._tried[id(self._pipe)]
        try:
            running = PipeIterator(self._trial(), 0)
            list(itertools.islice(running, 1))
            state = running.state_dict()
            saved = json.loads(json.dumps(state))
            following = list(itertools.islice(running, _STATE_ITEMS))
            again = PipeIterator(self._trial(), 0)
            again.load_state_dict(saved)
            if list(itertools.islice(again, _STATE_ITEMS)) != following:
                last.found("error", "a pass that is resumed from its saved state goes on with other items.")
        except TypeError as error:
            last.found("error", f"the state of a pass does not survive JSON: {shortened(str(error), 200)}")
        except FireworksError as error:
            last.found("warning", f"the state of a pass was not tried: {shortened(str(error), 200)}")
        except Exception as error:  # noqa: BLE001 (whatever a function raises is a finding)
            last.found("error", f"a pass fails: {type(error).__name__}: {shortened(str(error), 200)}")

    def _trial(self) -> Pipe:
        """Return a copy of the pipe over the first rows, so that the pipe itself notices nothing."""
        made = copy.copy(self._pipe)
        made.__dict__.pop("_runnable", None)
        made.__dict__["flow"] = sampled(self._pipe.flow, max(_FEWEST_SEEN, 4 * self._num_rows))
        return made

    # --- how much there will be -----------------------------------------------------------------------------------

    def _estimates(self) -> dict[str, str]:
        found: dict[str, str] = {}
        chunk = self._chunks.get(id(self._pipe))
        num_rows, is_exact = self._rows_in_all(self._pipe)
        if num_rows is not None:
            found["rows"] = f"{num_rows:,}" if is_exact else f"about {num_rows:,}"
        if chunk is not None and len(chunk.rows):
            row_bytes = _bytes_of(chunk.message) / len(chunk.rows)
            found["bytes"] = f"{bytes_text(row_bytes)} a row"
            if num_rows is not None:
                found["bytes"] += f", {bytes_text(row_bytes * num_rows)} in all"
        found["peak memory"] = f"about {bytes_text(self._peak())} besides the data that is in memory already"
        return found

    def _rows_in_all(self, stage: Pipe) -> tuple[int | None, bool]:
        """Return the rows of a whole pass, and whether they are counted or scaled up from the rows seen."""
        if is_counted(stage):
            try:
                return stage.num_rows, True
            except (FireworksError, NotImplementedError):
                return None, False
        if not stage.is_indexable or not inputs_of(stage):
            return None, False
        if isinstance(stage, Junction):  # side by side; who puts rows together otherwise has told its length above
            return (
                self._rows_in_all(inputs_of(stage)[0]) if type(stage).combine is not Junction.combine else (None, False)
            )
        below, _ = self._rows_in_all(inputs_of(stage)[0])
        tried = self._tried.get(id(stage))
        if below is None or tried is None or not tried.rows_in:
            return None, False
        if isinstance(stage, OrderStage) and not stage.is_batched:
            return stage.num_items_out(below), False
        if isinstance(stage, RowStage):
            return round(below * tried.rows_out / tried.rows_in), False
        return below * int(getattr(stage, "times", 1)), False

    def _peak(self) -> float:
        """Return what a pass holds at once: what is read ahead, the widest block with what becomes of it, the orders."""
        held, widest = 0.0, 0.0
        for stage in self._graph:
            chunk = self._chunks.get(id(stage))
            row = _bytes_of(chunk.message) / len(chunk.rows) if chunk is not None and len(chunk.rows) else 0.0
            if isinstance(stage, Source):
                held += read_rows(stage.flow.base.row_bytes) * row
            elif isinstance(stage, OrderStage) or (isinstance(stage, RowStage) and stage.drops_rows):
                count, _ = self._rows_in_all(stage)
                held += 8.0 * (count or 0) * (1 if stage.random_kind is None else 2)
            else:
                widest = max(widest, row * _rows_at_once(stage))
        return held + 2 * widest


def _rows_at_once(stage: Pipe) -> int:
    return int(getattr(stage, "batch_rows", 0)) or max(stage.flow.grid, 1)


def _passes(stage: Pipe) -> bool:
    """Tell whether a stage is a barrier that lets rows pass as they are."""
    from fireworks.plan.columns import passes_columns

    return isinstance(stage.flow.base, Barrier) and not stage.flow.stages and passes_columns(stage.flow.base)


def _text(stage: Pipe) -> str:
    return (
        f"{type(stage).__name__} of {', '.join(stage.components)}" if isinstance(stage, Junction) else stage.describe()
    )


def _check_schema(source: Source, message: Message, tried: Tried) -> None:
    """Check that a source gives what its schema says."""
    for stated in source.schema:
        if stated.name not in message:
            tried.found("error", f"its schema has {stated.name!r}, and its rows have not.")
            return
        actual = message.schema[stated.name]
        if stated != actual and len(message):
            tried.found("warning", f"its schema says {stated}, and its rows have {actual}.")
            return


def _check_neighbours(stage: Pipe, before: Chunk, after: Chunk, tried: Tried) -> None:
    """Warn where a row map gives a row another result among other rows."""
    is_map = isinstance(stage, RowStage) and stage.on_grid and not stage.drops_rows and not stage.is_batched
    if not is_map or stage.random_kind is not None or len(before.rows) < 2 or len(after.rows) < len(before.rows):
        return
    assert isinstance(stage, RowStage)  # noqa: S101 (said above; for mypy)
    try:
        parts = [stage.process(before.cut(*ends), Run(0), 0).message for ends in cuts(len(before.rows))]
        column = differing_column(after.message, parts)
    except Exception as error:  # noqa: BLE001 (whatever a function raises is a finding)
        tried.found("warning", f"it fails where the rows come in other blocks: {type(error).__name__}: {error}")
        return
    if column is not None:
        tried.found(
            "warning",
            f"a row's result depends on its neighbours: column {column!r} differs where the rows come in other blocks. "
            "Compute what they share first, as Normalize does, or batch and map batches.",
        )


def _modules(stages: list[Pipe]) -> list[nn.Module]:
    candidates = [part for stage in stages for part in (stage, getattr(stage, "function", None))]
    return [part for part in candidates if isinstance(part, nn.Module)]


def _bytes_of(message: Message) -> int:
    total = 0
    for name in message.columns:
        column = message.raw(name)
        total += int(getattr(column, "nbytes", 0)) or message.schema[name].row_bytes * len(message)
    return total


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
