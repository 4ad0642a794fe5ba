"""Types of columns that are found once, or declared, and hold for all rows of all files from then on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pandas.arrays import BooleanArray, FloatingArray, IntegerArray

from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.formats.spelling import is_text_type
from fireworks.message import Field, Message, Schema
from fireworks.message.arrays.tensor_dtype import dtype_name
from fireworks.message.columns import Column
from fireworks.message.interchange.arrow_columns import column_of_array, one_array

text_type = pa.large_string()

_PLAIN: dict[str, Any] = {
    **{f"{sign}int{bits}": pa.type_for_alias(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
}


@dataclass(frozen=True)
class FixedType:
    """The type of a column: what Arrow's reader reads it as, and what it is in a message.

    ``like`` is a field of that type under any name.
    """

    arrow: Any
    like: Field
    is_declared: bool = False

    def field(self, name: str) -> Field:
        """Return the column of that name with this type."""
        return Field(name, self.like.dtype, self.like.shape)

    def wider(self, value: object) -> str:
        """Return a type that a value fits, as a hint."""
        plain = self.like.type_text.removesuffix(" tensor")
        if value is None:
            return {"bool": "boolean"}.get(plain, plain.replace("int", "Int").replace("u", "U"))
        if not pa.types.is_integer(self.arrow) or isinstance(value, (bool, list, dict)):
            return "str"
        try:
            float(value)  # type: ignore[arg-type]
        except ValueError:
            return "str"
        return "float64"


def declared(field: Field, *, where: str, nested: bool = False) -> FixedType:
    """Return the type that a user declared for a column.

    Args:
        field: The column.
        where: Who asks, for the errors.
        nested: Whether the format has lists and objects of its own; else they are text, in JSON.

    Raises:
        ColumnTypeError: categories whose number nobody knows before the end.

    Example:
        >>> declared(fw.Schema({"n": "int32"})["n"], where="this example").arrow
        DataType(int32)
    """
    dtype: Any = field.dtype
    if isinstance(dtype, pd.CategoricalDtype) and dtype.categories is None:
        raise ColumnTypeError(
            f"{where}: schema: the categories of column {field.name!r} are not known before the end; name them: "
            "pd.CategoricalDtype(['a', 'b']), or read it as 'str'."
        )
    return FixedType(_arrow_type(field, nested=nested), field, is_declared=True)


def _arrow_type(field: Field, *, nested: bool) -> Any:
    dtype: Any = field.dtype
    if isinstance(dtype, torch.dtype):
        kind = _PLAIN.get(dtype_name(dtype), pa.float64() if nested and dtype.is_floating_point else text_type)
        if field.shape and not nested:
            return text_type
        for _ in field.shape:
            kind = pa.list_(kind)
        return kind
    if isinstance(dtype, np.dtype):
        if dtype.kind == "M":
            return pa.timestamp(np.datetime_data(dtype)[0])
        return _PLAIN.get(dtype.name, text_type)
    if isinstance(dtype, pd.ArrowDtype):
        kind = dtype.pyarrow_dtype
        return text_type if pa.types.is_nested(kind) and not nested else kind
    if isinstance(dtype, pd.CategoricalDtype) and pd.api.types.is_numeric_dtype(dtype.categories.dtype):
        return pa.float64() if nested else text_type
    return _PLAIN.get(str(dtype).lower().replace("boolean", "bool"), text_type)


def found_in(samples: list[Any]) -> FixedType:
    """Return the type that the first values of a column have; text where there are none.

    Args:
        samples: The column in some tables that Arrow's reader inferred, one after the other.

    Example:
        >>> found_in([pa.chunked_array([[1, 2]]), pa.chunked_array([[None, 0.5]])]).like.type_text
        'float64'
    """
    kinds = [sample.type for sample in samples if not pa.types.is_null(sample.type)]
    kind = kinds[0] if kinds else text_type
    for other in kinds[1:]:
        if other != kind:
            kind = pa.float64() if all(map(_is_number, (kind, other))) else text_type
    if is_text_type(kind) or pa.types.is_binary(kind):
        kind = text_type
    has_null = any(sample.null_count for sample in samples)
    if pa.types.is_floating(kind):
        return FixedType(kind, Field("", np.dtype("float64")))
    if pa.types.is_integer(kind):
        return FixedType(kind, Field("", pd.Int64Dtype() if has_null else np.dtype("int64")))
    if pa.types.is_boolean(kind):
        return FixedType(kind, Field("", pd.BooleanDtype() if has_null else np.dtype("bool")))
    (field,) = Message({"": pa.chunked_array([pa.nulls(0, kind)])}).schema
    if kind == text_type:
        field = Field("", pd.api.types.pandas_dtype("str"))
    elif pa.types.is_timestamp(kind) and kind.tz is None:
        field = Field("", np.dtype(f"datetime64[{kind.unit}]"))
    return FixedType(kind, field)


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def message_of(table: Any, types: Mapping[str, FixedType]) -> Message:
    """Return a table that was read by these types as a message of them.

    Raises:
        ColumnValueError: a value is missing where the type has nothing for that, or does not fit it.
    """
    return Message._of({name: _column(name, table.column(name), kind) for name, kind in types.items()}, table.num_rows)


def _column(name: str, array: Any, kind: FixedType) -> Column:
    dtype: Any = kind.like.dtype
    if array.type == kind.arrow and not kind.like.shape and array.type in _PLAIN_TYPES:
        if isinstance(dtype, (np.dtype, torch.dtype)):
            return _plain(name, array, dtype)
        if str(dtype).lower().replace("boolean", "bool") in _PLAIN:
            return _masked(array, dtype)
    if not isinstance(dtype, torch.dtype):
        column = column_of_array(array, {})
        if getattr(column, "dtype", None) == dtype and not kind.like.shape:
            return column
    return Message({name: array}, schema=Schema([kind.field(name)])).raw(name)


_PLAIN_TYPES = frozenset(_PLAIN.values())


def _plain(name: str, array: Any, dtype: np.dtype[Any] | torch.dtype) -> Column:
    if array.null_count and not pa.types.is_floating(array.type):
        raise ColumnValueError(f"column {name!r}: a value is missing")
    values = one_array(array).to_numpy(zero_copy_only=False)  # NaN for nulls
    return (
        torch.from_numpy(values.copy() if not values.flags.writeable else values)
        if isinstance(dtype, torch.dtype)
        else values
    )


def _masked(array: Any, dtype: Any) -> Column:
    one = one_array(array)
    filler = pa.scalar(value=False) if pa.types.is_boolean(one.type) else pa.scalar(0, pa.int8()).cast(one.type)
    values = np.array(one.fill_null(filler).to_numpy(zero_copy_only=False))
    missing = np.array(one.is_null().to_numpy(zero_copy_only=False))
    made: type[IntegerArray | FloatingArray | BooleanArray] = dtype.construct_array_type()
    return made(values, missing)
