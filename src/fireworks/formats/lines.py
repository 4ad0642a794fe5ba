"""Where the rows of a text file begin: line ends, which in CSV may stand inside quotation marks.

A file is looked at once, piece by piece, in NumPy. What is kept of it is one block for each quarter of a megabyte: from
the beginning of a row to the end of a row, and how many rows there are in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Places: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_FEED, _RETURN = 10, 13
_LONGEST_END = 2
_BLANKS = np.zeros(256, dtype=bool)
_BLANKS[[9, 10, 13, 32]] = True
_NONE: Places = np.empty(0, dtype=np.int64)


class Block(NamedTuple):
    """Some rows of a file, one after the other; ``num_lines`` counts line ends."""

    start: int
    stop: int
    num_rows: int
    num_lines: int


@dataclass(frozen=True)
class Rule:
    """What ends a row, and what is one.

    ``quote`` and ``separator`` are bytes of CSV; a line end between quotation marks ends no row. ``empty`` says what
    becomes of empty lines: ``"row"``, ``"skip"``, or ``"skip blank"`` where spaces count as nothing too.
    """

    quote: int | None = None
    separator: int = 0
    empty: str = "row"


@dataclass
class State:
    """What is known between two pieces of a file."""

    inside: bool = False
    """Whether a quotation mark is open."""
    before: int = _FEED
    """The byte before; that of a letter behind a quotation mark which means nothing."""


def blocks_of(chunks: Iterable[bytes], rule: Rule, start: int = 0, state: State | None = None) -> Iterator[Block]:
    r"""Yield the blocks of a file.

    Args:
        chunks: The file from ``start`` on; none ends between a carriage return and a line feed.
        rule: What ends a row.
        start: Where the first row begins.
        state: Knows at the end whether a quotation mark is still open.

    Example:
        >>> list(blocks_of([b"a,b", b"\n1,2\n\n3", b",4"], Rule(empty="skip")))
        [Block(start=0, stop=9, num_rows=2, num_lines=3), Block(start=9, stop=12, num_rows=1, num_lines=0)]
    """
    state = State() if state is None else state
    at, begun, has_row, num_lines = start, start, False, 0  # has_row: a row has begun that has not ended yet
    for chunk in filter(None, chunks):
        num_rows, end, has_row = _counted(chunk, rule, state, has_row=has_row)
        if end:
            yield Block(begun, at + end, num_rows, num_lines + line_ends(chunk[:end]))
            begun, num_lines = at + end, 0
        num_lines += line_ends(chunk[end:])
        at += len(chunk)
    if at > begun:
        yield Block(begun, at, int(has_row), num_lines)


def line_ends(data: bytes) -> int:
    """Return how many line ends of any kind there are; none may be cut in two."""
    feeds = int(np.count_nonzero(np.frombuffer(data, dtype=np.uint8) == _FEED))
    return feeds + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else feeds


def _counted(chunk: bytes, rule: Rule, state: State, *, has_row: bool) -> tuple[int, int, bool]:
    """Return the rows that end in a piece, where the last of them ends, and whether there is something of a row behind."""
    is_simple = not (state.inside or b"\r" in chunk or (rule.quote is not None and bytes([rule.quote]) in chunk)) and (
        rule.empty == "row" or (rule.empty == "skip" and b"\n\n" not in chunk and (has_row or chunk[0] != _FEED))
    )
    if is_simple:
        state.before = chunk[-1]
        end = chunk.rfind(b"\n") + 1
        num_rows = int(np.count_nonzero(np.frombuffer(chunk, dtype=np.uint8) == _FEED)) if end else 0
        return num_rows, end, len(chunk) > end or (has_row and not end)
    data = np.frombuffer(chunk, dtype=np.uint8)
    ends = row_ends(data, rule, state)
    if not len(ends):
        return 0, 0, has_row or _is_row(data, rule)
    rows = is_row(data, ends, rule)
    rows[0] |= has_row
    end = int(ends[-1]) + 1
    return int(np.count_nonzero(rows)), end, _is_row(data[end:], rule)


def _is_row(line: Bytes, rule: Rule) -> bool:
    return bool(len(line)) and (rule.empty != "skip blank" or not bool(_BLANKS[line].all()))


def row_ends(data: Bytes, rule: Rule, state: State) -> Places:
    """Return the places of the last byte of each row that ends in a piece, its line feed; ``state`` moves on."""
    is_end = data == _FEED
    is_return = data == _RETURN
    if is_return.any():
        is_return[:-1] &= data[1:] != _FEED  # one alone ends a row, as it did on old Macs
        is_end |= is_return
    ends = np.flatnonzero(is_end)
    if rule.quote is not None:
        marks = _marks(data, rule, state)
        if state.inside or len(marks):
            opened = np.searchsorted(marks, ends) + state.inside
            ends = ends[opened % 2 == 0]
            state.inside ^= bool(len(marks) % 2)
    if len(data) and not (rule.quote is not None and state.before == -1):
        state.before = int(data[-1])
    elif state.before == -1:
        state.before = ord("a")
    return ends


def _marks(data: Bytes, rule: Rule, state: State) -> Places:
    """Return the places of the quotation marks that open or close; others stand inside a field that has none around it.

    One opens at the beginning of a field, or right behind one that closed: two of them are one that is meant.
    """
    places = np.flatnonzero(data == rule.quote)
    if not len(places):
        return places
    before = np.where(places > 0, data[places - 1], state.before)
    begins = (before == rule.separator) | (before == _FEED) | (before == _RETURN)
    may_open = begins | (before == rule.quote)
    opening = (np.arange(len(places)) + state.inside) % 2 == 0
    if not (opening & ~may_open).any():
        return places
    return _without_literals(places, begins, may_open, state, int(data[-1] == rule.quote))


def _without_literals(places: Places, begins: Any, may_open: Any, state: State, ends_in_quote: int) -> Places:
    """Leave out the marks that mean themselves: the first that can't open, and all up to the next beginning of a field."""
    kept = []
    openers = np.flatnonzero(begins)
    inside, at, width = state.inside, 0, 64
    last_is_literal = False
    while at < len(places):
        some = slice(at, at + width)
        opening = (np.arange(len(places[some])) + inside) % 2 == 0
        wrong = np.flatnonzero(opening & ~may_open[some])
        if not len(wrong):
            kept.append(places[some])
            inside ^= bool(len(places[some]) % 2)
            at, width, last_is_literal = at + width, width * 2, False
            continue
        first = at + int(wrong[0])
        kept.append(places[at:first])
        following = int(np.searchsorted(openers, first, side="right"))
        inside, width, last_is_literal = False, 64, True
        at = int(openers[following]) if following < len(openers) else len(places)
        last_is_literal = at == len(places)
    if last_is_literal and ends_in_quote:
        state.before = -1  # the last byte is a mark that means itself: nothing can open right behind it
    return np.concatenate(kept) if kept else _NONE


def is_row(data: Bytes, ends: Places, rule: Rule) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which of the lines that end at the places given are rows."""
    rows = np.ones(len(ends), dtype=bool)
    if rule.empty == "row":
        return rows
    starts = starts_of(ends)
    if rule.empty == "skip":
        is_short = (data[starts] == _FEED) | (data[starts] == _RETURN)
        rows[is_short] = False
        return rows
    for line in np.flatnonzero(_BLANKS[data[starts]]).tolist():
        rows[line] = not bool(_BLANKS[data[starts[line] : ends[line] + 1]].all())
    return rows


def starts_of(ends: Places) -> Places:
    """Return where the lines begin that end at the places given, the first at 0."""
    starts = np.empty_like(ends)
    if len(ends):
        starts[0] = 0
        np.add(ends[:-1], 1, out=starts[1:])
    return starts


def rows_in(data: bytes, rule: Rule) -> tuple[Places, Places]:
    r"""Return where each row of a block begins, and where it ends, its line end included.

    Example:
        >>> starts, stops = rows_in(b'1,"x\ny"\n\n2,z', Rule(quote=ord('"'), separator=ord(","), empty="skip"))
        >>> starts.tolist(), stops.tolist()
        ([0, 9], [8, 12])
    """
    array = np.frombuffer(data, dtype=np.uint8)
    ends = row_ends(array, rule, State())
    if len(data) and (not len(ends) or ends[-1] != len(data) - 1):
        ends = np.append(ends, len(data) - 1)
    rows = is_row(array, ends, rule)
    return starts_of(ends)[rows], ends[rows] + 1


def texts_between(data: Bytes, starts: Places, stops: Places, *, without: bytes = b"") -> pa.LargeStringArray:
    """Return the texts between places as an Arrow array, without looking at them one by one.

    Args:
        data: The bytes.
        starts: Where each text begins; increasing.
        stops: Where it ends, at most where the next begins.
        without: Letters to leave out.

    Raises:
        ArrowInvalid: they are not in UTF-8.

    Example:
        >>> line = np.frombuffer(b"one,two,", dtype=np.uint8)
        >>> texts_between(line, np.array([0, 4]), np.array([3, 7])).to_pylist()
        ['one', 'two']
    """
    lengths = stops - starts
    is_in = _inside(len(data), starts, stops)
    for letter in without:
        is_it = data == letter
        if is_it.any():
            is_in = is_in & ~is_it
            lengths = lengths - _counts_between(is_it, starts, stops)
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    texts = pa.LargeStringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(data[is_in]))
    texts.validate(full=True)
    return texts


def _inside(length: int, starts: Places, stops: Places) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which bytes are between a start and its stop."""
    gaps = np.append(starts[1:], length) - stops
    if len(starts) and starts[0] == 0 and gaps.max() <= _LONGEST_END:  # lines, nothing but their ends between them
        is_in = np.ones(length, dtype=bool)
        is_in[stops[gaps > 0]] = False
        is_in[stops[gaps == _LONGEST_END] + 1] = False
        return is_in
    some = stops > starts
    steps = np.zeros(length + 1, dtype=np.int8)
    steps[starts[some]] += 1
    steps[stops[some]] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).view(bool)


def _counts_between(is_it: np.ndarray[Any, np.dtype[np.bool_]], starts: Places, stops: Places) -> Places:
    places = np.flatnonzero(is_it)
    return np.searchsorted(places, stops) - np.searchsorted(places, starts)


def without_ends(data: Bytes, starts: Places, stops: Places) -> Places:
    r"""Return where lines end without their line ends, which are one byte, or a carriage return and a line feed.

    Example:
        >>> without_ends(np.frombuffer(b"a\nb\r\nc", dtype=np.uint8), np.array([0, 2, 5]), np.array([2, 5, 6])).tolist()
        [1, 3, 6]
    """
    if not len(starts):
        return stops
    has_feed = (stops > starts) & (data[stops - 1] == _FEED)
    bare = stops - has_feed
    ends: Places = bare - ((bare > starts) & (data[np.maximum(bare - 1, 0)] == _RETURN))
    return ends
