import numpy as np
import pandas as pd
import pytest
import torch

from fireworks.message import TensorArray
from fireworks.message.arrays.tensor_indexing import assign, gather, positions, rows_named

ARRAY = TensorArray(torch.arange(5))


class TestRowsNamed:
    @pytest.mark.parametrize(
        ("key", "rows"),
        [
            (2, 2),
            (np.int64(-1), -1),
            (slice(1, 4), slice(1, 4)),
            (Ellipsis, slice(None)),
            ((Ellipsis, slice(2)), slice(2)),
            ((slice(2), Ellipsis), slice(2)),
        ],
    )
    def test_an_int_and_a_slice_stay(self, key, rows):
        assert rows_named(key, ARRAY) == rows

    @pytest.mark.parametrize(
        ("key", "rows"),
        [
            ([0, -1], [0, 4]),
            ([], []),
            (slice(None, None, -2), [4, 2, 0]),
            ([True, False, True, False, False], [0, 2]),
            (np.array([3, 1], dtype=np.int8), [3, 1]),
            (pd.array([True, None, False, False, True], dtype="boolean"), [0, 4]),
            (pd.array([1, 2], dtype="Int64"), [1, 2]),
        ],
    )
    def test_everything_else_is_positions(self, key, rows):
        assert rows_named(key, ARRAY).tolist() == rows

    @pytest.mark.parametrize(
        ("key", "text"),
        [
            (5, r"^index 5 is out of bounds for axis 0 with size 5$"),
            (-6, r"^index -6 is out of bounds for axis 0 with size 5$"),
            ([0, 5], r"^row 5 is out of bounds for 5 rows$"),
            ([True], r"^Boolean index has wrong length: 1 instead of 5$"),
            ("x", r"^only integers, slices .* are valid indices; got 'x'$"),
            (2.0, r"^only integers, slices .* are valid indices; got 2\.0$"),
            ((1, 2), r"^only integers, slices .* are valid indices; got \(1, 2\)$"),
        ],
    )
    def test_what_names_no_row_is_an_index_error(self, key, text):
        with pytest.raises(IndexError, match=text):
            rows_named(key, ARRAY)

    def test_a_missing_position_is_refused(self):
        with pytest.raises(ValueError, match="Cannot index with an integer indexer containing NA values"):
            rows_named([0, pd.NA], ARRAY)

    def test_a_position_in_nothing_is_refused(self):
        with pytest.raises(IndexError, match=r"^cannot do a non-empty take from an empty axes; there are no rows$"):
            positions([0], 0)
        assert positions([], 0).tolist() == []


@pytest.mark.parametrize(
    "element", [torch.float32, torch.bool, torch.uint16, torch.uint64, torch.float8_e5m2, torch.complex64]
)
class TestEveryElement:
    def test_rows_are_read_as_copies(self, element):
        tensor = torch.tensor([[1, 0], [0, 0], [1, 1]]).to(element)
        rows = gather(tensor, np.array([2, 0, 2])[::-1])
        assert rows.tolist() == torch.tensor([[1, 1], [1, 0], [1, 1]]).to(element).tolist()
        assert rows.data_ptr() != tensor.data_ptr()

    @pytest.mark.parametrize("rows", [slice(0, 2), np.array([1, 0]), slice(None, None, 2)])
    def test_rows_are_written(self, element, rows):
        tensor, values = torch.zeros(3, 2).to(element), torch.tensor([[1, 0], [0, 1]]).to(element)
        assign(tensor, rows, values)
        assert torch.equal(
            tensor[[1, 0] if isinstance(rows, np.ndarray) else rows].double()
            if not element.is_complex
            else tensor[[1, 0] if isinstance(rows, np.ndarray) else rows],
            values.double() if not element.is_complex else values,
        )
        assign(tensor, rows, torch.tensor([1, 1]).to(element))
        assert tensor[0].tolist() == torch.tensor([1, 1]).to(element).tolist()
        assign(tensor, 1, torch.tensor([[0, 1]]).to(element))
        assert tensor[1].tolist() == torch.tensor([0, 1]).to(element).tolist()


class TestAssign:
    @pytest.mark.parametrize(("rows", "named"), [(0, 1), (slice(0, 3), 3), (np.array([0, 1, 2]), 3)])
    def test_another_number_of_rows_is_refused_and_nothing_is_written(self, rows, named):
        tensor = torch.zeros(3, 2)
        with pytest.raises(
            ValueError, match=rf"^Length of values \(2\) does not match the number of rows to set \({named}\)\.$"
        ):
            assign(tensor, rows, torch.ones(2, 2))
        assert tensor.tolist() == [[0.0, 0.0]] * 3

    def test_rows_may_be_written_over_each_other(self):
        tensor = torch.arange(4)
        assign(tensor, slice(1, 4), tensor[:3])
        assert tensor.tolist() == [0, 0, 1, 2]

    def test_a_parameter_and_its_slices_are_written_as_optimizers_write(self):
        weight = torch.zeros(3, requires_grad=True)
        assign(weight, 0, torch.tensor(1.0))
        assign(weight[1:], slice(0, 2), torch.tensor([2.0, 3.0]))
        assert weight.tolist() == [1.0, 2.0, 3.0]
        assert weight.is_leaf

    def test_what_is_written_over_has_no_gradient(self):
        weight = torch.ones(3, requires_grad=True)
        copy = weight.clone()
        assign(copy, np.array([1]), torch.tensor([5.0]))
        copy.sum().backward()
        assert weight.grad.tolist() == [1.0, 0.0, 1.0]

    def test_gradients_flow_through_what_is_read(self):
        weight = torch.ones(3, requires_grad=True)
        gather(weight, np.array([2, 2, 0])).sum().backward()
        assert weight.grad.tolist() == [1.0, 0.0, 2.0]
