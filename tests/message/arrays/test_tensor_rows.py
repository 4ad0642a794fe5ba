import math

import numpy as np
import pandas as pd
import pytest
import torch

from fireworks.message import TensorArray, TensorDtype
from fireworks.message.arrays.tensor_rows import (
    computable,
    dtype_of,
    fit,
    is_missing,
    is_one_row,
    missing_rows,
    row_of,
    row_of_text,
    row_text,
    rows_of,
    with_room_for_nan,
)

NAN = math.nan
NUMBER, VECTOR, MATRIX = (TensorDtype(torch.float32, shape) for shape in ((), (2,), (2, 2)))
INT = TensorDtype(torch.int32)


def same(left, right):
    return left.dtype == right.dtype and torch.allclose(left, right, equal_nan=True, rtol=0, atol=0)


class TestText:
    @pytest.mark.parametrize(
        ("row", "text"),
        [
            (torch.tensor([0.123456, 2.0]), "[0.1235, 2]"),
            (torch.tensor([1, 2, 3, 4]), "[1, 2, 3, 4]"),
            (torch.tensor([True] * 5), "[True, True, True, True, …]"),
            (torch.zeros(2, 3), "[2x3 values]"),
            (torch.zeros(0), "[]"),
            (torch.tensor(1.5), "1.5"),
            (torch.empty(3, device="meta"), "[3 values]"),
            (torch.empty((), device="meta"), "?"),
        ],
    )
    def test_a_row_is_one_short_line(self, row, text):
        assert row_text(row) == text

    @pytest.mark.parametrize(
        ("text", "dtype", "row"),
        [
            ("1.5", NUMBER, 1.5),
            (" 2 ", INT, 2),
            ("true", TensorDtype(torch.bool), True),
            ("0", TensorDtype(torch.bool), False),
            ("1+2j", TensorDtype(torch.complex64), 1 + 2j),
            ("[1, 2.5]", VECTOR, [1, 2.5]),
            ("[inf, -inf]", VECTOR, [math.inf, -math.inf]),
            ("[[1, 2], [3, 4]]", MATRIX, [[1, 2], [3, 4]]),
            ("", NUMBER, None),
            (NAN, VECTOR, None),
        ],
    )
    def test_a_cell_of_a_text_file_is_a_row(self, text, dtype, row):
        assert row_of_text(text, dtype) == row

    def test_nan_in_a_list_is_nan(self):
        assert math.isnan(row_of_text("[1, nan]", VECTOR)[1])

    @pytest.mark.parametrize(
        ("text", "dtype", "form"),
        [
            ("tensor([1., 2.])", VECTOR, r"numbers in brackets, as in \[1\.5, 2\.0\]"),
            ("x", INT, "a value of type int"),
            ("maybe", TensorDtype(torch.bool), "a value of type bool"),
        ],
    )
    def test_another_text_is_refused(self, text, dtype, form):
        with pytest.raises(ValueError, match=rf"is no row of {dtype.name.replace('[', '.')}; expected {form}\.$"):
            row_of_text(text, dtype)


class TestOneOrMany:
    @pytest.mark.parametrize(
        ("value", "dtype"),
        [
            (1.5, NUMBER),
            (None, VECTOR),
            (3, VECTOR),
            (torch.tensor(3), NUMBER),
            ([1, 2], VECTOR),
            ((1, 2), VECTOR),
            ([1, NAN], VECTOR),
            (np.array([1, 2]), VECTOR),
            (torch.zeros(2), VECTOR),
            ([[1, 2], [3, 4]], MATRIX),
            (torch.zeros(2, 2), MATRIX),
        ],
    )
    def test_a_value_of_a_rows_dimensions_is_one_row(self, value, dtype):
        assert is_one_row(value, dtype)

    @pytest.mark.parametrize(
        ("value", "dtype"),
        [
            ([1, 2], NUMBER),
            ([], VECTOR),
            (np.array([1, 2]), NUMBER),
            (torch.zeros(1), NUMBER),
            ([torch.zeros(2), None], VECTOR),
            ([None], VECTOR),
            ([pd.NA], MATRIX),
            ([[1, 2], [3, 4]], VECTOR),
            (np.zeros((1, 2)), VECTOR),
            (np.array([None, None]), VECTOR),
            (TensorArray(torch.zeros(2)), VECTOR),
            (pd.array([1, 2], dtype="Int64"), VECTOR),
            (torch.zeros(1, 2, 2), MATRIX),
        ],
    )
    def test_more_of_them_are_many(self, value, dtype):
        assert not is_one_row(value, dtype)

    @pytest.mark.parametrize("value", [None, pd.NA, NAN, np.float32("nan"), np.nan])
    def test_nothing_and_nan_are_missing(self, value):
        assert is_missing(value)

    @pytest.mark.parametrize("value", [0, 0.0, math.inf, "", torch.tensor(NAN), [None]])
    def test_everything_else_is_there(self, value):
        assert not is_missing(value)


class TestManyRows:
    def test_a_tensor_of_the_type_is_shared(self):
        tensor = torch.arange(3.0)
        assert rows_of(tensor, NUMBER) is tensor
        assert rows_of(TensorArray(tensor)) is tensor

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([0.1, 2], torch.tensor([0.1, 2], dtype=torch.float64)),
            ([1, 2], torch.tensor([1, 2])),
            ([True, False], torch.tensor([True, False])),
            ([1 + 2j], torch.tensor([1 + 2j], dtype=torch.complex128)),
            ([[1, 2], [3, 4]], torch.tensor([[1, 2], [3, 4]])),
            ([torch.ones(2), None], torch.tensor([[1.0, 1.0], [NAN, NAN]])),
            ([torch.tensor([1, 2]), None], torch.tensor([[1, 2], [NAN, NAN]], dtype=torch.float64)),
            ([1, None], torch.tensor([1, NAN], dtype=torch.float64)),
            ([None, pd.NA], torch.tensor([NAN, NAN], dtype=torch.float64)),
            (pd.array([1, 2], dtype="Int8"), torch.tensor([1, 2], dtype=torch.int8)),
            (pd.array([1, None], dtype="Int64"), torch.tensor([1, NAN], dtype=torch.float64)),
            (np.array([1, 2], dtype=np.uint16), torch.tensor([1, 2], dtype=torch.uint16)),
            (range(2), torch.tensor([0, 1])),
            ([], torch.zeros(0)),
        ],
    )
    def test_without_a_type_they_have_their_own_as_numpy_reads_them(self, values, expected):
        assert same(rows_of(values), expected)

    @pytest.mark.parametrize(
        ("values", "dtype", "expected"),
        [
            ([1, None, NAN], NUMBER, [1, NAN, NAN]),
            ([[1, 2], None], VECTOR, [[1, 2], [NAN, NAN]]),
            ([5, NAN], VECTOR, [[5, 5], [NAN, NAN]]),
            ([NAN, NAN, NAN], VECTOR, [[NAN, NAN]] * 3),
            (np.array([torch.ones(2), None], dtype=object), VECTOR, [[1, 1], [NAN, NAN]]),
            (pd.array([1, None], dtype="Int64"), NUMBER, [1, NAN]),
            ([], MATRIX, torch.zeros(0, 2, 2)),
        ],
    )
    def test_with_a_type_they_have_that(self, values, dtype, expected):
        assert same(rows_of(values, dtype), torch.as_tensor(expected, dtype=torch.float32))

    def test_numbers_for_rows_have_memory_of_their_own(self):
        rows = rows_of(torch.tensor([1.0, 2.0]), VECTOR)
        rows[0, 0] = 9
        assert rows.tolist() == [[9.0, 1.0], [2.0, 2.0]]

    def test_read_only_arrays_are_read(self):
        array = np.array([1.0, 2.0])
        array.flags.writeable = False
        assert rows_of(array).tolist() == [1.0, 2.0]

    @pytest.mark.parametrize(
        ("values", "dtype", "text"),
        [
            (["a"], NUMBER, r"^'a' does not fit tensor\[float32\]; convert the column first\.$"),
            ([1, "a"], INT, r"^'a' does not fit tensor\[int32\]"),
            ([2**40], INT, r"^1099511627776 does not fit tensor\[int32\]"),
            ([1, None], INT, r"^tensor\[int32\] has no missing value; convert the column to floating point first\.$"),
            ([1, NAN], INT, r"^tensor\[int32\] has no missing value; convert the column to floating point first\.$"),
            ([2**70], NUMBER, r"^1180591620717411303424 does not fit tensor\[float32\]"),
        ],
    )
    def test_a_value_that_does_not_fit_is_named(self, values, dtype, text):
        with pytest.raises(TypeError, match=text):
            rows_of(values, dtype)

    @pytest.mark.parametrize("values", [[[1, 2, 3]], np.zeros((1, 3)), [torch.zeros(3)], [[1, 2], [1, 2, 3]]])
    def test_a_row_of_another_shape_is_refused(self, values):
        with pytest.raises(
            ValueError, match=r"^A row of tensor\[float32, 2\] has shape \(2,\); got one of shape \(3,\)\.$"
        ):
            rows_of(values, VECTOR)


class TestOneRow:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [(3, [3, 3]), (None, [NAN, NAN]), ([1, 2], [1, 2]), (np.int64(4), [4, 4]), (torch.tensor([1, 2]), [1, 2])],
    )
    def test_a_number_fills_it_and_nothing_is_nan(self, value, expected):
        assert same(row_of(value, VECTOR), torch.tensor(expected, dtype=torch.float32))

    def test_a_number_of_python_may_be_rounded(self):
        assert row_of(2**24 + 1, NUMBER).item() == 2**24
        assert row_of(0.1, NUMBER).item() == np.float32(0.1)

    @pytest.mark.parametrize(
        ("value", "dtype"), [(2.5, INT), (object(), NUMBER), ("1", NUMBER), (70000.0, TensorDtype(torch.float16))]
    )
    def test_a_value_that_does_not_fit_is_refused(self, value, dtype):
        with pytest.raises(TypeError, match="does not fit tensor"):
            row_of(value, dtype)


class TestTypes:
    @pytest.mark.parametrize(
        ("values", "element"),
        [
            (torch.tensor([1.0, NAN]), torch.float64),
            (torch.tensor([1.0, 0.0]), torch.bool),
            (torch.tensor([1, 2]), torch.uint8),
            (torch.tensor([2**53]), torch.float64),
            (torch.tensor([1 + 0j]), torch.float32),
            (torch.tensor([1, 2]), torch.bfloat16),
        ],
    )
    def test_what_fits_keeps_its_value(self, values, element):
        fitted = fit(values, TensorDtype(element))
        assert fitted.dtype == element
        np.testing.assert_array_equal(fitted.to(values.dtype), values)

    def test_floats_may_be_rounded_but_not_to_infinity(self):
        assert fit(torch.tensor([0.1], dtype=torch.float64), NUMBER).item() == np.float32(0.1)
        assert fit(torch.tensor([math.inf, NAN]), TensorDtype(torch.float16)).tolist()[0] == math.inf
        with pytest.raises(TypeError, match=r"^70000\.0 does not fit tensor\[float16\]; convert the column first\.$"):
            fit(torch.tensor([1.0, 70000.0, math.inf]), TensorDtype(torch.float16))

    @pytest.mark.parametrize(
        ("values", "element", "named"),
        [
            (torch.tensor([1.0, 2.5]), torch.int64, "2.5"),
            (torch.tensor([0, 2]), torch.bool, "2"),
            (torch.tensor([1, -1]), torch.uint8, "-1"),
            (torch.tensor([1, 2**53 + 1]), torch.float64, "9007199254740993"),
            (torch.tensor([1, 257]), torch.bfloat16, "257"),
            (torch.tensor([1 + 1j]), torch.float32, r"\(1\+1j\)"),
        ],
    )
    def test_nothing_else_changes_a_value(self, values, element, named):
        with pytest.raises(
            TypeError, match=rf"^{named} does not fit tensor\[{str(element)[6:]}\]; convert the column first"
        ):
            fit(values, TensorDtype(element))

    def test_gradients_flow_through(self):
        weight = torch.ones(2, requires_grad=True)
        fit(weight, TensorDtype(torch.float64)).sum().backward()
        assert weight.grad.tolist() == [1.0, 1.0]

    def test_a_tensor_without_values_is_not_checked(self):
        assert fit(torch.empty(3, device="meta"), TensorDtype(torch.float16)).dtype == torch.float16

    def test_room_for_nan_is_float64(self):
        floats = torch.ones(2)
        assert with_room_for_nan(floats) is floats
        assert with_room_for_nan(torch.tensor([[True]])).tolist() == [[1.0]]
        assert with_room_for_nan(torch.tensor([2**53])).dtype == torch.float64
        with pytest.raises(TypeError, match=r"^9007199254740993 does not fit tensor\[float64, 1\]"):
            with_room_for_nan(torch.tensor([[2**53 + 1]]))

    def test_what_torch_only_stores_becomes_what_it_computes_with(self):
        assert computable(torch.ones(1).to(torch.float8_e5m2)).dtype == torch.float32
        assert computable(torch.ones(1).to(torch.uint32)).dtype == torch.int64
        assert computable(torch.ones(1).to(torch.bfloat16)).dtype == torch.bfloat16
        with pytest.raises(TypeError, match=r"^18446744073709551615 does not fit tensor\[int64\]"):
            computable(torch.tensor([2**64 - 1], dtype=torch.uint64))

    def test_the_type_of_a_column_is_that_of_its_tensor(self):
        assert dtype_of(torch.zeros(4, 2, 2)) == TensorDtype(torch.float32, (2, 2))


class TestMissing:
    @pytest.mark.parametrize(
        ("tensor", "expected"),
        [
            (torch.tensor([1.0, NAN]), [False, True]),
            (torch.tensor([[NAN, 1.0], [2.0, 3.0]]), [True, False]),
            (torch.tensor([math.inf, -math.inf]), [False, False]),
            (torch.tensor([complex(0, NAN), 1]), [True, False]),
            (torch.tensor([NAN, 1.0]).to(torch.float8_e5m2), [True, False]),
            (torch.tensor([NAN, 1.0], dtype=torch.bfloat16, requires_grad=True), [True, False]),
            (torch.tensor([60000.0, 60000.0], dtype=torch.float16), [False, False]),
            (torch.tensor([0, 1]), [False, False]),
            (torch.zeros(2, 0), [False, False]),
            (torch.zeros(0, 2), []),
            (torch.empty(2, 2, device="meta"), [False, False]),
        ],
    )
    def test_a_row_with_nan_is_missing(self, tensor, expected):
        assert missing_rows(tensor).tolist() == expected
