"""Parquet files as a source: random access to the row groups of one or many, and nothing read that is not needed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import weakref
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar, final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from fireworks._internal.checks import check_columns
from fireworks.core.budget import Budget, current_budget
from fireworks.core.chunk import Span, as_positions
from fireworks.core.pipe import Pipe
from fireworks.core.source import BadRows, Mask, Source
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnValueError,
    FileChangedError,
    FileFormatError,
    SchemaMismatchError,
)
from fireworks.formats.arrow_names import arrow_type
from fireworks.formats.files import Files
from fireworks.formats.parquet import as_written
from fireworks.formats.parquet_reader import BROKEN, Group, GroupReader
from fireworks.formats.parquet_statistics import may_hold, statistics_of, stored_bytes_of
from fireworks.formats.partitions import partitions_of
from fireworks.formats.read_ahead import ReadAhead
from fireworks.message import Message, Schema, concat
from fireworks.message.columns import Column, Positions
from fireworks.message.interchange.arrow import columns_of_table, named_columns

if TYPE_CHECKING:
    from fireworks.core.expressions import Expression

_WHERE = "read_parquet"
_CACHE_BYTES = 256 * 2**20
# Arrow takes four times the bytes of a row group while it decodes it whole, and twice where it gives piece after piece
# (measured: 16.5 MB of 18 columns took 65 and 33 MB at the most).
_AHEAD_BYTES, _AHEAD_SHARE = 256 * 2**20, 3
_SLACK_BYTES, _SLACK_SHARE = 25 * 10**6, 4  # what allocators keep for themselves; a quarter of a small budget
_WHOLE_COPIES, _PIECES_COPIES, _PIECE_SHARE = 4, 2, 16
_MAX_THREADS = 4
_SAMPLED_ROWS = 65_536
_EVEN_ROWS = 4096
_OFFSET_BYTES = 8  # of where a text begins
_NOTE = b"fireworks"  # see message/interchange/arrow.py


def read_parquet(
    path: str | Path | Iterable[str | Path],
    columns: str | Sequence[str] | None = None,
    *,
    schema: Mapping[str, Any] | None = None,
    partitions: Mapping[str, Any] | None = None,
    on_error: str = "raise",
) -> Pipe:
    """Return a pipe over the rows of Parquet files, which are read when they are asked for.

    Args:
        path: A file; a folder, for all ``*.parquet`` in it and in its folders; a pattern, ``"data/part-*.parquet"``, in which
            ``**`` stands for any folders; a URL of these, ``s3://…``; or a list. Files of a folder or a pattern come in the
            order of their names. Folders named ``year=2024`` make a column ``year``.
        columns: Their names; all if not given.
        schema: By column, the type to read it as, where it differs between files: ``{"n": "int64"}``. No value may change.
        partitions: By column that folders name, its type; integers or texts, by what is there, if not given.
        on_error: ``"raise"``, or ``"quarantine"`` to set aside the row groups and files that are damaged, with their row
            numbers and the reason. The pipe is a stream then, and reads all of ``columns`` whatever is needed of them.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a file is no Parquet file, or a damaged one.
        SchemaMismatchError: two files don't have the same columns.
        ColumnNotFoundError: no such column.
        ValueError: a type is none, or ``on_error`` is neither.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for part in range(2):
        ...     fw.Message({"part": [part] * 3, "x": torch.rand(3, 4)}).to_parquet(folder / f"{part}.parquet")
        >>> data = fw.read_parquet(folder)
        >>> len(data), data[2:4]["part"].tolist(), data[0]["x"].shape
        (6, [0, 1], torch.Size([1, 4]))
    """
    return ParquetSource(path, columns, schema=schema, partitions=partitions, on_error=on_error)


class _Part(NamedTuple):
    """Rows of one row group, from one to before another."""

    group: int
    start: int
    stop: int


@final
class ParquetSource(Source):
    """The rows of Parquet files, row group after row group, file after file; see `read_parquet`.

    Only the footers are read to make it. A long pass decodes ahead in threads, in a third of the memory budget and 256 MB
    at most; a row group that takes more is decoded piece by piece. Rows here and there are taken from decoded row
    groups, of which the last are kept: up to 256 MB, or a quarter of the budget if that is less. A column has one type in
    all files: where the footers don't rule out a null it is the nullable one.

    PyArrow decodes. Polars is about twice as quick, and not used: it does not verify the checksums of pages, so that a
    damaged file would be read as if it were whole.

    Args:
        path: A file, a folder, a pattern, a URL, or a list of these.
        columns: Their names; all if not given.
        schema: By column, the type to read it as.
        partitions: By column that folders name, its type.
        on_error: ``"raise"`` or ``"quarantine"``.

    Raises:
        OSError: a file can't be read.
        FileFormatError: a file is no Parquet file, or a damaged one.
        FileChangedError: a file has changed since the source was made.
        SchemaMismatchError: two files don't have the same columns.
        ColumnNotFoundError: no such column.
        ValueError: a type is none, or ``on_error`` is neither.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "numbers.parquet"
        >>> fw.Message({"n": [3, 1, 2], "word": ["c", "a", "b"]}).to_parquet(path)
        >>> ParquetSource(path).select("n").to_message()["n"].tolist()
        [3, 1, 2]
    """

    reads_in_order: ClassVar[bool] = True

    def __init__(
        self,
        path: str | Path | Iterable[str | Path],
        columns: str | Sequence[str] | None = None,
        *,
        schema: Mapping[str, Any] | None = None,
        partitions: Mapping[str, Any] | None = None,
        on_error: str = "raise",
    ) -> None:
        super().__init__()
        if on_error not in {"raise", "quarantine"}:
            raise ValueError(f"{_WHERE}: on_error must be 'raise' or 'quarantine'; got {on_error!r}.")
        self.on_error = on_error
        self.random_access = on_error == "raise"
        self._files = Files(path, where=_WHERE, suffixes=(".parquet", ".pq"))
        self._reader = GroupReader(self._files)
        self._in_folders = partitions_of(self._files.inside, partitions, where=_WHERE)
        self._types = _types_of(schema)
        self._groups: list[Group] = []
        self._damaged: dict[int, str] = {}
        """By number of a group that stands for a whole file, why that can't be read."""
        self._may_be_null: set[str] = set()
        self._coded: set[str] = set()
        """Columns of which a row group is written as numbers of distinct values, which says little of their length."""
        self._arrow_schema: Any = None
        self._columns: tuple[str, ...] = ()
        self._read_footers(columns)
        ends = np.cumsum([0, *(group.num_rows for group in self._groups)])
        self._starts, self._num_rows = ends[:-1], int(ends[-1])
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._decoded: OrderedDict[int, tuple[Message, int]] = OrderedDict()
        self._narrow: weakref.WeakValueDictionary[tuple[str, ...], ParquetSource] = weakref.WeakValueDictionary()

    # --- footers --------------------------------------------------------------------------------------------------

    def _read_footers(self, columns: str | Sequence[str] | None) -> None:
        first = -1
        for file in range(len(self._files)):
            try:
                with self._files.open(file, kind="Parquet", broken=BROKEN) as opened:
                    reader = pq.ParquetFile(opened)
                    footer, found = reader.metadata, reader.schema_arrow
                found = as_written(found.empty_table(), footer.metadata or {}).schema
            except FileFormatError as error:
                if self.random_access:
                    raise
                self._damaged[len(self._groups)] = str(error)
                self._groups.append(Group(file, -1, 1, {}, {}))  # nobody knows of how many rows: it counts as one
                continue
            self._reader.keep_footer(file, footer)
            if self._arrow_schema is None:
                first = file
                self._begin(found, columns)
            else:
                self._require_same(found, first, file)
            self._add(file, footer, found)
        if self._arrow_schema is None:
            raise FileFormatError(
                f"{_WHERE}: none of the {len(self._files)} files can be read, so there are no columns. "
                f"The first: {self._damaged[0]}"
            )

    def _begin(self, found: Any, columns: str | Sequence[str] | None) -> None:
        """Take the columns of the first file, and those of the folders behind them."""
        self._in_folders = {name: values for name, values in self._in_folders.items() if name not in found.names}
        for name, values in self._in_folders.items():
            found = found.append(pa.field(name, values.type))
            if values.null_count:
                self._may_be_null.add(name)
        # Where pandas noted an index it comes first, and one without a name gets one.
        self._stored = {name: found.names[position] for name, position in named_columns(found)}
        for name, kind in self._types.items():
            if name not in self._stored or name in self._in_folders:
                known = [column for column in self._stored if column not in self._in_folders]
                raise ColumnNotFoundError(name, available=known, where=f"{_WHERE}: schema")
            position = found.get_field_index(self._stored[name])
            found = found.set(position, _retyped(found.field(position), kind))
        self._retyped = {self._stored[name] for name in self._types}
        self._arrow_schema = found
        self._wants_all = columns is None
        self._columns = tuple(dict.fromkeys(check_columns(columns, list(self._stored), where=_WHERE)))

    def _require_same(self, found: Any, first: int, file: int) -> None:
        """Raise `SchemaMismatchError` if a file has not the same columns; the first that differs is named."""
        known = set(self._stored.values())
        more = [name for name in found.names if name not in known and self._wants_all]
        for name in [*self._columns, *more]:
            in_file = self._stored.get(name, name)
            if in_file in self._in_folders:
                continue
            before, now = (
                part.field(in_file).type if part.get_field_index(in_file) >= 0 else None
                for part in (self._arrow_schema, found)
            )
            if now is not None and before is not None and (name in self._types or _are_alike(before, now)):
                continue
            here, there = self._files.names[first], self._files.names[file]
            if before is None or now is None:
                raise SchemaMismatchError(
                    f"{_WHERE}: column {name!r} is {before or 'not there'} in {here!r} and {now or 'not there'} in {there!r}; "
                    "files that are read as one need the same columns: name those that all have, columns=[…], or read them one by one."
                )
            raise SchemaMismatchError(
                f"{_WHERE}: column {name!r} is {before} in {here!r} and {now} in {there!r}; give it one type that holds both, such as "
                f"schema={{{name!r}: {_wider(before, now)!r}}}, or read the files one by one and cast."
            )

    def _add(self, file: int, footer: Any, found: Any) -> None:
        """Note the row groups of one file."""
        in_folders = {name: values[file].as_py() for name, values in self._in_folders.items()}
        constant = {name: (value, value) for name, value in in_folders.items() if value is not None}
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            statistics, may_be_null = statistics_of(group, found)
            stored_bytes, coded = stored_bytes_of(group, found)
            self._may_be_null |= may_be_null if group.num_rows else set()
            self._coded |= coded
            self._groups.append(Group(file, number, group.num_rows, statistics | constant, stored_bytes))

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
        first = PurePosixPath(self._files.names[0]).name
        name = first if len(self._files) == 1 else f"{first} and {len(self._files) - 1} more"
        how = "" if self.random_access else ", damaged ones set aside"
        return f"Parquet({name}, {self._num_rows} rows{how}: {', '.join(self._columns)})"

    def count(self) -> int:
        """Return the number of rows, from the footers.

        Raises:
            UnknownLengthError: what is damaged is set aside, so nobody knows before the end.
        """
        return self._num_rows if self.random_access else super().count()

    def fetch(self, rows: Span) -> Message:
        """Return the rows at the given row numbers, in that order; each row group is decoded once."""
        if not len(rows):
            return self._no_rows[:]
        if isinstance(rows, range):
            return _joined([self._in_group(part.group, range(part.start, part.stop)) for part in self._parts(rows)])
        numbers, slot = np.unique(np.searchsorted(self._starts, rows, side="right") - 1, return_inverse=True)
        if len(numbers) == 1:
            return self._in_group(int(numbers[0]), rows - self._starts[numbers[0]])
        parts, places = [], []
        for at, number in enumerate(numbers.tolist()):
            mine = np.flatnonzero(slot == at)
            parts.append(self._in_group(number, rows[mine] - self._starts[number]))
            places.append(mine)
        return _joined(parts).take(np.argsort(np.concatenate(places)))

    def _parts(self, rows: range) -> list[_Part]:
        """Return the parts of row groups that some rows are."""
        parts = []
        first = int(np.searchsorted(self._starts, rows.start, side="right")) - 1
        for number in range(max(first, 0), len(self._groups)):
            start = int(self._starts[number])
            if start >= rows.stop:
                break
            part = _Part(number, max(rows.start - start, 0), min(rows.stop - start, self._groups[number].num_rows))
            if part.start < part.stop:
                parts.append(part)
        return parts

    def scan(self, rows: range, budget: Budget) -> Iterator[Message]:
        """Yield rows that follow each other, decoded ahead in threads."""
        with closing(self._read_ahead(self._parts(rows), budget, self._pieces_of)) as pieces:
            for _, piece in pieces:
                yield piece

    def stream(self, start: int) -> Iterator[Message | BadRows]:
        """Yield all rows from row number ``start`` on, and what is damaged as rows that were set aside."""
        parts = self._parts(range(start, self._num_rows))
        with closing(self._read_ahead(parts, current_budget(), self._pieces_or_bad)) as pieces:
            for _, piece in pieces:
                yield piece

    def estimated_bytes(self) -> int:
        """Return about how much memory all rows would take.

        By the footers; columns whose length they don't tell, because each distinct text is stored once, are looked at in
        the first rows of one row group.
        """
        return sum(self._group_bytes(number) for number in range(len(self._groups)))

    def require_unchanged(self) -> None:
        """Raise `FileChangedError` where a file is not the one that it was."""
        self._files.require_all_unchanged()

    def signature(self) -> str | None:
        """Return a short hash of the files' sizes and of their first and last bytes."""
        return self._files.signature

    def least_bytes(self) -> int:
        """Return what it takes to decode the largest row group piece by piece, beside a piece that lies ready."""
        largest = max((self._group_bytes(number) for number in range(len(self._groups))), default=0)
        return (_PIECES_COPIES + 1) * largest

    def fingerprint(self) -> str:
        """Return a SHA-256 of the files and of how they are read; a file is read for it once as long as it stays the same."""
        how = [self._files.fingerprint(), list(self._columns), self.on_error]
        types = {name: str(self._arrow_schema.field(self._stored[name]).type) for name in self._columns}
        folders = {name: self._in_folders[name].to_pylist() for name in self._columns if name in self._in_folders}
        return hashlib.sha256(repr([*how, types, folders]).encode()).hexdigest()

    # --- what it does itself --------------------------------------------------------------------------------------

    def narrowed(self, columns: Sequence[str]) -> ParquetSource:
        """Return a source of the same rows that reads only the named columns.

        Where what is damaged is set aside it is this one: which rows are must not depend on which columns are needed.
        """
        wanted = tuple(name for name in self._columns if name in set(columns))
        if wanted == self._columns or not wanted or not self.random_access:
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

        Only the columns of the expression are read, and no row group whose statistics or folders say that it holds no
        such row.
        """
        wanted = [name for name in self._columns if name in set(expression.columns)]
        if not wanted or set(wanted) != set(expression.columns) or not self.random_access:
            return None
        source = self.narrowed(wanted)
        parts = [
            _Part(number, 0, group.num_rows)
            for number, group in enumerate(self._groups)
            if group.num_rows and may_hold(expression, group.statistics, source.schema)
        ]
        found = [np.empty(0, dtype=np.int64)]
        for start, piece in source._read_ahead(parts, current_budget(), source._pieces_of):
            found.append(start + np.flatnonzero(mask(piece)))
        return np.concatenate(found)

    # --- reading on -----------------------------------------------------------------------------------------------

    def _read_ahead(self, parts: list[_Part], budget: Budget, make: _Make[_Item_co]) -> Generator[tuple[int, _Item_co]]:
        """Yield what is made of parts of row groups, each item with the number of its first row, in order."""
        limit = _AHEAD_BYTES
        if budget.max_bytes is not None:
            room = budget.max_bytes - min(_SLACK_BYTES, budget.max_bytes // _SLACK_SHARE)
            limit = max(1, min(limit, room // _AHEAD_SHARE))
        if len(parts) == 1 and self._fits(parts[0].group, limit):
            yield from make(parts[0], limit)
            return
        ahead = ReadAhead(
            parts,
            lambda part: make(part, limit),
            lambda part: self._decoding_bytes(part.group, limit),
            lambda item: _bytes_of(item[1]),
            max_bytes=limit,
            budget=budget,
            num_threads=min(_MAX_THREADS, pa.cpu_count()),
        )
        try:
            yield from ahead
        finally:
            ahead.close()
            pa.default_memory_pool().release_unused()

    def _fits(self, number: int, limit: int) -> bool:
        """Tell whether a row group may be decoded whole, beside another one."""
        return _WHOLE_COPIES * self._group_bytes(number) <= limit // 2

    def _decoding_bytes(self, number: int, limit: int) -> int:
        """Return about how much memory it takes to decode a row group."""
        return (_WHOLE_COPIES if self._fits(number, limit) else _PIECES_COPIES) * self._group_bytes(number)

    def _pieces_of(self, part: _Part, limit: int) -> Iterator[tuple[int, Message]]:
        """Yield a part of a row group, as one message if that fits, else piece by piece."""
        group, row = self._groups[part.group], int(self._starts[part.group])
        if self._fits(part.group, limit):
            table = self._table(group, self._columns, use_threads=False)
            message = self._checked(table.slice(part.start, part.stop - part.start), group, share=True)
            yield row + part.start, message
            return
        at = 0
        for table in self._in_pieces(part.group, limit):
            start, stop = max(part.start - at, 0), min(part.stop - at, table.num_rows)
            if start < stop:
                yield row + at + start, self._checked(table.slice(start, stop - start), group, share=True)
            at += table.num_rows
            if at >= part.stop:
                return

    def _pieces_or_bad(self, part: _Part, limit: int) -> Iterator[tuple[int, Message | BadRows]]:
        """Yield a part of a row group, or that it is damaged: a whole row group is good or bad, however it is read."""
        if part.group in self._damaged:
            yield self._bad(part, self._damaged[part.group])
            return
        try:
            if not self._fits(part.group, limit):
                for _ in self._in_pieces(part.group, limit):
                    pass
            yield from self._pieces_of(part, limit)
        except FileChangedError:
            raise
        except FileFormatError as error:
            yield self._bad(part, str(error))

    def _bad(self, part: _Part, reason: str) -> tuple[int, BadRows]:
        group, num_rows = self._groups[part.group], part.stop - part.start
        number = pd.array([None if group.number < 0 else group.number] * num_rows, dtype="Int64")
        message = Message({"file": [self._files.names[group.file]] * num_rows, "row_group": number})
        return int(self._starts[part.group]) + part.start, BadRows(message, reason)

    # --- how much it is -------------------------------------------------------------------------------------------

    def _group_bytes(self, number: int) -> int:
        """Return about how much memory a row group takes when it is decoded."""
        group = self._groups[number]
        if not group.num_rows:
            return 0
        fixed, varying = self._widths
        size = fixed * group.num_rows
        for name, row_bytes in varying.items():
            size += max(
                group.stored_bytes.get(name, 0) + _OFFSET_BYTES * group.num_rows, int(row_bytes * group.num_rows)
            )
        return size

    @cached_property
    def _widths(self) -> tuple[int, dict[str, float]]:
        """The bytes of a row in columns of one width, and by name in the file what was seen in each other column."""
        fixed, varying = 0, {}
        for field, in_file in zip(self.schema, self._in_file(self._columns), strict=True):
            if field.itemsize is None:
                varying[in_file] = 0.0
            else:
                fixed += field.row_bytes + (not isinstance(field.dtype, (torch.dtype, np.dtype)))  # a mask of nulls
        for name in varying:
            if name in self._in_folders:
                values = self._in_folders[name]
                varying[name] = _OFFSET_BYTES + max(len(str(value)) for value in values.to_pylist())
        varying.update(self._seen([name for name in varying if name in self._coded]))
        return fixed, varying

    def _seen(self, in_file: list[str]) -> dict[str, float]:
        """Return the bytes of a row in each of some columns, in the first rows of the largest row group."""
        number = max(range(len(self._groups)), key=lambda number: self._groups[number].num_rows, default=-1)
        if not in_file or not self._groups[number].num_rows:
            return {}
        with contextlib.suppress(FileFormatError, OSError):  # a pass will say so
            with closing(self._reader.pieces(self._groups[number], in_file, _SAMPLED_ROWS, use_threads=True)) as tables:
                table = next(tables)
            return {
                name: columns_of_table(table.select([name]).replace_schema_metadata(None))[name].nbytes / len(table)
                for name in in_file
            }
        return {}

    # --- rows here and there --------------------------------------------------------------------------------------

    def _in_group(self, number: int, rows: Span) -> Message:
        """Return rows of one row group, from those that are kept if it is not too large for that."""
        if self._group_bytes(number) <= _cache_bytes():
            message = self._group(number)
            return message[rows.start : rows.stop] if isinstance(rows, range) else message.take(rows)
        rows = as_positions(rows)
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        at, parts = 0, []
        with closing(self._tables(number, _cache_bytes() // 4)) as tables:
            for table in tables:
                first, last = np.searchsorted(wanted, [at, at + table.num_rows])
                if first < last:
                    parts.append(self._checked(table, self._groups[number]).take(wanted[first:last] - at))
                at += table.num_rows
                if last == len(wanted):
                    break
        return _joined(parts).take(np.argsort(order))

    def _group(self, number: int) -> Message:
        """Return one row group, decoded or from those that are kept."""
        with self._lock:
            if number in self._decoded:
                self._decoded.move_to_end(number)
                self._files.require_unchanged(self._groups[number].file)
                return self._decoded[number][0]
        table = self._table(self._groups[number], self._columns)
        message = self._checked(table, self._groups[number])
        with self._lock:
            self._decoded[number] = message, max(table.nbytes, message.num_bytes)
            while len(self._decoded) > 1 and sum(size for _, size in self._decoded.values()) > _cache_bytes():
                self._decoded.popitem(last=False)
        return message

    # --- decoding -------------------------------------------------------------------------------------------------

    def _table(self, group: Group, columns: Sequence[str], *, use_threads: bool = True) -> Any:
        names = self._in_file(columns)
        stored = [name for name in names if name not in self._in_folders]
        table = self._reader.whole(group, stored, use_threads=use_threads) if stored else None
        return self._typed(table, group, names, group.num_rows)

    def _in_pieces(self, number: int, limit: int) -> Generator[Any]:
        """Yield a row group that is too large for what may be in memory as tables of a small part of that."""
        is_alone = 2 * self._decoding_bytes(number, limit) > limit  # else several are decoded at a time
        return self._tables(number, limit // _PIECE_SHARE, use_threads=is_alone)

    def _tables(self, number: int, num_bytes: int, *, use_threads: bool = True) -> Generator[Any]:
        """Yield a row group as tables of about so many bytes."""
        group, names = self._groups[number], self._in_file(self._columns)
        num_rows = max(1, int(num_bytes / max(1.0, self._group_bytes(number) / max(1, group.num_rows))))
        if num_rows > _EVEN_ROWS:  # so that batches seldom reach over the end of a piece
            num_rows -= num_rows % _EVEN_ROWS
        stored = [name for name in names if name not in self._in_folders]
        if not stored:
            for start in range(0, group.num_rows, num_rows):
                yield self._typed(None, group, names, min(num_rows, group.num_rows - start))
            return
        with closing(self._reader.pieces(group, stored, num_rows, use_threads=use_threads)) as tables:
            for table in tables:
                yield self._typed(table, group, names, table.num_rows)

    def _typed(self, table: Any, group: Group, names: list[str], num_rows: int) -> Any:
        """Return a table with the types that its columns have in all files, and with the columns of the folders."""
        arrays, fields = [], []
        for name in names:
            field = self._arrow_schema.field(name)
            if name in self._in_folders:
                column = pa.repeat(self._in_folders[name][group.file], num_rows)
            else:
                column = table.column(name)
                if column.type != field.type:
                    column = self._cast(column, field, group)
                if name not in self._retyped:
                    field = field.with_metadata(table.schema.field(name).metadata)
            arrays.append(column)
            fields.append(field)
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _cast(self, column: Any, field: Any, group: Group) -> Any:
        try:
            return column.cast(field.type)
        except pa.ArrowException as error:
            raise ColumnValueError(
                f"{_WHERE}: column {field.name!r} is {column.type} in row group {group.number} of "
                f"{self._files.names[group.file]!r}, and not every value of it fits {field.type}: {error}. Give it a type "
                "that holds all values: schema=."
            ) from error

    def _in_file(self, columns: Sequence[str]) -> list[str]:
        """Return the names that columns have in the files: pandas gives an index without a name one of its own there."""
        return [self._stored[name] for name in columns]

    def _checked(self, table: Any, group: Group, *, share: bool = False) -> Message:
        message = self._message(table, self._categories, share=share)
        self._require_schema(message, group)
        return message

    def _message(self, table: Any, categories: dict[str, pd.CategoricalDtype], *, share: bool = False) -> Message:
        """Decode a table to the types that the columns have in all row groups."""
        stored: dict[str, Column] = {}
        for name, in_file in zip(self._columns, self._in_file(self._columns), strict=True):
            part = table.select([in_file]).replace_schema_metadata(None)
            add_null = in_file in self._may_be_null and not part.column(0).null_count
            if add_null:  # a null more, so that the type is the one that has nulls
                part = pa.concat_tables([part, pa.table([pa.nulls(1, part.schema.field(0).type)], schema=part.schema)])
            (column,) = columns_of_table(part, share=share).values()
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
            for number, group in enumerate(self._groups):
                if number in self._damaged:
                    continue
                try:
                    table = self._table(group, [name])
                except FileFormatError as error:
                    if self.random_access or isinstance(error, FileChangedError):
                        raise
                    continue  # it will be set aside
                (column,) = columns_of_table(table.replace_schema_metadata(None)).values()
                more = column.categories  # type: ignore[union-attr]
                every = every.append(more.difference(every, sort=False)) if len(every) else more
            found[name] = pd.CategoricalDtype(every, ordered=dtype.ordered)
        return found

    def _require_schema(self, message: Message, group: Group) -> None:
        for field in message.schema:
            if field != self.schema[field.name]:
                raise SchemaMismatchError(
                    f"{_WHERE}: column {field.name!r} is {self.schema[field.name].type_text} by the footers, and "
                    f"{field.type_text} in row group {group.number} of {self._files.names[group.file]!r}; write the file "
                    "again, or read it with Message.read_parquet."
                )

    def __getstate__(self) -> dict[str, Any]:
        dropped = {"_lock", "_decoded", "_narrow", "_no_rows", "schema", "_categories", "_widths"}
        return {name: value for name, value in super().__getstate__().items() if name not in dropped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()


_Item_co = TypeVar("_Item_co", bound="Message | BadRows", covariant=True)


class _Make(Protocol[_Item_co]):
    """From a part of a row group, and how many bytes may be ready, to its items, each with its first row's number."""

    def __call__(self, part: _Part, limit: int, /) -> Iterator[tuple[int, _Item_co]]: ...


def _bytes_of(item: Message | BadRows) -> int:
    return item.message.num_bytes if isinstance(item, BadRows) else item.num_bytes


def _cache_bytes() -> int:
    """Return how many bytes of decoded row groups are kept."""
    limit = current_budget().max_bytes
    return _CACHE_BYTES if limit is None else min(_CACHE_BYTES, limit // 4)


def _joined(parts: list[Message]) -> Message:
    return parts[0] if len(parts) == 1 else concat(parts)


def _types_of(schema: object) -> dict[str, Any]:
    """Return the Arrow types that columns are to be read as."""
    if schema is None:
        return {}
    if not isinstance(schema, Mapping):
        raise TypeError(f"{_WHERE}: schema is a mapping from columns to types, {{'n': 'int64'}}; got {schema!r:.60}.")
    return {name: arrow_type(kind, name=name, where=f"{_WHERE}: schema") for name, kind in schema.items()}


def _retyped(field: Any, kind: Any) -> Any:
    """Return a field with another type; what was noted beside it of its old one is adapted, or left out."""
    metadata = dict(field.metadata or {})
    note = json.loads(metadata.pop(_NOTE, "{}"))
    if "tensor" in note and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        note["tensor"] = np.dtype(kind.to_pandas_dtype()).name
        metadata[_NOTE] = json.dumps(note).encode()
    return field.with_type(kind).with_metadata(metadata)


def _are_alike(one: Any, other: Any) -> bool:
    """Tell whether columns of two types are the same in a message."""
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return one == other or all(any(is_text(kind) for is_text in texts) for kind in (one, other))


def _wider(one: Any, other: Any) -> str:
    """Return the name of a type that holds the values of two, as a proposal."""
    try:
        fields = [pa.schema([pa.field("x", kind)]) for kind in (one, other)]
        return str(pa.unify_schemas(fields, promote_options="permissive").field(0).type)
    except pa.ArrowException:
        return "string"
