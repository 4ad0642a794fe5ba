"""One database: how to reach it, the one transaction that may be open, and what its refusals mean."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
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
    it, and see what it has written; threads take turns in it. A forked child has no part in its parent's transaction: it
    opens connections of its own, and what it has inherited it leaves alone for ever.

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
        _DATABASES.add(self)

    def leave_to_parent(self) -> None:
        """Forget the transaction of the process that this one was forked from, without closing it.

        To close it here, or to free it, would roll it back in the file while the parent still writes.
        """
        if self._transaction is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._transaction))  # outlives even the end of the interpreter
        self._reset()

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

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees what has been committed, and what this object has written.

        Raises:
            DatabaseError: the file is not there; it is not made.
        """
        with self._lock:
            if self._transaction is not None:
                yield self._transaction  # the lock is kept: no other thread may end the transaction under a reader
                return
        with self._connected() as connection:
            yield connection

    def stream(self, statement: sa.Select[Any], *, num_rows: int, who: str) -> Iterator[Sequence[sa.Row[Any]]]:
        """Yield what a query finds, ``num_rows`` rows at a time, read through one open cursor.

        The cursor is part of the transaction that is open when it begins, and else has a connection of its own.

        Raises:
            DatabaseError: the transaction has ended meanwhile, or the file is not there.
        """
        with self._lock:
            shared = self._transaction
        with contextlib.nullcontext(shared) if shared is not None else self._connected() as connection:
            lock = self._lock if shared is not None else contextlib.nullcontext()
            result = None
            try:
                while True:
                    with lock:
                        self._require_open(shared, who)
                        if result is None:
                            result = connection.execute(statement, execution_options={"stream_results": True})
                        part = result.fetchmany(num_rows)
                    if not part:
                        return
                    yield part
            finally:
                with lock:
                    if result is not None and (shared is None or self._transaction is shared):
                        result.close()

    def _require_open(self, transaction: sa.Connection | None, who: str) -> None:
        if transaction is not None and self._transaction is not transaction:
            raise DatabaseError(
                f"{who}: the transaction that this pass reads has ended since it began; commit before the pass, or read "
                "the rows first: pipe.to_message()."
            )

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
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
            is_first = self._transaction is None
            connection = self._begin() if self._transaction is None else self._transaction
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
        self._transaction = connection
        return connection

    def commit(self) -> None:
        """Keep what was written; if the database refuses, the transaction stays open and can be tried again."""
        with self._lock:
            if self._transaction is not None:
                self._transaction.exec_driver_sql("COMMIT")
                self.rollback()

    def rollback(self) -> None:
        """Undo what was not committed, and close the connection."""
        with self._lock:
            if self._transaction is not None:
                connection, self._transaction = self._transaction, None
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


_DATABASES: weakref.WeakSet[Database] = weakref.WeakSet()


def _after_fork() -> None:
    for database in list(_DATABASES):
        database.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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
