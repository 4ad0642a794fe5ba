import io
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.message import TensorArray, TensorDtype
from fireworks.message.arrays.tensor_dtype import common_element, dtype_name


def common(*dtypes):
    return dtypes[0]._get_common_dtype(list(dtypes))


class TestName:
    @pytest.mark.parametrize(
        ("dtype", "name"),
        [
            (TensorDtype(), "tensor[float32]"),
            (TensorDtype(torch.int64, (3,)), "tensor[int64, 3]"),
            (TensorDtype(torch.bool, (2, 0, 28)), "tensor[bool, 2, 0, 28]"),
            (TensorDtype(torch.float8_e4m3fn, (1,)), "tensor[float8_e4m3fn, 1]"),
        ],
    )
    def test_it_says_element_and_row_shape_and_can_be_read_back(self, dtype, name):
        assert dtype.name == str(dtype) == repr(dtype) == name
        assert TensorDtype.construct_from_string(name) == dtype == name

    def test_pandas_takes_it_wherever_it_takes_a_dtype(self):
        assert pd.Series([1, 2], dtype="tensor[int8]").array.tensor.dtype == torch.int8
        assert pd.Series([[1, 2]]).astype("tensor[float64, 2]").array.tensor.tolist() == [[1.0, 2.0]]
        assert pd.array([1.5], dtype="tensor[bfloat16]").tensor.dtype == torch.bfloat16
        assert TensorDtype.is_dtype("tensor[int64, 2]")

    @pytest.mark.parametrize(
        "text", ["tensor", "tensor[]", "tensor[float]x", "tensor[float32, -1]", "tensor[randn]", "x"]
    )
    def test_another_text_is_refused(self, text):
        with pytest.raises(
            TypeError, match=rf"^Cannot construct a 'TensorDtype' from '{text.replace('[', '.')}'"
        ) as info:
            TensorDtype.construct_from_string(text)
        assert str(info.value).endswith("write it as in 'tensor[float32, 3]'.")
        assert TensorDtype() != text

    def test_what_is_no_text_is_refused(self):
        with pytest.raises(TypeError, match=r"^'construct_from_string' expects a string, got <class 'int'>$"):
            TensorDtype.construct_from_string(0)

    def test_torch_names_its_types(self):
        assert dtype_name(torch.float8_e5m2) == "float8_e5m2"


class TestIdentity:
    def test_dtypes_compare_by_element_and_shape(self):
        assert TensorDtype(torch.int64, [2]) == TensorDtype(torch.int64, (2,))
        assert hash(TensorDtype(torch.int64, (2,))) == hash(TensorDtype(torch.int64, (2,)))
        assert TensorDtype(torch.int64, (2,)) != TensorDtype(torch.int64, (3,))
        assert TensorDtype(torch.int64) != TensorDtype(torch.int32) != "int32"
        assert pickle.loads(pickle.dumps(TensorDtype(torch.int64, (2,)))) == TensorDtype(torch.int64, (2,))

    @pytest.mark.parametrize(
        ("element", "kind", "cell"),
        [
            (torch.bool, "b", bool),
            (torch.uint16, "u", int),
            (torch.int8, "i", int),
            (torch.bfloat16, "f", float),
            (torch.complex64, "c", complex),
        ],
    )
    def test_a_column_of_numbers_is_what_its_elements_are(self, element, kind, cell):
        dtype = TensorDtype(element)
        assert (dtype.kind, dtype.type, dtype.itemsize) == (kind, cell, element.itemsize)
        assert pd.api.types.is_numeric_dtype(dtype)
        assert pd.api.types.is_bool_dtype(dtype) is (kind == "b")
        assert isinstance(TensorArray(torch.ones(1).to(element))[0], cell)

    def test_a_column_of_longer_rows_is_no_number(self):
        dtype = TensorDtype(torch.int64, (1,))
        assert (dtype.kind, dtype.type) == ("O", torch.Tensor)
        assert not pd.api.types.is_numeric_dtype(dtype)
        assert not pd.api.types.is_object_dtype(dtype)

    def test_only_floats_and_complex_numbers_can_be_missing(self):
        assert TensorDtype(torch.float16).can_be_missing
        assert TensorDtype(torch.complex64).can_be_missing
        assert not TensorDtype(torch.int64).can_be_missing
        assert not TensorDtype(torch.bool).can_be_missing

    @pytest.mark.parametrize(("element", "shape"), [("float32", ()), (float, ()), (torch.float32, ("3",))])
    def test_what_is_no_type_or_no_shape_is_refused(self, element, shape):
        with pytest.raises(TypeError, match=r"^TensorDtype: expected a torch dtype and a shape of ints; got "):
            TensorDtype(element, shape)

    def test_a_negative_size_is_refused(self):
        with pytest.raises(ValueError, match=r"^TensorDtype: sizes of a row are at least 0; got \(2, -1\)\.$"):
            TensorDtype(torch.float32, (2, -1))


class TestCommonType:
    """What columns of two types become where pandas joins them."""

    @pytest.mark.parametrize(
        ("left", "right", "both"),
        [
            (torch.int64, torch.float32, torch.float64),
            (torch.int16, torch.float32, torch.float32),
            (torch.int32, torch.int64, torch.int64),
            (torch.uint8, torch.int8, torch.int16),
            (torch.bfloat16, torch.float16, torch.float32),
            (torch.bfloat16, torch.float64, torch.float64),
            (torch.float64, torch.complex64, torch.complex128),
            (torch.float8_e5m2, torch.float8_e4m3fn, torch.float32),
        ],
    )
    def test_it_holds_the_numbers_of_both_as_in_numpy(self, left, right, both):
        assert common_element(left, right) == common_element(right, left) == both
        for shape in ((), (2,)):
            assert common(TensorDtype(left, shape), TensorDtype(right, shape)) == TensorDtype(both, shape)

    def test_one_type_stays(self):
        assert common_element(torch.bfloat16, torch.bfloat16) == torch.bfloat16
        assert common(TensorDtype(torch.bool)) == TensorDtype(torch.bool)

    def test_rows_of_two_shapes_and_booleans_beside_numbers_have_none(self):
        assert common(TensorDtype(torch.int64, (2,)), TensorDtype(torch.int64, (3,))) is None
        assert common(TensorDtype(torch.int64), TensorDtype(torch.int64, (1,))) is None
        assert common(TensorDtype(torch.bool), TensorDtype(torch.int64)) is None
        assert common(TensorDtype(torch.bool), np.dtype("float64")) is None
        assert common(TensorDtype(torch.int64), np.dtype("O")) is None
        assert common(TensorDtype(torch.int64, (2,)), np.dtype("int64")) is None

    def test_beside_numbers_of_numpy_it_is_of_numpy(self):
        assert common(TensorDtype(torch.int32), np.dtype("float32")) == np.dtype("float64")
        assert common(TensorDtype(torch.bfloat16), np.dtype("float16")) == np.dtype("float32")
        assert common(TensorDtype(torch.bool), np.dtype("bool")) == np.dtype("bool")

    def test_frames_of_two_types_are_joined_in_it(self):
        floats, ints = (
            [TensorArray(torch.ones(1, *shape).to(e)) for shape in ((), (2,))] for e in (torch.float32, torch.int64)
        )
        frames = [pd.DataFrame({"s": s, "v": v}) for s, v in (floats, ints)]
        assert pd.concat(frames).dtypes.astype(str).tolist() == ["tensor[float64]", "tensor[float64, 2]"]
        assert pd.concat(frames)["v"].array.tensor.tolist() == [[1.0, 1.0]] * 2

    def test_an_integer_that_the_common_type_can_not_hold_is_an_error(self):
        columns = [pd.Series(TensorArray(torch.tensor([2**53 + 1]))), pd.Series(TensorArray(torch.tensor([0.5])))]
        with pytest.raises(TypeError, match=r"^9007199254740993 does not fit tensor\[float64\]; convert"):
            pd.concat(columns)

    def test_one_row_of_a_frame_is_a_column_of_it(self):
        frame = fw.Message({"i": torch.tensor([1]), "x": torch.tensor([0.5])}).to_pandas()
        assert frame.iloc[0].array.tensor.tolist() == [1.0, 0.5]
        assert frame.assign(b=TensorArray(torch.tensor([True]))).iloc[0].tolist() == [1, 0.5, True]
        assert frame.assign(v=TensorArray(torch.ones(1, 2))).iloc[0].dtype == object


class TestArrow:
    @pytest.mark.parametrize("element", [torch.float32, torch.int64, torch.bool, torch.bfloat16, torch.complex64])
    @pytest.mark.parametrize("shape", [(), (3,), (2, 2), (0,), (2, 0)])
    def test_a_table_gives_the_same_column_back(self, element, shape):
        rows = torch.arange(4 * int(np.prod(shape))).reshape(4, *shape).to(element)
        frame = pd.DataFrame({"x": TensorArray(rows)})
        back = pa.Table.from_pandas(frame).to_pandas()
        assert back.dtypes["x"] == frame.dtypes["x"]
        assert torch.equal(back["x"].array.tensor, rows)

    def test_many_pieces_become_one_column(self):
        table = pa.Table.from_pandas(pd.DataFrame({"x": TensorArray(torch.arange(6).reshape(3, 2))}))
        back = pa.concat_tables([table, table]).to_pandas()["x"].array
        assert back.tensor.tolist() == [[0, 1], [2, 3], [4, 5]] * 2

    def test_a_parquet_file_gives_the_same_column_back(self):
        frame = pd.DataFrame({"x": TensorArray(torch.arange(6.0).reshape(3, 2)), "y": TensorArray(torch.arange(3))})
        file = io.BytesIO()
        frame.to_parquet(file)
        pd.testing.assert_series_equal(pd.read_parquet(file).dtypes, frame.dtypes)
        assert pd.read_parquet(file).equals(frame)

    def test_an_array_can_be_asked_for_in_another_type(self):
        array = TensorArray(torch.tensor([1, 2]))
        assert pa.array(array).type == pa.int64()
        assert pa.array(array, type=pa.float32()).to_pylist() == [1.0, 2.0]
