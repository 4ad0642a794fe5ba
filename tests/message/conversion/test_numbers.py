"""The numbers of any column as NumPy's or torch's, shared where they can be, and never two kinds brought to one first."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.message.conversion.exact import MisfitError
from fireworks.message.conversion.kinds import NoConversionError
from fireworks.message.conversion.numbers import filled, frame_column, numbers_of, tensor_of


def stored(value):
    return fw.Message({"x": value}).raw("x")


class TestInATypeThatIsWanted:
    @pytest.mark.parametrize(
        ("value", "values", "missing"),
        [
            (np.array([1.0, np.nan]), [1, 0], [False, True]),
            (torch.tensor([1.0, float("nan")]), [1, 0], [False, True]),
            (pd.array([1, None], dtype="Int8"), [1, 0], [False, True]),
            (pa.array([1.0, None, float("nan")]), [1, 0, 0], [False, True, True]),
            (pd.array(["1", None], dtype="str"), [1, 0], [False, True]),
            (pd.Series([2**53 + 1, 0.0, None, "3"], dtype=object), [2**53 + 1, 0, 0, 3], [False, False, True, False]),
        ],
        ids=str,
    )
    def test_what_an_integer_type_can_not_say_is_missing(self, value, values, missing):
        found, rows = numbers_of(stored(value), np.dtype("int64"))
        assert found.dtype == np.int64
        assert np.where(rows, 0, found).tolist() == values
        assert rows.tolist() == missing

    def test_nan_is_a_number_of_a_floating_type(self):
        for value in (np.array([np.nan]), torch.tensor([float("nan")]), pd.Series([float("nan")], dtype=object)):
            found, missing = numbers_of(stored(value), np.dtype("float32"))
            assert np.isnan(found).tolist() == [True]
            assert missing.tolist() == [False]

    @pytest.mark.parametrize(
        "value",
        [torch.zeros(1, 2), np.array(["2020"], "M8[s]"), pd.PeriodIndex(["2020"], freq="Y"), pa.array([[1]])],
        ids=str,
    )
    def test_a_column_without_one_number_per_row_has_none(self, value):
        with pytest.raises(NoConversionError):
            numbers_of(stored(value), np.dtype("float64"))

    @pytest.mark.parametrize(
        "cell", ["x", b"1", dt.date(2020, 1, 1), [1], {}, torch.zeros(2), Decimal("0.5"), 2**70, 0.5, 1j]
    )
    def test_an_object_that_is_no_such_number_is_named(self, cell):
        cells = np.array([1, None, None], dtype=object)
        cells[1] = cell
        with pytest.raises(MisfitError) as caught:
            numbers_of(stored(cells), np.dtype("int64"))
        assert caught.value.position == 1
        assert caught.value.value is cell

    def test_nothing_is_filled_in_where_nothing_is_missing(self):
        values = np.arange(2.0)
        assert filled(values, np.zeros(2, dtype=bool)) is values
        assert np.isnan(filled(values, np.array([True, False]))).tolist() == [True, False]
        assert values.tolist() == [0.0, 1.0]
        with pytest.raises(MisfitError) as caught:
            filled(np.arange(2), np.array([False, True]))
        assert (caught.value.position, caught.value.value) == (1, None)


class TestInTheTypeThatTheyHave:
    @pytest.mark.parametrize(
        "dtype", ["bool", "uint8", "uint16", "uint64", "int8", "int64", "float16", "float64", "complex64"]
    )
    def test_an_array_is_shared(self, dtype):
        values = np.arange(3).astype(dtype)
        tensor = tensor_of(values)
        assert tensor.data_ptr() == values.ctypes.data
        assert str(tensor.dtype) == f"torch.{dtype}"
        assert tensor.tolist() == values.tolist()

    @pytest.mark.parametrize(
        ("value", "dtype"),
        [
            (pd.array([1, 2], dtype="UInt16"), torch.uint16),
            (pd.array([0.5, 2], dtype="Float32"), torch.float32),
            (pd.array([True, False], dtype="boolean"), torch.bool),
            (pa.array([0.5, 2], pa.float16()), torch.float16),
            (pa.array([True, False]), torch.bool),
            (pa.chunked_array([[1], [2]]), torch.int64),
            (pd.arrays.SparseArray([0, 5]), torch.int64),
        ],
        ids=str,
    )
    def test_a_column_that_could_miss_values_keeps_its_type_where_it_misses_none(self, value, dtype):
        tensor = tensor_of(stored(value))
        assert tensor.dtype == dtype
        assert tensor.tolist() == list(stored(value))

    def test_arrow_shares_its_memory(self):
        numbers = pa.array([1.5, 2.5])
        lists = pa.array([[1.5], [2.5]], pa.list_(pa.float64(), 1))
        assert tensor_of(stored(numbers)).data_ptr() == numbers.buffers()[1].address
        assert tensor_of(stored(lists)).data_ptr() == lists.values.buffers()[1].address

    def test_lists_of_one_shape_are_rows_of_that_shape(self):
        assert tensor_of(stored(pa.array([[1, 2], [3, 4]]))).tolist() == [[1, 2], [3, 4]]
        assert tensor_of(stored(pa.array([[[1], [2]]]))).shape == (1, 2, 1)
        assert tensor_of(stored(pa.array([[True, False]]))).dtype == torch.bool
        assert tensor_of(stored(pa.array([], pa.list_(pa.int8(), 3)))).shape == (0, 3)
        assert tensor_of(stored(pa.array([[], []], pa.list_(pa.int8())))).shape == (2, 0)

    def test_arrow_tensors_come_in_their_logical_order(self):
        rows = pa.array([[1, 2, 3, 4, 5, 6]], pa.list_(pa.int8(), 6))
        for order, expected in ((None, [[1, 2, 3], [4, 5, 6]]), ([1, 0], [[1, 4], [2, 5], [3, 6]])):
            kind = pa.fixed_shape_tensor(pa.int8(), (2, 3), permutation=order)
            column = pd.arrays.ArrowExtensionArray(pa.ExtensionArray.from_storage(kind, rows))
            assert tensor_of(column).tolist() == [expected]

    @pytest.mark.parametrize(
        ("value", "row", "shown"),
        [
            (pd.array([1, None], dtype="Int8"), 1, None),
            (pa.array([1, None]), 1, None),
            (pa.array([[1, 2], None]), 1, None),
            (pa.array([None, [1, 2]]), 0, None),
            (pa.array([[1, 2], [3, None]]), 1, None),
            (pa.array([[1, 2], [3]]), 1, [3]),
        ],
        ids=str,
    )
    def test_a_row_that_is_missing_or_ragged_is_named(self, value, row, shown):
        with pytest.raises(MisfitError) as caught:
            tensor_of(stored(value))
        assert (caught.value.position, caught.value.value) == (row, shown)

    @pytest.mark.parametrize(
        "value",
        [
            ["a"],
            pd.Categorical([1]),
            np.array(["2020"], "M8[s]"),
            np.array([1], "m8[s]"),
            np.array([1], np.longdouble),
            pd.Series([1, 2], dtype=object),
            pd.Series([[1], [2]]),
            pa.array([["a"]]),
            pa.array([{"k": 1}]),
            pa.array([Decimal(1)]),
        ],
        ids=str,
    )
    def test_a_column_of_anything_else_has_no_tensor(self, value):
        with pytest.raises(NoConversionError):
            tensor_of(stored(value))


class TestBack:
    def test_one_number_per_row_is_numpys_and_shared(self):
        tensor = torch.arange(3)
        column = frame_column(tensor)
        assert isinstance(column, np.ndarray)
        assert column.ctypes.data == tensor.data_ptr()

    def test_more_are_arrows_lists_of_fixed_sizes_and_shared(self):
        tensor = torch.arange(12.0).reshape(2, 3, 2)
        column = frame_column(tensor)
        assert column.dtype.pyarrow_dtype == pa.list_(pa.list_(pa.float32(), 2), 3)
        assert pa.array(column).to_pylist() == tensor.tolist()
        assert tensor_of(column).data_ptr() == tensor.data_ptr()

    def test_strides_of_any_kind_will_do(self):
        turned = torch.arange(6).reshape(2, 3).T
        assert tensor_of(frame_column(turned)).tolist() == turned.tolist()

    @pytest.mark.parametrize(
        ("tensor", "why"),
        [
            (torch.zeros(1, 2, dtype=torch.complex64), "Arrow has no complex numbers"),
            (torch.zeros(1, device="meta"), "A tensor on the meta device has no values"),
            (torch.zeros(1, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), "NumPy has no numbers like torch.float4"),
        ],
        ids=["complex", "meta", "packed"],
    )
    def test_what_neither_can_hold_is_refused(self, tensor, why):
        with pytest.raises(TypeError, match=why):
            frame_column(tensor)
