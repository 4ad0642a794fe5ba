"""Arrow files and stored Arrow streams as a source: record batches as they lie on the disk, mapped into memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import numpy as np
import pandas as pd
import pyarrow as pa

from fireworks._internal.checks import check_columns
from fireworks.core.pipe import Pipe
from fireworks.errors import FileFormatError, SchemaMismatchError
from fireworks.formats.arrow_layout import Layout, layout_of_file
from fireworks.formats.block_source import Blocks, BlockSource, Piece
from fireworks.formats.files import Files
from fireworks.message import Message, Schema
from fireworks.message.columns import Column
from fireworks.message.interchange.arrow import columns_of_table, named_columns

_WHERE = "read_arrow"
_SUFFIXES = (".arrow", ".feather", ".arrows", ".ipc")
_OPEN_FILES = 16
_BLOCK_ROWS, _BLOCK_BYTES = 2**18, 2**23


def read_arrow(path: str | Path | Iterable[str | Path], columns: str | Sequence[str] | None = None) -> Pipe:
    """Return a pipe over the rows of Arrow files (Feather, version 2) and stored Arrow streams.

    Files are mapped into memory: columns of numbers and texts of an uncompressed file are views of it, so reading costs
    next to nothing. Compressed record batches are decoded when rows of them are asked for. Nothing but the metadata is
    read to make the pipe.

    Args:
        path: A file; a folder, for all ``.arrow``, ``.feather``, ``.arrows`` and ``.ipc`` in it; a pattern; a URL; or a
            list of these. Files of a folder or a pattern come in the order of their names.
        columns: Their names; all if not given.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a file is no Arrow file, or is cut short; the record batch is named.
        SchemaMismatchError: two files don't have the same columns.
        ColumnNotFoundError: no such column.

    Source:
        the Arrow columnar format: IPC messages and files.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.arrow"
        >>> fw.Message({"n": [1, 2, 3], "x": torch.rand(3, 4)}).to_feather(path)
        >>> rows = fw.read_arrow(path)
        >>> len(rows), rows[1:]["n"].tolist(), rows[0]["x"].shape
        (3, [2, 3], torch.Size([1, 4]))
    """
    return ArrowSource(path, columns)


@final
class ArrowSource(BlockSource):
    """The rows of Arrow files, record batch after record batch, file after file; see `read_arrow`.

    A column has one type in all files: where any record batch has a null it is the nullable one, and a categorical column
    has the categories of all of them.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.arrow"
        >>> fw.Message({"n": [3, 1, 2], "word": ["c", "a", "b"]}).to_feather(path)
        >>> ArrowSource(path).select("n").to_message()["n"].tolist()
        [3, 1, 2]
    """

    def __init__(self, path: str | Path | Iterable[str | Path], columns: str | Sequence[str] | None = None) -> None:
        super().__init__(Files(path, where=_WHERE, suffixes=_SUFFIXES), ())
        self._layouts = [self._layout(number) for number in range(len(self.files))]
        self._arrow_schema = self._layouts[0].schema
        for number, layout in enumerate(self._layouts):
            self._require_same(layout.schema, number)
        # Where pandas noted an index it comes first, and one without a name gets one.
        self._stored = {name: self._arrow_schema.names[at] for name, at in named_columns(self._arrow_schema)}
        self._with_nulls = {
            name
            for layout in self._layouts
            for batch in layout.batches
            for name, has_null in zip(layout.schema.names, batch.nulls, strict=True)
            if has_null
        }
        self._columns = tuple(dict.fromkeys(check_columns(columns, list(self._stored), where=_WHERE)))

    def _forget(self) -> None:
        super()._forget()
        self._checked: set[tuple[int, int]] = set()

    def _layout(self, number: int) -> Layout:
        with self.files.open(number, kind="Arrow", broken=(pa.ArrowException,)) as file:
            return layout_of_file(file, name=self.files.names[number], where=_WHERE)

    def _require_same(self, found: Any, number: int) -> None:
        first = self._arrow_schema
        for schema in (first, found):
            twice = next((name for at, name in enumerate(schema.names) if name in schema.names[:at]), None)
            if twice is not None:
                raise SchemaMismatchError(
                    f"{_WHERE}: {self.files.names[number]!r} has the column {twice!r} twice; rename one."
                )
        for name in dict.fromkeys([*first.names, *found.names]):
            before, now = (
                part.field(name).type if part.get_field_index(name) >= 0 else "not there" for part in (first, found)
            )
            if before != now:
                raise SchemaMismatchError(
                    f"{_WHERE}: column {name!r} is {before} in {self.files.names[0]!r} and {now} in "
                    f"{self.files.names[number]!r}; files that are read as one need the same columns: read them one by one, or "
                    "write them again."
                )

    # --- as a source of blocks ------------------------------------------------------------------------------------

    @cached_property
    def schema(self) -> Schema:
        """The columns, from the metadata; of a categorical column the categories are read."""
        return self._no_rows.schema

    @cached_property
    def _no_rows(self) -> Message:
        return self._message(self._arrow_schema.empty_table().select(self._in_file(self._columns)), self._categories)

    def measured(self) -> Blocks:
        """Return where the rows are, by their numbers in their files: record batches, long ones in several parts."""
        found = []
        for file, layout in enumerate(self._layouts):
            at = 0
            for batch in layout.batches:
                row_bytes = (batch.stop - batch.start) / max(1, batch.num_rows)
                step = max(1, min(_BLOCK_ROWS, int(_BLOCK_BYTES / max(1.0, row_bytes))))
                found += [
                    (file, at + row, at + min(row + step, batch.num_rows)) for row in range(0, batch.num_rows, step)
                ]
                at += batch.num_rows
        return Blocks(
            [file for file, _, _ in found],
            [start for _, start, _ in found],
            [stop for _, _, stop in found],
            [stop - start for _, start, stop in found],
            [0] * len(found),
        )

    def bytes_of(self, first: int, last: int) -> int:
        """Return about how many bytes the rows of some blocks take."""
        blocks = self.blocks
        layout = self._layouts[int(blocks.file[first])]
        in_file = sum(batch.stop - batch.start for batch in layout.batches)
        num_rows = int(blocks.stop[last - 1] - blocks.start[first])
        return 1 + in_file * num_rows // max(1, layout.num_rows)

    def opened(self) -> AbstractContextManager[_Reader]:
        """Return what `raw` reads with."""
        return _Reader(self.files, self._layouts, self._in_file(self._columns), self._checked)

    def raw(self, reader: _Reader, piece: Piece) -> Any:
        """Return a piece as a table: views of the file where it is not compressed."""
        return reader.read(piece.file, piece.start, piece.stop)

    def decoded(self, piece: Piece, data: Any) -> Message:
        """Return the rows of a piece."""
        message = self._message(data, self._categories)
        for field in message.schema:
            if field != self.schema[field.name]:
                raise SchemaMismatchError(
                    f"{_WHERE}: column {field.name!r} is {self.schema[field.name].type_text} by the metadata, and "
                    f"{field.type_text} from row {piece.start} of {self.files.names[piece.file]!r} on; write the file again, or "
                    "read it with Message.read_feather."
                )
        return message

    def _in_file(self, columns: Sequence[str]) -> list[str]:
        return [self._stored[name] for name in columns]

    def _message(self, table: Any, categories: dict[str, pd.CategoricalDtype]) -> Message:
        """Decode a table to the types that the columns have in all record batches."""
        stored: dict[str, Column] = {}
        for name, in_file in zip(self._columns, self._in_file(self._columns), strict=True):
            part = table.select([in_file]).replace_schema_metadata(None)
            add_null = in_file in self._with_nulls
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
        """The categories of each categorical column in all record batches together."""
        found: dict[str, pd.CategoricalDtype] = {}
        empty = self._message(self._arrow_schema.empty_table().select(self._in_file(self._columns)), {})
        names = [field.name for field in empty.schema if isinstance(field.dtype, pd.CategoricalDtype)]
        if not names:
            return found
        with _Reader(self.files, self._layouts, self._in_file(names), set()) as reader:
            for file, layout in enumerate(self._layouts):
                # a file has one dictionary for all of its record batches, in a stream each may have its own
                for number in range(min(1, len(layout.batches)) if layout.is_file else len(layout.batches)):
                    table = reader.batch(file, number)
                    for name in names:
                        part = table.select([self._stored[name]]).replace_schema_metadata(None)
                        (column,) = columns_of_table(part).values()
                        found[name] = _joined_categories(found.get(name), column.dtype)
        for name in names:
            known: Any = empty.schema[name].dtype
            found.setdefault(name, known)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_categories"}


def _joined_categories(before: pd.CategoricalDtype | None, dtype: Any) -> pd.CategoricalDtype:
    if before is None:
        return dtype  # type: ignore[no-any-return]
    more = dtype.categories.difference(before.categories, sort=False)
    return pd.CategoricalDtype(before.categories.append(more), ordered=before.ordered) if len(more) else before


class _Reader:
    """Reads record batches; keeps the last files open, and the last record batch.

    Args:
        files: Where they are.
        layouts: Of each file.
        columns: The names in the files of those that are wanted.
        checked: The record batches that were found to be whole, of each file; what is read is added.
    """

    def __init__(
        self, files: Files, layouts: list[Layout], columns: Sequence[str], checked: set[tuple[int, int]]
    ) -> None:
        self._checked = checked
        self._files, self._layouts, self._columns = files, layouts, list(columns)
        self._open: OrderedDict[int, tuple[ExitStack, Any, Any]] = OrderedDict()
        self._last: tuple[int, int, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._last = None
        while self._open:
            self._open.popitem()[1][0].close()

    def read(self, file: int, start: int, stop: int) -> Any:
        """Return some rows of a file, by their numbers in it, as a table."""
        first_row = self._layouts[file].first_row
        first = int(np.searchsorted(first_row, start, side="right")) - 1
        parts = []
        for number in range(first, len(self._layouts[file].batches)):
            at = int(first_row[number])
            if at >= stop:
                break
            begin = max(start - at, 0)
            parts.append(self.batch(file, number).slice(begin, stop - at - begin))
        return pa.concat_tables(parts)

    def batch(self, file: int, number: int) -> Any:
        """Return one record batch as a table.

        Raises:
            FileFormatError: it is damaged.
            FileChangedError: the file is not the one that it was.
        """
        self._files.require_unchanged(file)
        if self._last is not None and self._last[:2] == (file, number):
            return self._last[2]
        layout = self._layouts[file]
        try:
            source, reader = self._source(file)
            batch = reader.get_batch(number) if layout.is_file else self._of_stream(layout, source, number)
            table = pa.Table.from_batches([batch]).select(self._columns)
            if (file, number) not in self._checked:  # offsets that lead out of the file would end the process
                table.validate(full=True)
                self._checked.add((file, number))
        except (pa.ArrowException, OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise FileFormatError(
                f"{_WHERE}: {self._files.names[file]!r} is damaged in record batch {number}: {error}; write it again."
            ) from error
        self._last = file, number, table
        return table

    def _of_stream(self, layout: Layout, source: Any, number: int) -> Any:
        start, stop = layout.batches[number].start, layout.batches[number].stop
        if not layout.dictionaries:
            source.seek(start)
            return pa.ipc.read_record_batch(pa.ipc.read_message(source), layout.schema)
        # A dictionary holds for all batches behind it: they are read as a stream that has all those before.
        parts = [(0, layout.schema_end), *(place for place in layout.dictionaries if place[1] <= start), (start, stop)]
        return pa.ipc.open_stream(b"".join(_bytes(source, *part) for part in parts)).read_next_batch()

    def _source(self, file: int) -> tuple[Any, Any]:
        if file not in self._open:
            stack = ExitStack()
            if self._files.is_local(file):
                source = pa.memory_map(self._files.names[file])
            else:
                source = pa.PythonFile(stack.enter_context(self._files.open(file, kind="Arrow")), mode="r")
            # Not closed: what was read may be views of it; it ends with the last of them.
            reader = None
            if self._layouts[file].is_file:
                names = self._layouts[file].schema.names
                # naming columns spares decoding the others, and makes Arrow copy where there is nothing to decode
                decodes = any(batch.is_compressed for batch in self._layouts[file].batches)
                wanted = sorted(names.index(name) for name in self._columns) if decodes else None
                reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=wanted))
            self._open[file] = stack, source, reader
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1][0].close()
        self._open.move_to_end(file)
        _, source, reader = self._open[file]
        return source, reader


def _bytes(source: Any, start: int, stop: int) -> bytes:
    source.seek(start)
    return bytes(source.read(stop - start))
