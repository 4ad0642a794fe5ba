"""What a filter says of a row, as data: it prints, compares, pickles, and can be handed to a file or a database.

An expression is a small tree of frozen dataclasses. `parse` makes one of a text, `comparison` of a column, an operator and
values; `transforms/predicate.py` says what it means for rows. ``str(expression)`` is a text that parses to an equal one.

Null and NaN are unknown: what is compared or computed with them is unknown too, and a row is kept only where the whole is true.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, ClassVar, Literal, TypeAlias, cast, get_args

import numpy as np
import pandas as pd
import torch

from fireworks._internal.lazy import load
from fireworks.core.comparisons import check_comparison, require_list

ComparisonOperator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
ArithmeticOperator: TypeAlias = Literal["+", "-", "*", "/", "//", "%"]
MemberOperator: TypeAlias = Literal["in", "not in"]

RESERVED = frozenset({"and", "or", "not", "in", "between", "is", "null", "none", "nan", "true", "false", "inf"})
"""Words that are no column, in capital letters or not, unless they stand between backticks."""
NAME = re.compile(r"[^\W\d]\w*")
"""A column that needs no backticks."""

# How tightly each kind binds; what binds less stands in parentheses.
_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _NEGATIVE, _ATOM = range(8)


class Expression:
    """A value for each row, or a condition on it."""

    __slots__ = ()
    level: ClassVar[int] = _ATOM

    @property
    def children(self) -> tuple[Expression, ...]:
        """The expressions that this one is made of."""
        found: list[Expression] = []
        for field in fields(cast("Any", self)):
            part = getattr(self, field.name)
            found += [part] if isinstance(part, Expression) else part if isinstance(part, tuple) else []
        return tuple(found)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that it reads, each once, in order.

        Example:
            >>> parse("b > 0 and a + b < 1").columns
            ('b', 'a')
        """
        return tuple(dict.fromkeys(_names(self)))


def _names(expression: Expression) -> Iterator[str]:
    if isinstance(expression, Column):
        yield expression.name
    for child in expression.children:
        yield from _names(child)


def _within(part: Expression, level: int) -> str:
    """Return a part as text, in parentheses where it binds less than ``level``."""
    return str(part) if part.level >= level else f"({part})"


@dataclass(frozen=True, slots=True)
class Column(Expression):
    """The value of a column."""

    name: str

    def __str__(self) -> str:
        is_plain = NAME.fullmatch(self.name) and self.name.lower() not in RESERVED
        return self.name if is_plain else "`" + self.name.replace("`", "``") + "`"


@dataclass(frozen=True, slots=True, eq=False)
class Value(Expression):
    """One value that stands in the text: a number, a text, a boolean, a date, an instant, a duration, or null.

    Numbers become Python's, except NumPy's floats, which keep their precision in a comparison; dates with a time and
    durations become pandas', and NaN, NaT and NA become None. Values of different types are different:
    ``Value(1) != Value(True)``.

    Raises:
        TypeError: it is a list, an array or a table.
    """

    value: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _plain(self.value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return NotImplemented
        return type(self.value) is type(other.value) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))

    def __str__(self) -> str:
        value = self.value
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if type(value) in TYPED:
            word, write, _ = TYPED[type(value)]
            return f"{word} {write(value)!r}"
        return repr(value)


TYPED: dict[type, tuple[str, Any, Any]] = {
    pd.Timestamp: ("timestamp", str, pd.Timestamp),
    dt.date: ("date", str, dt.date.fromisoformat),
    pd.Timedelta: ("duration", str, pd.Timedelta),
    Decimal: ("decimal", str, Decimal),
    bytes: ("bytes", bytes.hex, bytes.fromhex),
    np.float16: ("float16", str, np.float16),
    np.float32: ("float32", str, np.float32),
    np.float64: ("float64", str, np.float64),
}
"""Types that are written as a word and a text, ``date '2024-01-31'``: the word, how to write them, how to read them."""


def _plain(value: Any) -> Any:
    """Return a value as Python or pandas has it; None for everything that is missing."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (torch.Tensor, np.integer, np.bool_, np.str_, np.bytes_)) and value.ndim == 0:
        value = value.item()
    is_many = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    if is_many or isinstance(value, Expression):
        raise TypeError(
            f"filter: expected one value to compare with; got {value!r:.60} of type {type(value).__name__}."
        )
    if pd.isna(value):
        return None
    if isinstance(value, (dt.datetime, np.datetime64)):
        return pd.Timestamp(value)
    if isinstance(value, (dt.timedelta, np.timedelta64)):
        return pd.Timedelta(value)
    return value


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """Two numbers to one: ``+ - * / // %``.

    Integers are exact, whatever their size; ``/`` of two integers is a float, ``//`` and ``%`` round down, as in Python.
    What is divided by zero is unknown, as null is.
    """

    operator: ArithmeticOperator
    left: Expression
    right: Expression

    def __post_init__(self) -> None:
        _check_operator(self.operator, ArithmeticOperator)

    @property
    def level(self) -> int:  # type: ignore[override]  # by operator
        """How tightly it binds."""
        return _SUM if self.operator in {"+", "-"} else _PRODUCT

    def __str__(self) -> str:
        return f"{_within(self.left, self.level)} {self.operator} {_within(self.right, self.level + 1)}"


@dataclass(frozen=True, slots=True)
class Negative(Expression):
    """A number with the other sign."""

    operand: Expression
    level: ClassVar[int] = _NEGATIVE

    def __str__(self) -> str:
        # -1 is the number, and -(1) is what was made of the number 1
        return f"-({self.operand})" if isinstance(self.operand, Value) else f"-{_within(self.operand, _NEGATIVE)}"


@dataclass(frozen=True, slots=True)
class Comparison(Expression):
    """``== != < <= > >=``; unknown where a side is."""

    operator: ComparisonOperator
    left: Expression
    right: Expression
    level: ClassVar[int] = _COMPARISON

    def __post_init__(self) -> None:
        _check_operator(self.operator, ComparisonOperator)

    def __str__(self) -> str:
        return f"{_within(self.left, _SUM)} {self.operator} {_within(self.right, _SUM)}"


@dataclass(frozen=True, slots=True)
class Member(Expression):
    """Whether a value is in a list; ``not in`` a list with a null is never true, for the null may be the value."""

    operator: MemberOperator
    operand: Expression
    values: tuple[Value, ...]
    level: ClassVar[int] = _COMPARISON

    def __post_init__(self) -> None:
        _check_operator(self.operator, MemberOperator)

    def __str__(self) -> str:
        return f"{_within(self.operand, _SUM)} {self.operator} [{', '.join(map(str, self.values))}]"


@dataclass(frozen=True, slots=True)
class Between(Expression):
    """Whether a value is neither below ``low`` nor above ``high``."""

    operand: Expression
    low: Expression
    high: Expression
    level: ClassVar[int] = _COMPARISON

    def __str__(self) -> str:
        return f"{_within(self.operand, _SUM)} between {_within(self.low, _SUM)} and {_within(self.high, _SUM)}"


@dataclass(frozen=True, slots=True)
class IsNull(Expression):
    """Whether a value is null or NaN; with ``negated`` whether it is neither. Never unknown."""

    operand: Expression
    negated: bool = False
    level: ClassVar[int] = _COMPARISON

    def __str__(self) -> str:
        return f"{_within(self.operand, _SUM)} is {'not ' * self.negated}null"


@dataclass(frozen=True, slots=True)
class And(Expression):
    """Whether all parts are true; false where one is false, even beside an unknown one."""

    parts: tuple[Expression, ...]
    level: ClassVar[int] = _AND

    def __post_init__(self) -> None:
        _check_parts(self.parts)

    def __str__(self) -> str:
        return " and ".join(_within(part, _NOT) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Expression):
    """Whether one part is true, even beside an unknown one."""

    parts: tuple[Expression, ...]
    level: ClassVar[int] = _OR

    def __post_init__(self) -> None:
        _check_parts(self.parts)

    def __str__(self) -> str:
        return " or ".join(_within(part, _AND) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Expression):
    """Whether a condition is false; unknown where it is unknown."""

    operand: Expression
    level: ClassVar[int] = _NOT

    def __str__(self) -> str:
        return f"not {_within(self.operand, _NOT)}"


def _check_operator(operator: object, known: Any) -> None:
    if operator not in get_args(known):
        raise ValueError(f"filter: expected one of the operators {list(get_args(known))}; got {operator!r}.")


def _check_parts(parts: tuple[Expression, ...]) -> None:
    if len(parts) < 2:
        raise ValueError(f"filter: 'and' and 'or' join at least two conditions; got {len(parts)}.")


def parse(text: str) -> Expression:
    """Return the expression that a text spells.

    Words such as ``and`` may be written in capitals. A column whose name is one of them, or holds spaces, stands between
    backticks. Texts stand between ``'`` or ``"``; dates, instants, durations and decimals are a word and a text:
    ``day >= date '2024-01-31'``.

    Raises:
        ExpressionError: the text can't be read; the error shows where, and what was expected.
        TypeError: it is no text.

    Example:
        >>> parse("label>=0 AND NOT (word IN ('a', 'b') OR `my x` IS NULL)")
        And(parts=(Comparison(operator='>=', left=Column(name='label'), right=Value(value=0)), Not(operand=Or(parts=(Member(operator='in', operand=Column(name='word'), values=(Value(value='a'), Value(value='b'))), IsNull(operand=Column(name='my x'), negated=False))))))
        >>> print(parse("x=  1"))
        Traceback (most recent call last):
        fireworks.errors.ExpressionError: filter: expected an operator such as == or 'and'; got '='. Did you mean '=='?
            x=  1
             ^
    """
    return cast("Expression", load("core.expression_parser.parse")(text))


def comparison(column: str, operator: str, values: tuple[Any, ...]) -> Expression:
    """Return the expression of ``filter("column", "operator", values…)``.

    Args:
        column: A name.
        operator: ``==  !=  <  <=  >  >=  in  not in  between  is null  is not null``.
        values: One; for ``in`` and ``not in`` one list; for ``between`` the lowest and the highest kept; else none.

    Raises:
        ValueError: there is no such operator, or the number of values is not the operator's.
        TypeError: ``in`` got something else than a list, or another operator a list.

    Example:
        >>> print(comparison("n", "between", (1, 3)))
        n between 1 and 3
    """
    check_comparison(column, operator, values)
    operand = Column(column)
    if operator in get_args(MemberOperator):
        require_list(values[0], who=f"filter: {column!r} {operator}")
        listed = values[0].tolist() if hasattr(values[0], "tolist") else values[0]
        return Member(cast("MemberOperator", operator), operand, tuple(map(Value, listed)))
    if operator == "between":
        return Between(operand, *map(Value, values))
    if operator in {"is null", "is not null"}:
        return IsNull(operand, negated=operator == "is not null")
    return Comparison(cast("ComparisonOperator", operator), operand, Value(values[0]))
