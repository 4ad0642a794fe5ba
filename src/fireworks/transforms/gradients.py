"""Columns that autograd follows."""

from __future__ import annotations

from typing import ClassVar, final

import torch

from fireworks.core.pipe import Pipe
from fireworks.core.stages import RowStage, require_columns
from fireworks.errors import ColumnTypeError
from fireworks.message import Message
from fireworks.message.columns import Column, field_of


@final
class Gradients(RowStage):
    """Let autograd follow columns of floats, as leaves: after ``backward()`` a batch's ``batch["x"].grad`` is there.

    Each batch gets copies, so that neither the source nor another batch ever shares memory with a leaf. It stands behind
    ``batch``, for a row that is cut out of a block would be no leaf.

    Args:
        input: Batches.
        columns: Names of tensor columns; none for all of floats.

    Shapes:
        as they are.

    Raises:
        ColumnNotFoundError: a column is not there.
        ColumnTypeError: a named column is no tensor of floating or complex numbers.
        TypeError: the input's items are rows.

    Example:
        >>> batch = Gradients(fw.source({"x": torch.ones(3)}).batch(3), "x")[0]
        >>> (batch["x"] ** 2).sum().backward()
        >>> batch["x"].grad
        tensor([2., 2., 2.])
    """

    on_grid: ClassVar[bool] = False

    def __init__(self, input: Pipe, *columns: str) -> None:
        super().__init__(input)
        if not self.upstream.is_batched:
            raise TypeError(
                f"gradients: needs batches, and {input!r} has rows, which are cut out of blocks and would be no leaves; "
                "write .batch(…) before it."
            )
        require_columns(self.upstream, columns, who="gradients")
        self.columns = columns

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    def describe(self) -> str:
        return f"Gradients({', '.join(self.columns)})"

    def transform(self, rows: Message) -> Message:
        leaves = {name: _leaf(name, rows.raw(name)) for name in self.columns or _floating(rows)}
        return Message._of({**{name: rows.raw(name) for name in rows.columns}, **leaves}, len(rows))


def _floating(rows: Message) -> list[str]:
    return [name for name in rows.columns if _has_gradients(rows.raw(name))]


def _has_gradients(column: Column) -> bool:
    return isinstance(column, torch.Tensor) and (column.is_floating_point() or column.is_complex())


def _leaf(name: str, column: Column) -> torch.Tensor:
    if not isinstance(column, torch.Tensor) or not _has_gradients(column):
        raise ColumnTypeError(
            f"gradients: column {name!r} is {field_of(name, column).type_text}; only tensors of floating or complex numbers "
            f"have gradients. Write .tensors({name!r}) before it."
        )
    return column.detach().clone().requires_grad_()
