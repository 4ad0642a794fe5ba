"""Other names for columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from fireworks.core.pipe import Pipe
from fireworks.core.stages import RowStage, require_columns
from fireworks.message import Message
from fireworks.transforms.by_column import by_column


@final
class Rename(RowStage):
    """Give columns other names, all at once, so that two may change theirs; order and memory stay.

    Args:
        input: Rows or batches.
        names: New names by old names.
        renamed: The same as keywords, ``rename(old="new")``.

    Raises:
        ColumnNotFoundError: an old name is not there; at once where the columns are known, else with the first rows.
        ValueError: nothing is renamed, a column is renamed twice, or two columns would have one name.
        TypeError: ``names`` is no mapping, or a name is no text.

    Example:
        >>> Rename(fw.source({"x": [1], "y": [2]}), {"x": "y"}, y="x").to_message().columns
        ['y', 'x']
    """

    on_grid: ClassVar[bool] = False

    def __init__(self, input: Pipe, names: Mapping[str, str] | None = None, /, **renamed: str) -> None:
        super().__init__(input)
        self.names = by_column(names, renamed, who="rename", example="{'old': 'new'}")
        for old, new in self.names.items():
            if not isinstance(new, str):
                raise TypeError(f"rename: a name is text; got {new!r:.60} of type {type(new).__name__} for {old!r}.")
        require_columns(self.upstream, self.names, who="rename")
        if (known := self.known_columns) is not None:
            self._refuse_doubles(known)

    def _refuse_doubles(self, names: list[str]) -> None:
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"rename: two columns would be called {name!r}; rename the other one too, or drop it before."
                )

    @property
    def known_columns(self) -> list[str] | None:
        known = self.upstream.known_columns
        return None if known is None else [self.names.get(name, name) for name in known]

    def describe(self) -> str:
        return f"Rename({', '.join(f'{old} to {new}' for old, new in self.names.items())})"

    def transform(self, rows: Message) -> Message:
        self._refuse_doubles([self.names.get(name, name) for name in rows.columns])
        return rows.rename(self.names)
