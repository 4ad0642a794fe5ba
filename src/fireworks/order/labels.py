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
        values = self._plain(column)
        kind = values.dtype.kind if isinstance(values, np.ndarray) else "O"
        if kind in "iub":
            self._parts.append(values.astype(np.int64))
        elif kind in "fmM":
            numbers = values.astype(np.int64).astype(np.float64) if kind in "mM" else values.astype(np.float64)
            bad = np.flatnonzero(np.isnat(values) if kind in "mM" else ~np.isfinite(numbers))
            if len(bad):
                raise ColumnValueError(
                    f"audit: {self.name!r} must hold finite numbers; row {rows[bad[0]]} of the source has {values[bad[0]]}. "
                    "Filter such rows, or name another column."
                )
            self._parts.append(numbers)
        else:
            self._parts.append(self._numbered(values))

    def _plain(self, column: Column) -> Any:
        """Return numbers and times as an array of NumPy, anything else as it is."""
        if isinstance(column, torch.Tensor):
            if column.dim() > 1 or column.is_complex():
                raise ColumnTypeError(
                    f"audit: a row of {self.name!r} must have one value; got a tensor of {str(column.dtype)[6:]} with shape "
                    f"{tuple(column.shape[1:])} per row. Name another column, or add one with map."
                )
            column = column.detach().cpu()
            return column.float().numpy() if column.dtype == torch.bfloat16 else column.numpy()
        if isinstance(column, np.ndarray):
            return column
        series = pd.Series(column)
        types = pd.api.types
        if types.is_bool_dtype(series.dtype) or series.isna().any():
            is_number = types.is_float_dtype(series.dtype) or types.is_datetime64_any_dtype(series.dtype)
            return (
                series.to_numpy(np.float64, na_value=np.nan)
                if is_number and types.is_float_dtype(series.dtype)
                else column
            )
        if types.is_numeric_dtype(series.dtype):
            return series.to_numpy(np.float64 if types.is_float_dtype(series.dtype) else np.int64)
        if types.is_datetime64_any_dtype(series.dtype):
            return series.astype("int64").to_numpy().astype(np.float64)
        return column

    def _numbered(self, values: Any) -> np.ndarray[Any, Any]:
        """Return the class of each value, the same in every batch; missing ones are a class of their own."""
        try:
            codes, different = pd.factorize(values, use_na_sentinel=True)
            known = np.array([self._codes.setdefault(value, len(self._codes)) for value in different], dtype=np.int32)
        except TypeError as error:
            raise ColumnTypeError(
                f"audit: a row of {self.name!r} must have one value, a text or a number; got {type(values[0]).__name__}. "
                "Name another column, or add one with map."
            ) from error
        missing = codes < 0
        if missing.any():
            known = np.append(known, np.int32(self._codes.setdefault(_MISSING, len(self._codes))))
        return known[codes]  # -1 is the last, which is the one for missing values

    def effective_batch(self, sizes: Positions) -> Measure | None:
        """Measure the batches of these sizes by the values that were gathered."""
        values = (
            np.concatenate([np.empty(0, dtype=np.int32), *self._parts]) if self._parts else np.empty(0, dtype=np.int32)
        )
        if not len(values):
            return None
        if values.dtype == np.int64:
            codes, different = pd.factorize(values)
            values = codes.astype(np.int64) if len(different) <= _MOST_CLASSES else values.astype(np.float64)
        elif values.dtype.kind == "i":
            values = values.astype(np.int64)
        return effective_batch(f"effective batch by {self.name}", values, sizes, of=repr(self.name))


class _Missing:
    """What a missing label is."""


_MISSING = _Missing()
