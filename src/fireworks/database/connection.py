"""One database: how to reach it, the one transaction that may be open, and what its refusals mean."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fireworks.errors import DatabaseError

_WAIT_S = 30.0
_ADVICE = {
    "SQLITE_BUSY": "another connection has it locked; commit or close that one, or wait longer: '…?timeout=120' (seconds).",
    "SQLITE_LOCKED": "another connection has it locked; commit or close that one.",
    "SQLITE_FULL": "the disk is full; make room and insert again.",
    "SQLITE_READONLY": "the file or its folder can't be written; check their permissions, or copy the file.",
    "SQLITE_NOTADB": "the file is not an SQLite database; check the path.",
    "SQLITE_CANTOPEN": "the file can't be opened; check that it is a file, and its permissions.",
    "SQLITE_CORRUPT": "the file is damaged; restore a copy, or save what 'sqlite3 FILE .recover' finds.",
    "SQLITE_CONSTRAINT": "the rows break a rule of the table, such as a key that is there already.",
}


class Database:
    """One database. Pickled, the URL travels; a connection and what it has not committed stay.

    Reads open a connection of their own and close it after, unless a transaction is open here: then they are part of
    it, and see what it has written. Nothing is left open, so nothing is carried through a fork.

    Args:
        address: An SQLAlchemy URL, the path of an SQLite file, or an engine, which is used as it is.

    Raises:
        ValueError: it is none of these.
        DatabaseError: the URL is of an SQLite database in memory, or of a database that is not supported.
    """

    def __init__(self, address: str | Path | sa.URL | sa.Engine) -> None:
        self._engine: sa.Engine | None = None
        if isinstance(address, sa.Engine):
            self._engine, self.url = address, address.url
        else:
            self.url = _checked_url(address)
        if self.url.get_backend_name() != "sqlite":
            raise DatabaseError(
                f"TablePipe: {self.url.get_backend_name()} databases are not supported yet, only sqlite; "
                f"got {self.url.render_as_string()}."
            )
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._transaction: sa.Connection | None = None
        self._process = os.getpid()

    def __str__(self) -> str:
        return self.url.database if self.is_file else self.url.render_as_string()  # type: ignore[return-value]

    def __getstate__(self) -> dict[str, Any]:
        if _is_in_memory(self.url):
            raise DatabaseError(
                f"TablePipe: {self} is in this process's memory and can't be sent to another; use a file: "
                "'sqlite:///runs/data.db'."
            )
        return {"url": self.url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.url, self._engine = state["url"], None
        self._reset()

    @property
    def is_file(self) -> bool:
        """Whether the database is one file whose path we know."""
        return not _is_in_memory(self.url) and not str(self.url.database).startswith("file:")

    @property
    def engine(self) -> sa.Engine:
        """The engine; made when first needed."""
        if self._engine is None:
            waits = {} if "timeout" in self.url.query else {"timeout": _WAIT_S}
            self._engine = sa.create_engine(
                self.url, poolclass=sa.NullPool, connect_args={"check_same_thread": False, **waits}
            )
        return self._engine

    # --- one connection ---------------------------------------------------------------------------------------

    @property
    def _open(self) -> sa.Connection | None:
        """The transaction, unless it belongs to the process that we were forked from."""
        return self._transaction if self._process == os.getpid() else None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees what has been committed, and what this object has written.

        Raises:
            DatabaseError: the file is not there; it is not made.
        """
        if self._open is not None:
            yield self._open
            return
        if self.is_file and not Path(str(self)).exists():
            raise DatabaseError(f"There is no database file {self}; insert rows first, or check the path.")
        with self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give the connection of the transaction, which begins here if none is open.

        What is written in here is written as a whole or not at all; earlier writes of the transaction stay.
        """
        with self._lock:
            is_first = self._open is None
            connection = self._begin() if self._open is None else self._open
            connection.exec_driver_sql("SAVEPOINT fireworks")
            try:
                yield connection
            except BaseException:
                # SQLite has undone the whole transaction by itself when the disk was full.
                if is_first or not getattr(connection.connection.driver_connection, "in_transaction", True):
                    self.rollback()
                else:
                    connection.exec_driver_sql("ROLLBACK TO SAVEPOINT fireworks")
                    connection.exec_driver_sql("RELEASE SAVEPOINT fireworks")
                raise
            connection.exec_driver_sql("RELEASE SAVEPOINT fireworks")

    def _begin(self) -> sa.Connection:
        if self.is_file:
            Path(str(self)).parent.mkdir(parents=True, exist_ok=True)
        connection = self.engine.connect()
        try:
            if connection.dialect.name == "sqlite":
                # Python's driver begins by itself only before some statements, and never before CREATE TABLE.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            connection.close()
            raise
        self._transaction, self._process = connection, os.getpid()
        return connection

    def commit(self) -> None:
        """Keep what was written; if the database refuses, the transaction stays open and can be tried again."""
        with self._lock:
            if self._open is not None:
                self._open.exec_driver_sql("COMMIT")
                self.rollback()

    def rollback(self) -> None:
        """Undo what was not committed, and close the connection."""
        with self._lock:
            if self._open is not None:
                connection, self._transaction = self._open, None
                connection.close()  # which rolls back

    # --- refusals ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def explaining(self, who: str, doing: str) -> Iterator[None]:
        """Turn a driver's error into a `DatabaseError` that says who wanted what, why not, and what to do."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise DatabaseError(f"{who}: {doing} failed in {self}: {_reason(error)}") from error
        except OSError as error:
            raise DatabaseError(
                f"{who}: {doing} failed: the folder of {self} can't be made or entered ({error}); check the path and its "
                "permissions."
            ) from error


def _reason(error: sa.exc.DBAPIError) -> str:
    code = str(getattr(error.orig, "sqlite_errorname", ""))
    advice = next((text for name, text in _ADVICE.items() if code.startswith(name)), None)
    return f"{error.orig}" if advice is None else f"{advice} ({error.orig})"


def _is_in_memory(url: sa.URL) -> bool:
    is_named = str(url.database).startswith("file:") and url.query.get("mode") == "memory"
    return is_named or url.database in {None, "", ":memory:", "file::memory:"}


def _checked_url(address: str | Path | sa.URL) -> sa.URL:
    if isinstance(address, Path):
        return sa.URL.create("sqlite", database=str(address.absolute()))
    try:
        url = sa.make_url(address)
    except (sa.exc.ArgumentError, TypeError):
        raise ValueError(
            f"TablePipe: expected a URL such as 'sqlite:///runs/data.db', a pathlib.Path or an SQLAlchemy engine; "
            f"got {address!r:.80}."
        ) from None
    if url.get_backend_name() != "sqlite":
        return url
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise DatabaseError(f"TablePipe: {url.drivername} is not supported; write 'sqlite:///{url.database}'.")
    if _is_in_memory(url):
        raise DatabaseError(
            f"TablePipe: {url} is a database in memory, and each connection would see another, empty one; use a file, "
            "'sqlite:///runs/data.db', or pass an SQLAlchemy engine."
        )
    if str(url.database).startswith("file:"):
        return url
    return url.set(database=str(Path(str(url.database)).absolute()))
