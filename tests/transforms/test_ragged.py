"""Columns whose rows hold several elements each: what flatten, pad and bucket share."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.columns import as_column
from fireworks.transforms.ragged import list_elements, list_lengths, places
from lists import cells, lists

ROWS = np.arange(23)


@pytest.mark.parametrize("column", ["python", "arrow", "texts", "tensors", "arrays"])
@pytest.mark.parametrize("rows", [slice(None), slice(3, 17), slice(1, 2)])
def test_lengths_and_elements_of_every_kind_of_list_also_in_a_part(column, rows):
    part = lists()[rows].raw(column)
    expected = cells()[rows]
    assert list_lengths(column, part, ROWS[rows], who="test").tolist() == [len(row) for row in expected]
    elements = list_elements(column, part, who="test")
    flat = elements[:, 0].tolist() if column == "tensors" else [int(x) for x in elements]
    assert flat == list(itertools.chain.from_iterable(expected))


def test_rows_of_a_tensor_are_lists_of_one_length_and_shared():
    tensor = torch.arange(12).reshape(2, 3, 2)
    assert list_lengths("x", tensor, ROWS[:2], who="test").tolist() == [3, 3]
    elements = list_elements("x", tensor, who="test")
    assert (elements.shape, elements.data_ptr()) == ((6, 2), tensor.data_ptr())


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_missing_rows_are_named_by_their_numbers_in_the_source(missing):
    column = as_column("x", pd.Series([[1], missing], dtype=object))
    with pytest.raises(
        ColumnValueError, match=r"test: column 'x' has 1 missing values, in rows 8 of the source; fill them"
    ):
        list_lengths("x", column, np.array([7, 8]), who="test")


def test_many_missing_rows_are_shortened():
    column = as_column("x", pd.Series([[1], *[None] * 12], dtype=object))
    with pytest.raises(
        ColumnValueError, match=r"has 12 missing values, in rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, … of the"
    ):
        list_lengths("x", column, ROWS[:13], who="test")


@pytest.mark.parametrize("column", [torch.arange(3), np.arange(3), pd.array(["a", "b", "c"])])
def test_what_is_no_list(column):
    with pytest.raises(
        ColumnTypeError, match=r"test: column 'x' holds .*; its rows must be lists, or rows of a tensor"
    ):
        list_lengths("x", column, ROWS[:3], who="test")


def test_arrays_of_several_dimensions_become_tensors():
    column = as_column("x", pd.Series([np.zeros((2, 3)), np.ones((1, 3))]))
    assert list_elements("x", column, who="test").tolist() == [[0.0] * 3, [0.0] * 3, [1.0] * 3]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5))))
def test_places_are_ranges_end_to_end(ranges):
    starts, counts = (np.array([pair[k] for pair in ranges], dtype=np.int64) for k in (0, 1))
    assert places(starts, counts).tolist() == [n for start, count in ranges for n in range(start, start + count)]
