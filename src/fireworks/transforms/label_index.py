"""Labels as the numbers of their classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, final

import torch

from fireworks.core.chunk import Chunk, numbered
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, require_columns
from fireworks.message import Message
from fireworks.transforms.classes import Classes


@final
class LabelIndex(RowStage):
    """Turn a column of labels into the number of each label's class, an int64 tensor as a loss wants it.

    The classes are given, or found by `fit` in data that is named for it: the training part. They never come from the rows
    that pass, so that train and test have the same numbers; a label that is no class is an error.

    Args:
        input: Rows or batches.
        column: Texts, numbers or categories, one per row.
        classes: The labels in order; the first is class 0.
        fit: In place of ``classes``, a pipe or a message in whose column they are found and sorted; it is read at once.

    Shapes:
        ``(rows,)`` of labels -> ``(rows,)`` of int64.

    Raises:
        ColumnNotFoundError: there is no such column.
        ColumnValueError: a label is no class or is missing; the error names the rows.
        ColumnTypeError: a row has several values.
        TypeError: ``classes`` is no list, or ``fit`` neither a pipe nor a message.
        ValueError: both or none of ``classes`` and ``fit`` are given, or a class is there twice.

    Example:
        >>> data = fw.source({"pet": ["dog", "cat", "dog"]})
        >>> LabelIndex(data, "pet", ["cat", "dog"]).to_message()["pet"]
        tensor([1, 0, 1])
        >>> LabelIndex(data, "pet", fit=data).classes
        ('cat', 'dog')
    """

    on_grid: ClassVar[bool] = False

    def __init__(
        self, input: Pipe, column: str, classes: Iterable[Any] | None = None, *, fit: Pipe | Message | None = None
    ) -> None:
        super().__init__(input)
        self.column = column
        require_columns(self.upstream, [column], who="label_index")
        if (classes is None) == (fit is None):
            raise ValueError(
                "label_index: pass classes=['cat', 'dog'], or fit=train to find them in the training part; "
                f"got {'neither' if fit is None else 'both'}."
            )
        if fit is not None:
            self._classes = Classes.found_in(fit, column, who="label_index")
        else:
            self._classes = Classes(classes if classes is not None else (), who="label_index")

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels, in the order of their numbers."""
        return self._classes.labels

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    def describe(self) -> str:
        return f"LabelIndex({self.column}: {self._classes})"

    def transform(self, rows: Message) -> Message:
        return self.compute(numbered(rows), Run(0), 0).message

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        message = chunk.message
        labels = message.raw(self.column)
        found = torch.from_numpy(self._classes.positions(self.column, labels, chunk.rows))
        # labels that are a tensor on a device stay there, beside the other columns
        found = found.to(labels.device) if isinstance(labels, torch.Tensor) else found
        return Chunk(message.assign(**{self.column: found}), chunk.rows)
