"""The title of a source as a column."""

from __future__ import annotations

from typing import ClassVar, final

import pandas as pd

from fireworks.core.pipe import Pipe
from fireworks.core.stages import RowStage
from fireworks.message import Message


@final
class Label(RowStage):
    """Add a column that says the same of every row: the title of its source, to tell rows apart when sources are joined.

    Args:
        input: Rows or batches.
        title: A text.
        column: The new column's name.

    Raises:
        TypeError: ``title`` or ``column`` is no text.
        ValueError: there is such a column already; at once where the columns are known, else with the first rows.

    Example:
        >>> cats, dogs = fw.source({"x": torch.zeros(1)}), fw.source({"x": torch.ones(1)})
        >>> fw.concat([Label(cats, "cat").to_message(), Label(dogs, "dog").to_message()])["label"].tolist()
        ['cat', 'dog']
    """

    on_grid: ClassVar[bool] = False

    def __init__(self, input: Pipe, title: str, column: str = "label") -> None:
        super().__init__(input)
        for what, text in (("title", title), ("column", column)):
            if not isinstance(text, str):
                raise TypeError(f"label: {what} must be text; got {text!r:.60} of type {type(text).__name__}.")
        self.title, self.column = title, column
        self._refuse_known(self.upstream.known_columns or ())

    def _refuse_known(self, columns: list[str] | tuple[()]) -> None:
        if self.column in columns:
            raise ValueError(
                f"label: there is a column {self.column!r} already; name another one: label({self.title!r:.40}, "
                f"column='source')."
            )

    @property
    def known_columns(self) -> list[str] | None:
        known = self.upstream.known_columns
        return None if known is None else [*known, self.column]

    def describe(self) -> str:
        return f"Label({self.column}={self.title!r})"

    def transform(self, rows: Message) -> Message:
        self._refuse_known(rows.columns)
        return rows.assign(**{self.column: pd.array([self.title] * len(rows), dtype="str")})
