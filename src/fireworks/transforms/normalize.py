"""Columns to mean 0 and standard deviation 1, by statistics that were fitted before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import pandas as pd
import torch

from fireworks.core.chunk import Chunk, recut
from fireworks.core.flow import block_rows
from fireworks.core.model import Model
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError, NotFittedError, StateError
from fireworks.message import Message
from fireworks.message.columns import Column, Positions

_SHOWN_ROWS = 10


class Normalize(Model):
    """Subtract the mean of a column and divide by its standard deviation.

    The statistics are parameters that `fit` finds, in float64, on the data that it is given: the training part. They
    never change in passing, so that nothing of the test part leaks into them. They are saved with the model's state.
    Where the deviation is 0, as in a pixel that is always black, values are only shifted.

    Args:
        columns: Names of columns of numbers.
        per_element: Whether each element of a row has a mean and a deviation of its own; if not, the column has one.

    Shapes:
        ``(rows, *rest)`` -> the same; floating dtypes stay, integers become torch's default dtype.

    Raises:
        NotFittedError: it is used before `fit`.
        ValueError: no column is named.

    Source:
        Population variance, merged block by block: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm
        for computing sample variances", 1979.

    Example:
        >>> train = fw.source({"x": torch.tensor([[0.0], [2.0], [4.0]])})
        >>> norm = fw.Normalize("x").fit(train)
        >>> train.map(norm).to_message()["x"].flatten().tolist()
        [-1.2247..., 0.0, 1.2247...]
    """

    def __init__(self, *columns: str, per_element: bool = True) -> None:
        super().__init__()
        if not columns:
            raise ValueError("Normalize: name at least one column.")
        if not all(isinstance(name, str) for name in columns):
            raise TypeError(f"Normalize: write the names one by one, Normalize('x', 'y'); got {columns!r:.60}.")
        self.columns, self.per_element = list(columns), per_element
        self.num_fitted = 0
        for number in range(len(columns)):
            # A column's name may hold a dot, a buffer's may not; the extra state says which number is which column.
            self.register_buffer(f"mean_{number}", None)
            self.register_buffer(f"deviation_{number}", None)

    def extra_repr(self) -> str:
        """Return the columns, for the text of a module."""
        return ", ".join(self.columns)

    def describe(self) -> str:
        """Return the columns as text."""
        whole = "" if self.per_element else ", per_element=False"
        return f"Normalize({', '.join(self.columns)}{whole})"

    # --- fitting --------------------------------------------------------------------------------------------------

    def fit(self, data: Pipe | Message) -> Normalize:
        """Find the statistics in one pass over the data, in epoch 0, and return self.

        The result does not depend on how the data is read, to the last bit: sums are taken over the fixed grid of blocks.

        Args:
            data: The training part, as rows or as batches, or a message of it.

        Raises:
            ColumnNotFoundError: a column is not there.
            ColumnTypeError: a column holds no numbers.
            ColumnValueError: there is no row, or a value is missing or not finite; the error names the rows.
            TypeError: the data is neither a pipe nor a message.
        """
        if not isinstance(data, (Pipe, Message)):
            raise TypeError(
                f"Normalize.fit: expected a pipe or a message; got {type(data).__name__}. Wrap it: fw.source(…)."
            )
        moments: list[_Moments | None] = [None] * len(self.columns)
        num_rows = 0
        for block in _blocks(data):
            num_rows += len(block.rows)
            for number, name in enumerate(self.columns):
                values = self._finite(name, block)
                moments[number] = _merge(moments[number], values if self.per_element else values.reshape(-1))
        for number, found in enumerate(moments):
            if found is None:
                raise ColumnValueError(f"{self.describe()}: there are no rows to fit on.")
            deviation = np.sqrt(found.squares / found.num_values)
            setattr(self, f"mean_{number}", torch.as_tensor(found.origin + found.mean))
            setattr(self, f"deviation_{number}", torch.as_tensor(np.where(deviation > 0, deviation, 1.0)))
        self.num_fitted = num_rows
        return self

    def _finite(self, name: str, block: Chunk) -> Floats:
        """Return a column in float64, always laid out alike, because the last bits of a sum depend on the layout."""
        tensor = self._tensor(name, block.message, block.rows)
        values: Floats = np.ascontiguousarray(tensor.detach().cpu().double().numpy())
        finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if not finite.all():
            raise ColumnValueError(
                f"{self.describe()}: column {name!r} has NaN or infinite values, {_named(block.rows, ~finite)}; "
                "filter or fill them first."
            )
        return values

    # --- using ----------------------------------------------------------------------------------------------------

    def forward(self, message: Message) -> Message:
        """Return the message with the columns normalised."""
        changed = {name: self._normalize(number, name, message) for number, name in enumerate(self.columns)}
        return message.assign(**changed)

    def _normalize(self, number: int, name: str, message: Message) -> Column:
        mean, deviation = getattr(self, f"mean_{number}"), getattr(self, f"deviation_{number}")
        if mean is None:
            raise NotFittedError(f"{self.describe()} is not fitted yet; call .fit(train) first.")
        tensor = self._tensor(name, message)
        if self.per_element and tensor.shape[1:] != mean.shape:
            raise ColumnValueError(
                f"{self.describe()}: column {name!r} was fitted with rows of shape {tuple(mean.shape)}; "
                f"now they are {tuple(tensor.shape[1:])}."
            )
        dtype = tensor.dtype if tensor.is_floating_point() else torch.get_default_dtype()
        # In float64, then rounded once: in float32 the mean itself would be rounded first.
        result = ((tensor.double() - mean.to(tensor.device)) / deviation.to(tensor.device)).to(dtype)
        return result if isinstance(message.raw(name), torch.Tensor) else np.asarray(result.numpy())

    def _tensor(self, name: str, message: Message, rows: Positions | None = None) -> torch.Tensor:
        """Return a column of numbers; ``rows`` are the row numbers to name if some are missing."""
        if name not in message:
            raise ColumnNotFoundError(name, available=message.columns, where=self.describe())
        column: Any = message.raw(name)
        is_tensor = isinstance(column, torch.Tensor)
        if column.is_complex() if is_tensor else getattr(column.dtype, "kind", "O") not in "biuf":
            raise ColumnTypeError(
                f"{self.describe()}: column {name!r} holds {column.dtype}; only real numbers have a mean."
            )
        if is_tensor:
            return cast("torch.Tensor", column)
        if not isinstance(column, np.ndarray):
            missing = np.asarray(pd.isna(column))
            if missing.any():
                rows = np.arange(len(message)) if rows is None else rows
                raise ColumnValueError(
                    f"{self.describe()}: column {name!r} has nulls, {_named(rows, missing)}; filter or fill them first."
                )
            column = column.to_numpy()
        return torch.from_numpy(np.array(column, dtype=column.dtype.newbyteorder("=")))

    # --- state ----------------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Return what names the buffers: the columns, and how they were fitted."""
        return {"columns": list(self.columns), "per_element": self.per_element, "num_fitted": self.num_fitted}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over on how many rows the statistics were fitted."""
        self.num_fitted = int(state["num_fitted"])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Check that a saved state is of the same columns, before anything is changed, and make room for it.

        Raises:
            StateError: it is of others.
        """
        saved = state_dict.get(f"{prefix}_extra_state")
        if saved is not None:
            if saved["columns"] != self.columns or saved["per_element"] != self.per_element:
                raise StateError(
                    f"{self.describe()}, per_element={self.per_element}: the state is of columns {saved['columns']}, "
                    f"per_element={saved['per_element']}."
                )
            for name in self._buffers:  # the shape is known only from here; an unfitted state has none
                statistic = state_dict.get(prefix + name)
                setattr(self, name, None if statistic is None else torch.empty_like(statistic))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Normalize:  # noqa: FBT001, FBT002 (torch's signature)
        """Move the statistics with the model that they are a part of, but keep them in float64."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, statistic in before.items():
            moved = self._buffers[name]
            if statistic is not None and moved is not None and moved.dtype != statistic.dtype:
                setattr(self, name, statistic.to(moved.device))
        return self


Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class _Moments(NamedTuple):
    """Values seen, their mean, and the sum of the squared distances from it.

    All but the count are taken from an origin, the first value, so that an element that is always the same has a mean
    and a deviation of exactly 0 there, and a large offset costs no digits.
    """

    origin: Floats
    num_values: int
    mean: Floats
    squares: Floats


def _merge(before: _Moments | None, values: Floats) -> _Moments:
    """Add the rows of one block, without the loss of digits that sums of squares would bring.

    In NumPy, not torch: torch shares a sum among threads, and its last bits depend on how many there are.
    """
    origin = values[0] if before is None else before.origin
    values = values - origin
    count, mean = len(values), values.mean(axis=0)
    squares = ((values - mean) ** 2).sum(axis=0)
    if before is None:
        return _Moments(origin, count, mean, squares)
    total = before.num_values + count
    distance = mean - before.mean
    return _Moments(
        origin,
        total,
        before.mean + distance * (count / total),
        before.squares + squares + distance**2 * (before.num_values * count / total),
    )


def _blocks(data: Pipe | Message) -> Iterator[Chunk]:
    """Yield the rows of epoch 0 on the fixed grid."""
    if isinstance(data, Message):
        whole = Chunk(data, np.arange(len(data), dtype=np.int64))
        yield from recut([whole] if len(data) else [], block_rows(data.schema.row_bytes))
        return
    cursor = data.flow.open(Run(0))
    size = block_rows(data.flow.base.row_bytes)
    chunks: Iterator[Any] = iter(lambda: cursor.read(size), None)
    yield from recut(chunks, size)


def _named(rows: Positions, wrong: Any) -> str:
    return f"first in rows {rows[np.flatnonzero(wrong)][:_SHOWN_ROWS].tolist()} of the source"
