"""Arrow's own file, also called Feather: columns as they lie in memory, with every type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from fireworks._internal.checks import check_columns
from fireworks._internal.files import open_file, whole_file
from fireworks.errors import ColumnTypeError
from fireworks.message import Message
from fireworks.message.interchange.arrow import columns_of_table, table_of
from fireworks.message.interchange.arrow_columns import one_array

_MAGIC = b"ARROW1"  # of a file; a stream begins at once


def write_feather(message: Message, path: str | Path, *, compression: str | None = "lz4") -> None:
    """Write a message as an Arrow file; see `Message.to_feather`."""
    if compression not in {None, "lz4", "zstd"}:
        raise ValueError(f"Message.to_feather: compression is 'lz4', 'zstd' or None; got {compression!r}.")
    table = table_for(message, portable=True, where="Message.to_feather")
    with whole_file(path, where="Message.to_feather") as file:
        write_table(table, file, compression=compression)


def table_for(message: Message, *, portable: bool, where: str) -> Any:
    """Return a message as an Arrow table that is to be written; see `table_of`.

    Raises:
        ColumnTypeError: a column holds what Arrow can't; the error says who asked.
    """
    try:
        return table_of(message, portable=portable)
    except ColumnTypeError as error:
        raise ColumnTypeError(str(error).replace("Message.to_arrow", where, 1)) from error.__cause__


def write_table(table: Any, sink: Any, *, compression: str | None = None) -> None:
    """Write an Arrow table as an Arrow file; one of no rows as one batch of none, which keeps its categories."""
    options = pa.ipc.IpcWriteOptions(compression=compression, unify_dictionaries=True)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        if table.num_rows:
            writer.write_table(table)
        else:
            arrays = [one_array(column) for column in table.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=table.schema))


def read_feather(path: str | Path, columns: str | Sequence[str] | None = None) -> Message:
    """Read an Arrow file or a stored Arrow stream; see `Message.read_feather`."""
    where = "Message.read_feather"
    with open_file(path, where=where, kind="Arrow", broken=(pa.ArrowException,)) as file:
        is_file = file.read(len(_MAGIC)) == _MAGIC
        file.seek(0)
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        names = reader.schema.names
        wanted = check_columns(columns, names, where=where)
        if is_file and columns is not None:
            options = pa.ipc.IpcReadOptions(included_fields=[names.index(name) for name in wanted])
            reader = pa.ipc.open_file(file, options=options)
        table = reader.read_all()
        return Message(columns_of_table(table if columns is None else table.select(wanted)))
