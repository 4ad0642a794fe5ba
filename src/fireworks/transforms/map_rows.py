"""A function over one row at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
import torch
from pandas.arrays import NumpyExtensionArray

from fireworks.core.chunk import Chunk
from fireworks.core.in_place import call
from fireworks.core.run import Run
from fireworks.errors import StageResultError
from fireworks.message import Message
from fireworks.message.build import columns_of_rows
from fireworks.message.columns import Column, as_column, field_of
from fireworks.message.conversion.exact import MisfitError
from fireworks.message.conversion.kinds import NoConversionError, cells_of, object_array
from fireworks.message.conversion.retype import retype
from fireworks.transforms.mapped import Mapped


@final
class MapRows(Mapped):
    """Run a function over rows, one row at a time: the slow way, for what can't be written for many rows at once.

    The function gets a dict of the row's values: of a tensor column the row's tensor, without the leading dimension; of
    other columns Python's and pandas' values, with None for null. It returns the new row: a mapping of values, such as
    ``{**row, "z": 1}``, or a message of one row. It may change the dict, but no tensor in place.

    A column that keeps its name keeps its type, where the new values are of that kind and fit. Other values become what
    pandas makes of them, and must be of one type in all blocks: write ``float(…)`` where some would be integers. An empty batch, of
    which the function sees nothing, keeps the columns that it has.

    Args:
        input: Rows or batches.
        function: ``function(row) -> row``, or ``function(row, generator) -> row`` with a seed.
        seed: From 0 to 2**64 - 1; None for a function that draws nothing. The rows of a block draw one after the other
            from one generator, which depends on the seed, the stage, the epoch and the block alone, as in `Map`.
        name: A name for the stage, in place of ``map_rows:0``, that keys its draws.
        on_error: ``"raise"``, or ``"quarantine"`` to set the rows aside that the function fails on; see `Map`.
        workers: How many blocks are worked on at the same time; see `Map`.
        backend: ``"thread"`` or ``"process"``; for a function in pure Python only processes help.
        retries: How often a block is given to a new process after one died over it.

    Shapes:
        a tensor column ``(rows, *rest)`` is ``(*rest)`` in the dict; tensors of one shape ``(*rest)`` become ``(rows, *rest)``.

    Raises:
        TypeError: the function can't be called.
        ValueError: the seed, ``on_error`` or ``backend`` is none.
        StageResultError: the function returns no row, or other columns for some rows than for others.
        ColumnTypeError: the tensors that it returns for a column differ in shape or type.
        ColumnValueError: it changes a tensor in place.

    Example:
        >>> data = fw.source({"x": torch.arange(6).reshape(3, 2), "word": ["a", "bb", "ccc"]})
        >>> MapRows(data, lambda row: {"total": row["x"].sum(), "letters": len(row["word"])})[1:]["letters"].tolist()
        [2, 3]
    """

    verb: ClassVar[str] = "map_rows"

    def transform(self, rows: Message) -> Message:
        return self._mapped(rows)

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        result = call(self._mapped, chunk.message, *self.draws(run, block), who=self)
        message = self.checked(result, len(chunk.rows))
        run.book.require_same_columns(self, message, block)
        return Chunk(message, chunk.rows)

    def _mapped(self, rows: Message, *arguments: torch.Generator) -> Message:
        if not len(rows):
            return rows
        results = [self._one(self.function(row, *arguments)) for row in _rows(rows)]
        first = results[0]
        for number, result in enumerate(results):
            if type(result) is not type(first) or list(result.keys()) != list(first.keys()):
                raise StageResultError(
                    f"{self.describe()}: the function returned {_text(first)} for the first row and {_text(result)} "
                    f"{number} rows later; return the same columns, in one order, for every row."
                )
        made = columns_of_rows(results, where=self.describe())
        if not isinstance(first, Message):
            for name in made.keys() & set(rows.columns):
                made[name] = _kept_type(made[name], rows.raw(name), [result[name] for result in results])
        return Message._of(made, len(rows))

    def _one(self, result: object) -> Any:
        """Return a function's result, if it is a row."""
        if isinstance(result, Message):
            if len(result) != 1 or not result.columns:
                raise StageResultError(
                    f"{self.describe()}: the function must return one row; it returned a message of {len(result)} rows."
                )
            return result
        if not isinstance(result, Mapping) or not result:
            raise StageResultError(
                f"{self.describe()}: the function must return a row, a mapping of values; it returned {result!r:.60} of "
                f"type {type(result).__name__}. Write: return {{**row, 'x': 1.0}}."
            )
        return result


def _rows(rows: Message) -> Iterator[dict[str, Any]]:
    """Yield each row as a dict of its own."""
    cells = [_cells(rows.raw(name)) for name in rows.columns]
    names = rows.columns
    return (dict(zip(names, values, strict=True)) for values in zip(*cells, strict=True))


def _cells(column: Column) -> Any:
    return column.unbind() if isinstance(column, torch.Tensor) else cells_of(column)


def _text(row: Message | Mapping[str, Any]) -> str:
    return f"a {'message' if isinstance(row, Message) else 'mapping'} of {list(row.keys())}"


def _kept_type(column: Column, old: Column, values: list[Any]) -> Column:
    """Return a new column in the type that the old one had, where its values are of that kind and fit."""
    if isinstance(column, torch.Tensor) or isinstance(old, torch.Tensor) or not _are_of_kind(values, old.dtype):
        return column
    try:
        return retype(as_column("", NumpyExtensionArray(object_array(values))), field_of("", old))
    except (MisfitError, NoConversionError):
        return column


def _are_of_kind(values: list[Any], dtype: Any) -> bool:
    """Tell whether Python's values are of the kind that a type holds: 1.0 is no integer, nor is True."""
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    kinds = _KINDS.get(dtype.kind) if not isinstance(dtype, pd.StringDtype) else (str,)
    known = [value for value in values if not (value is None or value is pd.NaT or value is pd.NA)]
    return kinds is None or all(
        isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)) for value in known
    )


_KINDS: dict[str, tuple[type, ...]] = {
    "b": (bool, np.bool_),
    "i": (int, np.integer),
    "u": (int, np.integer),
    "f": (float, np.floating),
    "M": (dt.datetime, np.datetime64),
    "m": (dt.timedelta, np.timedelta64),
}
