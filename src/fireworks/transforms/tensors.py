"""Columns into tensors, ready for a model."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import pandas as pd
import torch

from fireworks.core.chunk import Chunk, numbered
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, require_columns
from fireworks.errors import ColumnValueError
from fireworks.message import Message
from fireworks.message.columns import Column, Positions
from fireworks.message.conversion.convert import as_tensor

_SHOWN_ROWS = 10
_REMEDY = "leave it out: .select(…) the columns you need, or .tensors('column', …) to name those to convert"


@final
class Tensors(RowStage):
    """Turn columns into tensors, floating ones to torch's default dtype; integers and booleans stay as they are.

    Tensor columns are cast by the same rule, and Arrow lists of one length become rows of that shape. A column that holds
    no numbers, or a missing value, is an error: nothing is dropped or filled in silence. In a column of pandas' or
    NumPy's, NaN means missing, as it does there; in a tensor or a list it is a number, and passes.

    Args:
        input: Rows or batches.
        columns: Names; none for all columns.
        dtype: A floating type for the floating columns, in place of torch's default when the pipe is built; they are
            rounded to it. For integer types, and without rounding, see `Cast`.
        device: Where the tensors go; None leaves them where they are.
        non_blocking: Let a copy from pinned memory go on while Python does.

    Raises:
        TypeError: ``dtype`` is no floating type of torch.
        ColumnTypeError: a column holds text, dates or objects.
        ColumnValueError: a column holds a null, or lists of several lengths; the error names the rows.
        ColumnNotFoundError: a name is not there.

    Example:
        >>> data = fw.source({"x": [0.5, 1.5], "n": [1, 2]})
        >>> print(Tensors(data).to_message().schema)
        x: float32 tensor
        n: int64 tensor
    """

    on_grid: ClassVar[bool] = False

    def __init__(
        self,
        input: Pipe,
        *columns: str,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(input)
        require_columns(self.upstream, columns, who="tensors")
        if dtype is not None and not getattr(dtype, "is_floating_point", False):
            raise TypeError(
                f"tensors: dtype is for the floating columns, so it must be a floating type such as torch.float16; got "
                f"{dtype!r:.60}. For other types write .cast(column={dtype!r:.60})."
            )
        self.columns = columns
        self.device = None if device is None else torch.device(device)
        self.floating = torch.get_default_dtype() if dtype is None else dtype
        self.non_blocking = non_blocking

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    def describe(self) -> str:
        floating = "" if self.floating == torch.float32 else f"floating={str(self.floating).removeprefix('torch.')}"
        return f"Tensors({', '.join([*self.columns, *filter(None, [floating])])})"

    def transform(self, rows: Message) -> Message:
        return self.compute(numbered(rows), Run(0), 0).message

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        message = chunk.message
        stored = {name: message.raw(name) for name in message.columns}
        for name in self.columns or stored:
            stored[name] = self._convert(name, message.raw(name), chunk.rows)
        return Chunk(Message._of(stored, len(message)), chunk.rows)

    def _convert(self, name: str, column: Column, rows: Positions) -> torch.Tensor:
        _refuse_missing(name, column, rows)
        tensor = as_tensor(name, column, where="tensors", rows=rows, remedy=_REMEDY)
        dtype = self.floating if tensor.is_floating_point() else None
        return tensor.to(device=self.device, dtype=dtype, non_blocking=self.non_blocking)


def _refuse_missing(name: str, column: Column, rows: Positions) -> None:
    """Refuse NaN too where pandas takes it for a missing value."""
    if isinstance(column, torch.Tensor) or column.dtype.kind not in "biuf":
        return
    missing = np.flatnonzero(pd.isna(column))
    if len(missing):
        shown = ", ".join(map(str, rows[missing[:_SHOWN_ROWS]]))
        more = ", …" if len(missing) > _SHOWN_ROWS else ""
        raise ColumnValueError(
            f"tensors: column {name!r} has {len(missing)} missing values, in rows {shown}{more} of the source; fill them, "
            f"or leave the rows out: .filter({name!r}, 'is not null')."
        )
