"""Rows that lie in files in blocks, each of which is decoded as a whole."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np

from fireworks.core.budget import current_budget
from fireworks.core.chunk import Span
from fireworks.core.source import BadRows, Mask, Source
from fireworks.errors import UnknownLengthError
from fireworks.formats.files import Files
from fireworks.formats.read_ahead import ReadAhead
from fireworks.message import Message, Schema, concat
from fireworks.message.columns import Positions

if TYPE_CHECKING:
    from fireworks.core.budget import Budget
    from fireworks.core.expressions import Expression

_KEPT_BYTES = 64 * 2**20
_READ_BYTES = 2**21  # of a file and of what comes of it, decoded at a time in a long pass
_AHEAD_BYTES = 64 * 2**20
_MOST_THREADS = 4

_Decoded = TypeVar("_Decoded")


class Blocks:
    """Where the blocks of all files lie, and which rows they hold.

    Args:
        file: The number of each block's file.
        start: Where it begins in the file: a byte, or the number of a record batch.
        stop: Where it ends.
        num_rows: How many rows it holds.
        line: The number of its first line, from 1.
    """

    def __init__(self, file: Any, start: Any, stop: Any, num_rows: Any, line: Any) -> None:
        self.file: Positions = np.asarray(file, dtype=np.int64)
        self.start: Positions = np.asarray(start, dtype=np.int64)
        self.stop: Positions = np.asarray(stop, dtype=np.int64)
        self.line: Positions = np.asarray(line, dtype=np.int64)
        self.first_row: Positions = np.cumsum([0, *num_rows], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.file)

    @property
    def num_rows(self) -> int:
        """The number of all rows."""
        return int(self.first_row[-1])

    def holding(self, rows: Any) -> Any:
        """Return the number of the block that holds each row."""
        return np.searchsorted(self.first_row, rows, side="right") - 1


class Piece(NamedTuple):
    """Some blocks of one file, one behind the other, which are decoded at once."""

    file: int
    start: int
    stop: int
    first_row: int
    num_rows: int
    line: int = 0


class Shared:
    """What narrowed sources have in common with the one that they came from: what was found out about the files."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.blocks: Blocks | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"blocks": self.blocks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.blocks = state["blocks"]


class BlockSource(Source):
    """The rows of files whose blocks are decoded as wholes.

    A subclass says where the blocks are (`measured`), how the bytes of a piece are read (`opened`, `raw`), and what they
    mean (`decoded`, and `salvaged` where rows that can't be read are set aside).

    Args:
        files: Where the rows are.
        columns: The names of the columns that are read.
        on_error: ``"raise"``, or ``"quarantine"``, which makes a stream of the source.
    """

    reads_in_order: ClassVar[bool] = True
    piece_bytes: ClassVar[int] = _READ_BYTES

    def __init__(self, files: Files, columns: Sequence[str], *, on_error: str = "raise") -> None:
        super().__init__()
        if on_error not in {"raise", "quarantine"}:
            raise ValueError(f"{files.where}: on_error is 'raise' or 'quarantine'; got {on_error!r}.")
        self.on_error = on_error
        self.random_access = on_error == "raise"
        self.files = files
        self._columns = tuple(columns)
        self._shared = Shared()
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._kept: OrderedDict[int, Message] = OrderedDict()
        self._narrow: weakref.WeakValueDictionary[tuple[str, ...], Self] = weakref.WeakValueDictionary()
        self._reader: Any = None

    # --- what a format says ---------------------------------------------------------------------------------------

    @abstractmethod
    def measured(self) -> Blocks:
        """Return where the blocks are; called once."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Any]:
        """Return what `raw` reads with; each pass has one of its own."""

    @abstractmethod
    def raw(self, reader: Any, piece: Piece) -> Any:
        """Return the bytes of a piece."""

    @abstractmethod
    def decoded(self, piece: Piece, data: Any) -> Message:
        """Return the rows of a piece.

        Raises:
            FireworksError: a row can't be read; file and line are named.
        """

    def salvaged(self, piece: Piece, data: Any) -> list[Message | BadRows]:
        """Return the rows of a piece, with those that can't be read at their places."""
        return [self.decoded(piece, data)]

    # --- as a source ----------------------------------------------------------------------------------------------

    @property
    def known_columns(self) -> list[str] | None:
        """The names of the columns."""
        return list(self._columns)

    @property
    def blocks(self) -> Blocks:
        """Where the blocks are; the files are looked through once for them."""
        with self._shared.lock:
            if self._shared.blocks is None:
                self._shared.blocks = self.measured()
            return self._shared.blocks

    def describe(self) -> str:
        """Return the source as text, without its folder: the files may be elsewhere tomorrow."""
        first = self.files.names[0].replace("\\", "/").rsplit("/", 1)[-1]
        name = first if len(self.files) == 1 else f"{first} and {len(self.files) - 1} more"
        quarantine = "" if self.on_error == "raise" else "; on_error='quarantine'"
        return f"{type(self).__name__.removesuffix('Source')}({name}: {', '.join(self._columns)}{quarantine})"

    def count(self) -> int:
        """Return the number of rows; the files are looked through once for it.

        Raises:
            UnknownLengthError: rows that can't be read are set aside, and nobody knows how many before the end.
        """
        if self.on_error != "raise":
            raise UnknownLengthError(
                f"{self.describe()} sets rows aside that can't be read, so the number of the others is not known before "
                "the end. Read it first: pipe.to_message()."
            )
        return self.blocks.num_rows

    @cached_property
    def _no_rows(self) -> Message:
        return Message(schema=self.schema)

    def fetch(self, rows: Span) -> Message:
        """Return the rows at the given row numbers, in that order; only the blocks that hold them are decoded, each once."""
        if not len(rows):
            return self._no_rows[:]
        blocks = self.blocks
        if isinstance(rows, range):
            first, last = blocks.holding(np.array([rows.start, rows.stop - 1])).tolist()
            parts = []
            for number in range(first, last + 1):
                at = int(blocks.first_row[number])
                if blocks.first_row[number + 1] > at:
                    parts.append(self._block(number)[max(rows.start - at, 0) : rows.stop - at])
            return joined(parts)
        numbers, slot = np.unique(blocks.holding(rows), return_inverse=True)
        if len(numbers) == 1:
            return self._block(int(numbers[0])).take(rows - blocks.first_row[numbers[0]])
        parts, places = [], []
        for at, number in enumerate(numbers.tolist()):
            mine = np.flatnonzero(slot == at)
            parts.append(self._block(number).take(rows[mine] - blocks.first_row[number]))
            places.append(mine)
        return joined(parts).take(np.argsort(np.concatenate(places)))

    def _block(self, number: int) -> Message:
        """Return one block, decoded or from those that are kept."""
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                self.files.require_unchanged(int(self.blocks.file[number]))
                return self._kept[number]
            piece = self._piece(number, number + 1)
            if self._reader is None:
                self._reader = self.opened().__enter__()
            message = self.decoded(piece, self.raw(self._reader, piece))
            self._kept[number] = message
            while len(self._kept) > 1 and sum(kept.num_bytes for kept in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
            return message

    def _piece(self, first: int, last: int) -> Piece:
        blocks = self.blocks
        row = int(blocks.first_row[first])
        return Piece(
            int(blocks.file[first]),
            int(blocks.start[first]),
            int(blocks.stop[last - 1]),
            row,
            int(blocks.first_row[last]) - row,
            int(blocks.line[first]),
        )

    def _pieces(self, start: int, stop: int, piece_bytes: int) -> Iterator[tuple[Piece, int]]:
        """Yield the pieces that hold the rows from ``start`` to before ``stop``, each with the bytes that it may take."""
        blocks = self.blocks
        first, end = blocks.holding(np.array([start, stop - 1])).tolist() if stop > start else (0, -1)
        while first <= end:
            last = first + 1
            while (
                last <= end
                and blocks.file[last] == blocks.file[first]
                and self.bytes_of(first, last + 1) <= piece_bytes
            ):
                last += 1
            yield self._piece(first, last), self.bytes_of(first, last)
            first = last

    def bytes_of(self, first: int, last: int) -> int:
        """Return about how many bytes the rows of some blocks take, in the file and decoded together."""
        return 2 * int(self.blocks.stop[last - 1] - self.blocks.start[first])

    def scan(self, rows: range, budget: Budget) -> Iterator[Message]:
        """Yield rows that follow each other; threads read and decode ahead within the budget."""

        def decode(piece: Piece, data: Any) -> Message:
            message = self.decoded(piece, data)
            at = piece.first_row
            is_whole = rows.start <= at and at + len(message) <= rows.stop
            return message if is_whole else message[max(rows.start - at, 0) : rows.stop - at]

        with closing(self._ahead(rows.start, rows.stop, decode, lambda message: message.num_bytes, budget)) as messages:
            yield from (message for message in messages if len(message))

    def stream(self, start: int) -> Iterator[Message | BadRows]:
        """Yield all rows from row number ``start`` on, with those that can't be read at their places."""

        def decode(piece: Piece, data: Any) -> tuple[Piece, list[Message | BadRows]]:
            return piece, self.salvaged(piece, data)

        def bytes_of(item: tuple[Piece, list[Message | BadRows]]) -> int:
            return sum(_message_of(part).num_bytes for part in item[1])

        with closing(self._ahead(start, self.blocks.num_rows, decode, bytes_of, current_budget())) as salvaged:
            for piece, parts in salvaged:
                at = piece.first_row
                for part in parts:
                    message = _message_of(part)
                    cut = max(0, start - at)
                    at += len(message)
                    if cut < len(message):
                        rest = message[cut:]
                        yield BadRows(rest, part.reason) if isinstance(part, BadRows) else rest

    def _ahead(
        self,
        start: int,
        stop: int,
        decode: Callable[[Piece, Any], _Decoded],
        bytes_of: Callable[[_Decoded], int],
        budget: Budget,
    ) -> Generator[_Decoded]:
        """Yield what is made of the pieces that hold some rows; they are read one after the other, and decoded at once."""
        limit = _AHEAD_BYTES if budget.max_bytes is None else max(1, min(_AHEAD_BYTES, budget.max_bytes // 4))
        pieces = list(self._pieces(start, stop, min(self.piece_bytes, max(1, limit // 8))))
        turns = _Turns()
        with ExitStack() as stack:
            reader: list[Any] = []

            def make(number: int) -> Iterator[_Decoded]:
                piece, _ = pieces[number]
                with turns.of(number):
                    if not reader:
                        reader.append(stack.enter_context(self.opened()))
                    data = self.raw(reader[0], piece)
                yield decode(piece, data)

            ahead = ReadAhead(
                range(len(pieces)),
                make,
                lambda number: pieces[number][1],
                bytes_of,
                max_bytes=limit,
                budget=budget,
                num_threads=min(_MOST_THREADS, len(os.sched_getaffinity(0))),
            )
            with closing(ahead):
                yield from ahead

    def require_unchanged(self) -> None:
        """Raise `FileChangedError` where a file is not the one that it was."""
        self.files.require_all_unchanged()

    def signature(self) -> str | None:
        """Return a short hash of the files' sizes and of their first and last bytes."""
        return self.files.signature

    def fingerprint(self) -> str:
        """Return a SHA-256 of the contents of the files in their order, and of how they are read."""
        return hashlib.sha256(f"{self.files.fingerprint()} {self.how()}".encode()).hexdigest()

    def how(self) -> str:
        """Return as text what besides the files makes the rows what they are."""
        return f"{type(self).__name__} {self.schema}"

    # --- what it does itself --------------------------------------------------------------------------------------

    def narrowed(self, columns: Sequence[str]) -> Self:
        """Return a source of the same rows that reads only the named columns.

        One that sets rows aside reads all of them: which rows are bad must not depend on who asks.
        """
        wanted = tuple(name for name in self._columns if name in set(columns))
        if wanted == self._columns or not wanted or self.on_error != "raise":
            return self
        with self._lock:
            narrow = self._narrow.get(wanted)
            if narrow is None:
                narrow = object.__new__(type(self))
                narrow.__dict__.update(self.__getstate__())
                narrow._columns = wanted
                narrow._forget()
                self._narrow[wanted] = narrow
        return narrow

    def find(self, expression: Expression, mask: Mask) -> Positions | None:
        """Return the numbers of the rows for which an expression is true; only its columns are read."""
        wanted = [name for name in self._columns if name in set(expression.columns)]
        if not wanted or set(wanted) != set(expression.columns) or self.on_error != "raise":
            return None
        found, at = [np.empty(0, dtype=np.int64)], 0
        for message in self.narrowed(wanted).scan(range(self.count()), current_budget()):
            found.append(at + np.flatnonzero(mask(message)))
            at += len(message)
        return np.concatenate(found)

    def estimated_bytes(self) -> int:
        """Return about how much memory all rows would take, by those of the first block."""
        num_rows = self.count()
        if not num_rows:
            return 0
        first = int(self.blocks.holding(0))
        return int(self._block(first).num_bytes * num_rows / self._piece(first, first + 1).num_rows)

    def __getstate__(self) -> dict[str, Any]:
        dropped = {"_lock", "_kept", "_narrow", "_reader", "_no_rows", "schema"}
        return {name: value for name, value in super().__getstate__().items() if name not in dropped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __del__(self) -> None:
        reader = self.__dict__.get("_reader")
        if reader is not None:
            reader.__exit__(None, None, None)

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The columns."""


class _Turns:
    """Lets threads do something one after the other, in the order of their numbers."""

    def __init__(self) -> None:
        self._next = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, number: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._next >= number)
        try:
            yield
        finally:
            with self._changed:
                self._next = number + 1
                self._changed.notify_all()


def _message_of(part: Message | BadRows) -> Message:
    return part.message if isinstance(part, BadRows) else part


def joined(parts: list[Message]) -> Message:
    """Return messages of the same columns as one."""
    return parts[0] if len(parts) == 1 else concat(parts)
