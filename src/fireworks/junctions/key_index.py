"""Which rows have which key: one hash per column, numbers from there on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.errors import ColumnTypeError, SchemaMismatchError
from fireworks.message import Message
from fireworks.message.columns import Positions, field_of

_NONE = -1


class KeyIndex:
    """Finds the rows of a table by one or several key columns; a null key is found by nothing.

    Args:
        keys: The key columns of all rows.
        names: Which they are, in order.
        who: Who asks, for the errors.

    Raises:
        ColumnTypeError: a key is a tensor of more than one number per row, or of a type that can't be compared.
    """

    def __init__(self, keys: Message, names: Sequence[str], *, who: str) -> None:
        self._names, self._who = list(names), who
        columns = [_values(keys, name, who) for name in names]
        self._kinds = [_kind(column) for column in columns]
        self._fields = [field_of(name, keys.raw(name)) for name in names]
        self._uniques = [pd.Index(column.dropna().unique()) for column in columns]
        ids = self._ids(columns)
        order = np.argsort(ids, kind="stable")
        self._order = order[np.searchsorted(ids[order], 0) :]  # the rows with a key, by key, then by position
        self._sorted = ids[self._order]

    def _ids(self, columns: Sequence[pd.Series[Any]]) -> Positions:
        """Return a number for each row's key, the same for equal keys; -1 for one that the table lacks."""
        found = np.zeros(len(columns[0]), dtype=np.int64)
        self._pairs: list[Positions | None] = getattr(self, "_pairs", [])
        building = not self._pairs
        for number, (column, unique) in enumerate(zip(columns, self._uniques, strict=True)):
            codes = unique.get_indexer(pd.Index(column)).astype(np.int64)
            codes[column.isna().to_numpy()] = _NONE
            if number == 0:
                found = codes
                if building:
                    self._pairs.append(None)
                continue
            both = np.where((found < 0) | (codes < 0), _NONE, found * len(unique) + codes)
            if building:
                self._pairs.append(np.unique(both[both >= 0]))
            known = self._pairs[number]
            assert known is not None  # noqa: S101 (only the first is None)
            place = np.searchsorted(known, both)
            there = (both >= 0) & (place < len(known))
            there[there] &= known[place[there]] == both[there]
            found = np.where(there, place, _NONE)
        return found

    def match(self, keys: Message, names: Sequence[str]) -> tuple[Positions, Positions]:
        """Return pairs of a row of ``keys`` and a row of the table with an equal key, in the order of the rows of ``keys``.

        Args:
            keys: The key columns of some rows.
            names: Which they are, in the order of the table's.

        Raises:
            SchemaMismatchError: a key is of another kind than the table's.
        """
        columns = [_values(keys, name, self._who) for name in names]
        for column, kind, field, name in zip(columns, self._kinds, self._fields, names, strict=True):
            if len(column) and len(self._order) and _kind(column) != kind:
                raise SchemaMismatchError(
                    f"{self._who}: key {name!r} is {field_of(name, keys.raw(name)).type_text} on the left and "
                    f"{field.type_text} ({field.name!r}) on the right; convert one of them first, as with cast."
                )
        ids = self._ids(columns)
        starts = np.searchsorted(self._sorted, ids, side="left")
        counts = np.searchsorted(self._sorted, ids, side="right") - starts
        left = np.repeat(np.arange(len(ids), dtype=np.int64), counts)
        within = np.arange(len(left), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
        return left, self._order[np.repeat(starts, counts) + within]

    def first_repeated(self) -> int | None:
        """Return the first row whose key an earlier one has, if there is one."""
        again = self._order[1:][self._sorted[1:] == self._sorted[:-1]]
        return int(again.min()) if len(again) else None


def _values(keys: Message, name: str, who: str) -> pd.Series[Any]:
    column = keys.raw(name)
    if isinstance(column, torch.Tensor):
        if column.dim() != 1 or column.is_complex():
            raise ColumnTypeError(
                f"{who}: key {name!r} is {field_of(name, column).type_text}; a key is one value per row: "
                "make a column of its own for each."
            )
        column = column.detach().cpu()
        column = column.float().numpy() if column.dtype is torch.bfloat16 else column.numpy()
    series = pd.Series(column)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.dtype.categories.dtype)
    if series.dtype.kind in "iu" and not isinstance(series.dtype, np.dtype):
        return series  # nullable: a null stays one
    return series


def _kind(column: pd.Series[Any]) -> str:
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "bool"
    if pd.api.types.is_integer_dtype(dtype):
        return "int"
    if pd.api.types.is_float_dtype(dtype):
        return "float"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date with a zone" if getattr(dtype, "tz", None) is not None else "date"
    if pd.api.types.is_timedelta64_dtype(dtype):
        return "duration"
    return "text" if pd.api.types.is_string_dtype(dtype) else "object"
