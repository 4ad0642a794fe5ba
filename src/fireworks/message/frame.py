"""Between a message's columns and a pandas DataFrame, without copying and without losing an index."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fireworks.errors import ColumnTypeError
from fireworks.message.columns import Column, as_column, to_series


def frame_of_columns(columns: Mapping[str, Column], num_rows: int) -> pd.DataFrame:
    """Return a frame that shares memory with the columns; write to a shallow copy of it, never to itself."""
    series = {name: to_series(name, column) for name, column in columns.items()}
    return pd.DataFrame(series, index=pd.RangeIndex(num_rows), copy=False)


def columns_of_frame(frame: pd.DataFrame) -> dict[str, Column]:
    """Return the columns of a frame; an index that says something becomes the first columns.

    An index of integers without a name says nothing: it numbers the rows of some earlier frame.

    Raises:
        ColumnTypeError: a column or an index level has no name that is text, or a name occurs twice.
    """
    index = frame.index
    if index.nlevels == 1 and index.name is None and pd.api.types.is_integer_dtype(index.dtype):
        parts = {}  # row numbers; after a filter pandas may or may not keep them as a range, and columns must not depend on it
    else:
        parts = {
            str(name) if name is not None else f"index{level or ''}": index.get_level_values(level)
            for level, name in enumerate(index.names)
        }
    for name in frame.columns:
        if not isinstance(name, str):
            raise ColumnTypeError(
                f"Message: column names are text; the frame has {name!r} of type {type(name).__name__}."
            )
    names = [*parts, *map(str, frame.columns)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnTypeError(f"Message: the frame has {twice!r} twice, among its columns or its index; rename one.")
    stored = {name: as_column(name, values) for name, values in parts.items()}
    return stored | {str(name): as_column(str(name), values) for name, values in frame.items()}
