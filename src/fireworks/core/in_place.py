"""A function of the user's gets rows that are views of the source: it must not change them in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import torch

from fireworks.errors import ColumnValueError
from fireworks.message import Message


class Described(Protocol):
    """What can say what it is: a stage."""

    def describe(self) -> str:
        """Return it as text."""


def versions(tensors: Iterable[torch.Tensor]) -> list[int]:
    """Return torch's count of changes in place; 0 for tensors of inference mode, which have none."""
    try:
        return [tensor._version for tensor in tensors]
    except RuntimeError:
        return [0 if tensor.is_inference() else tensor._version for tensor in tensors]


def first_changed(names: Sequence[str], tensors: Iterable[torch.Tensor], before: list[int]) -> str | None:
    """Return the name of the first tensor that was changed in place since `versions` was asked, if there is one."""
    for name, count, now in zip(names, before, versions(tensors), strict=True):
        if now != count:
            return name
    return None


def call(function: Callable[..., Any], message: Message, *arguments: Any, who: str | Described) -> Any:
    """Call a user's function with a message of its own, and see that it left the columns as they were.

    Assigning a column to the message that it gets is the function's own business and changes no other message.

    Args:
        function: Called with a message that shares the columns, and with ``arguments``.
        message: The rows.
        arguments: What else it gets.
        who: The stage, or its name, for the error.

    Raises:
        ColumnValueError: it changed a tensor column in place.
    """
    stored = message._columns
    tensors = [column for column in stored.values() if isinstance(column, torch.Tensor)]
    before = versions(tensors)
    result = function(Message._of(dict(stored), message._num_rows), *arguments)
    if before != versions(tensors):
        refuse_change(who, message, before)
    return result


def refuse_change(who: str | Described, message: Message, before: list[int]) -> None:
    """Raise the error for a function that changed a tensor column of its message in place.

    Raises:
        ColumnValueError: always; the column is named.
    """
    tensors = {name: column for name, column in message._columns.items() if isinstance(column, torch.Tensor)}
    name = first_changed(list(tensors), tensors.values(), before)
    raise ColumnValueError(
        f"{who if isinstance(who, str) else who.describe()}: column {name!r} was changed in place, and with it the data that "
        f"it may be a view of; make that data anew, and write a new column instead: rows.assign({name}=rows[{name!r}] * 2)."
    )
