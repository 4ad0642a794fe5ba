"""Typed JSON: what comes back equals what went in, type and all, and reading never runs code.

============================================  =====================================================
None, bool, int, str, finite float            as JSON
NaN, inf, -inf                                ``{"$float": "nan"}``
list                                          JSON array
dict with str keys, none beginning with $     JSON object
any other dict                                ``{"$dict": [[key, value], ...]}``
tuple                                         ``{"$tuple": [...]}``
pathlib.Path                                  ``{"$path": "data/train.csv"}``
datetime.datetime                             ``{"$datetime": "2024-05-01T12:00:00+02:00"}``; the zone as its offset
datetime.datetime with ``fold=1``             ``{"$datetime_fold": "2024-10-27T02:30:00"}``
NumPy bool, integer, float up to 64 bit, str  the Python value that equals it; the NumPy type is not kept
============================================  =====================================================

Types are compared exactly: an enum, a named tuple or an OrderedDict would come back as something else,
so they are refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

_NUMPY_SCALARS = (np.bool_, np.integer, np.float16, np.float32, np.float64, np.str_)


def encode(value: object, *, where: str) -> str:
    """Return the value as typed JSON.

    Args:
        value: Anything of the table above, nested as deep as you like.
        where: What the value is called, the start of the path that an error names.

    Raises:
        TypeError: some part of the value is of another type.

    Example:
        >>> encode({"size": (28, 28), "rate": float("inf")}, where="parameters")
        '{"size": {"$tuple": [28, 28]}, "rate": {"$float": "inf"}}'
    """
    return json.dumps(_to_json(value, where), allow_nan=False)


def decode(text: str) -> Any:
    """Return the value that `encode` was given.

    Example:
        >>> decode('{"size": {"$tuple": [28, 28]}}')
        {'size': (28, 28)}
    """
    return json.loads(text, object_hook=_from_json)


def _to_json(value: object, where: str) -> Any:
    if isinstance(value, _NUMPY_SCALARS):
        value = value.item()
    match value:
        case float() if type(value) is float:
            return value if math.isfinite(value) else {"$float": str(value)}
        case list() if type(value) is list:
            return _items_to_json(value, where)
        case tuple() if type(value) is tuple:
            return {"$tuple": _items_to_json(value, where)}
        case dict() if type(value) is dict:
            return _dict_to_json(value, where)
        case Path():
            return {"$path": str(value)}
        case datetime() if type(value) is datetime:
            return {"$datetime_fold" if value.fold else "$datetime": value.isoformat()}
    if type(value) in {type(None), bool, int, str}:
        return value
    raise TypeError(
        f"{where} is of type {type(value).__name__}, which can't be stored as JSON; pass None, bool, int, float, str, "
        "list, tuple, dict, Path, datetime or a NumPy number."
    )


def _items_to_json(items: list[Any] | tuple[Any, ...], where: str) -> list[Any]:
    return [_to_json(item, f"{where}[{position}]") for position, item in enumerate(items)]


def _dict_to_json(entries: dict[Any, Any], where: str) -> dict[str, Any]:
    if all(type(key) is str and not key.startswith("$") for key in entries):
        return {key: _to_json(item, f"{where}[{key!r}]") for key, item in entries.items()}
    return {
        "$dict": [
            [_to_json(key, f"key {key!r} of {where}"), _to_json(item, f"{where}[{key!r}]")]
            for key, item in entries.items()
        ]
    }


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$tuple": tuple,
    "$dict": dict,
    "$path": Path,
    "$datetime": datetime.fromisoformat,
    "$datetime_fold": lambda text: datetime.fromisoformat(text).replace(fold=1),
}


def _from_json(entries: dict[str, Any]) -> Any:
    if len(entries) == 1:
        [(tag, content)] = entries.items()
        if tag in _DECODERS:
            return _DECODERS[tag](content)
    return entries
