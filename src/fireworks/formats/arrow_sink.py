"""A pipe into Arrow files (Feather): record batch after record batch, in one file or in shards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from fireworks._internal.checks import check_count
from fireworks.errors import SchemaMismatchError
from fireworks.formats.arrow_ipc import table_for
from fireworks.formats.sink import fitting, regrouped, rows_at_once, write_shards
from fireworks.message import Message
from fireworks.message.interchange.arrow_columns import one_array

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe

_WHERE = "to_feather"
_BATCH_ROWS = 2**16
_BATCH_BYTES = 2**24


def to_feather(
    pipe: Pipe,
    path: str | Path,
    *,
    compression: str | None = "lz4",
    batch_rows: int | None = None,
    shard_rows: int | None = None,
    shard_bytes: int | str | None = None,
    progress: bool = False,
) -> list[Path]:
    """Write all rows of epoch 0 of a pipe as Arrow files (Feather); return the paths of the files.

    Rows stream through, and the files are there whole or not at all, as in `to_csv`. ``fw.read_arrow(path)`` gives the same
    columns and rows back; gradients and devices are not kept.

    Args:
        pipe: Rows, or batches, whose rows are written.
        path: The file; with shards the folder, in which ``part-00000.arrow``, … are made.
        compression: ``"lz4"``, ``"zstd"``, or None, with which reading is mapping into memory.
        batch_rows: Rows of each record batch; if not given 65,536, or fewer where these would take more than 16 MB.
        shard_rows: Rows of each shard; the last may have fewer.
        shard_bytes: A number, or a text like ``"256MB"``: a shard ends with the record batch by which its file has reached
            it.
        progress: Whether to show a bar, if it takes long and there is a terminal.

    Raises:
        ValueError: an argument is none.
        ColumnTypeError: a column holds what Arrow can't give back; it is named.
        SchemaMismatchError: a column has another type, or other categories, in later rows.
        FileExistsError: the folder holds something else than such shards.
        OSError: the files can't be written; what was there before is still whole.

    Example:
        >>> import tempfile
        >>> rows = fw.source({"x": torch.rand(5, 3), "word": list("abcde")})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = rows.to_feather(f"{folder}/rows.arrow", compression=None)
        ...     fw.read_arrow(files).to_message() == rows.to_message()
        True
    """
    if compression not in {None, "lz4", "zstd"}:
        raise ValueError(f"{_WHERE}: compression is 'lz4', 'zstd' or None; got {compression!r}.")
    if batch_rows is not None:
        check_count(batch_rows, at_least=1, where=f"{_WHERE}: batch_rows")
    return write_shards(
        pipe,
        path,
        partial(_write, compression=compression, batch_rows=batch_rows),
        suffix=".arrow",
        where=_WHERE,
        shard_rows=shard_rows,
        shard_bytes=shard_bytes,
        progress=progress,
    )


def _write(messages: Iterator[Message], file: BinaryIO, *, compression: str | None, batch_rows: int | None) -> None:
    first = next(messages)
    groups = regrouped(chain([first], messages), batch_rows or rows_at_once(first, _BATCH_ROWS, _BATCH_BYTES))
    schema: Any = None
    writer: Any = None
    row = 0
    try:
        for message in groups:
            table = table_for(message, portable=True, where=_WHERE)
            if writer is None:
                schema = table.schema
                writer = pa.ipc.new_file(file, schema, options=pa.ipc.IpcWriteOptions(compression=compression))
            arrays = [one_array(column) for column in fitting(table, schema, row, where=_WHERE).columns]
            try:
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            except pa.ArrowInvalid as error:
                raise SchemaMismatchError(
                    f"{_WHERE}: a categorical column has other categories from row {row} of the file on ({error}); give it "
                    "the same in all rows, or make it text, by pipe.cast."
                ) from error
            row += len(message)
    finally:
        if writer is not None:
            writer.close()
