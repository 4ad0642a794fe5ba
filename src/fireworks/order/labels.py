"""One column of a pass, kept as classes or as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.columns import Column, Positions
from fireworks.order.measures import Measure, effective_batch

_MOST_CLASSES = 1000
"""Ints of more different values are measured by their mean."""
_NO_INT = int(np.iinfo(np.int64).min)
"""Stands for a missing int."""


class Labels:
    """The values of a column, gathered batch by batch: 4 bytes per row for classes, 8 for numbers.

    Args:
        name: The column.

    Example:
        >>> labels = Labels("kind")
        >>> labels.add(np.array(["a", "b", "b", "a"], dtype=object), np.arange(4))
        >>> labels.effective_batch(np.array([2, 2])).observed
        inf
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._parts: list[np.ndarray[Any, Any]] = []
        self._codes: dict[Any, int] = {}

    def add(self, column: Column, rows: Positions) -> None:
        """Take the values of one more batch.

        Args:
            column: One value per row.
            rows: Their numbers in the source, for errors.

        Raises:
            ColumnTypeError: a row has several values.
            ColumnValueError: a number is missing or not finite.
        """
        if not len(column):
            return
        values = _as_numbers(self.name, column)
        if values is None:
            self._parts.append(self._numbered(column))
            return
        if values.dtype.kind == "f" and len(bad := np.flatnonzero(~np.isfinite(values))):
            raise ColumnValueError(
                f"audit: {self.name!r} must hold finite numbers; row {rows[bad[0]]} of the source has {values[bad[0]]}. "
                "Filter such rows, or name another column."
            )
        self._parts.append(values)

    def _numbered(self, values: Any) -> np.ndarray[Any, Any]:
        """Return the class of each value, the same in every batch; missing ones are a class of their own."""
        try:
            codes, different = pd.factorize(values, use_na_sentinel=True)
            known = [self._codes.setdefault(value, len(self._codes)) for value in different]
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ColumnTypeError(
                f"audit: a row of {self.name!r} must have one value, a text or a number; the first has {values[0]!r:.60}. "
                "Name another column, or add one with map."
            ) from error
        if (codes < 0).any():
            known.append(self._codes.setdefault(None, len(self._codes)))  # the last, which is what -1 takes
        return np.array(known, dtype=np.int32)[codes]

    def effective_batch(self, sizes: Positions) -> Measure | None:
        """Measure the batches of these sizes by the values that were gathered.

        Raises:
            ColumnValueError: there are too many ints for classes, and some are missing.
        """
        if not self._parts:
            return None
        values = np.concatenate(self._parts)
        if values.dtype == np.int64:
            codes, different = pd.factorize(values)
            if len(different) <= _MOST_CLASSES:
                values = codes
            elif _NO_INT in different:
                raise ColumnValueError(
                    f"audit: {self.name!r} has more than {_MOST_CLASSES:,} different ints, so their mean is measured, and some "
                    "are missing. Filter such rows, or name another column."
                )
            else:
                values = values.astype(np.float64)
        values = values if values.dtype.kind == "f" else values.astype(np.int64)
        return effective_batch(f"effective batch by {self.name}", values, sizes, of=repr(self.name))


def _as_numbers(name: str, column: Column) -> np.ndarray[Any, Any] | None:
    """Return ints as int64, floats and times as float64, and None for what has classes alone.

    What a column is depends on its type and never on its values, so that all batches agree.
    """
    if isinstance(column, torch.Tensor):
        if column.dim() > 1 or column.is_complex():
            raise ColumnTypeError(
                f"audit: a row of {name!r} must have one value; got {str(column.dtype).removeprefix('torch.')} of shape "
                f"{tuple(column.shape[1:])}. Name another column, or add one with map."
            )
        wide = torch.float64 if column.is_floating_point() else torch.int64
        return column.detach().to("cpu", wide, copy=True).numpy()
    series, types = pd.Series(column), pd.api.types
    missing = series.isna().to_numpy()
    if types.is_bool_dtype(series.dtype) or types.is_integer_dtype(series.dtype):
        return np.where(missing, _NO_INT, series.fillna(0).to_numpy(np.int64))
    if types.is_float_dtype(series.dtype):
        return series.to_numpy(np.float64, na_value=np.nan, copy=True)
    if _is_time(series):
        numbers = np.full(len(series), np.nan)
        numbers[~missing] = series[~missing].astype("int64").to_numpy(np.float64)
        return numbers
    return None


def _is_time(series: pd.Series[Any]) -> bool:
    """Tell whether values are points in time or spans of it; dates are classes."""
    types = pd.api.types
    kinds = types.is_datetime64_any_dtype(series.dtype) or types.is_timedelta64_dtype(series.dtype)
    return bool(kinds) and not (isinstance(series.dtype, pd.ArrowDtype) and "date" in str(series.dtype.pyarrow_dtype))
