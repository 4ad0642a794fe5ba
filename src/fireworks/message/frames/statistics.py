"""Statistics of columns: what `Message.describe` shows, for tensor columns of any rank too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fireworks.message.arrays.tensor_array import TensorArray
from fireworks.message.arrays.tensor_rows import computable
from fireworks.message.frames import translate
from fireworks.message.frames.selection import stand_ins
from fireworks.message.message import Message

_ELEMENTS_AT_A_TIME = 1 << 22  # sorted in float64, so 32 MiB and as much again


def describe(message: Message, percentiles: Sequence[float] | None, include: Any, exclude: Any) -> Message:
    """Return one row per statistic; see `Message.describe`.

    pandas chooses the columns and the rows, and describes what it can, by a frame with stand-ins for tensor columns; for
    those whose rows are more than one number the statistics are computed here.
    """
    tensors = {name: column for name in message.columns if isinstance(column := message.raw(name), torch.Tensor)}
    unordered = [name for name, tensor in tensors.items() if tensor.is_complex()]
    frame = stand_ins(message).drop(columns=unordered)
    described = frame.describe(None if percentiles is None else list(percentiles), include, exclude)
    quantiles = np.unique([0.25, 0.5, 0.75] if percentiles is None else np.asarray(percentiles, dtype=float))
    labels = described.index.to_list()
    for position, name in enumerate(described.columns):
        if name not in tensors or (tensors[name].dim() == 1 and tensors[name].dtype == torch.bool):
            continue
        if tensors[name].dim() == 1:
            rows = torch.from_numpy(described.iloc[:, position].to_numpy(dtype=np.float64, copy=True))
        else:
            rows = _rows(tensors[name].detach(), labels, quantiles.tolist())
        described.isetitem(position, TensorArray(rows))
    return translate.message_of(described, where="Message.describe", unnamed="statistic")


def _rows(tensor: torch.Tensor, labels: list[str], quantiles: list[float]) -> torch.Tensor:
    """Return the statistics of each element of a column, ``(rows, *rest)`` -> ``(labels, *rest)``; NaN for others."""
    flat = computable(tensor).flatten(1)
    compute = _of_booleans if tensor.dtype == torch.bool else _of_numbers
    result = torch.full((len(labels), flat.shape[1]), math.nan, dtype=torch.float64, device=tensor.device)
    first = labels.index("min") + 1 if "min" in labels else 0
    names = {label: labels[first + number] for number, label in enumerate(quantiles)} if first else {}
    step = max(1, _ELEMENTS_AT_A_TIME // max(1, len(flat)))
    for start in range(0, flat.shape[1], step):
        columns = slice(start, start + step)
        for statistic, values in compute(flat[:, columns], quantiles).items():
            result[labels.index(names.get(statistic, statistic)), columns] = values
    return result.reshape(len(labels), *tensor.shape[1:])


def _of_numbers(values: torch.Tensor, quantiles: list[float]) -> dict[Any, torch.Tensor]:
    values = values.double()
    if not len(values):
        return {"count": values.new_zeros(values.shape[1])}
    count = (~values.isnan()).sum(dim=0)
    mean = values.nansum(dim=0) / count
    spread = ((values - mean).square().nansum(dim=0) / (count - 1)).sqrt()
    ordered = values.sort(dim=0).values  # NaN comes last
    last = (count - 1).clamp(min=0)
    found = {
        "count": count.double(),
        "mean": mean,
        "std": spread.where((count > 1) & mean.isfinite(), math.nan),
        "min": ordered[0],
        "max": ordered.gather(0, last[None])[0],
    }
    return found | {level: _quantile(ordered, last, level) for level in quantiles}


def _quantile(ordered: torch.Tensor, last: torch.Tensor, level: float) -> torch.Tensor:
    place = last.double() * level
    low = ordered.gather(0, place.floor().long()[None])[0]
    high = ordered.gather(0, place.ceil().long()[None])[0]
    return torch.where(low == high, low, low + (high - low) * (place - place.floor()))  # inf - inf is no number


def _of_booleans(values: torch.Tensor, _: list[float]) -> dict[Any, torch.Tensor]:
    count = torch.full((values.shape[1],), len(values), dtype=torch.float64, device=values.device)
    if not len(values):
        return {"count": count, "unique": count}
    true = values.sum(dim=0, dtype=torch.float64)
    top = torch.where(2 * true == count, values[0], 2 * true > count)  # of equally many, the one that comes first
    return {
        "count": count,
        "unique": 1 + ((true > 0) & (true < count)).double(),
        "top": top.double(),
        "freq": torch.where(top, true, count - true),
    }
