"""Text files as a source: one row per line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
import pyarrow as pa

from fireworks.core.pipe import Pipe
from fireworks.errors import FileFormatError
from fireworks.formats.block_source import Piece
from fireworks.formats.files import Files
from fireworks.formats.lines import Block, Places, Rule, rows_in, texts_between, without_ends
from fireworks.formats.text_blocks import Bad, TextBlockSource, unreadable
from fireworks.formats.text_reader import PACKED, check_encoding
from fireworks.message import Field, Message, Schema
from fireworks.message.columns import Column
from fireworks.message.interchange.arrow_columns import column_of_array

_WHERE = "read_text"
_SUFFIXES = tuple(kind + packed for kind in (".txt", ".text", ".log", ".md") for packed in ("", *PACKED))
_RULE = Rule()
_TEXT: Any = pd.api.types.pandas_dtype("str")
_ERRORS = ("strict", "replace", "ignore")


def read_text(
    path: str | Path | Iterable[str | Path],
    *,
    column: str = "text",
    file_column: str | None = None,
    line_column: str | None = None,
    keep_ends: bool = False,
    encoding: str = "utf-8",
    errors: str = "strict",
    on_error: str = "raise",
) -> Pipe:
    r"""Return a pipe over the lines of text files, which are read when they are asked for: one row per line.

    A line ends with a line feed, a carriage return, or both; the last one may end without. Empty lines are rows. Random
    access and packed files: as in `read_csv`.

    Args:
        path: A file of any name; a folder, for all ``.txt``, ``.text``, ``.log`` and ``.md`` in it; a pattern; a URL; or a
            list of these.
        column: The name of the column of the lines.
        file_column: The name of a column for the path of the file; None for none.
        line_column: The name of a column for the number of the line in its file, from 1; None for none.
        keep_ends: Whether the lines keep what ends them.
        encoding: As Python names it.
        errors: What becomes of bytes that are no text in that encoding: ``"strict"`` for an error, ``"replace"``,
            ``"ignore"``.
        on_error: ``"quarantine"`` sets aside lines that are not in UTF-8, with file, line and reason; the rest goes on, as
            a stream.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a line is no text in that encoding.
        ValueError: an argument is none, or a name is there twice.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "poem.txt"
        >>> _ = path.write_text("fire\nworks\n\nnow")
        >>> fw.read_text(path, line_column="line").to_message().to_dict()
        {'text': ['fire', 'works', '', 'now'], 'line': [1, 2, 3, 4]}
    """
    return TextSource(
        path,
        column=column,
        file_column=file_column,
        line_column=line_column,
        keep_ends=keep_ends,
        encoding=encoding,
        errors=errors,
        on_error=on_error,
    )


@final
class TextSource(TextBlockSource):
    r"""The lines of text files, file after file; see `read_text`, which takes the same arguments.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "poem.txt"
        >>> _ = path.write_text("fire\nworks\n")
        >>> TextSource(path, keep_ends=True)[1]["text"].tolist()
        ['works\n']
    """

    kind: ClassVar[str] = "text"
    puzzled_by: ClassVar[tuple[type[Exception], ...]] = (pa.ArrowException,)

    def __init__(
        self,
        path: str | Path | Iterable[str | Path],
        *,
        column: str = "text",
        file_column: str | None = None,
        line_column: str | None = None,
        keep_ends: bool = False,
        encoding: str = "utf-8",
        errors: str = "strict",
        on_error: str = "raise",
    ) -> None:
        if errors not in _ERRORS:
            raise ValueError(f"{_WHERE}: errors is one of {', '.join(map(repr, _ERRORS))}; got {errors!r}.")
        names = [name for name in (column, file_column, line_column) if name is not None]
        if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
            raise ValueError(f"{_WHERE}: the names of the columns must be different texts; got {names}.")
        files = Files(path, where=_WHERE, suffixes=_SUFFIXES)
        super().__init__(
            files, names, encoding=check_encoding(encoding, where=_WHERE), errors=errors, on_error=on_error
        )
        self._names = (column, file_column, line_column)
        self._keep_ends = keep_ends

    @cached_property
    def schema(self) -> Schema:
        """The column of the lines, and those that were asked for."""
        number = np.dtype("int64")
        return Schema([Field(name, number if name == self._names[2] else _TEXT) for name in self._columns])

    def how(self) -> str:
        """Return as text what besides the files makes the rows what they are."""
        return f"{super().how()} {self._names} {self._keep_ends} {self.encoding} {self._errors}"

    def blocks_of_file(self, number: int) -> Iterator[tuple[Block, int]]:
        """Yield the blocks of one file, each with the number of its first line."""
        return self.plain_blocks(number, _RULE)

    def places_of(self, data: bytes, number: int = 0) -> tuple[Places, Places]:  # noqa: ARG002
        """Return where each line of a piece begins and ends."""
        return rows_in(data, _RULE)

    def understood(self, piece: Piece, data: bytes) -> Message:
        """Return the lines of a piece."""
        columns: dict[str, Column] = {}
        text, file, line = self._names
        for name in self._columns:
            if name == text:
                columns[name] = self._text(data)
            elif name == file:
                path = pa.array([self.files.names[piece.file]], pa.large_string())
                columns[name] = column_of_array(
                    pa.chunked_array([path.take(pa.array(np.zeros(piece.num_rows, dtype=np.int64)))]), {}
                )
            elif name == line:
                columns[name] = np.arange(piece.line, piece.line + piece.num_rows)
        return Message._of(columns, piece.num_rows)

    def _text(self, data: bytes) -> Column:
        try:
            texts = self._texts(data)
        except pa.ArrowException:
            if self._errors == "strict":
                raise
            texts = self._texts(data.decode(errors=self._errors).encode())
        return column_of_array(pa.chunked_array([texts]), {})

    def _texts(self, data: bytes) -> pa.LargeStringArray:
        starts, stops = rows_in(data, _RULE)
        array = np.frombuffer(data, dtype=np.uint8)
        return texts_between(array, starts, stops if self._keep_ends else without_ends(array, starts, stops))

    def bad_rows(self, piece: Piece, data: bytes, *, only_first: bool) -> list[Bad]:  # noqa: ARG002
        """Return the lines that are no text."""
        starts, stops = rows_in(data, _RULE)

        def reads(rows: Any) -> bool:
            try:
                data[starts[rows[0]] : stops[rows[-1]]].decode()
            except UnicodeDecodeError:
                return False
            return True

        rows = unreadable(reads, np.arange(len(starts)), only_first=only_first)
        return [_no_text(row) for row in rows]


def _no_text(row: int) -> Bad:
    reason = "the line is no text in UTF-8"
    return Bad(
        row,
        reason,
        lambda place: FileFormatError(
            f"{_WHERE}: {place}: {reason}; pass the right encoding=, errors='replace', or on_error='quarantine'."
        ),
    )
