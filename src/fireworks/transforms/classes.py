"""The classes of a label, in order, and where each row's label stands among them."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.core.pipe import Pipe
from fireworks.errors import ColumnTypeError, ColumnValueError, did_you_mean
from fireworks.message import Message
from fireworks.message.columns import Column, Positions
from fireworks.message.conversion.kinds import cells_of

_SHOWN = 10


class Classes:
    """The classes of a label.

    Args:
        labels: Each once: texts, numbers or booleans, the first of which is class 0.
        who: The verb, for errors.

    Raises:
        TypeError: there is no list of labels, or a label is none.
        ValueError: there are none, one is there twice, or one is missing.

    Example:
        >>> Classes(["cat", "dog"], who="label_index").positions("pet", np.array([1, 0]).astype(str), None)
        Traceback (most recent call last):
        fireworks.errors.ColumnValueError: label_index: column 'pet' holds '1', '0' in rows 0, 1, which are no classes; \
classes are ['cat', 'dog'].
    """

    def __init__(self, labels: Iterable[Any], *, who: str) -> None:
        if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
            raise TypeError(
                f"{who}: classes must be a list of labels, such as ['cat', 'dog']; got {labels!r:.60} of type "
                f"{type(labels).__name__}."
            )
        values = (
            labels.tolist() if isinstance(labels, (np.ndarray, torch.Tensor, pd.Series, pd.Index)) else list(labels)
        )
        self.labels: tuple[Any, ...] = tuple(_plain(value) for value in values)
        self._who = who
        if not self.labels:
            raise ValueError(f"{who}: classes must have at least one label.")
        for label in self.labels:
            is_one = not isinstance(label, tuple) and isinstance(label, Hashable)
            if not is_one:
                raise TypeError(f"{who}: a label is a text, a number or a boolean; got {label!r:.60}.")
            if pd.isna(label):
                raise ValueError(f"{who}: a missing value is no class; got {label!r}.")
        self._places = {label: place for place, label in enumerate(self.labels)}
        if len(self._places) < len(self.labels):
            double = next(label for label in self.labels if self.labels.count(label) > 1)
            raise ValueError(f"{who}: classes must be there once each; {double!r} is there twice.")

    @classmethod
    def found_in(cls, data: Pipe | Message, column: str, *, who: str) -> Classes:
        """Return the classes that a column has, sorted; reads epoch 0 of a pipe.

        Raises:
            TypeError: ``data`` is neither a pipe nor a message, or the labels have no order.
            ColumnNotFoundError: there is no such column.
            ColumnTypeError: a row has several values.
        """
        if not isinstance(data, (Pipe, Message)):
            raise TypeError(
                f"{who}: fit must be the pipe or the message to find the classes in; got {type(data).__name__}."
            )
        rows = data.select(column).to_message() if isinstance(data, Pipe) else data
        values = set(_labels(column, rows.raw(column), who))
        known = [value for value in values if not pd.isna(value)]
        try:
            return cls(sorted(known), who=who)
        except TypeError as error:
            raise TypeError(
                f"{who}: column {column!r} holds labels that can't be sorted ({error}); name them in order: classes=[…]."
            ) from error

    def positions(self, name: str, column: Column, rows: Positions | None) -> Positions:
        """Return the class of each row, from 0.

        Args:
            name: The column, for errors.
            column: Labels.
            rows: Their numbers in the source, for errors.

        Shapes:
            ``(rows,)`` -> ``(rows,)`` of int64.

        Raises:
            ColumnValueError: a label is no class or is missing; the error names rows and labels.
            ColumnTypeError: a row has several values.
        """
        cells = _labels(name, column, self._who)
        found = np.array([self._places.get(cell, -1) for cell in cells], dtype=np.int64)
        if (unknown := np.flatnonzero(found < 0)).size:
            raise self._unknown(name, cells, unknown, rows)
        return found

    def _unknown(self, name: str, cells: list[Any], unknown: Positions, rows: Positions | None) -> ColumnValueError:
        shown = unknown[:_SHOWN]
        more = ", …" if len(unknown) > _SHOWN else ""
        labels = list(dict.fromkeys(repr(cells[place])[:40] for place in shown))
        places = ", ".join(str(place if rows is None else rows[place]) for place in shown)
        of_source = "" if rows is None else " of the source"
        hint = did_you_mean(str(cells[unknown[0]]), map(str, self.labels))
        return ColumnValueError(
            f"{self._who}: column {name!r} holds {', '.join(labels)} in rows {places}{more}{of_source}, which are no "
            f"classes; classes are {list(self.labels)!s:.200}.{hint}"
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __str__(self) -> str:
        """Return all classes, or their number and what tells them from others."""
        if len(self.labels) <= _SHOWN:
            return str(list(self.labels))
        return f"{len(self.labels)} classes, {hashlib.sha256(repr(self.labels).encode()).hexdigest()[:12]}"


def _labels(name: str, column: Column, who: str) -> list[Any]:
    """Return each row's label as Python has it."""
    if isinstance(column, torch.Tensor) and column.dim() > 1:
        raise ColumnTypeError(
            f"{who}: column {name!r} is a tensor of {tuple(column.shape[1:])} per row, and a label is one value; take it "
            "out first with .map."
        )
    if isinstance(column, np.ndarray) and column.dtype.kind not in "biufmM":
        column = pd.array(column)
    cells: list[Any] = list(cells_of(column))
    for cell in cells:
        if not isinstance(cell, Hashable):
            raise ColumnTypeError(f"{who}: column {name!r} holds {cell!r:.40}, and a label is a text or a number.")
    return cells


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, torch.Tensor)) else value
