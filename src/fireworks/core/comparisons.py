"""The operators of a filter, which mean the same in memory and in a database."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from fireworks.errors import did_you_mean

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NUM_VALUES = {**dict.fromkeys(COMPARISONS, 1), "in": 1, "not in": 1, "between": 2, "is null": 0, "is not null": 0}
"""How many values stand behind each operator."""
_OTHER_SPELLINGS = {"=": "==", "<>": "!=", "=>": ">=", "=<": "<="}


def check_comparison(column: str, comparison: str, values: tuple[Any, ...]) -> None:
    """Check that an operator exists and has its number of values.

    Raises:
        ValueError: it does not, or has another number; the nearest operator is named.

    Example:
        >>> check_comparison("x", "between", (0, 1))
    """
    if comparison not in NUM_VALUES:
        nearest = did_you_mean(_OTHER_SPELLINGS.get(comparison, comparison), NUM_VALUES)
        raise ValueError(f"filter: no operator {comparison!r}; operators are {list(NUM_VALUES)}.{nearest}")
    if len(values) != NUM_VALUES[comparison]:
        raise ValueError(
            f"filter: {column!r} {comparison} takes {NUM_VALUES[comparison]} values; got {len(values)}: {values!r:.60}."
        )


def require_list(values: Any, *, who: str) -> None:
    """Check that what stands behind ``in`` is a list.

    Raises:
        TypeError: it is one value, or a text.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{who} takes a list of values; got {values!r:.60}.")
