"""Other types, the same values."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError
from pipelines import counting, double, table

PIPES = {
    "rows": lambda: table().cast(
        {"n": torch.int16, "word": pd.CategoricalDtype([f"word {i}" for i in range(23)])}, x=torch.float64
    ),
    "batches": lambda: table().batch(4).cast(n="float32"),
    "stream": lambda: counting().cast(n="int8", x=torch.int8),
    "behind shuffle": lambda: table().map(double).shuffle(seed=0).cast(n=torch.float32),
}


@pytest.mark.parametrize("name", PIPES)
class TestCast(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def cast(column, dtype):
    return fw.source({"c": column}).cast(c=dtype).to_message()["c"]


class TestTypes:
    @pytest.mark.parametrize("name", ["int8", "uint8", "int32", "int64", "float32", "float64", "bool"])
    def test_tensors_and_numpy_columns_become_each_other(self, name):
        values = np.array([0, 1, 1])
        assert cast(values, getattr(torch, name)).dtype == getattr(torch, name)
        assert cast(torch.from_numpy(values), name).dtype == name
        assert cast(values, getattr(torch, name)).tolist() == values.astype(name).tolist()

    def test_rows_keep_their_shape(self):
        images = torch.arange(12).reshape(2, 3, 2)
        assert torch.equal(cast(images, torch.float32), images.float())

    def test_rows_of_one_length_take_the_shape_that_is_named(self):
        flat = torch.arange(12).reshape(2, 6)
        assert torch.equal(cast(flat, (torch.float32, 2, 3)), flat.float().reshape(2, 2, 3))

    def test_lists_become_tensors_of_the_shape_that_is_named(self):
        lists = pd.array(pa.array([[1, 2], [3, 4]]), dtype=pd.ArrowDtype(pa.list_(pa.int64())))
        assert cast(lists, (torch.float32, 2)).tolist() == [[1.0, 2.0], [3.0, 4.0]]
        with pytest.raises(
            ColumnTypeError, match=r"cast: column 'c' is list.*name the sizes of a row if it holds lists"
        ):
            cast(lists, torch.float32)

    @pytest.mark.parametrize(
        ("column", "dtype", "expected"),
        [
            (["1", "2.5"], "float64", [1.0, 2.5]),
            (["2024-01-31", None], "datetime64[s]", [pd.Timestamp("2024-01-31"), pd.NaT]),
            ([1, 2], object, [1, 2]),
            (pd.array([1, None], dtype="Int64"), torch.float64, [1.0, float("nan")]),
            ([1.0, float("nan")], "Int8", [1, pd.NA]),
            ([1, 2], "int64[pyarrow]", [1, 2]),
            (["a", "b"], pd.CategoricalDtype(["b", "a"]), ["a", "b"]),
        ],
        ids=str,
    )
    def test_texts_dates_and_what_is_missing(self, column, dtype, expected):
        found = cast(column, dtype).tolist()
        assert [str(value) for value in found] == [str(value) for value in expected]

    @given(st.lists(st.integers(-300, 300), min_size=1), st.sampled_from(["int8", "uint8", "int16", "bool"]))
    def test_it_is_numpys_cast_where_that_keeps_the_values(self, values, name):
        array = np.array(values)
        same = array.astype(name) == array
        if same.all():
            assert cast(array, name).tolist() == array.astype(name).tolist()
            return
        first = int(np.argmin(same))
        with pytest.raises(
            ColumnValueError, match=f"column 'c', row {first} of the source: {values[first]} does not fit"
        ):
            cast(array, name)

    def test_columns_are_known(self):
        assert table().cast(n="int8").known_columns == ["x", "n", "w", "word"]
        assert table().cast({"n": torch.int8}, w="float64").stages()[-1] == "Cast(n: int8 tensor, w: float64)"


class TestWhatIsWrong:
    def test_the_row_is_that_of_the_source(self):
        pipe = table(400).filter("n >= 100").shuffle(seed=0).batch(300).cast(n="int8")
        first = next(int(n) for n in table(400).filter("n >= 100").shuffle(seed=0).to_message()["n"] if n > 127)
        with pytest.raises(
            ColumnValueError,
            match=rf"cast: column 'n', row {first} of the source: {first} does not fit int8 exactly; cast to a wider type",
        ):
            list(pipe)

    def test_floats_are_not_rounded(self):
        with pytest.raises(
            ColumnValueError, match=r"0\.1 does not fit float32.*exactly; .*round floats, write \.tensors"
        ):
            cast([0.5, 0.1], "float32")
        with pytest.raises(ColumnValueError, match=r"row 0 of the source: 0\.5 does not fit int64"):
            cast(torch.tensor([0.5]), torch.int64)

    def test_what_is_missing_has_no_place_in_integers(self):
        with pytest.raises(
            ColumnValueError, match=r"row 1 of the source: the value is missing, and int8 tensor has .* 'is not null'"
        ):
            cast(pd.array([1, None], dtype="Int64"), torch.int8)

    def test_a_text_that_is_no_category(self):
        with pytest.raises(
            ColumnValueError, match=r"row 1 of the source: 'c' does not fit category exactly \(is none of"
        ):
            cast(["a", "c"], pd.CategoricalDtype(["a", "b"]))

    def test_there_is_no_way(self):
        with pytest.raises(
            ColumnTypeError, match=r"cast: column 'c' is float32\[2\] tensor, .* stays a tensor: write a"
        ):
            cast(torch.zeros(3, 2), "float32")
        with pytest.raises(
            ColumnTypeError, match=r"cast: column 'c' is datetime64\[\w+\], and there is no exact way from"
        ):
            cast(pd.to_datetime(["2020-01-01"]), torch.float32)

    def test_categories_are_named(self):
        with pytest.raises(
            ColumnTypeError, match=r"cast: name the categories of column 'word', for each block of rows has"
        ):
            table().cast(word="category")

    @pytest.mark.parametrize("dtype", ["in8", 3, ("int8", 2)])
    def test_a_type_is_none(self, dtype):
        with pytest.raises(ColumnTypeError, match=r"cast: column 'n' has .*(no type|only a tensor column)"):
            table().cast(n=dtype)

    def test_columns_are_not_there(self):
        with pytest.raises(ColumnNotFoundError, match=r"cast: no column 'wrd'; .* Did you mean 'word'\?"):
            table().cast(wrd="str")
        with pytest.raises(ColumnNotFoundError, match="no column 'wrd'"):
            table().map(double).cast(wrd="str").to_message()
        with pytest.raises(ValueError, match=r"cast: name at least one column"):
            table().cast()
        with pytest.raises(TypeError, match="Cast has no input; pass it a pipe"):
            fw.Cast(None, x="int8")
