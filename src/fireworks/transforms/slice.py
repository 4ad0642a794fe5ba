"""Some of the items, by their positions."""

from __future__ import annotations

import operator
from typing import final

import numpy as np

from fireworks.core.chunk import Chunk, Span
from fireworks.core.cursor import Cursor, State
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import OrderStage
from fireworks.errors import NoRandomAccessError


@final
class Slice(OrderStage):
    """Keep the items at the positions of a Python slice; works on streams too.

    Unlike ``pipe[start:stop]``, which returns the items, this is a pipe like any other, and nothing is read.

    Args:
        input: Rows or batches.
        start: The first position; None for the first of all. A negative one counts from the end.
        stop: The position before which to stop; None for no stop. A negative one counts from the end.
        step: Every how manyth item; backwards where it is negative. Not 0.

    Raises:
        ValueError: ``step`` is 0.
        TypeError: a bound is no int.
        NoRandomAccessError: a bound or the step is negative, and the input is a stream, whose end nobody knows.

    Example:
        >>> Slice(fw.source({"x": torch.arange(9)}), 1, -1, 3).to_message()["x"].tolist()
        [1, 4, 7]
    """

    def __init__(self, input: Pipe, start: int | None, stop: int | None, step: int = 1) -> None:
        super().__init__(input)
        self.bounds = slice(_bound(start, "start"), _bound(stop, "stop"), _bound(step, "step"))
        if not self.bounds.step:
            raise ValueError(f"slice: step must be an int other than 0; got {step!r}.")
        negative = any(bound is not None and bound < 0 for bound in (self.bounds.start, self.bounds.stop, step))
        if negative and not self.upstream.is_indexable:
            raise NoRandomAccessError(
                f"slice: {self._text()} counts from the end, and {input!r} is a stream, whose end is not known before it "
                "is reached. Use bounds from 0 on."
            )

    def _text(self) -> str:
        start, stop = ("" if bound is None else str(bound) for bound in (self.bounds.start, self.bounds.stop))
        return f"{start}:{stop}" + (f":{self.bounds.step}" if self.bounds.step != 1 else "")

    def describe(self) -> str:
        return f"Slice({self._text()})"

    def num_items_out(self, num_items: int) -> int:
        return len(range(num_items)[self.bounds])

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        chosen = range(num_items)[self.bounds]
        if isinstance(span, range) and chosen.step == 1:
            return range(chosen.start + span.start, chosen.start + span.stop)
        return chosen.start + chosen.step * np.asarray(span, dtype=np.int64)

    def open(self, cursor: Cursor, run: Run) -> Cursor:  # noqa: ARG002
        start, stop, step = self.bounds.start or 0, self.bounds.stop, self.bounds.step
        return SliceCursor(cursor, start, stop, step, counts_batches=self.is_batched)


def _bound(value: object, name: str) -> int | None:
    if value is None and name != "step":
        return None
    try:
        return operator.index(None if isinstance(value, bool) else value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"slice: {name} must be an int{'' if name == 'step' else ' or None'}; got {value!r}.") from None


class SliceCursor(Cursor):
    """A pass over a stream that hands out every ``step``-th item from ``start`` to before ``stop``."""

    def __init__(self, input: Cursor, start: int, stop: int | None, step: int, *, counts_batches: bool) -> None:
        self._input, self._stop, self._step, self._counts_batches = input, stop, step, counts_batches
        self._position = 0  # of the item that the input gives next
        self._wanted = start  # the item to hand out next

    def read(self, num_rows: int) -> Chunk | None:
        while self._stop is None or self._wanted < self._stop:
            limit = self._wanted + (num_rows - 1) * self._step + 1
            limit = limit if self._stop is None else min(limit, self._stop)
            chunk = self._input.read(limit - self._position)
            if chunk is None:
                return None
            first = self._wanted - self._position
            count = 1 if self._counts_batches else len(chunk.rows)
            self._position += count
            if first >= count:
                continue
            self._wanted += -(-(count - first) // self._step) * self._step
            if self._counts_batches:
                return chunk
            return chunk.cut(first, count) if self._step == 1 else chunk.take(np.arange(first, count, self._step))
        return None

    def state_dict(self) -> State:
        return {"input": self._input.state_dict(), "position": self._position, "wanted": self._wanted}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
        self._position, self._wanted = int(state["position"]), int(state["wanted"])
