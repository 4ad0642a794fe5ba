"""Numbers from one type to another without loss: the value is the same afterwards, or the first that is not is named."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import numpy as np
import torch

from fireworks.message.arrays.tensor_dtype import dtype_name

Array: TypeAlias = "np.ndarray[Any, Any]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

NUMBER_KINDS = frozenset("biufc")


class MisfitError(ValueError):
    """A value that a type can't hold, by its position; whoever knows the column makes a sentence of it.

    Args:
        position: From 0, among the values that were to be converted.
        value: As it was.
        why: What is wrong with it, where there is more to say than that it does not fit.
    """

    def __init__(self, position: int | np.integer[Any], value: object, why: str = "") -> None:
        super().__init__(position, value, why)
        self.position, self.value, self.why = int(position), value, why


def exact(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return an array of numbers or booleans in another such type; NaN stays NaN.

    Args:
        values: One dimension; shared where the type is the same.
        dtype: A type of numbers or of booleans, which count as 0 and 1.

    Raises:
        MisfitError: a value would change; infinities and NaN fit floating and complex types only.

    Example:
        >>> exact(np.array([1.0, 2.0]), np.dtype("int8"))
        array([1, 2], dtype=int8)
        >>> exact(np.array([2**53 + 1]), np.dtype("float64"))
        Traceback (most recent call last):
        fireworks.message.conversion.exact.MisfitError: (0, 9007199254740993, '')
    """
    if values.dtype == dtype:
        return values
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        wrong = _changed(values, dtype)
        if wrong.any():
            position = int(np.argmax(wrong))
            raise MisfitError(position, values[position].item())
        return values.astype(dtype)


def _changed(values: Array, dtype: np.dtype[Any]) -> Flags:
    """Tell which values are others in another type."""
    source, target = values.dtype.kind, dtype.kind
    if source == "b":
        return np.zeros(len(values), dtype=bool)
    if source == "c" or target == "c":
        part = np.empty(0, dtype).real.dtype
        return _changed(values.real, part) | (_changed(values.imag, part) if target == "c" else values.imag != 0)
    if target == "b":
        return np.asarray((values != 0) & (values != 1))
    if source == "f" and target == "f":
        return np.asarray((values.astype(dtype) != values) & ~np.isnan(values))
    if target == "f":
        floats = values.astype(dtype)
        # what was rounded up to a number that is too large can't be cast back; it was not 0
        return np.asarray(np.where(_within(floats, values.dtype), floats, 0).astype(values.dtype) != values)
    if source == "f":
        return np.asarray(~_within(values, dtype) | (np.floor(values) != values))
    return np.asarray((values < np.iinfo(dtype).min) | (values > np.iinfo(dtype).max))


def _within(floats: Array, integers: np.dtype[Any]) -> Flags:
    limits = np.iinfo(integers)
    wide = floats.astype(np.result_type(floats.dtype, np.float64))
    return np.asarray((wide >= float(limits.min)) & (wide < float(limits.max + 1)))


def exact_tensor(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor in another type, on its device and known to autograd, if no value changes by it.

    A tensor on the ``meta`` device has no values to check.

    Raises:
        MisfitError: a value would change; positions count the elements row by row.
        TypeError: NumPy has no type that is as wide.
    """
    if tensor.dtype == dtype:
        return tensor
    if not tensor.is_meta:
        from_numpy(numpy_of(tensor).reshape(-1), dtype)
    return _cast(tensor, dtype)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    with warnings.catch_warnings():
        # of what has been checked, and of half complex numbers, which somebody chose
        warnings.filterwarnings("ignore", message="Casting complex values to real|ComplexHalf support")
        return tensor.to(dtype)


def from_numpy(values: Array, dtype: torch.dtype) -> torch.Tensor:
    """Return numbers as a tensor of any type; shared where the type is the same.

    Raises:
        MisfitError: a value would change.
        TypeError: torch has no such numbers.
    """
    widest = numpy_dtype(dtype)
    wide = as_shared_tensor(exact(values, widest))
    if wide.dtype == dtype:
        return wide
    tensor = _cast(wide, dtype)  # bfloat16, the 8-bit floats, the half complex: float32 and complex64 hold all of them
    back = numpy_of(tensor)
    if len(wrong := np.flatnonzero((back != wide.numpy()) & ~np.isnan(wide.numpy()))):
        raise MisfitError(wrong[0], values[wrong[0]].item())
    return tensor


def as_shared_tensor(array: Array) -> torch.Tensor:
    """Return an array of numbers as a tensor of the same type, which shares its memory wherever torch can."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    if array.flags.writeable:
        return torch.from_numpy(array)
    # torch warns of read-only arrays, but not of those that come by this way
    return torch.utils.dlpack.from_dlpack(array) if array.size else torch.from_numpy(array.copy())


def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """Return NumPy's type of the same numbers, or the narrowest that holds all of them.

    Raises:
        TypeError: there is none, as of quantized numbers.

    Example:
        >>> numpy_dtype(torch.int64), numpy_dtype(torch.bfloat16)
        (dtype('int64'), dtype('float32'))
    """
    name = dtype_name(dtype)
    if name in np.sctypeDict:
        return np.dtype(name)
    if dtype == torch.complex32:
        return np.dtype("complex64")
    if dtype.is_floating_point and "x2" not in name:  # a packed type holds two numbers in one element
        return np.dtype("float32")
    raise TypeError(f"NumPy has no numbers like {dtype}.")


def numpy_of(tensor: torch.Tensor) -> Array:
    """Return a tensor as an array of `numpy_dtype`, shared where it is in main memory and the type is the same.

    Raises:
        TypeError: NumPy has no such numbers, or the tensor is on the ``meta`` device and has no values.
    """
    if tensor.is_meta:
        raise TypeError("A tensor on the meta device has no values.")
    widest = numpy_dtype(tensor.dtype)
    array: Array = _cast(tensor.detach().cpu(), getattr(torch, widest.name)).numpy(force=True)
    return array
