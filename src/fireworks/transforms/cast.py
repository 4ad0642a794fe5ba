"""Columns in other types, without loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import pandas as pd
import torch

from fireworks.core.chunk import Chunk, numbered
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, require_columns
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message import Field, Message, Schema
from fireworks.message.columns import Column, Positions, field_of
from fireworks.message.conversion.exact import MisfitError
from fireworks.message.conversion.kinds import NoConversionError
from fireworks.message.conversion.retype import retype
from fireworks.transforms.by_column import by_column


@final
class Cast(RowStage):
    """Convert columns to the given types; a value that does not fit exactly is an error, never rounded or wrapped around.

    A ``torch.dtype`` makes a tensor column, with rows of the shape that they have; any other type a column of pandas' kind.
    Numbers go to every type that holds them, texts to numbers, dates and durations, everything to categories that are named
    and to objects. Null becomes NaN where a type has nothing else for it.

    Args:
        input: Rows or batches.
        dtypes: Types by column: a ``torch.dtype``; a tuple of one and the sizes of a row, for columns of lists; or what
            NumPy and pandas understand, ``"int8"``, ``"int64[pyarrow]"``, ``pd.CategoricalDtype(["a", "b"])``.
        more: The same as keywords, ``cast(x=torch.float32)``.

    Raises:
        ColumnNotFoundError: a column is not there; at once where the columns are known, else with the first rows.
        ColumnTypeError: a type is none, or one of categories that are not named, for those that a few rows have are not
            those of all rows; or there is no way to it from the type that the column has.
        ColumnValueError: a value does not fit; the error names the first one and its row in the source.
        TypeError: ``dtypes`` is no mapping, or a name is no text.
        ValueError: no column is named, or one is named twice.

    Example:
        >>> data = fw.source({"n": [1, 2], "day": ["2024-01-31", "2024-02-01"]})
        >>> print(Cast(data, {"n": torch.int8}, day="datetime64[s]").to_message().schema)
        n: int8 tensor
        day: datetime64[s]
    """

    on_grid: ClassVar[bool] = False

    def __init__(self, input: Pipe, dtypes: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        super().__init__(input)
        said = by_column(dtypes, more, who="cast", example="{'x': torch.float32}")
        require_columns(self.upstream, said, who="cast")
        # every type is looked at by itself, so that the error is about it
        self.fields = {name: _field(name, kind) for name, kind in said.items()}
        self._has_shape = {name for name, kind in said.items() if isinstance(kind, tuple)}

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    def describe(self) -> str:
        return f"Cast({', '.join(map(str, self.fields.values()))})"

    def transform(self, rows: Message) -> Message:
        return self.compute(numbered(rows), Run(0), 0).message

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        message = chunk.message
        stored = {name: message.raw(name) for name in message.columns}
        for field in self.fields.values():
            stored[field.name] = self._converted(field, message.raw(field.name), chunk.rows)
        return Chunk(Message._of(stored, len(message)), chunk.rows)

    def _converted(self, field: Field, column: Column, rows: Positions) -> Column:
        own = field_of(field.name, column)
        if field.is_tensor and isinstance(column, torch.Tensor) and field.name not in self._has_shape:
            field = Field(field.name, field.dtype, own.shape)
        try:
            return retype(column, field)
        except MisfitError as misfit:
            place = f"cast: column {field.name!r}, row {rows[misfit.position]} of the source"
            if misfit.value is None:
                raise ColumnValueError(
                    f"{place}: the value is missing, and {field.type_text} has nothing for that; fill it, or leave the row "
                    f"out: .filter({field.name!r}, 'is not null')."
                ) from None
            why = f" ({misfit.why})" if misfit.why else ""
            raise ColumnValueError(
                f"{place}: {misfit.value!r:.60} does not fit {field.type_text} exactly{why}; cast to a wider type, or change "
                f"the values first with .map. To round floats, write .tensors({field.name!r}, dtype=…)."
            ) from None
        except NoConversionError:
            raise ColumnTypeError(
                f"cast: column {field.name!r} is {own.type_text}, and there is no exact way from there to "
                f"{field.type_text}; {_mend(own)}."
            ) from None


def _field(name: str, kind: Any) -> Field:
    try:
        field = Schema({name: kind})[name]
    except ColumnTypeError as error:
        raise ColumnTypeError(f"cast: {str(error).removeprefix('Schema: ')}") from error
    if isinstance(field.dtype, pd.CategoricalDtype) and field.dtype.categories is None:
        raise ColumnTypeError(
            f"cast: name the categories of column {name!r}, for each block of rows has others: "
            "pd.CategoricalDtype(['a', 'b'])."
        )
    return field


def _mend(own: Field) -> str:
    if own.is_tensor and own.shape:
        return (
            f"a column of several values per row stays a tensor: write a torch.dtype, or ({own.dtype}, sizes of a row)"
        )
    return "name the sizes of a row if it holds lists, (torch.float32, 3), or convert it with .map"
