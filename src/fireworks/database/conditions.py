"""Conditions on one column, as SQL: the operators of a pipe's ``filter``, with the same meaning of null.

What is null compares as unknown, and the row is dropped by every operator but ``is null``, whether the null is in the row or
in the value to compare with. SQL agrees, except where a list is empty; `Condition.to_sql` sees to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fireworks.core.comparisons import COMPARISONS, check_comparison, require_list
from fireworks.database.types import ColumnType
from fireworks.database.values import operand, require_comparable

MAX_LISTED = 10_000
"""Values of one list; SQLite allows 32,766 in a whole query."""


@dataclass(frozen=True)
class Condition:
    """One comparison of one column, with the values as a driver binds them."""

    column: str
    comparison: str
    values: tuple[Any, ...]

    def to_sql(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[bool]:
        """Return the condition; every value is a bound parameter."""
        if self.comparison in COMPARISONS:
            return COMPARISONS[self.comparison](column, sa.bindparam(None, self.values[0]))  # type: ignore[no-any-return]
        if self.comparison == "between":
            return column.between(sa.bindparam(None, self.values[0]), sa.bindparam(None, self.values[1]))
        if self.comparison == "in":
            return column.in_(self.values)
        if self.comparison == "not in":
            # Null is not in the empty list, says SQL; it is unknown, say we.
            return sa.and_(column.is_not(None), column.not_in(self.values))
        return column.is_(None) if self.comparison == "is null" else column.is_not(None)

    def __str__(self) -> str:
        values = [list(self.values)] if self.comparison in {"in", "not in"} else self.values
        return " ".join([self.column, self.comparison, *map(repr, values)])


def make_condition(column: str, column_type: ColumnType, comparison: str, values: tuple[Any, ...]) -> Condition:
    """Check a comparison against the type of its column.

    Raises:
        ValueError: no such operator, not its number of values, or more than 10,000 in a list.
        ColumnTypeError: the column is a tensor, or a value can't be compared with it.
        TypeError: ``in`` got something else than a list.

    Example:
        >>> str(make_condition("n", ColumnType("integer", "int64"), "in", ([1, 2],)))
        'n in [1, 2]'
    """
    check_comparison(column, comparison, values)
    require_comparable(column, column_type, where="filter")
    if comparison in {"in", "not in"}:
        require_list(values[0], who=f"filter: {column!r} {comparison}")
        bound = listed(column, column_type, values[0], where="filter")
        if len(bound) > MAX_LISTED:
            raise ValueError(
                f"filter: a list for {column!r} holds at most {MAX_LISTED:,} values; got {len(bound):,}. "
                "Pass a function: filter(lambda rows: …)."
            )
        return Condition(column, comparison, bound)
    return Condition(column, comparison, tuple(operand(column, column_type, value, where="filter") for value in values))


def listed(column: str, column_type: ColumnType, values: Any, *, where: str) -> tuple[Any, ...]:
    """Return a list of values to compare with, as a driver binds them.

    Raises:
        ColumnTypeError: a value can't be compared with the column.
    """
    return tuple(operand(column, column_type, value, where=where, is_one_of_many=True) for value in values)
