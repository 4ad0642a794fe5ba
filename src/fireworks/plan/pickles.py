"""Whether a stage can travel to another process, without copying the data that it holds."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import torch
from pandas.api.extensions import ExtensionArray

from fireworks.core.pipe import Pipe
from fireworks.message import Message


def why_not_picklable(stage: Pipe) -> str | None:
    """Return why a stage does not pickle, or None if it does; its inputs and its data are taken to.

    Example:
        >>> why_not_picklable(fw.source({"x": [1]}).map(lambda rows: rows))[:30]
        "Can't pickle <function <lambda"
    """
    try:
        _Pickler(stage).dump(stage)
    except Exception as error:  # noqa: BLE001 (whatever a class raises of its own)
        return " ".join(str(error).split()) or type(error).__name__
    return None


class _Pickler(pickle.Pickler):
    def __init__(self, stage: Pipe) -> None:
        super().__init__(io.BytesIO())
        self._stage = stage

    def persistent_id(self, thing: Any) -> str | None:
        is_input = isinstance(thing, Pipe) and thing is not self._stage
        is_data = isinstance(thing, (Message, torch.Tensor, np.ndarray, ExtensionArray))
        return "left out" if is_input or is_data else None
