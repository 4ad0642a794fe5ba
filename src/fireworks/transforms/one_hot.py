"""Labels as rows of zeros with a one at their class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, final

import numpy as np
import torch

from fireworks.core.chunk import Chunk, numbered
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, require_columns
from fireworks.message import Message
from fireworks.transforms.classes import Classes


@final
class OneHot(RowStage):
    """Turn a column of labels into rows of zeros with a one at the label's class, a tensor of torch's default dtype.

    Args:
        input: Rows or batches.
        column: Texts, numbers or categories, one per row.
        classes: The labels in order; the first is class 0. Or their number, where labels are 0, 1, 2, ….
        dtype: The type of the tensor; torch's default when the pipe is built if not given.

    Shapes:
        ``(rows,)`` of labels -> ``(rows, classes)``.

    Raises:
        ColumnNotFoundError: there is no such column.
        ColumnValueError: a label is no class or is missing; the error names the rows.
        ColumnTypeError: a row has several values.
        TypeError: ``classes`` is no list, or ``dtype`` none of torch's.
        ValueError: there are no classes, or one is there twice.

    Example:
        >>> OneHot(fw.source({"pet": ["dog", "cat"]}), "pet", ["cat", "dog"]).to_message()["pet"]
        tensor([[0., 1.],
                [1., 0.]])
    """

    on_grid: ClassVar[bool] = False

    def __init__(
        self, input: Pipe, column: str, classes: Iterable[Any] | int, *, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input)
        self.column = column
        require_columns(self.upstream, [column], who="one_hot")
        is_count = isinstance(classes, (int, np.integer)) and not isinstance(classes, bool)
        self._classes = Classes(range(int(classes)) if is_count else classes, who="one_hot")  # type: ignore[arg-type]
        if dtype is not None and not isinstance(dtype, torch.dtype):
            raise TypeError(f"one_hot: dtype must be one of torch's, such as torch.float32; got {dtype!r:.60}.")
        self.dtype = torch.get_default_dtype() if dtype is None else dtype

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels, in the order of their numbers."""
        return self._classes.labels

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    def describe(self) -> str:
        dtype = "" if self.dtype == torch.float32 else f", {str(self.dtype).removeprefix('torch.')}"
        return f"OneHot({self.column}: {self._classes}{dtype})"

    def transform(self, rows: Message) -> Message:
        return self.compute(numbered(rows), Run(0), 0).message

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        message = chunk.message
        labels = message.raw(self.column)
        found = self._classes.positions(self.column, labels, chunk.rows)
        hot = torch.zeros(len(found), len(self._classes), dtype=self.dtype)
        hot[torch.arange(len(found)), torch.from_numpy(found)] = 1
        # labels that are a tensor on a device stay there, beside the other columns
        hot = hot.to(labels.device) if isinstance(labels, torch.Tensor) else hot
        return Chunk(message.assign(**{self.column: hot}), chunk.rows)
