"""The methods of a DataFrame, called on a message: which frame they run on, and what is special about some of them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import pandas as pd

from fireworks.errors import ColumnNotFoundError, did_you_mean
from fireworks.message.arrays.tensor_dtype import TensorDtype
from fireworks.message.frames import translate, writers
from fireworks.message.frames.arguments import by_index, goes_over_rows, prepared
from fireworks.message.frames.elements import apart, spread, together
from fireworks.message.frames.merging import join, merge
from fireworks.message.frames.selection import columns_of_numbers, has_tensors, select_dtypes
from fireworks.message.frames.unindexed import REFUSED, why_not
from fireworks.message.message import Message

# What pandas computes in NumPy only, one element at a time.
_ELEMENTWISE = frozenset({
    "all", "any", "clip", "corr", "corrwith", "count", "cov", "idxmax", "idxmin", "interpolate", "kurt",
    "kurtosis", "pct_change", "quantile", "rank", "round", "sem", "skew",
})  # fmt: skip
# What calls functions of users for values.
_CALLING = frozenset({"agg", "aggregate", "apply", "combine", "map", "pivot_table", "transform"})
# What a message does by its own means.
_OWN: dict[str, Callable[..., Any]] = {"join": join, "merge": merge, "select_dtypes": select_dtypes}
_INDEXERS = frozenset({"at", "iat", "iloc", "loc"})


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
        from fireworks.message.frames.indexers import Indexer

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
    if name in writers.WRITERS:
        return writers.write(message, name, args, kwargs)
    with missing_columns(message, where, (args, kwargs)):
        if name in _OWN:
            return translate.result(_OWN[name](message, *args, **kwargs), where=where)
        names = names_in((args, kwargs), message)
        args, kwargs = prepared(message, name, args, kwargs)
        message, kwargs = numbers_only(message, name, kwargs)
        value = _computed(message, name, args, kwargs, names)
    if not isinstance(value, translate.DEFERRED):
        return translate.result(value, where=where, of_functions=name in _CALLING)
    from fireworks.message.frames.grouped import deferred

    def divide(frame: pd.DataFrame, _: Any) -> Any:
        return getattr(frame, name)(*args, **kwargs)

    times = by_index(args, kwargs) if name == "resample" else None
    # columns that are assigned to the message from now on are not divided
    return deferred(value)(Message(message), divide, names, where, made=value, times=times)


def _computed(message: Message, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], names: set[str]) -> Any:
    frame = translate.frame_of(message)
    if name in _ELEMENTWISE and has_tensors(message):
        frame, originals = apart(frame, but=names)
        args = tuple(spread(value, originals) for value in args)
        kwargs = {key: spread(value, originals) for key, value in kwargs.items()}
        return together(getattr(frame, name)(*args, **kwargs), originals)
    if name in _CALLING and goes_over_rows(args, kwargs) and _has_one_type_of_rows(frame):
        frame = frame.astype(object)
    return getattr(frame, name)(*args, **kwargs)


def _has_one_type_of_rows(frame: pd.DataFrame) -> bool:
    """Tell whether all columns are tensors with rows of one shape and type, which pandas would make one array of."""
    first, *others = set(frame.dtypes) or {None}
    return not others and isinstance(first, TensorDtype) and bool(first.shape)


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
