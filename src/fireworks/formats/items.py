"""Single items, such as a dataset or a generator gives, as rows of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fireworks.errors import SchemaMismatchError
from fireworks.message import Message
from fireworks.message.build import as_name, columns_of_rows

_TENSOR_KINDS = "biufc"


class Items:
    """Turns items into rows: mappings and messages as they are, tuples and lists by place, anything else under one name.

    An array in a tuple, or one that is an item by itself, becomes a tensor, as in PyTorch's ``default_collate``.

    Args:
        columns: Names for the parts of a tuple, or one name for items that are values; None for mappings, messages, and
            tuples whose parts are called ``"0"``, ``"1"``, ….
        where: Who asks, for the errors.

    Raises:
        TypeError: ``columns`` is neither.

    Example:
        >>> Items(["x", "y"], where="this example").message([(1, "a"), (2, "b")]).to_dict()
        {'x': [1, 2], 'y': ['a', 'b']}
    """

    def __init__(self, columns: str | Sequence[str] | None, *, where: str) -> None:
        if columns is not None and not isinstance(columns, (str, list, tuple)):
            raise TypeError(f"{where}: columns is a name or a list of names; got {columns!r:.60}.")
        self.where = where
        self.name = columns if isinstance(columns, str) else None
        self.names = None if columns is None or isinstance(columns, str) else [as_name(name) for name in columns]
        if self.names is not None and (not self.names or len(set(self.names)) < len(self.names)):
            raise ValueError(f"{where}: columns must be different names, at least one; got {self.names}.")

    def row(self, item: Any) -> Mapping[str, Any] | Message:
        """Return one item as a row.

        Raises:
            TypeError: it can't be one.
            SchemaMismatchError: it has not as many parts as there are names.
        """
        if isinstance(item, Message):
            return item
        if self.name is not None:
            return {self.name: _value(item)}
        if isinstance(item, Mapping):
            return item
        if isinstance(item, (tuple, list)):
            fields = self.names or getattr(item, "_fields", None) or [str(number) for number in range(len(item))]
            if len(fields) != len(item):
                raise SchemaMismatchError(
                    f"{self.where}: columns names {len(fields)} parts, {list(fields)}, and an item has {len(item)}."
                )
            return dict(zip(fields, map(_value, item), strict=True))
        if isinstance(item, np.void) and item.dtype.names is not None:
            return {name: _value(item[name]) for name in item.dtype.names}
        raise TypeError(
            f"{self.where}: each item must be a mapping of one row's values, such as {{'x': 1.0}}, or a tuple of them; "
            f"got {_text(item):.60} of type {type(item).__name__}. For items that are one value each, name it: columns='x'."
        )

    def message(self, items: Sequence[Any]) -> Message:
        """Return items as the rows of one message.

        Raises:
            TypeError: an item can't be a row.
            SchemaMismatchError: rows differ in their columns.
            ColumnTypeError: the tensors of a column differ.
        """
        rows = [self.row(item) for item in items]
        stored = columns_of_rows(rows, where=self.where)
        return Message._of(stored, sum(len(row) if isinstance(row, Message) else 1 for row in rows))

    def misfit(self, item: Any, first: Mapping[str, Any]) -> str | None:
        """Return why an item can't be a row below another, or None where it can."""
        try:
            row = self.row(item)
            if isinstance(row, Message):
                return f"TypeError: {self.where}: a message stands between items that are rows"
            if row.keys() != first.keys() or any(_kind(row[name]) != _kind(value) for name, value in first.items()):
                self.message([first, row])  # which says what is wrong
        except (TypeError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return None


def _kind(value: Any) -> object:
    return (value.shape, value.dtype, value.device) if isinstance(value, torch.Tensor) else None


def _value(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in _TENSOR_KINDS:
        return torch.from_numpy(value) if value.flags.writeable else torch.from_numpy(value.copy())
    return value


def shown(item: Any) -> Message:
    """Return an item that is no row as a message of one row, for the rows that are set aside."""
    return Message({"item": [_text(item)[:1000]]})


def _text(item: Any) -> str:
    try:
        return " ".join(repr(item).split())
    except Exception as error:  # noqa: BLE001 (it is the user's, and bad already)
        return f"{type(item).__name__}, whose repr raises {type(error).__name__}"
