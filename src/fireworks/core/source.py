"""A pipe without an input: where rows come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, cast

import numpy as np

from fireworks.core.chunk import Chunk, Span, as_positions, groups
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Base, Flow, read_rows
from fireworks.core.needs import chunk_bytes
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.run import Book, Run, SetAside, some_rows
from fireworks.errors import UnknownLengthError
from fireworks.message import Message, Schema

if TYPE_CHECKING:
    from fireworks.core.budget import Budget
    from fireworks.core.expressions import Expression
    from fireworks.message.columns import Positions


Mask: TypeAlias = "Callable[[Message], np.ndarray[Any, np.dtype[np.bool_]]]"
"""Decides for each row of a message whether it stays."""


class BadRows(NamedTuple):
    """Rows of a stream that could not be read, between its messages; the pass sets them aside.

    ``message`` holds what is known of them, such as a column ``line`` with the text. They count as rows of the source: the
    number of the next good row is higher by as many.
    """

    message: Message
    reason: str


class Source(Pipe):
    """A pipe without an input.

    One with random access writes `schema`, `count` and `fetch`. A stream sets ``random_access = False`` and writes
    `schema` and `stream`. The rest comes from here. One that can do work itself says so: `narrowed` where it can read
    fewer columns, `find` where it can tell which rows satisfy an expression, `reads_in_order` and `scan` where rows one
    after the other come cheaper than rows here and there.

    Example:
        >>> class Squares(fw.Source):
        ...     schema = fw.Message({"n": [0]}).schema
        ...     def count(self): return 10
        ...     def fetch(self, rows): return fw.Message({"n": np.asarray(rows) ** 2})
        >>> Squares()[2:5]["n"].tolist()
        [4, 9, 16]
    """

    random_access: bool = True

    of_its_role: ClassVar[frozenset[str]] = frozenset(
        {
            "count",
            "fetch",
            "stream",
            "scan",
            "find",
            "narrowed",
            "held",
            "random_access",
            "reads_in_order",
            "estimated_bytes",
            "on_error",
        }
    )
    on_error: str = "raise"
    """``"raise"``, or ``"quarantine"`` where rows that can't be read are set aside; the source is a stream then."""
    reads_in_order: ClassVar[bool] = False
    """Whether rows one after the other come much cheaper than rows here and there, as in files that have to be decoded. A
    shuffle then reads all of them once, and brings them into order in memory or on disk."""
    held: Message | None = None
    """All rows, where they are in memory anyway: a pass may then gather from them by itself."""

    def __init__(self) -> None:
        super().__init__(None)

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The columns, without reading the data where that is possible."""

    @property
    def known_columns(self) -> list[str] | None:
        """The names of the columns."""
        return self.schema.names

    def count(self) -> int:
        """Return the number of rows.

        Raises:
            UnknownLengthError: a stream, whose length nobody knows before its end.
        """
        raise UnknownLengthError(
            f"{self.describe()} is a stream; its length is not known before its end. Read it first: pipe.to_message()."
        )

    def fetch(self, rows: Span) -> Message:
        """Return the rows at the given row numbers, in that order. A range may be answered by a view."""
        raise NotImplementedError(f"{type(self).__name__} has random_access = True, so it must write fetch().")

    def scan(self, rows: range, budget: Budget) -> Iterator[Message]:  # noqa: ARG002
        """Yield rows that follow each other, in messages of any length, which nobody changes afterwards.

        Called where many are wanted. It may read ahead in threads, which end when the iterator is closed, and then counts
        what lies ready in the budget.

        Args:
            rows: Row numbers, with step 1.
            budget: What may be under way; its limit is a good measure for how much to read at a time.
        """
        for some in groups(rows, read_rows(self.schema.row_bytes)):
            yield self.fetch(some)

    def estimated_bytes(self) -> int:
        """Return about how much memory all rows would take."""
        return self.count() * self.schema.row_bytes

    def signature(self) -> str | None:
        """Return a short text that is most likely another one where the data is, cheap enough for each pass; None for none.

        States hold it, so that a pass does not go on over other data in silence. `fingerprint` looks at all of the data.
        """
        return None

    def require_unchanged(self) -> None:
        """Raise where what the rows come from has changed since the source was made.

        Asked when an epoch begins whose rows were kept from the one before.

        Raises:
            FileChangedError: a file is not the one that it was.
        """

    def least_bytes(self) -> int:
        """Return the bytes of what is read at once; 0 where rows are in memory anyway, or come from where nobody knows."""
        return 0 if self.held is not None or not self.random_access else chunk_bytes(self)

    def fingerprint(self) -> str:
        """Return a text that is another one when the content is: a SHA-256 of it, in hexadecimal digits.

        Raises:
            TypeError: the source can't tell.
        """
        raise TypeError(
            f"{self.describe()}: its content has no fingerprint, because it is made by a function or an object of yours; "
            "write fingerprint() in a subclass of fw.Source."
        )

    def stream(self, start: int) -> Iterator[Message | BadRows]:
        """Yield all rows from row number ``start`` on, in messages of any length; `BadRows` where some can't be read."""
        raise NotImplementedError(f"{type(self).__name__} has random_access = False, so it must write stream().")

    def narrowed(self, columns: Sequence[str]) -> Source:  # noqa: ARG002
        """Return a source of the same rows that reads only the named columns; this one where it can't.

        Args:
            columns: Names that the schema has, at least one; the order of the columns stays the schema's.
        """
        return self

    def find(self, expression: Expression, mask: Mask) -> Positions | None:  # noqa: ARG002
        """Return the numbers of the rows for which an expression is true, increasing; null and NaN make it unknown.

        None where the source can't tell, or not with exactly the meaning that the expression has in memory.

        Args:
            expression: A condition on columns that the source has.
            mask: What decides in memory, for a message with the columns of the expression.
        """
        return None

    def make_flow(self) -> Flow:
        """Return a flow of nothing but this source."""
        return Flow(SourceBase(self))


class SourceBase(Base):
    """The rows of a source.

    Args:
        source: What is read.
        stands_for: The source whose schema makes the grid of blocks, where the one that is read is narrowed: leaving
            out columns must not change which rows come in one block.
    """

    def __init__(self, source: Source, *, stands_for: Source | None = None) -> None:
        self.source = source
        self.stands_for = source if stands_for is None else stands_for
        self.is_indexable = source.random_access
        self.reads_in_order = source.reads_in_order

    @property
    def row_bytes(self) -> int:
        """Bytes of one row by the schema of the whole source."""
        return self.stands_for.schema.row_bytes

    def num_items(self) -> int:
        """Return the number of rows."""
        return self.source.count()

    def rows_at(self, span: Span, epoch: int) -> Origins:  # noqa: ARG002
        """Return the positions: they are the row numbers."""
        return Origins(as_positions(span))

    def num_source_rows(self) -> int | None:
        """Return the number of rows; None of a stream."""
        return self.source.count() if self.is_indexable else None

    def estimated_bytes(self) -> int:
        """Return about how much memory all rows would take."""
        return self.source.estimated_bytes()

    def require_unchanged(self) -> None:
        """Raise where what the rows come from has changed."""
        self.source.require_unchanged()

    def no_rows(self) -> Message:
        """Return a message without rows; a stream gives none without beginning."""
        if not self.source.random_access:
            return Message()
        return self.source.fetch(range(0))

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        """Yield the rows with the given numbers, some thousand at a time."""
        source, held = self.source, self.source.held
        if source.reads_in_order and isinstance(span, range) and len(span) > read_rows(self.row_bytes):
            yield from self._scanned(span, run)
            return
        for rows in groups(span, read_rows(self.row_bytes)):
            asked = perf_counter_ns()
            if held is None or run.buffers is None or isinstance(rows, range):
                try:
                    message = source.fetch(rows)
                except Exception as error:
                    _note_source(error, self.stands_for, f"fetching {some_rows(as_positions(rows))}")
                    raise
            else:
                message = run.buffers.take(id(source), held, rows)
            if len(message) != len(rows):
                raise ValueError(
                    f"{self.source.describe()}: fetch was asked for {len(rows)} rows and returned {len(message)}."
                )
            run.book.note(self.stands_for, len(rows), len(rows), perf_counter_ns() - asked)
            yield Chunk(message, as_positions(rows))

    def _scanned(self, rows: range, run: Run) -> Iterator[Chunk]:
        at = rows.start
        with closing(cast("Generator[Message]", self.source.scan(rows, run.budget))) as messages:
            while at < rows.stop:
                asked = perf_counter_ns()
                try:
                    message = next(messages, None)
                except Exception as error:
                    _note_source(error, self.stands_for, f"behind row {at}")
                    raise
                length = 0 if message is None else len(message)
                if message is None or at + length > rows.stop:
                    raise ValueError(
                        f"{self.source.describe()}: scan was asked for rows {rows.start} to before {rows.stop} and "
                        f"returned {'them only to ' if message is None else 'more, to '}{at + length}."
                    )
                run.book.note(self.stands_for, length, length, perf_counter_ns() - asked)
                yield Chunk(message, np.arange(at, at + length, dtype=np.int64))
                at += length

    def open(self, run: Run) -> Cursor:
        """Return a cursor before the first row of a stream."""
        return _StreamCursor(self.source, self.stands_for, run.book)


def _note_source(error: BaseException, source: Source, where: str) -> None:
    error.add_note(f"In {source.describe()}, built at {source.built_at}, {where}.")


class _StreamCursor(Cursor):
    """A pass over a streaming source: the row number is all there is to know."""

    def __init__(self, source: Source, stands_for: Source, book: Book) -> None:
        self._source, self._stands_for, self._book = source, stands_for, book
        self._move(0)

    def _move(self, row: int) -> None:
        self._row = row
        self._messages: Iterator[Message | BadRows] | None = None
        self._ahead = Message()
        self._used = 0

    def read(self, num_rows: int) -> Chunk | None:
        if self._messages is None:
            self._messages = self._source.stream(self._row)
        while self._used == len(self._ahead):
            asked = perf_counter_ns()
            try:
                following = next(self._messages, None)
            except BaseException as error:
                _note_source(error, self._source, f"behind row {self._row} of the stream")
                self._move(self._row)  # a generator that raised says from then on that it is at its end
                raise
            if following is None:
                return None
            if isinstance(following, BadRows):
                self._set_aside(following)
                continue
            self._book.note(self._stands_for, len(following), len(following), perf_counter_ns() - asked)
            self._ahead, self._used = following, 0
        part = self._ahead[self._used : self._used + num_rows]
        chunk = Chunk(part, np.arange(self._row, self._row + len(part), dtype=np.int64))
        self._used += len(part)
        self._row += len(part)
        return chunk

    def _set_aside(self, bad: BadRows) -> None:
        rows = np.arange(self._row, self._row + len(bad.message), dtype=np.int64)
        source = self._stands_for
        self._book.set_aside.append(SetAside(source.describe(), source.built_at, rows, bad.message, bad.reason))
        self._book.meter(source).set_aside += len(rows)
        self._row += len(rows)

    def state_dict(self) -> State:
        return {"row": self._row}

    def load_state_dict(self, state: State) -> None:
        self._move(int(state["row"]))
