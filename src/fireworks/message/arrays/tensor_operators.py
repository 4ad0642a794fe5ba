"""A tensor column beside something else, in arithmetic and in comparisons: rows meet rows, and no number is lost."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_list_like

from fireworks.message.arrays.tensor_dtype import TensorDtype, common_element
from fireworks.message.arrays.tensor_rows import computable, dtype_of, is_missing, is_one_row, per_row, rows_of

Operator: TypeAlias = Callable[[Any, Any], Any]

_WITH_BOOLEANS_AS_NUMBERS = frozenset({"floordiv", "mod", "pow", "divmod"})


class IncomparableError(TypeError):
    """Something that no number equals: a text, a date, rows of another shape."""


def arithmetic(tensor: torch.Tensor, other: Any, function: Operator) -> Any:
    """Return ``function(tensor, other)`` as one tensor, or as two for ``divmod``.

    Types meet as in NumPy: integers and floats in a float that holds both, and a quotient of integers is float64.
    A number per row (a list, an array, a column) meets each row's elements; autograd knows of all of it.

    Args:
        tensor: A column.
        other: A number, one row, or a column of as many rows.
        function: One of the ``operator`` module, or pandas' mirror image of it.

    Raises:
        ValueError: the other column has another number of rows.
        TypeError: it is no number, its rows don't broadcast to these, or torch lacks the operation for the type.
        ZeroDivisionError: an integer would be divided by zero.
    """
    name = function.__name__.removeprefix("r")
    left, right = _meeting(tensor, other)
    if name == "truediv":
        left, right = _as_floats(left), _as_floats(right)
    elif name in _WITH_BOOLEANS_AS_NUMBERS and left.dtype == torch.bool:
        left = left.char()
    try:
        if name != "divmod":
            return function(left, right)
        left, right = (right, left) if function.__name__ == "rdivmod" else (left, right)
        return left // right, left % right
    except (RuntimeError, TypeError) as error:
        if "ZeroDivisionError" in str(error):
            raise ZeroDivisionError(f"{dtype_of(tensor)}: division of integers by zero; convert to floats.") from error
        raise TypeError(f"{dtype_of(tensor)} has no {name.strip('_')!r} with {_kind(other)}: {error}") from error


def comparison(tensor: torch.Tensor, other: Any, function: Operator) -> Any:
    """Return one boolean per row; NA of all rows where the tensor is on the ``meta`` device and has no values.

    Two rows are equal where all their elements are. NaN equals nothing.

    Raises:
        ValueError: the other column has another number of rows.
        TypeError: other than by ``==`` and ``!=``, it can't be compared, or rows have more than one element.
    """
    unequal = function is operator.ne
    if tensor.dim() > 1 and function not in {operator.eq, operator.ne}:
        raise TypeError(
            f"{dtype_of(tensor)} has no {function.__name__!r} between rows; compare the elements of .array.tensor."
        )
    try:
        left, right = _meeting(tensor, other, same_is_enough=True)
    except IncomparableError as error:
        if function not in {operator.eq, operator.ne}:
            raise TypeError(f"{dtype_of(tensor)} has no {function.__name__!r} with {_kind(other)}.") from error
        return np.full(len(tensor), unequal)
    try:
        flags = function(left, right)
    except (RuntimeError, TypeError) as error:
        raise TypeError(f"{dtype_of(tensor)} has no {function.__name__!r}: {error}") from error
    if flags.is_meta:
        return pd.array([pd.NA] * len(flags), dtype="boolean")
    return per_row(flags, torch.any if unequal else torch.all)


def _meeting(tensor: torch.Tensor, other: Any, *, same_is_enough: bool = False) -> tuple[Any, Any]:
    """Return both sides in one type, the rows of both in the first dimension."""
    rows = _operand(other, dtype_of(tensor))
    if not isinstance(rows, torch.Tensor) or rows.dim() == 0:
        return _beside_number(computable(tensor), rows)
    rows = rows.to(tensor.device)
    if not is_one_row(rows, dtype_of(tensor)) or not isinstance(other, torch.Tensor):
        if len(rows) != len(tensor):
            raise ValueError(f"Lengths must match: {len(tensor)} rows and {len(rows)}.")
        # torch lines up the last dimensions; here the first ones are the rows
        rank = max(tensor.dim(), rows.dim())
        tensor, rows = (side[(..., *[None] * (rank - side.dim()))] for side in (tensor, rows))
    try:
        torch.broadcast_shapes(tensor.shape, rows.shape)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise IncomparableError(
            f"Rows of {dtype_of(tensor)} don't broadcast with those of {dtype_of(rows)}."
        ) from error
    if same_is_enough and tensor.dtype == rows.dtype:
        return tensor, rows
    left, right = computable(tensor), computable(rows)
    common = common_element(left.dtype, right.dtype)
    return left.to(common), right.to(common)


def _operand(other: Any, dtype: TensorDtype) -> Any:
    """Return a Python number, or a tensor."""
    if isinstance(other, torch.Tensor):
        return other
    if is_missing(other) and other is not None:
        return float("nan")
    if isinstance(other, np.generic):
        other = other.item()
    if isinstance(other, (bool, int, float, complex)):
        return other
    if is_list_like(other) and hasattr(other, "__len__"):
        try:
            nameless = not len(other) and getattr(other, "dtype", None) in {None, np.dtype(object)}
            return rows_of(other, dtype if nameless else None)
        except (TypeError, ValueError) as error:
            raise IncomparableError(f"{dtype} can't be computed with {_kind(other)}: {error}") from error
    raise IncomparableError(f"{dtype} can't be computed with {_kind(other)}.")


def _beside_number(tensor: torch.Tensor, number: Any) -> tuple[torch.Tensor, Any]:
    """Widen the tensor where the number would not fit its type; torch would cut an integer and round to float32."""
    if isinstance(number, torch.Tensor):
        number = number.item() if not number.requires_grad else number
    if tensor.is_floating_point() or tensor.is_complex() or isinstance(number, (bool, torch.Tensor)):
        return tensor, number
    if isinstance(number, complex):
        return tensor.to(torch.complex128), number
    if isinstance(number, float):
        return tensor.double(), number
    if tensor.dtype == torch.bool:
        return tensor.long(), number
    limits = torch.iinfo(tensor.dtype)
    if limits.min <= number <= limits.max:
        return tensor, number
    return (tensor.long(), number) if -(2**63) <= number < 2**63 else (tensor.double(), float(number))


def _as_floats(side: Any) -> Any:
    exact = isinstance(side, torch.Tensor) and not (side.is_floating_point() or side.is_complex())
    return side.double() if exact else side


def _kind(other: Any) -> str:
    return str(getattr(other, "dtype", None) or f"{other!r:.30}")
