"""All but some of the columns."""

from __future__ import annotations

from typing import ClassVar, final

from fireworks.core.pipe import Pipe
from fireworks.core.stages import RowStage, require_columns
from fireworks.message import Message


@final
class Drop(RowStage):
    """Leave the named columns out; nothing is copied.

    Args:
        input: Rows or batches.
        columns: Their names.

    Raises:
        ColumnNotFoundError: a name is not there; at once where the columns are known, else with the first rows.
        ValueError: no name is given, or no column would be left.
        TypeError: a name is no text.

    Example:
        >>> Drop(fw.source({"x": torch.arange(2), "y": torch.arange(2)}), "y").to_message().columns
        ['x']
    """

    on_grid: ClassVar[bool] = False

    def __init__(self, input: Pipe, *columns: str) -> None:
        super().__init__(input)
        if not columns:
            raise ValueError("drop: name at least one column.")
        if not all(isinstance(name, str) for name in columns):
            raise TypeError(f"drop: write the names one by one, drop('x', 'label'); got {columns!r:.60}.")
        self.columns = columns
        require_columns(self.upstream, columns, who="drop")
        if self.known_columns == []:
            raise self._nothing_left()

    def _nothing_left(self) -> ValueError:
        return ValueError(
            f"drop: no column would be left without {list(self.columns)}, and rows without columns are none; keep one."
        )

    @property
    def known_columns(self) -> list[str] | None:
        known = self.upstream.known_columns
        return None if known is None else [name for name in known if name not in self.columns]

    def describe(self) -> str:
        return f"Drop({', '.join(self.columns)})"

    def transform(self, rows: Message) -> Message:
        left = rows.drop(*self.columns)
        if not left.columns:
            raise self._nothing_left()
        return left
