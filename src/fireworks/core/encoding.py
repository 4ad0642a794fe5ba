"""State as JSON and tensors: what a component's ``state_dict`` returns, taken apart for files and put together again.

JSON knows text keys, lists, and finite numbers. All else that a state holds is tagged: ``{"$tensor": key}``,
``{"$tuple": […]}``, ``{"$map": [[key, value], …]}`` for keys that are not text, ``{"$float": "nan"}``. A value of any
other type is an error that names its place, so that nothing is lost in silence; nothing is ever pickled.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from fireworks.errors import StateError


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
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, torch.Tensor):
        tensors[place] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"$tensor": place}
    if isinstance(value, np.generic):
        return take_apart(value.item(), place, tensors)
    if isinstance(value, (list, tuple)):
        items = [take_apart(item, f"{place}/{number}", tensors) for number, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, dict):
        parts = [(key, take_apart(item, f"{place}/{key}", tensors)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key, _ in parts):
            return dict(parts)
        return {"$map": [[take_apart(key, f"{place}/key", tensors), item] for key, item in parts]}
    raise StateError(
        f"{place}: a value of type {type(value).__name__} can't be saved; a state is made of tensors, numbers, text, "
        "booleans, None, lists, tuples and dicts."
    )


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
        if tag == "$tuple":
            return tuple(put_together(item, tensors) for item in content)
        if tag == "$map":
            return {put_together(key, tensors): put_together(item, tensors) for key, item in content}
    return {key: put_together(item, tensors) for key, item in value.items()}
