"""What a table looks like: its columns, its key, and the record of the exact dtypes that SQL can't hold.

The record is the table ``fireworks_schema``, one row for each column of each table that fireworks made. It is text:
reading it runs nothing. A column without a record is read by its SQL type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from fireworks.database.types import AUTOMATIC_KEY, KINDS, ColumnType, Kind, key_type, reflected_type, type_of
from fireworks.database.values import decode
from fireworks.errors import ColumnTypeError, DatabaseError
from fireworks.message import Message

VERSION = 1
RECORD = "fireworks_schema"

_record = sa.Table(
    RECORD,
    sa.MetaData(),
    sa.Column("table_name", sa.String(255), primary_key=True),
    sa.Column("column_name", sa.String(255), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("dtype", sa.String(255), nullable=False),  # torch's name for a tensor, pandas' for all else
    sa.Column("shape", sa.Text, nullable=False),  # of one row, as JSON
    sa.Column("version", sa.Integer, nullable=False),
)


@dataclass(frozen=True)
class Layout:
    """The columns of one table, in order.

    Args:
        name: The table, as the database spells it.
        types: Every column, the automatic key too.
        key: The integer primary key, which makes random access possible; None if the table has none.
        primary: The whole primary key, whatever its type.
        recorded: The columns that fireworks made.
    """

    name: str
    types: Mapping[str, ColumnType]
    key: str | None
    primary: tuple[str, ...] = ()
    recorded: frozenset[str] = frozenset()

    @cached_property
    def data_columns(self) -> list[str]:
        """All columns but a key that fireworks added: what was inserted, and nothing else."""
        return [name for name, held in self.types.items() if held.kind != "automatic key"]

    @property
    def optional_key(self) -> str | None:
        """The key, where the database makes it up if an insert doesn't bring it."""
        if self.key is None or (self.types[self.key].kind != "automatic key" and self.key in self.recorded):
            return None
        return self.key

    @cached_property
    def table(self) -> sa.TableClause:
        """The table, for queries; every identifier is quoted, and no value is converted on its way."""
        return sa.table(quoted(self.name), *(sa.column(quoted(name)) for name in self.types))

    def message(self, columns: Mapping[str, list[Any]], num_rows: int) -> Message:
        """Return a message of what a driver returned, column by column."""
        return Message._of({name: decode(name, self.types[name], values) for name, values in columns.items()}, num_rows)


def quoted(name: str) -> quoted_name:
    """Return an identifier that is quoted wherever it is rendered."""
    return quoted_name(name, quote=True)


def find_table(connection: sa.Connection, name: str) -> str | None:
    """Return a table's or view's name as the database spells it; None if there is none."""
    names = table_names(connection)
    if name in names or connection.dialect.name != "sqlite":
        return name if name in names else None
    return next((known for known in names if known.lower() == name.lower()), None)  # SQLite takes them for one


def table_names(connection: sa.Connection) -> list[str]:
    """Return the tables and views, without the record."""
    inspector = sa.inspect(connection)
    return [name for name in [*inspector.get_table_names(), *inspector.get_view_names()] if name != RECORD]


def read_layout(connection: sa.Connection, name: str) -> Layout | None:
    """Return what a table looks like; None if it is not there.

    Raises:
        DatabaseError: a later version of fireworks made it.
    """
    found = find_table(connection, name)
    if found is None:
        return None
    inspector = sa.inspect(connection)
    primary = tuple(inspector.get_pk_constraint(found)["constrained_columns"])
    recorded = _read_record(connection, found)
    types, key = {}, None
    for column in inspector.get_columns(found):
        is_key = primary == (column["name"],) and isinstance(column["type"], sa.Integer)
        key = column["name"] if is_key else key
        reflected = reflected_type(column["type"], is_nullable=column["nullable"] and not is_key)
        types[column["name"]] = recorded.get(column["name"], reflected)
    return Layout(found, types, key, primary, frozenset(recorded) & frozenset(types))


def _read_record(connection: sa.Connection, table: str) -> dict[str, ColumnType]:
    if not sa.inspect(connection).has_table(RECORD):
        return {}
    rows = connection.execute(sa.select(_record).where(_record.c.table_name == table)).all()
    for row in rows:
        if row.version > VERSION or row.kind not in KINDS:
            raise DatabaseError(
                f"Table {table!r} was made by a later fireworks: its record has version {row.version} and a column of "
                f"kind {row.kind!r}, and this fireworks knows versions up to {VERSION}. Install a later one."
            )
    return {
        row.column_name: ColumnType(cast("Kind", row.kind), row.dtype, tuple(json.loads(row.shape))) for row in rows
    }


def plan_layout(name: str, message: Message) -> Layout:
    """Return what a table made for a message looks like.

    The key is the message's ``id`` if that is integers, else a column of its own: ``id``, with underscores before it
    until no column of the message has the name.

    Raises:
        ColumnTypeError: a column can't be stored, two names differ only in case, or there is no column.
    """
    if not message.columns:
        raise ColumnTypeError(f"TablePipe({name!r}): a table needs a column, and the message has none.")
    by_lower: dict[str, str] = {}
    for column in message.columns:
        other = by_lower.setdefault(column.lower(), column)
        if other != column:
            raise ColumnTypeError(
                f"TablePipe({name!r}): columns {other!r} and {column!r} differ only in case, and a database takes them "
                "for one; rename one."
            )
        _check_identifier(column, "a column's name")
    types = {column: type_of(column, message.raw(column)) for column in message.columns}
    if "id" in types and types["id"].kind == "integer":
        return Layout(name, types, "id", ("id",), frozenset(types))
    key = "id"
    while key in by_lower:
        key = f"_{key}"
    types = {key: AUTOMATIC_KEY, **types}
    return Layout(name, types, key, (key,), frozenset(types))


def check_table_name(name: object) -> str:
    """Return a table's name, or say what a name is.

    Raises:
        ValueError: it is no text, is empty, holds a NUL character, or is the record's.
    """
    if not isinstance(name, str) or not name or name.lower() == RECORD:
        raise ValueError(f"TablePipe: a table's name is text, not empty, and not {RECORD!r}; got {name!r:.60}.")
    _check_identifier(name, "a table's name")
    return name


def _check_identifier(name: str, what: str) -> None:
    if "\0" in name:
        raise ValueError(f"TablePipe: {what} can't hold the character NUL; got {name!r:.60}.")


def create_table(connection: sa.Connection, layout: Layout) -> None:
    """Make the table and its record."""
    columns = [
        sa.Column(
            quoted(name),
            key_type() if name == layout.key else held.sql,
            primary_key=name == layout.key,
            nullable=held.is_nullable and name != layout.key,
        )
        for name, held in layout.types.items()
    ]
    sa.Table(quoted(layout.name), sa.MetaData(), *columns).create(connection)
    _record.create(connection, checkfirst=True)
    _forget(connection, layout.name)  # of a table that something else dropped
    rows = [
        {
            "table_name": layout.name,
            "column_name": name,
            "kind": held.kind,
            "dtype": held.dtype,
            "shape": json.dumps(held.shape),
            "version": VERSION,
        }
        for name, held in layout.types.items()
    ]
    connection.execute(_record.insert(), rows)


def drop_table(connection: sa.Connection, name: str) -> None:
    """Drop a table and its record."""
    sa.Table(quoted(name), sa.MetaData()).drop(connection)
    if sa.inspect(connection).has_table(RECORD):
        _forget(connection, name)


def _forget(connection: sa.Connection, name: str) -> None:
    connection.execute(_record.delete().where(_record.c.table_name == name))
