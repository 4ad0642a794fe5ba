"""Lists taken apart into elements, and put together over the same memory."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fireworks.message.conversion.exact import MisfitError
from fireworks.message.conversion.lists import (
    Digits,
    arrow_elements,
    decode_json,
    fixed_size_lists,
    nested,
    object_elements,
    shape_of_lists,
)

SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)


@given(st.integers(0, 4), SHAPES)
def test_lists_of_fixed_sizes_are_the_rows_of_the_array_and_share_its_memory(num_rows, shape):
    values = np.arange(num_rows * int(np.prod(shape)))
    flat = pa.array(values)
    lists = fixed_size_lists(flat, shape, num_rows)
    assert lists.to_pylist() == values.reshape(num_rows, *shape).tolist()
    assert shape_of_lists(lists) == shape
    back = arrow_elements(lists, shape)
    assert back.to_pylist() == values.tolist()
    if len(values):
        assert back.buffers()[1].address == flat.buffers()[1].address


@given(st.integers(1, 4), SHAPES.filter(lambda shape: 0 not in shape))
def test_lists_of_any_size_that_have_one_shape_give_the_same_elements(num_rows, shape):
    rows = np.arange(num_rows * int(np.prod(shape))).reshape(num_rows, *shape)
    lists = pa.array(rows.tolist())
    assert shape_of_lists(lists) == shape
    assert arrow_elements(lists, shape).to_pylist() == rows.reshape(-1).tolist()
    assert object_elements(rows.tolist(), shape).tolist() == rows.reshape(-1).tolist()
    assert object_elements(list(torch.from_numpy(rows)), shape).tolist() == rows.reshape(-1).tolist()


def test_a_part_of_an_array_gives_the_elements_of_that_part():
    lists = pa.array([[1], [2], [3]], pa.list_(pa.int8(), 1))
    assert arrow_elements(lists[1:], (1,)).to_pylist() == [2, 3]
    assert arrow_elements(pa.array([[1], [2], [3]])[2:], (1,)).to_pylist() == [3]


@pytest.mark.parametrize(
    ("rows", "shape", "row", "value"),
    [
        ([[1, 2], [3]], (2,), 1, [3]),
        ([[1, 2], None], (2,), 1, None),
        ([[[1], [2]], [[3], [4, 5]]], (2, 1), 1, [[3], [4, 5]]),
        ([[[1], [2]], [[3], None]], (2, 1), 1, [[3], None]),
        ([[[1], [2]], [[3]]], (2, 1), 1, [[3]]),
        ([[], [1]], (0,), 1, [1]),
        ([[], None], (0,), 1, None),
    ],
)
def test_a_row_of_another_shape_is_named(rows, shape, row, value):
    for take_apart in (lambda: arrow_elements(pa.array(rows), shape), lambda: object_elements(rows, shape)):
        with pytest.raises(MisfitError) as caught:
            take_apart()
        assert (caught.value.position, caught.value.value) == (row, value)
        assert caught.value.why == ("" if value is None else f"has another shape than {list(shape)}")


def test_the_first_row_says_the_shape_where_the_type_does_not():
    assert shape_of_lists(pa.array([[1, 2], [3]])) == (2,)
    assert shape_of_lists(pa.array([], pa.list_(pa.int8()))) == (0,)
    assert shape_of_lists(pa.array([], pa.list_(pa.int8(), 3))) == (3,)
    with pytest.raises(MisfitError) as caught:
        shape_of_lists(pa.array([None, [1]]))
    assert (caught.value.position, caught.value.value) == (0, None)


def test_what_a_list_holds_is_made_plain():
    assert nested((1, [torch.tensor(2.5), (3,)])) == [1, [2.5, [3]]]
    assert nested("text") == "text"
    assert nested(torch.tensor([1.5]).bfloat16()).dtype == np.float32


def test_json_keeps_every_digit_where_that_is_asked():
    cells = np.array(['[1, 0.1, NaN, true, null, "a"]', None], dtype=object)
    first, second = decode_json(cells, keep_digits=True)
    assert first == ["1", "0.1", "NaN", True, None, "a"]
    assert [isinstance(value, Digits) for value in first] == [True, True, True, False, False, False]
    assert repr(first[:2]) == "[1, 0.1]"
    assert second is None
    assert decode_json(cells, keep_digits=False)[0][:2] == [1, 0.1]
    with pytest.raises(MisfitError) as caught:
        decode_json(np.array(["1", "{"], dtype=object), keep_digits=False)
    assert (caught.value.position, caught.value.value) == (1, "{")
