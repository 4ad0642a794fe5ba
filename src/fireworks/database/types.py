"""Between the columns of a message and the types of SQL.

What a column is, is said by a `ColumnType`: its *kind*, which decides the SQL type, and the exact dtype, which SQL can't
hold and which a table's record therefore keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
import torch

from fireworks.errors import ColumnTypeError
from fireworks.message.arrays.tensor_array import dtype_name
from fireworks.message.columns import Column

Kind: TypeAlias = Literal[
    "tensor",
    "integer tensor",
    "integer",
    "float",
    "bool",
    "text",
    "datetime",
    "timedelta",
    "bytes",
    "mixed",
    "automatic key",
]
KINDS: tuple[str, ...] = get_args(Kind)

_OF_NUMPY: dict[str, Kind] = {
    "i": "integer",
    "u": "integer",
    "f": "float",
    "b": "bool",
    "M": "datetime",
    "m": "timedelta",
}
# str() of these dtypes hides whether Python or Arrow holds the text, and reads an Arrow type as pandas' own.
_TEXT_DTYPES: dict[str, Any] = {
    "str": pd.StringDtype("pyarrow", na_value=np.nan),
    "str[python]": pd.StringDtype("python", na_value=np.nan),
    "string": pd.StringDtype("pyarrow"),
    "string[python]": pd.StringDtype("python"),
    "string[pyarrow]": pd.ArrowDtype(pa.string()),
}


@dataclass(frozen=True)
class ColumnType:
    """What a column of a table holds.

    Args:
        kind: Decides how values are stored. ``mixed`` is whatever a table that fireworks did not make holds in a column
            whose type says nothing; it can be read only.
        dtype: torch's name for a tensor, pandas' for all else.
        shape: The shape of one row of a tensor.

    Example:
        >>> str(type_of("x", torch.zeros(5, 3))), str(type_of("n", np.arange(5)))
        ('float32[3] tensor', 'int64')
    """

    kind: Kind
    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def is_nullable(self) -> bool:
        """Whether a value may be missing. NaN, NaT and null are all one missing value to a database."""
        if self.kind in {"integer", "bool"}:
            return not isinstance(self.pandas_dtype, np.dtype)
        return self.kind not in {"tensor", "integer tensor", "automatic key"}

    @property
    def pandas_dtype(self) -> Any:
        """The dtype itself, of all but a tensor.

        Raises:
            ColumnTypeError: pandas knows no such dtype.
        """
        if self.dtype in _TEXT_DTYPES:
            return _TEXT_DTYPES[self.dtype]
        try:
            return pd.api.types.pandas_dtype(self.dtype)
        except TypeError:
            raise ColumnTypeError(
                f"This pandas has no dtype {self.dtype!r}; a later version may have written it."
            ) from None

    @property
    def sql(self) -> sa.types.TypeEngine[Any]:
        """The type of the column in a new table."""
        return _SQL[self.kind]

    def __str__(self) -> str:
        shape = f"[{', '.join(map(str, self.shape))}]" if self.shape else ""
        objects = f" of {self.kind}" if self.dtype == "object" else ""
        return self.dtype + shape + (" tensor" if self.kind.endswith("tensor") else objects)


# A key of SQLite is a row number only if it is called INTEGER.
_INTEGER_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SQL: dict[Kind, sa.types.TypeEngine[Any]] = {
    "tensor": sa.LargeBinary(),
    "integer tensor": sa.BigInteger(),
    "integer": sa.BigInteger(),
    "float": sa.Double(),
    "bool": sa.Boolean(),
    "text": sa.Text(),
    "datetime": sa.DateTime(),
    "timedelta": sa.BigInteger(),
    "bytes": sa.LargeBinary(),
    "automatic key": _INTEGER_KEY,
}
AUTOMATIC_KEY = ColumnType("automatic key", "int64")


def key_type() -> sa.types.TypeEngine[Any]:
    """Return the SQL type of an integer primary key."""
    return _INTEGER_KEY


def type_of(name: str, column: Column) -> ColumnType:
    """Say how a column of a message is stored.

    Args:
        name: The column's name, for the error.
        column: As a message stores it; of an object column the values are looked at.

    Raises:
        ColumnTypeError: a database has no type for it; the error says what to convert it to.
    """
    if isinstance(column, torch.Tensor):
        is_number = column.dim() == 1 and column.dtype in _EXACT_IN_SQL
        return ColumnType(
            "integer tensor" if is_number else "tensor", dtype_name(column.dtype), tuple(column.shape[1:])
        )
    dtype: Any = column.dtype
    if isinstance(dtype, pd.StringDtype):
        return ColumnType("text", next(text for text, known in _TEXT_DTYPES.items() if known == dtype))
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_type(name, dtype)
    if str(dtype) == "object":
        return _object_type(name, column)
    kind = getattr(dtype, "kind", "O")
    is_plain = isinstance(dtype, (np.dtype, pd.DatetimeTZDtype)) or type(dtype).__name__ in _NULLABLE
    if not is_plain or kind not in _OF_NUMPY or (kind == "f" and dtype.itemsize > 8):
        raise _no_type(name, str(dtype))
    return ColumnType(_OF_NUMPY[kind], str(dtype))


# One integer or boolean per row, such as a label, is the same number in SQL, where one may ask for it. Floats are not:
# a database may lose the sign of zero and the bits of NaN.
_EXACT_IN_SQL = frozenset(
    {torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.bool}
)
_NULLABLE = {f"{sign}Int{bits}Dtype" for sign in ("", "U") for bits in (8, 16, 32, 64)} | {
    "Float32Dtype",
    "Float64Dtype",
    "BooleanDtype",
}


def _arrow_type(name: str, dtype: pd.ArrowDtype) -> ColumnType:
    arrow = dtype.pyarrow_dtype
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow):
        return ColumnType("text", str(dtype))
    if pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow):
        return ColumnType("bytes", str(dtype))
    if pa.types.is_integer(arrow) or pa.types.is_floating(arrow) or pa.types.is_boolean(arrow):
        return ColumnType(_OF_NUMPY[dtype.kind], str(dtype))
    raise _no_type(name, str(dtype))


def _object_type(name: str, column: Any) -> ColumnType:
    kinds = {type(value) for value in column if value is not None and value is not pd.NA and value == value}
    if kinds <= {str}:
        return ColumnType("text", "object")
    if kinds <= {bytes}:
        return ColumnType("bytes", "object")
    raise _no_type(name, f"object, of {' and '.join(sorted(kind.__name__ for kind in kinds))}")


def _no_type(name: str, dtype: str) -> ColumnTypeError:
    return ColumnTypeError(
        f"Column {name!r} is {dtype}, which has no place in a database. Convert it: numbers to a tensor, anything else "
        "to text, bytes, numbers or dates, or drop it."
    )


def reflected_type(sql: sa.types.TypeEngine[Any], *, is_nullable: bool) -> ColumnType:
    """Say how a column is read that fireworks did not make, by its SQL type.

    Args:
        sql: What SQLAlchemy found in the database.
        is_nullable: Whether it may hold null; then integers and booleans get pandas' nullable dtypes.

    Example:
        >>> str(reflected_type(sa.BLOB(), is_nullable=True)), str(reflected_type(sa.INTEGER(), is_nullable=True))
        ('object of bytes', 'Int64')
    """
    if isinstance(sql, sa.Boolean):
        return ColumnType("bool", "boolean" if is_nullable else "bool")
    if isinstance(sql, sa.Integer):
        return ColumnType("integer", "Int64" if is_nullable else "int64")
    if isinstance(sql, (sa.Numeric, sa.Float)):
        return ColumnType("float", "float64")
    if isinstance(sql, (sa.String, sa.JSON)):
        return ColumnType("text", "str")
    if isinstance(sql, (sa.DateTime, sa.Date)):
        return ColumnType("datetime", "datetime64[us]")
    if isinstance(sql, (sa.LargeBinary, sa.BINARY, sa.VARBINARY)):
        return ColumnType("bytes", "object")
    return ColumnType("mixed", "object")
