"""All items in a new random order each epoch."""

from __future__ import annotations

from typing import Any, ClassVar, final

from fireworks._internal.seeds import check_seed
from fireworks.core.chunk import Span
from fireworks.core.pipe import Pipe
from fireworks.core.stages import OrderStage, stage_name
from fireworks.message.columns import Positions
from fireworks.order.keys import random_order
from fireworks.order.orders import Orders


@final
class Shuffle(OrderStage):
    """Put all items in a random order, exactly uniform, another one each epoch.

    The order is a function of the seed, the stage, the epoch and the number of items; see `random_order`. It needs 8
    bytes per item and no data.

    Args:
        input: Rows or batches with random access.
        seed: From 0 to 2**64 - 1. Neighbouring seeds and epochs are independent.
        name: A name for the stage, in place of ``shuffle:0``, that keys its draws.

    Raises:
        ValueError: there is no seed.
        NoRandomAccessError: the input is a stream.

    Example:
        >>> pipe = Shuffle(fw.source({"x": torch.arange(6)}), seed=0)
        >>> pipe.to_message()["x"].tolist()
        [4, 3, 2, 1, 5, 0]
    """

    random_kind: ClassVar[str | None] = "shuffle"

    def __init__(self, input: Pipe, seed: int, *, name: str | None = None) -> None:
        self.seed = check_seed(seed, where="shuffle")
        super().__init__(input)
        self.stage = stage_name(self.upstream, "shuffle", name)
        self._named = "" if name is None else f", name={name!r}"
        self._forget()

    def _forget(self) -> None:
        self._orders = Orders(self._compute)

    def _compute(self, epoch: int, count: int) -> Positions:
        return random_order(self.seed, self.stage, epoch, count)

    @property
    def order_varies(self) -> bool:
        return True

    def describe(self) -> str:
        return f"Shuffle(seed={self.seed}{self._named})"

    def num_items_out(self, num_items: int) -> int:
        return num_items

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:
        order = self._orders.of(epoch, num_items)
        if not isinstance(span, range):
            return order[span]
        if span.start <= num_items // 2 < span.stop:  # a pass is half through: the next one will be next
            self._orders.expect(epoch + 1, num_items)
        return order[span.start : span.stop]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_orders"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()
