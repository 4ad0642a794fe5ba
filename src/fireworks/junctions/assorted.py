"""Rows of several components on their way through one flow, each as its component made them.

Components may have different columns before their row stages have run, so their rows can't stand in columns of one
message. They travel in one column of their own kind instead: for each row, which part it is in and its place there.
Slicing, taking and joining touch these numbers alone; `by_component` gives the rows of each component back, as views
where they lie in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, final

import numpy as np
from pandas.api.extensions import ExtensionArray, ExtensionDtype

from fireworks.core.chunk import Chunk, join
from fireworks.message import Message
from fireworks.message.columns import Positions

COLUMN: Final = "rows of components"


@final
class AssortedType(ExtensionDtype):
    """The type of a column of rows of several components."""

    name = "assorted"
    type = Chunk


@final
class Assorted(ExtensionArray):
    """Rows of several components, in any order.

    Args:
        parts: The number of a component, and some of its rows.
        part: For each row, which part it is in.
        place: For each row, its place in that part.
    """

    dtype = AssortedType()

    def __init__(self, parts: Sequence[tuple[int, Chunk]], part: Positions, place: Positions) -> None:
        self.parts, self.part, self.place = tuple(parts), part, place

    def __len__(self) -> int:
        return len(self.place)

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers, and of the rows that they point at."""
        held = sum(int(chunk.message.num_bytes) for _, chunk in self.parts)
        return held + self.part.nbytes + self.place.nbytes

    def __getitem__(self, key: Any) -> Assorted:
        return Assorted(self.parts, self.part[key], self.place[key])

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Assorted:  # noqa: ARG002
        """Return the rows at the given places."""
        return self[np.asarray(indices)]

    def copy(self) -> Assorted:
        """Return the same rows; nothing is ever written to them."""
        return self[:]

    def isna(self) -> Any:
        """Tell which rows are missing: none."""
        return np.zeros(len(self), dtype=bool)

    @classmethod
    def _concat_same_type(cls, arrays: Sequence[Assorted]) -> Assorted:
        parts: list[tuple[int, Chunk]] = []
        numbers: dict[int, int] = {}  # by id of a chunk: pieces of one read hold the same parts
        moved = []
        for array in arrays:
            to = np.empty(len(array.parts), dtype=np.int64)
            for old, (component, chunk) in enumerate(array.parts):
                if id(chunk) not in numbers:
                    numbers[id(chunk)] = len(parts)
                    parts.append((component, chunk))
                to[old] = numbers[id(chunk)]
            moved.append(to[array.part])
        return cls(parts, np.concatenate(moved), np.concatenate([array.place for array in arrays]))

    def by_component(self) -> Iterator[tuple[int, Positions, Chunk]]:
        """Yield each component of which there are rows: its number, their places here, and the rows."""
        if len(self.parts) == 1 and len(self):
            component, chunk = self.parts[0]
            yield component, np.arange(len(self), dtype=np.int64), _rows_at(chunk, self.place)
            return
        of_part = [component for component, _ in self.parts]
        owner = np.array(of_part, dtype=np.int64)[self.part]
        for component in sorted(set(of_part)):
            places = np.flatnonzero(owner == component)
            if len(places):
                yield component, places, self._rows(places)

    def _rows(self, places: Positions) -> Chunk:
        """Return the rows at places that are all of one component."""
        part, place = self.part[places], self.place[places]
        first = int(part[0])
        if (part == first).all():
            return _rows_at(self.parts[first][1], place)
        used, slot = np.unique(part, return_inverse=True)
        if (np.diff(slot) >= 0).all():  # part after part, as a block that reaches over two reads
            return join([_rows_at(self.parts[number][1], place[slot == n]) for n, number in enumerate(used)])
        chunks = [self.parts[number][1] for number in used]
        starts = np.cumsum([0, *(len(chunk.rows) for chunk in chunks[:-1])])
        return join(chunks).take(starts[slot] + place)


def _rows_at(chunk: Chunk, place: Positions) -> Chunk:
    """Return the rows of a chunk at the given places, as a view where they follow each other."""
    first = int(place[0])
    if int(place[-1]) - first == len(place) - 1 and (np.diff(place) == 1).all():
        return chunk.cut(first, first + len(place))
    return chunk.take(place)


def assorted(parts: Sequence[tuple[int, Chunk]], part: Positions, place: Positions, rows: Positions) -> Chunk:
    """Return a chunk of rows of several components; ``rows`` are the numbers that stages behind the junction see."""
    return Chunk(Message._of({COLUMN: Assorted(parts, part, place)}, len(place)), rows)


def of_one(component: int, chunk: Chunk, rows: Positions) -> Chunk:
    """Return a chunk of rows of one component."""
    count = len(chunk.rows)
    return assorted([(component, chunk)], np.zeros(count, dtype=np.int64), np.arange(count, dtype=np.int64), rows)


def no_rows(components: int) -> Chunk:
    """Return a chunk without rows."""
    nothing = np.empty(0, dtype=np.int64)
    return assorted([(number, Chunk(Message(), nothing)) for number in range(components)], nothing, nothing, nothing)
