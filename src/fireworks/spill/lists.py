"""Lists of numbers: each row's numbers are bytes, and go the way of bytes; lists with nulls inside go as Arrow streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from fireworks.message.columns import Column
from fireworks.spill.blobs import Form, arrays_of, blobs_of
from fireworks.spill.codec import one_array
from fireworks.spill.fixed_width import is_fixed
from fireworks.spill.layout import Array, PileRows, Plane, Scatter
from fireworks.spill.texts import TextCodec, buffers_of


def holds_numbers(kind: pa.DataType) -> bool:
    """Whether a type of Arrow's is one of lists of any length of what has one width in whole bytes."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return is_list and is_fixed(kind.value_type) and not pa.types.is_boolean(kind.value_type)


class ListCodec(TextCodec):
    """The planes of bytes, and a fourth one: Arrow streams, in segments where a list holds a null."""

    num_planes = TextCodec.num_planes + 1

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user)
        self._width = self._kind.value_type.bit_width // 8
        self._offset = np.dtype(np.int32 if pa.types.is_list(self._kind) else np.int64)

    def piece(self, column: Column) -> pa.Array:
        """Return the lists as bytes; as lists where one of them holds a null."""
        self.require_alike(column)
        array = one_array(cast("Any", column).__arrow_array__())
        offsets = array.buffers()[1]
        starts = np.zeros(1, self._offset) if offsets is None else np.frombuffer(offsets, self._offset)
        starts = starts[array.offset : array.offset + len(array) + 1]
        values = array.values[int(starts[0]) : int(starts[-1])]
        if values.null_count:
            return array
        places = (starts - starts[0]).astype(np.int64) * self._width
        data = values.buffers()[1]
        data = pa.py_buffer(b"") if data is None else data.slice(values.offset * self._width, int(places[-1]))
        return pa.Array.from_buffers(self._large, len(array), [_valid(array), pa.py_buffer(places), data])

    def joins(self, first: pa.Array | Array, second: pa.Array | Array) -> bool:
        return super().joins(first, second) and bool(getattr(first, "type", None) == getattr(second, "type", None))

    def planes(self, pieces: Sequence[pa.Array | Array], scatter: Scatter) -> list[Plane]:
        first: Any = pieces[0]
        if isinstance(first, np.ndarray) or first.type == self._large:
            return [*super().planes(pieces, scatter), scatter.nothing()]
        array = one_array(pa.chunked_array(pieces))
        return [*(scatter.nothing() for _ in range(TextCodec.num_planes)), blobs_of(array, Form(array.type), scatter)]

    def piece_of(self, rows: PileRows, first: int) -> pa.Array | Array:
        if rows.is_left_out(first + TextCodec.num_planes):
            return super().piece_of(rows, first)
        return self.piece(self.column(rows, first))

    def column(self, rows: PileRows, first: int) -> Column:
        streams = first + TextCodec.num_planes
        if rows.is_left_out(streams):
            return super().column(rows, first)
        parts: list[pa.Array] = []
        for is_stream, part in rows.runs(streams):
            if is_stream:
                parts += [array for array, _ in arrays_of(rows, streams, part)]
            else:
                parts.append(self._listed(self.stored(rows, first, part)))
        array = pa.concat_arrays(parts)
        return pd.arrays.ArrowExtensionArray(array if rows.order is None else array.take(pa.array(rows.order)))

    def _of_array(self, array: pa.Array) -> Column:
        return pd.arrays.ArrowExtensionArray(self._listed(array))

    def _listed(self, array: pa.Array) -> pa.Array:
        places, data = buffers_of(array)
        data = data[places[0] : places[-1]]
        starts: Array = ((places - places[0]) // self._width).astype(self._offset)
        values = pa.Array.from_buffers(self._kind.value_type, int(starts[-1]), [None, pa.py_buffer(data)])
        return pa.Array.from_buffers(self._kind, len(array), [_valid(array), pa.py_buffer(starts)], children=[values])


def _valid(array: pa.Array) -> pa.Buffer | None:
    if not array.null_count:
        return None
    return pa.py_buffer(np.packbits(array.is_valid().to_numpy(zero_copy_only=False), bitorder="little"))
