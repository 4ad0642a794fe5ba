"""Columns of lists into tensors, short rows filled up."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
import torch

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, numbered
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, require_columns
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message import Message
from fireworks.message.columns import Column, Positions
from fireworks.message.conversion.convert import as_tensor
from fireworks.message.conversion.kinds import is_objects
from fireworks.transforms.ragged import list_elements, list_lengths

_SIDES = ("right", "left")
_SHOWN_ROWS = 10


@final
class Pad(RowStage):
    """Turn columns of lists into tensors whose rows are filled up to one length.

    Behind ``batch`` that is the longest row of the batch, or ``length`` where it is given. A row pipe needs ``length``: the
    width of a row must not depend on the rows that happen to be read with it.

    Args:
        input: Rows or batches.
        columns: Their names; at least one. Arrow lists; objects that are lists, arrays or tensors; or tensors of two or
            more dimensions.
        value: What short rows are filled up with.
        length: How long every row shall be; None for the longest of the batch.
        mask: The name of a column to add that is true where a value stood and false where one was filled in; the columns
            must then have equal lengths in each row. None for no such column.
        lengths: The name of a column to add that holds the length of each row before; likewise.
        side: Where to fill up, ``"right"`` or ``"left"``.
        truncate: Cut rows that are longer than ``length``, on the same side; else they are an error.
        dtype: The type of the tensors; None for that of the elements. Python's lists have none where all are empty.

    Shapes:
        a column ``(rows, length of each, *rest)`` -> ``(rows, length, *rest)``; mask: bool ``(rows, length)``; lengths:
        int64 ``(rows,)``.

    Raises:
        ValueError: no column is named, ``length`` is negative or missing on a row pipe, ``truncate`` comes without
            ``length``, or ``side`` is neither.
        ColumnNotFoundError: a name is not there.
        ColumnTypeError: a row is no list, or its elements are no numbers; or a name to add is there already.
        ColumnValueError: a row or an element is missing, a row is longer than ``length``, ``value`` is none of the type,
            or columns differ in length where they have one mask.

    Example:
        >>> data = fw.source({"tokens": [[5, 6, 7], [8], [9, 1]]})
        >>> Pad(data.batch(2), "tokens", mask="is_token")[0]["tokens"].tolist()
        [[5, 6, 7], [8, 0, 0]]
        >>> Pad(data, "tokens", length=2, truncate=True, side="left")[:]["tokens"].tolist()
        [[6, 7], [0, 8], [9, 1]]
    """

    on_grid: ClassVar[bool] = False

    def __init__(
        self,
        input: Pipe,
        *columns: str,
        value: float = 0,
        length: int | None = None,
        mask: str | None = None,
        lengths: str | None = None,
        side: str = "right",
        truncate: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input)
        if not columns:
            raise ValueError("pad: name at least one column.")
        require_columns(self.upstream, columns, who="pad")
        self.length = None if length is None else check_count(length, at_least=0, where="pad: length")
        if length is None and not self.upstream.is_batched:
            raise ValueError(
                "pad: rows come singly here, and the width of a row must not depend on its neighbours; write .pad behind "
                ".batch(…), or pass length=…."
            )
        if length is None and truncate:
            raise ValueError("pad: truncate=True needs length=…, to say where to cut.")
        if side not in _SIDES:
            raise ValueError(f"pad: side is 'right' or 'left'; got {side!r}.")
        self.columns, self.value, self.side, self.truncate, self.dtype = columns, value, side, truncate, dtype
        self.mask, self.lengths = mask, lengths
        known = [*(self.upstream.known_columns or ()), *columns]
        for added in filter(None, (mask, lengths)):
            _refuse(added, known)
            known.append(added)

    @property
    def known_columns(self) -> list[str] | None:
        known = self.upstream.known_columns
        return None if known is None else [*known, *filter(None, (self.mask, self.lengths))]

    def describe(self) -> str:
        options = {
            "value": (self.value, 0),
            "length": (self.length, None),
            "mask": (self.mask, None),
            "lengths": (self.lengths, None),
            "side": (self.side, "right"),
            "truncate": (self.truncate, False),
            "dtype": (self.dtype, None),
        }
        given = [f"{name}={value!r}" for name, (value, default) in options.items() if value != default]
        return f"Pad({', '.join([*self.columns, *given])})"

    def transform(self, rows: Message) -> Message:
        return self.compute(numbered(rows), Run(0), 0).message

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        stored = dict(chunk.message._columns)
        first: tuple[str, Positions] | None = None
        for name in self.columns:
            column = chunk.message.raw(name)
            counts = list_lengths(name, column, chunk.rows, who="pad")
            if first is None:
                first = name, counts
            elif self.mask or self.lengths:
                self._require_equal(first, (name, counts), chunk.rows)
            stored[name] = self._padded(name, column, counts, chunk.rows)
        assert first is not None  # noqa: S101 (there is at least one column)
        counts = first[1]
        if self.mask:
            _refuse(self.mask, chunk.message.columns)
            stored[self.mask] = torch.from_numpy(self._mask(counts, self._width(counts)))
        if self.lengths:
            _refuse(self.lengths, chunk.message.columns)
            stored[self.lengths] = torch.from_numpy(counts)
        return Chunk(Message._of(stored, len(chunk.rows)), chunk.rows)

    def _require_equal(self, first: tuple[str, Positions], other: tuple[str, Positions], rows: Positions) -> None:
        (name, counts), (other_name, other_counts) = first, other
        differs = np.flatnonzero(counts != other_counts)
        if len(differs):
            row = differs[0]
            raise ColumnValueError(
                f"pad: {name!r} has {counts[row]} elements in row {rows[row]} of the source and {other_name!r} has "
                f"{other_counts[row]}; columns with one mask have equal lengths: pad them by two .pad(…)."
            )

    def _width(self, counts: Positions) -> int:
        return int(counts.max(initial=0)) if self.length is None else self.length

    def _padded(self, name: str, column: Column, counts: Positions, rows: Positions) -> torch.Tensor:
        width = self._width(counts)
        if not self.truncate and len(too_long := rows[counts > width]):
            more = ", …" if len(too_long) > _SHOWN_ROWS else ""
            raise ColumnValueError(
                f"pad: column {name!r} has up to {counts.max()} elements and length is {width}, in rows "
                f"{', '.join(map(str, too_long[:_SHOWN_ROWS]))}{more} of the source; pass a larger length, or truncate=True."
            )
        elements = self._elements(name, column, int(counts.sum()))
        if isinstance(column, torch.Tensor) and column.shape[1] == width:
            return elements.reshape(column.shape)
        shape, filling = (len(counts) * width, *elements.shape[1:]), self._filling(elements.dtype)
        padded = torch.full(shape, filling, dtype=elements.dtype, device=elements.device)
        if self.truncate and (counts > width).any():
            elements = elements[torch.from_numpy(self._fitting(counts, width)).to(elements.device)]
        places = torch.from_numpy(np.flatnonzero(self._mask(counts, width)))
        padded[places.to(elements.device)] = elements
        return padded.reshape(len(counts), width, *elements.shape[1:])

    def _mask(self, counts: Positions, width: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where in the padded rows the elements stand."""
        kept, places = np.minimum(counts, width)[:, None], np.arange(width)
        mask: np.ndarray[Any, np.dtype[np.bool_]] = places < kept if self.side == "right" else places >= width - kept
        return mask

    def _fitting(self, counts: Positions, width: int) -> Positions:
        """Return which of the elements, end to end, are left of rows that are cut."""
        inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        if self.side == "left":
            inside += width - np.repeat(counts, counts)
        return np.flatnonzero(inside < width if self.side == "right" else inside >= 0)

    def _elements(self, name: str, column: Column, count: int) -> torch.Tensor:
        flat = list_elements(name, column, who="pad")
        if not count and is_objects(flat):
            if self.dtype is None and len(column):
                raise ColumnTypeError(
                    f"pad: the lists of column {name!r} are all empty here, so their type is not known; pass dtype=…."
                )
            return torch.empty(0, dtype=self.dtype)
        tensor = as_tensor(name, flat, where="pad (of the elements)")
        return tensor if self.dtype is None else tensor.to(self.dtype)

    def _filling(self, dtype: torch.dtype) -> float:
        if dtype.is_floating_point or dtype.is_complex:
            return self.value
        low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
        if not low <= self.value <= high or int(self.value) != self.value:
            raise ColumnValueError(
                f"pad: value={self.value!r} is none of {str(dtype).removeprefix('torch.')}, the type of the elements; pass "
                "another value, or dtype=…."
            )
        return int(self.value)


def _refuse(name: str, known: list[str]) -> None:
    if name in known:
        raise ColumnTypeError(f"pad: there is a column {name!r} already; name the new one otherwise.")
