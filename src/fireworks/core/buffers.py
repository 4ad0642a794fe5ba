"""Memory for gathered rows that is used again, but only when nobody holds a view of it.

Writing into fresh memory costs several times what writing into warm memory does, because the system hands it out page
by page. So a pass gathers some thousand rows at a time into buffers of its own and hands out views of them. A buffer is
filled again when its last view has died; as long as somebody holds a batch, the rows in it never change.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import torch

from fireworks.message import Message
from fireworks.message.columns import Column, Positions

Array: TypeAlias = "np.ndarray[Any, Any]"

_BUFFERS_PER_COLUMN = 4
_SHARED_FROM_BYTES = 2**19  # below, handing half to another thread costs more than it saves
# Tensors of these types travel as NumPy's integers of the same width: only bytes are moved.
_CARRIED = {torch.bfloat16: np.dtype(np.int16)}


class Buffers:
    """The buffers of one pass. Several threads may ask at once.

    Example:
        >>> buffers, table = Buffers(), fw.Message({"x": torch.arange(10)})
        >>> rows = buffers.take("table", table, np.array([7, 2]))
        >>> rows["x"].tolist(), buffers.take("table", table, np.array([1, 1]))["x"].tolist(), rows["x"].tolist()
        ([7, 2], [1, 1], [7, 2])
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, list[Array]] = {}
        self._lock = threading.Lock()
        self._helper: ThreadPoolExecutor | None = None
        self._references = _references_of_a_free_one()

    def take(self, owner: Hashable, message: Message, rows: Positions) -> Message:
        """Return the rows at the given positions, from 0, in that order; a copy that no later call changes.

        Args:
            owner: Who asks; buffers are used again for the same owner and column.
            message: In memory.
            rows: Positions, shape ``(rows,)`` of int64.
        """
        if not len(rows) or rows.min() < 0 or rows.max() >= len(message):
            return message.take(rows)  # which says what is wrong with them
        stored: dict[str, Any] = {}
        others: list[str] = []
        gathers: list[tuple[Array, Array]] = []
        for name, column in message._columns.items():
            source = _as_array(column)
            if source is None:
                others.append(name)
                stored[name] = None  # keeps its place
                continue
            out = self._buffer((owner, name), (len(rows), *source.shape[1:]), source.dtype)
            gathers.append((source, out))
            stored[name] = _as_column(out, column)
        self._gather(gathers, rows)
        if others:
            taken = message.select(*others).take(rows)
            stored.update({name: taken.raw(name) for name in others})
        return Message._of(stored, len(rows))

    def _gather(self, gathers: list[tuple[Array, Array]], rows: Positions) -> None:
        """Copy rows of each first array into each second; half of them in another thread, where torch may have two."""

        def work(start: int, stop: int) -> None:
            for source, out in gathers:
                np.take(source, rows[start:stop], axis=0, out=out[start:stop], mode="clip")

        half = len(rows) // 2
        if sum(out.nbytes for _, out in gathers) < _SHARED_FROM_BYTES or torch.get_num_threads() == 1:
            work(0, len(rows))
            return
        if self._helper is None:
            self._helper = ThreadPoolExecutor(1, thread_name_prefix="fireworks gather")  # ends with us
        other = self._helper.submit(work, half, len(rows))
        work(0, half)
        other.result()

    def _buffer(self, key: Hashable, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array of the given shape over a buffer that nobody else holds."""
        with self._lock:
            kept = self._kept.setdefault(key, [])
            for buffer in kept:
                if (
                    sys.getrefcount(buffer) == self._references
                    and len(buffer) >= shape[0]
                    and buffer.shape[1:] == shape[1:]
                ):
                    return buffer[: shape[0]]
            made = np.empty(shape, dtype=dtype)
            if len(kept) < _BUFFERS_PER_COLUMN:
                kept.append(made)
            return made[:]


def _references_of_a_free_one() -> int:
    """Return what Python counts for an array that nothing but a list and the loop over it holds."""
    for buffer in [np.empty(0)]:
        return sys.getrefcount(buffer)
    raise AssertionError


def _as_array(column: Column) -> Array | None:
    """Return a column's memory as an array, where rows can be gathered by moving bytes; else None."""
    if isinstance(column, np.ndarray):
        return column if column.flags.c_contiguous and not column.dtype.hasobject else None
    if (
        not isinstance(column, torch.Tensor)
        or type(column) is not torch.Tensor
        or not column.is_cpu
        or column.requires_grad
        or column.layout is not torch.strided
        or not column.is_contiguous()
    ):
        return None
    if column.dtype in _CARRIED:
        return column.view(torch.int16).numpy()
    try:
        return column.numpy()
    except (TypeError, RuntimeError):
        return None  # a type that NumPy lacks, a quantised or a conjugated tensor


def _as_column(out: Array, column: Column) -> Column:
    if not isinstance(column, torch.Tensor):
        return out
    tensor = torch.from_numpy(out)
    return tensor.view(column.dtype) if column.dtype in _CARRIED else tensor
