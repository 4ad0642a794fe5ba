"""How a column becomes planes and planes a column: the role, and which codec a column gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pandas.arrays import NumpyExtensionArray

from fireworks.errors import ColumnTypeError, SchemaMismatchError
from fireworks.message.columns import Column, field_of
from fireworks.spill.layout import PileRows, Plane, Scatter


class Codec(ABC):
    """Brings one column to disk and back, bit for bit.

    A *piece* is the column of one message, checked and brought to arrays that share its memory; the pieces of several
    messages are scattered together.

    Args:
        name: The column's.
        empty: The column of a message of no rows: it has the type.
        user: Who writes, for the errors.
    """

    num_planes: int = 1

    def __init__(self, name: str, empty: Column, user: str) -> None:
        self.name, self.user = name, user
        self.field = field_of(name, empty)

    def require_alike(self, column: Column) -> None:
        """Raise a SchemaMismatchError where a column is not of the type that was agreed."""
        found = field_of(self.name, column)
        if found != self.field:
            mine, other = self.field.type_text, found.type_text
            if mine == other:
                mine, other = repr(self.field.dtype), repr(found.dtype)
            raise SchemaMismatchError(
                f"{self.user}: column {self.name!r} is {other} here and {mine} in the rows before, or in the schema; "
                "give it one type first, with cast."
            )

    def refused(self, why: str) -> ColumnTypeError:
        """Return the error of a column that can't go to disk."""
        return ColumnTypeError(f"{self.user}: column {self.name!r} {why}")

    @abstractmethod
    def piece(self, column: Column) -> Any:
        """Return what stands for the column of one message until it is scattered."""

    def joins(self, first: Any, second: Any) -> bool:  # noqa: ARG002 (most pieces do)
        """Whether two pieces can be scattered together."""
        return True

    @abstractmethod
    def planes(self, pieces: Sequence[Any], scatter: Scatter) -> list[Plane]:
        """Return the planes of the rows of some pieces, end to end, sorted by pile."""

    @abstractmethod
    def column(self, rows: PileRows, first: int) -> Column:
        """Return the column of a pile; its planes are those from ``first`` on."""

    def piece_of(self, rows: PileRows, first: int) -> Any:
        """Return the piece that the rows of a pile make as they lie there, on their way to another pile."""
        return self.piece(self.column(rows, first))


class NumbersCodec(Codec):
    """A column that is one plane of numbers; a piece is an array of them.

    Args:
        name: The column's.
        empty: The column of a message of no rows: it has the type.
        user: Who writes, for the errors.
        unit: The type of the numbers.
        rest: The shape of a row.
    """

    def __init__(self, name: str, empty: Column, user: str, unit: Any, rest: tuple[int, ...] = ()) -> None:
        super().__init__(name, empty, user)
        self._unit, self._rest = np.dtype(unit), rest

    def planes(self, pieces: Sequence[Any], scatter: Scatter) -> list[Plane]:
        return [scatter.numbers(self.name, pieces)]

    def piece_of(self, rows: PileRows, first: int) -> Any:
        return rows.raw_numbers(first, rest=self._rest, empty=self._unit)


def codec_of(name: str, empty: Column, user: str) -> Codec:
    """Return the codec for columns of a type.

    Raises:
        ColumnTypeError: columns of this type can't go to disk.
    """
    from fireworks.spill import blobs, fixed_width, lists, texts

    dtype: Any = empty.dtype
    if isinstance(empty, torch.Tensor):
        return fixed_width.TensorCodec(name, empty, user)
    if isinstance(empty, np.ndarray):
        return blobs.NotedCodec(name, empty, user) if dtype.hasobject else fixed_width.ArrayCodec(name, empty, user)
    if isinstance(empty, pd.Categorical):
        from fireworks.spill.categories import CategoriesCodec

        return CategoriesCodec(name, empty, user)
    if isinstance(dtype, pd.ArrowDtype):
        kind = dtype.pyarrow_dtype
        if texts.is_variable(kind):
            return texts.TextCodec(name, empty, user)
        if lists.holds_numbers(kind):
            return lists.ListCodec(name, empty, user)
        return (fixed_width.ArrowCodec if fixed_width.is_fixed(kind) else blobs.ArrowBlobCodec)(name, empty, user)
    if isinstance(dtype, pd.StringDtype):
        return texts.TextCodec(name, empty, user)
    if type(empty) is NumpyExtensionArray:
        return blobs.NotedCodec(name, empty, user)
    for codec in (fixed_width.MaskedCodec, fixed_width.ZonedCodec, fixed_width.PeriodCodec, fixed_width.WrappedCodec):
        if isinstance(empty, codec.of):
            return codec(name, empty, user)
    return blobs.NotedCodec(name, empty, user)


def one_array(data: Any) -> pa.Array:
    """Return what Arrow makes of a column as one array."""
    if not isinstance(data, pa.ChunkedArray):
        return data
    return data.chunk(0) if data.num_chunks == 1 else data.combine_chunks()  # which would copy the one
