"""Columns become tensors of the right type, without a copy where there can be one, and never with a guess for a null."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError
from pipelines import counting, table

PIPES = {
    "rows": lambda: table().tensors("w", "n", dtype=torch.float16),
    "batches": lambda: table().batch(4).tensors("w", non_blocking=True),
    "stream": lambda: counting().tensors(),
    "behind shuffle": lambda: table().shuffle(seed=0).tensors("w"),
}


@pytest.mark.parametrize("name", PIPES)
class TestTensors(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def converted(column, **options):
    return fw.source({"c": column}).tensors(**options).to_message()["c"]


class TestTypes:
    @pytest.mark.parametrize(
        "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
    )
    def test_integers_and_booleans_stay_what_they_are(self, dtype):
        values = np.array([0, 1, 1], dtype=dtype)
        assert converted(values).dtype == getattr(torch, dtype)
        assert converted(values).tolist() == values.tolist()

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_floats_become_torchs_default(self, dtype):
        assert converted(np.array([0.5, 1.5], dtype=dtype)).dtype == torch.float32
        assert converted(torch.ones(2, 3, dtype=getattr(torch, dtype))).dtype == torch.float32

    def test_the_default_is_that_of_when_the_pipe_was_built(self):
        before = table().select("w").tensors()
        torch.set_default_dtype(torch.float64)
        try:
            within = table().select("w").tensors()
            assert before.to_message()["w"].dtype == torch.float32
        finally:
            torch.set_default_dtype(torch.float32)
        assert within.to_message()["w"].dtype == torch.float64
        assert within.to_message()["w"].tolist() == [i / 7 for i in range(23)]
        assert repr(within).endswith("Tensors(floating=float64)")

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_a_dtype_for_floats(self, dtype):
        rows = table().tensors("x", "n", "w", dtype=dtype)
        assert [rows.to_message()[name].dtype for name in "xnw"] == [dtype, torch.int64, dtype]
        assert torch.equal(rows.to_message()["x"], table().to_message()["x"].to(dtype))
        assert repr(rows).endswith(f"Tensors(x, n, w, floating={str(dtype).removeprefix('torch.')})")

    @pytest.mark.parametrize("dtype", [torch.int32, torch.complex64, "float32", np.float32])
    def test_the_dtype_is_a_floating_one(self, dtype):
        with pytest.raises(
            TypeError, match=r"tensors: dtype is for the floating columns, .*For other types write \.cast\("
        ):
            table().tensors(dtype=dtype)

    def test_complex_tensors_stay(self):
        assert converted(torch.zeros(2, dtype=torch.complex64)).dtype == torch.complex64

    @pytest.mark.parametrize(
        ("column", "dtype"),
        [
            (pd.array([1, 2], dtype="Int64"), torch.int64),
            (pd.array([1, 2], dtype="UInt8"), torch.uint8),
            (pd.array([0.5, 2], dtype="Float64"), torch.float32),
            (pd.array([True, False], dtype="boolean"), torch.bool),
            (pd.array([1, 2], dtype="int32[pyarrow]"), torch.int32),
            (pd.array([0.5, 2], dtype="double[pyarrow]"), torch.float32),
            (pd.array([True, False], dtype="bool[pyarrow]"), torch.bool),
        ],
        ids=lambda value: str(getattr(value, "dtype", value)),
    )
    def test_nullable_and_arrow_columns_without_nulls_are_numbers(self, column, dtype):
        assert converted(column).dtype == dtype
        assert converted(column).tolist() == list(column)

    @pytest.mark.parametrize(
        "column",
        [
            ["a", "b"],
            pd.Categorical(["a", "b"]),
            pd.array([object(), object()], dtype=object),
            pd.to_datetime(["2020-01-01", "2021-01-01"]),
            pd.to_timedelta([1, 2], unit="s"),
            pd.to_datetime(["2020-01-01", "2021-01-01"]).tz_localize("UTC"),
            ["a", None],
        ],
        ids=lambda column: str(getattr(column, "dtype", "list")),
    )
    def test_what_holds_no_numbers_is_an_error(self, column):
        with pytest.raises(
            ColumnTypeError, match=r"tensors: column 'c' holds .*, which is no tensor type; map it to num"
        ):
            converted(column)

    def test_only_the_named_columns_are_converted(self):
        rows = table().tensors("w").to_message()
        assert isinstance(rows["w"], torch.Tensor)
        assert rows["word"][1] == "word 1"
        with pytest.raises(ColumnNotFoundError, match=r"tensors: no column 'words'.* Did you mean 'word'\?"):
            table().tensors("words")


class TestNulls:
    def test_rows_are_named(self):
        column = pd.array([1, None, 3, None], dtype="Int64")
        with pytest.raises(
            ColumnValueError, match=r"tensors: column 'c' has 2 missing values, in rows 1, 3 of the source; fill them"
        ):
            converted(column)

    def test_rows_are_those_of_the_source_behind_a_filter_and_a_shuffle(self):
        nulls = {3, 17}
        column = pd.array([None if n in nulls else n for n in range(20)], dtype="Float64")
        pipe = fw.source({"c": column, "n": range(20)}).filter("n", ">", 4).shuffle(seed=0).batch(20).tensors("c")
        with pytest.raises(ColumnValueError, match=r"column 'c' has 1 missing values, in rows 17 of the source; fill"):
            list(pipe)

    def test_only_the_first_ten_are_listed(self):
        with pytest.raises(
            ColumnValueError, match=r"has 12 missing values, in rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … of the source"
        ):
            converted(pd.array([None] * 12, dtype="int64[pyarrow]"))

    def test_nan_in_a_column_of_pandas_is_missing(self):
        with pytest.raises(ColumnValueError, match=r"has 1 missing values, in rows 1 .*\.filter\('c', 'is not null'\)"):
            converted([0.5, float("nan")])

    def test_nan_in_a_column_that_is_a_tensor_is_a_number(self):
        assert converted(torch.tensor([0.5, float("nan")])).isnan().tolist() == [False, True]


class TestMemory:
    def test_a_column_that_torch_can_share_is_shared(self):
        values = np.arange(5)
        assert converted(values).data_ptr() == values.ctypes.data

    @pytest.mark.parametrize("dtype", ["int64", "float32", "bool", "uint16"])
    def test_a_read_only_column_is_shared_without_a_warning(self, dtype):
        values = np.ones(5, dtype=dtype)
        values.flags.writeable = False
        assert converted(values).data_ptr() == values.ctypes.data
        assert converted(values[:0]).shape == (0,)

    @pytest.mark.parametrize("dtype", [">i4", ">f8", ">u2"])
    def test_bytes_of_another_machine_are_turned(self, dtype):
        values = np.array([1, 2, 300], dtype=dtype)
        assert converted(values).tolist() == [1, 2, 300]

    def test_a_column_that_runs_backwards_is_copied(self):
        assert converted(np.arange(5)[::-1]).tolist() == [4, 3, 2, 1, 0]

    def test_a_column_with_gaps_is_read_right(self):
        assert converted(np.arange(10)[::3]).tolist() == [0, 3, 6, 9]

    def test_a_device_can_be_named(self):
        assert converted([1, 2], device="cpu").device == torch.device("cpu")
        assert converted([1, 2], device="cpu", non_blocking=True).tolist() == [1, 2]
        assert converted([1, 2], device="meta").device == torch.device("meta")


class TestLists:
    def test_lists_of_one_length_become_rows_of_that_shape(self):
        lists = pd.array(pa.array([[1.5, 2.0], [3.0, float("nan")]]), dtype=pd.ArrowDtype(pa.list_(pa.float64())))
        assert converted(lists).dtype == torch.float32
        assert converted(lists)[0].tolist() == [1.5, 2.0]
        assert converted(lists).isnan().tolist() == [[False, False], [False, True]]

    @pytest.mark.parametrize(
        ("rows", "problem"),
        [
            ([[0], [1], [2, 3], [4]], r"row 2 of the source: \[2, 3\] has another shape than \[1\]; the rows of one"),
            ([[0], [1], [2], None], r"row 3 of the source: the value is missing; fill it, or leave the row out\."),
            ([[0], [1], [None], [4]], r"row 2 of the source: the value is missing"),
        ],
    )
    def test_a_row_that_does_not_fit_is_named_as_it_is_in_the_source(self, rows, problem):
        column = pd.array(pa.array(rows), dtype=pd.ArrowDtype(pa.list_(pa.int64())))
        source = fw.source({"c": column, "n": [-1, 0, 1, 2]}).filter("n", ">=", 0)
        with pytest.raises(ColumnValueError, match=rf"^tensors: column 'c', {problem}"):
            source.batch(4).tensors("c").to_message()


def test_it_needs_an_input():
    with pytest.raises(TypeError, match="Tensors has no input; pass it a pipe"):
        fw.Tensors(None)
