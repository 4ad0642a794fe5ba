"""Rows as values: which are the same, and which comes before which.

A row becomes the bytes of its elements, written so that bytes compare as the numbers do: the most significant byte first,
and the sign turned. So one kind of key serves hashing, sorting and searching, and rows can be made of it again.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch

from fireworks.message.conversion.exact import numpy_of

Array: TypeAlias = "np.ndarray[Any, Any]"


def keys(tensor: torch.Tensor) -> Array:
    """Return one value per row that pandas can hash and sort: equal exactly for equal rows, where NaN equals NaN.

    Shapes:
        ``(rows,)`` -> the numbers; ``(rows, *rest)`` -> objects: the bytes of a row, NaN for one of nothing but NaN.
    """
    if tensor.dim() == 1:
        return numpy_of(tensor)
    rows = _canonical(tensor)
    made = np.empty(len(rows), dtype=object)
    made[:] = _as_bytes(rows).tolist()
    if rows.dtype.kind in "fc" and rows.shape[1]:
        made[np.isnan(rows).all(axis=1)] = np.nan
    return made


def rows_of_keys(made: Array, like: torch.Tensor) -> torch.Tensor:
    """Return the rows that keys were made of; ``like`` tells their type and shape."""
    if like.dim() == 1:
        return torch.from_numpy(np.array(made)).to(like)
    row = _canonical(like[:0])
    rows = np.full((len(made), row.shape[1]), np.nan if row.dtype.kind in "fc" else 0, dtype=row.dtype)
    if rows.size:
        there = np.array([isinstance(key, bytes) for key in made], dtype=bool)
        rows[there] = _from_bytes(b"".join(made[there]), row)
    return torch.from_numpy(rows.reshape(len(made), *like.shape[1:])).to(like)


def ranks(tensor: torch.Tensor) -> Array:
    """Return the place of each row among the different rows, from 0: by the first element in which two rows differ.

    NaN comes last, False before True, and complex numbers go by the real part first, all as in NumPy.
    """
    _, places = np.unique(_as_bytes(_canonical(tensor)), return_inverse=True)
    return places.reshape(-1).astype(np.int64)


def _canonical(tensor: torch.Tensor) -> Array:
    """Return ``(rows, elements)`` with one way of writing zero and NaN."""
    rows = np.ascontiguousarray(numpy_of(tensor.flatten(1) if tensor.dim() > 1 else tensor[:, None]))
    if rows.dtype.kind in "fc":
        rows = rows + 0.0  # minus zero becomes zero
        rows[np.isnan(rows)] = np.nan
    return rows


def _as_bytes(rows: Array) -> Array:
    bits, sign = _bits(rows)
    if rows.dtype.kind in "fc":
        # negative floats grow in size downwards, so all their bits turn
        bits = np.where(bits & sign, ~bits, bits | sign)
    elif rows.dtype.kind == "i":
        bits = bits ^ sign
    if not bits.shape[1]:
        return np.zeros(len(bits), dtype="V1")
    ordered = np.ascontiguousarray(bits.astype(bits.dtype.newbyteorder(">")))
    return ordered.view(f"V{ordered.shape[1] * ordered.itemsize}").reshape(-1)


def _from_bytes(joined: bytes, row: Array) -> Array:
    """Turn back what `_as_bytes` did."""
    kind, (bits, sign) = row.dtype.kind, _bits(row)
    bits = np.frombuffer(joined, dtype=bits.dtype.newbyteorder(">")).astype(bits.dtype)
    if kind in "fc":
        bits = np.where(bits & sign, bits ^ sign, ~bits)
    elif kind == "i":
        bits = bits ^ sign
    return bits.view(row.dtype).reshape(-1, row.shape[1])


def _bits(rows: Array) -> tuple[Array, Any]:
    """Return the elements as unsigned integers, a complex number as two, and the integer that has only the sign set."""
    parts = rows.view(rows.real.dtype) if rows.dtype.kind == "c" else rows
    bits = parts.view(f"u{parts.itemsize}")
    return bits, bits.dtype.type(1 << (8 * bits.itemsize - 1))
