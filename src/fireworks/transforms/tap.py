"""A look at the rows that pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, final

from fireworks.core.chunk import Chunk
from fireworks.core.in_place import call
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, require_columns
from fireworks.message import Message
from fireworks.transforms.mapped import function_name


@final
class Tap(RowStage):
    """Show the rows to a function as they pass, and pass them on as they are.

    It changes no result: neither the draws of other stages nor the blocks that they get. How many rows the function sees at
    a time is not promised, and rows that are read ahead, or again, are seen too; behind ``batch`` it sees each batch whole.

    Args:
        input: Rows or batches.
        function: ``function(message)``; what it returns is ignored. It gets a message of its own.

    Raises:
        TypeError: the function can't be called.
        ColumnValueError: it changes a tensor in place.

    Example:
        >>> seen = []
        >>> data = fw.source({"x": torch.arange(3)})
        >>> Tap(data.batch(2), lambda rows: seen.append(len(rows))).to_message()["x"].tolist(), seen
        ([0, 1, 2], [2, 1])
    """

    on_grid: ClassVar[bool] = False

    def __init__(self, input: Pipe, function: Callable[[Message], Any]) -> None:
        super().__init__(input)
        if not callable(function):
            raise TypeError(f"tap: expected a function; got {function!r:.60} of type {type(function).__name__}.")
        require_columns(self.upstream, (), who="tap")
        self.function = function

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    def describe(self) -> str:
        return f"Tap({function_name(self.function)})"

    def transform(self, rows: Message) -> Message:
        call(self.function, rows, who=self.describe())
        return rows

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        call(self.function, chunk.message, who=self.describe())
        return chunk
