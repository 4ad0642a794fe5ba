"""All items in a new random order each epoch."""

from __future__ import annotations

from typing import Any, ClassVar, final

from fireworks._internal.seeds import check_seed
from fireworks.core.chunk import Span
from fireworks.core.cursor import Cursor
from fireworks.core.needs import chunk_bytes
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import OrderStage, stage_name
from fireworks.message.columns import Positions
from fireworks.order.keys import part_of_order, random_order
from fireworks.order.orders import Orders
from fireworks.order.scatter import KeyScatter

# A few items of a long order are found without making, and keeping, all of it.
_LONG, _FEW = 2**22, 2**11


@final
class Shuffle(OrderStage):
    """Put all items in a random order, exactly uniform, another one each epoch.

    The order is a function of the seed, the stage, the epoch and the number of items; see `random_order`. What is in memory
    already is gathered. Files that are read in order, and streams, are read once: into memory where the memory budget has
    room, else into piles in a scratch folder, from which the rows are handed out in the same order.

    Args:
        input: Rows, also of a stream; or batches with random access.
        seed: From 0 to 2**64 - 1. Neighbouring seeds and epochs are independent.
        name: A name for the stage, in place of ``shuffle:0``, that keys its draws.

    Raises:
        ValueError: there is no seed.
        NoRandomAccessError: the input is a stream of batches.
        DiskSpaceError: the scratch folder has not enough room.

    Example:
        >>> pipe = Shuffle(fw.source({"x": torch.arange(6)}), seed=0)
        >>> pipe.to_message()["x"].tolist()
        [4, 3, 2, 1, 5, 0]
    """

    random_kind: ClassVar[str | None] = "shuffle"
    guarantee: str | None = (
        "exactly uniform: each of the n! orders of n items is equally likely (random 64-bit keys are sorted; two are equal with "
        "a chance below n**2 / 2**65)"
    )
    scatters: bool = True

    def __init__(self, input: Pipe, seed: int, *, name: str | None = None) -> None:
        self.seed = check_seed(seed, where="shuffle")
        super().__init__(input)
        if self.upstream.is_batched:
            self.upstream.flow.require_random_access("shuffle of batches", self.upstream)
        self.stage = stage_name(self.upstream, "shuffle", name)
        self._named = "" if name is None else f", name={name!r}"
        self._forget()

    def _forget(self) -> None:
        self._orders = Orders(self._compute)
        self._looked_at: int | None = None

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
        if num_items >= _LONG and isinstance(span, range) and 0 < len(span) <= _FEW and self._is_first_look(epoch):
            return part_of_order(self.seed, self.stage, epoch, num_items, span[0], span[-1] + 1)
        order = self._orders.of(epoch, num_items)
        if not isinstance(span, range):
            return order[span]
        if span.start <= num_items // 2 < span.stop:  # a pass is half through: the next one will be next
            self._orders.expect(epoch + 1, num_items)
        return order[span.start : span.stop]

    def _is_first_look(self, epoch: int) -> bool:
        """Tell whether nobody has asked for items of an epoch yet; who asks again may want them all."""
        is_first, self._looked_at = epoch != self._looked_at, epoch
        return is_first

    def least_bytes(self) -> int:
        """Return the bytes of a pile as it is read and sorted, while the next is read; 0 where the rows are in memory."""
        base = self.upstream.flow.base
        return 0 if base.is_indexable and not base.reads_in_order else 4 * chunk_bytes(self.upstream)

    def scatter(self, num_items: int, epoch: int) -> KeyScatter:  # noqa: ARG002
        return KeyScatter(self.seed, self.stage, epoch)

    def open(self, cursor: Cursor, run: Run) -> Cursor:
        from fireworks.order.shuffled_stream import ShuffledCursor  # which brings what only large data needs

        return ShuffledCursor(cursor, KeyScatter(self.seed, self.stage, run.epoch), run, who=self.describe())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name not in {"_orders", "_looked_at"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()
