"""Tensor columns as one plain column per element, for what pandas computes in NumPy only, and back again.

Windows, ranks and quantiles have no hook for arrays of other kinds: pandas wants plain numbers. Row ``i`` of a column
of shape ``(rows, *rest)`` is ``prod(rest)`` numbers, so the column goes in as that many columns, which share its
memory, and what comes out for them is put together to one tensor again.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import torch

from fireworks.message.arrays.tensor_array import TensorArray
from fireworks.message.frames.copy_on_write import protect

# Ends the label of an element, which is text because pandas takes no other object for one label wherever it looks one
# up. It can't be seen, so that an error of pandas says `v[0, 1]`, and no column of a user ends in it.
_MARK: Final = "\N{ZERO WIDTH SPACE}"


@dataclass(frozen=True)
class Original:
    """A column that was taken apart: its torch type and device, the shape of a row, the labels of its elements."""

    dtype: torch.dtype
    device: torch.device
    shape: tuple[int, ...]
    labels: list[str]


Originals: TypeAlias = Mapping[str, Original]


def apart(frame: pd.DataFrame, *, but: Container[Hashable] = ()) -> tuple[pd.DataFrame, Originals]:
    """Return the frame with each tensor column as one column per element, sharing memory where NumPy has the type.

    Args:
        frame: A frame with text labels, no two alike.
        but: Columns that stay as they are.

    Returns:
        The frame, and what its tensor columns were, by name.

    Example:
        >>> frame = fw.Message({"v": torch.arange(4).reshape(2, 2), "n": [1, 2]}).to_pandas()
        >>> apart(frame)[0].to_numpy().tolist()
        [[0, 1, 1], [2, 3, 2]]
    """
    parts: list[pd.DataFrame] = []
    originals: dict[str, Original] = {}
    for position, name in enumerate(frame.columns):
        part = frame.iloc[:, position : position + 1]
        array = part.iloc[:, 0].array
        if isinstance(array, TensorArray) and name not in but and 0 not in array.tensor.shape[1:]:
            tensor = array.tensor
            shape = tuple(tensor.shape[1:])
            labels = [_label(name, place) for place in itertools.product(*map(range, shape))]
            originals[name] = Original(tensor.dtype, tensor.device, shape, labels)
            values: Any = np.asarray(TensorArray(tensor.reshape(-1))).reshape(len(frame), len(labels))
            part = protect(pd.DataFrame(values, index=frame.index, columns=pd.Index(labels, dtype="str"), copy=False))
        parts.append(part)
    return (pd.concat(parts, axis=1) if parts else frame), originals


def _label(name: str, place: tuple[int, ...]) -> str:
    return (f"{name}[{', '.join(map(str, place))}]" if place else name) + _MARK


def spread(given: Any, originals: Originals) -> Any:
    """Return an argument such that it fits a frame that was taken apart: what is by column becomes by element."""
    if isinstance(given, pd.DataFrame):
        return apart(given)[0]
    if isinstance(given, pd.Series) and any(label in originals for label in given.index):
        return pd.Series(spread(given.to_dict(), originals))
    if type(given) is dict:
        return {label: value for name, value in given.items() for label in labels_of(name, originals)}
    return given


def labels_of(name: Any, originals: Originals) -> list[Any]:
    """Return the labels of a column's elements; its name where it was not taken apart."""
    return list(originals[name].labels) if name in originals else [name]


def together(result: Any, originals: Originals) -> Any:
    """Return what pandas computed of a frame that was taken apart, with the elements as tensor columns again.

    A Series with one number per element becomes one with a tensor per column. Elements of which some are missing
    stay by themselves, and so do those that label rows.
    """
    names = {label: name for name, original in originals.items() for label in original.labels}
    if isinstance(result, pd.DataFrame):
        return _frame_together(result, names, originals)
    if isinstance(result, pd.Series) and any(label in names for label in result.index):
        row = pd.DataFrame([result.to_list()], columns=_index(result.index.to_list()))
        whole = _frame_together(row, names, originals)
        values = [whole.iloc[:, position].array[0] for position in range(whole.shape[1])]
        has_rows = any(isinstance(value, torch.Tensor) for value in values)
        return pd.Series(values, index=whole.columns, name=result.name, dtype=object if has_rows else None)
    return result


def _frame_together(result: pd.DataFrame, names: Mapping[str, str], originals: Originals) -> pd.DataFrame:
    labels: list[Any] = result.columns.to_list()
    groups: dict[Hashable, list[int]] = {}
    for position, label in enumerate(labels):
        groups.setdefault(_whole(label, names), []).append(position)
    parts: list[pd.DataFrame] = []
    new_labels: list[Any] = []
    for whole_label, positions in groups.items():
        part = result.iloc[:, positions]
        elements = [_element_in(labels[position], names) for position in positions]
        original = originals.get(names.get(elements[0], ""))
        if original is not None and elements == original.labels:
            part = pd.DataFrame({0: TensorArray(_tensor(part, original))}, index=result.index, copy=False)
            new_labels.append(whole_label)
        else:
            new_labels.extend(_shown(labels[position], names) for position in positions)
        part.columns = pd.RangeIndex(part.shape[1])
        parts.append(part)
    whole = pd.concat(parts, axis=1) if parts else result
    whole.columns = _index(new_labels)
    if any(_element_in(label, names) for label in whole.index):
        whole.index = whole.index.map(lambda label: _shown(label, names)).set_names(whole.index.names)
    return whole


def _index(labels: Sequence[Any]) -> pd.Index[Any]:
    return pd.Index(labels, dtype=object, tupleize_cols=False)


def _element_in(label: Any, names: Mapping[str, str]) -> str:
    """Return the label of an element, by itself or as a part of another; nothing if there is none."""
    parts = label if isinstance(label, tuple) else (label,)
    return next((part for part in parts if isinstance(part, str) and part in names), "")


def _whole(label: Any, names: Mapping[str, str]) -> Hashable:
    if isinstance(label, tuple):
        return tuple(_whole(part, names) for part in label)
    whole: Hashable = names.get(label, label) if isinstance(label, str) else label
    return whole


def _shown(label: Any, names: Mapping[str, str]) -> Any:
    if isinstance(label, tuple):
        return tuple(_shown(part, names) for part in label)
    return label.removesuffix(_MARK) if isinstance(label, str) and label in names else label


def _tensor(part: pd.DataFrame, original: Original) -> torch.Tensor:
    values = torch.from_numpy(np.array(part.to_numpy(), order="C"))
    before: Any = np.asarray(TensorArray(torch.empty(0, dtype=original.dtype))).dtype
    if part.dtypes.iloc[0] == before:
        values = values.to(original.dtype)  # bfloat16 has been float32 in between
    return values.reshape(len(part), *original.shape).to(original.device)
