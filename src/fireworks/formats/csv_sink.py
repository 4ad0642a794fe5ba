"""A pipe into CSV: some thousand rows at a time, in one file or in shards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fireworks.errors import FireworksError
from fireworks.formats.csv import write_csv
from fireworks.formats.packed_output import METHODS, check_method, packed_output
from fireworks.formats.sink import write_shards
from fireworks.message import Message

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe

_WHERE = "to_csv"


def to_csv(
    pipe: Pipe,
    path: str | Path,
    *,
    separator: str | None = None,
    null_value: str = "",
    compression: str | None = None,
    shard_rows: int | None = None,
    shard_bytes: int | str | None = None,
    progress: bool = False,
) -> list[Path]:
    """Write all rows of epoch 0 of a pipe as CSV; return the paths of the files.

    Rows stream through. The file, or the folder of shards, takes the place of what stood there when all of it is written,
    so a crash leaves the old or the new, never half. ``fw.read_csv(path, schema=pipe.schema)`` gives the same rows back: what
    is written is as `Message.to_csv` has it.

    Args:
        pipe: Rows, or batches, whose rows are written.
        path: The file; with shards the folder, in which ``part-00000.csv``, … are made, each with the names of the columns.
        separator: One character between fields; a comma if not given, in ``.tsv`` a tab.
        null_value: The text of a missing value; a text that is the same is put in quotation marks.
        compression: ``"gzip"``, ``"bz2"`` or ``"zstd"``; if not given what the name of the file says: ``rows.csv.gz``.
        shard_rows: Rows of each shard; the last may have fewer.
        shard_bytes: A number, or a text like ``"256MB"``: a shard ends with the rows by which its file has reached it.
        progress: Whether to show a bar, if it takes long and there is a terminal.

    Raises:
        ValueError: an argument is none.
        ColumnTypeError: a column holds what text can't give back; it is named.
        ColumnValueError: a text can't be written.
        FileExistsError: the folder holds something else than such shards.
        OSError: the files can't be written; what was there before is still whole.

    Example:
        >>> import tempfile
        >>> rows = fw.source({"n": torch.arange(5), "word": list("abcde")})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = rows.to_csv(f"{folder}/rows", shard_rows=3)
        ...     [file.name for file in files], files[1].read_text().split()
        (['part-00000.csv', 'part-00001.csv'], ['n,word', '3,d', '4,e'])
    """
    is_folder = shard_rows is not None or shard_bytes is not None
    method = check_method(compression, path, is_folder=is_folder, where=_WHERE)
    if separator is None:
        separator = "\t" if ".tsv" in Path(path).suffixes and not is_folder else ","
    write_csv(Message(), sep=separator, na_rep=null_value)  # which says it where they are none
    return write_shards(
        pipe,
        path,
        partial(_write, separator=separator, null_value=null_value, method=method),
        suffix=".csv" + METHODS.get(method or "", ""),
        where=_WHERE,
        shard_rows=shard_rows,
        shard_bytes=shard_bytes,
        progress=progress,
    )


def _write(messages: Iterator[Message], file: BinaryIO, *, separator: str, null_value: str, method: str | None) -> None:
    row, names = 0, 0
    with packed_output(file, method) as packed:
        for message in messages:
            try:
                text = write_csv(message, sep=separator, na_rep=null_value) or ""
                if not row:
                    names = len(write_csv(message[:0], sep=separator, na_rep=null_value) or "")
                packed.write((text if not row else text[names:]).encode())
            except FireworksError as error:
                error.add_note(f"In {_WHERE}, where row 0 is row {row} of the file.")
                raise
            row += len(message)
            packed.flush()
