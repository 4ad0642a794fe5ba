"""Some of the rows."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from fireworks._internal.lazy import load
from fireworks.core.chunk import Chunk, Span, recut
from fireworks.core.expressions import Comparison, Expression, Value, parse
from fireworks.core.expressions import comparison as column_comparison
from fireworks.core.failures import note_place
from fireworks.core.flow import Flow, Order, block_rows
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, Thinned, require_columns
from fireworks.errors import ExpressionError
from fireworks.message import Message
from fireworks.message.columns import Positions
from fireworks.transforms.mapped import function_name
from fireworks.transforms.predicate import from_arrow, from_expression, from_function

if TYPE_CHECKING:
    import pyarrow.compute as pc

_NULL = Value(None)


def _expression(predicate: object, comparison: tuple[Any, ...]) -> Expression | None:
    if isinstance(predicate, str):
        return column_comparison(predicate, comparison[0], comparison[1:]) if comparison else _parsed(predicate)
    return predicate if isinstance(predicate, Expression) and not comparison else None


def _is_arrow(predicate: object) -> bool:
    compute = sys.modules.get("pyarrow.compute")  # whoever has an expression has loaded it
    return compute is not None and isinstance(predicate, compute.Expression)


def _parsed(text: str) -> Expression:
    """Read a text; what can never be true is a slip of the pen.

    Raises:
        ExpressionError: something is compared with null.
    """
    expression = parse(text)
    waiting = [expression]
    while waiting:
        part = waiting.pop()
        waiting += part.children
        if isinstance(part, Comparison) and _NULL in (part.left, part.right):
            other = part.right if part.left == _NULL else part.left
            negated = "not " if part.operator == "!=" else ""
            found = re.search("null|none|nan", text, re.IGNORECASE)
            raise ExpressionError(
                f"filter: a comparison with null is never true; write: {other} is {negated}null.",
                text,
                found.start() if found else 0,
            )
    return expression


@final
class Filter(RowStage):
    """Keep the rows that satisfy a predicate.

    Where the input is the same in every epoch the filter has random access: the rows that it keeps are found in one
    pass, when they are first needed, and remembered. Where it is not (behind a shuffle or a seeded map) the filter is a
    stream, whose length nobody knows. Behind ``batch`` it thins out each batch, which may leave a batch empty.

    Null and NaN are unknown, in every way of writing it: what is compared or computed with them is unknown too, and a row
    is kept only where the whole is true. So ``!=`` and ``not in`` drop null. Division by zero is unknown. Integers are
    exact, whatever their size. A single number with a point is brought to the precision of the column that it is compared
    with, so that ``x == 0.1`` finds 0.1 in float32. ``/`` of integers is a float, ``//`` and ``%`` round down, as in Python.

    Args:
        input: Rows or batches.
        predicate: One of four. A text: ``"label >= 0 and not (word in ['a', 'b'] or x is null)"``; see `parse`. The name
            of a column, with ``comparison``. A function from a message to one boolean per row. Or an expression of
            ``pyarrow.compute``, to which NaN is null too; its ``isin`` alone calls null no member, so ``~isin`` keeps it.
        comparison: With a column: an operator and its values, ``("x", "between", 1, 3)``; see `condition`.

    Raises:
        ExpressionError: the text can't be read; the error shows where.
        TypeError: the predicate is none of these, or does not say true or false.
        ColumnNotFoundError: there is no such column.
        ColumnTypeError: a column can't be compared with what it is compared with.

    Example:
        >>> data = fw.source({"x": torch.arange(5), "y": [0.0, None, 2.0, 3.0, 4.0]})
        >>> Filter(data, "x % 2 == 0 and y < 4").to_message()["x"].tolist()
        [0, 2]
        >>> Filter(data, "x", "between", 1, 3).to_message()["x"].tolist()
        [1, 2, 3]
        >>> len(Filter(data, lambda rows: rows["x"] % 2 == 0))
        3
    """

    drops_rows = True
    expression: Expression | None
    """What is kept, as data; None where it is a function or an expression of Arrow."""

    def __init__(
        self, input: Pipe, predicate: Callable[[Message], Any] | pc.Expression | Expression | str, *comparison: Any
    ) -> None:
        super().__init__(input)
        self.expression = _expression(predicate, comparison)
        if self.expression is not None:
            require_columns(self.upstream, self.expression.columns, who="filter")
            self._predicate, self._text = from_expression(self.expression), str(self.expression)
        elif _is_arrow(predicate) and not comparison:
            self._predicate, self._text = from_arrow(cast("pc.Expression", predicate)), " ".join(str(predicate).split())
        elif callable(predicate) and not comparison:
            self._text = function_name(predicate)
            self._predicate = from_function(predicate, who="filter")
        else:
            raise TypeError(
                "filter: expected a text such as 'x >= 0', a function, an expression of pyarrow.compute, or a column, an "
                f"operator and values as in filter('x', '>=', 0); got {(predicate, *comparison)!r:.80}."
            )

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    @property
    def order_varies(self) -> bool:
        return self.upstream.order_varies or self.upstream.values_vary

    def describe(self) -> str:
        return f"Filter({self._text})"

    def transform(self, rows: Message) -> Message:
        return rows.take(np.flatnonzero(self._predicate(rows)))

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        mask = self._predicate(chunk.message)
        return chunk if mask.all() else chunk.take(np.flatnonzero(mask))

    def make_flow(self) -> Flow:
        flow = self.upstream.flow
        if flow.is_batched:
            return flow.staged(self)
        if flow.is_indexable and not self.order_varies:
            return flow.ordered(_Kept(self, flow))
        return Flow(Thinned(flow, self))

    def planned_rows(self) -> tuple[int, int] | None:
        kept = self.flow.orders[-1] if self.flow.orders else None
        found = kept.found if isinstance(kept, _Kept) else None
        return None if found is None else (found[0], len(found[1]))

    def kept(self, flow: Flow, num_items: int) -> Positions:
        """Return the positions in the input of the rows that are kept, of the first ``num_items``; reads them once.

        ``flow`` is the input's, as it was when this filter was put on it: a live table gives another each time.
        """
        if self.expression is not None:  # the source may know, or the pass may read less
            known = load("plan.optimise.found")(flow, self.expression, self._predicate, num_items)
            if known is not None:
                return cast("Positions", known)
            flow = load("plan.optimise.for_finding")(flow, self.expression)
        start, found = 0, []
        run = Run(0)
        for number, block in enumerate(recut(flow.pieces(range(num_items), run), block_rows(flow.base.row_bytes))):
            try:
                mask = self._predicate(block.message)
            except Exception as error:
                note_place(error, self, block, run, number)
                raise
            found.append(start + np.flatnonzero(mask))
            start += len(block.rows)
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


class _Kept(Order):
    """The order that leaves out what a filter drops."""

    def __init__(self, filter: Filter, flow: Flow) -> None:
        self._filter, self._flow = filter, flow
        self._found: tuple[int, Positions] | None = None  # of how many rows, and which

    @property
    def found(self) -> tuple[int, Positions] | None:
        """Of how many rows the kept ones were found, and where they stand; None before."""
        return self._found

    def _positions(self, num_items: int) -> Positions:
        if self._found is None or self._found[0] != num_items:  # a live table may have grown
            self._found = num_items, self._filter.kept(self._flow, num_items)
        return self._found[1]

    def num_items_out(self, num_items: int) -> int:
        return len(self._positions(num_items))

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        positions = self._positions(num_items)
        return positions[span.start : span.stop] if isinstance(span, range) else positions[span]
