"""Rows of rare classes more often, until all classes are equally large."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from fireworks.core.pipe import Pipe
from fireworks.message.columns import Positions
from fireworks.order.column import Classes, classes, require_rows
from fireworks.order.keys import keys, permutation
from fireworks.order.sample import Drawn, require_same_rows

_WHO = "oversample"


@final
class Oversample(Drawn):
    """Repeat rows of the smaller classes until each has as many as the largest; all in a random order, another each epoch.

    Each row of a class comes as often as any other, or once more: with m rows in the largest class and n in this one,
    ``m // n`` times each, and ``m % n`` of them, drawn anew each epoch, once more. So every row comes at least once. Split first: a
    row that is repeated in front of a split would be in both parts, and the split says so.

    Args:
        input: Rows with random access.
        column: The classes: numbers, texts or dates; null is a class. The column is passed over once.
        seed: From 0 to 2**64 - 1.
        name: A name for the stage, in place of ``oversample:0``, that keys its draws.

    Raises:
        ValueError: there is no seed, or the input's rows, order or values change by epoch.
        TypeError: the input is batched.
        ColumnTypeError: the column holds something else.
        NoRandomAccessError: the input is a stream.

    Source:
        Of the words of `keys`, the first ones are the rows': the rows with the smallest of their class are drawn. The next ones
        sort what comes out, which before stands in the order of the rows.

    Example:
        >>> data = fw.source({"label": list("aaab"), "x": torch.arange(4)})
        >>> Oversample(data, "label", seed=0).to_message()["x"].tolist()
        [2, 3, 3, 1, 0, 3]
    """

    random_kind: ClassVar[str | None] = _WHO
    guarantee: str = "of each class, which rows come once more is exactly uniform, and so is the order of all that come"

    def __init__(self, input: Pipe, column: str, seed: int, *, name: str | None = None) -> None:
        super().__init__(input, seed, name)
        require_same_rows(self.upstream, "its classes", who=_WHO)
        self.column = require_rows(self.upstream, "column", column, who=_WHO)
        if not len(self.upstream):
            raise ValueError(
                f"{_WHO}: its input has no rows ({self.upstream!r}); insert some, or loosen the filter before it."
            )
        self._classes(len(self.upstream))

    def _classes(self, num_items: int) -> Classes:
        return classes(self.upstream, self.column, num_items, who=_WHO)

    def describe(self) -> str:
        return f"Oversample({self.column!r}, seed={self.seed}{self._named})"

    def num_items_out(self, num_items: int) -> int:
        sizes = self._classes(num_items).sizes
        return int(sizes.max()) * len(sizes) if len(sizes) else 0

    def drawn(self, epoch: int, num_items: int) -> Positions:
        of = self._classes(num_items)
        count = self.num_items_out(num_items)
        words = keys(self.seed, self.stage, epoch, 0, num_items + count)
        whole, more = np.divmod(of.sizes.max(initial=0), of.sizes)
        times = whole[of.numbers]
        # The rows of each class by key, and the first few of them once more.
        by_class = np.lexsort((words[:num_items], of.numbers))
        rank = np.arange(num_items) - np.repeat(np.cumsum(of.sizes) - of.sizes, of.sizes)
        times[by_class[rank < np.repeat(more, of.sizes)]] += 1
        return np.repeat(np.arange(num_items, dtype=np.int64), times)[permutation(words[num_items:])]
