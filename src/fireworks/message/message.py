"""The one thing that flows: a data frame whose columns may be tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import pandas as pd
import torch

from fireworks._internal.lazy import load
from fireworks.errors import ColumnLengthError, ColumnNotFoundError, ColumnTypeError, RowIndexError
from fireworks.message import columns as _columns
from fireworks.message.build import as_name, columns_of, columns_of_objects, empty_column
from fireworks.message.columns import Column
from fireworks.message.display import render, render_html
from fireworks.message.exchange import Exchange
from fireworks.message.frames.frame import frame_of_columns
from fireworks.message.index import Rows, as_rows
from fireworks.message.pandas_methods import PandasMethods
from fireworks.message.schema import Schema


class Message(Exchange, PandasMethods):
    """An ordered set of named columns of equal length; a column is a tensor or a pandas-style column.

    Only a ``torch.Tensor`` becomes a tensor column, whose first dimension counts the rows; every other column keeps
    the type that pandas would give it. Tensors and arrays are not copied on the way in, and a row or a slice shares
    memory with the message that it is cut from, as in NumPy; indexing by a list or a mask copies. No method changes a
    message except assigning and deleting a column, and these never change another message.

    Everything else that a DataFrame can do is there as well, and gives messages: ``groupby``, ``merge``,
    ``sort_values``, ``query``, ``loc``, …; a message has no index, so an index that says something becomes columns.

    Args:
        data: A mapping from names to columns; a DataFrame (a meaningful index becomes its first columns), an Arrow
            table, a polars frame or anything else with ``__arrow_c_stream__``; a NumPy array of records; a tensordict;
            a list of rows, each a mapping; or another message. Nothing makes an empty message.
        schema: What the columns shall be: they are converted where nothing is lost, and refused otherwise. Without
            data it makes a message of no rows.

    Shapes:
        a tensor column is ``(rows, *rest)``; one row of it, ``message[i]``, is ``(1, *rest)``.

    Raises:
        ColumnLengthError: the columns differ in length.
        ColumnTypeError: a column has no rows to count: a scalar, a text, a tensor without dimensions.
        SchemaMismatchError: the columns are not those of the schema.
        ColumnValueError: a value does not fit the schema's type; the error names column, row and value.

    Example:
        >>> message = fw.Message({"x": torch.arange(6.0).reshape(3, 2), "name": ["ann", "bob", "cid"]})
        >>> message["x"].shape, message[1:]["name"].tolist(), len(message[message["name"] > "ann"])
        (torch.Size([3, 2]), ['bob', 'cid'], 2)
    """

    __slots__ = ("__weakref__", "_columns", "_frame", "_num_rows")

    def __init__(self, data: Any = None, *, schema: Schema | Mapping[str, Any] | None = None) -> None:
        if schema is not None and isinstance(data, dict):
            data = load("message.conversion.convert.undecided")(data)
        if data is None or (schema is not None and isinstance(data, list) and not data):
            stored = {} if schema is None else {field.name: empty_column(field) for field in Schema(schema)}
        elif isinstance(data, Message):
            stored = dict(data._columns)
        elif isinstance(data, dict):
            stored = {as_name(name): _columns.as_column(name, value) for name, value in data.items()}
        else:
            stored = columns_of(data)
        self._columns: dict[str, Column] = stored
        self._num_rows = _common_length(stored)
        self._frame: pd.DataFrame | None = None
        if schema is not None and data is not None:
            self._columns = load("message.conversion.convert.conform")(stored, Schema(schema))

    @classmethod
    def _of(cls, stored: dict[str, Column], num_rows: int) -> Message:
        """Make a message of columns that are known to be right; what the library does per batch."""
        message = cls.__new__(cls)
        message._columns = stored
        message._num_rows = num_rows
        message._frame = None
        return message

    @classmethod
    def from_objects(cls, values: Mapping[str, Any]) -> Message:
        """Return a message of one row whose values are the given objects, whatever their length.

        A tensor gains a leading dimension of 1; a list, an array, a dict or any other object stays one value.

        Example:
            >>> row = fw.Message.from_objects({"a": torch.zeros(5), "tags": ["x", "y"], "r": "howdy"})
            >>> len(row), row["a"].shape, row["tags"][0], row["r"][0]
            (1, torch.Size([1, 5]), ['x', 'y'], 'howdy')
        """
        return cls._of(columns_of_objects(values), 1 if values else 0)

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

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield each name with its column, as ``message[name]`` gives it."""
        return ((name, self[name]) for name in self._columns)

    def __len__(self) -> int:
        return self._num_rows

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._columns

    def __iter__(self) -> Iterator[Message]:
        return (self[i : i + 1] for i in range(self._num_rows))

    def __repr__(self) -> str:
        return render(self._columns, self._num_rows)

    def _repr_html_(self) -> str:
        return render_html(self._columns, self._num_rows)

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
        if not isinstance(name, str):
            raise ColumnTypeError(
                f"Message: assignment sets a column by its name; got {name!r:.60} of type {type(name).__name__}. Rows "
                "don't change in place: build the new column and assign it, or join pieces with fw.concat."
            )
        column = _columns.as_column(name, value)
        num_rows = column.shape[0]  # a third of the price of len(tensor)
        if num_rows != self._num_rows and self._columns:
            raise ColumnLengthError(f"Message: column {name!r} has {num_rows} rows, the message has {self._num_rows}.")
        self._columns[name] = column
        self._num_rows = num_rows
        self._frame = None

    def __delitem__(self, name: str) -> None:
        if not isinstance(name, str):
            raise ColumnTypeError(
                f"Message: `del` takes a column's name; got {name!r:.60} of type {type(name).__name__}. "
                "To leave rows out, keep the others: message[mask]."
            )
        self.raw(name)
        del self._columns[name]
        self._num_rows = self._num_rows if self._columns else 0
        self._frame = None

    def pop(self, name: str) -> Any:
        """Take a column out of the message and return it.

        Raises:
            ColumnNotFoundError: there is no such column.
        """
        column = self[name]
        del self[name]
        return column

    def select(self, *names: str) -> Message:
        """Return the named columns, in the order given, sharing memory.

        Raises:
            ColumnNotFoundError: a name is not there.
        """
        return Message._of({name: self.raw(name) for name in names}, self._num_rows if names else 0)

    def drop(self, *names: str, columns: str | Sequence[str] = ()) -> Message:
        """Return all columns but the named ones, sharing memory; ``columns=`` takes them as pandas does.

        Raises:
            ColumnNotFoundError: a name is not there.
        """
        gone = {*names, *([columns] if isinstance(columns, str) else columns)}
        for name in gone:
            self.raw(name)
        return self.select(*(name for name in self._columns if name not in gone))

    def rename(self, columns: Mapping[str, str] | Callable[[str], str]) -> Message:
        """Return the same columns under new names, in the same order, sharing memory.

        Args:
            columns: New names by old names, or a function of the old name.

        Raises:
            ColumnNotFoundError: an old name is not there.
            ColumnTypeError: a new name is no text, or two columns would have one name.

        Example:
            >>> fw.Message({"x": [1], "y": [2]}).rename({"x": "z"}).columns
            ['z', 'y']
        """
        if isinstance(columns, Mapping):
            for name in columns:
                self.raw(name)
            names = [columns.get(name, name) for name in self._columns]
        else:
            names = [columns(name) for name in self._columns]
        stored: dict[str, Column] = {}
        for old, new in zip(self._columns, names, strict=True):
            if as_name(new) in stored:
                raise ColumnTypeError(f"Message: after renaming, two columns would be called {new!r}.")
            stored[new] = self._columns[old]
        return Message._of(stored, self._num_rows)

    def assign(self, /, **columns: Any) -> Message:
        """Return a message with columns added or replaced; the others are shared.

        Args:
            columns: Columns by name. A function is called with the message as it is by then and returns the column.

        Raises:
            ColumnLengthError: a new column has another number of rows.

        Example:
            >>> message = fw.Message({"x": torch.arange(3)})
            >>> message.assign(y=message["x"] * 2)["y"].tolist(), message.columns
            ([0, 2, 4], ['x'])
        """
        result = Message._of(dict(self._columns), self._num_rows)
        stored = result._columns
        for name, value in columns.items():
            column = _columns.as_column(name, value(result) if callable(value) else value)
            if column.shape[0] == self._num_rows and stored:
                stored[name] = column  # what a pipeline does in every batch, without another call
            else:
                result[name] = column
        return result

    def pipe(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return ``function(message, *args, **kwargs)``, so that steps read from left to right."""
        return function(self, *args, **kwargs)

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
        if (
            isinstance(rows, torch.Tensor)
            and rows.dtype is torch.int64
            and rows.dim() == 1
            and rows.is_cpu
            and self._columns
        ):
            try:  # the columns check positions themselves; what a batch asks for is hardly ever negative or past the end
                positions = rows.numpy()
                return Message._of(_columns.take(self._columns, positions, rows), len(positions))
            except IndexError:
                pass
        chosen = as_rows(rows, self._num_rows)
        if isinstance(chosen, slice):
            return self._sliced(chosen)
        return Message._of(_columns.take(self._columns, chosen), len(chosen))

    def __getitems__(self, rows: list[int]) -> Message:
        """Return many rows at once, as ``torch.utils.data.DataLoader`` asks a dataset for a batch."""
        return self.take(rows)

    def permute(self, order: Rows) -> Message:
        """Return all rows in another order.

        Args:
            order: A permutation of ``range(len(message))``; a list, array or tensor.

        Raises:
            RowIndexError: a row is missing or occurs twice; `take` allows that.

        Example:
            >>> fw.Message({"x": ["a", "b", "c"]}).permute([2, 0, 1])["x"].tolist()
            ['c', 'a', 'b']
        """
        positions = np.arange(self._num_rows)[as_rows(order, self._num_rows)]
        counts = np.bincount(positions, minlength=self._num_rows)
        if (counts != 1).any():
            row = int(np.flatnonzero(counts != 1)[0])
            raise RowIndexError(
                f"Message.permute: an order has each of the {self._num_rows} rows once; row {row} is there "
                f"{counts[row]} times. To choose or repeat rows, use take."
            )
        return self.take(positions)

    def sample(
        self,
        n: int | None = None,
        *,
        frac: float | None = None,
        replace: bool = False,
        weights: Any = None,
        seed: int | None = None,
    ) -> Message:
        """Return rows chosen at random, in random order, as copies; the same seed gives the same rows.

        Args:
            n: How many rows; 1 if neither it nor ``frac`` is given.
            frac: How many, as a fraction of the rows.
            replace: Whether a row may be chosen more than once.
            weights: The name of a column, or one number per row, to which chances are proportional; equal if None.
            seed: Needed; any int from 0.

        Raises:
            ValueError: there is no seed, there are more rows to choose than there are rows (or rows of weight above
                zero) and ``replace`` is false, or ``n`` or ``frac`` makes no sense.
            ColumnValueError: a weight is negative, infinite or missing, or all are zero.

        Source:
            without replacement, the keys of Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006).

        Example:
            >>> message = fw.Message({"x": torch.arange(100)})
            >>> message.sample(3, seed=0) == message.sample(3, seed=0), len(message.sample(frac=0.1, seed=0))
            (True, 10)
        """
        rows = load("message.sample.sample_rows")(self, n=n, frac=frac, replace=replace, weights=weights, seed=seed)
        return self.take(rows)

    def append(self, other: Any) -> Message:
        """Return these rows followed by the other's; see `concat` for many at once."""
        return load("message.combine.concat")([self, other])  # type: ignore[no-any-return]

    # --- types and devices ----------------------------------------------------------------------------------------

    def to_tensors(
        self,
        columns: str | Sequence[str] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Message:
        """Return a message in which columns are tensors, with the values and, unless told otherwise, the types they have.

        Memory is shared where NumPy and torch can; tensor columns pass through ``dtype`` and ``device`` as well.

        Args:
            columns: A name or names; None for all columns.
            dtype: The type of the tensors; None keeps each column's own. No value may change by it.
            device: Where they go; None leaves them where they are.

        Raises:
            ColumnTypeError: a column holds text, dates, objects or anything else that is no number.
            ColumnValueError: a value is missing, or ``dtype`` can't hold it; the error names column, row and value.
            ColumnNotFoundError: a name is not there.

        Example:
            >>> fw.Message({"n": [1, 2], "ok": [True, False]}).to_tensors(dtype=torch.float32)["ok"]
            tensor([1., 0.])
        """
        return load("message.conversion.convert.to_tensors")(  # type: ignore[no-any-return]
            self, columns, dtype=dtype, device=device
        )

    def to_dataframe(self, columns: str | Sequence[str] | None = None) -> Message:
        """Return a message in which tensor columns are columns of pandas' kind; the way back from `to_tensors`.

        A tensor of one number per row becomes a NumPy column that shares its memory; rows of more become Arrow lists.
        What NumPy lacks (bfloat16 and the 8-bit floats) becomes float32, which holds every value of it.

        Args:
            columns: A name or names; None for all tensor columns.

        Raises:
            ColumnTypeError: neither NumPy nor Arrow can hold the rows.
            ColumnNotFoundError: a name is not there.

        Example:
            >>> print(fw.Message({"x": torch.zeros(2), "y": torch.zeros(2, 3)}).to_dataframe("x").schema)
            x: float32
            y: float32[3] tensor
        """
        return load("message.conversion.convert.to_dataframe")(self, columns)  # type: ignore[no-any-return]

    def to(
        self,
        device: torch.device | str | int | None = None,
        *,
        dtype: torch.dtype | None = None,
        columns: str | Sequence[str] | None = None,
        non_blocking: bool = False,
    ) -> Message:
        """Return a message whose tensor columns are on a device; all other columns are shared.

        Args:
            device: Where to; None leaves them where they are.
            dtype: A floating or complex type for the floating columns, as in ``torch.nn.Module.to``; others keep theirs.
            columns: A name or names of tensor columns; None for all of them.
            non_blocking: Let a copy from pinned memory go on while Python does.

        Raises:
            ColumnTypeError: a named column is no tensor, or ``dtype`` is an integer type.
            ColumnNotFoundError: a name is not there.
        """
        from fireworks.message.pytorch.devices import to  # not by name, so that torch.compile can follow

        return to(self, device, dtype=dtype, columns=columns, non_blocking=non_blocking)

    def cuda(self, device: int | torch.device | None = None, *, columns: str | Sequence[str] | None = None) -> Message:
        """Return a message whose tensor columns are on a CUDA device, the current one unless given; see `to`."""
        return self.to(
            "cuda" if device is None else torch.device("cuda", device) if isinstance(device, int) else device,
            columns=columns,
        )

    def cpu(self, *, columns: str | Sequence[str] | None = None) -> Message:
        """Return a message whose tensor columns are in main memory; see `to`."""
        return self.to("cpu", columns=columns)

    def pin_memory(self, *, columns: str | Sequence[str] | None = None) -> Message:
        """Return a message whose tensor columns lie in pinned memory, from which a GPU copies by itself.

        Raises:
            RuntimeError: torch sees no accelerator to pin memory for.
        """
        return load("message.pytorch.devices.pin_memory")(self, columns)  # type: ignore[no-any-return]

    def requires_grad_(self, requires_grad: bool = True, *, columns: str | Sequence[str] | None = None) -> Message:  # noqa: FBT001, FBT002 (torch's signature)
        """Let autograd record what happens to tensor columns, and return the message itself.

        The columns become leaves of their own that share memory with what they were made of, so that no other message
        and no tensor that was passed in changes; the gradient arrives in ``message["x"].grad``.

        Args:
            requires_grad: Whether to record.
            columns: A name or names; None for all floating and complex tensor columns.

        Raises:
            ColumnTypeError: a named column is no tensor of floating or complex numbers.
            ColumnNotFoundError: a name is not there.

        Example:
            >>> message = fw.Message({"x": torch.ones(3), "label": torch.zeros(3, dtype=torch.int64)}).requires_grad_()
            >>> (message["x"] ** 2).sum().backward()
            >>> message["x"].grad
            tensor([2., 2., 2.])
        """
        self._columns = load("message.pytorch.devices.with_grad")(self, requires_grad, columns)
        self._frame = None
        return self

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

        What is written to the frame, or to a Series of it, is written to a copy of the column (pandas' copy-on-write) and
        never reaches the message, also when the message is gone. ``fw.Message(frame)`` is the way back, without loss.

        Example:
            >>> message = fw.Message({"x": torch.tensor([1.0, 2.0])})
            >>> frame = message.to_pandas()
            >>> frame.loc[0, "x"] = 9.0
            >>> frame["x"].tolist(), message["x"].tolist()
            ([9.0, 2.0], [1.0, 2.0])
        """
        if self._frame is None:
            self._frame = frame_of_columns(self._columns, self._num_rows)
        return self._frame.copy(deep=False)

    def __copy__(self) -> Message:
        return Message(self)

    def __reduce__(self) -> tuple[Any, ...]:
        from fireworks.message.pytorch.pickling import packed, unpacked

        return unpacked, ({name: packed(column) for name, column in self._columns.items()}, self._num_rows)


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
