"""Categorical columns: a code per row; the categories once, whatever order the messages have them in."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd

from fireworks.message.columns import Column
from fireworks.spill.codec import NumbersCodec
from fireworks.spill.layout import Array, PileRows


class CategoriesCodec(NumbersCodec):
    """Codes of the categories that have come by, in order of appearance; ordered ones must be the same throughout."""

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user, np.int8)
        self._dtype = cast("pd.CategoricalDtype", self.field.dtype)

    def piece(self, column: Column) -> Array:
        kind: Any = column.dtype
        mine = self._dtype
        if kind is mine or (isinstance(kind, pd.CategoricalDtype) and _same(kind, mine)):
            return np.ascontiguousarray(cast("pd.Categorical", column).codes)
        grows = (
            isinstance(kind, pd.CategoricalDtype)
            and not kind.ordered
            and not mine.ordered
            and (kind.categories.dtype == mine.categories.dtype or not len(mine.categories) or not len(kind.categories))
        )
        if not grows:
            self.require_alike(column)
            raise AssertionError("unlike, and yet alike")
        return self._recoded(cast("pd.Categorical", column))

    def _recoded(self, column: pd.Categorical) -> Array:
        new, old = column.categories, self._dtype.categories
        if not len(old):
            self._dtype = pd.CategoricalDtype(new, ordered=False)
            return np.ascontiguousarray(column.codes)
        if not len(new):
            return np.ascontiguousarray(column.codes)
        unknown = new[~new.isin(old)]
        if len(unknown):
            old = old.append(unknown)
            self._dtype = pd.CategoricalDtype(old, ordered=False)
        # one place more, at the end, for the code -1 of what is missing
        places = np.append(old.get_indexer(new), -1)
        narrow: Array = places.astype(np.min_scalar_type(-len(old) - 1))
        return np.take(narrow, column.codes, mode="wrap")

    def column(self, rows: PileRows, first: int) -> pd.Categorical:
        codes = rows.numbers(first, empty=self._unit)
        return pd.Categorical.from_codes(codes, dtype=self._dtype, validate=False)


def _same(one: pd.CategoricalDtype, other: pd.CategoricalDtype) -> bool:
    return (
        one.ordered == other.ordered
        and one.categories.equals(other.categories)
        and (one.categories.dtype == other.categories.dtype)
    )
