"""Types that are found once, or declared, and then hold."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnValueError
from fireworks.formats.fixed_types import FixedType, declared, found_in, message_of


def chunks(*parts, kind=None):
    return [pa.chunked_array([pa.array(part, kind)]) for part in parts]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (chunks([1, 2]), "int64"),
        (chunks([1, None]), "Int64"),
        (chunks([1], [0.5]), "float64"),
        (chunks([None], [0.5]), "float64"),
        (chunks([True]), "bool"),
        (chunks([True, None]), "boolean"),
        (chunks(["a"], [1]), "str"),
        (chunks([None, None]), "str"),
        (chunks([b"a"]), "str"),
        (chunks([pd.Timestamp("2024-01-31")], kind=pa.timestamp("s")), "datetime64[s]"),
        (chunks([], kind=pa.int64()), "int64"),
    ],
)
def test_a_type_is_found_in_the_first_values(samples, expected):
    assert found_in(samples).like.type_text == expected


@pytest.mark.parametrize(
    ("kind", "values", "raw"),
    [
        ("int32", [1, 2], np.array([1, 2], "int32")),
        ("float32", [0.5, None], np.array([0.5, np.nan], "float32")),
        (torch.float64, [0.5, None], torch.tensor([0.5, torch.nan], dtype=torch.float64)),
        (torch.bool, [True, False], torch.tensor([True, False])),
        ("Int8", [1, None], pd.array([1, None], dtype="Int8")),
        ("boolean", [True, None], pd.array([True, None], dtype="boolean")),
        ("str", ["a", None], pd.array(["a", None], dtype="str")),
    ],
)
def test_a_column_has_the_type_that_was_declared(kind, values, raw):
    schema = fw.Schema({"a": kind})
    fixed = declared(schema["a"], where="here")
    rows = message_of(pa.table({"a": pa.array(values, fixed.arrow)}), {"a": fixed})
    assert rows.schema == schema
    assert rows == fw.Message({"a": raw})


def test_a_missing_whole_number_is_an_error():
    kind = declared(fw.Schema({"a": "int64"})["a"], where="here")
    with pytest.raises(ColumnValueError, match="column 'a': a value is missing"):
        message_of(pa.table({"a": [1, None]}), {"a": kind})


def test_a_wider_type_is_a_hint():
    kinds = fw.Schema({"n": "int64", "u": torch.uint8, "b": "bool", "d": "datetime64[s]"})
    fixed: dict[str, FixedType] = {field.name: declared(field, where="here") for field in kinds}
    assert [fixed["n"].wider(value) for value in (None, "1.5", "x", 2.5, [1])] == [
        "Int64",
        "float64",
        "str",
        "float64",
        "str",
    ]
    assert [fixed[name].wider(None) for name in ("u", "b")] == ["UInt8", "boolean"]
    assert fixed["d"].wider("never") == "str"
