"""A pipe without an input: where rows come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from fireworks.core.chunk import Chunk, Span, as_positions, groups
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Base, Flow, read_rows
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import UnknownLengthError
from fireworks.message import Message, Schema


class Source(Pipe):
    """A pipe without an input.

    One with random access writes `schema`, `count` and `fetch`. A stream sets ``random_access = False`` and writes
    `schema` and `stream`. The rest comes from here.

    Example:
        >>> class Squares(fw.Source):
        ...     schema = fw.Message({"n": [0]}).schema
        ...     def count(self): return 10
        ...     def fetch(self, rows): return fw.Message({"n": np.asarray(rows) ** 2})
        >>> Squares()[2:5]["n"].tolist()
        [4, 9, 16]
    """

    random_access: bool = True

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

    def stream(self, start: int) -> Iterator[Message]:
        """Yield all rows from row number ``start`` on, in messages of any length."""
        raise NotImplementedError(f"{type(self).__name__} has random_access = False, so it must write stream().")

    def make_flow(self) -> Flow:
        """Return a flow of nothing but this source."""
        return Flow(_SourceBase(self))


class _SourceBase(Base):
    """The rows of a source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.is_indexable = source.random_access

    @property
    def row_bytes(self) -> int:
        return self._source.schema.row_bytes

    def num_items(self) -> int:
        return self._source.count()

    def no_rows(self) -> Message:
        if not self._source.random_access:
            return Message()
        return self._source.fetch(range(0))

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:  # noqa: ARG002
        for rows in groups(span, read_rows(self.row_bytes)):
            message = self._source.fetch(rows)
            if len(message) != len(rows):
                raise ValueError(
                    f"{self._source.describe()}: fetch was asked for {len(rows)} rows and returned {len(message)}."
                )
            yield Chunk(message, as_positions(rows))

    def open(self, run: Run) -> Cursor:  # noqa: ARG002
        return _StreamCursor(self._source)


class _StreamCursor(Cursor):
    """A pass over a streaming source: the row number is all there is to know."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._move(0)

    def _move(self, row: int) -> None:
        self._row = row
        self._messages: Iterator[Message] | None = None
        self._ahead = Message()
        self._used = 0

    def read(self, num_rows: int) -> Chunk | None:
        if self._messages is None:
            self._messages = self._source.stream(self._row)
        while self._used == len(self._ahead):
            try:
                following = next(self._messages, None)
            except BaseException:
                self._move(self._row)  # a generator that raised says from then on that it is at its end
                raise
            if following is None:
                return None
            self._ahead, self._used = following, 0
        part = self._ahead[self._used : self._used + num_rows]
        chunk = Chunk(part, np.arange(self._row, self._row + len(part), dtype=np.int64))
        self._used += len(part)
        self._row += len(part)
        return chunk

    def state_dict(self) -> State:
        return {"row": self._row}

    def load_state_dict(self, state: State) -> None:
        self._move(int(state["row"]))
