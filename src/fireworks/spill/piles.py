"""Rows sorted roughly: scattered to piles on disk in one pass, and each pile read back as one message."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from fireworks._internal.background import Background
from fireworks._internal.checks import check_count
from fireworks.core.buffers import Buffers
from fireworks.errors import ColumnLengthError, SchemaMismatchError
from fireworks.message import Message
from fireworks.message.columns import Positions
from fireworks.spill.arena import Arena, ArenaFiles
from fireworks.spill.codec import Codec, codec_of
from fireworks.spill.layout import Array, Directory, PileRows, Plane, Scatter, Segment, Warm

_MOST_PILES = 2**16


class Stored(NamedTuple):
    """Rows of a pile as they lie there, on their way to another pile."""

    codecs: Mapping[str, Codec]
    pieces: list[Any]
    num_rows: int
    memory_bytes: int
    """Of the rows as a message, which has texts where codes lie on disk."""


class _Pending(NamedTuple):
    """Rows that wait to be scattered."""

    piles: Array
    extras: list[Array]
    pieces: list[Any]


class PileWriter:
    """Scatter rows to piles on disk; rows of one pile keep the order in which they were written.

    Small messages are gathered until ``write_bytes`` are together, and long ones are cut, so it takes about twice as much
    memory. Each column is brought into the order of the piles by one gather, and each pile's slices are written at once.
    Not for several threads, but for `move`. Used with ``with``, what was not finished is removed.

    Args:
        like: Rows with the columns and types of all that will be written.
        num_piles: How many piles, at most 65,536.
        folder: Where the rows go: an arena that others use too, or the folder for one of their own.
        extras: Types of further numbers that each row has besides its columns, by name.
        write_bytes: How many bytes are scattered at once.
        user: Who writes, for the errors.
        aside: Whether a thread writes to disk while the next rows are scattered; takes half as much memory more.

    Raises:
        ColumnTypeError: a column's type can't go to disk.
        ValueError: a number makes no sense.
        OSError: no file can be made in the folder.

    Example:
        >>> import tempfile
        >>> table = fw.Message({"x": torch.arange(5), "name": ["a", "b", "c", "d", "e"]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = PileWriter(table[:0], 2, Path(folder), extras={"key": np.int64}, write_bytes=2**20)
        ...     writer.write(table, np.array([1, 0, 1, 0, 1], np.uint8), {"key": np.array([9, 8, 7, 6, 5])})
        ...     piles = writer.finish()
        ...     rows, extras = piles.read(1, order=lambda extras: np.argsort(extras["key"]))
        ...     piles.close()
        >>> rows["x"].tolist(), rows["name"].tolist(), extras["key"].tolist()
        ([4, 2, 0], ['e', 'c', 'a'], [5, 7, 9])
    """

    def __init__(
        self,
        like: Message | Stored,
        num_piles: int,
        folder: Path | Arena,
        *,
        extras: Mapping[str, Any],
        write_bytes: int,
        user: str = "shuffle",
        aside: bool = False,
    ) -> None:
        self.num_piles = check_count(num_piles, at_least=1, where="PileWriter: num_piles")
        if self.num_piles > _MOST_PILES:
            raise ValueError(f"PileWriter: num_piles must be at most {_MOST_PILES:,}; got {num_piles}.")
        self._write_bytes = check_count(write_bytes, at_least=1, where="PileWriter: write_bytes")
        self._user = user
        self._extras = {name: np.dtype(dtype) for name, dtype in extras.items()}
        self._codecs: Mapping[str, Codec] = (
            like.codecs
            if isinstance(like, Stored)
            else {name: codec_of(name, like[:0].raw(name), user) for name in like.columns}
        )
        self._segments: list[Segment] = []
        self._pending: list[_Pending] = []
        self._pending_bytes = self._memory_bytes = 0
        self._warm = [Warm(), Warm()] if aside else [Warm()]
        self._turn = 0
        self._apart: list[Warm] = []
        self._lock = threading.Lock()
        self._writer = Background(1, "scratch of fireworks") if aside else None
        self._writing: deque[Future[None]] = deque()
        self._finished = False
        arena = folder if isinstance(folder, Arena) else Arena(folder, user)
        self._files = ArenaFiles(arena, self.num_piles, owns=arena is not folder)

    @property
    def num_bytes(self) -> int:
        """Bytes written so far."""
        return self._files.num_bytes

    def write(self, rows: Message, piles: Array, extras: Mapping[str, Array] | None = None) -> None:
        """Scatter rows.

        Args:
            rows: They may be kept until the next write, so nobody may change them in place.
            piles: The pile of each row.
            extras: The further numbers of each row.

        Shapes:
            ``piles`` and each of ``extras``: ``(rows,)``.

        Raises:
            ColumnTypeError: a column holds what can't go to disk; none of the rows is written.
            SchemaMismatchError: a column is missing, or of another type than was agreed.
            DiskSpaceError: the disk is full; everything that was written is removed.
        """
        self._require_open()
        values = self._checked(rows, piles, extras or {})
        if not len(piles):
            return
        num_bytes = rows.num_bytes + sum(array.nbytes for array in values)
        self._memory_bytes += num_bytes
        parts = max(1, num_bytes // self._write_bytes)  # none of which has to wait for the next
        step = -(-len(piles) // parts)
        # whatever can't go to disk is found here, before anything is written
        taken = [
            _Pending(piles[start : start + step], [array[start : start + step] for array in values], self._pieces(part))
            for start in range(0, len(piles), step)
            for part in [rows if step == len(piles) else rows[start : start + step]]
        ]
        while taken:
            self._take(taken.pop(0), num_bytes // parts)

    def move(self, rows: Stored, piles: Array, extras: Mapping[str, Array]) -> None:
        """Scatter rows of other piles and write them at once. Several threads may, unless the order of the rows matters.

        Args:
            rows: Of the piles that this writer was made like.
            piles: The pile of each row.
            extras: The further numbers of each row.

        Shapes:
            ``piles`` and each of ``extras``: ``(rows,)``.

        Raises:
            DiskSpaceError: the disk is full.
            ValueError: the rows are of other piles; or this is finished or closed.
        """
        part = _Pending(piles, self._checked(rows, piles, extras), rows.pieces)
        with self._lock:
            warm = self._apart.pop() if self._apart else Warm()
        scatter = Scatter(piles, self.num_piles, warm)
        planes = self._planes([part], scatter)
        with self._lock:
            self._require_open()
            self._write(scatter.counts, planes)
            self._memory_bytes += rows.memory_bytes
            self._apart.append(warm)

    def _require_open(self) -> None:
        if self._finished or self._files.is_closed:
            raise ValueError("PileWriter: it is finished or closed; make another one.")

    def _pieces(self, message: Message) -> list[Any]:
        return [codec.piece(message.raw(name)) for name, codec in self._codecs.items()]

    def _checked(self, rows: Message | Stored, piles: Array, extras: Mapping[str, Array]) -> list[Array]:
        if isinstance(rows, Stored):
            num_rows = rows.num_rows
            if rows.codecs is not self._codecs:
                raise ValueError("PileWriter: these rows are of other piles than those that it was made for.")
        elif rows._columns.keys() == self._codecs.keys():
            num_rows = len(rows) if self._codecs else len(piles)
        else:
            raise SchemaMismatchError(
                f"{self._user}: the rows have columns {rows.columns}; those before, or the schema, have "
                f"{list(self._codecs)}."
            )
        if getattr(piles, "ndim", None) != 1 or piles.dtype not in (np.uint8, np.uint16):
            raise TypeError(f"PileWriter: piles must be an array of one uint8 or uint16 per row; got {_text(piles)}.")
        if len(piles) != num_rows:
            raise ColumnLengthError(f"PileWriter: there are {num_rows} rows, piles has {len(piles)}.")
        if len(piles) and piles.max() >= self.num_piles:
            raise ValueError(f"PileWriter: there are {self.num_piles} piles, from 0; got a row for pile {piles.max()}.")
        if extras.keys() != self._extras.keys():
            raise ValueError(f"PileWriter: extras must be {list(self._extras)}; got {list(extras)}.")
        for name, dtype in self._extras.items():
            if extras[name].shape != piles.shape or extras[name].dtype != dtype:
                raise ValueError(
                    f"PileWriter: extras[{name!r}] must be {dtype} of shape {piles.shape}; got {_text(extras[name])}."
                )
        return [extras[name] for name in self._extras]

    def _take(self, part: _Pending, num_bytes: int) -> None:
        if self._pending and not all(
            codec.joins(one, other)
            for codec, one, other in zip(self._codecs.values(), self._pending[-1].pieces, part.pieces, strict=True)
        ):
            self._flush()
        self._pending_bytes += num_bytes
        if self._pending_bytes < self._write_bytes:  # it waits, and these arrays are the caller's
            part = _Pending(part.piles.copy(), [array.copy() for array in part.extras], part.pieces)
        self._pending.append(part)
        if self._pending_bytes >= self._write_bytes:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        try:
            self._scatter(self._pending)
        except BaseException:
            self.close()
            raise
        self._pending, self._pending_bytes = [], 0

    def _scatter(self, pending: Sequence[_Pending]) -> None:
        piles = pending[0].piles if len(pending) == 1 else np.concatenate([part.piles for part in pending])
        self._wait_for_writer(len(self._warm) - 1)
        self._turn += 1
        scatter = Scatter(piles, self.num_piles, self._warm[self._turn % len(self._warm)])
        planes = self._planes(pending, scatter)
        if self._writer is None:
            self._write(scatter.counts, planes)
        else:
            self._writing.append(self._writer.submit(self._write, scatter.counts, planes))

    def _planes(self, pending: Sequence[_Pending], scatter: Scatter) -> list[Plane]:
        planes = [
            scatter.numbers(("extra", place), [part.extras[place] for part in pending])
            for place in range(len(self._extras))
        ]
        for place, codec in enumerate(self._codecs.values()):
            planes += codec.planes([part.pieces[place] for part in pending], scatter)
        return planes

    def _wait_for_writer(self, most: int) -> None:
        """Wait until no more than so many writes are under way."""
        while len(self._writing) > most:
            self._writing.popleft().result()

    def _write(self, counts: Positions, planes: Sequence[Plane]) -> None:
        lengths = {number: np.diff(plane.cuts) for number, plane in enumerate(planes) if plane.width is None}
        forms, widths = [plane.form for plane in planes], [plane.width for plane in planes]
        segment = Segment(counts, np.array(self._files.sizes), forms, widths, lengths)
        self._append(counts, planes)
        self._segments.append(segment)

    def _append(self, counts: Positions, planes: Sequence[Plane]) -> None:
        stored = [plane for plane in planes if len(plane.data)]
        data, cuts = [plane.data for plane in stored], [plane.cuts.tolist() for plane in stored]
        totals = sum((np.diff(plane.cuts) for plane in stored), np.zeros(self.num_piles, dtype=np.int64)).tolist()
        for number in np.flatnonzero(counts).tolist():
            if totals[number]:
                pieces = [view[cut[number] : cut[number + 1]] for view, cut in zip(data, cuts, strict=True)]
                self._files.append(number, pieces, totals[number])

    def finish(self) -> Piles:
        """Write what still waits, and return the piles, which own the files from now on.

        Raises:
            DiskSpaceError: the disk is full; everything that was written is removed.
        """
        self._require_open()
        self._flush()
        try:
            self._wait_for_writer(0)
        except BaseException:
            self.close()
            raise
        self._end_writer()
        self._finished = True
        return Piles(
            self._files, self._segments, self._codecs, list(self._extras.items()), self.num_piles, self._memory_bytes
        )

    def close(self) -> None:
        """Remove everything that was written, unless it was finished. May be called again."""
        self._pending, self._pending_bytes = [], 0
        self._end_writer()
        with self._lock:
            if not self._finished:
                self._files.close()

    def _end_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
        while self._writing:  # what is under way must not write into blocks that are another's by then
            future = self._writing.popleft()
            if not future.cancelled():
                future.exception()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Piles:
    """Rows on disk, in piles; what `PileWriter.finish` returns.

    Several threads may read at once. The files are removed by `close`, or with this object.
    """

    def __init__(
        self,
        files: ArenaFiles,
        segments: Sequence[Segment],
        codecs: Mapping[str, Codec],
        extras: Sequence[tuple[str, Any]],
        num_piles: int,
        memory_bytes: int,
    ) -> None:
        self._files, self._codecs, self._extras = files, codecs, extras
        num_planes = len(extras) + sum(codec.num_planes for codec in codecs.values())
        self._directory = Directory(segments, num_piles, num_planes)
        self.counts: Positions = self._directory.counts.sum(axis=0)
        """Rows of each pile."""
        self._capacity = int(self.counts.max())
        self.row_bytes = memory_bytes / max(1, int(self.counts.sum()))
        """Of one row in memory, on average."""
        self._owner = object()
        self._warm: list[Warm] = []
        self._lock = threading.Lock()
        self._gone: set[int] = set()

    @property
    def num_bytes(self) -> int:
        """Bytes on disk now."""
        return sum(size for number, size in enumerate(self._files.sizes) if number not in self._gone)

    def read(
        self,
        number: int,
        order: Callable[[Mapping[str, Array]], Positions] | None = None,
        buffers: Buffers | None = None,
    ) -> tuple[Message, dict[str, Array]]:
        """Return the rows of a pile and their extras, as they were written or in another order.

        Args:
            number: Which pile, from 0.
            order: Given the extras, the positions of the rows in the order that is wanted; a row may be left out, or come
                more than once. One column after the other is brought into it, so the memory that is needed is that of the
                result and of one column more.
            buffers: Memory to use for the result wherever nobody holds a view of it any more.

        Raises:
            FileFormatError: the file is not as it was when it was written.
            TypeError: the order is no array of positions.
            ValueError: the pile was discarded, or all are closed; or the order names rows that are not there.
        """
        with self._reading(number, buffers) as rows:
            extras = {name: rows.numbers(plane, empty=dtype) for plane, (name, dtype) in enumerate(self._extras)}
            if order is not None:
                rows.order = _checked_order(order(extras), rows.stored_rows)
                extras = {name: rows.taken(("ordered", name), values) for name, values in extras.items()}
            columns = {codec.name: codec.column(rows, plane) for codec, plane in self._planes()}
            return Message._of(columns, rows.num_rows if columns else 0), extras

    def _planes(self) -> Iterator[tuple[Codec, int]]:
        """Yield the codecs, and the first plane of each."""
        plane = len(self._extras)
        for codec in self._codecs.values():
            yield codec, plane
            plane += codec.num_planes

    @contextmanager
    def _reading(
        self, number: int, buffers: Buffers | None, segments: Sequence[int] | None = None
    ) -> Iterator[PileRows]:
        """Give the rows of a pile, or those of some segments as they lie there."""
        if not 0 <= number < len(self.counts):
            raise IndexError(f"Piles: there are {len(self.counts)} piles, from 0; got {number}.")
        if number in self._gone:
            raise ValueError(f"Piles: pile {number} was discarded.")
        with self._lock:
            warm = self._warm.pop() if self._warm else Warm()
        room = self._room(buffers)
        try:
            if not self._files.sizes[number]:
                yield PileRows(self._files, -1, number, self._directory, segments, warm, room)
                return
            with self._files.reading(number) as descriptor:
                self._files.expect(descriptor, number)
                yield PileRows(
                    self._files,
                    descriptor,
                    number,
                    self._directory,
                    segments,
                    warm,
                    room,
                    is_kept=segments is not None,
                )
        finally:
            with self._lock:
                self._warm.append(warm)

    def bytes_of(self, number: int) -> int:
        """Return the bytes of a pile on disk."""
        return self._files.sizes[number]

    def stored(
        self, number: int, max_bytes: int, buffers: Buffers | None = None
    ) -> Iterator[tuple[Stored, dict[str, Array]]]:
        """Yield the rows of a pile as they lie there, some at a time, for another writer.

        Args:
            number: Which pile, from 0.
            max_bytes: At most so many at a time, but what was written at once is not divided.
            buffers: As of `read`.

        Raises:
            FileFormatError: the file is not as it was when it was written.
            ValueError: the pile was discarded, or all are closed.
        """
        some: list[int] = []
        num_bytes = 0
        parts = -(-self._files.sizes[number] // max_bytes)
        enough = self._files.sizes[number] / max(1, parts)  # parts of about the same size
        for segment, size in self._directory.sizes(number):
            if some and (
                num_bytes >= enough or num_bytes + size > max_bytes or not self._directory.joins(some[-1], segment)
            ):
                yield self._as_stored(number, buffers, some)
                some, num_bytes = [], 0
            some.append(segment)
            num_bytes += size
        if some:
            yield self._as_stored(number, buffers, some)

    def _as_stored(
        self, number: int, buffers: Buffers | None, segments: Sequence[int]
    ) -> tuple[Stored, dict[str, Array]]:
        with self._reading(number, buffers, segments) as rows:
            extras = {name: rows.raw_numbers(plane, empty=dtype) for plane, (name, dtype) in enumerate(self._extras)}
            pieces = [codec.piece_of(rows, plane) for codec, plane in self._planes()]
            in_memory = int(self.row_bytes * rows.stored_rows)
            return Stored(self._codecs, pieces, rows.stored_rows, in_memory), extras

    def _room(self, buffers: Buffers | None) -> Callable[[Hashable, tuple[int, ...], Any], Array]:
        if buffers is None:
            return lambda key, shape, dtype: np.empty(shape, dtype)  # noqa: ARG005

        def room(key: Hashable, shape: tuple[int, ...], dtype: Any) -> Array:
            rows = max(shape[0], self._capacity)  # so that it will do for the other piles
            kind = np.dtype(dtype)
            return buffers._buffer((self._owner, key, kind.str), (rows, *shape[1:]), kind)[: shape[0]]

        return room

    def cool(self) -> None:
        """Let go of the memory that is kept for the next read."""
        with self._lock:
            self._warm.clear()

    def discard(self, number: int) -> None:
        """Remove the file of a pile; waits for those who read it."""
        self._gone.add(number)
        self._files.discard(number)

    def close(self) -> None:
        """Remove all files; waits for those who read them. May be called again."""
        self._files.close()
        self._warm.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _text(array: Any) -> str:
    return f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__


def _checked_order(positions: Positions, num_rows: int) -> Positions:
    if getattr(positions, "ndim", None) != 1 or positions.dtype.kind not in "iu":
        raise TypeError(f"Piles: an order is an array of positions; got {_text(positions)}.")
    if len(positions) and (positions.min() < 0 or positions.max() >= num_rows):
        raise ValueError(
            f"Piles: the pile has {num_rows} rows; the order asks for rows {positions.min()} to {positions.max()}."
        )
    return positions.astype(np.int64, copy=False)
