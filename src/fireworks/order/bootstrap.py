"""As many items as there are, drawn with replacement."""

from __future__ import annotations

from typing import ClassVar, final

from fireworks.core.pipe import Pipe
from fireworks.message.columns import Positions
from fireworks.message.sample import _with_replacement
from fireworks.order.keys import keys
from fireworks.order.sample import Drawn


@final
class Bootstrap(Drawn):
    """Draw as many items as the input has, each from all of them, in the order of the draws; another sample each epoch.

    So epoch e is the e-th replicate: ``[statistic(pipe.at_epoch(e)) for e in range(1000)]``. It is `Sample` with
    ``frac=1, replace=True``, under a kind of its own.

    Args:
        input: Rows or batches with random access.
        seed: From 0 to 2**64 - 1.
        name: A name for the stage, in place of ``bootstrap:0``, that keys its draws.

    Raises:
        ValueError: there is no seed.
        NoRandomAccessError: the input is a stream.

    Source:
        B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979). Draw d of an epoch is
        the position ``floor(u n)``, u being the upper 53 bits of word d of `keys`, over 2**53.

    Example:
        >>> Bootstrap(fw.source({"x": torch.arange(6)}), seed=0).to_message()["x"].tolist()
        [5, 4, 1, 4, 4, 4]
    """

    random_kind: ClassVar[str | None] = "bootstrap"
    guarantee: str = "draws are independent, each of all items alike"

    def __init__(self, input: Pipe, seed: int, *, name: str | None = None) -> None:
        super().__init__(input, seed, name)

    def describe(self) -> str:
        return f"Bootstrap(seed={self.seed}{self._named})"

    def num_items_out(self, num_items: int) -> int:
        return num_items

    def drawn(self, epoch: int, num_items: int) -> Positions:
        return _with_replacement(keys(self.seed, self.stage, epoch, 0, num_items), num_items, None)
