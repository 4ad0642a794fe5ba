"""pandas' own tests of extension arrays, on tensor columns of every kind of element and rank."""

import io
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from fireworks.message import TensorArray, TensorDtype

base = pytest.importorskip("pandas.tests.extension.base", reason="this pandas comes without its tests")
import pandas._testing as tm  # noqa: E402

pytestmark = pytest.mark.slow  # thousands of tests

NAN = float("nan")


# Where the suite compares cells, to assert that they are equal.
PANDAS = (pd.Series, pd.DataFrame)
ASSERTING = ("pandas.tests.extension.base", "pandas._testing", "pandas.core.dtypes.missing")
# To pandas a tensor column has one dimension, whatever its rank: the others are inside a row.
ONE_DIMENSION = [part for part in base.ExtensionTests.__bases__ if part is not base.Dim2CompatTests]


class Suite(*ONE_DIMENSION):
    element = torch.float64
    shape = ()

    # Every operation is expected to work.
    series_scalar_exc = frame_scalar_exc = series_array_exc = divmod_exc = None

    def _supports_reduction(self, ser, op_name):
        return True

    def _supports_accumulation(self, ser, op_name):
        return True

    def _get_expected_reduction_dtype(self, arr, op_name, skipna):
        return TensorDtype(arr._reduce(op_name, skipna=skipna, keepdims=True).dtype.element, self.shape)

    def _cast_pointwise_result(self, op_name, obj, other, pointwise_result):
        """Python has one kind of float; the type of the whole column is that which NumPy gives."""
        if op_name in {op.__name__ for op in tm.comparison_ops}:
            return pointwise_result.astype(bool)
        plain = [np.asarray(side).reshape(-1) if isinstance(side, PANDAS) else side for side in (obj, other)]
        with np.errstate(all="ignore"):
            kind = self.get_op_from_name(op_name)(*plain).dtype.name
        return pointwise_result.astype(kind).astype(f"tensor[{kind}]")

    def column(self, numbers):
        """One row for each number: the number itself, or a row of nothing else."""
        rows = torch.tensor(numbers, dtype=torch.float64).reshape(-1, *[1] * len(self.shape))
        return TensorArray(rows.expand(-1, *self.shape).to(self.element).contiguous())

    @pytest.fixture
    def dtype(self):
        return TensorDtype(self.element, self.shape)

    @pytest.fixture
    def data(self):
        return self.column([1, 2, 3.5, 4, 5, 6.25, 7, 8, 99, 100])

    @pytest.fixture
    def data_for_twos(self):
        return self.column([2] * 10)

    @pytest.fixture
    def data_missing(self):
        return self.column([NAN, 1])

    @pytest.fixture(params=["data", "data_missing"])
    def all_data(self, request, data, data_missing):
        return data if request.param == "data" else data_missing

    @pytest.fixture
    def data_repeated(self, data):
        return lambda count: (data for _ in range(count))

    @pytest.fixture
    def data_for_sorting(self):
        return self.column([2, 3, 1])

    @pytest.fixture
    def data_missing_for_sorting(self):
        return self.column([2, NAN, 1])

    @pytest.fixture
    def data_for_grouping(self):
        return self.column([2, 2, NAN, NAN, 1, 1, 2, 3])

    @pytest.fixture
    def na_value(self, dtype):
        return dtype.na_value

    @pytest.fixture
    def na_cmp(self):
        return lambda left, right: bool(np.isnan(left).all() and np.isnan(right).all())

    @pytest.fixture
    def invalid_scalar(self):
        return object()

    @pytest.fixture(params=[True, False])
    def box_in_series(self, request):
        return request.param

    @pytest.fixture(params=[True, False])
    def as_frame(self, request):
        return request.param

    @pytest.fixture(params=[True, False])
    def as_series(self, request):
        return request.param

    @pytest.fixture(params=[True, False])
    def use_numpy(self, request):
        return request.param

    @pytest.fixture(params=[True, False])
    def as_array(self, request):
        return request.param

    @pytest.fixture(params=["ffill", "bfill"])
    def fillna_method(self, request):
        return request.param

    @pytest.fixture(params=[lambda x: 1, lambda x: [1] * len(x), lambda x: pd.Series([1] * len(x)), lambda x: x])
    def groupby_apply_op(self, request):
        return request.param

    @pytest.fixture(params=tm.all_reductions)
    def all_reductions(self, request):
        return request.param

    @pytest.fixture(params=tm.numeric_reductions)
    def all_numeric_reductions(self, request):
        return request.param

    @pytest.fixture(params=tm.boolean_reductions)
    def all_boolean_reductions(self, request):
        return request.param

    @pytest.fixture(params=tm.numeric_accumulations)
    def all_numeric_accumulations(self, request):
        return request.param

    @pytest.fixture(params=tm.arithmetic_dunder_methods)
    def all_arithmetic_operators(self, request):
        return request.param

    @pytest.fixture(params=tm.comparison_ops)
    def comparison_op(self, request):
        return request.param

    @pytest.fixture
    def using_nan_is_na(self):
        return True


class TestFloat64(Suite):
    pass


class TestFloat32(Suite):
    element = torch.float32


class WithoutNaN(Suite):
    """Integers and booleans have no missing value, so there is no such data."""

    @pytest.fixture
    def data_missing(self):
        pytest.skip("there is no missing value among integers or booleans")

    na_value = data_missing_for_sorting = data_for_grouping = data_missing

    @pytest.mark.skip("pandas fills a new column with missing values first, for which there is float64")
    def test_setitem_with_expansion_dataframe_column(self):
        pass

    @pytest.mark.skip("the other column gets a missing value, and pandas warns that it becomes float64 by that")
    def test_setitem_loc_scalar_multiple_homogoneous(self):
        pass

    def test_rows_that_come_without_values_make_it_float64(self, data):
        ours = pd.Series(data[:3])
        floats = ours.astype("tensor[float64]")
        frame, other = ours.to_frame("x"), pd.DataFrame({"x": floats, "key": [1, 2, 3]})
        for result, expected in [
            (ours.reindex([1, 9]), floats.reindex([1, 9])),
            (ours.shift(), floats.shift()),
            (ours.where([True, False, True]), floats.where([True, False, True])),
            (ours.align(floats.reindex([9]))[0], floats.align(floats.reindex([9]))[0]),
            (pd.concat([other["key"], ours[1:]], axis=1).iloc[:, 1], floats[1:].reindex(range(3))),
            (frame.assign(key=[1, 2, 4]).merge(other[["key"]], how="outer")["x"], floats.reindex([0, 1, 9, 2])),
        ]:
            tm.assert_series_equal(result, expected, check_names=False, check_index=False)


class TestInt64(WithoutNaN):
    element = torch.int64

    @pytest.fixture
    def data(self):
        return self.column([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])


class TestBool(WithoutNaN):
    element = torch.bool
    _combine_le_expected_dtype = "tensor[bool]"

    @pytest.fixture
    def data(self):
        return self.column([1, 0, 1, 0, 1, 0, 1, 0, 1, 1])

    @pytest.fixture
    def data_for_sorting(self):
        return self.column([1, 1, 0])

    def _get_expected_exception(self, op_name, obj, other):
        if op_name in {"__sub__", "__rsub__"}:
            return TypeError  # as in NumPy and torch
        has_zero = op_name.startswith("__r")
        if op_name == "__rtruediv__":
            pytest.skip("Python refuses to divide by False, where a float is infinite")
        if op_name in {"__floordiv__", "__rfloordiv__", "__mod__", "__rmod__", "__rdivmod__"} and has_zero:
            return ZeroDivisionError
        return None

    def check_reduce(self, ser, op_name, skipna):
        if op_name in {"min", "max"}:
            assert getattr(ser, op_name)(skipna=skipna) is np.bool_(op_name == "max")
        else:
            super().check_reduce(ser, op_name, skipna)

    def _construct_for_combine_add(self, left, right):
        """Python adds booleans as integers."""
        return super()._construct_for_combine_add(left.astype("tensor[int64]"), right)

    def test_concat_with_reindex(self, data):
        """Booleans next to numbers, as which the missing ones come, are objects, as pandas' own booleans are."""
        result = pd.concat([pd.DataFrame({"a": data[:2]}), pd.DataFrame({"b": [1]})], ignore_index=True)
        assert result["a"].tolist()[:2] == [True, False]
        assert result["a"].isna().tolist() == [False, False, True]

    def test_divmod_series_array(self, data, data_for_twos):
        """The suite also divides by the column itself, in which False is 0."""
        self._check_divmod_op(pd.Series(data), divmod, data_for_twos)

    @pytest.mark.skip("the first difference is missing, and there is no such boolean")
    def test_diff(self):
        pass

    @pytest.mark.skip("pandas takes no boolean of Python's for a label")
    def test_loc_setitem_with_expansion_preserves_ea_index_dtype(self):
        pass


ONE_AS_MANY = "pandas reads a row as many values, since it can be iterated over"


class Rows(Suite):
    @pytest.fixture(autouse=True)
    def _rows_are_equal_where_all_elements_are(self, monkeypatch):
        """The suite asserts ``column[0] == other[0]``, which is one boolean per element for rows: in its files only."""
        ambiguous = torch.Tensor.__bool__

        def all_elements(tensor):
            asking = sys._getframe(1).f_globals.get("__name__", "")
            return ambiguous(tensor.all() if asking.startswith(ASSERTING) else tensor)

        monkeypatch.setattr(torch.Tensor, "__bool__", all_elements)

    @pytest.fixture
    def na_cmp(self):
        return lambda left, right: bool(torch.as_tensor(left).isnan().all() and torch.as_tensor(right).isnan().all())

    # --- what is computed for each element ---

    def elements(self, values):
        """Plain columns, one for each element."""
        return pd.DataFrame(torch.stack(list(values)).flatten(1).double().numpy())

    def check_reduce(self, ser, op_name, skipna):
        expected = getattr(self.elements(ser), op_name)(**{} if op_name == "count" else {"skipna": skipna})
        result = getattr(ser, op_name)(**{} if op_name == "count" else {"skipna": skipna})
        if op_name == "count":
            assert result == expected[0]
        else:
            assert result.shape == self.shape
            np.testing.assert_allclose(result.flatten().double(), expected.astype(float), rtol=1e-5)

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    @pytest.mark.parametrize("skipna", [True, False])
    def test_reduce_array(self, data, all_reductions, skipna):
        ser = pd.Series(data)
        if all_reductions == "count":
            assert data.count() == ser.count() == 10
        else:
            np.testing.assert_array_equal(
                getattr(data, all_reductions)(skipna=skipna), data._reduce(all_reductions, skipna=skipna)
            )
        if all_reductions in {"sum", "prod"}:
            assert getattr(data, all_reductions)(skipna=skipna, min_count=11).isnan().all()
        if all_reductions in {"std", "var", "sem"}:
            assert (getattr(data, all_reductions)(ddof=0) < getattr(ser, all_reductions)()).all()

    def check_accumulate(self, ser, op_name, skipna):
        expected = getattr(self.elements(ser), op_name)(skipna=skipna)
        result = getattr(ser, op_name)(skipna=skipna)
        assert result.dtype == ser.dtype
        np.testing.assert_allclose(self.elements(result), expected, rtol=1e-6)

    def test_round(self, data):
        """pandas expects a TypeError of what is no number, but elements can be rounded."""
        assert torch.equal(data.round().tensor, data.tensor.round())

    def test_in_numeric_groupby(self, data_for_grouping):
        """pandas expects a TypeError of what is no number, but rows have sums."""
        sums = pd.DataFrame({"A": [1, 1, 2, 2, 3, 3, 1, 4], "B": data_for_grouping}).groupby("A").sum()
        np.testing.assert_array_equal(sums["B"].array.tensor.flatten(1)[:, 0], [6, 0, 2, 3])

    # --- what is one answer for each row ---

    def _cast_pointwise_result(self, op_name, obj, other, pointwise_result):
        if op_name not in {"eq", "ne"}:
            return pointwise_result
        flags = torch.stack(list(pointwise_result)).flatten(1)
        return pd.Series((flags.all(1) if op_name == "eq" else flags.any(1)).numpy(), index=pointwise_result.index)

    def _compare_other(self, ser, data, op, other):
        if op.__name__ in {"eq", "ne"}:
            super()._compare_other(ser, data, op, other)
        else:
            with pytest.raises(TypeError, match=f"has no {op.__name__!r} between rows"):
                op(ser, other)

    def test_combine_le(self, data_repeated):
        """Between rows ``<=`` is one boolean per element, and so is the column."""
        one, other = (pd.Series(column) for column in data_repeated(2))
        assert one.combine(other, lambda x, y: x <= y).dtype == TensorDtype(torch.bool, self.shape)

    @pytest.mark.parametrize("dropna", [True, False])
    def test_value_counts(self, data, data_missing, dropna):
        """Not compared as the suite does, for which an index with NaN does not equal itself."""
        for column in (data, data_missing):
            counts = pd.Series(column.repeat(2)).value_counts(dropna=dropna).sort_index()
            expected = column.dropna() if dropna else column
            assert counts.tolist() == [2] * len(expected)
            assert counts.index.array.equals(expected.take(expected.argsort()))

    @pytest.mark.parametrize("obj", ["series", "frame"])
    def test_unstack(self, data, obj):
        """What is not there is a row of NaN; the suite expects a number."""
        index = pd.MultiIndex.from_tuples([("A", "a"), ("A", "b"), ("B", "b")])
        column = pd.Series(data[:3], index=index)
        result = (column if obj == "series" else column.to_frame("x")).unstack()
        assert [
            result[name].array.equals(data.take(rows, allow_fill=True))
            for name, rows in zip(result.columns, ([0, -1], [1, 2]), strict=True)
        ] == [True, True]

    def test_groupby_apply_identity(self, data_for_grouping):
        """Compared one by one, since the suite compares the lists of rows as objects."""
        frame = pd.DataFrame({"A": [1, 1, 2, 2, 3, 3, 1, 4], "B": data_for_grouping})
        result = frame.groupby("A").B.apply(lambda group: group.array)
        for found, rows in zip(result, ([0, 1, 6], [2, 3], [4, 5], [7]), strict=True):
            tm.assert_extension_array_equal(found, data_for_grouping.take(rows))

    @pytest.mark.parametrize("engine", ["c", "python"])
    def test_EA_types(self, engine, data):  # noqa: N802 (the suite's name)
        """A file with rows as lists can be read; pandas writes the text of a tensor, which torch shortens."""
        text = pd.Series(data).map(torch.Tensor.tolist).to_csv(index=False, header=["x"])
        result = pd.read_csv(io.StringIO(text), dtype={"x": str(data.dtype)}, engine=engine)
        tm.assert_frame_equal(result, pd.DataFrame({"x": data}))

    # --- what pandas reads in its own way ---

    @pytest.mark.skip("a row of more than one number has no place on an axis")
    def test_plot_on_x_axis(self):
        pass

    test_plot_on_y_axis = test_plot_on_x_axis

    @pytest.mark.skip("a tensor is equal to another by value, but hashes by identity, so it is no key")
    def test_loc_setitem_with_expansion_preserves_ea_index_dtype(self):
        pass

    @pytest.mark.skip("groups are named by their keys, and names by `==`, which is one boolean per element for rows")
    def test_groupby_extension_apply(self):
        pass

    @pytest.mark.skip(ONE_AS_MANY)
    def test_arith_frame_with_scalar(self):
        pass

    test_series_constructor_scalar_with_index = test_arith_frame_with_scalar
    test_from_dtype = test_fillna_series = test_fillna_frame = test_arith_frame_with_scalar
    test_fillna_limit_frame = test_fillna_limit_series = test_arith_frame_with_scalar
    test_fillna_copy_frame = test_fillna_copy_series = test_arith_frame_with_scalar

    def test_setitem_loc_scalar_mixed(self, data):
        frame = pd.DataFrame({"A": np.arange(len(data)), "B": data})
        frame.at[2, "B"] = data[3]
        frame.iat[4, 1] = data[5]
        frame.loc[0, "B"] = data[[1]]
        frame.iloc[[6, 8], 1] = data[[7, 9]]
        assert frame["B"].array.equals(data.take([1, 1, 3, 3, 5, 5, 7, 7, 9, 9]))

    test_setitem_iloc_scalar_mixed = test_setitem_loc_scalar_mixed
    test_setitem_loc_scalar_multiple_homogoneous = test_setitem_loc_scalar_mixed
    test_setitem_iloc_scalar_multiple_homogoneous = test_setitem_loc_scalar_mixed

    def test_setitem_sequence_broadcasts(self, data):
        data[[0, 1]] = data[2]
        assert data[:3].equals(data.take([2, 2, 2]))

    test_setitem_mask_broadcast = test_setitem_sequence_broadcasts


class TestVectors(Rows):
    element = torch.float32
    shape = (3,)


class TestMatrices(Rows):
    shape = (3, 2)
