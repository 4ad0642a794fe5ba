"""A column of Python objects in Arrow: what Arrow gives back as it was, and nothing else.

Missing values stay what they are (None, NaN, NA or NaT) where a column has one kind of them. Tuples, and arrays and
tensors of different lengths, are lists in Arrow; the note says what to make of them again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pandas.arrays import NumpyExtensionArray

from fireworks.errors import ColumnTypeError
from fireworks.message.interchange.arrow_columns import Note, array_of_column, column_of_array, one_array

_MISSING: dict[str, Any] = {"None": None, "NaN": math.nan, "NA": pd.NA, "NaT": pd.NaT}
_FAILURES = (pa.ArrowException, TypeError, ValueError, OverflowError)


def array_of_objects(name: str, values: np.ndarray[Any, Any]) -> tuple[Any, Note]:
    """Return objects as an Arrow array of the type that Arrow infers, and the note that brings them back.

    Raises:
        ColumnTypeError: Arrow has no type for them all, or would give another value back; with row and value.
    """
    missing = [_missing_kind(value) for value in values]
    if all(kind or isinstance(value, float) for kind, value in zip(missing, values, strict=True)):
        missing = [None if kind == "NaN" else kind for kind in missing]  # among floats, NaN is a value
    kinds = sorted({kind for kind in missing if kind})
    if len(kinds) > 1:
        rows = [missing.index(kind) for kind in kinds]
        raise ColumnTypeError(
            f"Message.to_arrow: column {name!r} holds {kinds[0]} in row {rows[0]} and {kinds[1]} in row {rows[1]}; Arrow "
            "has one kind of missing value, so decide on one, or give the column a type."
        )
    note: Note = {"objects": "plain", "missing": kinds[0] if kinds else "None"}
    present = [value for value, kind in zip(values, missing, strict=True) if not kind]
    for piece in (np.ndarray, torch.Tensor):
        if present and all(isinstance(value, piece) for value in present):
            return _array_of_pieces(name, values, missing, note)
    if present and all(type(value) is tuple for value in present):
        note["objects"] = "tuple"
    cells = [None if kind else value for value, kind in zip(values, missing, strict=True)]
    try:
        array = pa.array(cells)
    except _FAILURES as error:
        row = _first_refused(cells)
        raise _refused(name, row, cells[row], f"which Arrow can't hold beside the rows before it ({error})") from error
    for row, (cell, back) in enumerate(zip(cells, _values_of(array, note["objects"]), strict=True)):
        if not _same(cell, back):
            raise _refused(name, row, cell, f"which Arrow would give back as {back!r:.60}")
    return array, note


def objects_of_array(array: Any, note: Note) -> NumpyExtensionArray | None:
    """Return the objects that were noted, or None where the array is of another kind."""
    one = one_array(array)
    if note["objects"] == "plain":
        values: Any = one.to_pylist()
    elif not (pa.types.is_list(one.type) or pa.types.is_large_list(one.type)):
        return None
    elif note["objects"] == "tuple":
        values = _values_of(one, "tuple")
    else:
        flat = column_of_array(pa.chunked_array([one.flatten()]), note["of"] or {})
        if not isinstance(flat, (np.ndarray, torch.Tensor)):
            return None
        stops = np.cumsum(one.value_lengths().fill_null(0).to_numpy())
        values = [flat[start:stop] for start, stop in zip([0, *stops[:-1]], stops, strict=True)] if len(stops) else []
    cells = np.empty(len(one), dtype=object)
    for row, is_missing in enumerate(one.is_null().to_numpy(zero_copy_only=False)):
        cells[row] = _MISSING[note["missing"]] if is_missing else values[row]
    return NumpyExtensionArray(cells)


def _missing_kind(value: Any) -> str | None:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else None
    return "None" if value is None else "NA" if value is pd.NA else "NaT" if value is pd.NaT else None


def _array_of_pieces(
    name: str, values: np.ndarray[Any, Any], missing: list[str | None], note: Note
) -> tuple[Any, Note]:
    """Join arrays or tensors of one dimension end to end, as Arrow's lists do."""
    pieces = [value for value, kind in zip(values, missing, strict=True) if not kind]
    for row, value in enumerate(values):
        if not missing[row] and (value.ndim != 1 or value.dtype != pieces[0].dtype or not _in_lists(value.dtype)):
            kind = f"{value.dtype} of shape {tuple(value.shape)}"
            raise _refused(
                name, row, value, f"{kind}, and only pieces of one dimension and one type of numbers make lists"
            )
    tensors = isinstance(pieces[0], torch.Tensor)
    flat, inner = array_of_column(
        name, torch.cat([piece.cpu() for piece in pieces]) if tensors else np.concatenate(pieces)
    )
    stops = np.cumsum([0, *(0 if kind else len(value) for value, kind in zip(values, missing, strict=True))])
    absent = pa.array([kind is not None for kind in missing])
    array = pa.LargeListArray.from_arrays(pa.array(stops), flat, mask=absent)
    return array, note | {"objects": "tensor" if tensors else "array", "of": inner}


def _in_lists(dtype: Any) -> bool:
    """Whether Arrow's lists bring back arrays of a type: all of torch's, and NumPy's that Arrow has or notes."""
    if isinstance(dtype, torch.dtype):
        return True
    if dtype.kind in "mM":
        return np.datetime_data(dtype)[0] in {"s", "ms", "us", "ns"}
    return dtype.kind in "biufc" and bool(dtype.isnative)


def _values_of(array: Any, objects: str) -> list[Any]:
    values = array.to_pylist()
    return [None if value is None else tuple(value) for value in values] if objects == "tuple" else values


def _same(value: Any, back: Any) -> bool:
    """Whether Arrow gave back the value itself: of the same type, NumPy's numbers counting as Python's."""
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        value = value.item()
    if type(value) is not type(back):
        return False
    if isinstance(value, (list, tuple)):
        return len(value) == len(back) and all(map(_same, value, back))
    if isinstance(value, dict):
        return value.keys() == back.keys() and all(_same(value[key], back[key]) for key in value)
    return bool(value == back) or (isinstance(value, float) and math.isnan(value) and math.isnan(back))


def _first_refused(cells: list[Any]) -> int:
    """Return the first row with which Arrow finds no type, by halving: each row before it fits."""
    low, high = 0, len(cells)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pa.array(cells[:middle])
            low = middle
        except _FAILURES:
            high = middle
    return low


def _refused(name: str, row: int, value: Any, reason: str) -> ColumnTypeError:
    shown = " ".join(repr(value).split())
    return ColumnTypeError(
        f"Message.to_arrow: column {name!r} holds {shown:.60} of type {type(value).__name__} in row {row}, {reason}; "
        "give all rows one type, or leave the column out with drop."
    )
