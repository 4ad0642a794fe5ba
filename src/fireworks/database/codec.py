"""Tensor columns as bytes, one value per row: C order, little endian, nothing else. Free of SQL."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fireworks.errors import ColumnTypeError, ColumnValueError


def torch_dtype(name: str) -> torch.dtype:
    """Return torch's dtype by its name.

    Raises:
        ColumnTypeError: torch has no such dtype.

    Example:
        >>> torch_dtype("bfloat16")
        torch.bfloat16
    """
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ColumnTypeError(f"This torch has no dtype {name!r}; a later version may have written it.")
    return dtype


def encode_tensor(name: str, tensor: torch.Tensor) -> list[bytes]:
    r"""Return the elements of each row as bytes.

    Args:
        name: The column's name, for the error.
        tensor: Any dtype and device; a gradient is left behind.

    Shapes:
        tensor: (rows, *rest) -> rows values of ``prod(rest) * itemsize`` bytes.

    Raises:
        ColumnTypeError: the tensor is sparse.

    Example:
        >>> encode_tensor("x", torch.tensor([[1, 2], [3, 4]], dtype=torch.int16))
        [b'\x01\x00\x02\x00', b'\x03\x00\x04\x00']
    """
    if tensor.layout != torch.strided:
        raise ColumnTypeError(
            f"Column {name!r} is a tensor of layout {tensor.layout}, and only dense ones can be stored; "
            f"write {name}.to_dense()."
        )
    num_rows, row_bytes = len(tensor), math.prod(tensor.shape[1:]) * tensor.element_size()
    if not num_rows * row_bytes:
        return [b""] * num_rows
    dense = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    elements = _little_endian(dense.reshape(-1).view(torch.uint8).numpy(), tensor.dtype)
    # A void scalar is the bytes of one row: NumPy cuts the rows, not Python.
    rows: list[bytes] = elements.view(np.dtype((np.void, row_bytes))).tolist()
    return rows


def decode_tensor(name: str, rows: Sequence[bytes | None], dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    r"""Return the tensor whose rows were encoded; a copy of its own.

    Args:
        name: The column's name, for the error.
        rows: What `encode_tensor` returned for each row.
        dtype: The elements.
        shape: The shape of one row.

    Shapes:
        -> (rows, *shape)

    Raises:
        ColumnValueError: a row has no bytes, or another number of them; the first is named by its place in ``rows``.

    Example:
        >>> decode_tensor("x", [b"\x01\x00", b"\x02\x00"], torch.int16, ())
        tensor([1, 2], dtype=torch.int16)
    """
    row_bytes = math.prod(shape) * dtype.itemsize
    for place, row in enumerate(rows):
        if not isinstance(row, bytes) or len(row) != row_bytes:
            found = f"{len(row)} bytes" if isinstance(row, bytes) else f"{row!r:.40}"
            raise ColumnValueError(
                f"Column {name!r}: row {place} of those read has {found}, and {dtype} of shape {shape} has {row_bytes} "
                "bytes. Something else than fireworks wrote it."
            )
    if not len(rows) * row_bytes:
        return torch.empty((len(rows), *shape), dtype=dtype)
    elements = bytearray().join(rows)  # type: ignore[arg-type]  # no row is None: checked above
    if sys.byteorder == "big":
        elements = bytearray(_little_endian(np.frombuffer(elements, np.uint8), dtype).tobytes())
    return torch.frombuffer(elements, dtype=dtype).reshape(len(rows), *shape)


def _little_endian(elements: np.ndarray[Any, Any], dtype: torch.dtype) -> np.ndarray[Any, Any]:
    """Turn the bytes of every number around on a big-endian machine; a complex number is two."""
    if sys.byteorder == "little":
        return elements
    width = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
    return elements.reshape(-1, width)[:, ::-1].reshape(-1).copy()
