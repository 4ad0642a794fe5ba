"""The methods that end a DataFrame's way: text, files of other programs, plots. They run on a plain frame."""

from __future__ import annotations

import inspect
import json
from typing import Any, Final

import pandas as pd
import torch

from fireworks.message.arrays.tensor_rows import row_text
from fireworks.message.frames import translate
from fireworks.message.frames.copy_on_write import protect
from fireworks.message.message import Message

PLOTS: Final = frozenset({"boxplot", "hist", "plot"})
_FOR_THE_EYE = frozenset({"style", "to_html", "to_latex", "to_markdown", "to_string"})
_FOR_PROGRAMS = frozenset({"to_clipboard", "to_iceberg", "to_orc", "to_sql", "to_stata", "to_xarray", "to_xml"})
_AS_IT_IS = frozenset({"info", "iterrows", "itertuples", "memory_usage", "sparse"})
_WITH_INDEX = {"memory_usage": "index", "to_clipboard": "index", "to_stata": "write_index"}

WRITERS: Final = PLOTS | _FOR_THE_EYE | _FOR_PROGRAMS | _AS_IT_IS
"""What runs on a frame with a plain index, because nothing comes back from it that could be a message."""


def write(message: Message, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a method that writes; row numbers are left out unless the user asks for them."""
    method = getattr(outgoing(message, name), name)
    signature = inspect.signature(method)
    index = _WITH_INDEX.get(name, "index" if "index" in signature.parameters else None)
    if name != "itertuples" and index is not None and index not in signature.bind(*args, **kwargs).arguments:
        kwargs = {index: False} | kwargs
    return translate.result(method(*args, **kwargs), where=f"Message.{name}")


def accessor(message: Message, name: str) -> Any:
    """Return an attribute that writes, such as ``plot``."""
    value = getattr(outgoing(message, name), name)
    return value.hide(axis="index") if name == "style" else value


def outgoing(message: Message, name: str) -> pd.DataFrame:
    """Return the frame that a method writes: tensors of numbers as NumPy columns, other rows as text or lists."""
    frame = message.to_pandas()
    if name in _AS_IT_IS:
        return frame
    for column in message.columns:
        tensor = message.raw(column)
        if isinstance(tensor, torch.Tensor):
            frame[column] = protect(pd.Series(_plain_column(tensor.detach().cpu(), name), copy=False))
    return frame


def _plain_column(tensor: torch.Tensor, name: str) -> Any:
    if tensor.dim() == 1:
        return translate.array_of(tensor)
    if name in _FOR_THE_EYE:
        return [row_text(row) for row in tensor]
    if name == "to_orc":  # which has lists
        return tensor.tolist()
    return [str(row) if tensor.is_complex() else json.dumps(row) for row in tensor.tolist()]
