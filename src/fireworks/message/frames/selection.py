"""Choosing columns by their type, where a tensor column counts as numbers whatever the shape of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.message.arrays.tensor_array import TensorArray
from fireworks.message.frames.copy_on_write import protect
from fireworks.message.message import Message


def has_tensors(message: Message, names: Iterable[str] | None = None) -> bool:
    """Tell whether one of the columns, or of those of the given names, is a tensor."""
    return any(isinstance(message.raw(name), torch.Tensor) for name in (message.columns if names is None else names))


def stand_ins(message: Message) -> pd.DataFrame:
    """Return a frame in which each tensor column is a plain one of its type: the numbers, or zeros where rows are more."""
    frame = message.to_pandas()
    for name in message.columns:
        column = message.raw(name)
        if isinstance(column, torch.Tensor):
            plain: np.ndarray[Any, Any] = np.asarray(TensorArray(column if column.dim() == 1 else column.new_zeros(1)))
            values = plain if column.dim() == 1 else np.zeros(len(column), dtype=plain.dtype)
            frame[name] = protect(pd.Series(values, copy=False))
    return frame


def select_dtypes(message: Message, include: Any = None, exclude: Any = None) -> Message:
    """Return the columns of some types, in the order of the message, sharing memory.

    Args:
        message: What to choose from.
        include: Types as in ``DataFrame.select_dtypes``, torch dtypes, or ``torch.Tensor`` for all tensor columns.
        exclude: Types to leave out.

    Raises:
        ValueError: neither is given, or a type is in both.
    """
    wanted, unwanted = _listed(include), _listed(exclude)
    frame = stand_ins(message)
    if not any(map(_is_of_torch, (*wanted, *unwanted))):
        return message.select(*frame.select_dtypes(include, exclude))
    for kind in wanted:
        if kind in unwanted:
            raise ValueError(f"Message.select_dtypes: {kind!r} can't be in both include and exclude.")
    chosen = _names_of(wanted, message, frame) if wanted else set(message.columns)
    dropped = _names_of(unwanted, message, frame)
    return message.select(*(name for name in message.columns if name in chosen and name not in dropped))


def _listed(kinds: Any) -> list[Any]:
    return list(kinds) if isinstance(kinds, (list, tuple, set, frozenset)) else [] if kinds is None else [kinds]


def _is_of_torch(kind: Any) -> bool:
    return kind is torch.Tensor or isinstance(kind, torch.dtype)


def _names_of(kinds: list[Any], message: Message, frame: pd.DataFrame) -> set[str]:
    """Return the names of the columns of the given types."""
    plain = [kind for kind in kinds if not _is_of_torch(kind)]
    names = {str(name) for name in frame.select_dtypes(plain)} if plain else set()
    tensors = {name: column for name in message.columns if isinstance(column := message.raw(name), torch.Tensor)}
    return names.union(name for name, tensor in tensors.items() if torch.Tensor in kinds or tensor.dtype in kinds)


def columns_of_numbers(message: Message) -> list[str]:
    """Return the names of the columns that ``numeric_only=True`` keeps; pandas would take rows of many for objects."""
    frame = stand_ins(message)
    return [str(name) for name in frame.select_dtypes(include=["number", "bool"], exclude=["timedelta"])]
