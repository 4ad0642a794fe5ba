"""What a pass over a pipe will do, as text: as it was written, as it runs, and what the optimiser did in between."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fireworks.core.flow import Barrier, Base, Flow, Order, read_rows
from fireworks.core.junction import Junction
from fireworks.core.links import inputs_of
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.source import SourceBase
from fireworks.core.stages import RowStage
from fireworks.plan.answer import Answer, answer
from fireworks.plan.columns import steers
from fireworks.plan.facts import CALLER, StageFacts, facts_of, where_it_runs
from fireworks.plan.optimise import Done, is_pushed, runnable
from fireworks.plan.shorten import bytes_text, shortened
from fireworks.plan.switch import is_on

if TYPE_CHECKING:
    from fireworks.core.expressions import Expression

_SHOWN_COLUMNS = 12


def explain(pipe: Pipe, method: str | None = None, *, count: bool = False) -> Plan | Answer:
    """Return the plan of a pipe, or who answers a method call; see `Pipe.explain`."""
    return answer(pipe, method) if method is not None else Plan(pipe, count=count)


@dataclass(frozen=True)
class Step:
    """One step of a pass as it runs, and how deep in the graph it stands."""

    kind: str
    text: str
    depth: int


class Plan:
    """What a pass over a pipe will do; prints as text, and as tables in a notebook.

    Nothing is run to make it. Rows are counted where no pass over data is needed, unless ``count`` asks for one.

    Args:
        pipe: Any pipe.
        count: Count rows even where that takes a pass over the data.

    Example:
        >>> data = fw.source({"x": torch.zeros(100, 4), "n": torch.arange(100)})
        >>> print(data.shuffle(seed=0).select("n").batch(32).explain())
        4 stages: 4 batches, 100 rows of 8 B, 800 B in all, random access
        <BLANKLINE>
        as written
        1  Memory(100 rows: x, n)
           100 rows of 24 B, 2.4 kB in all; read when asked for, 16,384 rows at a time
           x: float32[4] tensor, n: int64 tensor
        2  Shuffle(seed=0)
           100 rows of 24 B, 2.4 kB in all; moves row numbers; rows or their order new each epoch
           exactly uniform: each of the n! orders of n items is equally likely (random 64-bit keys are sorted; two are \
equal with a chance below n**2 / 2**65)
        3  Select(n)
           100 rows of 8 B, 800 B in all; on whatever is read at once, in the caller's thread
           n: int64 tensor
        4  Batch(32)
           4 batches, 100 rows of 8 B, 800 B in all
        <BLANKLINE>
        as it runs
        read   1 of 2 columns of Memory(100 rows: x, n): n
        order  Shuffle(seed=0): holds 8 bytes an item, 800 B
        done   Select(n): by what is read
        then   Batch(32)
        <BLANKLINE>
        optimised
        - columns: 1 of 2 columns of Memory(100 rows: x, n) is read: n.
    """

    def __init__(self, pipe: Pipe, *, count: bool = False) -> None:
        if not isinstance(count, bool):
            raise TypeError(f"explain: count is True or False; got {count!r:.60} of type {type(count).__name__}.")
        self.stages: list[StageFacts] = facts_of(pipe, count=count)
        flow = pipe.flow
        self.steps: list[Step] = list(_steps(pipe, flow, runnable(pipe), 0))
        self.rules: list[str] = list(dict.fromkeys(_rules(pipe)))
        self._pipe = pipe

    @property
    def summary(self) -> str:
        """The whole in one line."""
        last = self.stages[-1]
        access = "random access" if last.pipe.is_indexable else "a stream"
        return f"{_many(len({id(stage.pipe) for stage in self.stages}), 'stage')}: {_amount(last)}, {access}"

    def __str__(self) -> str:
        lines = [self.summary, "", "as written"]
        width = len(str(len(self.stages)))
        for stage in self.stages:
            lines += _stage_lines(stage, width)
        lines += ["", "as it runs"]
        kinds = max(len(step.kind) for step in self.steps)
        lines += [f"{'    ' * step.depth}{step.kind:<{kinds}}  {step.text}" for step in self.steps]
        lines += ["", "optimised" if _is_optimised(self._pipe) else "not optimised"]
        lines += [f"- {rule}" for rule in self.rules] or ["- nothing to do"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{stage.number}</td><td style='padding-left:{1 + stage.depth * 1.5}em;text-align:left'>"
            f"{html.escape(_title(stage))}</td><td style='text-align:left'>{html.escape(_amount(stage))}</td>"
            f"<td style='text-align:left'>{html.escape(_columns_text(stage) or '')}</td>"
            f"<td style='text-align:left'>{html.escape('; '.join(filter(None, (stage.runs, stage.varies, stage.guarantee))))}"
            "</td></tr>"
            for stage in self.stages
        )
        steps = "".join(
            f"<tr><td style='padding-left:{0.5 + step.depth * 1.5}em;text-align:left'>{html.escape(step.kind)}</td>"
            f"<td style='text-align:left'>{html.escape(step.text)}</td></tr>"
            for step in self.steps
        )
        rules = "".join(f"<li>{html.escape(rule)}</li>" for rule in self.rules) or "<li>nothing to do</li>"
        title = "Optimised" if _is_optimised(self._pipe) else "Not optimised"
        return (
            f"<p><b>{html.escape(self.summary)}</b></p><table><thead><tr><th></th><th>stage</th><th>gives</th><th>columns"
            f"</th><th>runs</th></tr></thead><tbody>{rows}</tbody></table><p><b>As it runs</b></p><table><tbody>{steps}"
            f"</tbody></table><p><b>{title}</b></p><ul>{rules}</ul>"
        )


def _is_optimised(pipe: Pipe) -> bool:
    return is_on() and "_as_written" not in pipe.__dict__


# --- as written -------------------------------------------------------------------------------------------------------


def _title(stage: StageFacts) -> str:
    name = f"{stage.component} = " if stage.component else ""
    if isinstance(stage.pipe, Junction):
        return f"{name}{type(stage.pipe).__name__} of {', '.join(stage.pipe.components)}"
    return name + shortened(stage.pipe.describe())


def _stage_lines(stage: StageFacts, width: int) -> Iterator[str]:
    indent = "    " * stage.depth
    again = f" (stage {stage.same_as} again)" if stage.same_as is not None else ""
    yield f"{indent}{stage.number:>{width}}  {_title(stage)}{again}"
    if stage.same_as is not None:
        return
    below = indent + " " * (width + 2)
    yield below + "; ".join(filter(None, (_amount(stage), stage.runs, stage.varies)))
    if stage.guarantee:
        yield below + stage.guarantee
    before = [part for part in inputs_of(stage.pipe) if not isinstance(stage.pipe, Junction)]
    from fireworks.plan.facts import columns_of

    if not before or columns_of(before[0]) != stage.columns:
        text = _columns_text(stage)
        if text:
            yield below + text


def _columns_text(stage: StageFacts) -> str | None:
    if stage.columns is None:
        return "columns: what the function returns" if isinstance(stage.pipe, RowStage) else None
    shown = [name if field is None else str(field) for name, field in stage.columns[:_SHOWN_COLUMNS]]
    more = len(stage.columns) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _amount(stage: StageFacts) -> str:
    of = "" if stage.row_bytes is None else f" of {bytes_text(stage.row_bytes)}"
    if stage.num_items is None:
        unknown = "rows not counted" if stage.pipe.is_indexable else "nobody knows how many rows"
        return unknown + (f",{of.removeprefix(' of')} each" if of else "")
    rows = "rows not counted" if stage.num_rows is None else f"{_many(stage.num_rows, 'row')}{of}"
    if of and stage.num_rows is not None and stage.row_bytes is not None:
        rows += f", {bytes_text(stage.num_rows * stage.row_bytes)} in all"
    return f"{_many(stage.num_items, 'batch')}, {rows}" if stage.pipe.is_batched else rows


def _many(count: int, noun: str) -> str:
    plural = noun if count == 1 else noun + ("es" if noun.endswith("ch") else "s")
    return f"{count:,} {plural}"


# --- as it runs -------------------------------------------------------------------------------------------------------


def _steps(pipe: Pipe, written: Flow, run: Flow, depth: int) -> Iterator[Step]:
    """Yield the steps of a flow as it runs, beside the same flow as it was written."""
    yield from _base_steps(pipe, written.base, run.base, depth)
    for order in run.orders:
        yield Step("order", f"{order_text(order, pipe)}{_holds(order, pipe)}", depth)
    stages = list(run.stages)
    for stage in [stage for stage in stages if isinstance(stage, Done)]:
        yield Step("done", f"{shortened(stage.stage.describe())}: by what is read", depth)
        stages.remove(stage)
    if stages:
        names = " → ".join(shortened(_stage_text(stage)) for stage in stages)
        grain = (
            "on each batch" if run.is_batched else f"on blocks of {run.grid:,} rows" if run.grid else "on what is read"
        )
        away = [
            f"{shortened(_stage_text(stage), 40)} {where}"
            for stage in stages
            if (where := where_it_runs(stage)) != CALLER
        ]
        yield Step("run", f"{names}: {grain}, {'; '.join(away) or CALLER}", depth)


def _stage_text(stage: Any) -> str:
    junction = getattr(
        stage, "_junction", None
    )  # what puts the components of a junction together is no pipe of the user's
    return (
        f"{type(junction).__name__} of {', '.join(junction.components)}"
        if isinstance(junction, Junction)
        else stage.describe()
    )


def _base_steps(pipe: Pipe, written: Base, run: Base, depth: int) -> Iterator[Step]:
    owner = next((stage for stage in reversed(list(chain(pipe))) if stage.flow.base is written), pipe)
    if isinstance(run, SourceBase):
        text = shortened(run.stands_for.describe())
        few, every = run.source.known_columns, run.stands_for.known_columns
        if few is not None and every is not None and len(few) < len(every):
            yield Step("read", f"{len(few)} of {_many(len(every), 'column')} of {text}: {', '.join(few)}", depth)
        else:
            yield Step("read", text, depth)
        return
    if isinstance(owner, Junction):
        for name, part, flow in _components(owner, run):
            yield Step("input", f"{name}:", depth)
            yield from _steps(part, part.flow, flow, depth + 1)
        yield Step("join", f"{type(owner).__name__} of {', '.join(owner.components)}", depth)
        return
    if isinstance(written, Barrier) and isinstance(run, Barrier):
        below = owner.input if owner.input is not None else owner
        yield from _steps(below, written.flow, run.flow, depth)
    yield Step("then", shortened(owner.describe()), depth)


def _components(junction: Junction, run: Base) -> Iterator[tuple[str, Pipe, Flow]]:
    """Yield the components of a junction: name, pipe, and the flow that runs inside of it."""
    parts = inputs_of(junction)
    held: list[Flow] = [
        flow
        for value in vars(run).values()
        if isinstance(value, (list, tuple, dict))
        for flow in (value.values() if isinstance(value, dict) else value)
        if isinstance(flow, Flow)
    ]
    flows = held if len(held) == len(parts) else [part.flow for part in parts]
    for name, part, flow in zip(junction.components, parts, flows, strict=True):
        yield name, part, flow if flow.stages else replace(flow, stages=part.flow.stages)


def order_text(order: Order, pipe: Pipe) -> str:
    """Return an order as the stage describes itself that brought it into the chain of a pipe."""
    if isinstance(order, Pipe):
        return shortened(order.describe())
    stage = _filter_of(order)
    if stage is None:
        stage = next((owner for owner in reversed(list(chain(pipe))) if order in owner.flow.orders), None)
    if stage is None:
        return type(order).__name__.lstrip("_")
    return type(stage).__name__ if isinstance(stage, Junction) else shortened(stage.describe())


def _filter_of(order: Order) -> Any:
    return getattr(order, "_filter", None)


def _is_read_through(order: Pipe) -> bool:
    """Tell whether the rows before an order come one after the other only, or much cheaper so."""
    flow = order.upstream.flow
    return not flow.is_batched and (flow.base.reads_in_order or not flow.is_indexable)


def _holds(order: Order, pipe: Pipe) -> str:
    if isinstance(order, Pipe):
        if order.random_kind is None:
            return ""
        if order.scatters and _is_read_through(order):
            return ": reads all rows once, into memory where the budget has room, else into piles on disk"
        try:
            from fireworks.plan.facts import is_counted

            size = f", {bytes_text(8 * len(order))}" if is_counted(order) else ""
        except Exception:  # noqa: BLE001 (an estimate)
            size = ""
        return f": holds 8 bytes an item{size}"
    stage, flow = _filter_of(order), getattr(order, "_flow", None)
    if stage is None or flow is None:
        return ""
    if "_as_written" not in pipe.__dict__ and is_pushed(flow, getattr(stage, "expression", None)):
        return ": found by the source; holds 8 bytes a row"
    return ": found in one pass, and kept; holds 8 bytes a row"


# --- what the optimiser did -------------------------------------------------------------------------------------------


def _rules(pipe: Pipe) -> Iterator[str]:
    """Yield a sentence for each thing that is done otherwise than it is written."""
    for stage in chain(pipe):
        if isinstance(stage, Junction):
            base = _below(runnable(pipe)).base
            for _, part, flow in _components(stage, base):
                yield from _flow_rules(part, part.flow, flow, _is_optimised(pipe))
                yield from _order_rules(part)
    yield from _flow_rules(pipe, pipe.flow, runnable(pipe), _is_optimised(pipe))
    yield from _order_rules(pipe)


def _below(flow: Flow) -> Flow:
    """Return the flow at the bottom of all barriers."""
    while isinstance(flow.base, Barrier):
        flow = flow.base.flow
    return flow


def _flow_rules(pipe: Pipe, written: Flow, run: Flow, is_optimised: bool) -> Iterator[str]:  # noqa: FBT001
    if isinstance(written.base, Barrier) and isinstance(run.base, Barrier):
        yield from _flow_rules(pipe, written.base.flow, run.base.flow, is_optimised)
    if isinstance(run.base, SourceBase) and run.base.source is not run.base.stands_for:
        few, every = run.base.source.known_columns or [], run.base.stands_for.known_columns or []
        text = shortened(run.base.stands_for.describe())
        are = "is" if len(few) == 1 else "are"
        yield f"columns: {len(few)} of {_many(len(every), 'column')} of {text} {are} read: {', '.join(few)}."
    for order in run.orders:
        stage, flow = _filter_of(order), getattr(order, "_flow", None)
        expression: Expression | None = getattr(stage, "expression", None)
        if expression is None or flow is None or not is_optimised:
            continue
        if is_pushed(flow, expression):
            yield f"filter: {order_text(order, pipe)} is found by the source, which reads what it must."
        else:
            yield f"filter: the pass that finds {order_text(order, pipe)} reads {', '.join(expression.columns)} where it can."
    real = [stage for stage in run.stages if not (isinstance(stage, Done) or steers(stage))]
    real = real if all(where_it_runs(stage) == CALLER for stage in real) else []
    if len(real) > 1:
        unit = "batch" if run.is_batched else "block"
        yield f"fused: {_names(real)} run one after the other on each {unit}, nothing is kept between them."


def _names(stages: list[Any]) -> str:
    return ", ".join(shortened(_stage_text(stage), 40) for stage in stages)


def _order_rules(pipe: Pipe) -> Iterator[str]:
    """Yield which row stages run behind an order that is written behind them."""
    waiting: list[RowStage] = []
    for stage in reversed(list(chain(pipe))):
        if isinstance(stage, RowStage) and not stage.drops_rows:
            waiting.append(stage)
        elif isinstance(stage, Order) and waiting and stage.flow.orders and stage.flow.orders[-1] is stage:
            late = [other for other in waiting if other in stage.flow.stages]
            if late:
                yield f"work behind orders: {_names(late)} run behind {shortened(stage.describe(), 40)}."


def read_bytes(flow: Flow) -> int:
    """Return how many bytes are read at a time, by the schema of the source."""
    return read_rows(flow.base.row_bytes) * flow.base.row_bytes
