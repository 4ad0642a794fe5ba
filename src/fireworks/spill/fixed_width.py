"""Columns whose rows have one width: tensors, NumPy's arrays, and what pandas and Arrow store as such, with a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pandas.arrays import BooleanArray, FloatingArray, IntegerArray

from fireworks.message.arrays.tensor_array import TensorArray
from fireworks.message.columns import Column
from fireworks.spill.codec import Codec, NumbersCodec, one_array
from fireworks.spill.layout import Array, PileRows, Plane, Scatter

# The bytes of a tensor travel as NumPy's integers of the same width, or as pairs of them.
_CARRIERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class TensorCodec(NumbersCodec):
    """Tensors in main memory, of any type and shape."""

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user, np.uint8)
        self._dtype = cast("torch.dtype", self.field.dtype)
        carried = self.piece(empty)
        self._unit, self._rest = carried.dtype, carried.shape[1:]

    def piece(self, column: Column) -> Array:
        self.require_alike(column)
        tensor = cast("torch.Tensor", column)
        if tensor.requires_grad:
            raise self.refused("requires a gradient, which is lost on disk; use detach() in a map first.")
        if not tensor.is_cpu:
            raise self.refused(f"is on {tensor.device}; bring it to main memory first, and to the device after.")
        if type(tensor) is not torch.Tensor or tensor.is_quantized:
            kind = "quantized" if tensor.is_quantized else f"of the class {type(tensor).__name__}"
            raise self.refused(f"is {kind}, which is lost on disk; make it a plain tensor first.")
        return _array_of(tensor)

    def column(self, rows: PileRows, first: int) -> torch.Tensor:
        return self.of_array(rows.numbers(first, self._rest, empty=self._unit))

    def of_array(self, values: Array) -> torch.Tensor:
        """Return a tensor over the memory of an array."""
        if not values.nbytes:
            return torch.empty((len(values), *self.field.shape), dtype=self._dtype)
        tensor = torch.from_numpy(values)
        if tensor.dtype != self._dtype:
            tensor = tensor.view(self._dtype)
        return tensor.reshape(len(values), *self.field.shape)


def _array_of(tensor: torch.Tensor) -> Array:
    """Return the memory of a tensor as an array whose first dimension counts the rows."""
    tensor = tensor.resolve_conj().resolve_neg().contiguous()
    if not tensor.numel():
        return np.empty(
            (len(tensor), 0) if math.prod(tensor.shape[1:]) == 0 else (0, *_shape(tensor)), _carrier(tensor)
        )
    if tensor.itemsize > 8:
        return torch.view_as_real(tensor).numpy()
    return tensor.view(_CARRIERS[tensor.itemsize]).numpy()


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    return (*tensor.shape[1:], 2) if tensor.itemsize > 8 else tuple(tensor.shape[1:])


def _carrier(tensor: torch.Tensor) -> Any:
    return {1: np.uint8, 2: np.int16, 4: np.int32, 8: np.int64, 16: np.float64}[tensor.itemsize]


class ArrayCodec(NumbersCodec):
    """NumPy's arrays of numbers, booleans, dates, durations, bytes and texts of one width."""

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user, empty.dtype)

    def piece(self, column: Column) -> Array:
        self.require_alike(column)
        return np.ascontiguousarray(cast("Array", column))

    def column(self, rows: PileRows, first: int) -> Array:
        return rows.numbers(first, empty=self._unit)


class MaskedCodec(Codec):
    """pandas' nullable numbers and booleans: values, and which are missing."""

    of = (IntegerArray, FloatingArray, BooleanArray)
    num_planes = 2

    def piece(self, column: Column) -> tuple[Array, Array | None]:
        self.require_alike(column)
        masked = cast("Any", column)
        values, mask = np.ascontiguousarray(masked._data), np.ascontiguousarray(masked._mask)
        return values, mask if mask.any() else None

    def planes(self, pieces: Sequence[tuple[Array, Array | None]], scatter: Scatter) -> list[Plane]:
        return with_mask(self.name, pieces, scatter)

    def piece_of(self, rows: PileRows, first: int) -> tuple[Array, Array | None]:
        dtype: Any = self.field.dtype
        return numbers_and_mask(rows, first, (), dtype.numpy_dtype)

    def column(self, rows: PileRows, first: int) -> Column:
        dtype: Any = self.field.dtype
        values = rows.numbers(first, empty=dtype.numpy_dtype)
        return cast("Column", dtype.construct_array_type()(values, rows.numbers(first + 1, empty=np.bool_)))


def with_mask(name: str, pieces: Sequence[tuple[Array, Array | None]], scatter: Scatter) -> list[Plane]:
    """Return the planes of values and of masks, the second left out where nothing is missing."""
    masks: list[Array] = []
    if any(mask is not None for _, mask in pieces):
        masks = [np.zeros(len(values), dtype=np.bool_) if mask is None else mask for values, mask in pieces]
    return [
        scatter.numbers((name, 0), [values for values, _ in pieces]),
        scatter.numbers((name, 1), masks),
    ]


def numbers_and_mask(rows: PileRows, first: int, rest: tuple[int, ...], unit: Any) -> tuple[Array, Array | None]:
    """Return the values and masks of a pile as they lie there."""
    values = rows.raw_numbers(first, rest=rest, empty=unit)
    return values, None if rows.is_left_out(first + 1) else rows.raw_numbers(first + 1, empty=np.bool_)


class ZonedCodec(NumbersCodec):
    """Dates with a zone: instants."""

    of = (pd.arrays.DatetimeArray,)

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user, np.int64)

    def piece(self, column: Column) -> Array:
        self.require_alike(column)
        return np.ascontiguousarray(cast("Any", column).asi8)

    def column(self, rows: PileRows, first: int) -> Column:
        dtype: Any = self.field.dtype
        instants = rows.numbers(first, empty=self._unit).view(f"M8[{dtype.unit}]")
        return cast("Column", pd.DatetimeIndex(instants, copy=False).tz_localize("UTC").tz_convert(dtype.tz).array)


class PeriodCodec(NumbersCodec):
    """Periods: their ordinal numbers."""

    of = (pd.arrays.PeriodArray,)

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user, np.int64)

    def piece(self, column: Column) -> Array:
        self.require_alike(column)
        return np.ascontiguousarray(cast("Any", column).asi8)

    def column(self, rows: PileRows, first: int) -> Column:
        return pd.arrays.PeriodArray(rows.numbers(first, empty=self._unit), dtype=cast("Any", self.field.dtype))


class WrappedCodec(Codec):
    """A tensor that is wrapped for pandas."""

    of = (TensorArray,)

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user)
        self._tensor = TensorCodec(name, cast("TensorArray", empty).tensor, user)

    def piece(self, column: Column) -> Array:
        self.require_alike(column)
        return self._tensor.piece(cast("TensorArray", column).tensor)

    def planes(self, pieces: Sequence[Array], scatter: Scatter) -> list[Plane]:
        return self._tensor.planes(pieces, scatter)

    def piece_of(self, rows: PileRows, first: int) -> Array:
        return cast("Array", self._tensor.piece_of(rows, first))

    def column(self, rows: PileRows, first: int) -> Column:
        return cast("Column", TensorArray(self._tensor.column(rows, first)))


def is_fixed(kind: pa.DataType) -> bool:
    """Whether Arrow stores a type as values of one width, and nothing more."""
    types = pa.types
    if types.is_boolean(kind):
        return True
    if (
        types.is_nested(kind)
        or types.is_dictionary(kind)
        or isinstance(kind, pa.BaseExtensionType)
        or types.is_null(kind)
    ):
        return False
    try:
        width = kind.bit_width
    except ValueError:
        return False
    return bool(width > 0 and width % 8 == 0)


class ArrowCodec(Codec):
    """Arrow's numbers, booleans, dates, times, decimals and bytes of one width: values, and which are missing."""

    num_planes = 2
    _UNSIGNED: ClassVar[frozenset[int]] = frozenset({1, 2, 4, 8})

    def __init__(self, name: str, empty: Column, user: str) -> None:
        super().__init__(name, empty, user)
        self._kind = cast("pd.ArrowDtype", self.field.dtype).pyarrow_dtype
        self._is_bool = pa.types.is_boolean(self._kind)
        width = 1 if self._is_bool else self._kind.bit_width // 8
        is_number = width in self._UNSIGNED
        self._unit: np.dtype[Any] = np.dtype(f"u{width}" if is_number else "u1")
        self._rest = () if is_number else (width,)

    def piece(self, column: Column) -> tuple[Array, Array | None]:
        self.require_alike(column)
        array = one_array(cast("Any", column).__arrow_array__())
        mask = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
        if self._is_bool:
            values = array.cast(pa.uint8())
            return np.frombuffer(values.buffers()[1] or b"", np.uint8)[values.offset :][: len(array)], mask
        data, width = array.buffers()[1], self._unit.itemsize * math.prod(self._rest)
        if data is None:
            return np.empty((0, *self._rest), self._unit), mask
        count = len(array) * math.prod(self._rest)
        return np.frombuffer(data, self._unit, count, array.offset * width).reshape(len(array), *self._rest), mask

    def planes(self, pieces: Sequence[tuple[Array, Array | None]], scatter: Scatter) -> list[Plane]:
        return with_mask(self.name, pieces, scatter)

    def piece_of(self, rows: PileRows, first: int) -> tuple[Array, Array | None]:
        return numbers_and_mask(rows, first, self._rest, self._unit)

    def column(self, rows: PileRows, first: int) -> Column:
        values = rows.numbers(first, self._rest, empty=self._unit)
        mask = None if rows.is_left_out(first + 1) else rows.numbers(first + 1, empty=np.bool_)
        if self._is_bool:
            array = pa.array(values.view(np.bool_), mask=mask)
        else:
            valid = None if mask is None else pa.py_buffer(np.packbits(~mask, bitorder="little"))
            array = pa.Array.from_buffers(self._kind, len(values), [valid, pa.py_buffer(values.reshape(-1))])
        return pd.arrays.ArrowExtensionArray(array)
