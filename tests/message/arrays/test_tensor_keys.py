import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.message.arrays.tensor_keys import keys, ranks, rows_of_keys

NAN = math.nan
few = settings(deadline=None, max_examples=25)
ELEMENTS = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.uint16,
    torch.int64,
    torch.uint64,
    torch.float16,
    torch.bfloat16,
    torch.float8_e5m2,
    torch.float32,
    torch.float64,
    torch.complex64,
]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, math.inf, -math.inf, 1e-40, -1e-40]


def tensors(element):
    number = st.sampled_from(SPECIAL) if element.is_floating_point or element.is_complex else st.integers(0, 3)
    return st.tuples(st.integers(0, 8), st.integers(0, 3)).flatmap(
        lambda size: st.lists(number, min_size=size[0] * size[1], max_size=size[0] * size[1]).map(
            lambda numbers: torch.tensor(numbers, dtype=torch.float64).reshape(size).to(element)
        )
    )


def plain(tensor):
    """Rows as tuples of Python numbers; -0.0 equals 0.0 there as well."""
    return [tuple(row) for row in tensor.to(torch.complex128 if tensor.is_complex() else torch.float64).tolist()]


@pytest.mark.parametrize("element", ELEMENTS)
class TestEveryElement:
    @few
    @given(data=st.data())
    def test_keys_are_equal_exactly_where_rows_are(self, element, data):
        tensor = data.draw(tensors(element))
        rows, made = plain(tensor), keys(tensor)
        for i in range(len(rows)):
            for j in range(i):
                assert (made[i] == made[j]) == (rows[i] == rows[j])

    @few
    @given(data=st.data())
    def test_rows_can_be_made_of_keys(self, element, data):
        tensor = data.draw(tensors(element))
        back = rows_of_keys(keys(tensor), tensor)
        assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
        assert plain(back) == plain(tensor)

    @few
    @given(data=st.data())
    def test_ranks_and_keys_sort_as_tuples_do(self, element, data):
        tensor = data.draw(tensors(element))
        rows = plain(tensor)
        if element.is_complex:
            rows = [tuple(part for z in row for part in (z.real, z.imag)) for row in rows]
        order = {row: place for place, row in enumerate(sorted(set(rows)))}
        assert ranks(tensor).tolist() == [order[row] for row in rows]
        made = keys(tensor)
        assert [rows[i] for i in np.argsort(made, kind="stable")] == sorted(rows)


class TestMissing:
    def test_nan_equals_nan_and_comes_last(self):
        other_nan = torch.tensor(-NAN)
        tensor = torch.stack(
            [torch.tensor([1.0, NAN]), torch.stack([torch.tensor(1.0), other_nan]), torch.tensor([1.0, math.inf])]
        )
        made = keys(tensor)
        assert made[0] == made[1] != made[2]
        assert ranks(tensor).tolist() == [1, 1, 0]

    def test_a_row_of_nothing_but_nan_is_missing(self):
        made = keys(torch.tensor([[NAN, NAN], [NAN, 1.0]]))
        assert np.isnan(made[0])
        assert isinstance(made[1], bytes)
        back = rows_of_keys(made, torch.zeros(0, 2))
        assert back.isnan().tolist() == [[True, True], [True, False]]

    def test_rows_without_elements_are_all_equal(self):
        assert len(set(keys(torch.zeros(3, 0)))) == 1
        assert ranks(torch.zeros(3, 2, 0)).tolist() == [0, 0, 0]
        assert rows_of_keys(keys(torch.zeros(3, 0)), torch.zeros(0, 0)).shape == (3, 0)


class TestShapes:
    def test_numbers_are_their_own_keys(self):
        assert keys(torch.tensor([2, 1])).tolist() == [2, 1]
        assert rows_of_keys(np.array([2.0, 1.0]), torch.zeros(0, dtype=torch.int16)).dtype == torch.int16

    def test_a_row_of_any_rank_goes_by_its_first_difference(self):
        tensor = torch.tensor([[[1, 2], [3, 4]], [[1, 2], [3, 3]], [[0, 9], [9, 9]]])
        assert ranks(tensor).tolist() == [2, 1, 0]
        assert torch.equal(rows_of_keys(keys(tensor), tensor), tensor)

    def test_views_that_are_not_in_one_piece_are_read(self):
        tensor = torch.arange(12).reshape(3, 4)[:, ::2]
        assert torch.equal(rows_of_keys(keys(tensor), tensor), tensor)
        assert ranks(tensor.flip(0)).tolist() == [2, 1, 0]
