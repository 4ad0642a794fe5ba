"""Columns to mean 0 and standard deviation 1, by statistics that were fitted before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from fireworks.core.chunk import Chunk, recut
from fireworks.core.flow import block_rows
from fireworks.core.model import Model
from fireworks.core.pipe import Pipe
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError, NotFittedError, StateError
from fireworks.message import Message
from fireworks.message.columns import Column

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
        self.columns, self.per_element = list(columns), per_element
        self.num_fitted = 0
        for number in range(len(columns)):
            # A column's name may hold a dot, a buffer's may not; the extra state says which number is which column.
            self.register_buffer(f"mean_{number}", None)
            self.register_buffer(f"deviation_{number}", None)

    def describe(self) -> str:
        """Return the columns as text."""
        return f"Normalize({', '.join(self.columns)})"

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
        """
        moments: list[_Moments | None] = [None] * len(self.columns)
        for block in _blocks(data):
            for number, name in enumerate(self.columns):
                values = _values(block, name, per_element=self.per_element)
                moments[number] = _merge(moments[number], values)
        for number, found in enumerate(moments):
            if found is None:
                raise ColumnValueError(f"{self.describe()}: there are no rows to fit on.")
            deviation = np.sqrt(found.squares / found.num_rows)
            setattr(self, f"mean_{number}", torch.as_tensor(found.mean))
            setattr(self, f"deviation_{number}", torch.as_tensor(np.where(deviation > 0, deviation, 1.0)))
            self.num_fitted = found.num_rows
        return self

    # --- using ----------------------------------------------------------------------------------------------------

    def forward(self, message: Message) -> Message:
        """Return the message with the columns normalised."""
        changed = {name: self._normalize(number, name, message) for number, name in enumerate(self.columns)}
        return message.assign(**changed)

    def _normalize(self, number: int, name: str, message: Message) -> Column:
        mean, deviation = getattr(self, f"mean_{number}"), getattr(self, f"deviation_{number}")
        if mean is None:
            raise NotFittedError(f"{self.describe()} is not fitted yet; call .fit(train) first.")
        tensor = _tensor(name, message, self.describe())
        if self.per_element and tensor.shape[1:] != mean.shape:
            raise ColumnValueError(
                f"{self.describe()}: column {name!r} was fitted with rows of shape {tuple(mean.shape)}; "
                f"now they are {tuple(tensor.shape[1:])}."
            )
        dtype = tensor.dtype if tensor.is_floating_point() else torch.get_default_dtype()
        # In float64, then rounded once: in float32 the mean itself would be rounded first.
        result = ((tensor.double() - mean) / deviation).to(dtype)
        return result if isinstance(message.raw(name), torch.Tensor) else np.asarray(result.numpy())

    # --- state ----------------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Return what names the buffers: the columns, and how they were fitted."""
        return {"columns": self.columns, "per_element": self.per_element, "num_fitted": self.num_fitted}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Check that a saved state is of the same columns.

        Raises:
            StateError: it is of others.
        """
        if state["columns"] != self.columns or state["per_element"] != self.per_element:
            raise StateError(
                f"{self.describe()}: the state is of columns {state['columns']} with per_element={state['per_element']}."
            )
        self.num_fitted = int(state["num_fitted"])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in list(self._buffers):
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved))  # the shape is known only from here
        super()._load_from_state_dict(state_dict, prefix, *args)


Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class _Moments(NamedTuple):
    """Rows seen, their mean, and the sum of the squared distances from it."""

    num_rows: int
    mean: Floats
    squares: Floats


def _merge(before: _Moments | None, values: Floats) -> _Moments:
    """Add the rows of one block, without the loss of digits that sums of squares would bring.

    In NumPy, not torch: torch shares a sum among threads, and its last bits depend on how many there are.
    """
    count, mean = len(values), values.mean(axis=0)
    squares = ((values - mean) ** 2).sum(axis=0)
    if before is None:
        return _Moments(count, mean, squares)
    total = before.num_rows + count
    distance = mean - before.mean
    return _Moments(
        total,
        before.mean + distance * (count / total),
        before.squares + squares + distance**2 * (before.num_rows * count / total),
    )


def _blocks(data: Pipe | Message) -> Iterator[Chunk]:
    """Yield the rows of epoch 0 on the fixed grid."""
    if isinstance(data, Message):
        whole = Chunk(data, np.arange(len(data), dtype=np.int64))
        yield from recut([whole] if len(data) else [], block_rows(data.schema.row_bytes))
        return
    cursor = data.flow.open(0)
    size = block_rows(data.flow.base.row_bytes)
    chunks: Iterator[Any] = iter(lambda: cursor.read(size), None)
    yield from recut(chunks, size)


def _tensor(name: str, message: Message, where: str) -> torch.Tensor:
    if name not in message:
        raise ColumnNotFoundError(name, available=message.columns, where=where)
    column = message.raw(name)
    if isinstance(column, torch.Tensor):
        return column
    if not isinstance(column, np.ndarray) or column.dtype.kind not in "biuf":
        raise ColumnTypeError(f"{where}: column {name!r} holds {column.dtype}; only numbers without nulls have a mean.")
    return torch.from_numpy(np.array(column))


def _values(block: Chunk, name: str, *, per_element: bool) -> Floats:
    values: Floats = _tensor(name, block.message, "Normalize").detach().cpu().double().numpy()
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        rows = block.rows[np.flatnonzero(~finite)][:_SHOWN_ROWS].tolist()
        raise ColumnValueError(
            f"Normalize: column {name!r} has NaN or infinite values, first in rows {rows} of the source; "
            "filter or fill them first."
        )
    return values if per_element else values.reshape(-1)
