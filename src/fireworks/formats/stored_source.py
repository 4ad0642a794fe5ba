"""Columns that lie in files as they do in memory, as a source: rows here and there cost no more than their pages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Protocol

import torch

from fireworks.core.budget import available_bytes
from fireworks.core.chunk import Span
from fireworks.core.source import Source
from fireworks.errors import ColumnLengthError, SchemaMismatchError
from fireworks.formats.files import Files
from fireworks.formats.npz import column_of_member
from fireworks.formats.stored_arrays import Stack, StoredArray
from fireworks.message import Message, Schema
from fireworks.message.columns import Column
from fireworks.message.conversion.exact import as_shared_tensor

_FOUND_OUT = ("schema", "reads_in_order")  # and kept by a source


class StoredColumn(Protocol):
    """One column of all files."""

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        ...

    @property
    def num_bytes(self) -> int:
        """How many bytes all rows take."""
        ...

    def fetch(self, rows: Span) -> Column:
        """Return the rows at the given numbers, in that order; a view of the file where that is possible."""
        ...


@dataclass(frozen=True)
class ArrayColumn:
    """An array in files as a column.

    Args:
        name: The column's.
        stack: Its rows.
        note: What `Message.to_npz` noted beside a member: nothing for what NumPy's type suggests, ``"tensor"``, a nullable
            type of pandas.
        dtype: The type of the tensor, where it is one that NumPy may lack.
        where: The function that the user called.
    """

    name: str
    stack: Stack
    where: str
    note: str = ""
    dtype: torch.dtype | None = None

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return self.stack.num_rows

    @property
    def num_bytes(self) -> int:
        """How many bytes all rows take."""
        return self.stack.num_bytes

    def fetch(self, rows: Span) -> Column:
        """Return rows; a range of numbers is a view of the file."""
        array = self.stack.fetch(rows)
        if self.dtype is None:
            return column_of_member(self.where, self.name, array, self.note)
        return as_shared_tensor(array).view(self.dtype)


class StoredSource(Source):
    """The rows of columns that lie in files.

    Args:
        kind: What the files are: ``"Npz"``.
        files: All of them.
        columns: Those that are read, of equal length.
        where: The function that the user called.

    Raises:
        ColumnLengthError: the columns differ in length.
        ColumnTypeError: a column holds what no message can.
    """

    def __init__(self, kind: str, files: Sequence[Files], columns: Mapping[str, StoredColumn], *, where: str) -> None:
        super().__init__()
        self._kind, self._files, self._stored = kind, tuple(files), dict(columns)
        lengths = {name: column.num_rows for name, column in columns.items()}
        require_one_length(lengths, where=where, of="all files together" if len(self._files[0]) > 1 else "")
        self._num_rows = next(iter(lengths.values()), 0)
        _ = self.schema  # what can't be a column is said at once

    @cached_property
    def schema(self) -> Schema:
        """The columns, from the headers."""
        return self.fetch(range(0)).schema

    def describe(self) -> str:
        """Return the source as text, without its folder: the files may be elsewhere tomorrow."""
        names = [name for files in self._files for name in files.names]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        columns = ", ".join(self._stored)
        return f"{self._kind}({PurePosixPath(names[0]).name}{more}, {self._num_rows} rows: {columns})"

    @cached_property
    def reads_in_order(self) -> bool:  # type: ignore[override]
        """Whether the columns take more memory than this machine can spare: rows here and there come from the disk then."""
        return self.estimated_bytes() > available_bytes()

    def count(self) -> int:
        """Return the number of rows, from the headers."""
        return self._num_rows

    def require_unchanged(self) -> None:
        """Raise `FileChangedError` where a file is another one than when the source was made."""
        for files in self._files:
            files.require_all_unchanged()

    def signature(self) -> str | None:
        """Return a short hash of the files' sizes and of their first and last bytes."""
        return " ".join(files.signature for files in self._files)

    def estimated_bytes(self) -> int:
        """Return how many bytes the columns take in the files."""
        return sum(column.num_bytes for column in self._stored.values())

    def fetch(self, rows: Span) -> Message:
        """Return the rows at the given row numbers, in that order.

        A range shares the memory of the map where the numbers lie as this machine wants them; what is written to it stays in
        this process and never reaches the file.
        """
        return Message._of({name: column.fetch(rows) for name, column in self._stored.items()}, len(rows))

    def narrowed(self, columns: Sequence[str]) -> StoredSource:
        """Return a source of the same rows that reads only the named columns."""
        wanted = {name: column for name, column in self._stored.items() if name in set(columns)}
        if not wanted or len(wanted) == len(self._stored):
            return self
        narrow = object.__new__(type(self))
        narrow.__dict__.update(self.__dict__ | {"_stored": wanted})
        for found_out in _FOUND_OUT:
            narrow.__dict__.pop(found_out, None)
        return narrow

    def fingerprint(self) -> str:
        """Return the SHA-256 of the contents of the files, and of which columns are read of them."""
        digest = hashlib.sha256(repr((self._kind, list(self._stored))).encode())
        for files in self._files:
            digest.update(files.fingerprint().encode())
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name not in _FOUND_OUT}


def require_one_length(lengths: Mapping[str, int], *, where: str, of: str) -> None:
    """Raise `ColumnLengthError` where columns differ in length; ``of`` says in which file."""
    first = next(iter(lengths), None)
    for name, length in lengths.items():
        if first is not None and length != lengths[first]:
            raise ColumnLengthError(
                f"{where}: columns must have equal length{f', and in {of}' if of else ';'} {first!r} has {lengths[first]} "
                f"rows, {name!r} has {length}. Name those that belong together in columns."
            )


def require_same_arrays(name: str, arrays: Iterable[tuple[str, StoredArray]], *, where: str) -> None:
    """Raise `SchemaMismatchError` where the arrays of one column, each with its file, differ in type or row shape."""
    first: tuple[str, StoredArray] | None = None
    for file, array in arrays:
        if first is None:
            first = file, array
        elif _kind_of(array) != _kind_of(first[1]):
            raise SchemaMismatchError(
                f"{where}: column {name!r} is {_text(first[1])} in {first[0]!r} and {_text(array)} in {file!r}; files that are "
                "read as one need the same columns: read them one by one, or write them again."
            )


def _kind_of(array: StoredArray) -> tuple[Any, tuple[int, ...]]:
    dtype = array.row_dtype
    return dtype.kind if dtype.kind in "SU" else dtype, array.row_shape


def _text(array: StoredArray) -> str:
    return f"{array.row_dtype} of row shape {array.row_shape}"


def split_fields(name: str, array: StoredArray) -> dict[str, StoredArray]:
    """Return the columns of an array: its fields where it holds records, else itself."""
    fields = array.dtype.names
    if fields is None:
        return {name: array}
    return {
        field: StoredArray(array.bytes, array.start, array.dtype, array.shape, array.is_fortran, field)
        for field in fields
    }
