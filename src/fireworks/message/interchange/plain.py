"""A message as what Python and NumPy have of their own: lists and dicts, arrays of records, one matrix; and records back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from pandas.arrays import NumpyExtensionArray

from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.columns import Column, as_column, to_series
from fireworks.message.conversion.convert import as_tensor
from fireworks.message.conversion.exact import NUMBER_KINDS, Array, MisfitError, exact, numpy_of

if TYPE_CHECKING:
    from fireworks.message.message import Message

_ORIENTS = ("list", "records", "dict", "index", "split", "tight", "series")


def to_dict(message: Message, orient: str) -> Any:
    """Do what `Message.to_dict` says."""
    if orient not in _ORIENTS:
        raise ValueError(f"Message.to_dict: orient is one of {', '.join(_ORIENTS)}; got {orient!r:.60}.")
    columns: dict[str, list[Any]] = {name: column.tolist() for name, column in message.items()}
    if orient == "list":
        return columns
    if orient == "records":
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if orient == "series":
        return message.to_pandas().to_dict("series")
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return frame.to_dict(orient)  # type: ignore[call-overload]  # the stubs want each word on its own


def to_records(message: Message) -> Array:
    """Do what `Message.to_records` says."""
    fields = {name: _field(name, message.raw(name)) for name in message.columns}
    if "" in fields:
        raise ColumnTypeError(
            "Message.to_records: a column has an empty name, which a NumPy field can't have; rename it."
        )
    records = np.empty(len(message), dtype=[(name, field.dtype, field.shape[1:]) for name, field in fields.items()])
    for name, field in fields.items():
        records[name] = field
    return records


def _field(name: str, column: Column) -> Array:
    if isinstance(column, np.ndarray):
        return column
    if isinstance(column, torch.Tensor):
        try:
            return numpy_of(column)
        except TypeError as error:
            raise ColumnTypeError(f"Message.to_records: column {name!r} is no NumPy array: {error}") from error
    cells = np.array(to_series(name, column).to_numpy(dtype=object))
    if type(column) is not NumpyExtensionArray:
        cells[np.asarray(column.isna())] = None
    return cells


def columns_of_records(records: Array) -> dict[str, Column]:
    """Return the fields of an array of records, as copies; one whose values are arrays is a tensor.

    Raises:
        ColumnTypeError: the records have not one dimension, or a field holds arrays of what is no number.
        ColumnValueError: an array in a field is masked.
    """
    if records.ndim != 1:
        raise ColumnTypeError(
            f"Message: an array of records has one dimension, its rows; got shape {records.shape}: pass array.ravel()."
        )
    return {name: _column(name, records[name]) for name in records.dtype.names or ()}


def _column(name: str, values: Array) -> Column:
    if values.ndim == 1:
        return as_column(name, values.copy())  # its values are not next to each other
    if isinstance(values, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(values).reshape(len(values), -1).any(axis=1)
        if masked.any():
            raise ColumnValueError(
                f"Message: field {name!r} is masked in row {int(np.argmax(masked))}, and a tensor has nothing for that; "
                "fill it first."
            )
        values = values.data
    try:
        return torch.from_numpy(values.astype(values.dtype.newbyteorder("="), order="C"))
    except TypeError as error:
        raise ColumnTypeError(
            f"Message: field {name!r} holds arrays of {values.dtype}, and only numbers make a tensor; pass the field as "
            "columns of its own."
        ) from error


def to_numpy(message: Message, dtype: Any) -> Array:
    """Do what `Message.to_numpy` says."""
    parts, others = {}, []
    for name in message.columns:
        try:
            values = numpy_of(as_tensor(name, message.raw(name), where="Message.to_numpy"))
            parts[name] = values.reshape(len(message), math.prod(values.shape[1:]))
        except TypeError:
            others.append(name)
    if others:
        raise ColumnTypeError(
            f"Message.to_numpy: columns {others} hold no numbers; convert them, or leave them out with drop."
        )
    target = _target(dtype, list(parts.values()))
    if len(parts) == 1:
        ((name, values),) = parts.items()
        matrix = _castable(name, values, target).astype(target, copy=False).view()
        matrix.flags.writeable = not np.shares_memory(matrix, values)  # as in pandas: a write would change the message
        return matrix
    matrix = np.empty((len(message), sum(values.shape[1] for values in parts.values())), dtype=target)
    start = 0
    for name, values in parts.items():
        stop = start + values.shape[1]
        matrix[:, start:stop] = _castable(name, values, target)
        start = stop
    return matrix


def _target(dtype: Any, parts: list[Array]) -> np.dtype[Any]:
    try:
        target: np.dtype[Any] = np.dtype(dtype) if dtype is not None else np.result_type(*(parts or [np.empty(0)]))
    except TypeError:
        target = np.dtype(object)
    if target.kind not in NUMBER_KINDS:
        raise ColumnTypeError(
            f"Message.to_numpy: dtype is a NumPy type of numbers, such as 'float32'; got {dtype!r:.60}."
        )
    return target


def _castable(name: str, values: Array, target: np.dtype[Any]) -> Array:
    """Return numbers that a cast to a type changes by no more than rounding floats to shorter ones."""
    try:
        if values.dtype.kind == target.kind and target.kind in "fc":
            return _within(values, target)
        return exact(values.reshape(-1), target).reshape(values.shape)
    except MisfitError as misfit:
        raise ColumnValueError(
            f"Message.to_numpy: column {name!r}, row {misfit.position // values.shape[1]}: {misfit.value!r} does not fit "
            f"{target}; choose another dtype."
        ) from None


def _within(values: Array, target: np.dtype[Any]) -> Array:
    """Refuse floats that are too large for shorter ones and would become infinite."""
    if values.dtype.itemsize <= target.itemsize:
        return values
    with np.errstate(over="ignore"):
        shorter = values.astype(target)
    if len(wrong := np.flatnonzero(np.isinf(shorter) & ~np.isinf(values))):
        raise MisfitError(wrong[0], values.reshape(-1)[wrong[0]].item())
    return shorter
