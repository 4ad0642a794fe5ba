"""Which rows were in which batch, and when a row comes: answered by the order alone, nothing is read.

An order is a function, so what a pass did a week ago, or will do in epoch 90, can be looked up. Row numbers are those that
errors and quarantine speak of: places in the source; of the first component behind ``zip``, of the left one behind ``join``;
behind ``concat``, ``mix`` and ``cycle`` of rows, the rows of all components are counted through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Span, as_positions, groups
from fireworks.core.flow import Flow
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.message import Message
from fireworks.message.columns import Positions
from fireworks.message.index import Rows, as_rows

_ITEMS_AT_A_TIME = 1 << 20
_BATCHES_AT_A_TIME = 1 << 12


def rows_of(pipe: Pipe, epoch: int, batch: Rows) -> Any:
    """Return which rows of the source are in a batch of an epoch, or in several, without reading any.

    A filter upstream has to know which rows it keeps; it looks for them once, as for ``len``.

    Args:
        pipe: With random access.
        epoch: From 0; any epoch, also one that has not come yet.
        batch: The number of a batch, or of an item where the pipe gives rows; or several: a slice, list, array or tensor.

    Returns:
        The row numbers of one batch, in its order, as int64; a list of such arrays for several. Of a pipe of rows: one array,
        with one number per item.

    Raises:
        RowIndexError: a batch past the end.
        NoRandomAccessError: the pipe is a stream, or holds a stage that decides as it goes: nobody knows before a pass.
        UnknownLengthError: a filter, or ``on_error="quarantine"``, drops rows of batches.
        ValueError: ``epoch`` is no int from 0 on.

    Example:
        >>> pipe = fw.source({"x": torch.arange(6) * 10}).shuffle(seed=0).batch(4)
        >>> rows_of(pipe, 0, 1), pipe[1]["x"].tolist()
        (array([5, 0]), [50, 0])
    """
    epoch = check_count(epoch, at_least=0, where="rows_of: epoch")
    flow = _known(pipe, "rows_of")
    span = _span(as_rows(batch, flow.num_items(), where="rows_of", item="batch" if pipe.is_batched else "row"))
    found = flow.rows_at(span, epoch)
    if not pipe.is_batched:
        return found.rows
    return found.rows if _is_one(batch) else found.each()


def when(pipe: Pipe, row: Rows, epoch: int = 0) -> Message:
    """Return in which batches of an epoch a row of the source stands, or several, without reading any.

    Takes a pass over the order of the epoch: row numbers, some million at a time.

    Args:
        pipe: With random access.
        row: The number of a row in the source, or several: a slice, list, array or tensor.
        epoch: From 0.

    Returns:
        A line for each time that one of the rows comes, in the order in which they were asked for: columns ``row``, ``batch``
        (its number in the epoch) and ``place`` (in the batch, from 0). Of a pipe of rows: ``row`` and ``position``. A row
        that does not come has no line.

    Raises:
        RowIndexError: a row that the source lacks.
        NoRandomAccessError: as of `rows_of`.
        UnknownLengthError: as of `rows_of`.
        ValueError: ``epoch`` is no int from 0 on.
        TypeError: ``row`` is a slice without an end or from the end, and the number of rows is not known.

    Example:
        >>> pipe = fw.source({"x": torch.arange(6)}).shuffle(seed=0).batch(4)
        >>> when(pipe, [5, 3], epoch=0).to_dict("records")
        [{'row': 5, 'batch': 1, 'place': 0}, {'row': 3, 'batch': 0, 'place': 1}]
    """
    epoch = check_count(epoch, at_least=0, where="when: epoch")
    flow = _known(pipe, "when")
    count = flow.base.num_source_rows()
    # Batches of several sources count the rows of each by itself, so there is no end to hold a row number against.
    asked = as_positions(_span(as_rows(row, _LAST_ROW if count is None else count, where="when")))
    return _lines(asked, _found(flow, np.unique(asked), epoch), is_batched=pipe.is_batched)


_LAST_ROW = 2**62
_LONGEST_TABLE = 2**31


def _known(pipe: Pipe, who: str) -> Flow:
    """Return what a pass over a pipe runs, if it has random access."""
    pipe.flow.require_random_access(who, pipe)
    return pipe.runnable


def _span(rows: slice | Positions) -> Span:
    if not isinstance(rows, slice):
        return rows
    return range(rows.start, rows.stop) if rows.step == 1 else np.arange(rows.start, rows.stop, rows.step)


def _is_one(key: object) -> bool:
    return not isinstance(key, (slice, list, tuple, range)) and getattr(key, "ndim", 0) == 0


def origins_in(flow: Flow, epoch: int) -> Iterator[tuple[int, Origins]]:
    """Yield which rows the items of a whole epoch hold, some million at a time, each part with the number of its first item.

    Args:
        flow: With random access.
        epoch: From 0.
    """
    start = 0
    for span in groups(range(flow.num_items()), _BATCHES_AT_A_TIME if flow.is_batched else _ITEMS_AT_A_TIME):
        yield start, flow.rows_at(span, epoch)
        start += len(span)


def _found(flow: Flow, wanted: Positions, epoch: int) -> tuple[Positions, Positions, Positions]:
    """Return each time that a wanted row comes: its number, its item and its place in the item."""
    rows, items, places = [], [], []
    is_wanted = _membership(wanted)
    for start, part in origins_in(flow, epoch):
        hits = np.flatnonzero(is_wanted(part.rows))
        rows.append(part.rows[hits])
        if part.sizes is None:
            items.append(start + hits)
            places.append(np.zeros_like(hits))
            continue
        ends = np.cumsum(part.sizes)
        item = np.searchsorted(ends, hits, side="right")
        items.append(start + item)
        places.append(hits - (ends - part.sizes)[item])
    nothing = np.empty(0, dtype=np.int64)
    found = [np.concatenate([nothing, *parts]) for parts in (rows, items, places)]
    return found[0], found[1], found[2]


def _membership(wanted: Positions) -> Callable[[Positions], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return what tells for each row whether it is a wanted one; by a table of one byte for each row up to the last of these."""
    if len(wanted) and wanted[-1] < _LONGEST_TABLE:
        table = np.zeros(int(wanted[-1]) + 2, dtype=bool)
        table[wanted] = True
        return lambda rows: table[np.minimum(rows, len(table) - 1)]
    return lambda rows: np.isin(rows, wanted)


def _lines(asked: Positions, found: tuple[Positions, Positions, Positions], *, is_batched: bool) -> Message:
    rows, items, places = found
    by_row = np.argsort(rows, kind="stable")
    first, last = (np.searchsorted(rows[by_row], asked, side=side) for side in ("left", "right"))
    counts = last - first
    lines = by_row[np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))]
    columns = {"row": rows[lines]}
    columns |= {"batch": items[lines], "place": places[lines]} if is_batched else {"position": items[lines]}
    return Message({name: torch.from_numpy(column) for name, column in columns.items()})
