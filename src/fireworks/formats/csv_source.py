"""CSV files as a source: Arrow's reader, with random access, types that stay, and errors that name the line."""

from __future__ import annotations

import csv as python_csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
import pyarrow as pa
from pyarrow import csv

from fireworks._internal.checks import check_columns, check_count
from fireworks.core.pipe import Pipe
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    ColumnValueError,
    FileFormatError,
    SchemaMismatchError,
)
from fireworks.formats.block_source import Piece
from fireworks.formats.files import Files
from fireworks.formats.fixed_types import FixedType, declared, found_in, message_of, text_type
from fireworks.formats.lines import Block, Places, Rule, State, blocks_of, line_ends, rows_in
from fireworks.formats.text_blocks import Bad, TextBlockSource, rows_joined, unreadable
from fireworks.formats.text_reader import PACKED, check_encoding
from fireworks.message import Message, Schema

_WHERE = "read_csv"
_SUFFIXES = tuple(kind + packed for kind in (".csv", ".tsv") for packed in ("", *PACKED))
_SAMPLE_BYTES = 2**20  # that types are inferred from
_MOST_SAMPLE_BYTES = 2**24  # the same, where a column has no value in the first
_LARGEST_PIECE = 2**31 - 1


def read_csv(
    path: str | Path | Iterable[str | Path],
    columns: str | Sequence[str] | None = None,
    *,
    schema: Schema | Mapping[str, Any] | None = None,
    separator: str | None = None,
    header: bool | Sequence[str] = True,
    skip_lines: int = 0,
    null_values: str | Iterable[str] = "",
    decimal: str = ".",
    quote: str | None = '"',
    encoding: str = "utf-8",
    on_error: str = "raise",
) -> Pipe:
    r"""Return a pipe over the rows of CSV files, which are read when they are asked for.

    The type of a column is declared by ``schema``, or found in the first megabyte of the first file and then fixed: a later
    value that is none of that type is an error with file and line, never another type. An empty field is a missing
    value, two quotation marks an empty text. Where missing values are among the first, a column of whole numbers gets a
    type that knows them (``Int64``); one of other numbers has NaN for them. Empty lines are skipped.

    The length of the pipe, a shuffle and random access need to know where rows begin: the files are looked through once
    for it. Files that end in ``.gz``, ``.bz2`` or ``.zst``, or in another encoding than UTF-8, can only be read from their
    beginning on, so single rows of them are slow.

    Args:
        path: A file; a folder, for all ``.csv`` and ``.tsv`` in it; a pattern, ``"data/part-*.csv"``; a URL; or a list of
            these. Files of a folder or a pattern come in the order of their names.
        columns: Their names; all if not given.
        schema: The types of columns, of all or of some: ``{"n": "int32", "x": torch.float32}``.
        separator: One character between fields; a comma if not given, in ``.tsv`` a tab.
        header: Whether the first row has the names of the columns; or the names, for files that don't have them.
        skip_lines: Lines at the beginning of each file that are no part of the table.
        null_values: Texts that mean a missing value where they stand without quotation marks, besides nothing at all.
        decimal: What stands before the fraction of a number.
        quote: What stands around a field with separators or line ends in it; None for no such thing.
        encoding: As Python names it.
        on_error: ``"quarantine"`` sets aside the rows that can't be read, with file, line, text and reason; the rest goes
            on, as a stream. See `Pipe.quarantined`.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a file is empty, or a row has more or fewer fields than there are columns.
        SchemaMismatchError: two files don't have the same columns.
        ColumnNotFoundError: no such column.
        ColumnTypeError: a column is there twice, or has a type that CSV can't be read as.
        ColumnValueError: a value does not fit the type of its column.
        ValueError: an argument is none.

    Source:
        RFC 4180; what is null and what is empty as in PostgreSQL's COPY.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "people.csv"
        >>> _ = path.write_text('name,age,height\nann,31,1.7\n"bob, jr.",,1.8\n')
        >>> people = fw.read_csv(path, schema={"height": torch.float32})
        >>> print(people.schema)
        name: str
        age: Int64
        height: float32 tensor
        >>> people[1]["name"].tolist(), len(people)
        (['bob, jr.'], 2)
    """
    return CsvSource(
        path,
        columns,
        schema=schema,
        separator=separator,
        header=header,
        skip_lines=skip_lines,
        null_values=null_values,
        decimal=decimal,
        quote=quote,
        encoding=encoding,
        on_error=on_error,
    )


class _Beginning:
    """The first rows of a file, taken off one by one."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._data = b""
        self.place = 0
        """How many bytes were taken off."""
        self.num_lines = 0

    def cut(self, rule: Rule) -> bytes:
        """Take off a row, and what of it is none before it; return the row, empty at the end of the file."""
        while True:
            starts, stops = rows_in(self._data, rule)
            if len(stops) and stops[0] < len(self._data):
                break
            more = next(self._chunks, None)
            if more is None:
                break
            self._data += more
        start, stop = (int(starts[0]), int(stops[0])) if len(stops) else (0, 0)
        row = self._data[start:stop]
        self.num_lines += line_ends(self._data[:stop])
        self._data = self._data[stop:]
        self.place += stop
        return row


class _Head(NamedTuple):
    """What stands before the rows of one file."""

    names: tuple[str, ...]
    start: int
    """Where the rows begin."""
    line: int
    """The number of the line there."""


@final
class CsvSource(TextBlockSource):
    r"""The rows of CSV files, file after file; see `read_csv`, which takes the same arguments.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "numbers.tsv"
        >>> _ = path.write_text("n\tword\n3\tc\n1\ta\n")
        >>> CsvSource(path).select("n").to_message()["n"].tolist()
        [3, 1]
    """

    kind: ClassVar[str] = "CSV"
    puzzled_by: ClassVar[tuple[type[Exception], ...]] = (pa.ArrowException, ColumnValueError, FileFormatError)

    def __init__(
        self,
        path: str | Path | Iterable[str | Path],
        columns: str | Sequence[str] | None = None,
        *,
        schema: Schema | Mapping[str, Any] | None = None,
        separator: str | None = None,
        header: bool | Sequence[str] = True,
        skip_lines: int = 0,
        null_values: str | Iterable[str] = "",
        decimal: str = ".",
        quote: str | None = '"',
        encoding: str = "utf-8",
        on_error: str = "raise",
    ) -> None:
        files = Files(path, where=_WHERE, suffixes=_SUFFIXES)
        super().__init__(files, (), encoding=check_encoding(encoding, where=_WHERE), on_error=on_error)
        self._separator = None if separator is None else _one_byte(separator, "separator", also="\r\n" + (quote or ""))
        self._quote = None if quote is None else _one_byte(quote, "quote", also="\r\n" + (separator or ""))
        self._decimal = _one_byte(decimal, "decimal", also='\r\n"')
        nulls = [null_values] if isinstance(null_values, str) else list(null_values)
        if not all(isinstance(null, str) for null in nulls):
            raise ValueError(f"{_WHERE}: null_values is a text or several; got {null_values!r:.60}.")
        self._nulls = tuple(dict.fromkeys(["", *nulls]))
        self._skip_lines = check_count(skip_lines, at_least=0, where=f"{_WHERE}: skip_lines")
        self._heads = [self._head(number, header) for number in range(len(files))]
        names = self._heads[0].names
        self._require_same_names()
        given = Schema({} if schema is None else schema)
        for field in given:
            if field.name not in names:
                raise ColumnNotFoundError(field.name, available=names, where=f"{_WHERE}: schema")
        self._columns = tuple(dict.fromkeys(check_columns(columns, list(names), where=_WHERE)))
        self._types = {field.name: declared(field, where=_WHERE) for field in given}
        self._unclosed: set[int] = set()
        self._infer()

    # --- the beginnings of the files ------------------------------------------------------------------------------

    def separator_of(self, number: int) -> str:
        """Return what stands between the fields of a file."""
        if self._separator is not None:
            return self._separator
        name = Path(self.files.names[number].lower())
        name = name.with_suffix("") if name.suffix in PACKED else name
        return "\t" if name.suffix == ".tsv" else ","

    def _rule(self, number: int) -> Rule:
        return Rule(None if self._quote is None else ord(self._quote), ord(self.separator_of(number)), "skip")

    def _head(self, number: int, header: object) -> _Head:
        start = self.start_of(number)
        begin = _Beginning(self.body(number, start))
        for _ in range(self._skip_lines):
            begin.cut(Rule())
        if header is not True:
            return _Head(_names(header), start + begin.place, 1 + begin.num_lines)
        row = begin.cut(self._rule(number))
        name = self.files.names[number]
        if not row:
            raise FileFormatError(
                f"{_WHERE}: {name!r} is empty: not even the names of columns are there; leave it out, or pass the names as "
                "header=[…]."
            )
        try:
            text = row.decode()
        except UnicodeDecodeError as error:
            raise FileFormatError(
                f"{_WHERE}: {name!r}: the names of its columns are no text in {self.encoding}: {error}; pass encoding=."
            ) from error
        quoting: Any = {"quoting": python_csv.QUOTE_NONE} if self._quote is None else {"quotechar": self._quote}
        names = next(python_csv.reader(io.StringIO(text, newline=""), delimiter=self.separator_of(number), **quoting))
        twice = next((one for at, one in enumerate(names) if one in names[:at]), None)
        if twice is not None:
            raise ColumnTypeError(
                f"{_WHERE}: {name!r} has the column {twice!r} twice; rename one, or pass all names as header=[…] with "
                "skip_lines=1."
            )
        return _Head(tuple(names), start + begin.place, 1 + begin.num_lines)

    def _require_same_names(self) -> None:
        first = self._heads[0].names
        for number, head in enumerate(self._heads):
            for name in [*first, *head.names]:
                if (name in first) != (name in head.names):
                    has, lacks = (0, number) if name in first else (number, 0)
                    raise SchemaMismatchError(
                        f"{_WHERE}: column {name!r} is in {self.files.names[has]!r} and not in {self.files.names[lacks]!r}; "
                        "files that are read as one need the same columns: read them one by one, or write them again."
                    )

    # --- types ----------------------------------------------------------------------------------------------------

    def _infer(self) -> None:
        """Find the types of the columns that were not declared in the first rows; of those without values further on."""
        missing = [name for name in self._columns if name not in self._types]
        sampled = 0
        samples: list[Any] = []
        for number in range(len(self.files) if missing else 0):
            with self.reader() as reader:
                for block, line in self.blocks_of_file(number):
                    piece = Piece(number, block.start, block.stop, 0, block.num_rows, line)
                    samples.append(self._sample(piece, self.raw(reader, piece), missing))
                    sampled += block.stop - block.start
                    if sampled >= _SAMPLE_BYTES and not _lacks_values(samples, missing):
                        break
                    if sampled >= _MOST_SAMPLE_BYTES:
                        break
            if sampled >= _MOST_SAMPLE_BYTES or not _lacks_values(samples, missing):
                break
        for name in missing:
            self._types[name] = found_in([sample.column(name) for sample in samples])
        self._unclosed.clear()

    def _sample(self, piece: Piece, data: bytes, missing: list[str]) -> Any:
        if not piece.num_rows:
            return pa.table({name: pa.nulls(0) for name in missing})
        try:
            return self._table(piece.file, data, missing, {})
        except pa.ArrowException as error:
            if self.on_error == "raise":
                for bad in self._wrong_lengths(piece, data):
                    raise bad.error(self.place(piece, data, bad.row)) from error
                raise FileFormatError(
                    f"{_WHERE}: {self.files.names[piece.file]!r} is no CSV file, or a damaged one: {error}."
                ) from error
            starts, stops = self.places_of(data, piece.file)
            good = np.setdiff1d(np.arange(len(starts)), [bad.row for bad in self._wrong_lengths(piece, data)])
            return self._table(piece.file, rows_joined(data, starts[good], stops[good]), missing, {})

    @cached_property
    def schema(self) -> Schema:
        """The columns, by what was declared and by the first rows."""
        return Schema([self._types[name].field(name) for name in self._columns])

    # --- rows -----------------------------------------------------------------------------------------------------

    def how(self) -> str:
        """Return as text what besides the files makes the rows what they are."""
        arguments = (self._separator, self._quote, self._decimal, self._nulls, self._skip_lines, self.encoding)
        return f"{super().how()} {arguments} {self._heads[0].names}"

    def blocks_of_file(self, number: int) -> Iterator[tuple[Block, int]]:
        """Yield the blocks of one file, each with the number of its first line."""
        head, state = self._heads[number], State()
        line = head.line
        block = None
        for block in blocks_of(self.body(number, head.start), self._rule(number), head.start, state):
            yield block, line
            line += block.num_lines
        if state.inside and block is not None:
            if self.on_error == "raise":
                with self.reader() as reader:
                    data = reader.read(number, block.start, block.stop)
                start = int(self.places_of(data, number)[0][-1])
                line += line_ends(data[:start]) - block.num_lines
                raise _unclosed(f"{self.files.names[number]!r}, line {line}")
            self._unclosed.add(number)

    def places_of(self, data: bytes, number: int) -> tuple[Places, Places]:
        """Return where each row of a piece of a file begins and ends."""
        return rows_in(data, self._rule(number))

    def _table(
        self, number: int, data: bytes, columns: Sequence[str], types: dict[str, Any], handler: Any = None
    ) -> Any:
        names = self._heads[number].names
        return csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(column_names=list(names), block_size=min(len(data) + 1, _LARGEST_PIECE), use_threads=False),
            csv.ParseOptions(
                delimiter=self.separator_of(number),
                quote_char=False if self._quote is None else self._quote,
                newlines_in_values=self._quote is not None,
                ignore_empty_lines=True,
                invalid_row_handler=handler,
            ),
            csv.ConvertOptions(
                column_types=types,
                include_columns=list(columns),
                null_values=list(self._nulls),
                strings_can_be_null=True,
                # alone in its line a missing number has to be two marks, since an empty line is none
                quoted_strings_can_be_null=len(names) == 1 and types.get(names[0]) not in {text_type, pa.binary()},
                decimal_point=self._decimal,
            ),
        )

    def understood(self, piece: Piece, data: bytes) -> Message:
        """Return the rows of a piece."""
        if not piece.num_rows:
            return self._no_rows[:]
        types = {name: self._types[name] for name in self._columns}
        return self._converted(piece.file, data, types, piece.num_rows)

    def _converted(self, number: int, data: bytes, types: dict[str, FixedType], num_rows: int) -> Message:
        table = self._table(number, data, list(types), {name: kind.arrow for name, kind in types.items()})
        if table.num_rows != num_rows:
            raise FileFormatError(
                f"{_WHERE}: {self.files.names[number]!r}: {num_rows} rows begin where {table.num_rows} are read; it may have "
                "changed, or a quotation mark is none: pass quote=None."
            )
        return message_of(table, types)

    def _checked(self, piece: Piece, data: bytes) -> Message:
        if piece.file in self._unclosed and self._is_last(piece):
            raise _unclosed(self.files.names[piece.file])
        return self.understood(piece, data)

    def _is_last(self, piece: Piece) -> bool:
        blocks = self.blocks
        return piece.stop == int(blocks.stop[blocks.file == piece.file][-1])

    # --- rows that can't be read ----------------------------------------------------------------------------------

    def bad_rows(self, piece: Piece, data: bytes, *, only_first: bool) -> list[Bad]:
        """Return the rows with too many fields, with too few, and with a value that is not of its column's type."""
        found = {bad.row: bad for bad in self._wrong_lengths(piece, data)}
        starts, stops = self.places_of(data, piece.file)
        if piece.file in self._unclosed and self._is_last(piece):
            found[len(starts) - 1] = Bad(len(starts) - 1, "a quotation mark is opened and never closed", _unclosed)
        others = np.setdiff1d(np.arange(len(starts)), list(found))
        if only_first and found:
            others = others[others < min(found)]

        def reads(rows: Any, names: Sequence[str] = self._columns) -> bool:
            types = {name: self._types[name] for name in names}
            try:
                self._converted(piece.file, rows_joined(data, starts[rows], stops[rows]), types, len(rows))
            except self.puzzled_by:
                return False
            return True

        for row in unreadable(reads, others, only_first=only_first):
            one = np.array([row])
            name = next((name for name in self._columns if not reads(one, [name])), self._columns[0])
            found[row] = self._misfit(row, name, self._text(piece, rows_joined(data, starts[one], stops[one]), name))
        rows = sorted(found)
        return [found[row] for row in (rows[:1] if only_first else rows)]

    def _text(self, piece: Piece, row: bytes, name: str) -> str | None:
        value = self._table(piece.file, row, [name], {name: pa.binary()}).column(0)[0].as_py()
        return None if value is None else value.decode(errors="replace")

    def _misfit(self, row: int, name: str, value: str | None) -> Bad:
        kind = self._types[name]
        holds = "has no value, and" if value is None else f"holds {value!r:.60}, which is"
        what = f"{kind.field(name).type_text}{' knows none' if value is None else ''}"
        reason = f"column {name!r} {holds} {what if value is None else f'no {what}'}"

        def error(place: str) -> ColumnValueError:
            why = "as schema= says" if kind.is_declared else "the type of the first rows"
            better = kind.wider(value)
            return ColumnValueError(
                f"{_WHERE}: {place}: {reason}, {why}; mend the file, pass schema={{{name!r}: {better!r}}}, say, or "
                "on_error='quarantine'."
            )

        return Bad(row, reason, error)

    def _wrong_lengths(self, piece: Piece, data: bytes) -> list[Bad]:
        wrong: list[Any] = []

        def handler(row: Any) -> str:
            wrong.append(row)
            return "skip"

        first = self._heads[piece.file].names[0]
        # Arrow gives the handler a line as text, and fails where it is none; what counts here is where fields end.
        ascii_only = data if data.isascii() else data.translate(_NO_TEXT)
        self._table(piece.file, ascii_only, [first], {first: pa.binary()}, handler)
        return [self._wrong_length(row) for row in wrong]

    @staticmethod
    def _wrong_length(row: Any) -> Bad:
        fields = f"{row.actual_columns} field{'s' if row.actual_columns != 1 else ''}"
        reason = f"{fields}, and there are {row.expected_columns} columns"

        def error(place: str) -> FileFormatError:
            return FileFormatError(
                f"{_WHERE}: {place}: {reason}; mend the line, pass the right separator= or quote=, or "
                "on_error='quarantine'."
            )

        return Bad(row.number - 1, reason, error)


_NO_TEXT = bytes(byte if byte < 128 else ord("?") for byte in range(256))


def _unclosed(place: str) -> FileFormatError:
    return FileFormatError(
        f"{_WHERE}: {place}: a quotation mark is opened and never closed; mend the line, or pass quote=None where marks mean "
        "nothing."
    )


def _one_byte(value: object, name: str, *, also: str) -> str:
    if not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in also:
        raise ValueError(f"{_WHERE}: {name} is one ASCII character that has no other meaning; got {value!r}.")
    return value


def _names(header: object) -> tuple[str, ...]:
    names = list(header) if isinstance(header, Iterable) and not isinstance(header, (str, bytes)) else []
    if not names or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise ValueError(
            f"{_WHERE}: header is True where the files have the names of the columns, else a list of different names; got "
            f"{header!r:.60}."
        )
    return tuple(names)


def _lacks_values(samples: list[Any], names: list[str]) -> bool:
    return any(all(sample.column(name).null_count == len(sample) for sample in samples) for name in names)
