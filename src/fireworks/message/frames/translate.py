"""What passes between a message and pandas: arguments and functions on their way in, results on their way back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api.typing import (
    DataFrameGroupBy,
    Expanding,
    ExponentialMovingWindow,
    Resampler,
    Rolling,
    SeriesGroupBy,
    Window,
)

from fireworks.message.arrays.tensor_array import TensorArray
from fireworks.message.arrays.tensor_dtype import TensorDtype
from fireworks.message.frames.frame import ROWS, columns_of_result, plain
from fireworks.message.message import Message

WINDOWS = (Rolling, Expanding, ExponentialMovingWindow, Window)
DEFERRED = (DataFrameGroupBy, SeriesGroupBy, Resampler, *WINDOWS)  # what computes nothing yet

# Functions of these are written for Series, and what they are given never reaches a user.
_OF_PANDAS = frozenset({"builtins", "numpy", "pandas"})


class Cell:
    """A tensor that is one value, one row of the result; pandas would take the bare tensor for many values."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


# --- in ---------------------------------------------------------------------------------------------------------------


def frame_of(message: Message) -> pd.DataFrame:
    """Return the message as a frame whose index has the private name of row numbers, sharing memory."""
    frame = message.to_pandas()
    frame.index = pd.RangeIndex(len(message), name=ROWS)
    return frame


def argument(value: Any) -> Any:
    """Return an argument as pandas takes it, also inside lists and mappings.

    Messages become frames, tensors arrays (one number becomes a Python number), and functions are wrapped, so that
    they get messages and tensors. Rows of a Series or frame of a user are matched to the message's by their number.
    """
    if isinstance(value, Message):
        return frame_of(value)
    if isinstance(value, torch.Tensor):
        return value.item() if value.dim() == 0 else array_of(value)
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return _renumbered(value)
    if is_of_user(value):
        return wrapped(value)
    return _inside(value, argument)


def functions_only(value: Any, *, cells: bool) -> Any:
    """Return an argument with functions wrapped, and all else as it is: it goes on to a function of the user."""
    if is_of_user(value):
        return wrapped(value, cells=cells)
    return _inside(value, functools.partial(functions_only, cells=cells))


def _inside(value: Any, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, pd.NamedAgg):
        extra: Any = (getattr(value, "args", ()), getattr(value, "kwargs", {}))  # from pandas 3.1 on
        return pd.NamedAgg(value.column, convert(value.aggfunc), *extra[0], **extra[1])
    if type(value) in {list, tuple}:
        return type(value)(convert(part) for part in value)
    if type(value) is dict:
        return {key: convert(part) for key, part in value.items()}
    return value


def array_of(tensor: torch.Tensor) -> Any:
    """Return a tensor of one or more dimensions as a NumPy array with the same shape, sharing memory where it can."""
    flat: np.ndarray[Any, Any] = np.asarray(TensorArray(tensor.reshape(-1)))
    return flat.reshape(tuple(tensor.shape))


def _renumbered(shared: Any) -> Any:
    """Take integers without a name for row numbers, as where a frame becomes a message."""
    index = shared.index
    if index.nlevels > 1 or index.name is not None or not pd.api.types.is_integer_dtype(index.dtype):
        return shared
    copy = shared.copy(deep=False)
    copy.index = index.rename(ROWS)
    return copy


# --- functions of users -----------------------------------------------------------------------------------------------


def is_of_user(value: Any) -> bool:
    """Tell whether a value is a function that a user wrote, rather than a type or a function of NumPy or pandas."""
    while isinstance(value, functools.partial):
        value = value.func
    if not callable(value) or isinstance(value, (type, np.ufunc)):
        return False
    return (getattr(value, "__module__", None) or "").partition(".")[0] not in _OF_PANDAS


def wrapped(function: Callable[..., Any], *, cells: bool = False, columns: bool = False) -> Callable[..., Any]:
    """Return a function that pandas can call, and that calls the user's with what a user expects.

    A frame arrives as a message, a tensor column as the tensor, any other Series without the private name. A message,
    a tensor or a number of torch may be returned.

    Args:
        function: The user's.
        cells: Whether a tensor that is returned is one value, as in ``agg``, and not a column.
        columns: Whether to refuse frames, which pandas tries beside columns to see whether that is quicker.
    """

    @functools.wraps(function)
    def call(first: Any, *args: Any, **kwargs: Any) -> Any:
        if columns and isinstance(first, pd.DataFrame):
            raise TypeError("one column at a time")
        given = for_user(first)
        more = [for_user(extra) if _is_numbered(extra) else extra for extra in args]
        return _from_user(function(given, *more, **kwargs), first, given, cells=cells)

    return call


def _is_numbered(value: Any) -> bool:
    return isinstance(value, (pd.Series, pd.DataFrame)) and ROWS in value.index.names


def for_user(value: Any) -> Any:
    """Return a group, a column or a row of pandas as a user knows it: as a message, a tensor, a Series."""
    if isinstance(value, pd.DataFrame):
        return message_of(value, where="Message")
    if isinstance(value, pd.Series):
        # a row has the names of the columns as its index, and stays a Series: its values are asked for by name
        if isinstance(value.dtype, TensorDtype) and not pd.api.types.is_string_dtype(value.index.dtype):
            return value.array.tensor  # type: ignore[attr-defined]
        return plain(value)
    return value


def _from_user(value: Any, source: Any, given: Any, *, cells: bool) -> Any:
    if isinstance(value, Message):
        return frame_of(value)
    if isinstance(value, torch.Tensor):
        if value.dim() == 0:
            return value.item()
        if cells or not isinstance(source, (pd.Series, pd.DataFrame)):
            return Cell(value)
        index = source.index if len(source) == len(value) else None
        column = TensorArray(value) if isinstance(source, pd.Series) else array_of(value)  # a mask of a frame's rows
        return pd.Series(column, index=index, copy=False) if column.ndim == 1 else column
    if isinstance(value, pd.DataFrame):
        return _renumbered(value)
    if isinstance(value, pd.Series) and _is_of_same_rows(value, source, given):
        return value.set_axis(source.index)
    return value


def _is_of_same_rows(value: pd.Series[Any], source: Any, given: Any) -> bool:
    """Tell whether a Series that a function returned has a value for each row that the function was given."""
    if isinstance(given, pd.Series):
        return value.index.is_(given.index)
    return (
        isinstance(source, pd.DataFrame) and value.index.name is None and value.index.equals(pd.RangeIndex(len(source)))
    )


# --- back -------------------------------------------------------------------------------------------------------------


def result(value: Any, *, where: str, unnamed: str = "index", of_functions: bool = False) -> Any:
    """Return what pandas gave back as users of a message get it.

    A frame becomes a message, also inside a tuple or a list; a Series keeps no trace of row numbers; all else is
    returned as it is.

    Args:
        value: What a method or an attribute gave.
        where: Its name, for errors.
        unnamed: What an index without a name is called as a column.
        of_functions: Whether functions of users have made values, so that there may be tensors to stack.
    """
    if isinstance(value, pd.DataFrame):
        if of_functions:
            value = _stacked_columns(value)
        return message_of(value, where=where, unnamed=unnamed)
    if isinstance(value, pd.Series):
        return plain(stacked(value) if of_functions else value)
    if isinstance(value, pd.Index):
        return plain(value)
    if type(value) in {tuple, list} and any(isinstance(part, (pd.DataFrame, pd.Series)) for part in value):
        return type(value)(result(part, where=where) for part in value)
    return value


def message_of(frame: pd.DataFrame, *, where: str, unnamed: str = "index") -> Message:
    """Return a frame that pandas made as a message; an index that says something becomes the first columns."""
    columns = columns_of_result(frame, where=where, unnamed=unnamed)
    return Message._of(columns, len(frame) if columns else 0)


def _stacked_columns(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy(deep=False)
    for position in range(frame.shape[1]):
        frame.isetitem(position, stacked(frame.iloc[:, position]).array)
    return frame


def stacked(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return a Series of tensors as one tensor column where they have one shape and type, else as objects."""
    if not pd.api.types.is_object_dtype(series.dtype):
        return series
    values = [value.tensor if isinstance(value, Cell) else value for value in series.array]
    if not any(isinstance(value, torch.Tensor) for value in values):
        return series
    if len({_kind(value) for value in values}) == 1:
        array: Any = TensorArray(torch.stack(values))
    else:
        array = np.empty(len(values), dtype=object)
        for position, value in enumerate(values):  # all at once, NumPy would look into the tensors
            array[position] = value
    return pd.Series(array, index=series.index, name=series.name, copy=False)


def _kind(value: Any) -> Any:
    return (value.shape, value.dtype, value.device) if isinstance(value, torch.Tensor) else None
