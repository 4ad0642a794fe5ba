import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError
from fireworks.message import Field, Schema
from message.strategies import messages


@pytest.fixture
def schema():
    return fw.Message({"x": torch.zeros(2, 3, 4), "n": np.zeros(2, np.int16), "name": ["a", "b"]}).schema


def test_a_field_says_name_type_and_row_shape(schema):
    assert schema["x"] == Field("x", torch.float32, (3, 4))
    assert schema["n"] == Field("n", np.dtype("int16"))
    assert schema["name"] == Field("name", pd.StringDtype(na_value=np.nan))
    assert [field.itemsize for field in schema] == [4, 2, None]
    assert [field.is_tensor for field in schema] == [True, False, False]


def test_its_text_has_one_line_for_each_column(schema):
    assert str(schema) == "x: float32[3, 4] tensor\nn: int16\nname: str"
    assert str(fw.Message({"y": torch.zeros(1, dtype=torch.bool)}).schema) == "y: bool tensor"
    assert str(fw.Message().schema) == "(no columns)"


def test_it_is_an_ordered_collection_of_fields(schema):
    assert schema.names == [field.name for field in schema] == ["x", "n", "name"]
    assert len(schema) == 3
    assert "x" in schema
    assert "X" not in schema
    assert None not in schema


def test_a_missing_field_is_an_error_that_suggests_the_nearest(schema):
    with pytest.raises(
        ColumnNotFoundError,
        match=r"^Schema: no column 'names'; columns are \['x', 'n', 'name'\]\. Did you mean 'name'\?$",
    ):
        schema["names"]


@pytest.mark.parametrize(
    ("column", "row_bytes"),
    [
        (torch.zeros(1, 3, 4), 48),
        (torch.zeros(1, 5, dtype=torch.bfloat16), 10),
        (torch.zeros(1, 0), 0),
        (np.zeros(1, np.float64), 8),
        (np.zeros(1, "M8[s]"), 8),
        (pd.array([1], dtype="Int16"), 2),
        (pd.DatetimeIndex(["2020"], tz="UTC"), 8),
        (pa.array([1], type=pa.int32()), 4),
        (["text"], 32),
        ([{"k": 1}], 32),
        (pd.Categorical(["a"]), 32),
    ],
)
def test_the_bytes_of_a_row_are_known_or_guessed_as_32(column, row_bytes):
    schema = fw.Message({"x": column, "y": np.zeros(1, np.uint8)}).schema
    assert schema["x"].row_bytes == row_bytes
    assert schema.row_bytes == row_bytes + 1


def test_schemas_compare_by_value_and_order():
    field, other = Field("x", torch.int64), Field("y", pd.CategoricalDtype(["a"]))
    assert Schema((field, other)) == Schema([Field("x", torch.int64), Field("y", pd.CategoricalDtype(["a"]))])
    assert Schema((field, other)) != Schema((field, Field("y", pd.CategoricalDtype(["b"]))))
    assert Schema((field, other)) != Schema((other, field))
    assert hash(Schema((field,))) == hash(Schema((field,)))


@settings(deadline=None, max_examples=60)
@given(messages())
def test_the_schema_does_not_depend_on_the_rows(message):
    assert message[:0].schema == message[[]].schema == message.schema
    assert message.schema.row_bytes == sum(field.row_bytes for field in message.schema)


def test_a_schema_is_written_as_a_mapping_from_names_to_types():
    written = Schema(
        {"x": (torch.float32, 3, 4), "y": torch.int64, "n": "int16", "t": "datetime64[s, UTC]", "o": object}
    )
    made = fw.Message(
        {
            "x": torch.zeros(1, 3, 4),
            "y": torch.zeros(1, dtype=torch.int64),
            "n": np.zeros(1, np.int16),
            "t": pd.DatetimeIndex(["2020"], tz="UTC").as_unit("s"),
            "o": pd.Series([{}], dtype=object),
        }
    )
    assert made.schema == written


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({3: "int64"}, r"^Schema: column names are text; got 3 of type int\.$"),
        ({"x": "floof"}, r"^Schema: column 'x' has 'floof', which is no type: .*floof"),
        ({"x": ("int64", 3)}, r"^Schema: column 'x' has \('int64', 3\); only a tensor column has rows with a shape"),
        (
            [("x", "int64")],
            r"^Schema: expected fields, or a mapping from names to types; got \('x', 'int64'\) of type tuple",
        ),
        ([Field("x", torch.int8)] * 2, r"^Schema: column 'x' is there twice\.$"),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ColumnTypeError, match=message):
        Schema(fields)
