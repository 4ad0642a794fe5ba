"""The one thing that flows: a data frame whose columns may be tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, overload

import pandas as pd
import torch

from fireworks.errors import ColumnLengthError, ColumnNotFoundError, ColumnTypeError
from fireworks.message import columns as _columns
from fireworks.message.columns import Column
from fireworks.message.display import render
from fireworks.message.frame import columns_of_frame, frame_of_columns
from fireworks.message.index import Rows, as_rows
from fireworks.message.schema import Schema


class Message:
    """An ordered set of named columns of equal length; a column is a tensor or a pandas-style column.

    Only a ``torch.Tensor`` becomes a tensor column, whose first dimension counts the rows; every other column keeps
    the type that pandas would give it. Tensors and arrays are not copied on the way in, and a row or a slice shares
    memory with the message that it is cut from, as in NumPy; indexing by a list or a mask copies. No method changes a
    message except assigning and deleting a column, and these never change another message.

    Args:
        data: A mapping from names to columns, a pandas DataFrame (a meaningful index becomes its first columns), or
            another message. Nothing makes an empty message.

    Shapes:
        a tensor column is ``(rows, *rest)``; one row of it, ``message[i]``, is ``(1, *rest)``.

    Raises:
        ColumnLengthError: the columns differ in length.
        ColumnTypeError: a column has no rows to count: a scalar, a text, a tensor without dimensions.

    Example:
        >>> message = fw.Message({"x": torch.arange(6.0).reshape(3, 2), "name": ["ann", "bob", "cid"]})
        >>> message["x"].shape, message[1:]["name"].tolist(), len(message[message["name"] > "ann"])
        (torch.Size([3, 2]), ['bob', 'cid'], 2)
    """

    __slots__ = ("_columns", "_frame", "_num_rows")

    def __init__(self, data: Mapping[str, Any] | pd.DataFrame | Message | None = None) -> None:
        if isinstance(data, Message):
            stored = dict(data._columns)
        elif isinstance(data, pd.DataFrame):
            stored = columns_of_frame(data)
        elif data is None or isinstance(data, Mapping):
            stored = {_name(name): _columns.as_column(name, value) for name, value in (data or {}).items()}
        else:
            raise TypeError(
                f"Message: expected a mapping from names to columns, a DataFrame or a Message; got {type(data).__name__}."
            )
        self._columns: dict[str, Column] = stored
        self._num_rows = _common_length(stored)
        self._frame: pd.DataFrame | None = None

    @classmethod
    def _of(cls, stored: dict[str, Column], num_rows: int) -> Message:
        """Make a message of columns that are known to be right; what the library does per batch."""
        message = cls.__new__(cls)
        message._columns = stored
        message._num_rows = num_rows
        message._frame = None
        return message

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self._columns)

    @property
    def schema(self) -> Schema:
        """The name, type and row shape of each column."""
        return Schema(tuple(_columns.field_of(name, column) for name, column in self._columns.items()))

    @property
    def num_bytes(self) -> int:
        """Bytes of all columns; of objects, only the references."""
        return sum(int(column.nbytes) for column in self._columns.values())

    def keys(self) -> list[str]:
        """Return the names of the columns, so that ``dict(message)`` works."""
        return list(self._columns)

    def __len__(self) -> int:
        return self._num_rows

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._columns

    def __iter__(self) -> Iterator[Message]:
        return (self[i : i + 1] for i in range(self._num_rows))

    def __repr__(self) -> str:
        return render(self._columns, self._num_rows)

    def __getattr__(self, name: str) -> Any:
        is_column = name != "_columns" and name in self._columns
        hint = f" Columns are not attributes; write message[{name!r}]." if is_column else ""
        raise AttributeError(f"'Message' object has no attribute {name!r}.{hint}")

    # --- columns --------------------------------------------------------------------------------------------------

    def raw(self, name: str) -> Column:
        """Return a column as it is stored: a tensor, a NumPy array or a pandas ExtensionArray, never a Series.

        Raises:
            ColumnNotFoundError: there is no such column.
        """
        try:
            return self._columns[name]
        except KeyError:
            raise ColumnNotFoundError(name, available=self._columns, where="Message") from None

    def __setitem__(self, name: str, value: Any) -> None:
        column = _columns.as_column(_name(name), value)
        if self._columns and len(column) != self._num_rows:
            raise ColumnLengthError(
                f"Message: column {name!r} has {len(column)} rows, the message has {self._num_rows}."
            )
        self._columns[name] = column
        self._num_rows = len(column)
        self._frame = None

    def __delitem__(self, name: str) -> None:
        self.raw(name)
        del self._columns[name]
        self._num_rows = self._num_rows if self._columns else 0
        self._frame = None

    def select(self, *names: str) -> Message:
        """Return the named columns, in the order given, sharing memory.

        Raises:
            ColumnNotFoundError: a name is not there.
        """
        return Message._of({name: self.raw(name) for name in names}, self._num_rows if names else 0)

    def drop(self, *names: str) -> Message:
        """Return all columns but the named ones, sharing memory.

        Raises:
            ColumnNotFoundError: a name is not there.
        """
        for name in names:
            self.raw(name)
        return self.select(*(name for name in self._columns if name not in names))

    def assign(self, /, **columns: Any) -> Message:
        """Return a message with columns added or replaced; the others are shared.

        Raises:
            ColumnLengthError: a new column has another number of rows.

        Example:
            >>> message = fw.Message({"x": torch.arange(3)})
            >>> message.assign(y=message["x"] * 2)["y"].tolist(), message.columns
            ([0, 2, 4], ['x'])
        """
        result = Message._of(dict(self._columns), self._num_rows)
        for name, value in columns.items():
            result[name] = value
        return result

    # --- rows -----------------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, key: str) -> Any: ...
    @overload
    def __getitem__(self, key: Rows | list[str]) -> Message: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            column = self.raw(key)
            return column if isinstance(column, torch.Tensor) else _columns.to_series(key, column)
        if isinstance(key, slice) and (key.step is None or key.step > 0):
            return self._sliced(key)
        if isinstance(key, list) and key and all(isinstance(name, str) for name in key):
            return self.select(*key)
        return self.take(key)

    def _sliced(self, key: slice) -> Message:
        rows = len(range(*key.indices(self._num_rows)))
        return Message._of({name: column[key] for name, column in self._columns.items()}, rows)

    def take(self, rows: Rows) -> Message:
        """Return the rows at the given positions, in that order; repeats are allowed.

        Args:
            rows: An int, a slice, or a list, array, tensor or Series of ints (negative ones count from the end) or
                of booleans, one per row.

        Raises:
            RowIndexError: a position is past the end, or a mask has another number of rows.
        """
        positions = as_rows(rows, self._num_rows)
        if isinstance(positions, slice):
            return self._sliced(positions)
        return Message._of(_columns.take(self._columns, positions), len(positions))

    def append(self, other: Message | Mapping[str, Any] | pd.DataFrame) -> Message:
        """Return these rows followed by the other's; see `concat` for many at once."""
        from fireworks.message.combine import concat

        return concat([self, other if isinstance(other, Message) else Message(other)])

    # --- comparing and converting ---------------------------------------------------------------------------------

    def equals(self, other: object) -> bool:
        """Tell whether the other is a message with the same columns in the same order, types, devices and values.

        NaN equals NaN, and null equals null.

        Example:
            >>> fw.Message({"x": [1, 2]}) == fw.Message({"x": [1.0, 2.0]})
            False
        """
        return (
            isinstance(other, Message)
            and self._num_rows == other._num_rows
            and list(self._columns) == list(other._columns)
            and all(_columns.equal(column, other._columns[name]) for name, column in self._columns.items())
        )

    def __eq__(self, other: object) -> bool:
        return self.equals(other)

    __hash__ = None  # type: ignore[assignment]  # columns can be assigned, so a hash could not last

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame that shares memory with the message; tensor columns are `TensorArray` columns.

        A write to the frame copies what it changes first (pandas' copy-on-write) and leaves the message alone.
        ``fw.Message(frame)`` is the way back, without loss.
        """
        if self._frame is None:
            self._frame = frame_of_columns(self._columns, self._num_rows)
        return self._frame.copy(deep=False)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the columns as lists of plain Python values."""
        return {name: list(self[name].tolist()) for name in self._columns}

    def __copy__(self) -> Message:
        return Message(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Message._of, ({name: _columns.compact(c) for name, c in self._columns.items()}, self._num_rows)


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ColumnTypeError(f"Message: column names are text; got {name!r} of type {type(name).__name__}.")
    return name


def _common_length(stored: Mapping[str, Column]) -> int:
    lengths = {name: len(column) for name, column in stored.items()}
    if not lengths:
        return 0
    (first, num_rows), *others = lengths.items()
    for name, length in others:
        if length != num_rows:
            raise ColumnLengthError(
                f"Message: columns must have equal length; {first!r} has {num_rows} rows, {name!r} has {length}."
            )
    return num_rows
