"""A function of the user's gets rows that are views of the source: it must not change them in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from fireworks.errors import ColumnValueError
from fireworks.message import Message


def versions(columns: Iterable[object]) -> list[int]:
    """Return torch's count of changes in place; 0 for what has none: other columns, and tensors of inference mode."""
    return [
        column._version if isinstance(column, torch.Tensor) and not column.is_inference() else 0 for column in columns
    ]


def first_changed(names: Sequence[str], columns: Iterable[object], before: list[int]) -> str | None:
    """Return the name of the first column that was changed in place since `versions` was asked, if there is one."""
    for name, count, now in zip(names, before, versions(columns), strict=True):
        if now != count:
            return name
    return None


def call(function: Callable[..., Any], message: Message, *arguments: Any, who: str) -> Any:
    """Call a user's function with a message of its own, and see that it left the columns as they were.

    Assigning a column to the message that it gets is the function's own business and changes no other message.

    Args:
        function: Called with a message that shares the columns, and with ``arguments``.
        message: The rows.
        arguments: What else it gets.
        who: The stage, for the error.

    Raises:
        ColumnValueError: it changed a tensor column in place.
    """
    columns = [message.raw(name) for name in message.columns]
    before = versions(columns)
    result = function(Message(message), *arguments)
    if (name := first_changed(message.columns, columns, before)) is not None:
        raise ColumnValueError(
            f"{who}: column {name!r} was changed in place, and with it the data that it may be a view of; make that "
            f"data anew, and write a new column instead: rows.assign({name}=rows[{name!r}] * 2)."
        )
    return result
