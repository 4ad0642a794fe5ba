import math

import numpy as np
import pandas as pd
import pytest
import torch

from fireworks.message.arrays.tensor_columns import REDUCTIONS, as_columns, from_columns, reduce

NAN = math.nan
VALUES = np.random.default_rng(0).integers(0, 5, size=(9, 2, 2)).astype(float)
VALUES[2, 0, 1] = VALUES[5] = NAN


class TestThereAndBack:
    @pytest.mark.parametrize(
        "element", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.float8_e5m2]
    )
    @pytest.mark.parametrize("shape", [(), (4,), (2, 2), (0,), (2, 0)])
    def test_elements_become_columns_and_rows_again(self, element, shape):
        rows = torch.arange(3 * math.prod(shape)).reshape(3, *shape).to(element)
        columns = as_columns(rows)
        assert columns.shape == (3, math.prod(shape))
        back = from_columns(columns, rows)
        assert (back.dtype, back.shape) == (element, rows.shape)
        assert back.double().tolist() == rows.double().tolist()

    def test_the_last_dimension_comes_first(self):
        assert as_columns(torch.arange(4).reshape(1, 2, 2)).iloc[0].tolist() == [0, 1, 2, 3]

    def test_memory_is_shared_on_the_way_there_only(self):
        rows = torch.arange(6.0).reshape(3, 2)
        columns = as_columns(rows)
        rows[0, 0] = 9
        assert columns.iloc[0, 0] == 9
        back = from_columns(columns, rows)
        back[0, 0] = 1
        assert rows[0, 0] == 9

    def test_an_index_comes_along(self):
        assert as_columns(torch.zeros(2), pd.Index(["a", "b"])).index.tolist() == ["a", "b"]

    def test_integers_keep_what_pandas_made_of_them(self):
        rows = torch.tensor([[1], [2]], dtype=torch.int32)
        assert from_columns(as_columns(rows) / 2, rows).tolist() == [[0.5], [1.0]]
        assert from_columns(as_columns(rows) > 1, rows).dtype == torch.bool


@pytest.mark.parametrize("how", REDUCTIONS)
class TestReducing:
    @pytest.mark.parametrize("shape", [(), (4,), (2, 2)])
    @pytest.mark.parametrize("element", ["float64", "float32", "int64", "uint8", "bool"])
    @pytest.mark.parametrize("skipna", [True, False])
    def test_every_element_is_reduced_as_a_plain_column(self, how, shape, element, skipna):
        values = VALUES if element.startswith("float") else np.nan_to_num(VALUES)
        plain = pd.DataFrame(values.reshape(9, 4).astype(element))
        if element == "bool" and how in {"skew", "kurt", "sem", "std", "var", "median", "min", "max"}:
            plain = plain.astype(float)  # some of which pandas itself has none of booleans
        if shape == ():
            plain = plain.iloc[:, [1]]
        result = reduce(torch.from_numpy(plain.to_numpy(copy=True).reshape(9, *shape)), how, skipna=skipna)
        expected = getattr(plain, how)(skipna=skipna).to_numpy(dtype=float)
        np.testing.assert_allclose(np.asarray(result, dtype=float).reshape(-1), expected, rtol=1e-5)
        assert np.shape(result) == shape

    def test_one_row_and_no_rows(self, how):
        for num_rows in (0, 1):
            expected = getattr(pd.DataFrame(np.full((num_rows, 2), 3.0)), how)().to_numpy(dtype=float)
            np.testing.assert_array_equal(reduce(torch.full((num_rows, 2), 3.0), how).double(), expected)


class TestOptions:
    @pytest.mark.parametrize("how", ["sum", "prod"])
    @pytest.mark.parametrize("min_count", [0, 8, 9])
    def test_too_few_elements_give_nan(self, how, min_count):
        plain = pd.DataFrame(VALUES.reshape(9, 4))
        result = reduce(torch.from_numpy(VALUES), how, min_count=min_count)
        np.testing.assert_allclose(result.reshape(-1), getattr(plain, how)(min_count=min_count))

    @pytest.mark.parametrize("how", ["std", "var", "sem"])
    def test_the_degrees_of_freedom_are_honoured(self, how):
        plain = pd.DataFrame(VALUES.reshape(9, 4))
        np.testing.assert_allclose(
            reduce(torch.from_numpy(VALUES), how, ddof=0).reshape(-1), getattr(plain, how)(ddof=0)
        )

    @pytest.mark.parametrize("element", [torch.uint8, torch.uint16, torch.uint32, torch.int8, torch.bool])
    def test_sums_are_signed(self, element):
        assert reduce(torch.ones(2).to(element), "sum").dtype == np.int64
        assert reduce(torch.ones(2, 1).to(element), "sum").dtype == torch.int64

    def test_numbers_come_out_as_numbers_of_numpy(self):
        assert type(reduce(torch.ones(2), "mean")) is np.float32
        assert type(reduce(torch.tensor([1, 2], dtype=torch.int16), "max")) is np.int16
        assert reduce(torch.ones(2, dtype=torch.bfloat16), "sum") == 2

    def test_complex_rows_have_sums_and_no_order(self):
        rows = torch.tensor([[1 + 1j], [2]])
        assert reduce(rows, "sum").tolist() == [3 + 1j]
        with pytest.raises(
            TypeError, match=r"^tensor\[complex64, 1\] has no 'max'; complex numbers have sum, prod, mean"
        ):
            reduce(rows, "max")
