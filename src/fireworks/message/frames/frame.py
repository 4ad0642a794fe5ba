"""Between a message's columns and a pandas DataFrame, without copying and without losing an index."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Container, Hashable, Mapping
from typing import Any, Final

import pandas as pd

from fireworks.errors import ColumnTypeError
from fireworks.message.columns import Column, as_column, to_series
from fireworks.message.frames.copy_on_write import protect


class _Private(enum.Enum):
    """A name that no user has: one object, through pickle and deepcopy too."""

    ROWS = enum.auto()

    def __repr__(self) -> str:  # where pandas prints an index in an error, it looks like one without a name
        return "None"

    __str__ = __repr__


ROWS: Final = _Private.ROWS
"""The name of an index that only numbers the rows of a message, wherever pandas works on its frame.

By it the index that comes back is told apart from one that says something. Nobody outside the library sees it:
`plain` takes it off.
"""


def frame_of_columns(columns: Mapping[str, Column], num_rows: int) -> pd.DataFrame:
    """Return a frame that shares memory with the columns; what is written to it is written to copies."""
    index = pd.RangeIndex(num_rows)
    series = {name: to_series(name, column, index) for name, column in columns.items()}
    return protect(pd.DataFrame(series, index=index, columns=pd.Index(series, dtype="str"), copy=False))


def columns_of_frame(frame: pd.DataFrame) -> dict[str, Column]:
    """Return the columns of a user's frame, sharing memory; an index that says something becomes the first columns.

    An index of integers without a name says nothing: it numbers the rows of some earlier frame. From now on pandas
    copies a column of the frame before it writes to it, so that neither side sees what is done to the other.

    Raises:
        ColumnTypeError: a column has no name that is text, or a name occurs twice.
    """
    index = frame.index
    # after a filter pandas may or may not keep row numbers as a range, and columns must not depend on it
    is_numbering = index.nlevels == 1 and index.name is None and pd.api.types.is_integer_dtype(index.dtype)
    levels = [] if is_numbering else _levels(index, unnamed="index")
    for name in frame.columns:
        if not isinstance(name, str):
            raise ColumnTypeError(
                f"Message: column names are text; the frame has {name!r} of type {type(name).__name__}."
            )
    names = [*(name for name, _ in levels), *map(str, frame.columns)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnTypeError(f"Message: the frame has {twice!r} twice, among its columns or its index; rename one.")
    stored = {name: as_column(name, values) for name, values in levels}
    return stored | {str(name): as_column(str(name), values) for name, values in protect(frame).items()}


def columns_of_result(frame: pd.DataFrame, *, where: str, unnamed: str = "index") -> dict[str, Column]:
    """Return the columns of a frame that pandas made of a message; its index becomes the first columns.

    Row numbers are left behind: what carries their private name, and a plain range without a name. Every other level
    becomes a column, also where its name is taken by now. A label that is no text becomes text, and the parts of a
    label of several are joined: ``x_mean``.

    Args:
        frame: What a method of pandas returned.
        where: The method, for the error.
        unnamed: What an index level without a name is called.

    Raises:
        ColumnTypeError: two labels have the same text.
    """
    labels: dict[str, Hashable] = {}
    all_labels: list[Any] = frame.columns.to_list()
    for label in all_labels:
        if label is ROWS:
            continue
        text = label_text(label)
        if text in labels:
            raise ColumnTypeError(
                f"{where}: two columns of the result would be called {text!r}: {labels[text]!r} and {label!r}. Rename "
                "columns, or change their values, such that the names differ."
            )
        labels[text] = label
    index = frame.index
    is_numbering = index.nlevels == 1 and index.name is None and _is_range_from_zero(index)
    levels = [] if is_numbering else _levels(index, unnamed=unnamed)
    stored: dict[str, Column] = {}
    for name, values in levels:
        free = free_name(name, {*labels, *stored})
        stored[free] = as_column(free, values)
    for label, (_, column) in zip(all_labels, protect(frame).items(), strict=True):
        if label is not ROWS:
            text = label_text(label)
            stored[text] = as_column(text, column)
    return stored


def _is_range_from_zero(index: pd.Index[Any]) -> bool:
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def _levels(index: pd.Index[Any], *, unnamed: str) -> list[tuple[str, pd.Index[Any]]]:
    """Return each level that says something, under its name; those without one are numbered: index, index1, index2."""
    count = itertools.count()
    levels = []
    for level, name in enumerate(index.names):
        if name is not ROWS:
            text = f"{unnamed}{next(count) or ''}" if name is None else label_text(name)
            levels.append((text, index.get_level_values(level)))
    return levels


def label_text(label: Hashable) -> str:
    """Return what a label of pandas is called as a column; one of several parts is joined by ``_``.

    Example:
        >>> label_text(("x", "mean")), label_text(("g", "")), label_text(2)
        ('x_mean', 'g', '2')
    """
    if isinstance(label, tuple):
        return "_".join(label_text(part) for part in label if part != "")
    return str(label)


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name itself, or a clear other one where it is taken.

    Example:
        >>> free_name("g", {"x"}), free_name("g", {"g"}), free_name("g", {"g", "g_index"})
        ('g', 'g_index', 'g_index2')
    """
    stem = f"{name}_index"
    others = (stem, *(f"{stem}{number}" for number in range(2, 10)))
    candidates = itertools.chain((name,), others, (f"{stem}{number}" for number in itertools.count(10)))
    return next(candidate for candidate in candidates if candidate not in taken)


def plain(shared: Any) -> Any:
    """Return a Series, frame or index without the private name; anything else as it is."""
    if isinstance(shared, pd.Index):
        return shared.set_names([None if name is ROWS else name for name in shared.names])
    if not isinstance(shared, (pd.Series, pd.DataFrame)):
        return shared
    if ROWS in shared.index.names or getattr(shared, "name", None) is ROWS:
        shared = shared.copy(deep=False)
        shared.index = plain(shared.index)
        if isinstance(shared, pd.Series) and shared.name is ROWS:
            shared.name = None
    return protect(shared)
