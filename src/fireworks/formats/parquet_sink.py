"""A pipe into Parquet: row group after row group, in one file or in shards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from fireworks._internal.checks import check_count
from fireworks.formats.arrow_ipc import table_for
from fireworks.formats.parquet import blamed
from fireworks.formats.sink import LOOKED_AT, fitting, regrouped, rows_at_once, write_shards
from fireworks.message import Message

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe

_WHERE = "to_parquet"
_GROUP_ROWS = 2**17
_GROUP_BYTES = 2**25


def to_parquet(
    pipe: Pipe,
    path: str | Path,
    *,
    shard_rows: int | None = None,
    shard_bytes: int | str | None = None,
    progress: bool = False,
    row_group_rows: int | None = None,
    compression: str | None = "snappy",
) -> list[Path]:
    """Write all rows of epoch 0 of a pipe as Parquet; return the paths of the files.

    Rows stream through: a row group at a time is in memory. The file, or the folder of shards, takes the place of what
    stood there when all of it is written, so a crash leaves the old or the new, never half. ``fw.read_parquet(path)`` gives
    the same columns and rows back; gradients and devices are not kept.

    Args:
        pipe: Rows, or batches, whose rows are written.
        path: The file; with shards the folder, in which ``part-00000.parquet``, … are made.
        shard_rows: Rows of each shard; the last may have fewer.
        shard_bytes: A number, or a text like ``"256MB"``: a shard ends with the row group by which its file has reached it.
        progress: Whether to show a bar, if it takes long and there is a terminal.
        row_group_rows: Rows of each row group, which is what is read at a time; if not given 131,072, or fewer where these
            would take more than 32 MB.
        compression: ``"snappy"``, ``"zstd"``, ``"lz4"``, ``"gzip"``, ``"brotli"``, or None.

    Raises:
        ValueError: a number is none, or the compression is unknown.
        ColumnTypeError: a column holds what Parquet can't keep; it is named.
        SchemaMismatchError: a column has another type in later rows.
        FileExistsError: the folder holds something else than such shards.
        OSError: the files can't be written; what was there before is still whole.

    Example:
        >>> import tempfile
        >>> rows = fw.source({"n": torch.arange(5), "word": list("abcde")})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = rows.to_parquet(f"{folder}/rows", shard_rows=2)
        ...     [file.name for file in files], fw.read_parquet(f"{folder}/rows").to_message() == rows.to_message()
        (['part-00000.parquet', 'part-00001.parquet', 'part-00002.parquet'], True)
    """
    if row_group_rows is not None:
        check_count(row_group_rows, at_least=1, where=f"{_WHERE}: row_group_rows")
    known = ("snappy", "zstd", "lz4", "gzip", "brotli")
    if compression is not None and compression not in known:
        raise ValueError(f"{_WHERE}: compression is one of {', '.join(map(repr, known))} or None; got {compression!r}.")
    return write_shards(
        pipe,
        path,
        partial(_write, group_rows=row_group_rows, compression=compression),
        suffix=".parquet",
        where=_WHERE,
        shard_rows=shard_rows,
        shard_bytes=shard_bytes,
        progress=progress,
        piece_rows=min(LOOKED_AT, row_group_rows or LOOKED_AT),
    )


def _write(messages: Iterator[Message], file: BinaryIO, *, group_rows: int | None, compression: str | None) -> None:
    first = next(messages)
    groups = regrouped(chain([first], messages), group_rows or rows_at_once(first, _GROUP_ROWS, _GROUP_BYTES))
    first = next(groups)
    table = table_for(first, portable=True, where=_WHERE)
    schema = table.schema
    try:
        options: dict[str, Any] = {"compression": compression or "none", "write_page_checksum": True}
        with pq.ParquetWriter(file, schema, **options) as writer:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            done = table.num_rows
            for message in groups:
                del table  # before the next one is made
                table = fitting(table_for(message, portable=True, where=_WHERE), schema, done, where=_WHERE)
                writer.write_table(table, row_group_size=table.num_rows)
                done += table.num_rows
    except pa.ArrowException as error:
        raise blamed(table, error, where=_WHERE) from error
