"""Past and future: parts that follow each other in time."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias, final

import numpy as np
import pandas as pd

from fireworks.core.pipe import Pipe
from fireworks.message.columns import Positions
from fireworks.order.chosen import Chosen
from fireworks.order.column import Times, require_rows, times
from fireworks.order.shares import are_fractions, as_written, shared_out
from fireworks.order.split import check_number

_WHO = "split_by_time"

Moment: TypeAlias = "str | dt.date | np.datetime64 | float"
Length: TypeAlias = "str | dt.timedelta | np.timedelta64 | float"


def split_by_time(
    input: Pipe,
    column: str,
    *fractions: float,
    at: Moment | Sequence[Moment] | None = None,
    gap: Length | None = None,
) -> tuple[TimePart, ...]:
    """Split rows into parts that follow each other in time: what is known, and what is to be foretold.

    Either ``at`` says where one part ends and the next begins: a row at that time or later is in the later part. Or fractions say how
    many rows the parts have, in order of time; rows of one time stay together, so where a border falls among such rows they all
    go to the side that brings the sizes nearer to those asked for, the later one if both do alike. Inside a part
    rows keep the input's order, whatever their times. The column is passed over once; nothing else is read.

    Args:
        input: Rows with random access, in any order.
        column: Dates, instants or numbers, without nulls. Instants without a zone are taken as UTC.
        fractions: The shares of the parts, the earliest first; positive, with the sum 1.
        at: Where the parts meet: a time, or several that increase. A text is read by ``pandas.Timestamp``.
        gap: How much time lies between the parts: rows less than or exactly so long before a later part begins are in no
            part. A text is read by ``pandas.Timedelta``: ``"7 days"``. For a column of numbers, a number.

    Raises:
        ValueError: neither or both of fractions and ``at`` are given, one of them makes no sense, a part would stay empty, or the
            input's order or values change by epoch.
        TypeError: a time or the gap is of another kind than the column.
        ColumnTypeError: the column holds no times.
        ColumnValueError: a row has no time; the first ten are named.
        NoRandomAccessError: the input is a stream.

    Example:
        >>> data = fw.source({"year": [2021, 2019, 2020, 2021, 2018], "x": range(5)})
        >>> [part.to_message()["x"].tolist() for part in split_by_time(data, "year", at=2021)]
        [[1, 2, 4], [0, 3]]
        >>> [part.to_message()["x"].tolist() for part in split_by_time(data, "year", 0.8, 0.2)]
        [[1, 2, 4], [0, 3]]
    """
    shares, borders = _checked(fractions, at)
    count = len(shares) or len(borders) + 1
    return tuple(TimePart(input, column, number, fractions=fractions, at=at, gap=gap) for number in range(count))


def _checked(fractions: Sequence[float], at: Any) -> tuple[tuple[float, ...], tuple[Any, ...]]:
    """Return fractions and borders; one of the two is empty."""
    if bool(fractions) == (at is not None):
        raise ValueError(
            f"{_WHO}: pass fractions, as in split_by_time('when', 0.8, 0.2), or at=…, one of the two; got "
            f"{list(fractions)} and at={at!r:.60}."
        )
    if at is not None:
        borders = tuple(at) if isinstance(at, (list, tuple, np.ndarray, pd.Index)) else (at,)
        if not borders:
            raise ValueError(f"{_WHO}: at is empty; name at least one time.")
        return (), borders
    if not are_fractions(fractions):
        raise ValueError(f"{_WHO}: fractions must be positive numbers with the sum 1; got {list(fractions)!r:.80}.")
    return tuple(fractions), ()


@final
class TimePart(Chosen):
    """One part of a `split_by_time`.

    Args:
        input: Rows with random access, in an order that does not change by epoch.
        column: Dates, instants or numbers.
        number: Which part this is, from 0, the earliest.
        fractions: The shares of all parts; empty where ``at`` is given.
        at: Where the parts meet.
        gap: How much time lies between the parts.

    Raises:
        ValueError: as of `split_by_time`; no row falls into this part.
    """

    who: ClassVar[str] = _WHO

    def __init__(
        self,
        input: Pipe,
        column: str,
        number: int,
        *,
        fractions: Sequence[float] = (),
        at: Moment | Sequence[Moment] | None = None,
        gap: Length | None = None,
    ) -> None:
        self.fractions, self.at = _checked(fractions, at)
        self.number = check_number(number, len(self.fractions) or len(self.at) + 1, who=_WHO)
        self.gap = gap
        super().__init__(input)
        self.column = require_rows(self.upstream, "column", column, who=_WHO)
        self.require_some(self._why_none)

    def _why_none(self, count: int) -> str:
        when = times(self.upstream, self.column, count, who=_WHO)
        first, last = (_shown(value, when) for value in (when.ticks.min(), when.ticks.max()))
        return (
            f"{_WHO}: no row falls into part {self.number} of {self.describe()}; column {self.column!r} goes from {first} to "
            f"{last}, and rows of one time stay together. Move the border"
            f"{', or make the gap smaller' if self.gap is not None else ''}."
        )

    def describe(self) -> str:
        borders = [f"{share:g}" for share in self.fractions] or [
            f"at={[_text(one) for one in self.at] if len(self.at) > 1 else _text(self.at[0])}"
        ]
        gap = "" if self.gap is None else f", gap={_text(self.gap)}"
        return f"SplitByTime({self.column!r}, {', '.join(borders)}{gap})[{self.number}]"

    def choose(self, num_items: int) -> Positions:
        when = times(self.upstream, self.column, num_items, who=_WHO)
        borders = self._borders(when)
        is_in = np.ones(num_items, dtype=bool)
        if self.number:
            is_in &= when.ticks >= borders[self.number - 1]
        if self.number < len(borders):
            is_in &= self._is_before(when, borders[self.number])
        return np.flatnonzero(is_in)

    def _is_before(self, when: Times, border: Any) -> Any:
        # Reckoned in Python's numbers, which don't wrap around.
        return when.ticks < (border if self.gap is None else border - _length(self.gap, when))

    def _borders(self, when: Times) -> list[Any]:
        if self.at:
            borders = [_moment(one, when) for one in self.at]
            if any(not earlier < later for earlier, later in pairwise(borders)):
                raise ValueError(f"{_WHO}: the times in at must increase; got {[_text(one) for one in self.at]}.")
            return borders
        ordered = np.sort(when.ticks)
        sizes = shared_out(len(ordered), [as_written(share) for share in self.fractions])
        return [_border(ordered, int(stop)) for stop in np.cumsum(sizes[:-1])]


def _border(ordered: Any, stop: int) -> Any:
    """Return the time from which on rows are in the later part, so that about ``stop`` rows are before it."""
    if stop >= len(ordered):
        return math.inf
    here = ordered[stop]
    first, behind = np.searchsorted(ordered, here, side="left"), np.searchsorted(ordered, here, side="right")
    if stop - first <= behind - stop:
        return here.item()
    return ordered[behind].item() if behind < len(ordered) else math.inf


def _moment(value: Any, when: Times) -> Any:
    """Return a time as the column has it."""
    if when.of_dates:
        if isinstance(value, (str, dt.date, np.datetime64)):
            try:
                moment: Any = pd.Timestamp(value)
            except ValueError as error:
                raise ValueError(f"{_WHO}: {value!r:.60} in at is no time that can be read: {error}.") from error
            if not pd.isna(moment):
                utc = moment.tz_localize("UTC") if moment.tz is None else moment
                return int(utc.as_unit("ns").value)
        raise TypeError(f"{_WHO}: the column holds dates, so at is a date or a text of one; got {value!r:.60}.")
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or math.isnan(value):
        raise TypeError(f"{_WHO}: the column holds numbers, so at is a number; got {value!r:.60}.")
    return value.item() if isinstance(value, np.generic) else value


def _length(value: Any, when: Times) -> Any:
    """Return a gap as times of the column differ."""
    if when.of_dates:
        if isinstance(value, (str, dt.timedelta, np.timedelta64)):
            try:
                length: Any = pd.Timedelta(value)
            except ValueError as error:
                raise ValueError(
                    f"{_WHO}: gap={value!r:.60} is no length of time that can be read: {error}."
                ) from error
            if not pd.isna(length) and length >= pd.Timedelta(0):
                return int(length.as_unit("ns").value)
            raise ValueError(f"{_WHO}: gap must not be negative; got {value!r:.60}.")
        raise TypeError(
            f"{_WHO}: the column holds dates, so gap is a length of time such as '7 days' or a timedelta; got {value!r:.60}."
        )
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{_WHO}: the column holds numbers, so gap is a number; got {value!r:.60}.")
    if not value >= 0:
        raise ValueError(f"{_WHO}: gap must not be negative; got {value!r:.60}.")
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any) -> str:
    return str(value)


def _shown(tick: Any, when: Times) -> str:
    return str(pd.Timestamp(int(tick), unit="ns")) if when.of_dates else f"{tick}"
