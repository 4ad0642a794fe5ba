"""Many messages to one, end to end."""

from __future__ import annotations

from collections.abc import Iterable

from fireworks.errors import SchemaMismatchError
from fireworks.message.columns import concat_columns
from fireworks.message.message import Message


def concat(messages: Iterable[Message]) -> Message:
    """Return the rows of all messages, one message after the other, in time linear in the rows.

    Messages without columns are passed over; the first of the others sets the order of the columns.

    Args:
        messages: Messages with the same columns, types and row shapes.

    Raises:
        SchemaMismatchError: they differ; the error names the column and both types.

    Example:
        >>> fw.concat([fw.Message({"x": [1, 2]}), fw.Message({"x": [3]})])["x"].tolist()
        [1, 2, 3]
    """
    parts = [message for message in messages if message.columns]
    if len(parts) <= 1:
        return Message(parts[0] if parts else None)
    names = parts[0].columns
    for number, part in enumerate(parts):
        if part.keys() != names and set(part.columns) != set(names):
            raise SchemaMismatchError(
                f"concat: message {number} has columns {part.columns}, message 0 has {names}; "
                f"they differ in {sorted(set(names) ^ set(part.columns))}."
            )
    stored = {name: concat_columns(name, [part.raw(name) for part in parts]) for name in names}
    return Message._of(stored, sum(map(len, parts)))
