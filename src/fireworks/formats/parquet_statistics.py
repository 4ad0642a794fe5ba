"""What the footer of a Parquet file says of the values of a row group, and when it rules an expression out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from fireworks.core.expressions import And, Between, Column, Comparison, Expression, Member, Or, Value
from fireworks.message import Schema

Ends = tuple[Any, Any]
"""The least and the greatest value that may be there, or what bounds them."""

_EXACT = 2**53  # integers up to here are floats too
_INT64 = 2**63


def statistics_of(group: Any, schema: Any) -> tuple[dict[str, Ends], set[str]]:
    """Return the ends of each plain column of a row group, and the columns that may hold a null.

    Args:
        group: The footer of the group, as PyArrow has it.
        schema: The Arrow schema of its columns.
    """
    ends: dict[str, Ends] = {}
    may_be_null: set[str] = set()
    leaf = 0
    for field in schema:
        leaves = _num_leaves(field.type)
        for number in range(leaf, leaf + leaves):
            statistics = group.column(number).statistics
            if statistics is None or not statistics.has_null_count or statistics.null_count:
                may_be_null.add(field.name)
            if leaves == 1 and statistics is not None and statistics.has_min_max:
                ends[field.name] = (statistics.min, statistics.max)
        leaf += leaves
    return ends, may_be_null


def stored_bytes_of(group: Any, schema: Any) -> tuple[dict[str, int], set[str]]:
    """Return the uncompressed bytes of each column of a row group, and the columns that are stored by distinct values.

    Args:
        group: The footer of the group, as PyArrow has it.
        schema: The Arrow schema of its columns.
    """
    sizes: dict[str, int] = {}
    coded: set[str] = set()
    leaf = 0
    for field in schema:
        leaves = _num_leaves(field.type)
        columns = [group.column(number) for number in range(leaf, leaf + leaves)]
        sizes[field.name] = sum(column.total_uncompressed_size for column in columns)
        if any(column.has_dictionary_page for column in columns):
            coded.add(field.name)
        leaf += leaves
    return sizes, coded


def _num_leaves(kind: Any) -> int:
    """Return how many columns Parquet makes of one of a type."""
    if isinstance(kind, pa.BaseExtensionType):
        return _num_leaves(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _num_leaves(kind.value_type)
    if not pa.types.is_nested(kind):
        return 1
    return sum(_num_leaves(kind.field(number).type) for number in range(kind.num_fields))


def may_hold(expression: Expression, statistics: dict[str, Ends], schema: Schema) -> bool:
    """Tell whether a row of the group may satisfy an expression; False only where it is sure that none does.

    Args:
        expression: A condition.
        statistics: The ends of the columns.
        schema: The types that the columns have as a message: only integers, 64-bit floats and texts are judged, because
            only they compare in memory as their ends do.

    Example:
        >>> from fireworks.core.expressions import parse
        >>> schema = fw.Schema({"n": "int64"})
        >>> [may_hold(parse(text), {"n": (10, 20)}, schema) for text in ("n > 20", "n between 0 and 10", "n != 3")]
        [False, True, True]
    """
    if isinstance(expression, And):
        return all(may_hold(part, statistics, schema) for part in expression.parts)
    if isinstance(expression, Or):
        return any(may_hold(part, statistics, schema) for part in expression.parts)
    if isinstance(expression, Comparison) and isinstance(expression.left, Column):
        return _any(expression.left, [expression.right], statistics, schema, _BY_OPERATOR.get(expression.operator))
    if isinstance(expression, Between) and isinstance(expression.operand, Column):
        return _any(
            expression.operand,
            [expression.low, expression.high],
            statistics,
            schema,
            lambda ends, values: ends[1] >= values[0] and ends[0] <= values[1],
        )
    if isinstance(expression, Member) and expression.operator == "in" and isinstance(expression.operand, Column):
        return _any(
            expression.operand,
            list(expression.values),
            statistics,
            schema,
            lambda ends, values: any(ends[0] <= value <= ends[1] for value in values),
        )
    return True


_Test = Callable[[Ends, list[Any]], bool]
_BY_OPERATOR: dict[str, _Test] = {
    "==": lambda ends, values: ends[0] <= values[0] <= ends[1],
    "<": lambda ends, values: ends[0] < values[0],
    "<=": lambda ends, values: ends[0] <= values[0],
    ">": lambda ends, values: ends[1] > values[0],
    ">=": lambda ends, values: ends[1] >= values[0],
}


def _any(
    column: Column, values: list[Expression], statistics: dict[str, Ends], schema: Schema, test: _Test | None
) -> bool:
    """Apply a test to the ends of a column, if it and the values are of kinds whose order is the same everywhere."""
    if test is None or column.name not in statistics:
        return True
    plain = [value.value for value in values if isinstance(value, Value)]
    ends = statistics[column.name]
    kind = _kind(schema[column.name].dtype)
    if len(plain) < len(values) or kind is None or not all(_is_of(value, kind) for value in (*plain, *ends)):
        return True
    return test(ends, plain)


def _kind(dtype: Any) -> str | None:
    text = str(dtype).removeprefix("torch.").lower()
    if text in {"str", "string"}:
        return "text"
    if text in {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}:
        return "integer"
    return "float" if text == "float64" else None


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return False
    if kind == "text":
        return isinstance(value, str)
    if isinstance(value, int):
        return abs(value) < (_INT64 if kind == "integer" else _EXACT)
    return kind == "float" and isinstance(value, float) and not np.isnan(value)
