"""Columns that only Arrow can write: lists, structs, dictionaries; and whatever else it can bring back, such as objects."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from fireworks.errors import ColumnTypeError
from fireworks.message.columns import Column, field_of
from fireworks.message.interchange.arrow_columns import array_of_column, column_of_array
from fireworks.spill.codec import Codec, one_array
from fireworks.spill.layout import PileRows, Plane, Scatter

_NAME = "rows"
_ALL = slice(None)


class Form(NamedTuple):
    """What all blobs of one write have in common."""

    kind: pa.DataType
    note: dict[str, Any] | None = None


class ArrowBlobCodec(Codec):
    """Arrow's types with parts: of each pile and write, one Arrow stream."""

    def piece(self, column: Column) -> pa.Array:
        self.require_alike(column)
        return one_array(cast("Any", column).__arrow_array__())

    def planes(self, pieces: Sequence[pa.Array], scatter: Scatter) -> list[Plane]:
        array = one_array(pa.chunked_array(pieces))
        return [blobs_of(array, Form(array.type), scatter)]

    def piece_of(self, rows: PileRows, first: int) -> pa.Array:
        kind = cast("pd.ArrowDtype", self.field.dtype).pyarrow_dtype
        return one_array(pa.chunked_array([array for array, _ in arrays_of(rows, first)], kind))

    def column(self, rows: PileRows, first: int) -> Column:
        array = self.piece_of(rows, first)
        if rows.order is not None:
            array = array.take(pa.array(rows.order))
        return pd.arrays.ArrowExtensionArray(array)


class _Noted(NamedTuple):
    """A column in Arrow, and what brings it back from there."""

    array: pa.Array
    note: dict[str, Any] | None


class NotedCodec(Codec):
    """Objects, intervals, sparse numbers, arrays of others' classes: what Arrow brings back with a note beside it."""

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user)
        self._empty = empty[:0]
        back = self._back(*self.piece(self._empty))
        if field_of(name, back) != self.field:
            raise self.refused(
                f"is {self.field.type_text}, which would come back from disk as {field_of(name, back).type_text}; convert it."
            )

    def piece(self, column: Column) -> _Noted:
        self.require_alike(column)
        try:
            array, note = array_of_column(self.name, column)
        except ColumnTypeError as error:
            reason = str(error).removeprefix("Message.to_arrow: ").removesuffix(".")
            raise ColumnTypeError(f"{self.user}: {reason}. Rows go to disk in Arrow's types.") from error
        return _Noted(one_array(array), note)

    def joins(self, first: _Noted, second: _Noted) -> bool:
        return bool(first.array.type == second.array.type) and first.note == second.note

    def planes(self, pieces: Sequence[_Noted], scatter: Scatter) -> list[Plane]:
        array = one_array(pa.chunked_array([piece.array for piece in pieces]))
        return [blobs_of(array, Form(array.type, pieces[0].note), scatter)]

    def piece_of(self, rows: PileRows, first: int) -> _Noted:
        found = arrays_of(rows, first)
        return _Noted(one_array(pa.chunked_array([array for array, _ in found])), found[0][1])

    def column(self, rows: PileRows, first: int) -> Column:
        columns = [self._back(array, note) for array, note in arrays_of(rows, first)] or [self._empty]
        array_type: Any = type(columns[0])
        whole = columns[0] if len(columns) == 1 else array_type._concat_same_type(columns)
        return cast("Column", whole if rows.order is None else cast("Any", whole).take(rows.order))

    def _back(self, array: pa.Array, note: dict[str, Any] | None) -> Column:
        return column_of_array(pa.chunked_array([array]), note or {}, name=self.name)


def blobs_of(array: pa.Array, form: Form, scatter: Scatter) -> Plane:
    """Return the rows of each pile as one Arrow stream, end to end."""
    taken = array.take(pa.array(scatter.order))
    sink, ends = pa.BufferOutputStream(), [0]
    for start, stop in itertools.pairwise(scatter.cuts.tolist()):
        if stop > start:
            batch = pa.record_batch([taken[start:stop]], names=[_NAME])
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_batch(batch)
        ends.append(sink.tell())
    return scatter.bytes(np.frombuffer(sink.getvalue(), np.uint8), np.array(ends), form)


def arrays_of(rows: PileRows, plane: int, part: slice = _ALL) -> list[tuple[pa.Array, dict[str, Any] | None]]:
    """Return the arrays of some slices of a pile, write by write, with their notes."""
    data, ends = rows.raw_bytes(plane, part)
    if not rows.is_kept and (rows.order is None or part is not _ALL):
        data = data.copy()  # what Arrow makes of it shares its memory
    found = []
    for start, stop, form in zip([0, *ends][: len(ends)], ends, rows.forms(plane)[part], strict=True):
        table = pa.ipc.open_stream(pa.py_buffer(data[start:stop])).read_all()
        found.append((one_array(table.column(0)), form.note))
    return found
