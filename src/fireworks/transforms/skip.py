"""All but the first few items."""

from __future__ import annotations

from typing import final

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Span
from fireworks.core.cursor import Cursor
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import OrderStage
from fireworks.transforms.slice import SliceCursor


@final
class Skip(OrderStage):
    """Leave the first ``num_items`` items out, all of them where there are fewer; works on streams too.

    A stream is read up to there all the same: nobody can tell where an item begins before those in front of it.

    Args:
        input: Rows or batches.
        num_items: Rows, or batches behind ``batch``. At least 0.

    Raises:
        ValueError: ``num_items`` is negative.

    Example:
        >>> Skip(fw.source({"x": torch.arange(5)}), 3).to_message()["x"].tolist()
        [3, 4]
    """

    def __init__(self, input: Pipe, num_items: int) -> None:
        super().__init__(input)
        self.num_items = check_count(num_items, at_least=0, where="skip: num_items")

    def describe(self) -> str:
        return f"Skip({self.num_items})"

    def num_items_out(self, num_items: int) -> int:
        return max(0, num_items - self.num_items)

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        if isinstance(span, range):
            return range(span.start + self.num_items, span.stop + self.num_items)
        return span + self.num_items

    def open(self, cursor: Cursor, run: Run) -> Cursor:  # noqa: ARG002
        return SliceCursor(cursor, self.num_items, None, 1, counts_batches=self.is_batched)
