"""Parquet files as a source: random access to the row groups of one or many, and nothing read that is not needed."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fireworks._internal.checks import check_columns
from fireworks._internal.files import as_path, open_file
from fireworks.core.chunk import Span
from fireworks.core.pipe import Pipe
from fireworks.core.source import Mask, Source
from fireworks.errors import FileFormatError, SchemaMismatchError
from fireworks.formats.parquet import as_written
from fireworks.formats.parquet_statistics import may_hold, statistics_of
from fireworks.message import Message, Schema, concat
from fireworks.message.columns import Column, Positions
from fireworks.message.interchange.arrow import columns_of_table, named_columns

if TYPE_CHECKING:
    from fireworks.core.expressions import Expression

_WHERE = "read_parquet"
_CACHE_BYTES = 256 * 2**20


def read_parquet(path: str | Path | Iterable[str | Path], columns: str | Sequence[str] | None = None) -> Pipe:
    """Return a pipe over the rows of Parquet files, which are read when they are asked for.

    Args:
        path: A file; a folder, for all ``*.parquet`` in it; a pattern, ``"data/part-*.parquet"``; or a list of these.
            Files of a folder or a pattern come in the order of their names.
        columns: Their names; all if not given.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a file is no Parquet file, or a damaged one.
        SchemaMismatchError: two files don't have the same columns.
        ColumnNotFoundError: no such column.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for part in range(2):
        ...     fw.Message({"part": [part] * 3, "x": torch.rand(3, 4)}).to_parquet(folder / f"{part}.parquet")
        >>> data = fw.read_parquet(folder)
        >>> len(data), data[2:4]["part"].tolist(), data[0]["x"].shape
        (6, [0, 1], torch.Size([1, 4]))
    """
    return ParquetSource(path, columns)


@dataclass(frozen=True)
class _Group:
    """One row group of one file."""

    path: Path
    number: int
    num_rows: int
    statistics: dict[str, tuple[Any, Any]]


@final
class ParquetSource(Source):
    """The rows of Parquet files, row group after row group, file after file; see `read_parquet`.

    Only the footers are read to make it. Row groups are decoded when rows of them are asked for; the last ones, up to
    256 MB, are kept. A column has one type in all files: where the footers don't rule out a null it is the nullable one.

    Args:
        path: A file, a folder, a pattern, or a list of these.
        columns: Their names; all if not given.

    Raises:
        OSError: a file can't be read.
        FileFormatError: a file is no Parquet file, or a damaged one, or has changed since.
        SchemaMismatchError: two files don't have the same columns.
        ColumnNotFoundError: no such column.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "numbers.parquet"
        >>> fw.Message({"n": [3, 1, 2], "word": ["c", "a", "b"]}).to_parquet(path)
        >>> ParquetSource(path).select("n").to_message()["n"].tolist()
        [3, 1, 2]
    """

    def __init__(self, path: str | Path | Iterable[str | Path], columns: str | Sequence[str] | None = None) -> None:
        super().__init__()
        self._files = _files_of(path)
        self._stamps = {file: _stamp(file) for file in self._files}
        self._groups: list[_Group] = []
        self._may_be_null: set[str] = set()
        schema: Any = None
        for file in self._files:
            schema = self._add(file, schema)
        self._arrow_schema = schema
        ends = np.cumsum([0, *(group.num_rows for group in self._groups)])
        self._starts, self._num_rows = ends[:-1], int(ends[-1])
        # Where pandas noted an index it comes first, and one without a name gets one.
        self._stored = {name: schema.names[position] for name, position in named_columns(schema)}
        self._columns = tuple(dict.fromkeys(check_columns(columns, list(self._stored), where=_WHERE)))
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._decoded: OrderedDict[int, tuple[Message, int]] = OrderedDict()
        self._narrow: weakref.WeakValueDictionary[tuple[str, ...], ParquetSource] = weakref.WeakValueDictionary()

    def _add(self, file: Path, schema: Any) -> Any:
        """Note the row groups of one file; return the schema that all files share."""
        with open_file(file, where=_WHERE, kind="Parquet", broken=(pa.ArrowException,)) as opened:
            reader = pq.ParquetFile(opened)
            metadata, found = reader.metadata, reader.schema_arrow
        found = as_written(found.empty_table(), metadata.metadata or {}).schema
        if schema is not None:
            _require_same(schema, found, first=self._files[0], file=file)
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            statistics, may_be_null = statistics_of(group, found)
            self._may_be_null |= may_be_null
            self._groups.append(_Group(file, number, group.num_rows, statistics))
        return found if schema is None else schema

    # --- as a source ----------------------------------------------------------------------------------------------

    @cached_property
    def schema(self) -> Schema:
        """The columns, from the footers; for the categories of a categorical column that column is read once."""
        return self._no_rows.schema

    @cached_property
    def _no_rows(self) -> Message:
        return self._message(self._empty, self._categories)

    @property
    def _empty(self) -> Any:
        return self._arrow_schema.empty_table().select(self._in_file(self._columns))

    @property
    def known_columns(self) -> list[str] | None:
        """The names of the columns."""
        return list(self._columns)

    def describe(self) -> str:
        """Return the source as text, without its folder: the files may be elsewhere tomorrow."""
        first = self._files[0].name
        name = first if len(self._files) == 1 else f"{first} and {len(self._files) - 1} more"
        return f"Parquet({name}, {self._num_rows} rows: {', '.join(self._columns)})"

    def count(self) -> int:
        """Return the number of rows, from the footers."""
        return self._num_rows

    def fetch(self, rows: Span) -> Message:
        """Return the rows at the given row numbers, in that order; each row group is decoded once."""
        if not len(rows):
            return self._no_rows[:]
        if isinstance(rows, range):
            return _joined(list(self._range(rows)))
        numbers, slot = np.unique(np.searchsorted(self._starts, rows, side="right") - 1, return_inverse=True)
        if len(numbers) == 1:
            return self._group(int(numbers[0])).take(rows - self._starts[numbers[0]])
        parts, places = [], []
        for at, number in enumerate(numbers.tolist()):
            mine = np.flatnonzero(slot == at)
            parts.append(self._group(number).take(rows[mine] - self._starts[number]))
            places.append(mine)
        return _joined(parts).take(np.argsort(np.concatenate(places)))

    def _range(self, rows: range) -> Iterator[Message]:
        first = int(np.searchsorted(self._starts, rows.start, side="right")) - 1
        for number in range(first, len(self._groups)):
            start = int(self._starts[number])
            if start >= rows.stop:
                return
            if self._groups[number].num_rows:
                yield self._group(number)[max(rows.start - start, 0) : rows.stop - start]

    # --- what it does itself --------------------------------------------------------------------------------------

    def narrowed(self, columns: Sequence[str]) -> ParquetSource:
        """Return a source of the same rows that reads only the named columns."""
        wanted = tuple(name for name in self._columns if name in set(columns))
        if wanted == self._columns or not wanted:
            return self
        with self._lock:
            narrow = self._narrow.get(wanted)
            if narrow is None:
                narrow = object.__new__(ParquetSource)
                narrow.__dict__.update(self.__getstate__())
                narrow._columns = wanted
                narrow._forget()
                self._narrow[wanted] = narrow
        return narrow

    def find(self, expression: Expression, mask: Mask) -> Positions | None:
        """Return the numbers of the rows for which an expression is true.

        Only the columns of the expression are read, and no row group whose statistics say that it holds no such row.
        """
        wanted = [name for name in self._columns if name in set(expression.columns)]
        if not wanted or set(wanted) != set(expression.columns):
            return None
        source = self.narrowed(wanted)
        found = [np.empty(0, dtype=np.int64)]
        for number, group in enumerate(self._groups):
            if group.num_rows and may_hold(expression, group.statistics, source.schema):
                found.append(int(self._starts[number]) + np.flatnonzero(mask(source._group(number))))
        return np.concatenate(found)

    # --- reading --------------------------------------------------------------------------------------------------

    def _group(self, number: int) -> Message:
        """Return one row group, decoded or from those that are kept."""
        with self._lock:
            if number in self._decoded:
                self._decoded.move_to_end(number)
                return self._decoded[number][0]
        table = self._table(self._groups[number], self._columns)
        message = self._message(table, self._categories)
        self._require_schema(message, self._groups[number])
        with self._lock:
            self._decoded[number] = message, table.nbytes
            while len(self._decoded) > 1 and sum(size for _, size in self._decoded.values()) > _CACHE_BYTES:
                self._decoded.popitem(last=False)
        return message

    def _table(self, group: _Group, columns: Sequence[str]) -> Any:
        if _stamp(group.path) != self._stamps[group.path]:
            raise FileFormatError(
                f"{_WHERE}: {str(group.path)!r} has changed since the source was made; make the pipe anew."
            )
        with open_file(group.path, where=_WHERE, kind="Parquet", broken=(pa.ArrowException,)) as file:
            reader = pq.ParquetFile(file, page_checksum_verification=True)
            named = self._in_file(columns)
            table = reader.read_row_group(group.number, columns=named)
            return as_written(table.select(named), reader.metadata.metadata or {})

    def _in_file(self, columns: Sequence[str]) -> list[str]:
        """Return the names that columns have in the files: pandas gives an index without a name one of its own there."""
        return [self._stored[name] for name in columns]

    def _message(self, table: Any, categories: dict[str, pd.CategoricalDtype]) -> Message:
        """Decode a table to the types that the columns have in all row groups."""
        stored: dict[str, Column] = {}
        for name, in_file in zip(self._columns, self._in_file(self._columns), strict=True):
            part = table.select([in_file]).replace_schema_metadata(None)
            add_null = in_file in self._may_be_null and not part.column(0).null_count
            if add_null:  # a null more, so that the type is the one that has nulls
                part = pa.concat_tables([part, pa.table([pa.nulls(1, part.schema.field(0).type)], schema=part.schema)])
            (column,) = columns_of_table(part).values()
            column = column[:-1] if add_null else column
            if name in categories:
                column = column.set_categories(categories[name].categories)  # type: ignore[union-attr]
            stored[name] = column
        return Message._of(stored, table.num_rows)

    @cached_property
    def _categories(self) -> dict[str, pd.CategoricalDtype]:
        """The categories of each categorical column in all row groups together, which no footer holds."""
        found: dict[str, pd.CategoricalDtype] = {}
        empty = self._message(self._empty, {})
        for name in [field.name for field in empty.schema if isinstance(field.dtype, pd.CategoricalDtype)]:
            dtype: Any = empty.schema[name].dtype
            every = dtype.categories
            for group in self._groups:
                table = self._table(group, [name])
                (column,) = columns_of_table(table.replace_schema_metadata(None)).values()
                more = column.categories  # type: ignore[union-attr]
                every = every.append(more.difference(every, sort=False)) if len(every) else more
            found[name] = pd.CategoricalDtype(every, ordered=dtype.ordered)
        return found

    def _require_schema(self, message: Message, group: _Group) -> None:
        for field in message.schema:
            if field != self.schema[field.name]:
                raise SchemaMismatchError(
                    f"{_WHERE}: column {field.name!r} is {self.schema[field.name].type_text} by the footers, and "
                    f"{field.type_text} in row group {group.number} of {str(group.path)!r}; write the file again, or "
                    "read it with Message.read_parquet."
                )

    def __getstate__(self) -> dict[str, Any]:
        dropped = {"_lock", "_decoded", "_narrow", "_no_rows", "schema", "_categories"}
        return {name: value for name, value in super().__getstate__().items() if name not in dropped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()


def _joined(parts: list[Message]) -> Message:
    return parts[0] if len(parts) == 1 else concat(parts)


def _files_of(path: object) -> list[Path]:
    """Return the files that a path, a pattern or a list stands for.

    Raises:
        TypeError: it is none of these.
        FileNotFoundError: there is no such file, or none in the folder or of the pattern.
    """
    if isinstance(path, Iterable) and not isinstance(path, (str, bytes)):
        files = [file for one in path for file in _files_of(one)]
        if not files:
            raise ValueError(f"{_WHERE}: the list of files is empty; name at least one.")
        return files
    one = as_path(path, where=_WHERE)
    if one.is_dir():
        return _some(sorted(one.glob("*.parquet")), f"no file in the folder {str(path)!r} ends in .parquet")
    if not one.exists() and any(sign in str(one) for sign in "*?["):
        found = sorted(file for file in Path(one.anchor).glob(str(one.relative_to(one.anchor))) if file.is_file())
        return _some(found, f"no file fits the pattern {str(path)!r}")
    return [one]


def _some(files: list[Path], reason: str) -> list[Path]:
    if not files:
        raise FileNotFoundError(f"{_WHERE}: {reason}; write one with Message.to_parquet, or mend the path.")
    return files


def _stamp(file: Path) -> tuple[int, int] | None:
    """Return what changes when a file does; None where there is none, which opening it says better."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _require_same(schema: Any, found: Any, *, first: Path, file: Path) -> None:
    """Raise `SchemaMismatchError` if two files don't have the same columns; the first that differs is named."""
    for name in dict.fromkeys([*schema.names, *found.names]):
        before, now = (
            part.field(name).type if part.get_field_index(name) >= 0 else "not there" for part in (schema, found)
        )
        if before != now:
            raise SchemaMismatchError(
                f"{_WHERE}: column {name!r} is {before} in {str(first)!r} and {now} in {str(file)!r}; files that are read as "
                "one need the same columns: read them one by one, or write them again."
            )
