"""JSON lines as a source: one object per line, read by Arrow, with random access and errors that name the line."""

from __future__ import annotations

import json as python_json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
from pyarrow import json

from fireworks._internal.checks import check_columns
from fireworks.core.pipe import Pipe
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError, FileFormatError
from fireworks.formats.block_source import Piece
from fireworks.formats.files import Files
from fireworks.formats.fixed_types import FixedType, declared, found_in, message_of, text_type
from fireworks.formats.lines import Block, Places, Rule, rows_in
from fireworks.formats.spelling import is_text_type
from fireworks.formats.text_blocks import Bad, TextBlockSource, rows_joined, unreadable
from fireworks.formats.text_reader import PACKED, check_encoding
from fireworks.message import Message, Schema

_WHERE = "read_json"
_SUFFIXES = tuple(kind + packed for kind in (".jsonl", ".ndjson", ".json") for packed in ("", *PACKED))
_SAMPLE_BYTES = 2**20  # that types are inferred from
_LARGEST_PIECE = 2**31 - 1
_RULE = Rule(empty="skip blank")


def read_json(
    path: str | Path | Iterable[str | Path],
    columns: str | Sequence[str] | None = None,
    *,
    schema: Schema | Mapping[str, Any] | None = None,
    encoding: str = "utf-8",
    on_error: str = "raise",
) -> Pipe:
    r"""Return a pipe over the rows of JSON lines files, which are read when they are asked for: one object per line.

    The fields are the columns. Their types are declared by ``schema``, or found in the first megabyte of the first file
    and then fixed: a later value of another type, and a field that was not there, is an error with file and line. A
    field that a row lacks is a missing value, as null is. Text stays text: ``"2020-01-31"`` is no date unless ``schema`` says
    so. Lists and objects become columns of Arrow's types; ``schema={"x": (torch.float32, 3)}`` or `tensors` makes tensors of
    lists of numbers. Empty lines are skipped. Random access and packed files: as in `read_csv`.

    Args:
        path: A file; a folder, for all ``.jsonl``, ``.ndjson`` and ``.json`` in it; a pattern; a URL; or a list of these.
        columns: Their names; all if not given. With names, other fields are not looked at.
        schema: The types of columns, of all or of some.
        encoding: As Python names it.
        on_error: ``"quarantine"`` sets aside the lines that can't be read, with file, line, text and reason; the rest goes
            on, as a stream. See `Pipe.quarantined`.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a line is no JSON object, or has a field that the first rows don't have.
        ColumnNotFoundError: no such column.
        ColumnTypeError: a column has a type that JSON can't be read as.
        ColumnValueError: a value does not fit the type of its column.
        ValueError: an argument is none.

    Source:
        JSON Lines; RFC 8259.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.jsonl"
        >>> _ = path.write_text('{"n": 1, "x": [0.5, 1.0]}\n{"n": 2, "x": [1.5, 2.0]}\n')
        >>> rows = fw.read_json(path, schema={"x": (torch.float32, 2)})
        >>> print(rows.schema)
        n: int64
        x: float32[2] tensor
        >>> rows[1]["x"].tolist()
        [[1.5, 2.0]]
    """
    return JsonSource(path, columns, schema=schema, encoding=encoding, on_error=on_error)


@final
class JsonSource(TextBlockSource):
    r"""The rows of JSON lines files, file after file; see `read_json`, which takes the same arguments.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.jsonl"
        >>> _ = path.write_text('{"n": 3}\n{"n": 1}\n')
        >>> JsonSource(path).to_message()["n"].tolist()
        [3, 1]
    """

    kind: ClassVar[str] = "JSON lines"
    puzzled_by: ClassVar[tuple[type[Exception], ...]] = (
        pa.ArrowException,
        ColumnTypeError,
        ColumnValueError,
        FileFormatError,
    )

    def __init__(
        self,
        path: str | Path | Iterable[str | Path],
        columns: str | Sequence[str] | None = None,
        *,
        schema: Schema | Mapping[str, Any] | None = None,
        encoding: str = "utf-8",
        on_error: str = "raise",
    ) -> None:
        files = Files(path, where=_WHERE, suffixes=_SUFFIXES)
        super().__init__(files, (), encoding=check_encoding(encoding, where=_WHERE), on_error=on_error)
        given = Schema({} if schema is None else schema)
        self._types = {field.name: declared(field, where=_WHERE, nested=True) for field in given}
        self._infer()
        names = [*self._types]
        for field in given:
            if names and self._has_rows and field.name not in self._seen:
                raise ColumnNotFoundError(field.name, available=self._seen, where=f"{_WHERE}: schema")
        self._columns = tuple(dict.fromkeys(check_columns(columns, names, where=_WHERE)))
        self._all = frozenset(names) if columns is None else None  # the fields that a row may have

    def _infer(self) -> None:
        """Find the types of the fields that were not declared in the first rows that there are."""
        samples: list[Any] = []
        sampled = 0
        for number in range(len(self.files)):
            with self.reader() as reader:
                for block, line in self.blocks_of_file(number):
                    piece = Piece(number, block.start, block.stop, 0, block.num_rows, line)
                    if block.num_rows:
                        samples += self._sample(piece, self.raw(reader, piece))
                    sampled += block.stop - block.start
                    if sampled >= _SAMPLE_BYTES:
                        break
            if samples:
                break
        self._has_rows = bool(samples)
        self._seen = [*dict.fromkeys(name for sample in samples for name in sample.column_names)]
        order = [*self._seen, *(name for name in self._types if name not in self._seen)]
        types = dict(self._types)
        for name in self._seen:
            if name not in types:
                types[name] = _found_in(
                    [
                        sample.column(name) if name in sample.column_names else pa.nulls(len(sample))
                        for sample in samples
                    ]
                )
        self._types = {name: types[name] for name in order}

    def _sample(self, piece: Piece, data: bytes) -> list[Any]:
        try:
            return [_read(data, None, "infer")]
        except pa.ArrowException as error:
            starts, stops = self.places_of(data)
            # Declared types may be right where a guess fails; else the first line that is no object is the culprit.
            guesses: list[Any] = []
            for row, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
                value, reason = _parsed(data[start:stop])
                if reason is None:
                    guesses.append(value)
                elif self.on_error == "raise":
                    raise _no_object(row, reason).error(self.place(piece, data, row)) from error
            return [_guessed(guesses)] if guesses else []

    @cached_property
    def schema(self) -> Schema:
        """The columns, by what was declared and by the first rows."""
        return Schema([self._types[name].field(name) for name in self._columns])

    # --- rows -----------------------------------------------------------------------------------------------------

    def blocks_of_file(self, number: int) -> Iterator[tuple[Block, int]]:
        """Yield the blocks of one file, each with the number of its first line."""
        return self.plain_blocks(number, _RULE)

    def places_of(self, data: bytes, number: int = 0) -> tuple[Places, Places]:  # noqa: ARG002
        """Return where each row of a piece begins and ends."""
        return rows_in(data, _RULE)

    def understood(self, piece: Piece, data: bytes) -> Message:
        """Return the rows of a piece."""
        if not piece.num_rows:
            return self._no_rows[:]
        return self._converted(data, self._columns, piece.num_rows)

    def _converted(self, data: bytes, columns: Sequence[str], num_rows: int) -> Message:
        types = {name: self._types[name] for name in columns}
        others = "error" if self._all is not None and self._all == set(columns) else "ignore"
        table = _read(data, pa.schema([(name, kind.arrow) for name, kind in types.items()]), others)
        if table.num_rows != num_rows:
            raise FileFormatError(f"{_WHERE}: {num_rows} lines hold {table.num_rows} objects.")
        return message_of(table, types)

    # --- rows that can't be read ----------------------------------------------------------------------------------

    def bad_rows(self, piece: Piece, data: bytes, *, only_first: bool) -> list[Bad]:  # noqa: ARG002
        """Return the lines that are no objects, and those with a value that is not of its column's type."""
        starts, stops = self.places_of(data)

        def reads(rows: Any, columns: Sequence[str] = self._columns) -> bool:
            try:
                self._converted(rows_joined(data, starts[rows], stops[rows]), columns, len(rows))
            except self.puzzled_by:
                return False
            return True

        rows = unreadable(reads, np.arange(len(starts)), only_first=only_first)
        return [self._bad(row, data[starts[row] : stops[row]], reads) for row in rows]

    def _bad(self, row: int, line: bytes, reads: Any) -> Bad:
        value, reason = _parsed(line)
        if reason is not None:
            return _no_object(row, reason)
        new = next((name for name in value if self._all is not None and name not in self._all), None)
        if new is not None:
            reason = f"the field {new!r} is none of the first rows"
            return Bad(
                row,
                reason,
                lambda place: FileFormatError(
                    f"{_WHERE}: {place}: {reason}, which have {', '.join(self._types)}; declare it by schema={{{new!r}: …}}, "
                    "name the columns to read, or pass on_error='quarantine'."
                ),
            )
        one = np.array([row])
        name = next((name for name in self._columns if not reads(one, [name])), None)
        if name is None:
            return _no_object(row, "it can't be read together with other lines")
        return self._misfit(row, name, value.get(name))

    def _misfit(self, row: int, name: str, value: Any) -> Bad:
        kind = self._types[name]
        what = kind.field(name).type_text
        text = python_json.dumps(value, ensure_ascii=False)
        reason = (
            f"column {name!r} has no value, and {what} knows none"
            if value is None
            else (f"column {name!r} holds {text:.60}, which is no {what}")
        )

        def error(place: str) -> ColumnValueError:
            why = "as schema= says" if kind.is_declared else "the type of the first rows"
            return ColumnValueError(
                f"{_WHERE}: {place}: {reason}, {why}; mend the file, pass schema={{{name!r}: {kind.wider(value)!r}}}, say, "
                "or on_error='quarantine'."
            )

        return Bad(row, reason, error)


def _read(data: bytes, schema: Any, others: str) -> Any:
    return json.read_json(
        pa.BufferReader(data),
        json.ReadOptions(use_threads=False, block_size=min(len(data) + 1, _LARGEST_PIECE)),
        json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
    )


def _parsed(line: bytes) -> tuple[Any, str | None]:
    """Return the object of a line, and why it is none."""
    twice: list[str] = []

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice.append(next(name for at, name in enumerate(names) if name in names[:at]))
        return found

    try:
        value = python_json.loads(line, object_pairs_hook=as_dict)
    except (ValueError, RecursionError) as error:
        return None, f"it is no JSON: {error}"
    if not isinstance(value, dict):
        return None, f"it is no object, but {line.decode(errors='replace').strip():.40}"
    return value, f"it has the field {twice[0]!r} twice" if twice else None


def _no_object(row: int, reason: str) -> Bad:
    return Bad(
        row,
        reason,
        lambda place: FileFormatError(
            f"{_WHERE}: {place}: {reason}; each line is to be one object: mend the line, or pass on_error='quarantine'."
        ),
    )


def _guessed(rows: list[dict[str, Any]]) -> Any:
    """Return rows as a table whose columns of mixed types are text."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, OverflowError):
            first = next(value for value in values if value is not None)
            columns[name] = pa.array([first], size=1).take(pa.array([0] * len(values)))
    return pa.table(columns)


def _found_in(samples: list[Any]) -> FixedType:
    kinds = [_without_guesses(sample.type) for sample in samples if not pa.types.is_null(sample.type)]
    if kinds and pa.types.is_nested(kinds[0]):
        whole = (
            pa.unify_schemas([pa.schema([("", kind)]) for kind in kinds], promote_options="permissive").field(0).type
        )
        (field,) = Message({"": pa.chunked_array([pa.nulls(0, whole)])}).schema
        return FixedType(whole, field)
    if kinds and is_text_type(kinds[0]):
        return found_in([pa.chunked_array([pa.nulls(0, text_type)])])
    return found_in(
        [sample if isinstance(sample, pa.ChunkedArray) else pa.chunked_array([sample]) for sample in samples]
    )


def _without_guesses(kind: Any) -> Any:
    """Return a type in which texts that look like times are texts again, and what was always null is text."""
    types = pa.types
    if types.is_timestamp(kind) or types.is_null(kind) or types.is_date(kind) or types.is_time(kind):
        return pa.string()
    if types.is_list(kind):
        return pa.list_(_without_guesses(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_without_guesses(field.type)) for field in kind])
    return kind
