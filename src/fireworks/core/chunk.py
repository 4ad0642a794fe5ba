"""The unit of work inside a pipeline: some rows, and the numbers that these rows have in their source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from fireworks.message import Message, concat
from fireworks.message.columns import Positions

Span: TypeAlias = "range | Positions"
"""Positions of items to fetch: a range with step 1, or an array in any order."""


class Chunk(NamedTuple):
    """Rows on their way down a pipeline.

    ``rows`` are the row numbers of the source, which errors and provenance speak of.
    """

    message: Message
    rows: Positions

    def cut(self, start: int, stop: int) -> Chunk:
        """Return the rows from ``start`` to before ``stop``, sharing memory."""
        if start == 0 and stop >= len(self.rows):
            return self
        return Chunk(self.message[start:stop], self.rows[start:stop])

    def take(self, positions: Positions) -> Chunk:
        """Return the rows at ``positions``, as a copy."""
        return Chunk(self.message.take(positions), self.rows[positions])


def numbered(message: Message, start: int = 0) -> Chunk:
    """Return rows that come from no source, numbered from ``start`` on."""
    return Chunk(message, np.arange(start, start + len(message), dtype=np.int64))


def as_positions(span: Span) -> Positions:
    """Return a span as an array."""
    return np.arange(span.start, span.stop, dtype=np.int64) if isinstance(span, range) else span


def groups(span: Span, size: int) -> Iterator[Span]:
    """Cut a span into consecutive spans of ``size``; the last may be shorter."""
    for start in range(0, len(span), size):
        yield span[start : start + size]


def join(chunks: list[Chunk]) -> Chunk:
    """Return the rows of several chunks as one; a single chunk is passed on as it is."""
    if len(chunks) == 1:
        return chunks[0]
    return Chunk(concat(chunk.message for chunk in chunks), np.concatenate([chunk.rows for chunk in chunks]))


def recut(chunks: Iterable[Chunk], num_rows: int) -> Iterator[Chunk]:
    """Cut a stream of chunks into chunks of exactly ``num_rows``; only the last may be shorter.

    Rows are copied only where a new chunk reaches over the border of two old ones.
    """
    waiting: list[Chunk] = []
    have = 0
    for chunk in chunks:
        start, length = 0, len(chunk.rows)
        if have:
            start = min(num_rows - have, length)
            waiting.append(chunk.cut(0, start))
            have += start
            if have == num_rows:
                yield join(waiting)
                waiting, have = [], 0
        whole = (length - start) // num_rows
        if whole:
            stop = start + whole * num_rows
            yield from _even(chunk.cut(start, stop), num_rows, whole)
            start = stop
        if start < length:
            waiting, have = [chunk.cut(start, length)], length - start
    if waiting:
        yield join(waiting)


def _even(chunk: Chunk, num_rows: int, whole: int) -> Iterator[Chunk]:
    """Cut a chunk into ``whole`` equal views. `torch.split` makes them in bulk, at half the price of slicing."""
    if whole == 1:
        yield chunk
        return
    stored = chunk.message._columns
    names = list(stored)
    columns = [_views(column, num_rows, whole) for column in stored.values()]
    of, rows = Message._of, chunk.rows
    if not names:
        columns = [[()] * whole]
    for number, views in enumerate(zip(*columns, strict=True)):
        start = number * num_rows
        yield Chunk(of(dict(zip(names, views, strict=False)), num_rows), rows[start : start + num_rows])


def _views(column: Any, num_rows: int, whole: int) -> Any:
    if isinstance(column, torch.Tensor):
        return torch.split(column, num_rows)
    return [column[i * num_rows : (i + 1) * num_rows] for i in range(whole)]
