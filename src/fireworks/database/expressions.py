"""Expressions as SQL, where the database answers exactly what memory would.

Only columns whose types fireworks itself has recorded are handed over, and only comparisons of like with like: integers
with integers, 64-bit floats with numbers that they hold exactly, booleans for equality, texts where they compare by code
points, as SQLite's do. Null is unknown in both, and ``and``, ``or`` and ``not`` treat it alike.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from fireworks.core.comparisons import COMPARISONS
from fireworks.core.expressions import And, Between, Column, Comparison, Expression, IsNull, Member, Not, Or, Value
from fireworks.database.conditions import MAX_LISTED
from fireworks.database.layout import Layout

_EXACT = 2**53  # integers up to here are floats too
_INT64 = 2**63
_KINDS = frozenset({"integer", "float", "bool", "text"})


class _NoSqlError(Exception):
    """A part of the expression has no equal in SQL."""


def to_sql(expression: Expression, layout: Layout, *, dialect: str = "sqlite") -> sa.ColumnElement[bool] | None:
    """Return a condition that is true for exactly the rows for which an expression is true, or None.

    Args:
        expression: A condition.
        layout: What the table looks like.
        dialect: The database's name by SQLAlchemy; texts are compared in SQLite only, elsewhere by unknown rules.
    """
    try:
        return _condition(expression, layout, dialect)
    except _NoSqlError:
        return None


def _condition(expression: Expression, layout: Layout, dialect: str) -> sa.ColumnElement[bool]:
    if isinstance(expression, And):
        return sa.and_(*(_condition(part, layout, dialect) for part in expression.parts))
    if isinstance(expression, Or):
        return sa.or_(*(_condition(part, layout, dialect) for part in expression.parts))
    if isinstance(expression, Not):
        return sa.not_(_condition(expression.operand, layout, dialect))
    if isinstance(expression, IsNull):
        column, _ = _column(expression.operand, layout, dialect)
        return column.is_not(None) if expression.negated else column.is_(None)
    if isinstance(expression, Comparison):
        column, kind = _column(expression.left, layout, dialect)
        if kind == "bool" and expression.operator not in {"==", "!="}:
            raise _NoSqlError
        bound: sa.BindParameter[Any] = sa.bindparam(None, _value(expression.right, kind))
        return COMPARISONS[expression.operator](column, bound)  # type: ignore[no-any-return]
    if isinstance(expression, Between):
        column, kind = _column(expression.operand, layout, dialect)
        low: sa.BindParameter[Any] = sa.bindparam(None, _value(expression.low, kind))
        return column.between(low, sa.bindparam(None, _value(expression.high, kind)))
    if isinstance(expression, Member) and 0 < len(expression.values) <= MAX_LISTED:
        column, kind = _column(expression.operand, layout, dialect)
        values = [_value(value, kind) for value in expression.values]
        return column.in_(values) if expression.operator == "in" else column.not_in(values)
    raise _NoSqlError


def _column(expression: Expression, layout: Layout, dialect: str) -> tuple[sa.ColumnClause[Any], str]:
    """Return a column that may be compared, and its kind."""
    if not isinstance(expression, Column) or expression.name not in layout.recorded:
        raise _NoSqlError
    held = layout.types[expression.name]
    is_plain = held.kind in _KINDS and held.dtype.lower() != "uint64" and not held.shape
    if not is_plain or (held.kind == "float" and held.dtype.lower() != "float64"):
        raise _NoSqlError
    if held.kind == "text" and dialect != "sqlite":
        raise _NoSqlError
    return layout.table.c[expression.name], held.kind


def _value(expression: Expression, kind: str) -> Any:
    """Return a value that compares with a column of a kind as it does in memory."""
    value = expression.value if isinstance(expression, Value) else None
    fits = {
        "text": isinstance(value, str),
        "bool": isinstance(value, bool),
        "integer": type(value) is int and abs(value) < _INT64,
        "float": (type(value) is int and abs(value) <= _EXACT) or type(value) is float,
    }
    if not fits[kind]:
        raise _NoSqlError
    return value
