import datetime as dt
import io

import numpy as np
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.interchange.arrow_tensors import array_of_tensor, tensor_of_array


def address(array, buffer=-1):
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return array.buffers()[buffer].address + array.offset * 0


def fixed(values, *sizes):
    """Fixed-size lists of lists over a flat array."""
    array = pa.array(values)
    for size in sizes:
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array


def through_bytes(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


NUMBERS = [
    torch.float16,
    torch.float32,
    torch.float64,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
]
WIDENED = [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]


class TestTensorsToArrow:
    @pytest.mark.parametrize("dtype", NUMBERS)
    @pytest.mark.parametrize("rest", [(), (1,), (3,), (2, 3), (2, 1, 3)])
    def test_a_contiguous_tensor_is_not_copied(self, dtype, rest):
        tensor = torch.arange(4 * int(np.prod(rest))).reshape(4, *rest).to(dtype)
        array = array_of_tensor(tensor)
        assert address(array) == tensor.data_ptr()
        assert len(array) == 4

    def test_a_slice_of_rows_is_not_copied(self):
        tensor = torch.arange(12.0).reshape(6, 2)
        array = fw.Message({"x": tensor})[2:5].to_arrow()["x"].chunk(0)
        assert address(array) == tensor[2:].data_ptr()
        assert array.to_numpy_ndarray().tolist() == [[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]

    def test_one_number_per_row_is_a_plain_number(self):
        array = array_of_tensor(torch.tensor([1.5, float("nan")]))
        assert array.type == pa.float32()
        assert array.null_count == 0
        assert np.isnan(array.to_pylist()[1])

    def test_more_per_row_is_the_canonical_tensor_type(self):
        tensor = torch.arange(12).reshape(2, 3, 2)
        array = array_of_tensor(tensor)
        assert array.type == pa.fixed_shape_tensor(pa.int64(), (3, 2))
        assert np.array_equal(array.to_numpy_ndarray(), tensor.numpy())

    def test_booleans_are_bits(self):
        tensor = torch.tensor([[True, False], [False, True]])
        array = array_of_tensor(tensor)
        assert array.type == pa.fixed_shape_tensor(pa.bool_(), (2,))
        assert array.storage.to_pylist() == [[True, False], [False, True]]
        assert array_of_tensor(tensor[:, 0]).equals(pa.array([True, False]))

    @pytest.mark.parametrize("dtype", WIDENED)
    def test_floats_that_arrow_lacks_are_the_same_numbers_in_float32(self, dtype):
        tensor = torch.tensor([0.5, -1.0, 2.0]).to(dtype)
        assert array_of_tensor(tensor).equals(pa.array([0.5, -1.0, 2.0], pa.float32()))
        message = fw.Message({"x": tensor, "y": tensor[:, None]})
        assert message.to_arrow().schema.types == [pa.float32(), pa.fixed_shape_tensor(pa.float32(), (1,))]
        back = fw.Message(message.to_arrow())
        assert back["x"].dtype == back["y"].dtype == dtype
        assert torch.equal(back["x"].view(torch.uint8), tensor.view(torch.uint8))

    @pytest.mark.filterwarnings("ignore:ComplexHalf support")
    @pytest.mark.parametrize(
        ("dtype", "part"),
        [
            (torch.complex32, pa.float32()),
            (torch.complex64, pa.float32()),
            (torch.complex128, pa.float64()),
        ],
    )
    def test_complex_numbers_are_pairs(self, dtype, part):
        tensor = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex128).to(dtype)
        array = array_of_tensor(tensor)
        assert array.type == pa.fixed_shape_tensor(part, (2,))
        assert array.storage.to_pylist() == [[1.0, 2.0], [3.0, -4.0]]
        back = fw.Message(fw.Message({"x": tensor, "y": tensor[:, None]}).to_arrow())
        assert back.schema == fw.Schema({"x": dtype, "y": (dtype, 1)})
        assert back["y"].to(torch.complex128).flatten().tolist() == [1 + 2j, 3 - 4j]

    def test_complex_tensors_are_not_copied(self):
        tensor = torch.zeros(3, 2, dtype=torch.complex128)
        assert address(array_of_tensor(tensor)) == tensor.data_ptr()

    @pytest.mark.parametrize("rest", [(0,), (0, 3), (3, 0)])
    @pytest.mark.parametrize("num_rows", [0, 2])
    def test_rows_without_elements_are_empty_lists(self, rest, num_rows):
        message = fw.Message({"x": torch.zeros(num_rows, *rest, dtype=torch.int16)})
        assert message.to_arrow()["x"].type == pa.list_(pa.int16())
        assert message.to_arrow()["x"].to_pylist() == [[]] * num_rows
        assert fw.Message(through_bytes(message.to_arrow())).schema == message.schema

    def test_a_tensor_that_is_not_contiguous_is_copied_in_order(self):
        tensor = torch.arange(12).reshape(3, 4).T
        assert array_of_tensor(tensor).to_numpy_ndarray().tolist() == tensor.tolist()
        assert array_of_tensor(torch.arange(6)[::2]).to_pylist() == [0, 2, 4]
        assert array_of_tensor(torch.arange(3)[:, None].expand(3, 2)).storage.to_pylist() == [[0, 0], [1, 1], [2, 2]]

    def test_gradients_stay_behind(self):
        message = fw.Message({"x": torch.ones(2, 2, requires_grad=True)})
        back = fw.Message(message.to_arrow())
        assert not back["x"].requires_grad
        assert torch.equal(back["x"], message["x"].detach())

    def test_a_conjugate_that_torch_has_put_off_is_made_real(self):
        tensor = torch.tensor([1 + 2j]).conj()
        assert array_of_tensor(tensor).storage.to_pylist() == [[1.0, -2.0]]

    @pytest.mark.parametrize(
        "tensor",
        [
            pytest.param(torch.zeros(2, device="meta"), id="meta"),
            pytest.param(torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), id="packed"),
        ],
    )
    def test_a_tensor_without_values_of_its_own_is_refused_by_name(self, tensor):
        with pytest.raises(
            ColumnTypeError, match=r"Message\.to_arrow: column 'x' is a torch\..* tensor on .* leave it out"
        ):
            fw.Message({"x": tensor}).to_arrow()

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_a_tensor_on_a_gpu_is_copied_to_main_memory(self):
        tensor = torch.arange(6.0).reshape(3, 2)
        back = fw.Message(fw.Message({"x": tensor.cuda()}).to_arrow())
        assert back == fw.Message({"x": tensor})


class TestTensorsFromArrow:
    @pytest.mark.parametrize("share", [False, True])
    @pytest.mark.parametrize(
        ("array", "expected"),
        [
            (pa.array([1, 2, 3], pa.int16()), torch.tensor([1, 2, 3], dtype=torch.int16)),
            (pa.array([1, 2, 3]).slice(1), torch.tensor([2, 3])),
            (pa.array([True, False, True]).slice(1), torch.tensor([False, True])),
            (pa.array([], pa.float32()), torch.zeros(0)),
            (pa.chunked_array([], pa.float32()), torch.zeros(0)),
            (pa.chunked_array([[1], [], [2, 3]], pa.int64()), torch.tensor([1, 2, 3])),
            (fixed([1, 2, 3, 4], 2), torch.tensor([[1, 2], [3, 4]])),
            (fixed([1, 2, 3, 4], 2).slice(1), torch.tensor([[3, 4]])),
            (fixed(range(12), 2, 3), torch.arange(12).reshape(2, 3, 2)),
            (fixed(range(12), 2, 3).slice(1), torch.arange(6, 12).reshape(1, 3, 2)),
            (pa.chunked_array([fixed([1, 2], 2), fixed([3, 4], 2)]), torch.tensor([[1, 2], [3, 4]])),
            (pa.chunked_array([], pa.list_(pa.list_(pa.int8(), 2), 3)), torch.zeros(0, 3, 2, dtype=torch.int8)),
            (pa.array([[], []], pa.list_(pa.float32(), 0)), torch.zeros(2, 0)),
            (array_of_tensor(torch.arange(12.0).reshape(2, 3, 2)).slice(1), torch.arange(6.0, 12).reshape(1, 3, 2)),
        ],
    )
    def test_numbers_and_lists_of_one_size_become_a_tensor(self, array, expected, share):
        tensor = tensor_of_array(array, share=share)
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected)

    @pytest.mark.parametrize("permutation", [[0, 1, 2], [0, 2, 1], [2, 1, 0], [2, 0, 1], [1, 2, 0]])
    def test_permuted_dimensions_come_out_in_their_logical_order(self, permutation):
        """Dimension i of the tensor is dimension permutation[i] in memory, in the words of Arrow's specification."""
        kind = pa.fixed_shape_tensor(pa.int64(), (2, 3, 4), permutation=permutation)
        array = pa.ExtensionArray.from_storage(kind, fixed(range(72), 24))
        physical = np.arange(72).reshape(3, 2, 3, 4)
        tensor = tensor_of_array(array)
        assert tensor.shape[1:] == tuple((2, 3, 4)[axis] for axis in permutation)
        for place in np.ndindex(*tensor.shape[1:]):
            in_memory = [0, 0, 0]
            for axis, position in zip(permutation, place, strict=True):
                in_memory[axis] = position
            assert tensor[(1, *place)] == physical[(1, *in_memory)]
        if permutation not in ([2, 0, 1], [1, 2, 0]):  # those PyArrow 26 reads by strides that fit neither way
            assert np.array_equal(array.to_numpy_ndarray(), tensor)
        assert torch.equal(fw.Message(pa.table({"x": array}))["x"], tensor)

    def test_a_tensor_is_a_copy_unless_told_otherwise(self):
        for array in (
            pa.array([1.0, 2.0]),
            fixed([1.0, 2.0], 2),
            array_of_tensor(torch.ones(1, 2, dtype=torch.double)),
        ):
            before = array.to_pylist()
            tensor_of_array(array).zero_()
            assert array.to_pylist() == before
            assert tensor_of_array(array, share=True).data_ptr() == address(array)

    def test_what_holds_no_numbers_of_one_shape_is_refused(self):
        for array in (pa.array(["a"]), pa.array([[1]]), pa.array([dt.date(2020, 1, 1)]), fixed(["a", "b"], 2)):
            with pytest.raises(ColumnTypeError, match="has no rows of numbers of one shape"):
                tensor_of_array(array)

    def test_nulls_are_refused(self):
        inner = pa.FixedSizeListArray.from_arrays(pa.array([1, None]), 2)
        outer = pa.array([[1, 2], None], pa.list_(pa.int64(), 2))
        for array in (
            pa.array([1, None]),
            inner,
            outer,
            pa.chunked_array([pa.array([1]), pa.array([None], pa.int64())]),
        ):
            with pytest.raises(ColumnValueError, match="has nulls, which a tensor can't hold"):
                tensor_of_array(array)
