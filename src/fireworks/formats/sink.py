"""Pipes into files: streamed, in one file or a folder of shards, and there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import pyarrow as pa

from fireworks._internal.checks import check_count
from fireworks._internal.files import as_path, whole_file
from fireworks.core.budget import check_bytes
from fireworks.core.chunk import numbered, recut
from fireworks.core.failures import fold
from fireworks.core.run import Run
from fireworks.errors import SchemaMismatchError
from fireworks.formats.whole_folder import whole_folder
from fireworks.message import Message

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe

LOOKED_AT = 1024  # so many rows say how large rows are
Write: TypeAlias = "Callable[[Iterator[Message], BinaryIO], None]"
"""Writes the rows of some messages as one whole file. There is at least one message, which may be without rows, and all
have the same columns. Each is asked for when the one before is written, and then the file is looked at for its length."""


def write_shards(
    pipe: Pipe,
    path: str | Path,
    write: Write,
    *,
    suffix: str,
    where: str,
    shard_rows: int | None = None,
    shard_bytes: int | str | None = None,
    progress: bool = False,
    piece_rows: int = LOOKED_AT,
) -> list[Path]:
    r"""Write all rows of epoch 0 of a pipe, a few at a time, and return the paths of the files.

    A format needs one function, ``write``: it takes an iterator of messages and an open file, and writes one whole file::

        def _write(messages, file):
            first = next(messages)                       # there always is one; it may be without rows
            file.write(header(first))
            for message in chain([first], messages):
                file.write(lines(message))               # flush what you buffer, if shard_bytes is to be kept to

        def to_lines(pipe, path, *, shard_rows=None, shard_bytes=None, progress=False):
            return write_shards(pipe, path, _write, suffix=".txt", where="to_lines", shard_rows=shard_rows,
                                shard_bytes=shard_bytes, progress=progress)

    Without ``shard_rows`` and ``shard_bytes`` there is one file at ``path``. With one of them ``path`` is a folder of
    ``part-00000.txt``, ``part-00001.txt``, …, at least one. Either takes the place of what stood there only when all of it
    is written: after an error or a kill what was there before is still whole. An old folder is replaced as a whole, so no
    shard of it stays; one that holds anything but such shards is refused.

    Args:
        pipe: Rows, or batches, whose rows are written.
        path: The file, or with shards the folder.
        write: See above. What it raises comes through as it is; an OSError says that the file can't be written.
        suffix: How the names of shards end, ``".parquet"``.
        where: The verb, for the errors.
        shard_rows: Rows of each shard; the last may have fewer.
        shard_bytes: A number, or a text like ``"256MB"``: a shard ends with the message by which its file has reached it.
        progress: Whether to show a bar, if it takes long and there is a terminal.
        piece_rows: With ``shard_bytes``, the most rows of a message.

    Raises:
        TypeError: ``path`` is no path.
        ValueError: ``shard_rows`` or ``shard_bytes`` is no such number, or ``path`` is a URL.
        FileExistsError: the folder holds something else.
        OSError: the files can't be written; what was there before is still whole.

    Example:
        >>> import tempfile
        >>> def lines(messages, file):
        ...     for message in messages: file.write("".join(f"{n}\n" for n in message["n"].tolist()).encode())
        >>> rows = fw.source({"n": torch.arange(5)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = write_shards(rows, f"{folder}/n", lines, suffix=".txt", where="this example", shard_rows=2)
        ...     [(file.name, file.read_text().split()) for file in files]
        [('part-00000.txt', ['0', '1']), ('part-00001.txt', ['2', '3']), ('part-00002.txt', ['4'])]
    """
    max_rows = None if shard_rows is None else check_count(shard_rows, at_least=1, where=f"{where}: shard_rows")
    max_bytes = None if shard_bytes is None else check_bytes(shard_bytes, where=f"{where}: shard_bytes")
    if isinstance(path, str) and "://" in path:
        raise ValueError(
            f"{where}: files are written on this machine, and {path!r} is a URL; write them, then copy them."
        )
    target = as_path(path, where=where)
    rows = _Rows(pipe.progress(where) if progress else pipe)
    try:
        if max_rows is None and max_bytes is None:
            return [_one_file(target, rows, write, where)]
        if max_bytes is not None:
            rows.most = piece_rows
        return _folder(target, rows, write, suffix, where, max_rows, max_bytes)
    except OSError:
        if rows.error is not None:  # of the pipeline, not of the files that are written
            raise rows.error from rows.error.__cause__
        raise


class _Rows:
    """The rows of epoch 0 of a pipe, message after message, from where the last shard ended."""

    def __init__(self, pipe: Pipe) -> None:
        self._messages = self._read(pipe)
        self._ahead: list[Message] = []
        self.error: Exception | None = None
        self.most: int | None = None
        """The most rows of a message."""

    def _read(self, pipe: Pipe) -> Iterator[Message]:
        run = Run(0)
        pipe.note_pass(run)
        cursor = pipe.runnable.open(run)
        has_rows = False
        try:
            while (chunk := cursor.read(2**62)) is not None:
                if len(chunk.rows):
                    has_rows = True
                    yield chunk.message
            if not has_rows:
                yield pipe.runnable.no_rows()
        except Exception as error:
            fold(error)
            self.error = error
            raise
        run.book.report()

    def is_at_end(self) -> bool:
        """Tell whether there are no more rows."""
        if not self._ahead:
            self._ahead = [message for message in [next(self._messages, None)] if message is not None]
        return not self._ahead

    def shard(self, file: BinaryIO, max_rows: int | None, max_bytes: int | None) -> Iterator[Message]:
        """Yield the messages of one file."""
        missing = max_rows
        while not self.is_at_end():
            message = self._ahead.pop()
            wanted = min(some for some in (missing, self.most, len(message)) if some is not None)
            if len(message) > wanted:
                self._ahead = [message[wanted:]]
                message = message[:wanted]
            yield message
            if missing is not None:
                missing -= len(message)
            if missing == 0 or (max_bytes is not None and file.tell() >= max_bytes):
                return


def _one_file(target: Path, rows: _Rows, write: Write, where: str) -> Path:
    if target.is_dir():
        raise IsADirectoryError(
            errno.EISDIR,
            f"{where}: {str(target)!r} is a folder; name a file in it, or give shard_rows= or shard_bytes=.",
        )
    with whole_file(target, where=where) as file:
        write(rows.shard(file, None, None), file)
    return target


def _folder(
    target: Path,
    rows: _Rows,
    write: Write,
    suffix: str,
    where: str,
    max_rows: int | None,
    max_bytes: int | None,
) -> list[Path]:
    target = Path(os.path.realpath(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{where}: there is no folder {str(target.parent)!r}; make it first.")
    is_shard = re.compile(rf"part-\d{{5,}}{re.escape(suffix)}").fullmatch
    names: list[str] = []
    with whole_folder(target, lambda entry: bool(is_shard(entry.name)), where=where) as new:
        while not names or not rows.is_at_end():
            names.append(f"part-{len(names):05}{suffix}")
            _shard(new / names[-1], rows, write, where, max_rows, max_bytes)
    return [target / name for name in names]


def _shard(path: Path, rows: _Rows, write: Write, where: str, max_rows: int | None, max_bytes: int | None) -> None:
    try:
        with path.open("xb") as file:
            write(rows.shard(file, max_rows, max_bytes), file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if rows.error is not None or error.errno is None:
            raise
        raise OSError(
            error.errno,
            f"{where}: {path.name!r} can't be written: {error.strerror or error}. What was there before is still whole",
        ) from error


def regrouped(messages: Iterator[Message], num_rows: int) -> Iterator[Message]:
    """Cut messages into ones of exactly ``num_rows``; only the last may be shorter, and one without rows stays.

    Example:
        >>> parts = iter([fw.Message({"n": [1, 2, 3]}), fw.Message({"n": [4, 5]})])
        >>> [part["n"].tolist() for part in regrouped(parts, 2)]
        [[1, 2], [3, 4], [5]]
    """
    first = next(messages)
    if not len(first):
        yield first
        return
    for chunk in recut((numbered(message) for message in chain([first], messages)), num_rows):
        yield chunk.message


def rows_at_once(message: Message, most_rows: int, most_bytes: int) -> int:
    """Return how many rows go into one piece of a file, from the first rows alone: never from how they happen to come."""
    looked_at = message[:LOOKED_AT]
    row_bytes = -(-looked_at.num_bytes // max(1, len(looked_at)))
    return max(1, min(most_rows, most_bytes // max(1, row_bytes)))


def fitting(table: Any, schema: Any, row: int, *, where: str) -> Any:
    """Return a table of Arrow with the types of the first piece of its file, where it holds nothing else than nulls.

    Args:
        table: Rows.
        schema: Of the first piece.
        row: The number of the first row in the file, for the error.
        where: Who writes, for the error.

    Raises:
        SchemaMismatchError: a column differs.
    """
    for position, (field, found) in enumerate(zip(schema, table.schema, strict=True)):
        if found.equals(field, check_metadata=True):
            continue
        if pa.types.is_null(found.type):
            table = table.set_column(position, field, table.column(position).cast(field.type))
            continue
        differs = f"{field.type}, and {found.type}" if found.type != field.type else f"{found.type} with another note"
        raise SchemaMismatchError(
            f"{where}: column {field.name!r} is {differs} from row {row} of the file on; give it one type, by pipe.cast or in "
            "the function that makes it."
        )
    return table
