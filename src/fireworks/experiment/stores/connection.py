"""Connections to an experiment's SQLite database, and the check that it is one."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from fireworks.errors import DatabaseError, StateError
from fireworks.experiment.stores import schema

BUSY_TIMEOUT_MS = 30_000
MAX_LISTED = 900  # SQLite before 3.32 takes 999 parameters

Value = TypeVar("Value")


def make_engine(path: Path) -> sa.Engine:
    """Return an engine whose every connection is its own, opened when asked for and closed after.

    So no connection outlives its work: nothing is carried through a fork or into a pickle. A connection
    survives the death of its process with all that it committed (WAL and ``synchronous=NORMAL``).
    Transactions take the write lock when they begin, unless the connection has the option ``reading``.
    """
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), poolclass=sa.NullPool, connect_args={"check_same_thread": False}
    )
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


def reading(engine: sa.Engine) -> sa.Connection:
    """Connect for reading: one consistent view of the database, which no writer waits for."""
    return engine.connect().execution_options(reading=True)


def in_lists(values: Iterable[Value]) -> Iterator[list[Value]]:
    """Cut values into lists that fit into one query; no values, no list.

    Example:
        >>> [len(part) for part in in_lists(range(2000))]
        [900, 900, 200]
    """
    rest = iter(values)
    while part := list(islice(rest, MAX_LISTED)):
        yield part


def open_database(path: Path) -> sa.Engine:
    """Return an engine on the database; make the tables in a new file, check the version of an old one.

    Raises:
        DatabaseError: the file is something else.
        StateError: a later version of fireworks made it; it is left as it is.
    """
    engine = make_engine(path)
    try:
        if not _table_names(engine):
            _create_tables(engine)
        _check_version(engine, path)
    except sa.exc.DatabaseError as error:
        if isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorname == "SQLITE_NOTADB":
            raise DatabaseError(
                f"Experiment: {path} is not an SQLite database; move it away or choose another folder."
            ) from error
        raise
    return engine


def _table_names(engine: sa.Engine) -> list[str]:
    with reading(engine) as connection:
        return sa.inspect(connection).get_table_names()


def _create_tables(engine: sa.Engine) -> None:
    _switch_to_wal(engine)
    with engine.begin() as connection:
        # Another process may have been quicker since the file was looked at.
        if not sa.inspect(connection).has_table("schema_version"):
            schema.metadata.create_all(connection)
            connection.execute(schema.schema_version.insert().values(version=schema.VERSION))


def _check_version(engine: sa.Engine, path: Path) -> None:
    if not {"schema_version", "trial"} <= set(_table_names(engine)):
        raise DatabaseError(
            f"Experiment: {path} is an SQLite database of something else; move it away or choose another folder."
        )
    with reading(engine) as connection:
        version = connection.execute(sa.select(schema.schema_version.c.version)).scalar_one()
    if version > schema.VERSION:
        raise StateError(
            f"Experiment: {path} has version {version} of the tables, and this fireworks knows versions up to "
            f"{schema.VERSION}; install a later fireworks to open it."
        )


def _switch_to_wal(engine: sa.Engine) -> None:
    """Let readers and one writer work at the same time; the file remembers it.

    Of several processes that switch one file at once, SQLite turns all but one away without waiting.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    with contextlib.closing(engine.raw_connection()) as connection:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # no BEGIN but ours
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: sa.Connection) -> None:
    is_reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")
