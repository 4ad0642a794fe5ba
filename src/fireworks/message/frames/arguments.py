"""The arguments of methods of a DataFrame, made ready for pandas, and what they mean where there is no index."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

from fireworks.message.arrays.tensor_array import TensorArray
from fireworks.message.arrays.tensor_dtype import TensorDtype
from fireworks.message.frames import translate
from fireworks.message.frames.frame import ROWS
from fireworks.message.message import Message

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

_CALLS_BETWEEN = 3  # the user and pandas: `call`, `run` and `_computed` of `delegate`


def prepared(message: Message, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Return the arguments of a method as pandas takes them."""
    return _SPECIAL.get(name, _translated)(message, args, kwargs)


def _translated(_: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    return translate.argument(args), translate.argument(kwargs)


def _functions(_: Message, args: tuple[Any, ...], kwargs: dict[str, Any], *, cells: bool = False) -> Arguments:
    """Functions are made ready for pandas; what else is given goes on to them as it is."""
    cells = cells or goes_over_rows(args, kwargs)
    return translate.functions_only(args, cells=cells), translate.functions_only(kwargs, cells=cells)


def goes_over_rows(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether functions get rows rather than columns."""
    axis = kwargs.get("axis", args[1] if len(args) > 1 else 0)
    return isinstance(axis, (int, str)) and axis in {1, "columns"}


_to_values = functools.partial(_functions, cells=True)


def _query(_: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    # pandas looks for `@name` among the variables of whoever calls it, this many calls above
    return args, kwargs | {"level": kwargs.get("level", 0) + _CALLS_BETWEEN}


def _keys(by: Any, num_rows: int) -> Any:
    """Return what rows are grouped by, as pandas takes it.

    A function or a mapping of row numbers is applied here: pandas would call the result by the private name of row
    numbers, and the keys would be taken for them.
    """
    if isinstance(by, list):
        return [_keys(part, num_rows) for part in by]
    if isinstance(by, torch.Tensor):
        return TensorArray(by)
    if isinstance(by, dict) or (callable(by) and not isinstance(by, (pd.Grouper, pd.Series))):
        return pd.RangeIndex(num_rows).map(by)
    return by


def _groupby(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    if args:
        return (_keys(args[0], len(message)), *args[1:]), kwargs
    return args, kwargs | {"by": _keys(kwargs.get("by"), len(message))}


def _pivot_table(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    names = ("values", "index", "columns", "aggfunc")
    kwargs = dict(zip(names, args, strict=False)) | kwargs
    for name in ("index", "columns"):
        if name in kwargs:
            kwargs[name] = _keys(kwargs[name], len(message))
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


def _resample(message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    if kwargs.get("on") is None:
        raise TypeError("Message.resample: a message has no index of times; name the column that has them with on=.")
    return _translated(message, args, kwargs)


def by_index(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Callable[[Any], Any]]:
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
    "map": _to_values,
    "mask": _where,
    "pivot_table": _pivot_table,
    "query": _query,
    "resample": _resample,
    "transform": _functions,
    "where": _where,
}
