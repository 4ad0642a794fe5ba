"""Many messages to one, end to end; their types are brought together where one of them holds every value of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch

from fireworks.errors import SchemaMismatchError
from fireworks.message.columns import Column, field_of
from fireworks.message.message import Message


def concat(messages: Iterable[Any]) -> Message:
    """Return the rows of all messages, one message after the other, in time linear in the rows.

    The first message sets the order of the columns. Tensor columns must agree in type, row shape and device: a wider
    tensor would surprise a model. Other columns are widened within their kind: integers to integers, floats to floats,
    NumPy's to pandas' nullable ones, texts to texts, dates and durations to the finer unit, categories without an order
    to the categories of all. Rows are copied; messages without columns are passed over, and if only one is left, its
    columns are shared.

    Args:
        messages: Messages with the same columns; or what ``fw.Message`` takes, such as mappings and frames.

    Raises:
        SchemaMismatchError: columns are missing, or no type holds all values; the error shows both sides.

    Example:
        >>> both = fw.concat([fw.Message({"x": [1, 2]}), {"x": np.array([3], dtype="int8")}])
        >>> both["x"].tolist(), both.schema["x"].dtype
        ([1, 2, 3], dtype('int64'))
    """
    given = [item if isinstance(item, Message) else _as_message(number, item) for number, item in enumerate(messages)]
    numbers = [number for number, message in enumerate(given) if message._columns]
    if len(numbers) <= 1:
        return Message(given[numbers[0]] if numbers else None)
    parts = [given[number]._columns for number in numbers]
    first = parts[0]
    for number, part in zip(numbers, parts, strict=True):
        if part.keys() != first.keys():
            missing, extra = [sorted(one.keys() - other.keys()) for one, other in ((first, part), (part, first))]
            raise SchemaMismatchError(
                f"concat: message {number} has columns {list(part)}, message {numbers[0]} has {list(first)};"
                f"{f' it lacks {missing}' if missing else ''}{' and' if missing and extra else ''}"
                f"{f' it alone has {extra}' if extra else ''}."
            )
    stored = {name: _joined(name, [part[name] for part in parts], numbers) for name in first}
    return Message._of(stored, sum([message._num_rows for message in given]))


def _as_message(number: int, item: Any) -> Message:
    if item is None:
        raise TypeError(f"concat: item {number} is None; expected a message, or what fw.Message can be made of.")
    return Message(item)


def _joined(name: str, columns: Sequence[Column], numbers: Sequence[int]) -> Column:
    """Return one column end to end."""
    first = columns[0]
    if isinstance(first, torch.Tensor):
        if len({column.dtype for column in columns}) > 1:
            raise _mismatch(name, columns, numbers)
        return _joined_tensors(name, cast("Sequence[torch.Tensor]", columns), numbers)
    kind: Any = first.dtype
    if not all(column.dtype is kind or column.dtype == kind for column in columns):
        columns = _in_one_type(name, columns, numbers)
    if isinstance(columns[0], np.ndarray):
        return np.concatenate(cast("Sequence[np.ndarray[Any, Any]]", columns))
    array_type: Any = type(columns[0])
    return cast("Column", array_type._concat_same_type(columns))


def _joined_tensors(name: str, tensors: Sequence[torch.Tensor], numbers: Sequence[int]) -> torch.Tensor:
    # torch.cat itself looks at shapes and devices, but it takes any tensor of shape (0,) for nothing
    try:
        joined = torch.cat(list(tensors))
    except RuntimeError:
        if len({(tensor.shape[1:], tensor.device) for tensor in tensors}) > 1:
            raise _mismatch(name, tensors, numbers) from None
        raise
    if joined.dim() > 1 and any([tensor.dim() == 1 for tensor in tensors]):  # noqa: C419 (a list is quicker)
        raise _mismatch(name, tensors, numbers)
    return joined


def _in_one_type(name: str, columns: Sequence[Column], numbers: Sequence[int]) -> Sequence[Column]:
    from fireworks.message.widen import common_dtype, widened

    if any(isinstance(column, torch.Tensor) for column in columns):
        raise _mismatch(name, columns, numbers)
    dtype = common_dtype([field_of(name, column).dtype for column in columns])
    if dtype is None:
        raise _mismatch(name, columns, numbers)
    return widened(name, columns, dtype, numbers)


def _mismatch(name: str, columns: Sequence[Column], numbers: Sequence[int]) -> SchemaMismatchError:
    texts = _texts(name, columns)
    other = next((place for place, text in enumerate(texts) if text != texts[0]), 1)
    one_is_tensor = isinstance(columns[0], torch.Tensor) != isinstance(columns[other], torch.Tensor)
    remedy = (
        f".to_tensors({name!r}) or .to_dataframe({name!r}) converts one of them"
        if one_is_tensor
        else "convert one of them first"
    )
    return SchemaMismatchError(
        f"concat: column {name!r} differs: {texts[0]!r} in message {numbers[0]}, {texts[other]!r} in message "
        f"{numbers[other]}; {remedy}."
    )


def _texts(name: str, columns: Sequence[Column]) -> list[str]:
    """Return the types of columns as texts that tell them apart."""
    short = [
        f"{field_of(name, column).type_text}{f' on {column.device}' if isinstance(column, torch.Tensor) else ''}"
        for column in columns
    ]
    # two types can have one short name, such as `category`
    return short if len(set(short)) > 1 else [repr(column.dtype) for column in columns]
