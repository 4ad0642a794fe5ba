"""What stands between a message and a result: groups of rows, spans of time, windows of rows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator
from types import FunctionType, MethodType
from typing import Any, TypeAlias, final

import pandas as pd
import torch
from pandas.api.typing import Resampler

from fireworks.errors import ColumnNotFoundError, did_you_mean
from fireworks.message.frames import translate
from fireworks.message.frames.delegate import missing_columns, names_in
from fireworks.message.frames.elements import Originals, apart, labels_of, spread, together
from fireworks.message.frames.frame import plain
from fireworks.message.frames.selection import columns_of_numbers, has_tensors
from fireworks.message.frames.writers import PLOTS, outgoing
from fireworks.message.message import Message

Divide: TypeAlias = Callable[[pd.DataFrame, Originals], Any]
Times: TypeAlias = tuple[str, Callable[[Any], Any]]

# What pandas computes of groups in NumPy only, one element at a time.
_ELEMENTWISE = frozenset({
    "bfill", "corr", "corrwith", "count", "cov", "describe", "diff", "ffill", "idxmax", "idxmin",
    "interpolate", "kurt", "ohlc", "pct_change", "quantile", "rank", "skew",
})  # fmt: skip
# What calls functions of users for values.
_CALLING = frozenset({"agg", "aggregate", "apply", "transform"})
# What gives rows between those that are there, for which pandas wants the times as the index.
_BETWEEN = frozenset({"asfreq", "bfill", "ffill", "interpolate", "nearest"})


class Deferred:
    """A message that is divided, of which nothing is computed yet; what pandas computes of it comes as messages.

    Args:
        message: What is divided.
        divide: Makes pandas' object out of a frame of the message's rows, and what was taken apart in it.
        whole: Columns that decide how it is divided, and so are never taken apart.
        where: The method that was called, for errors.
        selection: The columns to compute of: None for all, a name for one, a list of names.
        single: The name of the one column, where an earlier step has selected it.
        made: What ``divide`` makes of all the message, where the caller has it.
        times: Of ``resample``, the column of times, and what makes the same of a frame with them as its index.
    """

    __slots__ = ("_divide", "_message", "_pandas", "_selection", "_single", "_times", "_where", "_whole")

    def __init__(
        self,
        message: Message,
        divide: Divide,
        whole: set[str],
        where: str,
        *,
        selection: str | list[str] | None = None,
        single: str | None = None,
        made: Any = None,
        times: Times | None = None,
    ) -> None:
        self._message, self._divide, self._whole, self._where = message, divide, whole, where
        self._selection, self._times = selection, times
        self._single = selection if isinstance(selection, str) else single
        self._pandas = self._over(translate.frame_of(message), {}) if made is None else made

    def _over(self, frame: pd.DataFrame, originals: Originals) -> Any:
        return self._chosen(self._divide(frame, originals), originals)

    def _chosen(self, divided: Any, originals: Originals) -> Any:
        """Return the selected columns of a frame, or of what pandas made of one."""
        if self._selection is None:
            return divided
        if isinstance(self._selection, str) and self._selection not in originals:
            return divided[self._selection]
        names = [self._selection] if isinstance(self._selection, str) else self._selection
        return divided[[label for name in names for label in labels_of(name, originals)]]

    # --- looking at it --------------------------------------------------------------------------------------------

    def __getitem__(self, names: str | list[str]) -> Any:
        for name in names if isinstance(names, list) else [names]:
            if name not in self._message:
                raise ColumnNotFoundError(name, available=self._message.columns, where=self._where)
        return type(self)(self._message, self._divide, self._whole, self._where, selection=names, times=self._times)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked for by copy and notebooks, maybe before there is anything to ask
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}.")
        kind = self._kind_of(name)
        member = getattr(kind, name, None)
        if member is None:
            raise AttributeError(f"{self._where}: the result has no attribute {name!r}.{self._hint(name)}")
        if isinstance(member, FunctionType):
            return MethodType(_method(kind, name), self)
        if name in PLOTS:
            return getattr(self._over(outgoing(self._message, name), {}), name)
        return translate.result(getattr(self._pandas, name), where=f"{self._where}.{name}")

    def _kind_of(self, name: str) -> Any:  # noqa: ARG002 (see `Grouped`)
        """Return the class of pandas that has a method."""
        return type(self._pandas)

    def _hint(self, name: str) -> str:
        if name in self._message:
            return f" Columns are not attributes; write […][{name!r}]."
        return did_you_mean(name, [known for known in dir(self) if not known.startswith("_")])

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *(name for name in dir(type(self._pandas)) if not name.startswith("_"))})

    def __repr__(self) -> str:
        return f"{self._where}: {type(self._pandas).__name__} over {len(self._message):,} rows"

    # --- computing ------------------------------------------------------------------------------------------------

    def pipe(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return ``function(self, *args, **kwargs)``, so that steps read from left to right."""
        return function(self, *args, **kwargs)

    def _run(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = translate.argument(args), translate.argument(kwargs)
        return self._call(name, args, kwargs)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call pandas with arguments that are ready for it."""
        where = f"{self._where}.{name}"
        with missing_columns(self._message, where, (args, kwargs)):
            if self._is_elementwise(name) and has_tensors(self._message, self._computed_of()):
                value = self._of_elements(name, args, kwargs)
            else:
                value = getattr(self._pandas, name)(*args, **kwargs)
        if not isinstance(value, translate.DEFERRED):
            return translate.result(value, where=where, of_functions=name in _CALLING)

        def divide(frame: pd.DataFrame, originals: Originals) -> Any:
            return getattr(self._over(frame, originals), name)(*args, **kwargs)

        whole = self._whole | names_in((args, kwargs), self._message)
        return deferred(value)(self._message, divide, whole, where, single=self._single, made=value)

    def _is_elementwise(self, name: str) -> bool:
        raise NotImplementedError

    def _computed_of(self) -> list[str]:
        """Return the names of the columns that results are computed of."""
        if self._single is not None:
            return [self._single]
        if isinstance(self._selection, list):
            return self._selection
        return [name for name in self._message.columns if name not in self._whole]

    def _of_elements(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chosen = self._computed_of()
        others = {column for column in self._message.columns if column not in chosen}
        frame, originals = apart(translate.frame_of(self._message), but=others | self._whole)
        args = tuple(spread(value, originals) for value in args)
        kwargs = {key: spread(value, originals) for key, value in kwargs.items()}
        value = together(getattr(self._over(frame, originals), name)(*args, **kwargs), originals)
        return value if self._single is None else _of_one(value, self._single)


def _of_one(value: Any, name: str) -> Any:
    """Return what was computed of the elements of one column as pandas returns it for one column."""
    if not isinstance(value, pd.DataFrame):
        return value
    if list(value.columns) == [name]:
        return value[name]
    columns: list[Any] = list(value.columns)
    labels = [label[1:] if isinstance(label, tuple) and label[0] == name else label for label in columns]
    labels = [label[0] if isinstance(label, tuple) and len(label) == 1 else label for label in labels]
    return value.set_axis(pd.Index(labels, dtype=object, tupleize_cols=False), axis=1)


@functools.cache
def _method(kind: Hashable, name: str) -> Callable[..., Any]:
    """Return a method of pandas' object as a function of ours, with pandas' own docstring and signature."""

    @functools.wraps(getattr(kind, name))
    def call(self: Deferred, /, *args: Any, **kwargs: Any) -> Any:
        return self._run(name, args, kwargs)

    return call


@final
class Windows(Deferred):
    """Windows of a message's rows, as ``rolling``, ``expanding`` and ``ewm`` make them.

    Each element of a tensor column is computed by itself, in float64, and the results come as a tensor column of the
    same shape of row. Functions get one window of one element at a time, as in pandas.

    Example:
        >>> message = fw.Message({"v": torch.tensor([[1.0, 10.0], [3.0, 30.0], [5.0, 50.0]])})
        >>> message.rolling(2, min_periods=1).mean()["v"].tolist()
        [[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]
    """

    __slots__ = ()

    def _is_elementwise(self, name: str) -> bool:  # noqa: ARG002 (of windows, everything is)
        return True

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows of each window as a message; of one column, as ``message[name]`` gives it."""
        return (translate.for_user(part) for part in self._pandas)


@final
class Grouped(Deferred):
    """Groups of a message's rows, as ``groupby`` and ``resample`` make them.

    What to group by becomes the leading columns of a result, where pandas makes an index of it. Functions get a group
    as a message in ``apply``, ``filter`` and iteration, and one column of it, as ``message[name]`` gives it, in ``agg``
    and ``transform``; they may return messages, frames, Series, tensors and numbers.

    Example:
        >>> message = fw.Message({"g": ["a", "b", "a"], "v": torch.tensor([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]])})
        >>> means = message.groupby("g").mean()
        >>> means["g"].tolist(), means["v"].tolist()
        (['a', 'b'], [[2.0, 3.0], [5.0, 6.0]])
        >>> {key: tuple(rows.shape) for key, rows in message.groupby("g")["v"]}
        {'a': (2, 2), 'b': (1, 2)}
    """

    __slots__ = ()

    def _is_elementwise(self, name: str) -> bool:
        return name in _ELEMENTWISE

    def _kind_of(self, name: str) -> Any:
        return Resampler if self._times is not None and name in _BETWEEN else super()._kind_of(name)

    def _by_index(self, on: str, resample: Callable[[Any], Any]) -> Grouped:
        def divide(frame: pd.DataFrame, originals: Originals) -> Any:
            return resample(self._chosen(frame.set_index(on), originals))

        message = self._message.select(on, *self._computed_of())
        return Grouped(message, divide, self._whole, self._where, single=self._single)

    def __len__(self) -> int:
        return len(self._pandas)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield each key with its group: a message; of one column, what ``message[name]`` gives."""
        return ((key, translate.for_user(part)) for key, part in self._pandas)

    @property
    def groups(self) -> dict[Any, Any]:
        """The numbers of each group's rows, by key."""
        return {key: plain(rows) for key, rows in self._pandas.groups.items()}

    def nth(self, n: Any, dropna: Any = None) -> Any:
        """Return the nth row of each group; several for a list or a slice.

        Args:
            n: Which row, from 0; negative numbers count from the end.
            dropna: ``"any"`` or ``"all"``: count only rows without missing values, or with some value.
        """
        return translate.result(self._pandas.nth(n, dropna), where=f"{self._where}.nth")

    def get_group(self, name: Any) -> Any:
        """Return the rows of one group: a message; of one column, what ``message[name]`` gives.

        Raises:
            KeyError: there is no such group.
        """
        return translate.for_user(self._pandas.get_group(name))

    def agg(self, func: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return one row per group.

        Args:
            func: A name such as ``"mean"``, a function of one column of one group, a list of these, or a mapping from
                columns to them.
            args: Handed on to a function.
            kwargs: Named results, ``total=("x", "sum")``; or handed on to a function.

        Example:
            >>> message = fw.Message({"g": ["a", "b", "a"], "x": torch.tensor([1.0, 5.0, 3.0])})
            >>> message.groupby("g").agg(least=("x", "min"), span=("x", lambda x: x.max() - x.min())).to_dict()
            {'g': ['a', 'b'], 'least': [1.0, 5.0], 'span': [2.0, 0.0]}
        """
        if translate.is_of_user(func):
            # pandas would hand a function with arguments the whole group
            func, args, kwargs = functools.wraps(func)(functools.partial(_with, func, args, kwargs)), (), {}
        convert = functools.partial(translate.functions_only, cells=True)
        return self._call("agg", (convert(func), *convert(args)), convert(kwargs))

    aggregate = agg

    def apply(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what a function makes of each group, put together.

        Messages and frames are joined in the order of the groups, and the keys become leading columns; numbers make a
        Series, and so do tensors: one tensor column if their shapes agree, objects if not.

        Args:
            func: Gets the group without the columns to group by; or the name of a method.
            args: Handed on to the function.
            kwargs: Handed on to the function.

        Example:
            >>> message = fw.Message({"g": ["a", "b", "a"], "x": torch.tensor([1.0, 5.0, 3.0])})
            >>> message.groupby("g").apply(lambda rows: rows.sort_values("x").tail(1)).to_dict()
            {'g': ['a', 'b'], 'x': [3.0, 5.0]}
        """
        func = translate.functions_only(func, cells=True)
        return self._call("apply", (func, *args), kwargs)

    def filter(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the rows of the groups for which a function is true, in the order of the message."""
        return self._call("filter", (translate.wrapped(func), *args), kwargs)

    def transform(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Return as many rows as there are: what a function makes of each column of each group, or a name stands for.

        Example:
            >>> message = fw.Message({"g": ["a", "b", "a"], "x": torch.tensor([1.0, 5.0, 3.0])})
            >>> message.groupby("g").transform(lambda x: x - x.mean())["x"].tolist()
            [-1.0, 0.0, 1.0]
        """
        func = translate.wrapped(func, columns=True) if translate.is_of_user(func) else func
        return self._call("transform", (func, *args), kwargs)

    def stack(self) -> Any:
        """Return one row per group, which holds the rows of the group.

        Shapes:
            a tensor column ``(rows, *rest)`` becomes one of ``(groups, rows of a group, *rest)`` where all groups have
            as many rows; else a column of objects, each a tensor ``(rows of the group, *rest)``. Other columns become
            lists.

        Example:
            >>> message = fw.Message({"user": ["a", "b", "a", "b"], "v": torch.arange(8).reshape(4, 2)})
            >>> message.groupby("user").stack()["v"].shape
            torch.Size([2, 2, 2])
        """
        return self.agg(_all_rows)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in _BETWEEN and self._times is not None:
            return self._by_index(*self._times)._call(name, args, kwargs)
        is_elementwise = self._is_elementwise(name)
        if kwargs.get("numeric_only") is True and not is_elementwise and has_tensors(self._message):
            # pandas takes rows of many numbers for objects
            numbers = [column for column in self._computed_of() if column in columns_of_numbers(self._message)]
            chosen = self if self._single in numbers else self[numbers]
            return chosen._call(name, args, kwargs | {"numeric_only": False})
        return super()._call(name, args, kwargs)


def deferred(value: Any) -> type[Deferred]:
    """Return the class that stands for an object of pandas."""
    return Windows if isinstance(value, translate.WINDOWS) else Grouped


def _with(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], column: Any) -> Any:
    return func(column, *args, **kwargs)


def _all_rows(column: Any) -> Any:
    return column if isinstance(column, torch.Tensor) else column.tolist()
