"""Parquet: a file of columns that keeps every type and is read by nearly everything."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fireworks._internal.checks import check_columns, check_no_index
from fireworks._internal.files import open_file, whole_file
from fireworks.errors import ColumnTypeError
from fireworks.formats.arrow_ipc import table_for
from fireworks.message import Message
from fireworks.message.interchange.arrow import columns_of_table

_SCHEMA = b"ARROW:schema"  # where Arrow notes the types that Parquet lacks


def write_parquet(message: Message, path: str | Path, *, index: bool | None = None, **options: Any) -> None:
    """Write a message as Parquet; see `Message.to_parquet`."""
    check_no_index(index, where="Message.to_parquet")
    table = table_for(message, portable=True, where="Message.to_parquet")
    options = {"write_page_checksum": True, "use_dictionary": True} | options
    if options["use_dictionary"] is not True:  # categories that no row has are in a dictionary or nowhere
        kept = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
        options["use_dictionary"] = [*(options["use_dictionary"] or ()), *kept]
    with whole_file(path, where="Message.to_parquet") as file:
        try:
            pq.write_table(table, file, **options)
        except pa.ArrowException as error:
            raise blamed(table, error) from error


def blamed(table: Any, error: Exception, *, where: str = "Message.to_parquet") -> Exception:
    """Return an error that names the column that Parquet can't hold; where it is none of them, the error itself."""
    for name in table.column_names:
        try:
            pq.write_table(table.select([name]), pa.BufferOutputStream())
        except pa.ArrowException as reason:
            return ColumnTypeError(
                f"{where}: column {name!r} holds {table.schema.field(name).type}, which Parquet can't keep as it "
                f"is: {reason}. Convert it, leave it out with drop, or use to_feather."
            )
    return error


def read_parquet(path: str | Path, columns: str | Sequence[str] | None = None) -> Message:
    """Read a Parquet file; see `Message.read_parquet`."""
    where = "Message.read_parquet"
    with open_file(path, where=where, kind="Parquet", broken=(pa.ArrowException,)) as file:
        reader = pq.ParquetFile(file, page_checksum_verification=True)
        wanted = check_columns(columns, reader.schema_arrow.names, where=where)
        table = reader.read() if columns is None else reader.read(columns=wanted).select(wanted)
        return Message(columns_of_table(as_written(table, reader.metadata.metadata or {})))


def as_written(table: Any, metadata: dict[bytes, bytes]) -> Any:
    """Return the table with the types that Arrow notes and doesn't restore itself: seconds, categories of numbers."""
    if _SCHEMA not in metadata:
        return table
    written = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(metadata[_SCHEMA])))
    for position, field in enumerate(table.schema):
        noted = written.get_field_index(field.name)  # -1 where the name is there twice
        if noted >= 0 and written.field(noted).type != field.type:
            kind = written.field(noted).type
            table = table.set_column(position, field.with_type(kind), table.column(position).cast(kind))
    return table
