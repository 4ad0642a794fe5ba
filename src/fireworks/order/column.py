"""One column of a pipe, read once in one narrowed pass: what is kept of it is eight bytes a row, for as long as the pipe."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple, TypeAlias, cast
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from fireworks.core.pipe import Pipe
from fireworks.core.run import Run, some_rows
from fireworks.core.stages import require_columns
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.columns import Column, Positions, field_of
from fireworks.order.hashing import Hashes
from fireworks.order.values import Instants, Mask, Texts, Values, hashes_of, values_of

_Array: TypeAlias = "np.ndarray[Any, Any]"
_NANOSECONDS = 10**9
_LAST_SECOND = 2**63 // _NANOSECONDS - 1

# By pipe, then by what was asked: of what, and the answer. A pipe that is gone takes its own along.
_known: WeakKeyDictionary[Pipe, dict[str, tuple[Hashable, Any]]] = WeakKeyDictionary()


class Classes(NamedTuple):
    """Which class each row is of: a number from 0, in the order of their first rows; null is the last, if it is one."""

    numbers: _Array
    sizes: Positions
    """Rows of each class."""


class Times(NamedTuple):
    """When each row was: numbers, or nanoseconds since 1970."""

    ticks: _Array
    of_dates: bool


def require_rows(input: Pipe, argument: str, column: object, *, who: str) -> str:
    """Return the name of a column that decides where rows go, checked as far as it can be without reading.

    Raises:
        TypeError: it is no name, or the input is batched.
        ColumnNotFoundError: there is no such column.
        ValueError: its values change with every epoch.
    """
    if not isinstance(column, str):
        raise TypeError(
            f"{who}: {argument} is the name of a column; got {column!r:.60} of type {type(column).__name__}."
        )
    if input.is_batched:
        raise TypeError(
            f"{who}: column {column!r} is of rows, and the items of the input are batches ({input!r}). Put it before .batch."
        )
    require_columns(input, [column], who=who)
    if input.values_vary:
        raise ValueError(
            f"{who}: the values of its input change with every epoch ({input!r}), so column {column!r} decides nothing for "
            "good. Split first, then map each part."
        )
    return column


def hash_parts(input: Pipe, column: str, num_rows: int, bounds: Hashes, *, seed: int, who: str) -> _Array:
    """Return between which bounds the hash of each row's key falls: the number of bounds that are not above it.

    Raises:
        ColumnValueError: a row has no key.
    """

    def read() -> _Array:
        found, is_null = np.empty(num_rows, dtype=np.uint16), np.zeros(num_rows, dtype=bool)
        for start, stop, values, _ in _values(input, column, num_rows, who):
            found[start:stop] = np.searchsorted(bounds, hashes_of(values, seed), side="right")
            is_null[start:stop] = values.is_null
        require_no_nulls(is_null, column, who=who)
        return found

    return cast("_Array", remembered(input, "hash_parts", (column, num_rows, seed, *bounds.tolist()), read))


def classes(input: Pipe, column: str, num_rows: int, *, who: str, with_null: bool = True) -> Classes:
    """Return the class of each row. Two values with one hash of 64 bits would be one class.

    Raises:
        ColumnValueError: null is to be no class, and a row has none.
    """

    def read() -> Classes:
        found, is_null = np.empty(num_rows, dtype=np.uint64), np.zeros(num_rows, dtype=bool)
        for start, stop, values, _ in _values(input, column, num_rows, who):
            found[start:stop], is_null[start:stop] = hashes_of(values), values.is_null
        if not with_null:
            require_no_nulls(is_null, column, who=who)
        there = np.flatnonzero(~is_null) if is_null.any() else slice(None)
        known, unique = pd.factorize(found[there])
        count = len(unique) + bool(is_null.any())
        numbers = np.full(num_rows, count - 1, dtype=np.min_scalar_type(count))
        numbers[there] = known
        return Classes(numbers, np.bincount(numbers, minlength=count).astype(np.int64))

    return cast("Classes", remembered(input, f"classes of {column} {with_null}", num_rows, read))


def times(input: Pipe, column: str, num_rows: int, *, who: str) -> Times:
    """Return when each row was.

    Raises:
        ColumnTypeError: the column holds neither dates nor numbers.
        ColumnValueError: a row has no time, or one beyond the year 2262.
    """

    def read() -> Times:
        parts, is_null, of_dates = [], np.zeros(num_rows, dtype=bool), False
        for start, stop, values, raw in _values(input, column, num_rows, who):
            held = values.held
            if isinstance(held, Texts):
                raise ColumnTypeError(
                    f"{who}: column {column!r} is {field_of(column, raw).type_text}, and a time is a date or a number. "
                    "Make dates of it, with map and pandas.to_datetime."
                )
            is_null[start:stop] = values.is_null
            of_dates = of_dates or isinstance(held, Instants)
            parts.append(_ticks(held, values.is_null, column, start, who) if isinstance(held, Instants) else held)
        require_no_nulls(is_null, column, who=who)
        return Times(np.concatenate(parts) if parts else np.empty(0, dtype=np.int64), of_dates)

    return cast("Times", remembered(input, f"times of {column}", num_rows, read))


def _ticks(held: Instants, is_null: Mask, column: str, start: int, who: str) -> _Array:
    seconds = np.where(is_null, 0, held.seconds)
    wrong = np.flatnonzero(np.abs(seconds) > _LAST_SECOND)
    if len(wrong):
        raise ColumnValueError(
            f"{who}: column {column!r}, row {start + wrong[0]}: a time lies between the years 1678 and 2261; this one is "
            f"{seconds[wrong[0]]} seconds from 1970."
        )
    ticks: _Array = seconds * _NANOSECONDS + held.nanoseconds
    return ticks


def weights(input: Pipe, column: str, num_rows: int, *, who: str) -> _Array:
    """Return the weight of each row, as it is written there; NaN for a null.

    Raises:
        ColumnTypeError: the column does not hold numbers.
    """

    def read() -> _Array:
        found = np.empty(num_rows, dtype=np.float64)
        for start, stop, values, raw in _values(input, column, num_rows, who):
            if isinstance(values.held, (Texts, Instants)):
                raise ColumnTypeError(
                    f"{who}: column {column!r} is {field_of(column, raw).type_text}, and a weight is a number."
                )
            found[start:stop] = values.held
            found[start:stop][values.is_null] = np.nan
        return found

    return cast("_Array", remembered(input, f"weights of {column}", num_rows, read))


def require_no_nulls(is_null: Mask, column: str, *, who: str) -> None:
    """Raise a ColumnValueError that names the rows where a column is null."""
    rows = np.flatnonzero(is_null)
    if len(rows):
        raise ColumnValueError(
            f"{who}: column {column!r} is null in {some_rows(rows)} of the input, and nobody knows where such a row "
            f"belongs. Leave them out first: .filter({column!r}, 'is not null')."
        )


def _values(input: Pipe, column: str, num_rows: int, who: str) -> Iterator[tuple[int, int, Values, Column]]:
    """Pass over one column, some thousand rows at a time."""
    start = 0
    for chunk in input.select(column).runnable.pieces(range(num_rows), Run(0)):
        stop = start + len(chunk.rows)
        raw = chunk.message.raw(column)
        yield start, stop, values_of(column, raw, who=who), raw
        start = stop


def remembered(input: Pipe, what: str, of: Hashable, find: Callable[[], Any]) -> Any:
    """Return what was found out about an input, or find it out; of each kind of thing the latest is kept.

    Args:
        input: The pipe; with it goes what is known of it.
        what: The kind of thing.
        of: What else it hangs on, such as the number of rows, for a live table may have grown.
        find: Finds it out.
    """
    known = _known.setdefault(input, {})
    found = known.get(what)
    if found is None or found[0] != of:
        found = known[what] = of, find()
    return found[1]
