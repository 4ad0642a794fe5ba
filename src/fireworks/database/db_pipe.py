"""The rows that a query finds, as a source."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
import sqlalchemy as sa

from fireworks.core.chunk import Span
from fireworks.core.pipe import Pipe
from fireworks.core.site import user_line
from fireworks.core.source import Mask, Source
from fireworks.database.conditions import Condition, make_condition
from fireworks.database.connection import Database
from fireworks.database.expressions import to_sql
from fireworks.database.layout import Layout, read_layout, table_names
from fireworks.database.types import ColumnType
from fireworks.database.values import require_comparable
from fireworks.errors import ColumnNotFoundError, DatabaseError, NoRandomAccessError, did_you_mean
from fireworks.message import Message, Schema
from fireworks.message.columns import Positions

if TYPE_CHECKING:
    import pyarrow.compute as pc

    from fireworks.core.expressions import Expression

# Tuples below the 700 new objects at which Python starts to look for garbage: a quarter faster than 16 k at once.
_ROWS_AT_A_TIME = 512
_STREAMED_ROWS = 1024
_MAX_PARAMETERS = 900  # SQLite before 3.32 takes 999
_SHOWN_KEYS = 10

Address: TypeAlias = "str | Path | sa.URL | sa.Engine"


@final
class DBPipe(Source):
    """The rows of a table that a query finds, in the order of its integer primary key; a source like any other.

    Which rows there are is found out once, when they are first needed: their keys are a snapshot, 8 bytes a row, or
    nothing where they have no gaps. The values are read when asked for, as they then stand. `filter` and `select` become
    part of the query and return a new pipe. A table without an integer primary key, or a view, is a stream: in the order
    of its primary key if it has one, else as the database likes, and read through one open cursor, for whose end
    SQLite makes writers wait. A `TablePipe` that has rows to commit reads them through the same cursor, so commit before
    the pass begins or after its end.

    Rows come back in exactly the dtypes that `TablePipe.insert` was given. The key ``id`` that it adds is left out
    unless it is named. Of a table that something else made, integers and booleans that may be null get pandas'
    nullable dtypes, and BLOBs are bytes.

    Args:
        name: The table or view; any text.
        address: A URL, ``"sqlite:///runs/data.db"``, the path of an SQLite file, or an SQLAlchemy engine.
        columns: Their names; all but an automatic key if not given.
        order_by: A column to sort by, nulls last, then by key; by key alone if not given.
        descending: Sort from the greatest to the least.

    Raises:
        DatabaseError: the database or the table is not there, or refuses; or, later, a row of the snapshot has gone.
        ColumnNotFoundError: no such column.
        ColumnTypeError: ``order_by`` is a tensor column.

    Example:
        >>> import pathlib, tempfile
        >>> from fireworks.database import DBPipe, TablePipe
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "runs.db"
        >>> with TablePipe("digits", path) as table:
        ...     table.insert(fw.Message({"x": torch.eye(4), "label": [7, 1, 7, 3]}))
        >>> sevens = DBPipe("digits", path).filter("label", "==", 7)
        >>> len(sevens), sevens[1]["x"].tolist()
        (2, [[0.0, 0.0, 1.0, 0.0]])
        >>> DBPipe("digits", path, ["id", "label"], order_by="label").to_message()["id"].tolist()
        [2, 4, 1, 3]
    """

    def __init__(
        self,
        name: str,
        address: Address | Database,
        columns: Sequence[str] | None = None,
        *,
        order_by: str | None = None,
        descending: bool = False,
    ) -> None:
        super().__init__()
        self._database = address if isinstance(address, Database) else Database(address)
        self._layout = require_layout(self._database, name, who=f"DBPipe({name!r})")
        self.random_access = self._layout.key is not None
        self._columns = self._checked(columns)
        self._conditions: tuple[Condition, ...] = ()
        self._order_by, self._descending = order_by, descending
        if order_by is not None:
            require_comparable(order_by, self._type(order_by, who="order_by"), where="order_by")
        self._keys: Span | None = None
        self._whole: DBPipe | None = None  # whose snapshot this one shares

    def _checked(self, columns: Sequence[str] | None) -> tuple[str, ...]:
        if columns is None:
            return tuple(self._layout.data_columns)
        names = (columns,) if isinstance(columns, str) else tuple(dict.fromkeys(columns))
        if not names:
            raise ValueError("select: name at least one column.")
        for name in names:
            self._type(name, who="select")
        return names

    def _type(self, name: str, *, who: str) -> ColumnType:
        if name not in self._layout.types:
            raise ColumnNotFoundError(name, available=self._layout.types, where=f"{who}: table {self._layout.name!r}")
        return self._layout.types[name]

    # --- the query ------------------------------------------------------------------------------------------------

    def filter(self, predicate: Callable[[Message], Any] | Expression | pc.Expression | str, *comparison: Any) -> Pipe:
        """Keep the rows for which a column compares, as part of the query, or a function is true; see `Filter`.

        Any column of the table will do, selected or not. What is null, or NaN, compares as unknown, and the row is
        dropped by every operator but ``is null``, as everywhere. Dates of a table that something else made are compared
        here rather than in the database, for nobody knows how they are spelled there.

        Raises:
            ColumnNotFoundError: no such column.
            ColumnTypeError: a tensor column, or a value that can't be compared with the column.
            ValueError: no such operator, or not its number of values, or more than 10,000 in a list.
        """
        if not isinstance(predicate, str) or not comparison:
            return super().filter(predicate, *comparison)
        held = self._type(predicate, who="filter")
        if held.kind in {"datetime", "mixed"} and predicate not in self._layout.recorded:
            return super().filter(predicate, *comparison)
        condition = make_condition(predicate, held, comparison[0], comparison[1:])
        return self._changed(_conditions=(*self._conditions, condition))

    def select(self, *columns: str) -> DBPipe:
        """Read only the named columns, in the order given.

        Raises:
            ColumnNotFoundError: no such column.
            ValueError: no name is given.
        """
        return self._changed(_columns=self._checked(columns))

    def _changed(self, **parts: Any) -> DBPipe:
        pipe = copy.copy(self)
        pipe.__dict__.pop("schema", None)
        pipe.__dict__.update(parts, _keys=None, _whole=None, built_at=user_line())
        pipe.next_epoch_is(0)
        return pipe

    def _statement(self, *columns: str) -> sa.Select[Any]:
        table = self._layout.table
        return sa.select(*(table.c[name] for name in columns)).select_from(table)

    def _found(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        """Add the conditions and the order."""
        table = self._layout.table
        for condition in self._conditions:
            statement = statement.where(condition.to_sql(table.c[condition.column]))
        if self._order_by is not None:
            by = table.c[self._order_by]
            statement = statement.order_by(by.is_(None), by.desc() if self._descending else by)
        return statement.order_by(*(table.c[name] for name in self._layout.primary))

    # --- as a source ----------------------------------------------------------------------------------------------

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self._columns)

    @cached_property
    def schema(self) -> Schema:
        """The columns with exact dtypes; from the record, without reading rows."""
        return self._layout.message({name: [] for name in self._columns}, 0).schema

    def describe(self) -> str:
        """Return the query as text, without its address: a pipe may go on elsewhere with a copy of the database."""
        where = " and ".join(map(str, self._conditions))
        order = f" by {self._order_by}{' descending' * self._descending}" if self._order_by is not None else ""
        return f"DBPipe({self._layout.name}: {', '.join(self._columns)}{' where ' * bool(where)}{where}{order})"

    def count(self) -> int:
        """Return the number of rows in the snapshot."""
        if not self.random_access:
            return super().count()
        return len(self.row_keys())

    def row_keys(self) -> Span:
        """Return the keys of the rows, in order; the snapshot, read when first needed."""
        if self._whole is not None:
            return self._whole.row_keys()
        if self._keys is None:
            with self._asking("reading the keys") as connection:
                self._keys = self._read_keys(connection)
        return self._keys

    @contextlib.contextmanager
    def _asking(self, doing: str) -> Iterator[sa.Connection]:
        database = self._database
        with database.explaining(f"DBPipe({self._layout.name!r})", doing), database.reading() as connection:
            yield connection

    def _read_keys(self, connection: sa.Connection) -> Span:
        key = self._layout.table.c[self._key]
        if not self._conditions and self._order_by is None:
            ends = sa.select(sa.func.count(), sa.func.min(key), sa.func.max(key)).select_from(self._layout.table)
            count, first, last = connection.execute(ends).one()
            if count == 0:
                return range(0)
            first, last = self._integers([first, last]).tolist()
            if last - first + 1 == count:
                return range(first, last + 1)
        return self._integers_of(connection.execute(self._found(self._statement(self._key))))

    def _integers_of(self, result: sa.CursorResult[Any]) -> Positions:
        parts = [np.empty(0, dtype=np.int64)]
        while part := result.fetchmany(_ROWS_AT_A_TIME):
            (keys,) = zip(*part, strict=True)
            parts.append(self._integers(keys))
        return np.concatenate(parts)

    def _integers(self, keys: Sequence[Any]) -> Positions:
        if set(map(type, keys)) != {int}:
            raise DatabaseError(
                f"DBPipe({self._layout.name!r}): the key {self._key!r} holds something else than integers, so its rows can't "
                "be told apart; query a view of the table, which is read as a stream."
            )
        return np.array(keys, dtype=np.int64)

    @property
    def _key(self) -> str:
        if self._layout.key is None:
            raise NoRandomAccessError(
                f"DBPipe({self._layout.name!r}): the table has no integer primary key, so it is a stream, whose rows have no "
                "keys to be asked for by. Read the rows first: fw.source(pipe.to_message())."
            )
        return self._layout.key

    def fetch(self, rows: Span) -> Message:
        """Return the rows at the given places of the snapshot, in that order; repeats are allowed.

        Raises:
            DatabaseError: a row has gone since the snapshot; the keys are named.
        """
        if not len(rows):
            return self._layout.message({name: [] for name in self._columns}, 0)
        wanted = self._keys_at(rows)
        keys = wanted if _is_increasing(wanted) else np.unique(wanted)
        with self._asking("reading rows") as connection:
            found, columns = self._read(connection, keys)
        gone = np.setdiff1d(keys, found, assume_unique=True)
        if len(gone):
            more = f" and {len(gone) - _SHOWN_KEYS} more" if len(gone) > _SHOWN_KEYS else ""
            raise DatabaseError(
                f"DBPipe({self._layout.name!r}): rows with {self._key} {gone[:_SHOWN_KEYS].tolist()}{more} were there when "
                "the query was made and have been deleted since; make the query anew."
            )
        message = self._layout.message(dict(zip(self._columns, columns, strict=True)), len(found))
        if np.array_equal(found, wanted):
            return message
        order = np.argsort(found)
        return message.take(order[np.searchsorted(found, wanted, sorter=order)])

    def narrowed(self, columns: Sequence[str]) -> DBPipe:
        """Return a source of the same snapshot that reads only the named columns."""
        wanted = tuple(name for name in self._columns if name in set(columns))
        if wanted == self._columns or not wanted:
            return self
        pipe = self._changed(_columns=wanted)
        pipe.__dict__.update(_whole=self._whole or self, built_at=self.built_at)
        return pipe

    def find(self, expression: Expression, mask: Mask) -> Positions | None:  # noqa: ARG002
        """Return the places in the snapshot of the rows for which an expression is true, found by the database.

        None for what the database does not compare as we do: arithmetic, two columns, dates that something else wrote.
        """
        if not self.random_access or not set(expression.columns) <= set(self._columns):
            return None
        key = self._layout.table.c[self._key]
        with self._asking("finding rows") as connection:
            condition = to_sql(expression, self._layout, dialect=connection.dialect.name)
            if condition is None:
                return None
            found = self._integers_of(connection.execute(self._statement(self._key).where(condition).order_by(key)))
        keys = self.row_keys()
        if isinstance(keys, range):
            return found[(found >= keys.start) & (found < keys.stop)] - keys.start
        return np.flatnonzero(np.isin(keys, found))

    def _keys_at(self, rows: Span) -> Positions:
        keys = self.row_keys()
        if isinstance(keys, range):
            return np.asarray(rows, dtype=np.int64) + keys.start
        return keys[rows.start : rows.stop] if isinstance(rows, range) else keys[rows]

    def _read(self, connection: sa.Connection, keys: Positions) -> tuple[Positions, list[list[Any]]]:
        """Read the rows with the given increasing keys: a long run without gaps as one range, the rest as lists."""
        key = self._layout.table.c[self._key]
        statement = self._statement(self._key, *self._columns).order_by(key)
        columns: list[list[Any]] = [[] for _ in range(1 + len(self._columns))]
        for run in _runs(keys):
            these = key.between(int(run[0]), int(run[-1])) if len(run) > _MAX_PARAMETERS else key.in_(run.tolist())
            result = connection.execute(statement.where(these))
            while part := result.fetchmany(_ROWS_AT_A_TIME):
                for column, values in zip(columns, zip(*part, strict=True), strict=True):
                    column.extend(values)
        return np.array(columns[0], dtype=np.int64), columns[1:]

    def stream(self, start: int) -> Iterator[Message]:
        """Yield the rows from row number ``start`` on; for tables without an integer primary key.

        Raises:
            DatabaseError: the transaction that was open when the pass began, and was read by it, has ended.
        """
        statement, who = self._found(self._statement(*self._columns)).offset(start), f"DBPipe({self._layout.name!r})"
        with self._database.explaining(who, "reading rows"):
            for part in self._database.stream(statement, num_rows=_STREAMED_ROWS, who=who):
                yield self._layout.message(
                    dict(zip(self._columns, map(list, zip(*part, strict=True)), strict=True)), len(part)
                )


def require_layout(database: Database, name: str, *, who: str) -> Layout:
    """Return what a table looks like.

    Raises:
        DatabaseError: the database or the table is not there; the error names the nearest.
    """
    with database.explaining(who, "looking for the table"), database.reading() as connection:
        layout = read_layout(connection, name)
        if layout is not None:
            return layout
        known = table_names(connection)
    raise DatabaseError(f"{who}: there is no such table in {database}; tables are {known}.{did_you_mean(name, known)}")


def _is_increasing(keys: Positions) -> bool:
    return bool((keys[1:] > keys[:-1]).all())


def _runs(keys: Positions) -> Iterator[Positions]:
    """Cut increasing keys into runs without gaps, where they are long, and into short lists."""
    ends = np.flatnonzero(np.diff(keys) != 1) + 1
    starts, stops = np.append(0, ends), np.append(ends, len(keys))
    is_long = stops - starts > _MAX_PARAMETERS
    before = 0
    for start, stop in zip(starts[is_long].tolist(), stops[is_long].tolist(), strict=True):
        yield from _lists(keys[before:start])
        yield keys[start:stop]
        before = stop
    yield from _lists(keys[before:])


def _lists(keys: Positions) -> Iterator[Positions]:
    return (keys[start : start + _MAX_PARAMETERS] for start in range(0, len(keys), _MAX_PARAMETERS))
