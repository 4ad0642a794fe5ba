"""State as JSON and tensors: what a component's ``state_dict`` returns, taken apart for files and put together again.

JSON knows text keys, lists, and finite numbers. All else that a state holds is tagged: ``{"$tensor": key}``,
``{"$tuple": […]}``, ``{"$map": [[key, value], …]}`` for keys that are not text, ``{"$counter": …}``,
``{"$float": "nan"}``, ``{"$numpy": ["float32", 0.5]}``. What comes back has the type that it had, save that an
OrderedDict, which modules return, comes back as a dict. A value of any other type is an error that names its place, so
that nothing is lost in silence; nothing is ever pickled.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from typing import Any

import numpy as np
import torch

from fireworks.errors import StateError

_NUMPY_KINDS = "biuf"  # booleans and numbers
_NUMPY_BYTES = 8
_RESERVED = "__metadata__"  # in the header of a safetensors file
# What safetensors can hold; narrower and quantized types it can't.
_SAVED_DTYPES = frozenset(
    {torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32}
    | {torch.int64, torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.complex64}
    | {torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz}
)


def take_apart(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the JSON form of a state; its tensors are added to ``tensors`` under their place.

    Args:
        value: Nested dicts, lists and tuples of tensors, numbers, text, booleans and None.
        place: The name of the component, then the path inside it.
        tensors: Filled with CPU copies, each contiguous and with memory of its own.

    Raises:
        StateError: a value has another type; the error names the place.

    Example:
        >>> found = {}
        >>> take_apart({"step": 3, "weight": torch.zeros(2)}, "model", found), list(found)
        ({'step': 3, 'weight': {'$tensor': 'model/weight'}}, ['model/weight'])
    """
    kind = type(value)
    if kind in {type(None), bool, int, str}:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, torch.Tensor):
        return {"$tensor": _put_aside(value, place, tensors)}
    if isinstance(value, np.generic) and value.dtype.kind in _NUMPY_KINDS and value.dtype.itemsize <= _NUMPY_BYTES:
        return {"$numpy": [value.dtype.name, take_apart(value.item(), place, tensors)]}
    if kind in {list, tuple}:
        items = [take_apart(item, f"{place}/{number}", tensors) for number, item in enumerate(value)]
        return items if kind is list else {"$tuple": items}
    if kind in {dict, OrderedDict, Counter}:
        entries = _entries(value, place, tensors)
        return {"$counter": entries} if kind is Counter else entries
    raise StateError(
        f"{place}: a value of type {kind.__name__} can't be saved; a state is made of tensors, numbers, text, "
        "booleans, None, lists, tuples and dicts."
    )


def _put_aside(tensor: torch.Tensor, place: str, tensors: dict[str, torch.Tensor]) -> str:
    if tensor.layout != torch.strided or tensor.dtype not in _SAVED_DTYPES or tensor.is_meta:
        kind = f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
        raise StateError(f"{place}: a tensor of {kind} can't be saved; a state holds dense tensors of common types.")
    key = place
    while key in tensors or key == _RESERVED:  # {"a/b": …} and {"a": {"b": …}} have one place
        key += "'"
    tensors[key] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return key


def _entries(value: dict[Any, Any], place: str, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    parts = [(key, take_apart(item, f"{place}/{key}", tensors)) for key, item in value.items()]
    if all(type(key) is str and not key.startswith("$") for key, _ in parts):
        return dict(parts)
    return {"$map": [[_key(key, place), item] for key, item in parts]}


def _key(key: Any, place: str) -> Any:
    found: dict[str, torch.Tensor] = {}
    encoded = take_apart(key, f"{place}/key", found)
    if found:  # it would come back as another tensor, which is another key
        raise StateError(f"{place}: a key of this dict holds a tensor, which can't be saved; use numbers or text.")
    return encoded


def put_together(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the state that `take_apart` took apart.

    Example:
        >>> put_together({"$map": [[0, {"$tuple": [1, {"$float": "inf"}]}]]}, {})
        {0: (1, inf)}
    """
    if isinstance(value, list):
        return [put_together(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (tag, content), *_ = value.items()
        if tag == "$tensor":
            return tensors[content]
        if tag == "$float":
            return float(content)
        if tag == "$numpy":
            return np.dtype(content[0]).type(put_together(content[1], tensors))
        if tag == "$tuple":
            return tuple(put_together(item, tensors) for item in content)
        if tag == "$counter":
            return Counter(put_together(content, tensors))
        if tag == "$map":
            return {put_together(key, tensors): put_together(item, tensors) for key, item in content}
    return {key: put_together(item, tensors) for key, item in value.items()}
