"""Tensor columns on other devices, in other floating types, in pinned memory, and under autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from fireworks.errors import ColumnTypeError
from fireworks.message.columns import Column, field_of
from fireworks.message.conversion.convert import names_of, replaced

if TYPE_CHECKING:
    from fireworks.message.message import Message


def to(
    message: Message,
    device: torch.device | str | int | None,
    *,
    dtype: torch.dtype | None,
    columns: str | Sequence[str] | None,
    non_blocking: bool,
) -> Message:
    """Do what `Message.to` says; a column that is there already, in that type, is the same tensor afterwards."""
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        raise ColumnTypeError(
            f"Message.to: dtype must be floating or complex, since it is for the floating columns; got {dtype}. "
            f"To turn columns into integers, where no value changes: .to_tensors('column', dtype={dtype})."
        )
    moved = {}
    for name, tensor in _tensors(message, columns, where="Message.to").items():
        cast = dtype is not None and (tensor.is_floating_point() or tensor.is_complex())
        moved[name] = tensor.to(device=device, dtype=dtype if cast else None, non_blocking=non_blocking)
    return replaced(message, moved)


def pin_memory(message: Message, columns: str | Sequence[str] | None) -> Message:
    """Do what `Message.pin_memory` says."""
    tensors = _tensors(message, columns, where="Message.pin_memory")
    return replaced(message, {name: tensor.pin_memory() for name, tensor in tensors.items()})


def with_grad(message: Message, requires_grad: bool, columns: str | Sequence[str] | None) -> dict[str, Column]:  # noqa: FBT001
    """Return the message's columns, the named ones as leaves of autograd that share memory; see `requires_grad_`."""
    where = "Message.requires_grad_"
    tensors = _tensors(message, columns, where=where)
    if columns is None:
        tensors = {
            name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() or tensor.is_complex()
        }
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() or tensor.is_complex()):
            raise ColumnTypeError(
                f"{where}: column {name!r} is {field_of(name, tensor).type_text}; only floating and complex numbers have "
                "gradients."
            )
    leaves = {name: tensor.detach().requires_grad_(requires_grad) for name, tensor in tensors.items()}
    return {**message._columns, **leaves}


def _tensors(message: Message, columns: str | Sequence[str] | None, *, where: str) -> dict[str, torch.Tensor]:
    """Return the tensor columns, all or the named ones."""
    tensors: dict[str, torch.Tensor] = {}
    for name in names_of(message, columns):
        column = message.raw(name)
        if isinstance(column, torch.Tensor):
            tensors[name] = column
        elif columns is not None:
            raise ColumnTypeError(
                f"{where}: column {name!r} is {field_of(name, column).type_text}, which is no tensor; convert it first: "
                f".to_tensors({name!r})."
            )
    return tensors
