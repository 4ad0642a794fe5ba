"""Checks of arguments that many constructors share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fireworks.errors import ColumnNotFoundError


def check_count(value: object, *, at_least: int, where: str) -> int:
    """Return a count as an int, or raise a ValueError that says what was expected.

    Args:
        value: What the user passed.
        at_least: The smallest count that makes sense.
        where: The verb and the argument: ``batch: num_rows``.

    Example:
        >>> check_count(3, at_least=1, where="batch: num_rows")
        3
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        raise ValueError(f"{where} must be an int of at least {at_least}; got {value!r}.")
    return int(value)


def check_columns(columns: str | Sequence[str] | None, available: Sequence[str], *, where: str) -> list[str]:
    """Return the names that an argument ``columns`` stands for: one, many, or all where it is None.

    Raises:
        ColumnNotFoundError: a name is not among those that there are.

    Example:
        >>> check_columns("x", ["x", "y"], where="this example"), check_columns(None, ["x", "y"], where="this example")
        (['x'], ['x', 'y'])
    """
    names = list(available) if columns is None else [columns] if isinstance(columns, str) else list(columns)
    for name in names:
        if name not in available:
            raise ColumnNotFoundError(name, available=available, where=where)
    return names


def check_no_index(index: object, *, where: str) -> None:
    """Raise a ValueError where pandas' argument ``index`` asks for what a message lacks."""
    if index:
        raise ValueError(
            f"{where}: a message has no index to write; give the numbers of its rows a column of their own."
        )
