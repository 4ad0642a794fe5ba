"""A live table: rows go in, and come out as from any source."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, final

import numpy as np
import pandas as pd
import sqlalchemy as sa

from fireworks.core.chunk import Span
from fireworks.core.comparisons import require_list
from fireworks.core.flow import Flow
from fireworks.core.pipe import Pipe
from fireworks.core.source import Source
from fireworks.database.conditions import listed
from fireworks.database.connection import Database
from fireworks.database.db_pipe import Address, DBPipe, require_layout
from fireworks.database.layout import (
    Layout,
    check_table_name,
    create_table,
    drop_table,
    plan_layout,
    read_layout,
)
from fireworks.database.types import type_of
from fireworks.database.values import encode, require_comparable
from fireworks.errors import ColumnNotFoundError, ColumnValueError, DatabaseError, SchemaMismatchError, did_you_mean
from fireworks.message import Message, Schema
from fireworks.message.index import Rows

if TYPE_CHECKING:
    import pyarrow.compute as pc

    from fireworks.core.expressions import Expression

_INSERTED_ROWS = 1024
_DELETED_VALUES = 900  # SQLite before 3.32 takes 999 parameters


@final
class TablePipe(Source):
    """A table that rows can be put into, and a source of all its rows as they stand.

    The first insert makes the table, with a column for each of the message's and an integer primary key ``id`` beside
    them, unless the message has an ``id`` of integers. Tensors of any dtype and shape are stored as bytes, one value a
    row, and every column comes back in the dtype and row shape that it had, bit for bit for tensors. Null, NaN and
    NaT are one missing value to a database: NaN comes back as NaN in a plain float column and as null in a nullable
    one, and SQLite drops the sign of zero outside tensors.

    Nothing is kept before `commit`. As a context manager the pipe commits at the end, or rolls back if an error passes
    through, and closes. Until then its rows are seen through this pipe and through its queries, and by nobody else; other
    writers of an SQLite file wait.

    Each pass, each index and each `len` looks at the table anew, and a pass keeps to the rows that it found at its
    beginning: one that is deleted before its turn is an error, one that comes later waits for the next pass. A pipe built
    on the table (``table.map(…)``, the parts of ``table.split(…)``) stays for good at the rows that it saw first, as a
    `DBPipe` does, so that its length, its items and its parts agree. `query` fixes the rows too, which is cheaper than a
    look each time and what training wants.

    Args:
        name: The table; any text.
        address: A URL, ``"sqlite:///runs/data.db"``, the path of an SQLite file, or an SQLAlchemy engine. The file and
            its folders are made when rows are first inserted.

    Raises:
        ValueError: the name or the address is none.
        DatabaseError: a database in memory, or one that is not supported; later, one that is not there, or refuses.

    Example:
        >>> import pathlib, tempfile
        >>> from fireworks.database import TablePipe
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "runs" / "clicks.db"
        >>> with TablePipe("clicks", path) as table:
        ...     table.insert(fw.Message({"user": ["ann", "bob"], "x": torch.ones(2, 3, dtype=torch.bfloat16)}))
        >>> table = TablePipe("clicks", f"sqlite:///{path}")
        >>> len(table), table[1]["user"].tolist()
        (2, ['bob'])
        >>> print(table.schema)
        user: str
        x: bfloat16[3] tensor
    """

    def __init__(self, name: str, address: Address) -> None:
        super().__init__()
        self.name = check_table_name(name)
        self._database = Database(address)
        self._forget()

    def _forget(self) -> None:
        self._known_layout: Layout | None = None

    @classmethod
    def create(
        cls,
        name: str,
        address: Address,
        like: Message | Schema,
        *,
        if_exists: Literal["error", "replace", "append"] = "error",
    ) -> Self:
        """Make a table without rows, and return its pipe; `commit` keeps it.

        Args:
            name: The table.
            address: As for the class.
            like: A message, whose rows are not inserted, or a schema. Object columns of a schema are text.
            if_exists: What to do with a table of that name: refuse, drop it, or go on with it if the columns match.

        Raises:
            DatabaseError: the table is there, and ``if_exists`` is "error".
            SchemaMismatchError: the columns differ, and ``if_exists`` is "append".
            ValueError: ``if_exists`` is none of the three.
        """
        if if_exists not in {"error", "replace", "append"}:
            raise ValueError(f"create: if_exists is 'error', 'replace' or 'append'; got {if_exists!r}.")
        table = cls(name, address)
        message = Message(schema=like) if isinstance(like, Schema) else like
        with table._writing("making the table") as connection:
            found = read_layout(connection, name)
            if found is not None and if_exists == "error":
                raise DatabaseError(
                    f"{table._who}: the table is there already in {table._database}; pass if_exists='replace' or 'append'."
                )
            if found is not None and if_exists == "append":
                table._check_columns(message, found)
                return table
            if found is not None:
                drop_table(connection, found.name)
            create_table(connection, plan_layout(name, message))
        return table

    # --- writing --------------------------------------------------------------------------------------------------

    def insert(self, rows: Message | Mapping[str, Any] | pd.DataFrame) -> None:
        """Add rows behind the others; all or, if anything is wrong, none. `commit` keeps them.

        Args:
            rows: The table's columns in any order, of the same types. The automatic key may be among them.

        Raises:
            SchemaMismatchError: the columns or their types are not the table's.
            ColumnTypeError: a new table's column can't be stored.
            ColumnValueError: a value can't be stored, or a key is null.
            DatabaseError: the database refuses: a key is there already, the file is locked or read-only, the disk is full.

        Example:
            >>> import pathlib, tempfile
            >>> from fireworks.database import TablePipe
            >>> table = TablePipe("numbers", pathlib.Path(tempfile.mkdtemp()) / "runs.db")
            >>> table.insert({"n": [1, 2]})
            >>> table.commit()
            >>> table.insert({"n": [3]})
            >>> len(table), table.rollback(), len(table)
            (3, None, 2)
        """
        message = rows if isinstance(rows, Message) else Message(rows)
        with self._writing("inserting rows") as connection:
            layout = self._known_layout or read_layout(connection, self.name)
            if layout is None:
                layout = plan_layout(self.name, message)
                create_table(connection, layout)
            self._check_columns(message, layout)
            _insert(connection, layout, message)
        self._known_layout = layout

    def delete(self, column: str, values: Iterable[Any]) -> int:
        """Delete the rows whose value in a column is one of ``values``; return how many. `commit` makes it last.

        Raises:
            ColumnNotFoundError: no such column.
            ColumnTypeError: a tensor column, or a value that can't be compared with the column.
            TypeError: ``values`` is no list.
            DatabaseError: the table is not there, or the database refuses.
        """
        layout = self._layout
        if column not in layout.types:
            raise ColumnNotFoundError(column, available=layout.types, where=f"delete: table {layout.name!r}")
        require_comparable(column, layout.types[column], where="delete")
        require_list(values, who=f"delete: {column!r}")
        bound = listed(column, layout.types[column], values, where="delete")
        table = layout.table
        with self._writing("deleting rows") as connection:
            return sum(
                connection.execute(
                    sa.delete(table).where(table.c[column].in_(bound[start : start + _DELETED_VALUES]))
                ).rowcount
                for start in range(0, len(bound), _DELETED_VALUES)
            )

    def commit(self) -> None:
        """Keep what was inserted and deleted.

        Raises:
            DatabaseError: the database refuses; nothing is lost, and commit can be tried again.
        """
        with self._database.explaining(self._who, "commit"):
            self._database.commit()

    def rollback(self) -> None:
        """Undo what was inserted and deleted since the last `commit`."""
        self._database.rollback()
        self._forget()

    def close(self) -> None:
        """Close the database; what was not committed is undone. The pipe can be used again."""
        self.rollback()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.close()

    @contextlib.contextmanager
    def _writing(self, doing: str) -> Iterator[sa.Connection]:
        try:
            with self._database.explaining(self._who, doing), self._database.writing() as connection:
                yield connection
        except BaseException:
            self._forget()  # the table itself may have been undone
            raise

    @property
    def _who(self) -> str:
        return f"TablePipe({self.name!r})"

    def _check_columns(self, message: Message, layout: Layout) -> None:
        differences = _differences(message, layout)
        if differences:
            raise SchemaMismatchError(
                f"{self._who}: the message doesn't fit the table: {'; '.join(differences)}. Nothing was inserted."
            )

    # --- reading --------------------------------------------------------------------------------------------------

    def query(
        self,
        columns: list[str] | tuple[str, ...] | None = None,
        *,
        order_by: str | None = None,
        descending: bool = False,
    ) -> DBPipe:
        """Return the rows as a source whose rows are fixed when they are first needed; see `DBPipe`.

        Example:
            >>> import pathlib, tempfile
            >>> from fireworks.database import TablePipe
            >>> table = TablePipe("numbers", pathlib.Path(tempfile.mkdtemp()) / "runs.db")
            >>> table.insert({"n": [4, 5, 6], "even": [True, False, True]})
            >>> table.query(["n"]).filter("even", "==", True).to_message()["n"].tolist()
            [4, 6]
            >>> table.close()
        """
        return DBPipe(self.name, self._database, columns, order_by=order_by, descending=descending)

    def filter(self, predicate: Callable[[Message], Any] | Expression | pc.Expression | str, *comparison: Any) -> Pipe:
        """Query the table for some of its rows; see `DBPipe.filter`."""
        return self.query().filter(predicate, *comparison)

    def select(self, *columns: str) -> DBPipe:
        """Query the table for some of its columns; see `DBPipe.select`."""
        return self.query().select(*columns)

    def kfold(self, k: int, **how: Any) -> list[tuple[Pipe, Pipe]]:
        """Make folds of the rows that there are now; see `kfold`. All are of one query."""
        return self.query().kfold(k, **how)

    def split(self, *sizes: float, **how: Any) -> tuple[Pipe, ...]:
        """Split the rows that there are now; see `split`. All parts are of one query, so that they stay disjoint."""
        return self.query().split(*sizes, **how)

    def split_by_hash(self, column: str, *fractions: float, seed: int | None = None) -> tuple[Pipe, ...]:
        """Split the rows that there are now by a key; see `split_by_hash`. All parts are of one query."""
        return self.query().split_by_hash(column, *fractions, seed=seed)

    def split_by_time(self, column: str, *fractions: float, at: Any = None, gap: Any = None) -> tuple[Pipe, ...]:
        """Split the rows that there are now by time; see `split_by_time`. All parts are of one query."""
        return self.query().split_by_time(column, *fractions, at=at, gap=gap)

    @property
    def flow(self) -> Flow:  # not remembered: whoever asks gets rows of their own
        """A flow over the rows as they stand when it is first used; a pass or a pipe built on the table keeps its own."""
        return self.query().flow

    def get(self, key: Rows, epoch: int) -> Message:
        """Return the rows at ``key`` of the table as it stands."""
        message: Message = self.query().get(key, epoch)
        return message

    @property
    def _layout(self) -> Layout:
        if self._known_layout is None:
            self._known_layout = require_layout(self._database, self.name, who=self._who)
        return self._known_layout

    @property
    def random_access(self) -> bool:  # type: ignore[override]  # known when the table is there, not before
        """Whether the table has an integer primary key."""
        return self._layout.key is not None

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order, without an automatic key."""
        return self._layout.data_columns

    @property
    def schema(self) -> Schema:
        """The columns with exact dtypes."""
        return self._layout.message({name: [] for name in self.columns}, 0).schema

    def describe(self) -> str:
        """Return the table's name, without its address: a pipe may go on elsewhere with a copy of the database."""
        return f"TablePipe({self.name})"

    def count(self) -> int:
        """Return how many rows there are now."""
        return self.query().count()

    def fetch(self, rows: Span) -> Message:
        """Return the rows at the given places of the table as it stands."""
        return self.get(rows, epoch=0)

    def stream(self, start: int) -> Iterator[Message]:
        """Yield the rows from row number ``start`` on; for a table without an integer primary key."""
        return self.query().stream(start)


def _differences(message: Message, layout: Layout) -> list[str]:
    """Say in what the columns of a message are not those of a table."""
    missing = [name for name in layout.types if name not in message and name != layout.optional_key]
    found = [f"column {name!r} ({layout.types[name]}) is missing" for name in missing]
    for name in message.columns:
        held = type_of(name, message.raw(name))
        if name not in layout.types:
            hint = did_you_mean(name, missing).strip()
            found.append(f"column {name!r} ({held}) is not in the table" + (f" ({hint})" if hint else ""))
            continue
        known = layout.types[name]
        is_exact = name in layout.recorded and known.kind != "automatic key"
        if (held != known) if is_exact else (held.kind != known.kind.replace("automatic key", "integer")):
            found.append(f"column {name!r} is {held} in the message and {known} in the table")
    return found


def _insert(connection: sa.Connection, layout: Layout, message: Message) -> None:
    names = [name for name in layout.types if name in message]
    types = {name: type_of(name, message.raw(name)) for name in names}
    if layout.key is not None and layout.key in message and (missing := pd.isna(message[layout.key]).to_numpy()).any():
        raise ColumnValueError(
            f"TablePipe({layout.name!r}): column {layout.key!r} is the table's key and is null in row "
            f"{int(np.argmax(missing))}; leave the column out to have rows numbered, or fill it."
        )
    statement = _insert_statement(connection, layout.name, names)
    for start in range(0, len(message), _INSERTED_ROWS):
        part = message[start : start + _INSERTED_ROWS]
        columns = [encode(name, types[name], part.raw(name), first_row=start) for name in names]
        try:
            # To the driver itself: through SQLAlchemy's own executemany this takes five times as long.
            connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))
        except UnicodeEncodeError as error:
            raise ColumnValueError(
                f"TablePipe({layout.name!r}): {error.object!r:.60} is no valid Unicode ({error.reason}) and can't be "
                "stored as text; store text.encode(…), which is bytes."
            ) from error


def _insert_statement(connection: sa.Connection, table: str, names: list[str]) -> str:
    quote = connection.dialect.identifier_preparer.quote_identifier
    value = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    return (
        f"INSERT INTO {quote(table)} ({', '.join(map(quote, names))}) "  # noqa: S608 (names are quoted, values are bound)
        f"VALUES ({', '.join([value] * len(names))})"
    )
