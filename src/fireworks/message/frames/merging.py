"""Putting the columns of two messages side by side: rows meet by their number, or by columns of both."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.errors import ColumnNotFoundError
from fireworks.message.arrays.tensor_array import TensorArray
from fireworks.message.frames import translate
from fireworks.message.frames.frame import ROWS
from fireworks.message.message import Message

_SIGNATURE = inspect.signature(pd.DataFrame.merge)


def merge(message: Message, *args: Any, **kwargs: Any) -> pd.DataFrame:
    """Return ``DataFrame.merge`` of a message's frame with another, still as a frame.

    Where a row has no partner, pandas looks the key up on the other side, and puts a missing value there meanwhile, for
    which a tensor of integers would turn into floats. So tensor columns to merge by go in as NumPy columns, which pandas
    knows better: as they are, or, where a row is more than one number, as the number of the row among all different ones.
    """
    given = _SIGNATURE.bind(None, *args, **kwargs).arguments
    del given["self"]
    left, right = translate.frame_of(message), translate.argument(given.pop("right"))
    right = right.to_frame() if isinstance(right, pd.Series) else right.copy(deep=False)
    back = {}
    for name in _names_of_both(left, right, given):
        pair = _comparable(left[name], right[name])
        if pair is not None:
            left[name], right[name], back[name] = pair
    merged = left.merge(right, **translate.argument(given))
    for name, restore in back.items():
        merged[name] = restore(merged[name])
    return merged


def join(message: Message, other: Any, on: Any = None, how: Any = "left", **options: Any) -> pd.DataFrame:
    """Return ``DataFrame.join`` of a message's frame with others, still as a frame.

    Without ``on``, rows meet by their number. With it, the columns of another message that have these names are matched,
    or the index of a frame.

    Raises:
        TypeError: there is no ``on``, and the other frame has an index that is no numbering of its rows.
        ColumnNotFoundError: the other message has no such column.
    """
    if on is None:
        for one in other if isinstance(other, (list, tuple)) else [other]:
            _require_row_numbers(translate.argument(one))
    elif isinstance(other, Message):
        for name in [on] if isinstance(on, str) else on:
            if name not in other:
                raise ColumnNotFoundError(name, available=other.columns, where="Message.join: the other message")
        suffixes = options.pop("lsuffix", ""), options.pop("rsuffix", "")
        return merge(message, other, how, on, suffixes=suffixes, **options)
    return translate.frame_of(message).join(translate.argument(other), on=on, how=how, **options)


def _require_row_numbers(other: Any) -> None:
    if isinstance(other, (pd.DataFrame, pd.Series)) and list(other.index.names) != [ROWS]:
        raise TypeError(
            f"Message.join: a message has no index that could meet {list(other.index.names)} of the other; name the "
            "columns to match with on=."
        )


def _names_of_both(left: pd.DataFrame, right: Any, given: dict[str, Any]) -> list[str]:
    """Return the columns to merge by that have one name on both sides, and so become one column."""
    on = given.get("on")
    if on is None:
        elsewhere = any(given.get(name) for name in ("left_index", "right_index")) or given.get("how") == "cross"
        if elsewhere or any(given.get(name) is not None for name in ("left_on", "right_on")):
            return []
        on = [name for name in left.columns if name in right.columns]
    names = [on] if isinstance(on, str) else list(on)
    return [name for name in names if isinstance(name, str) and name in left.columns and name in right.columns]


def _comparable(left: pd.Series[Any], right: pd.Series[Any]) -> tuple[Any, Any, Callable[[Any], Any]] | None:
    """Return two columns as plain ones that are equal where the rows are, and what makes tensors of them again."""
    one, other = left.array, right.array
    if isinstance(one, TensorArray) and isinstance(other, TensorArray) and one.tensor.dim() > 1:
        if one.dtype.shape != other.dtype.shape:
            return None
        both = pd.concat([left, right], ignore_index=True).array
        codes, rows = pd.factorize(both, sort=True, use_na_sentinel=False)
        return codes[: len(one)], codes[len(one) :], lambda column: rows.take(column.to_numpy())
    tensors = [array.tensor for array in (one, other) if isinstance(array, TensorArray)]
    if not tensors or any(tensor.dim() > 1 for tensor in tensors):
        return None

    def restore(column: pd.Series[Any]) -> TensorArray:
        tensor = torch.from_numpy(np.array(column.to_numpy())).to(tensors[0].device)
        is_as_before = column.dtype == np.asarray(TensorArray(tensors[0][:0])).dtype
        return TensorArray(tensor.to(tensors[0].dtype) if is_as_before else tensor)

    plain = [np.asarray(array) if isinstance(array, TensorArray) else array for array in (one, other)]
    return plain[0], plain[1], restore
