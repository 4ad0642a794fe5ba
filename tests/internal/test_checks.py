import numpy as np
import pytest
import torch

from fireworks._internal.checks import check_columns, check_count, check_no_index
from fireworks.errors import ColumnNotFoundError


@pytest.mark.parametrize(("value", "at_least"), [(1, 1), (0, 0), (10**20, 1), (np.int32(3), 1), (np.uint8(0), 0)])
def test_ints_that_are_large_enough_are_counts(value, at_least):
    count = check_count(value, at_least=at_least, where="batch: num_rows")
    assert count == value
    assert type(count) is int


@pytest.mark.parametrize("value", [0, -1, True, np.True_, 1.0, np.float32(2), "3", None, [1], torch.tensor(1)])
def test_anything_else_is_refused_with_what_was_expected_and_what_came(value):
    with pytest.raises(ValueError) as caught:
        check_count(value, at_least=1, where="batch: num_rows")
    assert str(caught.value) == f"batch: num_rows must be an int of at least 1; got {value!r}."


@pytest.mark.parametrize(
    ("columns", "expected"), [(None, ["x", "ys"]), ("ys", ["ys"]), (("ys", "x"), ["ys", "x"]), ([], [])]
)
def test_columns_are_all_or_one_or_many(columns, expected):
    assert check_columns(columns, ["x", "ys"], where="read") == expected


def test_a_column_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(
        ColumnNotFoundError, match=r"read: no column 'y'; columns are \['x', 'ys'\]\. Did you mean 'ys'\?"
    ):
        check_columns(["x", "y"], ["x", "ys"], where="read")


@pytest.mark.parametrize("index", [None, False])
def test_no_index_is_what_a_message_has(index):
    check_no_index(index, where="write")


def test_an_index_can_not_be_written():
    with pytest.raises(
        ValueError, match="write: a message has no index to write; give the numbers of its rows a column"
    ):
        check_no_index(True, where="write")
