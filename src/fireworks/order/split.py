"""One pipe into disjoint parts, by row numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar, final

import numpy as np

from fireworks._internal.seeds import check_seed
from fireworks.core.chunk import Span
from fireworks.core.pipe import Pipe
from fireworks.core.stages import OrderStage, stage_name
from fireworks.message.columns import Positions
from fireworks.order.keys import random_order


def part_sizes(count: int, fractions: Sequence[float]) -> list[int]:
    """Share ``count`` items out by fractions; what rounding leaves goes to the largest remainders, the earlier first.

    Source:
        The method of largest remainders (Hamilton, 1792).

    Example:
        >>> part_sizes(10, [0.75, 0.25]), part_sizes(7, [0.8, 0.2])
        ([8, 2], [6, 1])
    """
    # As they were written, 0.7 and not 0.69999999999999996, so that no last bit of a product decides.
    shares = [Fraction(str(float(fraction))) for fraction in fractions]
    exact = [count * share / sum(shares) for share in shares]
    sizes = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda part: (sizes[part] - exact[part], part))
    for part in by_remainder[: count - sum(sizes)]:
        sizes[part] += 1
    return sizes


def split(input: Pipe, *fractions: float, seed: int, name: str | None = None) -> tuple[Part, ...]:
    """Split items at random into disjoint parts that together are all of them.

    Which item falls into which part depends on the seed, the stage and the number of items, never on the data or the
    epoch. Inside a part items keep the input's order.

    Args:
        input: Rows or batches with random access.
        fractions: At least one, positive, with the sum 1.
        seed: From 0 to 2**64 - 1.
        name: A name for the stage, in place of ``split:0``, that keys its draws.

    Raises:
        ValueError: the fractions don't sum to 1, a part would stay empty, or the input's order changes by epoch.
        NoRandomAccessError: the input is a stream.

    Example:
        >>> train, test = split(fw.source({"x": torch.arange(10)}), 0.8, 0.2, seed=0)
        >>> len(train), test.to_message()["x"].tolist()
        (8, [1, 8])
    """
    _check_fractions(fractions)
    return tuple(Part(input, fractions, number, seed=seed, name=name) for number in range(len(fractions)))


def _check_fractions(fractions: Sequence[float]) -> None:
    if any(isinstance(fraction, (str, Sequence)) for fraction in fractions):
        raise ValueError(f"split: write the fractions one by one, split(0.8, 0.2, seed=0); got {fractions!r:.60}.")
    if not fractions or any(not fraction > 0 for fraction in fractions) or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(
            f"split: fractions must be positive and sum to 1; got {list(fractions)}, which sum to {sum(fractions):g}."
        )


@final
class Part(OrderStage):
    """One part of a `split`.

    Args:
        input: Rows or batches with random access, in an order that does not change by epoch.
        fractions: The shares of all parts.
        number: Which part this is, from 0.
        seed: The seed of the split.
        name: A name for the stage, in place of ``split:0``.

    Raises:
        ValueError: as of `split`; no item falls into this part, or the input's order changes by epoch.
    """

    random_kind: ClassVar[str | None] = "split"

    def __init__(
        self, input: Pipe, fractions: Sequence[float], number: int, *, seed: int, name: str | None = None
    ) -> None:
        self.seed = check_seed(seed, where="split")
        _check_fractions(fractions)
        self.fractions, self.number = tuple(fractions), number
        super().__init__(input)
        if input.order_varies:
            raise ValueError(
                f"split: the order of its input changes with every epoch ({input!r}), so rows would wander between "
                "the parts. Split first, then shuffle each part."
            )
        self.stage = stage_name(input, "split", name)
        self._found: tuple[int, Positions] | None = None  # of how many items, and which
        self._named = "" if name is None else f", name={name!r}"
        count = len(input)
        if not count:
            raise ValueError(f"split: its input has no rows ({input!r}); insert some, or loosen the filter before it.")
        if not part_sizes(count, self.fractions)[number]:
            raise ValueError(
                f"split: {count} items by {list(fractions)} leave part {number} empty; give it a larger share."
            )

    def describe(self) -> str:
        shares = ", ".join(f"{fraction:g}" for fraction in self.fractions)
        return f"Split({shares}, seed={self.seed}{self._named})[{self.number}]"

    def num_items_out(self, num_items: int) -> int:
        return part_sizes(num_items, self.fractions)[self.number]

    def _positions(self, num_items: int) -> Positions:
        if self._found is None or self._found[0] != num_items:  # a live table may have grown
            order = random_order(self.seed, self.stage, 0, num_items)
            ends = np.cumsum([0, *part_sizes(num_items, self.fractions)])
            self._found = num_items, np.sort(order[ends[self.number] : ends[self.number + 1]])
        return self._found[1]

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        positions = self._positions(num_items)
        return positions[span.start : span.stop] if isinstance(span, range) else positions[span]

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_found": None}
