import math
import operator

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.core import roperator

from fireworks.message import TensorArray
from fireworks.message.arrays.tensor_operators import arithmetic, comparison

NAN = math.nan
ORDERS = [operator.lt, operator.le, operator.gt, operator.ge]
ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]


def same(result, expected):
    """Equal to a NumPy array, types included."""
    expected = np.asarray(expected)
    assert str(result.dtype) == f"torch.{expected.dtype.name}"
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)
    return True


class TestTypes:
    """Types meet as in NumPy 2, with which results are compared."""

    @pytest.mark.parametrize("function", ARITHMETIC)
    @pytest.mark.parametrize("left", ["int64", "int8", "uint8", "float32", "float64"])
    @pytest.mark.parametrize("right", ["int64", "int32", "uint8", "float32", "float64"])
    def test_two_columns(self, function, left, right):
        one, other = np.array([7, 2, 5], dtype=left), np.array([2, 1, 3], dtype=right)
        assert same(
            arithmetic(torch.from_numpy(one), TensorArray(torch.from_numpy(other)), function), function(one, other)
        )
        assert same(arithmetic(torch.from_numpy(one), other, function), function(one, other))

    @pytest.mark.parametrize("function", ARITHMETIC)
    @pytest.mark.parametrize("kind", ["int64", "uint8", "float32", "float64"])
    @pytest.mark.parametrize("number", [2, 1.5, np.float32(1.5), np.int64(2), torch.tensor(2)])
    def test_a_column_and_a_number(self, function, kind, number):
        plain, of_python = np.array([7, 2, 5], dtype=kind), number.item() if hasattr(number, "item") else number
        assert same(arithmetic(torch.from_numpy(plain), number, function), function(plain, of_python))

    @pytest.mark.parametrize(
        "mirrored",
        [roperator.radd, roperator.rsub, roperator.rtruediv, roperator.rfloordiv, roperator.rmod, roperator.rpow],
    )
    def test_a_number_on_the_left(self, mirrored):
        assert same(arithmetic(torch.tensor([7, 2, 5]), 3, mirrored), mirrored(np.array([7, 2, 5]), 3))
        assert same(arithmetic(torch.tensor([7.0, 2.0]), 3, mirrored), mirrored(np.array([7, 2], dtype="float32"), 3))

    @pytest.mark.parametrize(
        ("column", "number", "expected"),
        [
            (torch.tensor([44], dtype=torch.int8), 300, np.array([344])),
            (torch.tensor([44], dtype=torch.uint8), -45, np.array([-1])),
            (torch.tensor([1]), 2**70, np.array([2.0**70])),
            (torch.tensor([True]), 2, np.array([3])),
            (torch.tensor([True]), 0.5, np.array([1.5])),
            (torch.tensor([1]), 1j, np.array([1 + 1j])),
            (torch.tensor([1], dtype=torch.uint16), 1, np.array([2])),
            (torch.tensor([1], dtype=torch.uint64), 1, np.array([2])),
            (torch.tensor([0.5]).to(torch.float8_e5m2), 1, np.array([1.5], dtype="float32")),
            (torch.tensor([1.0]), pd.NA, np.array([NAN], dtype="float32")),
            (torch.tensor([1]), NAN, np.array([NAN])),
        ],
    )
    def test_a_number_that_does_not_fit_widens_the_column(self, column, number, expected):
        assert same(arithmetic(column, number, operator.add), expected)

    def test_integers_are_not_rounded_to_float32(self):
        large = torch.tensor([2**40 + 1])
        assert arithmetic(large, torch.tensor([0.5]), operator.mul).item() == (2**40 + 1) / 2
        assert arithmetic(large, 1, operator.truediv).item() == 2**40 + 1

    def test_booleans_count_where_numbers_are_needed(self):
        truth = torch.tensor([True, False])
        plain = truth.numpy()
        for function in (operator.add, operator.mul, operator.and_, operator.or_, operator.xor):
            assert same(
                arithmetic(truth, torch.tensor([True, True]), function), function(plain, np.array([True, True]))
            )
        for function in (operator.floordiv, operator.mod, operator.pow, operator.truediv):
            assert same(
                arithmetic(truth, torch.tensor([True, True]), function), function(plain, np.array([True, True]))
            )

    def test_quotient_and_rest_come_together(self):
        for column in (np.array([7, -7, 5]), np.array([7.5, -7.5, 5.0])):
            for number in (3, np.array([3, 2, -1])):
                for ours, theirs in zip(
                    arithmetic(torch.from_numpy(column), number, divmod), divmod(column, number), strict=True
                ):
                    assert same(ours, theirs)
            for ours, theirs in zip(
                arithmetic(torch.from_numpy(column), 20, roperator.rdivmod), divmod(20, column), strict=True
            ):
                assert same(ours, theirs)


class TestRows:
    VECTORS = torch.tensor([[1.0, 2.0], [3.0, 4.0]])

    def test_a_bare_row_meets_each_row(self):
        assert arithmetic(self.VECTORS, torch.tensor([10.0, 100.0]), operator.mul).tolist() == [
            [10.0, 200.0],
            [30.0, 400.0],
        ]

    @pytest.mark.parametrize(
        "numbers", [[10.0, 100.0], np.array([10.0, 100.0]), TensorArray(torch.tensor([10.0, 100.0]))]
    )
    def test_a_column_of_numbers_meets_each_rows_elements(self, numbers):
        assert arithmetic(self.VECTORS, numbers, operator.mul).tolist() == [[10.0, 20.0], [300.0, 400.0]]

    def test_ranks_are_lined_up_by_their_rows(self):
        numbers, cubes = torch.tensor([10.0, 100.0]), torch.ones(2, 3, 2)
        assert arithmetic(numbers, TensorArray(self.VECTORS), operator.mul).tolist() == [[10.0, 20.0], [300.0, 400.0]]
        assert arithmetic(cubes, TensorArray(numbers), operator.mul)[1].unique().tolist() == [100.0]

    def test_objects_that_are_rows_take_part(self):
        rows = np.fromiter(self.VECTORS, dtype=object, count=2)
        assert arithmetic(self.VECTORS, rows, operator.sub).tolist() == [[0.0, 0.0]] * 2

    def test_no_rows_keep_the_type_of_the_result(self):
        none = torch.zeros(0)
        assert arithmetic(none, np.array([]), operator.add).dtype == torch.float64
        assert arithmetic(none, [], operator.add).dtype == torch.float32
        assert arithmetic(torch.zeros(0, 2), np.array([], dtype=object), operator.add).shape == (0, 2)

    def test_gradients_flow_on_both_sides(self):
        one, other = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        arithmetic(one, TensorArray(other), operator.mul).sum().backward()
        arithmetic(one, torch.tensor(2.0, requires_grad=True), operator.mul).sum().backward()
        assert (one.grad.tolist(), other.grad.tolist()) == ([3.0, 3.0], [1.0, 1.0])


class TestRefusals:
    @pytest.mark.parametrize("other", [[1.0], np.zeros(3), torch.zeros(3), TensorArray(torch.zeros(3, 2))])
    def test_another_number_of_rows(self, other):
        with pytest.raises(ValueError, match=rf"^Lengths must match: 2 rows and {len(other)}\.$"):
            arithmetic(torch.zeros(2), other, operator.add)
        with pytest.raises(ValueError, match=r"^Lengths must match"):
            comparison(torch.zeros(2), other, operator.eq)

    @pytest.mark.parametrize(
        ("other", "kind"),
        [
            ("a", "'a'"),
            (None, "None"),
            (pd.Timestamp(0), "Timestamp"),
            (["a", "b"], r"\['a', 'b'\]"),
            (object(), "<object"),
        ],
    )
    def test_what_is_no_number(self, other, kind):
        with pytest.raises(TypeError, match=rf"^tensor\[float32\] can't be computed with {kind}"):
            arithmetic(torch.zeros(2), other, operator.add)

    def test_rows_of_another_shape(self):
        with pytest.raises(
            TypeError, match=r"^Rows of tensor\[float32, 2\] don't broadcast with those of tensor\[float32, 3\]\.$"
        ):
            arithmetic(torch.zeros(2, 2), TensorArray(torch.zeros(2, 3)), operator.add)

    def test_what_torch_has_not(self):
        truth = torch.tensor([True])
        with pytest.raises(TypeError, match=r"^tensor\[bool\] has no 'sub' with tensor\[bool\]: Subtraction"):
            arithmetic(truth, TensorArray(truth), operator.sub)
        with pytest.raises(TypeError, match=r"^tensor\[float32\] has no 'and' with 1\.5: "):
            arithmetic(torch.zeros(1), 1.5, operator.and_)

    def test_dividing_integers_by_zero(self):
        with pytest.raises(
            ZeroDivisionError, match=r"^tensor\[int64\]: division of integers by zero; convert to floats\.$"
        ):
            arithmetic(torch.tensor([1]), 0, operator.floordiv)
        assert arithmetic(torch.tensor([1]), 0, operator.truediv).item() == math.inf


class TestComparison:
    @pytest.mark.parametrize("function", [operator.eq, operator.ne, *ORDERS])
    @pytest.mark.parametrize("kind", ["int64", "uint8", "float32", "bool"])
    def test_numbers_compare_as_in_numpy(self, function, kind):
        column = np.array([1, 0, 1], dtype=kind)
        for other in (1, 0.5, -1, 300, True, NAN, np.array([0, 0, 2.5])):
            result = comparison(torch.from_numpy(column), other, function)
            assert result.dtype == bool
            np.testing.assert_array_equal(result, function(column, other))

    def test_a_number_out_of_range_is_not_wrapped_around(self):
        assert not comparison(torch.tensor([44], dtype=torch.int8), 300, operator.eq).any()
        assert comparison(torch.tensor([1]), 2**70, operator.lt).all()

    def test_types_that_torch_only_stores_compare(self):
        for element in (torch.uint16, torch.uint64, torch.float8_e5m2):
            column = torch.tensor([1, 2]).to(element)
            assert comparison(column, TensorArray(column.clone()), operator.eq).all()
            assert comparison(column, 2, operator.lt).tolist() == [True, False]
        huge = torch.tensor([2**64 - 1], dtype=torch.uint64)
        assert comparison(huge, TensorArray(huge.clone()), operator.eq).all()

    def test_two_rows_are_equal_where_all_elements_are(self):
        rows = torch.tensor([[1, 2], [1, 3], [NAN, 2]])
        for other in (
            torch.tensor([1.0, 2.0]),
            TensorArray(torch.tensor([[1, 2]] * 3)),
            np.fromiter([torch.tensor([1, 2])] * 3, object),
        ):
            assert comparison(rows, other, operator.eq).tolist() == [True, False, False]
            assert comparison(rows, other, operator.ne).tolist() == [False, True, True]
        assert comparison(torch.zeros(2, 0), torch.zeros(0), operator.eq).tolist() == [True, True]

    @pytest.mark.parametrize(
        "other",
        [
            "a",
            None,
            pd.Timestamp(0),
            ["a", "b"],
            np.array(["x", 1], dtype=object),
            TensorArray(torch.zeros(2, 3)),
            object(),
        ],
    )
    def test_what_is_no_such_row_equals_none(self, other):
        rows = torch.zeros(2, 2)
        assert comparison(rows, other, operator.eq).tolist() == [False, False]
        assert comparison(rows, other, operator.ne).tolist() == [True, True]

    @pytest.mark.parametrize("function", ORDERS)
    def test_what_is_no_number_has_no_order(self, function):
        with pytest.raises(TypeError, match=rf"^tensor\[float32\] has no '{function.__name__}' with 'a'\.$"):
            comparison(torch.zeros(1), "a", function)
        with pytest.raises(TypeError, match=rf"^tensor\[complex64\] has no '{function.__name__}': "):
            comparison(torch.zeros(1, dtype=torch.complex64), 1, function)

    @pytest.mark.parametrize("function", ORDERS)
    def test_rows_of_more_than_one_element_have_no_order(self, function):
        with pytest.raises(
            TypeError,
            match=rf"^tensor\[float32, 1\] has no '{function.__name__}' between rows; compare the elements of \.array\.tensor\.$",
        ):
            comparison(torch.zeros(2, 1), 1, function)

    def test_without_values_nothing_is_known(self):
        for rows in (torch.empty(2, device="meta"), torch.empty(2, 3, device="meta")):
            result = comparison(rows, 1, operator.eq)
            assert result.dtype == "boolean"
            assert result.isna().all()
