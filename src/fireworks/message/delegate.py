"""The methods of a DataFrame, called on a message: which frame they run on, and what is special about some of them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.errors import ColumnNotFoundError, did_you_mean
from fireworks.message import translate, writers
from fireworks.message.elements import apart, spread, together
from fireworks.message.frame import ROWS
from fireworks.message.message import Message
from fireworks.message.selection import columns_of_numbers, has_tensors, select_dtypes
from fireworks.message.tensor_array import TensorArray
from fireworks.message.tensor_dtype import TensorDtype
from fireworks.message.unindexed import REFUSED, why_not

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

# What pandas computes in NumPy only, one element at a time.
_ELEMENTWISE = frozenset({
    "all", "any", "clip", "corr", "corrwith", "count", "cov", "idxmax", "idxmin", "interpolate", "kurt",
    "kurtosis", "pct_change", "quantile", "rank", "round", "sem", "skew",
})  # fmt: skip
# What calls functions of users for values.
_CALLING = frozenset({"agg", "aggregate", "apply", "combine", "map", "pivot_table", "transform"})
_INDEXERS = frozenset({"at", "iat", "iloc", "loc"})
_CALLS_BETWEEN = 2  # the user's call and pandas: `call` and `run`


def public_names() -> list[str]:
    """Return the names of all attributes that a message takes over from a DataFrame."""
    return [name for name in dir(pd.DataFrame) if not name.startswith("_") and name not in REFUSED]


def attribute(message: Message, name: str) -> Any:
    """Return an attribute of a DataFrame for a message that has none of that name itself.

    Raises:
        AttributeError: a DataFrame has none either, or it makes no sense without an index.
    """
    if name in REFUSED:
        raise AttributeError(f"'Message' object has no attribute {name!r}. {why_not(name)}")
    member = getattr(pd.DataFrame, name, None)
    if member is None:
        hint = f" Columns are not attributes; write message[{name!r}]." if name in message else _nearest(name)
        raise AttributeError(f"'Message' object has no attribute {name!r}.{hint}")
    if name in _INDEXERS:
        from fireworks.message.indexers import Indexer

        return Indexer(message, name)
    if isinstance(member, FunctionType):
        return MethodType(method(name), message)
    if name in writers.WRITERS:
        return writers.accessor(message, name)
    frame = translate.frame_of(message)
    return translate.result(getattr(frame, name), where=f"Message.{name}")


@functools.lru_cache(maxsize=256)  # libraries ask many times whether an object has what only theirs have
def _nearest(name: str) -> str:
    return did_you_mean(name, {known for known in dir(Message) if not known.startswith("_")}.union(public_names()))


@functools.cache
def method(name: str) -> Callable[..., Any]:
    """Return a method of DataFrames as a function of a message, with pandas' own docstring and signature."""

    @functools.wraps(getattr(pd.DataFrame, name))
    def call(self: Message, /, *args: Any, **kwargs: Any) -> Any:
        return run(self, name, args, kwargs)

    call.__qualname__ = f"Message.{name}"
    return call


def run(message: Message, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a method of DataFrames on a message, and return what comes back in the terms of messages.

    Raises:
        TypeError: the method would change its frame in place.
        ColumnNotFoundError: pandas finds no column of a name.
    """
    where = f"Message.{name}"
    if kwargs.get("inplace"):
        raise TypeError(
            f"{where}: inplace=True would change a frame that the message is only seen through, and be lost; write "
            f"message = message.{name}(…) without it."
        )
    if name == "select_dtypes":
        return select_dtypes(message, *args, **kwargs)
    if name in writers.WRITERS:
        return writers.write(message, name, args, kwargs)
    names = names_in((args, kwargs), message)
    with missing_columns(message, where, (args, kwargs)):
        args, kwargs = _SPECIAL.get(name, _translated)(message, args, kwargs)
        message, kwargs = numbers_only(message, name, kwargs)
        frame = translate.frame_of(message)
        if name in _CALLING and _goes_over_rows(args, kwargs) and _has_one_type_of_rows(frame):
            frame = frame.astype(object)
        if name in _ELEMENTWISE and has_tensors(message):
            frame, originals = apart(frame, but=names)
            args = tuple(spread(value, originals) for value in args)
            kwargs = {key: spread(value, originals) for key, value in kwargs.items()}
            value = together(getattr(frame, name)(*args, **kwargs), originals)
        else:
            value = getattr(frame, name)(*args, **kwargs)
    if isinstance(value, translate.DEFERRED):
        from fireworks.message.grouped import deferred

        def divide(other: pd.DataFrame, _: Any) -> Any:
            return getattr(other, name)(*args, **kwargs)

        times = _times(args, kwargs) if name == "resample" else None
        # columns that are assigned to the message from now on are not divided
        return deferred(value)(Message(message), divide, names, where, made=value, times=times)
    return translate.result(value, where=where, of_functions=name in _CALLING)


def _translated(_: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    return translate.argument(args), translate.argument(kwargs)


@contextlib.contextmanager
def missing_columns(message: Message, where: str, given: Any) -> Iterator[None]:
    """Turn pandas' KeyError about a name that was given, and that is no column, into one that suggests the nearest."""
    try:
        yield
    except KeyError as error:
        name = error.args[0] if len(error.args) == 1 else None
        if not isinstance(name, str) or name in message or name not in _texts_in(given):
            raise
        raise ColumnNotFoundError(name, available=message.columns, where=where) from error


def _texts_in(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, (list, tuple, dict)):
        for part in given.values() if isinstance(given, dict) else given:
            yield from _texts_in(part)


def names_in(given: Any, message: Message) -> set[str]:
    """Return the names of columns that occur in arguments, as what to group by or to go along."""
    return {text for text in _texts_in(given) if text in message}


def numbers_only(message: Message, name: str, kwargs: dict[str, Any]) -> tuple[Message, dict[str, Any]]:
    """Choose the columns of numbers here where pandas is asked to; it takes rows of many numbers for objects."""
    if kwargs.get("numeric_only") is not True or name in _ELEMENTWISE or not has_tensors(message):
        return message, kwargs
    return message.select(*columns_of_numbers(message)), kwargs | {"numeric_only": False}


# --- methods whose arguments mean something else without an index -----------------------------------------------------


def _functions(_: Message, args: tuple[Any, ...], kwargs: dict[str, Any], *, cells: bool = False) -> Arguments:
    """Functions are made ready for pandas; what else is given goes on to them as it is."""
    cells = cells or _goes_over_rows(args, kwargs)
    return translate.functions_only(args, cells=cells), translate.functions_only(kwargs, cells=cells)


def _goes_over_rows(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    axis = kwargs.get("axis", args[1] if len(args) > 1 else 0)
    return isinstance(axis, (int, str)) and axis in {1, "columns"}


def _has_one_type_of_rows(frame: pd.DataFrame) -> bool:
    """Tell whether all columns are tensors with rows of one shape and type, which pandas would make one array of."""
    first, *others = set(frame.dtypes) or {None}
    return not others and isinstance(first, TensorDtype) and bool(first.shape)


_to_values = functools.partial(_functions, cells=True)


def _query(_: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    # pandas looks for `@name` among the variables of whoever calls it, this many calls above
    return args, kwargs | {"level": kwargs.get("level", 0) + _CALLS_BETWEEN}


def keys(by: Any, num_rows: int) -> Any:
    """Return what rows are grouped by, as pandas takes it.

    A function or a mapping of row numbers is applied here: pandas would call the result by the private name of row
    numbers, and the keys would be taken for them.
    """
    if isinstance(by, list):
        return [keys(part, num_rows) for part in by]
    if isinstance(by, torch.Tensor):
        return TensorArray(by)
    if isinstance(by, dict) or (callable(by) and not isinstance(by, (pd.Grouper, pd.Series))):
        return pd.RangeIndex(num_rows).map(by)
    return by


def _groupby(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    if args:
        return (keys(args[0], len(message)), *args[1:]), kwargs
    return args, kwargs | {"by": keys(kwargs.get("by"), len(message))}


def _pivot_table(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    names = ("values", "index", "columns", "aggfunc")
    kwargs = dict(zip(names, args, strict=False)) | kwargs
    for name in ("index", "columns"):
        if name in kwargs:
            kwargs[name] = keys(kwargs[name], len(message))
    if "aggfunc" in kwargs:
        kwargs["aggfunc"] = translate.functions_only(kwargs["aggfunc"], cells=True)
    return args[len(names) :], kwargs


def _where(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """One boolean per row stands for all of the row, and one value per row for the values of all columns."""

    def per_row(value: Any) -> Any:
        if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim == 1 and len(value) == len(message):
            array = translate.array_of(value) if isinstance(value, torch.Tensor) else value
            return pd.Series(array, index=pd.RangeIndex(len(message), name=ROWS), copy=False)
        return translate.argument(value)

    args, kwargs = tuple(map(per_row, args)), {name: per_row(value) for name, value in kwargs.items()}
    other = kwargs.get("other", args[1] if len(args) > 1 else None)
    return args, ({"axis": 0} if isinstance(other, pd.Series) else {}) | kwargs


def _join(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Without ``on``, rows meet by their number; with it, the other message's columns of that name are matched."""
    bound = dict(zip(("other", "on", "how", "lsuffix", "rsuffix", "sort"), args, strict=False)) | kwargs
    others, on = bound.get("other"), bound.get("on")
    if on is None:
        for other in others if isinstance(others, (list, tuple)) else [others]:
            _require_row_numbers(translate.argument(other))
        return _translated(message, args, kwargs)
    if isinstance(others, Message):
        names = [on] if isinstance(on, str) else list(on)
        for name in names:
            if name not in others:
                raise ColumnNotFoundError(name, available=others.columns, where="Message.join: the other message")
        bound["other"] = others.to_pandas().set_index(names)
    return _translated(message, (), bound)


def _require_row_numbers(other: Any) -> None:
    if isinstance(other, (pd.DataFrame, pd.Series)) and list(other.index.names) != [ROWS]:
        raise TypeError(
            f"Message.join: a message has no index that could meet {list(other.index.names)} of the other; name the "
            "columns to match with on=."
        )


def _resample(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    if kwargs.get("on") is None:
        raise TypeError("Message.resample: a message has no index of times; name the column that has them with on=.")
    return _translated(message, args, kwargs)


def _times(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Callable[[Any], Any]]:
    """Return the column of times, and what resamples by an index; some methods of pandas want one."""
    others = {name: value for name, value in kwargs.items() if name != "on"}
    return kwargs["on"], lambda indexed: indexed.resample(*args, **others)


def _astype(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """A torch dtype turns a column into a tensor of that type, whatever it was; rows keep their shape."""
    dtype = kwargs.get("dtype", args[0] if args else None)
    if isinstance(dtype, torch.dtype):
        dtype = dict.fromkeys(message.columns, dtype)
    if not isinstance(dtype, dict):
        return args, kwargs
    kinds = {}
    for name, kind in dtype.items():
        shape = message.schema[name].shape if isinstance(kind, torch.dtype) and name in message else ()
        kinds[name] = TensorDtype(kind, shape) if isinstance(kind, torch.dtype) else kind
    return args[1:], kwargs | {"dtype": kinds}


_SPECIAL: dict[str, Callable[[Message, tuple[Any, ...], dict[str, Any]], Arguments]] = {
    "agg": _to_values,
    "aggregate": _to_values,
    "apply": _functions,
    "astype": _astype,
    "eval": _query,
    "groupby": _groupby,
    "join": _join,
    "map": _to_values,
    "mask": _where,
    "pivot_table": _pivot_table,
    "query": _query,
    "resample": _resample,
    "transform": _functions,
    "where": _where,
}
