"""The first few items."""

from __future__ import annotations

from typing import final

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, Span
from fireworks.core.cursor import Cursor, State
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import OrderStage


@final
class Take(OrderStage):
    """Keep the first ``num_items`` items, all of them where there are fewer; works on streams too.

    Args:
        input: Rows or batches.
        num_items: Rows, or batches behind ``batch``. At least 0.

    Raises:
        ValueError: ``num_items`` is negative.

    Example:
        >>> Take(fw.source({"x": torch.arange(5)}), 2).to_message()["x"].tolist()
        [0, 1]
    """

    def __init__(self, input: Pipe, num_items: int) -> None:
        super().__init__(input)
        self.num_items = check_count(num_items, at_least=0, where="take: num_items")

    def describe(self) -> str:
        return f"Take({self.num_items})"

    def num_items_out(self, num_items: int) -> int:
        return min(self.num_items, num_items)

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        return span

    def open(self, cursor: Cursor, run: Run) -> Cursor:  # noqa: ARG002
        return _TakeCursor(cursor, self.num_items, counts_batches=self.is_batched)


class _TakeCursor(Cursor):
    """A pass over a stream that ends after some items."""

    def __init__(self, input: Cursor, num_items: int, *, counts_batches: bool) -> None:
        self._input, self._left, self._counts_batches = input, num_items, counts_batches

    def read(self, num_rows: int) -> Chunk | None:
        chunk = self._input.read(min(num_rows, self._left)) if self._left else None
        if chunk is not None:
            self._left -= 1 if self._counts_batches else len(chunk.rows)
        return chunk

    def state_dict(self) -> State:
        return {"input": self._input.state_dict(), "left": self._left}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
        self._left = int(state["left"])
