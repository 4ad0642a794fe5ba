"""Texts and bytes of any length: lengths and bytes, or codes of a dictionary where few values come again and again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from fireworks.message.columns import Column
from fireworks.spill.codec import Codec, one_array
from fireworks.spill.layout import Array, PileRows, Plane, Scatter

_SAMPLE = 4096  # rows that decide whether a dictionary is tried
_REPEATS = 4  # each value comes so many times at least, or a dictionary does not pay
_MOST_VALUES = 2**16
_MOST_BYTES = 2**22
# Texts of one length are moved as numbers are; up to the first, that is quicker than to look for them in a dictionary.
_SHORT, _MOST_WIDTH = 16, 256


def is_variable(kind: pa.DataType) -> bool:
    """Whether a type of Arrow's is one of texts or bytes of any length."""
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
    )


class TextCodec(Codec):
    """Three planes, of which a segment has the first, or the others: codes; lengths, -1 where missing; bytes.

    A piece is an array of Arrow's, or, where it comes from a pile, of NumPy's: codes, or texts of one length. Where all texts
    of a segment have one length, as dates or hashes do, only the bytes are there.
    """

    num_planes = 3

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user)
        dtype: Any = self.field.dtype
        self._kind = dtype.pyarrow_dtype if isinstance(dtype, pd.ArrowDtype) else pa.large_string()
        types = pa.types
        is_text = types.is_string(self._kind) or types.is_large_string(self._kind) or types.is_string_view(self._kind)
        self._large = pa.large_string() if is_text else pa.large_binary()
        self._codes: dict[Any, int] = {}
        self._values = pa.array([], self._large)
        self._uses_codes: bool | None = None  # not decided
        self._growing = threading.Lock()  # several threads may bring rows from pile to pile

    def piece(self, column: Column) -> pa.Array:
        self.require_alike(column)
        array = cast("Any", column)
        found = array.__arrow_array__() if hasattr(array, "__arrow_array__") else pa.array(array, self._large)
        one = one_array(found)
        return one if one.type == self._large else one.cast(self._large)

    def joins(self, first: pa.Array | Array, second: pa.Array | Array) -> bool:
        return bool(_kind(first) == _kind(second))

    def planes(self, pieces: Sequence[pa.Array | Array], scatter: Scatter) -> list[Plane]:
        if isinstance(pieces[0], np.ndarray):
            return self._numbers(pieces, scatter)
        array = pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)
        offsets, data = buffers_of(array)
        width = _width(offsets) if not array.null_count else 0
        in_place = data[offsets[0] : offsets[-1]].view(f"V{width}") if width else None
        if in_place is not None and width <= _SHORT:
            return self._numbers([in_place], scatter)
        with self._growing:
            codes = self._coded(array)
        if codes is not None:
            return self._numbers([codes], scatter)
        return self._plain(array, scatter) if in_place is None else self._numbers([in_place], scatter)

    def _numbers(self, pieces: Sequence[Array], scatter: Scatter) -> list[Plane]:
        """Return the planes of codes, or of texts of one length."""
        planes = [scatter.nothing()] * 3
        place = 2 if pieces[0].dtype.kind == "V" else 0
        planes[place] = scatter.numbers((self.name, place), pieces)
        return planes

    def _coded(self, array: pa.Array) -> Array | None:
        """Return a code per row, -1 where it is missing; None where a dictionary does not pay, then or any more."""
        if self._uses_codes is None and len(array):
            start = array[:_SAMPLE]
            self._uses_codes = len(start.unique()) * _REPEATS <= len(start)
        if not self._uses_codes:
            return None
        self._uses_codes = False  # unless it pays here too
        encoded = array.dictionary_encode()
        if len(encoded.dictionary) > max(len(array) // _REPEATS, _REPEATS):
            return None
        values = encoded.dictionary.to_pylist()
        new = [value for value in values if value not in self._codes]
        if new:
            whole = pa.concat_arrays([self._values, pa.array(new, self._large)])
            if len(whole) > _MOST_VALUES or whole.nbytes > _MOST_BYTES:
                return None
            self._codes |= {value: code for code, value in enumerate(new, start=len(self._codes))}
            self._values = whole
        # one place more, at the end, for the index -1 of what is missing
        places = np.array([*(self._codes[value] for value in values), -1])
        indices = encoded.indices.fill_null(-1).to_numpy()
        narrow: Array = places.astype(np.min_scalar_type(-len(self._codes) - 1))
        codes: Array = np.take(narrow, indices, mode="wrap")
        self._uses_codes = True
        return codes

    def _plain(self, array: pa.Array, scatter: Scatter) -> list[Plane]:
        taken = array.take(pa.array(scatter.order))
        offsets, data = buffers_of(taken)
        lengths = np.diff(offsets)
        lengths = lengths.astype(np.min_scalar_type(-int(lengths.max(initial=0)) - 1))
        if taken.null_count:
            lengths[taken.is_null().to_numpy(zero_copy_only=False)] = -1
        cuts = offsets[scatter.cuts]
        return [
            scatter.nothing(),
            scatter.sorted(lengths),
            scatter.bytes(data[cuts[0] : cuts[-1]], cuts - cuts[0], "bytes"),
        ]

    def piece_of(self, rows: PileRows, first: int) -> pa.Array | Array:
        forms = set(rows.forms(first + 2))
        if len(forms) == 1 and forms != {"bytes"}:
            return rows.raw_numbers(first if forms == {None} else first + 2)
        return self.stored(rows, first, slice(0, rows.num_slices))

    def column(self, rows: PileRows, first: int) -> Column:
        forms = set(rows.forms(first + 2))
        if forms == {None}:
            array = self._decoded(rows.numbers(first))
        elif len(forms) == 1 and (width := _width_of(*forms)):
            array = self._of_one_width(rows.numbers(first + 2), width)
        else:
            array = self.stored(rows, first, slice(0, rows.num_slices))
            if rows.order is not None:
                array = array.take(pa.array(rows.order))
        return self._of_array(array)

    def stored(self, rows: PileRows, first: int, part: slice) -> pa.Array:
        """Return the texts of some slices as they lie there."""
        parts = [
            self._decoded(rows.raw_numbers(first, run)) if has_codes else self._read(rows, first, run)
            for has_codes, run in rows.runs(first, part)
        ]
        return pa.concat_arrays(parts) if parts else pa.array([], self._large)

    def _decoded(self, codes: Array) -> pa.Array:
        missing = codes < 0
        return self._values.take(pa.array(codes, mask=missing) if missing.any() else pa.array(codes))

    def _read(self, rows: PileRows, first: int, part: slice) -> pa.Array:
        lengths = rows.raw_numbers(first + 1, part).astype(np.int64)  # a copy, since the bytes may take its memory
        for row, count, form in rows.slices(first + 2, part):
            if width := _width_of(form):
                lengths[row : row + count] = width
        data, _ = rows.raw_bytes(first + 2, part)
        if not rows.is_kept and (rows.order is None or part != slice(0, rows.num_slices)):
            data = data.copy()  # it will be part of the result, or wait for other parts
        missing = lengths < 0
        valid = None
        if missing.any():
            valid = pa.py_buffer(np.packbits(~missing, bitorder="little"))
            lengths[missing] = 0
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return pa.Array.from_buffers(self._large, len(lengths), [valid, pa.py_buffer(offsets), pa.py_buffer(data)])

    def _of_one_width(self, values: Array, width: int) -> pa.Array:
        offsets = np.arange(0, (len(values) + 1) * width, width, dtype=np.int64)
        return pa.Array.from_buffers(self._large, len(values), [None, pa.py_buffer(offsets), pa.py_buffer(values)])

    def _of_array(self, array: pa.Array) -> Column:
        dtype: Any = self.field.dtype
        if isinstance(dtype, pd.ArrowDtype):
            return pd.arrays.ArrowExtensionArray(array if array.type == self._kind else array.cast(self._kind))
        return cast("Column", dtype.__from_arrow__(array))


def _width(offsets: Array) -> int:
    """Return how long each text is; 0 where they differ, or are long enough to be moved one by one."""
    if len(offsets) < 2 or not 0 < (width := int(offsets[1] - offsets[0])) <= _MOST_WIDTH:
        return 0
    return width if offsets[-1] - offsets[0] == width * (len(offsets) - 1) and (np.diff(offsets) == width).all() else 0


def _width_of(form: Any) -> int:
    """Return the one length that the texts of a segment have; 0 where they have several, or codes."""
    return form.itemsize if isinstance(form, np.dtype) else 0


def _kind(piece: pa.Array | Array) -> Any:
    return (piece.dtype if piece.dtype.kind == "V" else "codes") if isinstance(piece, np.ndarray) else "texts"


def buffers_of(array: pa.Array) -> tuple[Array, Array]:
    """Return where each row of an array of large texts or bytes begins, and the bytes."""
    _, offsets, data = array.buffers()
    if offsets is None:
        return np.zeros(len(array) + 1, np.int64), np.empty(0, np.uint8)
    found = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return found, np.frombuffer(data or b"", np.uint8)
