"""A message on its way to another process of the same program; for files there is `Message.save`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch

from fireworks.message.arrays.tensor_dtype import INTEGERS
from fireworks.message.columns import Column, compact

if TYPE_CHECKING:
    from fireworks.message.message import Message

_READ_BACK = frozenset(
    {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16}
    | {torch.float32, torch.float64, torch.complex64, torch.complex128}
)


class Bits(NamedTuple):
    """A tensor of a type that torch writes into a pickle but can't read back, as integers of the same width."""

    integers: torch.Tensor
    dtype: torch.dtype
    requires_grad: bool


def packed(column: Column) -> Column | Bits:
    """Return a column as a pickle can hold it, without the rest of a larger tensor that it is part of."""
    small = compact(column)
    if not isinstance(small, torch.Tensor) or small.is_quantized or small.dtype in _READ_BACK:
        return small
    return Bits(small.detach().view(INTEGERS[small.itemsize]), small.dtype, small.requires_grad)


def unpacked(stored: Mapping[str, Column | Bits], num_rows: int) -> Message:
    """Return the message whose columns were packed."""
    from fireworks.message.message import Message

    return Message._of({name: _column(column) for name, column in stored.items()}, num_rows)


def _column(column: Column | Bits) -> Column:
    if not isinstance(column, Bits):
        return column
    return column.integers.view(column.dtype).requires_grad_(column.requires_grad)
