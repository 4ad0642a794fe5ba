"""Between a message and Arrow: without loss both ways, and without copying wherever Arrow's layout is the column's own.

What Arrow's types would not bring back is noted beside a column: as JSON with a version, in the field's metadata, under
the key ``fireworks``. A table from elsewhere has no such notes and is read by its types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.columns import Column
from fireworks.message.interchange.arrow_columns import Note, array_of_column, column_of_array

if TYPE_CHECKING:
    from fireworks.message.message import Message

_KEY = b"fireworks"
_VERSION = 1


def table_of(message: Message, *, portable: bool = False) -> Any:
    """Return a message as an Arrow table; see `Message.to_arrow`.

    Args:
        message: Any message.
        portable: Avoid what other readers than Arrow's own library stumble over, at the cost of a copy, and note it:
            float16 becomes float32, which DuckDB needs; categories that are no texts become their values.

    Raises:
        ColumnTypeError: a column holds what Arrow can't; the error names the column, and for objects row and value.
    """
    return _table(message._columns, portable=portable)


def _table(columns: Mapping[str, Column], *, portable: bool = False) -> Any:
    arrays, fields = [], []
    for name, column in columns.items():
        array, note = array_of_column(name, column, portable=portable)
        arrays.append(array)
        try:
            fields.append(pa.field(name, array.type, metadata=None if note is None else _written(note)))
        except UnicodeEncodeError as error:
            raise ColumnTypeError(
                f"Message.to_arrow: column {name!r} has a name that is no text in UTF-8 ({error.reason}); rename it."
            ) from error
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def reader_of(message: Message) -> Any:
    """Return a message as a stream of Arrow batches for other libraries.

    Raises:
        ColumnTypeError: a column holds what Arrow can't, or has a NUL in its name.
    """
    require_names_for_c(message)
    return table_of(message, portable=True).to_reader()


def require_names_for_c(message: Message) -> None:
    """Refuse a name with a NUL, at which C cuts it off, silently in PyArrow and with the whole process in polars."""
    for name in message.columns:
        if "\0" in name:
            raise ColumnTypeError(
                f"Message: column {name!r} has a NUL in its name, which ends it in other libraries; rename it."
            )


def columns_of_stream(data: Any) -> dict[str, Column]:
    """Return the columns of anything that gives Arrow data through ``__arrow_c_stream__``; see `columns_of_table`.

    Raises:
        ColumnTypeError: it is one column without a name, or a name comes twice.
    """
    try:
        # a table that is one already would go through C, which cuts off names at the first NUL
        table = data if isinstance(data, pa.Table) else pa.table(data)
    except pa.ArrowInvalid as error:
        if "non-struct" not in str(error):
            raise
        raise ColumnTypeError(
            f"Message: a {type(data).__name__} is one column, which needs a name: fw.Message({{'x': …}})."
        ) from error
    return columns_of_table(table)


def columns_of_table(table: Any, *, share: bool = False) -> dict[str, Column]:
    """Return the columns of an Arrow table: those that it was made of, or the natural ones of its types.

    Without a note: numbers and booleans are NumPy columns, nullable ones where a value is null (null is not NaN); texts
    are ``str``; dictionaries are categories; timestamps and durations are NumPy's, with a zone pandas'; fixed-size lists
    of numbers and fixed-shape tensors, neither with a null, are tensors; everything else keeps its Arrow type.

    NumPy columns share Arrow's memory where it is one piece without nulls, and are read-only then, as Arrow is.

    Args:
        table: An Arrow table. What pandas noted about an index is followed: it becomes the first columns, named.
        share: Let tensors share Arrow's memory too; see `tensor_of_array` for when that is safe.

    Raises:
        ColumnTypeError: a name comes twice.
        ColumnValueError: a note was written by a newer version of fireworks, or is damaged.
    """
    stored: dict[str, Column] = {}
    for name, position in named_columns(table.schema):
        if name in stored:
            raise ColumnTypeError(
                f"Message: the Arrow table has {name!r} twice, among its columns or its index; rename one."
            )
        text: bytes = (table.schema.field(position).metadata or {}).get(_KEY, b"")
        note = _read(name, text) if text else {}
        try:
            stored[name] = column_of_array(table.column(position), note, name=name, share=share)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if not note:
                raise
            raise _damaged(name, text) from error
    return stored


def named_columns(schema: Any) -> list[tuple[str, int]]:
    """Return names and positions of the columns; an index that pandas noted comes first, by the rule for frames."""
    levels = [level for level in (schema.pandas_metadata or {}).get("index_columns", ()) if level in schema.names]
    unnamed = [level for level in levels if level.startswith("__index_level_")]
    names = {level: f"index{number or ''}" for number, level in enumerate(unnamed)}
    is_numbering = len(levels) == len(unnamed) == 1 and pa.types.is_integer(schema.field(unnamed[0]).type)
    index = [] if is_numbering else [(names.get(level, level), schema.get_field_index(level)) for level in levels]
    return index + [(name, position) for position, name in enumerate(schema.names) if name not in levels]


def _written(note: Note) -> dict[bytes, bytes]:
    return {_KEY: json.dumps({"version": _VERSION, **note}).encode()}


def _damaged(name: str, text: bytes) -> ColumnValueError:
    return ColumnValueError(
        f"Message: the note of fireworks beside the Arrow column {name!r} is damaged: {text!r:.60}. Remove the field's "
        "metadata to read the column as it is."
    )


def _read(name: str, text: bytes) -> Note:
    try:
        note = cast("Note", json.loads(text))
        version = int(note["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(name, text) from error
    if version > _VERSION:
        raise ColumnValueError(
            f"Message: the Arrow column {name!r} was written by a newer fireworks, whose notes have version {version}; "
            f"this one reads up to {_VERSION}. Update fireworks, or remove the field's metadata."
        )
    return note
