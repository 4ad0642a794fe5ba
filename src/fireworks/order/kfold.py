"""Cross-validation: each item in the validation part of one fold."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from fireworks._internal.checks import check_count
from fireworks._internal.seeds import check_seed
from fireworks.core.chunk import Span
from fireworks.core.pipe import Pipe
from fireworks.core.stages import stage_name
from fireworks.message.columns import Positions
from fireworks.order.chosen import Chosen
from fireworks.order.column import Classes, classes, remembered
from fireworks.order.keys import keys, random_order
from fireworks.order.shares import groups_to_lightest, groups_to_parts
from fireworks.order.split import Parts, by_class, check_columns, check_number, dealt, require_groups, small

_PARTS = ("train", "validation")


def kfold(
    input: Pipe,
    k: int,
    *,
    seed: int | None = None,
    stratify: str | None = None,
    group: str | None = None,
    name: str | None = None,
) -> list[tuple[Fold, Fold]]:
    """Return k pairs of a training and a validation part; each item is in the validation part of one pair.

    Without a seed the validation parts are consecutive items, and the same as of scikit-learn's ``KFold``; with
    ``stratify`` as of its ``StratifiedKFold``: consecutive items of each class. With ``group`` all rows of one value are
    validated together, the largest group first, each in the fold that has the fewest rows so far. With a seed the same is done to the
    items in a random order; groups then go to folds by chance, as by `split`. Inside a part items keep the input's order.

    Sizes differ by one item at most, the first folds being larger, and so do the rows of each class; with groups they come
    near.

    Args:
        input: Rows or batches with random access.
        k: How many folds, at least 2, and at most as many as there are items, or groups.
        seed: From 0 to 2**64 - 1, for random folds.
        stratify: A column of classes: numbers, texts or dates; null is a class.
        group: A column that says which rows belong together; without nulls. Not beside ``stratify``.
        name: A name for the stage, in place of ``kfold:0``, that keys its draws.

    Raises:
        ValueError: there are fewer items or groups than folds, or the input's order or, where a column is named, its values
            change by epoch.
        NoRandomAccessError: the input is a stream.
        ColumnValueError: a row has no group.

    Source:
        the sizes and the sharing out of classes: ``KFold`` and ``StratifiedKFold`` of scikit-learn 1.9. Random folds are
        drawn otherwise than there.

    Example:
        >>> data = fw.source({"x": torch.arange(5)})
        >>> [[part.to_message()["x"].tolist() for part in pair] for pair in kfold(data, 2)]
        [[[3, 4], [0, 1, 2]], [[0, 1, 2], [3, 4]]]
    """
    k = check_count(k, at_least=2, where="kfold: k")
    return [
        (
            Fold(input, k, fold, "train", seed=seed, stratify=stratify, group=group, name=name),
            Fold(input, k, fold, "validation", seed=seed, stratify=stratify, group=group, name=name),
        )
        for fold in range(k)
    ]


@final
class Fold(Chosen):
    """The training or the validation part of one fold; see `kfold`.

    Args:
        input: Rows or batches with random access, in an order that does not change by epoch.
        k: How many folds there are.
        number: Which one this is of, from 0.
        part: ``"train"`` or ``"validation"``.
        seed: The seed of random folds.
        stratify: A column of classes.
        group: A column that says which rows belong together.
        name: A name for the stage, in place of ``kfold:0``.

    Raises:
        ValueError: as of `kfold`.
    """

    random_kind: ClassVar[str | None] = "kfold"
    who: ClassVar[str] = "kfold"

    def __init__(
        self,
        input: Pipe,
        k: int,
        number: int,
        part: str,
        *,
        seed: int | None = None,
        stratify: str | None = None,
        group: str | None = None,
        name: str | None = None,
    ) -> None:
        self.k = check_count(k, at_least=2, where="kfold: k")
        self.number = check_number(number, self.k, who="kfold")
        if part not in _PARTS:
            raise ValueError(f"kfold: a part is 'train' or 'validation'; got {part!r:.60}.")
        self.part = part
        self.seed = None if seed is None else check_seed(seed, where="kfold")
        super().__init__(input)
        self.stratify, self.group = check_columns(self.upstream, stratify, group, who="kfold")
        self.stage = stage_name(input, "kfold", name)
        self._named = "" if name is None else f", name={name!r}"
        count = len(self.upstream)
        if count < self.k:
            raise ValueError(f"kfold: {self.k} folds of {count} items leave some empty; make fewer folds.")
        self.num_items_out(count)

    @property
    def guarantee(self) -> str | None:
        if self.seed is None or self.group is not None:
            return None
        of = "" if self.stratify is None else f" of each class of {self.stratify!r}"
        return f"each choice of so many items{of} is equally likely; they keep the input's order"

    def describe(self) -> str:
        facts = "" if self.seed is None else f", seed={self.seed}"
        facts += "" if self.stratify is None else f", stratify={self.stratify!r}"
        facts += "" if self.group is None else f", group={self.group!r}"
        return f"KFold({self.k}{facts}{self._named})[{self.number}].{self.part}"

    def _order(self, num_items: int) -> Positions:
        if self.seed is None:
            return np.arange(num_items, dtype=np.int64)
        return random_order(self.seed, self.stage, 0, num_items)

    def _sizes(self, num_items: int) -> list[int]:
        """Return how many items are validated in each fold."""
        size, more = divmod(num_items, self.k)
        return [size + (fold < more) for fold in range(self.k)]

    def _bounds(self, num_items: int) -> tuple[int, int]:
        """Return where the validation part of this fold begins and ends, in the order of the folds."""
        sizes = self._sizes(num_items)
        start = sum(sizes[: self.number])
        return start, start + sizes[self.number]

    def num_items_out(self, num_items: int) -> int:
        if self.group is None and self.stratify is None:  # known by arithmetic
            start, stop = self._bounds(num_items)
            return stop - start if self.part == "validation" else num_items - (stop - start)
        return super().num_items_out(num_items)

    def choose(self, num_items: int) -> Span:
        if self.group is None and self.stratify is None and self.seed is None and self.part == "validation":
            return range(*self._bounds(num_items))
        of = num_items, self.k, self.seed, self.stage, self.stratify, self.group
        folds = remembered(self.upstream, "kfold", of, lambda: self._folds(num_items))
        return np.flatnonzero(folds == self.number if self.part == "validation" else folds != self.number)

    def _folds(self, num_items: int) -> Parts:
        """Return in which fold each item is validated."""
        if self.group is not None:
            of = classes(self.upstream, self.group, num_items, who="kfold", with_null=False)
            require_groups(len(of.sizes), self.k, self.group, who="kfold")
            return small(self._folds_of_groups(of.sizes, num_items), self.k)[of.numbers]
        order = self._order(num_items)
        if self.stratify is not None:
            of = classes(self.upstream, self.stratify, num_items, who="kfold")
            return dealt(by_class(order, of.numbers), self._folds_of_classes(of))
        return dealt(order, np.array([self._sizes(num_items)]))

    def _folds_of_groups(self, sizes: Positions, num_items: int) -> Positions:
        if self.seed is None:
            return groups_to_lightest(sizes, self.k)
        return groups_to_parts(sizes, self._sizes(num_items), keys(self.seed, self.stage, 0, 0, len(sizes)))

    def _folds_of_classes(self, of: Classes) -> Positions:
        """Return how many rows of each class each fold gets: the rows, sorted by class, are dealt out one by one."""
        stops = np.cumsum(of.sizes)
        starts = stops - of.sizes
        folds = np.arange(self.k)
        # Of the places from start to before stop, those that leave the remainder ``fold`` when divided by k.
        up = self.k - 1 - folds
        table: Positions = (stops[:, None] + up) // self.k - (starts[:, None] + up) // self.k
        return table
