"""Several inputs side by side."""

from __future__ import annotations

from typing import ClassVar, final

from fireworks.core.junction import Junction
from fireworks.junctions.side_by_side import check_aligned, claim, side_by_side
from fireworks.message import Message


@final
class Zip(Junction):
    """Put the columns of several pipes side by side, item i of one beside item i of the others.

    All components must have as many items, and no two may have a column of the same name. The row numbers that errors
    speak of are those of the first component.

    Args:
        components: Pipes by name; all over rows, or all over batches.

    Raises:
        ValueError: the components differ in length; at once where lengths are known, else where the shortest ends. Or
            a filter thins out the batches of one.
        TypeError: some are batched and some are not.
        SchemaMismatchError: two components have a column of the same name.

    Example:
        >>> images, labels = fw.source({"x": torch.zeros(3, 2)}), fw.source({"y": torch.arange(3)})
        >>> Zip({"images": images, "labels": labels})[1:].columns
        ['x', 'y']
    """

    on_grid: ClassVar[bool] = False

    def check_components(self) -> None:
        check_aligned(self)
        owners: dict[str, str] = {}
        for name, component in self.components.items():
            for column in component.known_columns or ():
                claim(owners, column, name, who="Zip")

    @property
    def known_columns(self) -> list[str] | None:
        known = [component.known_columns for component in self.components.values()]
        return [name for names in known if names is not None for name in names] if None not in known else None

    def combine(self, messages: dict[str, Message]) -> Message:
        return side_by_side(messages, who="Zip")
