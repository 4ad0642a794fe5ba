"""What is in memory already: a message, a data frame, a mapping of columns, a sequence, an iterable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import torch

from fireworks.core.chunk import Span
from fireworks.core.pipe import Pipe
from fireworks.core.source import Source
from fireworks.message import Message, Schema
from fireworks.message.build import columns_of_rows

_ROWS_AT_A_TIME = 1024


def source(data: Any) -> Pipe:
    """Return a pipe over what is in memory already.

    Args:
        data: One of

            - a message, a DataFrame or a mapping of columns: random access, nothing is copied;
            - an object with ``__len__`` and ``__getitem__`` whose items are mappings of one row (a list of dicts, a
              torch dataset): random access, one item at a time;
            - a function without arguments that returns a new iterable of such rows, or of messages, each time it is
              called: a stream, without random access;
            - a pipe, which is returned as it is.

    Raises:
        TypeError: it is none of these. A generator is none: it could be read only once.

    Example:
        >>> fw.source([{"word": "fire"}, {"word": "works"}])[1]["word"].tolist()
        ['works']
        >>> stream = fw.source(lambda: ({"n": n} for n in range(5)))
        >>> [batch["n"].tolist() for batch in stream.batch(3)]
        [[0, 1, 2], [3, 4]]
    """
    if isinstance(data, Pipe):
        return data
    if isinstance(data, (Message, pd.DataFrame, Mapping)):
        return MemorySource(data)
    if isinstance(data, (torch.Tensor, np.ndarray)):
        raise TypeError(f"source: a {type(data).__name__} is one column; name it: fw.source({{'x': …}}).")
    if isinstance(data, (str, Path)):
        raise TypeError(f"source: read the file first, as in fw.source(pd.read_csv({str(data)!r})).")
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, (str, bytes)):
        return SequenceSource(data)
    if callable(data):
        return IterableSource(data)
    again = ""
    if hasattr(data, "__iter__") and not isinstance(data, (str, bytes)):
        again = " Pass a function that begins it anew, because each pass reads it again: fw.source(lambda: …)."
    raise TypeError(
        f"source: expected a message, a DataFrame, a mapping of columns, a sequence of rows or a function that returns "
        f"an iterable of rows; got {type(data).__name__}.{again}"
    )


@final
class MemorySource(Source):
    """The rows of a message; slices share its memory.

    Args:
        data: A message, or what a message can be made of.

    Example:
        >>> MemorySource({"x": [1, 2, 3]})[-1]["x"].tolist()
        [3]
    """

    def __init__(self, data: Message | pd.DataFrame | Mapping[str, Any]) -> None:
        super().__init__()
        # A message of its own: assigning a column to the caller's later must not change the pipeline.
        self.held: Message = Message(data)

    @property
    def schema(self) -> Schema:
        return self.held.schema

    def describe(self) -> str:
        return f"Memory({len(self.held)} rows: {', '.join(self.held.columns)})"

    def count(self) -> int:
        return len(self.held)

    def fetch(self, rows: Span) -> Message:
        return self.held[rows.start : rows.stop] if isinstance(rows, range) else self.held.take(rows)

    def narrowed(self, columns: Sequence[str]) -> MemorySource:
        return MemorySource(self.held.select(*columns))


@final
class SequenceSource(Source):
    """The items of any object with ``__len__`` and ``__getitem__``; each is a mapping of one row's values.

    Args:
        items: A list of dicts, a torch dataset, …

    Raises:
        TypeError: an item is no mapping.

    Example:
        >>> SequenceSource([{"x": torch.zeros(2)}, {"x": torch.ones(2)}]).to_message()["x"].shape
        torch.Size([2, 2])
    """

    def __init__(self, items: Any) -> None:
        super().__init__()
        self._items = items
        self._no_rows = rows_to_message([items[0]])[:0] if len(items) else Message()

    @property
    def schema(self) -> Schema:
        return self._no_rows.schema

    def describe(self) -> str:
        return f"Sequence({type(self._items).__name__} of {len(self._items)} rows)"

    def count(self) -> int:
        return len(self._items)

    def fetch(self, rows: Span) -> Message:
        return rows_to_message([self._items[int(row)] for row in rows]) if len(rows) else self._no_rows[:]


@final
class IterableSource(Source):
    """A stream of rows or messages from a function that begins it anew each time.

    Args:
        begin: A function without arguments that returns an iterable of mappings (one row each) or of messages.

    Raises:
        TypeError: an item is neither a mapping nor a message, or the function returns one iterator again and again.

    Example:
        >>> IterableSource(lambda: ({"n": n} for n in range(3))).to_message()["n"].tolist()
        [0, 1, 2]
    """

    random_access = False

    def __init__(self, begin: Callable[[], Iterable[Any]]) -> None:
        super().__init__()
        self._begin = begin
        self._last_begun: Iterable[Any] | None = None

    @cached_property
    def schema(self) -> Schema:
        return next(iter(self.stream(0)), Message()).schema

    @property
    def known_columns(self) -> list[str] | None:
        """Unknown: looking would begin the stream."""
        return None

    def describe(self) -> str:
        return f"Iterable({getattr(self._begin, '__name__', type(self._begin).__name__)})"

    def stream(self, start: int) -> Iterator[Message]:
        skip = start
        for message in _messages(self._begun()):
            if skip >= len(message):
                skip -= len(message)
            else:
                yield message[skip:] if skip else message
                skip = 0

    def _begun(self) -> Iterable[Any]:
        """Begin anew; a function that returns what was read already would lose rows in silence."""
        items = self._begin()
        if items is self._last_begun and iter(items) is items:
            raise TypeError(
                f"{self.describe()}: the function returned the same {type(items).__name__} twice, which can be read "
                "only once; make a new one in it."
            )
        self._last_begun = items
        return items

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_last_begun": None}


def _messages(items: Iterable[Any]) -> Iterator[Message]:
    """Pass messages on and gather single rows into messages of some length."""
    rows: list[Mapping[str, Any]] = []
    for item in items:
        if isinstance(item, Message):
            if rows:
                yield rows_to_message(rows)
                rows = []
            yield item
        else:
            rows.append(item)
            if len(rows) == _ROWS_AT_A_TIME:
                yield rows_to_message(rows)
                rows = []
    if rows:
        yield rows_to_message(rows)


def rows_to_message(rows: list[Any]) -> Message:
    """Return a message of rows, each a mapping of one row's values or a message of one row."""
    return Message._of(
        columns_of_rows(rows, where="source"), sum(len(r) if isinstance(r, Message) else 1 for r in rows)
    )
