from array import array
from collections import deque

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError

RANKS = [(), (2,), (2, 3), (1, 2, 3, 4)]
TORCH_DTYPES = [
    torch.bool,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
    torch.complex128,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
]


def stored(value):
    return fw.Message({"x": value}).raw("x")


class TestTensors:
    @pytest.mark.parametrize("rest", RANKS)
    @pytest.mark.parametrize("dtype", TORCH_DTYPES, ids=str)
    def test_every_rank_and_dtype_is_kept_and_can_be_indexed(self, dtype, rest):
        tensor = torch.arange(5).reshape(5, *[1] * len(rest)).expand(5, *rest).to(dtype)
        message = fw.Message({"x": tensor})
        assert message["x"] is tensor
        for rows, expected in ((message[1:3], [1, 2]), (message[[4, 0, 4]], [4, 0, 4]), (message[-1], [4])):
            assert rows["x"].dtype == dtype
            assert rows["x"].shape == (len(expected), *rest)
            assert torch.equal(rows["x"].to(torch.complex128), tensor[expected].to(torch.complex128))
        assert fw.concat([message[:2], message[2:]]) == message

    def test_nothing_is_copied(self):
        tensor = torch.arange(6.0).reshape(3, 2)
        message = fw.Message({"x": tensor})
        for part in (
            message,
            message.select("x"),
            message[0:2],
            message[0],
            next(iter(message)),
            message.assign(y=[1, 2, 3]),
        ):
            assert part["x"].data_ptr() == tensor.data_ptr()
        assert message[1:]["x"].data_ptr() == tensor[1:].data_ptr()

    def test_strides_of_any_kind_will_do(self):
        transposed = torch.arange(6.0).reshape(2, 3).T
        expanded = torch.tensor([7.0]).expand(3)
        message = fw.Message({"t": transposed, "e": expanded})
        assert message[[2, 0]]["t"].tolist() == [[2.0, 5.0], [0.0, 3.0]]
        assert message[[2, 0]]["e"].tolist() == [7.0, 7.0]

    def test_a_conjugate_that_torch_has_put_off_is_made_real(self):
        tensor = torch.tensor([1 + 2j, 3 - 1j]).conj()
        message = fw.Message({"z": tensor, "i": tensor.imag})
        assert message[[1, 0]].to_dict() == {"z": [3 + 1j, 1 - 2j], "i": [1.0, -2.0]}
        assert fw.Message(message.to_pandas()) == message
        assert "-2" in repr(message.to_pandas())

    def test_gradients_flow_through_rows_and_concat(self):
        weight = torch.ones(3, requires_grad=True)
        message = fw.Message({"y": weight * torch.tensor([1.0, 2.0, 3.0])})
        fw.concat([message[1:], message[[0, 0]], message[2]])["y"].sum().backward()
        assert weight.grad.tolist() == [2.0, 2.0, 6.0]

    def test_a_parameter_is_a_tensor_column(self):
        parameter = torch.nn.Parameter(torch.zeros(2))
        assert stored(parameter) is parameter

    def test_a_tensor_without_dimensions_is_refused(self):
        with pytest.raises(
            ColumnTypeError,
            match=r"^Message: column 'x' is a tensor without dimensions; .* write x\.reshape\(1\) for one row\.$",
        ):
            stored(torch.tensor(1.0))

    def test_a_sparse_tensor_is_refused(self):
        with pytest.raises(
            ColumnTypeError,
            match=r"^Message: column 'x' is a tensor of layout torch\.sparse_coo, .* tensor\.to_dense\(\)",
        ):
            stored(torch.eye(2).to_sparse())


class TestArrays:
    @pytest.mark.parametrize(
        "dtype", ["bool", "u1", "i2", "i8", "u8", "f2", "f4", "f8", "c8", "M8[s]", "M8[ns]", "m8[us]"]
    )
    def test_an_array_is_kept_as_it_is_and_shared(self, dtype):
        values = np.arange(4).astype(dtype)
        message = fw.Message({"x": values})
        assert message.raw("x").dtype == values.dtype
        for part in (message.raw("x"), message[1:3].raw("x"), message.select("x").raw("x"), message[2].raw("x")):
            assert np.shares_memory(part, values)
        np.testing.assert_array_equal(message[[3, 0]].raw("x"), values[[3, 0]])

    @pytest.mark.parametrize("make", [pd.Series, pd.Index])
    def test_the_values_of_a_series_or_an_index_are_shared(self, make):
        values = np.arange(4.0)
        assert np.shares_memory(stored(make(values, copy=False)), values)

    def test_the_index_of_a_series_is_left_behind(self):
        message = fw.Message({"x": pd.Series([1, 2], index=[7, 8]), "y": [3, 4]})
        assert message["x"].index.tolist() == [0, 1]
        assert len(message) == 2

    def test_a_file_in_memory_is_not_read(self, tmp_path):
        values = np.memmap(tmp_path / "values", dtype=np.float32, mode="w+", shape=(4,))
        assert np.shares_memory(stored(values), values)

    @pytest.mark.parametrize("unit", ["D", "h", "m"])
    def test_dates_in_units_that_pandas_lacks_become_seconds(self, unit):
        dates = np.array(["2020-01-02"], f"M8[{unit}]")
        assert stored(dates).dtype == "M8[s]"
        assert stored(dates)[0] == dates[0]

    def test_numbers_of_the_other_byte_order_become_native(self):
        big = np.array([1.5, 2.5], ">f4")
        assert stored(big).dtype == np.float32
        assert stored(big).dtype.isnative
        assert stored(big).tolist() == [1.5, 2.5]

    def test_a_masked_value_is_missing(self):
        values = stored(np.ma.array([1, 2], mask=[False, True]))
        assert type(values) is np.ndarray
        assert values[0] == 1.0
        assert np.isnan(values[1])

    def test_texts_of_numpy_become_those_of_pandas(self):
        for texts in (np.array(["a", "größe"]), np.array(["a", "größe"], dtype=np.dtypes.StringDType())):
            assert stored(texts).dtype == "str"
            assert list(stored(texts)) == ["a", "größe"]

    def test_bytes_of_any_width_go_together(self):
        one, other = (fw.Message({"x": np.array([text])}) for text in (b"a", b"longer"))
        assert fw.concat([one, other])["x"].tolist() == [b"a", b"longer"]

    @pytest.mark.parametrize("shape", [(), (2, 2), (3, 1, 1)])
    def test_an_array_of_other_than_one_dimension_is_refused(self, shape):
        with pytest.raises(
            ColumnTypeError,
            match=rf"^Message: column 'x' is an array of {len(shape)} dimensions, shape .*: pass torch\.from_numpy\(array\)\.$",
        ):
            stored(np.zeros(shape))

    def test_an_array_of_records_is_refused(self):
        with pytest.raises(
            ColumnTypeError, match=r"^Message: column 'x' is an array of records, .*each field as a column"
        ):
            stored(np.zeros(2, [("a", "i4"), ("b", "f8")]))


class TestOtherColumns:
    @pytest.mark.parametrize(
        ("value", "dtype", "values"),
        [
            ([1, 2], "int64", [1, 2]),
            ([1, 2.5], "float64", [1.0, 2.5]),
            ([True, False], "bool", [True, False]),
            ((1, 2), "int64", [1, 2]),
            (range(3), "int64", [0, 1, 2]),
            (deque([1, 2]), "int64", [1, 2]),
            (array("d", [0.5]), "float64", [0.5]),
            ({"k": 1}.values(), "int64", [1]),
            (["a", "b"], "str", ["a", "b"]),
            ([{"k": 1}], "object", [{"k": 1}]),
            ([[1, 2], [3]], "object", [[1, 2], [3]]),
            ([2**70], "object", [2**70]),
            (pd.RangeIndex(2), "int64", [0, 1]),
            (pd.Index(["a"]), "str", ["a"]),
            (pd.MultiIndex.from_tuples([(1, "a")]), "object", [(1, "a")]),
            (pd.Categorical(["b", "a"]), "category", ["b", "a"]),
            (pd.array([1, 2], dtype="Int8"), "Int8", [1, 2]),
            (pd.array([True], dtype="boolean"), "boolean", [True]),
            (pa.array([1, 2]), "int64[pyarrow]", [1, 2]),
            (pa.chunked_array([[1], [2]]), "int64[pyarrow]", [1, 2]),
            (pa.array(["a"]), "string[pyarrow]", ["a"]),
            (pa.array([[1, 2]]), "list<item: int64>[pyarrow]", [[1, 2]]),
        ],
        ids=str,
    )
    def test_a_column_keeps_the_type_that_pandas_gives_it(self, value, dtype, values):
        message = fw.Message({"x": value})
        assert message["x"].dtype == dtype
        assert message.schema["x"].dtype == dtype.removesuffix("[pyarrow]") + "[pyarrow]" * dtype.endswith("[pyarrow]")
        assert [list(v) if isinstance(v, np.ndarray) else v for v in message["x"].tolist()] == values
        assert len(message) == len(values)

    def test_dates_with_a_zone_keep_it(self):
        dates = pd.date_range("2020-03-29", periods=3, freq="h", tz="Europe/Berlin")
        assert list(stored(dates)) == list(dates)
        assert fw.Message({"x": dates})[1:].raw("x").dtype == dates.dtype

    def test_missing_values_stay_missing(self):
        assert stored(["a", None]).isna().tolist() == [False, True]
        assert stored(pd.array([1, None], dtype="Int64")).isna().tolist() == [False, True]
        assert np.isnan(stored([1, None])).tolist() == [False, True]

    def test_a_tensor_column_of_a_frame_is_the_tensor_again(self):
        tensor = torch.zeros(2, 3)
        column = fw.Message({"x": tensor}).to_pandas()["x"]
        assert stored(column).data_ptr() == stored(column.array).data_ptr() == tensor.data_ptr()

    def test_tensors_in_a_list_are_objects_because_only_a_tensor_is_a_tensor_column(self):
        rows = [torch.zeros(2), torch.ones(3)]
        message = fw.Message({"x": rows})
        assert not message.schema["x"].is_tensor
        assert message["x"].iloc[1] is rows[1]

    @pytest.mark.parametrize(
        "value",
        [
            5,
            2.5,
            None,
            "text",
            b"bytes",
            object(),
            np.float64(1),
            pa.scalar(1),
            {"k": 1},
            {1, 2},
            frozenset({1}),
            pd.DataFrame({"a": [1]}),
            pa.table({"a": [1]}),
            fw.Message({"a": [1]}),
            (n for n in range(2)),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_what_has_no_rows_in_order_is_refused(self, value):
        with pytest.raises(
            ColumnTypeError,
            match=rf"(?s)^Message: column 'x' is .* of type {type(value).__name__}; a column needs one value per row: "
            r"pass a tensor, an array or a list\.$",
        ):
            stored(value)
