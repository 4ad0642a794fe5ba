import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
import torch

from database.database_columns import COLUMNS
from fireworks.database.types import ColumnType, reflected_type, type_of
from fireworks.errors import ColumnTypeError


@pytest.mark.parametrize("dtype", COLUMNS)
def test_every_dtype_has_a_kind_and_is_found_again_by_its_text(dtype):
    column, kind, is_nullable = COLUMNS[dtype]
    found = type_of("x", column)
    assert (found.kind, found.dtype, found.shape, found.is_nullable) == (kind, dtype, (), is_nullable)
    assert str(found.pandas_dtype) == str(column.dtype)
    assert dtype == "object" or found.pandas_dtype == column.dtype
    assert isinstance(found.sql, sa.types.TypeEngine)


def test_a_tensor_is_bytes_with_a_dtype_and_a_shape():
    found = type_of("x", torch.zeros(5, 3, 2, dtype=torch.bfloat16))
    assert found == ColumnType("tensor", "bfloat16", (3, 2))
    assert str(found) == "bfloat16[3, 2] tensor"
    assert isinstance(found.sql, sa.LargeBinary)
    assert not found.is_nullable


def test_objects_are_told_apart_by_their_values():
    assert type_of("x", pd.array(["a", None, np.nan], dtype=object)) == ColumnType("text", "object")
    assert type_of("x", pd.array([None], dtype=object)) == ColumnType("text", "object")
    assert str(type_of("x", pd.array([b""], dtype=object))) == "object of bytes"


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pd.array(["a"], dtype="category"), "'x' is category, which has no place in a database. Convert it"),
        (pd.array([[1], {}], dtype=object), "'x' is object, of dict and list"),
        (pd.period_range("2024", periods=1).array, "period"),
        (np.array([1j]), "complex128"),
        (np.array([1], dtype=np.longdouble), "'x' is float128|longdouble"),
        (pd.array([1], dtype=pd.ArrowDtype(pa.timestamp("us"))), r"timestamp\[us\]\[pyarrow\]"),
    ],
)
def test_what_a_database_can_not_hold_is_refused_with_what_to_do(column, text):
    with pytest.raises(ColumnTypeError, match=text):
        type_of("x", column)


def test_a_dtype_of_a_later_pandas_is_named():
    with pytest.raises(ColumnTypeError, match=r"This pandas has no dtype 'int65'; a later version may"):
        _ = ColumnType("integer", "int65").pandas_dtype


@pytest.mark.parametrize(
    ("sql", "is_nullable", "expected"),
    [
        (sa.INTEGER(), False, "int64"),
        (sa.SMALLINT(), True, "Int64"),
        (sa.BOOLEAN(), False, "bool"),
        (sa.BOOLEAN(), True, "boolean"),
        (sa.FLOAT(), True, "float64"),
        (sa.DOUBLE(), True, "float64"),
        (sa.DECIMAL(10, 2), True, "float64"),
        (sa.VARCHAR(20), True, "str"),
        (sa.JSON(), True, "str"),
        (sa.DATETIME(), True, "datetime64[us]"),
        (sa.DATE(), True, "datetime64[us]"),
        (sa.BLOB(), True, "object of bytes"),
        (sa.VARBINARY(3), True, "object of bytes"),
        (sa.types.NullType(), True, "object of mixed"),
        (sa.TIME(), True, "object of mixed"),
    ],
)
def test_a_table_of_another_program_is_read_by_its_sql_types(sql, is_nullable, expected):
    assert str(reflected_type(sql, is_nullable=is_nullable)) == expected
