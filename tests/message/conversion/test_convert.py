"""Columns into tensors and back, through the methods of a message; `retype` has the tests of what a schema does."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError, SchemaMismatchError
from message.strategies import messages

WIDENED = {
    torch.bfloat16: torch.float32,
    torch.float8_e4m3fn: torch.float32,
    torch.float8_e5m2: torch.float32,
}
DTYPES = [torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32]
DTYPES += [torch.int64, torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128, *WIDENED]


@pytest.fixture
def message():
    return fw.Message({"n": [1, 2, 3], "f": [0.5, 1.5, 2.5], "name": ["a", "b", "c"], "x": torch.zeros(3, 2)})


class TestBothWays:
    @pytest.mark.parametrize("rest", [(), (3,), (2, 3), (0,), (2, 0)], ids=str)
    @pytest.mark.parametrize("dtype", DTYPES, ids=str)
    def test_every_type_and_shape_comes_back(self, dtype, rest):
        if dtype.is_complex and rest:
            return
        tensor = torch.tensor([0, 1, 1, 0, 1]).reshape(5, *[1] * len(rest)).expand(5, *rest).to(dtype)
        message = fw.Message({"x": tensor, "s": list("abcde")})
        for part in (message, message[1:3], message[:0]):
            frame = part.to_dataframe()
            assert not frame.schema["x"].is_tensor
            back = frame.to_tensors("x")
            wanted = part["x"].to(WIDENED.get(dtype, dtype))
            assert back == part.assign(x=wanted)
            assert fw.Message(frame, schema=part.schema) == part

    @settings(deadline=None, max_examples=80)
    @given(messages())
    def test_any_tensors_come_back(self, message):
        lists = [name for name in message.columns if message.schema[name].shape]
        names = [name for name in message.columns if message.schema[name].is_tensor]
        names = [name for name in names if not (name in lists and message[name].is_complex())]
        frame = message.to_dataframe(names)
        assert fw.Message(frame, schema=message.schema) == message
        values = {name: message[name].to(WIDENED.get(message[name].dtype, message[name].dtype)) for name in names}
        back = frame.to_tensors(names)
        assert all(fw.Message({"x": back[name]}) == fw.Message({"x": values[name]}) for name in names)
        assert back.columns == message.columns

    def test_memory_is_shared_both_ways(self, message):
        tensors = message.to_tensors(["n", "f"])
        assert tensors["n"].data_ptr() == message.raw("n").ctypes.data
        assert tensors["x"] is message["x"]
        assert tensors.raw("name") is message.raw("name")
        frame = tensors.to_dataframe()
        assert frame.raw("n").ctypes.data == message.raw("n").ctypes.data
        assert frame.to_tensors("x")["x"].data_ptr() == message["x"].data_ptr()

    def test_the_message_is_left_as_it_is(self, message):
        before = message.schema
        message.to_tensors(["n", "f"], dtype=torch.float16)
        message.to_dataframe()
        assert message.schema == before


class TestToTensors:
    def test_all_columns_are_meant_unless_some_are_named(self, message):
        numbers = message.drop("name")
        assert [field.is_tensor for field in numbers.to_tensors().schema] == [True, True, True]
        assert [field.is_tensor for field in message.to_tensors("n").schema] == [True, False, False, True]
        assert message.to_tensors(["f", "n"]).columns == message.columns
        assert message.to_tensors([]) == message
        assert fw.Message().to_tensors() == fw.Message()

    def test_types_are_kept_unless_one_is_named(self, message):
        assert [message.to_tensors("n")["n"].dtype, message.to_tensors("f")["f"].dtype] == [torch.int64, torch.float64]
        converted = message.drop("name").to_tensors(dtype=torch.float32, device="meta")
        assert {converted[name].dtype for name in converted.columns} == {torch.float32}
        assert {converted[name].device.type for name in converted.columns} == {"meta"}
        assert message.to_tensors("f", dtype=torch.bfloat16)["f"].tolist() == [0.5, 1.5, 2.5]

    def test_a_device_alone_moves_tensor_columns_too(self, message):
        assert message.to_tensors(["n", "x"], device="meta")["x"].is_meta

    def test_nan_is_a_number_here_as_it_is_in_a_tensor(self):
        assert fw.Message({"x": [0.5, math.nan]}).to_tensors()["x"].isnan().tolist() == [False, True]
        lists = pa.array([[0.5, math.nan]])
        assert fw.Message({"x": lists}).to_tensors()["x"].isnan().tolist() == [[False, True]]

    @pytest.mark.parametrize(
        "value",
        [
            ["a"],
            [None],
            np.array(["2020"], "M8[s]"),
            pd.Categorical([1]),
            pd.Series([1], dtype=object),
            [[1, 2]],
            pa.array([["a"]]),
        ],
        ids=str,
    )
    def test_what_holds_no_numbers_is_an_error(self, value):
        message = fw.Message({"c": value})
        kind = str(message.schema["c"].dtype)
        with pytest.raises(ColumnTypeError) as caught:
            message.to_tensors()
        assert str(caught.value) == (
            f"Message.to_tensors: column 'c' holds {kind}, which is no tensor type; map it to numbers, or name the columns "
            "to convert."
        )

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            (pd.array([1, None], dtype="Int64"), "row 1: the value is missing; fill it, or leave the row out."),
            (pa.array([[1], None]), "row 1: the value is missing; fill it, or leave the row out."),
            (
                pa.array([[1], [2, 3]]),
                "row 1: [2, 3] has another shape than [1]; the rows of one tensor have one shape.",
            ),
        ],
    )
    def test_a_missing_value_and_a_ragged_row_are_named(self, value, problem):
        with pytest.raises(ColumnValueError) as caught:
            fw.Message({"c": value}).to_tensors()
        assert str(caught.value) == f"Message.to_tensors: column 'c', {problem}"

    @pytest.mark.parametrize(
        ("value", "dtype", "problem"),
        [
            ([1.0, 0.1], torch.float32, "row 1: 0.1 is not exactly a float32"),
            ([1.0, 0.1], torch.int64, "row 1: 0.1 is not exactly a int64"),
            (torch.tensor([[1, 2], [3, 300]]), torch.uint8, "row 1: 300 is not exactly a uint8"),
            (torch.tensor([1.0, math.nan]), torch.int8, "row 1: nan is not exactly a int8"),
        ],
    )
    def test_a_value_that_a_type_would_change_is_named(self, value, dtype, problem):
        message = fw.Message({"c": value})
        with pytest.raises(ColumnValueError) as caught:
            message.to_tensors(dtype=dtype)
        assert str(caught.value) == (
            f"Message.to_tensors: column 'c', {problem}; to change it all the same, write "
            f".to_tensors('c')['c'].to({dtype})."
        )

    def test_numbers_that_can_not_be_compared_are_an_error(self):
        packed = torch.zeros(1, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
        with pytest.raises(
            ColumnTypeError,
            match=r"^Message\.to_tensors: column 'q' is a torch\.float4_e2m1fn_x2 tensor on cpu, whose values can't be "
            r"compared with those of torch\.float32\.$",
        ):
            fw.Message({"q": packed}).to_tensors(dtype=torch.float32)

    def test_a_missing_column_is_an_error(self, message):
        for convert in (message.to_tensors, message.to_dataframe):
            for names in ("nam", ["n", "nam"]):
                with pytest.raises(ColumnNotFoundError, match=r"no column 'nam'.* Did you mean 'name'\?$"):
                    convert(names)


class TestToDataframe:
    def test_all_tensor_columns_are_meant_unless_some_are_named(self, message):
        tensors = message.assign(y=torch.zeros(3))
        assert [field.is_tensor for field in tensors.to_dataframe().schema] == [False] * 5
        assert [field.is_tensor for field in tensors.to_dataframe("y").schema] == [False, False, False, True, False]
        assert message.to_dataframe("n") == message

    def test_gradients_and_devices_stay_behind(self):
        leaf = torch.ones(2, requires_grad=True)
        assert fw.Message({"x": leaf}).to_dataframe()["x"].tolist() == [1.0, 1.0]

    @pytest.mark.parametrize(
        ("tensor", "problem"),
        [
            (
                torch.zeros(1, 2, dtype=torch.complex64),
                r"complex64\[2\] tensor, which .*: Arrow has no complex numbers\.",
            ),
            (torch.zeros(1, device="meta"), r"float32 tensor, which .*: A tensor on the meta device has no values\."),
        ],
    )
    def test_what_neither_numpy_nor_arrow_can_hold_is_an_error(self, tensor, problem):
        with pytest.raises(
            ColumnTypeError, match=rf"^Message\.to_dataframe: column 'z' is {problem} Name the columns to convert\.$"
        ):
            fw.Message({"z": tensor}).to_dataframe()


class TestConform:
    def test_columns_come_in_the_order_of_the_schema(self):
        schema = fw.Schema({"b": torch.float32, "a": "str"})
        message = fw.Message({"a": ["x"], "b": [1]}, schema=schema)
        assert message.schema == schema
        assert message.columns == ["b", "a"]

    @pytest.mark.parametrize(
        ("columns", "problem"),
        [
            (["a"], "the columns are ['a'], the schema has ['a', 'b']; missing are ['b']."),
            (
                ["a", "b", "c"],
                "the columns are ['a', 'b', 'c'], the schema has ['a', 'b']; not in the schema are ['c'].",
            ),
            (
                ["a", "c"],
                "the columns are ['a', 'c'], the schema has ['a', 'b']; missing are ['b'] and not in the schema are ['c'].",
            ),
        ],
    )
    def test_other_columns_are_an_error_that_shows_both(self, columns, problem):
        with pytest.raises(SchemaMismatchError) as caught:
            fw.Message({name: [1] for name in columns}, schema={"a": "int64", "b": "int64"})
        assert str(caught.value) == f"Message: {problem}"
