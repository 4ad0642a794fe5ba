"""Text files whose rows begin at places that are found once: what CSV, JSON lines, text and FASTA have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fireworks.core.source import BadRows
from fireworks.errors import FireworksError
from fireworks.formats.block_source import Blocks, BlockSource, Piece
from fireworks.formats.files import Files
from fireworks.formats.lines import Block, Places, Rule, blocks_of, line_ends
from fireworks.formats.text_reader import TextReader
from fireworks.message import Message

BOM = b"\xef\xbb\xbf"


class Bad(NamedTuple):
    """A row that can't be read: its number in its piece, why, and the error that says so where it is raised."""

    row: int
    reason: str
    error: Callable[[str], FireworksError]
    """Makes the error, given the place: ``'a.csv', line 3``."""


class TextBlockSource(BlockSource):
    """The rows of text files; see `BlockSource`.

    A subclass says where rows begin and end (`blocks_of_file`, `places_of`), what they mean (`understood`), and which of
    them can't be read (`bad_rows`).

    Args:
        files: Where the rows are.
        columns: The names of the columns that are read.
        encoding: As Python names it.
        errors: What becomes of bytes that are no text.
        on_error: ``"raise"`` or ``"quarantine"``.
    """

    kind: ClassVar[str] = "text"

    def __init__(
        self,
        files: Files,
        columns: Sequence[str],
        *,
        encoding: str = "utf-8",
        errors: str = "strict",
        on_error: str = "raise",
    ) -> None:
        super().__init__(files, columns, on_error=on_error)
        self.encoding, self._errors = encoding, errors

    @abstractmethod
    def blocks_of_file(self, number: int) -> Iterator[tuple[Block, int]]:
        """Yield the blocks of one file, each with the number of its first line."""

    @abstractmethod
    def places_of(self, data: bytes, number: int) -> tuple[Places, Places]:
        """Return where each row of a piece of a file begins and ends."""

    @abstractmethod
    def understood(self, piece: Piece, data: bytes) -> Message:
        """Return the rows of a piece; any of ``puzzled_by`` where one can't be read."""

    @abstractmethod
    def bad_rows(self, piece: Piece, data: bytes, *, only_first: bool) -> Iterable[Bad]:
        """Return the rows of a piece that can't be read, in their order."""

    puzzled_by: ClassVar[tuple[type[Exception], ...]] = (FireworksError,)

    # --- as a source of blocks ------------------------------------------------------------------------------------

    def reader(self) -> TextReader:
        """Return what reads the files."""
        return TextReader(self.files, kind=self.kind, encoding=self.encoding, errors=self._errors)

    def opened(self) -> AbstractContextManager[TextReader]:
        """Return what `raw` reads with."""
        return self.reader()

    def raw(self, reader: TextReader, piece: Piece) -> bytes:
        """Return the bytes of a piece, in UTF-8."""
        return reader.read(piece.file, piece.start, piece.stop)

    def body(self, number: int, start: int) -> Iterator[bytes]:
        """Yield a file from a place on, piece by piece."""
        at = 0
        for chunk in self.reader().chunks(number):
            yield chunk[max(0, start - at) :]
            at += len(chunk)

    def start_of(self, number: int) -> int:
        """Return where a file begins, behind the mark that says it is in UTF-8."""
        with self.reader() as reader:
            return len(BOM) if reader.starts_with(number, BOM) else 0

    def plain_blocks(self, number: int, rule: Rule) -> Iterator[tuple[Block, int]]:
        """Yield the blocks of a file that is nothing but rows, each with the number of its first line."""
        start, line = self.start_of(number), 1
        for block in blocks_of(self.body(number, start), rule, start):
            yield block, line
            line += block.num_lines

    def place(self, piece: Piece, data: bytes, row: int) -> str:
        """Return where a row of a piece is, for errors."""
        start = int(self.places_of(data, piece.file)[0][row])
        return f"{self.files.names[piece.file]!r}, line {piece.line + line_ends(data[:start])}"

    def measured(self) -> Blocks:
        """Return where the blocks are."""
        found = [
            (number, block, line)
            for number in range(len(self.files))
            for block, line in self.blocks_of_file(number)
            if block.num_rows
        ]
        return Blocks(
            [number for number, _, _ in found],
            [block.start for _, block, _ in found],
            [block.stop for _, block, _ in found],
            [block.num_rows for _, block, _ in found],
            [line for _, _, line in found],
        )

    def decoded(self, piece: Piece, data: bytes) -> Message:
        """Return the rows of a piece, or raise the error of the first that can't be read."""
        try:
            return self._checked(piece, data)
        except self.puzzled_by as error:
            for bad in self.bad_rows(piece, data, only_first=True):
                raise bad.error(self.place(piece, data, bad.row)) from error
            raise

    def _checked(self, piece: Piece, data: bytes) -> Message:
        return self.understood(piece, data)

    def salvaged(self, piece: Piece, data: bytes) -> list[Message | BadRows]:
        """Return the rows of a piece, with those that can't be read at their places."""
        try:
            return [self._checked(piece, data)]
        except self.puzzled_by:
            bad = list(self.bad_rows(piece, data, only_first=False))
            if not bad:
                raise
        starts, stops = self.places_of(data, piece.file)
        are_good = np.ones(len(starts), dtype=bool)
        are_good[[one.row for one in bad]] = False
        good = self.understood(
            piece._replace(num_rows=int(are_good.sum())), rows_joined(data, starts[are_good], stops[are_good])
        )
        parts: list[Message | BadRows] = []
        done = used = 0
        for one in bad:
            if one.row > done:
                parts.append(good[used : used + one.row - done])
                used += one.row - done
            done = one.row + 1
            start, stop = int(starts[one.row]), int(stops[one.row])
            line = piece.line + line_ends(data[:start])
            text = data[start:stop].decode(errors="replace").rstrip("\r\n")
            set_aside = {"file": [self.files.names[piece.file]], "line": [line], "text": [text]}
            parts.append(BadRows(Message(set_aside), one.reason))
        if done < len(starts):
            parts.append(good[used:])
        return parts


def rows_joined(data: bytes, starts: Places, stops: Places) -> bytes:
    r"""Return some rows of a piece as one; the last may lack a line end, which it gets.

    Example:
        >>> rows_joined(b"a\nb\nc", np.array([0, 4]), np.array([2, 5]))
        b'a\nc\n'
    """
    parts = [data[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    return b"".join(part if part.endswith((b"\n", b"\r")) else part + b"\n" for part in parts)


def unreadable(reads: Callable[[Any], bool], candidates: Places, *, only_first: bool) -> list[int]:
    """Return the rows that can't be read, by halving until each is found.

    Args:
        reads: Tells whether the rows with the numbers given can be read together.
        candidates: The rows to try.
        only_first: Whether the first is enough.

    Example:
        >>> unreadable(lambda rows: not {3, 7} & set(rows.tolist()), np.arange(9), only_first=False)
        [3, 7]
    """
    found: list[int] = []
    left = [candidates]
    while left and not (only_first and found):
        some = left.pop()
        if not len(some) or reads(some):
            continue
        if len(some) == 1:
            found.append(int(some[0]))
        else:
            left += [some[len(some) // 2 :], some[: len(some) // 2]]
    return found
