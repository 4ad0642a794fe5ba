"""The methods of a DataFrame that change it, for the one message that they are called on."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pandas as pd

from fireworks.errors import ColumnTypeError
from fireworks.message.frames import translate
from fireworks.message.frames.frame import columns_of_result
from fireworks.message.message import Message


def insert(message: Message, loc: int, column: str, value: Any) -> None:
    """Add a column at a place; see `Message.insert`."""
    place = operator.index(loc)
    if column in message:
        raise ValueError(f"Message.insert: there is a column {column!r} already; write message[{column!r}] = ….")
    if not 0 <= place <= len(message.columns):
        raise ValueError(f"Message.insert: a place is from 0 to {len(message.columns)}; got {place}.")
    names = message.columns
    message[column] = value
    names.insert(place, column)
    message._columns = {name: message._columns[name] for name in names}


def update(message: Message, other: Any, **options: Any) -> None:
    """Replace values by those of another that are not missing; see `Message.update`."""
    frame = translate.frame_of(message)
    given = translate.argument(Message(other) if isinstance(other, dict) else other)
    frame.update(given, **translate.argument(options))
    names = set(given.columns) if isinstance(given, pd.DataFrame) else {given.name}
    changed = frame[[name for name in message.columns if name in names]]
    message._columns = message._columns | columns_of_result(changed, where="Message.update")
    message._frame = None


def with_row_numbers(message: Message, name: str | None) -> Message:
    """Return the message, with its row numbers as the first column if there is a name for them."""
    if name is None:
        return Message(message)
    if name in message:
        raise ColumnTypeError(f"Message.reset_index: there is a column {name!r} already; choose another name.")
    return Message({name: np.arange(len(message))} | dict(message._columns))
