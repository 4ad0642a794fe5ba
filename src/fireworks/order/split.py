"""One pipe into disjoint parts, by row numbers alone, or by one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias, final

import numpy as np

from fireworks._internal.seeds import check_seed
from fireworks.core.pipe import Pipe
from fireworks.core.stages import stage_name
from fireworks.message.columns import Positions
from fireworks.order.chosen import Chosen
from fireworks.order.column import classes, remembered, require_rows
from fireworks.order.keys import keys, random_order
from fireworks.order.shares import as_written, class_sizes, groups_to_parts, part_sizes, shared_out

__all__ = ["Part", "part_sizes", "split"]

Parts: TypeAlias = "np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]"
"""The number of the part of each item."""


def split(
    input: Pipe,
    *sizes: float,
    seed: int,
    stratify: str | None = None,
    group: str | None = None,
    name: str | None = None,
) -> tuple[Part, ...]:
    """Split items at random into disjoint parts.

    Which item falls into which part depends on the seed, the stage, the number of items and the one column that is named,
    never on the epoch. Inside a part items keep the input's order. Nothing is copied, and but for that column, which is
    passed over once, nothing is read.

    With ``stratify`` each class of a column is shared out by itself, so that its share in every part is within one row of
    the part's size times its share in the whole; null is a class. With ``group`` all rows of one value go to one part: groups take
    their turn, the largest first, and go to a part that has room for them, by chance in proportion to the room; so the sizes are
    near those asked for, never exact where groups don't fit. See `class_sizes` and `groups_to_parts`.

    Args:
        input: Rows or batches with random access.
        sizes: At least one. Fractions, positive, with the sum 1, shared out by largest remainders; or counts of items, at
            least 1 each, together at most all; what they leave over is in no part.
        seed: From 0 to 2**64 - 1.
        stratify: A column of classes: numbers, texts or dates.
        group: A column that says which rows belong together; without nulls. Not beside ``stratify``.
        name: A name for the stage, in place of ``split:0``, that keys its draws.

    Raises:
        ValueError: the fractions don't sum to 1, a part would stay empty, there are fewer groups than parts, or the input's
            order or, where a column is named, its values change by epoch.
        NoRandomAccessError: the input is a stream.
        ColumnTypeError: the column holds no numbers, texts or dates, one per row.
        ColumnValueError: a row has no group.

    Example:
        >>> train, test = split(fw.source({"x": torch.arange(10)}), 0.8, 0.2, seed=0)
        >>> len(train), test.to_message()["x"].tolist()
        (8, [1, 8])
        >>> data = fw.source({"user": [1, 1, 2, 3, 3, 3], "label": list("abbaab")})
        >>> [part.to_message()["user"].tolist() for part in split(data, 0.5, 0.5, seed=0, group="user")]
        [[3, 3, 3], [1, 1, 2]]
        >>> [part.to_message()["label"].tolist() for part in split(data, 2, 2, seed=0, stratify="label")]
        [['a', 'b'], ['a', 'b']]
    """
    _check_sizes(sizes)
    return tuple(
        Part(input, sizes, number, seed=seed, stratify=stratify, group=group, name=name) for number in range(len(sizes))
    )


def _are_counts(sizes: Sequence[float]) -> bool:
    return bool(sizes) and all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in sizes)


def _check_sizes(sizes: Sequence[float]) -> None:
    if any(isinstance(size, (str, Sequence)) for size in sizes):
        raise ValueError(f"split: write the fractions one by one, split(0.8, 0.2, seed=0); got {sizes!r:.60}.")
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, float, np.number)):
            raise TypeError(f"split: a size is a fraction or a count; got {size!r:.60} of type {type(size).__name__}.")
    if _are_counts(sizes):
        if min(sizes) < 1:
            raise ValueError(f"split: counts are at least 1 each; got {list(sizes)}. Fractions have a point: 1.0.")
        return
    if not sizes or any(not size > 0 for size in sizes) or abs(sum(sizes) - 1) > 1e-9:
        raise ValueError(
            f"split: fractions must be positive and sum to 1; got {list(sizes)}, which sum to {sum(sizes):g}."
        )


@final
class Part(Chosen):
    """One part of a `split`.

    Args:
        input: Rows or batches with random access, in an order that does not change by epoch.
        sizes: The fractions or counts of all parts.
        number: Which part this is, from 0.
        seed: The seed of the split.
        stratify: A column of classes.
        group: A column that says which rows belong together.
        name: A name for the stage, in place of ``split:0``.

    Raises:
        ValueError: as of `split`; no item falls into this part, or the input's order changes by epoch.
    """

    random_kind: ClassVar[str | None] = "split"
    who: ClassVar[str] = "split"

    def __init__(
        self,
        input: Pipe,
        sizes: Sequence[float],
        number: int,
        *,
        seed: int,
        stratify: str | None = None,
        group: str | None = None,
        name: str | None = None,
    ) -> None:
        self.seed = check_seed(seed, where="split")
        _check_sizes(sizes)
        self.sizes: tuple[Any, ...] = tuple(sizes)
        self.number = check_number(number, len(sizes), who="split")
        super().__init__(input)
        self.stratify, self.group = check_columns(self.upstream, stratify, group, who="split")
        self.stage = stage_name(input, "split", name)
        self._named = "" if name is None else f", name={name!r}"
        self.require_some(
            lambda count: f"split: {count} items by {list(sizes)} leave part {number} empty; give it a larger share."
        )

    @property
    def guarantee(self) -> str:
        if self.group is not None:
            return (
                "whole groups, the largest first, each in a part by chance in proportion to its room; the input's order"
            )
        of = "" if self.stratify is None else f" of each class of {self.stratify!r}"
        return f"each choice of so many items{of} is equally likely; they keep the input's order"

    def describe(self) -> str:
        shares = ", ".join(f"{size:g}" if isinstance(size, float) else str(size) for size in self.sizes)
        column = "" if self.stratify is None else f", stratify={self.stratify!r}"
        column += "" if self.group is None else f", group={self.group!r}"
        return f"Split({shares}, seed={self.seed}{column}{self._named})[{self.number}]"

    def num_items_out(self, num_items: int) -> int:
        if self.group is None and self.stratify is None:  # known by arithmetic
            return self._wanted(num_items)[self.number]
        return super().num_items_out(num_items)

    def _wanted(self, num_items: int) -> list[int]:
        """Return how many items each part gets; behind the last part stands how many are left over."""
        if not _are_counts(self.sizes):
            return [*shared_out(num_items, [as_written(size) for size in self.sizes]), 0]
        counts = [int(size) for size in self.sizes]
        if sum(counts) > num_items:
            raise ValueError(
                f"split: {list(self.sizes)} are {sum(counts)} items, and the input has {num_items}; take fewer."
            )
        return [*counts, num_items - sum(counts)]

    def choose(self, num_items: int) -> Positions:
        of = num_items, self.seed, self.stage, self.sizes, self.stratify, self.group
        parts = remembered(self.upstream, "split", of, lambda: self._parts(num_items))
        return np.flatnonzero(parts == self.number)

    def _parts(self, num_items: int) -> Parts:
        """Return the part of each item; those that are left over have a number behind the last part's."""
        wanted = self._wanted(num_items)
        if self.group is not None:
            of = classes(self.upstream, self.group, num_items, who="split", with_null=False)
            require_groups(len(of.sizes), len(self.sizes), self.group, who="split")
            draws = keys(self.seed, self.stage, 0, 0, len(of.sizes))
            return small(groups_to_parts(of.sizes, wanted, draws), len(wanted))[of.numbers]
        order = random_order(self.seed, self.stage, 0, num_items)
        if self.stratify is None:
            return dealt(order, np.array([wanted]))
        of = classes(self.upstream, self.stratify, num_items, who="split")
        return dealt(by_class(order, of.numbers), class_sizes(of.sizes, wanted))


def check_number(number: object, count: int, *, who: str) -> int:
    """Return the number of a part, checked."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 0 <= number < count:
        raise ValueError(f"{who}: there are parts 0 to {count - 1}; got {number!r:.60}.")
    return int(number)


def check_columns(input: Pipe, stratify: str | None, group: str | None, *, who: str) -> tuple[str | None, str | None]:
    """Return the columns that a split looks at, checked; at most one."""
    if stratify is not None and group is not None:
        raise ValueError(
            f"{who}: stratify={stratify!r:.60} and group={group!r:.60} ask for two things that exclude each other in general; "
            "pass one of them."
        )
    return (
        None if stratify is None else require_rows(input, "stratify", stratify, who=who),
        None if group is None else require_rows(input, "group", group, who=who),
    )


def require_groups(count: int, parts: int, column: str, *, who: str) -> None:
    """Raise a ValueError where there are fewer groups than parts."""
    if count < parts:
        raise ValueError(
            f"{who}: column {column!r} has {count} {'group' if count == 1 else 'groups'}, and there are {parts} parts, which "
            "have no group in common; make fewer parts, or group by another column."
        )


def small(numbers: Positions, count: int) -> Parts:
    """Return numbers below ``count`` in as few bytes as they need."""
    return numbers.astype(np.min_scalar_type(count))


def by_class(order: Positions, numbers: Any) -> Positions:
    """Return the rows class by class, those of a class in the order in which they come.

    Args:
        order: All rows in some order.
        numbers: The class of each row.
    """
    return order[np.argsort(numbers[order], kind="stable")]


def dealt(order: Positions, table: Positions) -> Parts:
    """Return the part of each row, where rows are dealt out one after the other.

    Args:
        order: The rows in the order in which they are dealt out.
        table: How many each part gets, round by round.

    Shapes:
        ``(rows,)``, ``(rounds, parts)`` -> ``(rows,)`` of small unsigned integers.
    """
    parts = np.empty(len(order), dtype=np.min_scalar_type(table.shape[1]))
    parts[order] = np.repeat(np.tile(small(np.arange(table.shape[1]), table.shape[1]), len(table)), table.reshape(-1))
    return parts
