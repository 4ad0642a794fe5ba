"""Some of the columns."""

from __future__ import annotations

from typing import ClassVar, final

from fireworks.core.pipe import Pipe
from fireworks.core.stages import RowStage, require_columns
from fireworks.message import Message


@final
class Select(RowStage):
    """Keep the named columns, in the order given; nothing is copied.

    Args:
        input: Rows or batches.
        columns: Their names.

    Raises:
        ColumnNotFoundError: a name is not there; at once where the source knows its columns and nothing in between can
            add some, else with the first rows.
        ValueError: no name is given.
        TypeError: a name is no text.

    Example:
        >>> Select(fw.source({"x": torch.arange(2), "y": torch.arange(2)}), "y").to_message().columns
        ['y']
    """

    on_grid: ClassVar[bool] = False

    def __init__(self, input: Pipe, *columns: str) -> None:
        super().__init__(input)
        if not columns:
            raise ValueError("select: name at least one column.")
        if not all(isinstance(name, str) for name in columns):
            raise TypeError(f"select: write the names one by one, select('x', 'label'); got {columns!r:.60}.")
        self.columns = columns
        require_columns(self.upstream, columns, who="select")

    @property
    def known_columns(self) -> list[str] | None:
        return list(self.columns)

    def describe(self) -> str:
        return f"Select({', '.join(self.columns)})"

    def transform(self, rows: Message) -> Message:
        return rows.select(*self.columns)
