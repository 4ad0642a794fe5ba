"""Some items of an input, found once: the same ones in every epoch, in the order of the input."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from fireworks.core.chunk import Span
from fireworks.core.pipe import Pipe
from fireworks.core.stages import OrderStage
from fireworks.message.columns import Positions


def require_same_order(input: Pipe, *, who: str) -> None:
    """Raise a ValueError where the rows of an input, or their order, change with every epoch."""
    if input.order_varies:
        raise ValueError(
            f"{who}: the order of its input changes with every epoch ({input!r}), so rows would wander between the parts. "
            "Split first, then shuffle each part."
        )


class Chosen(OrderStage):
    """Items at positions that a subclass works out by `choose`, once for a number of items.

    Args:
        input: Rows or batches with random access, in an order that does not change by epoch.

    Raises:
        NoRandomAccessError: the input is a stream.
        ValueError: the input's rows or their order change by epoch.
    """

    of_its_role: ClassVar[frozenset[str]] = frozenset({"choose", "who"})
    who: ClassVar[str]
    """The verb, for errors."""

    def __init__(self, input: Pipe) -> None:
        if isinstance(input, Pipe):
            input.flow.require_random_access(self.who, input)
        super().__init__(input)
        require_same_order(self.upstream, who=self.who)
        self._found: tuple[int, Span] | None = None  # of how many items, and which

    @abstractmethod
    def choose(self, num_items: int) -> Span:
        """Return which of ``num_items`` items these are, increasing."""

    def positions(self, num_items: int) -> Span:
        """Return which items these are, remembered."""
        if self._found is None or self._found[0] != num_items:  # a live table may have grown
            self._found = num_items, self.choose(num_items)
        return self._found[1]

    def require_some(self, why_none: Callable[[int], str]) -> None:
        """Raise a ValueError where no item is chosen, or there is none."""
        count = len(self.upstream)
        if not count:
            raise ValueError(
                f"{self.who}: its input has no rows ({self.upstream!r}); insert some, or loosen the filter before it."
            )
        if not self.num_items_out(count):
            raise ValueError(why_none(count))

    def least_bytes(self) -> int:
        """Return the bytes of the positions; 0 where the rows are in memory, which take more."""
        return 8 * len(self) if self.upstream.flow.base.reads_in_order else 0

    def num_items_out(self, num_items: int) -> int:
        return len(self.positions(num_items))

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        positions = self.positions(num_items)
        return positions[span.start : span.stop] if isinstance(span, range) else _at(positions, span)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_found": None}


def _at(positions: Span, span: Positions) -> Positions:
    found: Positions = positions.start + span if isinstance(positions, range) else positions[span]
    return found
