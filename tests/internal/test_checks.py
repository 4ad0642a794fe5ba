import numpy as np
import pytest
import torch

from fireworks._internal.checks import check_count


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
