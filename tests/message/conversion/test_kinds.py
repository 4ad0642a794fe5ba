"""What kind of column a column is, and its rows as Python values."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.message.conversion.kinds import arrow_of, cells_of, is_arrow, is_objects, is_text, object_array


def stored(value):
    return fw.Message({"x": value}).raw("x")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (["a"], is_text),
        (pd.array(["a"], dtype="string[python]"), is_text),
        (pa.array(["a"]), is_text),
        (pa.array(["a"], pa.large_string()), is_text),
        (pd.Series(["a"], dtype=object), is_objects),
        ([{}], is_objects),
        ([1], None),
        (torch.zeros(1), None),
        (pd.Categorical(["a"]), None),
        (pa.array([b"a"]), None),
        (np.array(["2020"], "M8[s]"), None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_texts_and_objects_are_told_apart(value, kind):
    assert [is_text(stored(value)), is_objects(stored(value))] == [kind is is_text, kind is is_objects]


def test_a_column_of_arrow_is_asked_for_its_type():
    lists, numbers = stored(pa.array([[1]])), stored(pa.array([1]))
    assert is_arrow(lists, pa.types.is_list)
    assert is_arrow(lists, pa.types.is_struct, pa.types.is_list)
    assert not is_arrow(numbers, pa.types.is_list)
    assert not is_arrow(stored([1]), lambda kind: True)


def test_chunks_are_one_array():
    assert arrow_of(stored(pa.chunked_array([[1], [2, 3]]))).to_pylist() == [1, 2, 3]
    assert arrow_of(stored(["a", None])).to_pylist() == ["a", None]


@pytest.mark.parametrize(
    ("value", "cells"),
    [
        (torch.tensor([1.5]).bfloat16(), [1.5]),
        (np.array([1, 2], np.int8), [1, 2]),
        (np.array(["2020", "NaT"], "M8[s]"), [pd.Timestamp("2020"), pd.NaT]),
        (["a", None], ["a", None]),
        (pd.array([1, None], dtype="Int8"), [1, None]),
        (pd.Categorical(["a", None]), ["a", None]),
        (pa.array([[1], None]), [[1], None]),
        (pa.array([dt.date(2020, 1, 1)]), [dt.date(2020, 1, 1)]),
        (pd.Series([None, (1, 2)], dtype=object), [None, (1, 2)]),
    ],
    ids=str,
)
def test_rows_are_python_values(value, cells):
    found = cells_of(stored(value))
    assert found.dtype == object
    assert found.shape == (len(cells),)
    assert [type(cell) for cell in found] == [type(cell) for cell in cells]
    assert [cell for cell in found if cell is not pd.NaT] == [cell for cell in cells if cell is not pd.NaT]


def test_rows_of_a_tensor_of_more_dimensions_are_tensors():
    found = cells_of(torch.arange(4).reshape(2, 2))
    assert [row.tolist() for row in found] == [[0, 1], [2, 3]]


def test_cells_are_not_the_columns_own():
    objects = stored(pd.Series([None, "a"], dtype=object))
    cells_of(objects)[0] = "changed"
    assert list(objects) == [None, "a"]


def test_lists_of_one_length_make_an_array_of_one_dimension():
    assert object_array([[1, 2], [3, 4]]).shape == (2,)
