import ast
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from database.database_columns import DTYPES
from fireworks.database import codec
from fireworks.database.codec import decode_tensor, encode_tensor, torch_dtype
from fireworks.errors import ColumnTypeError, ColumnValueError


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).tolist()


@st.composite
def tensors(draw):
    """Any dtype and shape; any bits, so NaN with a payload and signed zeros too."""
    dtype = torch_dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    count = int(np.prod(shape))
    data = bytearray(draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize)))
    if dtype == torch.bool:
        data = bytearray(byte % 2 for byte in data)
    return torch.frombuffer(data, dtype=dtype).reshape(shape) if count else torch.empty(shape, dtype=dtype)


@given(tensors())
@settings(deadline=None)
def test_every_tensor_comes_back_bit_for_bit(tensor):
    rows = encode_tensor("x", tensor)
    again = decode_tensor("x", rows, tensor.dtype, tuple(tensor.shape[1:]))
    assert len(rows) == len(tensor)
    assert (again.dtype, again.shape, bits(again)) == (tensor.dtype, tensor.shape, bits(tensor))


def test_a_row_is_its_elements_in_c_order_and_little_endian():
    tensor = torch.tensor([[[1, 2], [3, 4]], [[5, 6], [7, -8]]], dtype=torch.int32).transpose(1, 2)
    assert encode_tensor("x", tensor) == [struct.pack("<4i", 1, 3, 2, 4), struct.pack("<4i", 5, 7, 6, -8)]
    assert encode_tensor("x", torch.tensor([1 - 2j])) == [struct.pack("<2f", 1, -2)]
    assert encode_tensor("x", torch.tensor([1 - 2j]).conj()) == [struct.pack("<2f", 1, 2)]


@pytest.mark.parametrize("dtype", ["int16", "float64", "complex64", "bool"])
def test_a_big_endian_machine_turns_each_number_around(dtype, monkeypatch):
    tensor = torch.tensor([[1, 0, 1], [0, 0, 1]]).to(torch_dtype(dtype))
    little = encode_tensor("x", tensor)
    monkeypatch.setattr(sys, "byteorder", "big")  # so ours look like the native bytes of such a machine
    assert encode_tensor("x", decode_tensor("x", little, tensor.dtype, (3,))) == little
    width = tensor.element_size() // (2 if tensor.is_complex() else 1)
    assert encode_tensor("x", tensor)[0][:width] == little[0][:width][::-1]


def test_a_gradient_and_a_stride_are_left_behind():
    tensor = torch.arange(6.0, requires_grad=True).reshape(3, 2)[:, ::2]
    again = decode_tensor("x", encode_tensor("x", tensor), torch.float32, (1,))
    assert not again.requires_grad
    assert again.tolist() == [[0.0], [2.0], [4.0]]


def test_what_is_decoded_can_be_written_to():
    again = decode_tensor("x", encode_tensor("x", torch.zeros(2)), torch.float32, ())
    again[0] = 1
    assert again.tolist() == [1.0, 0.0]


def test_a_sparse_tensor_is_refused():
    with pytest.raises(ColumnTypeError, match=r"'x' is a tensor of layout torch.sparse_coo.*x.to_dense\(\)"):
        encode_tensor("x", torch.eye(2).to_sparse())


@pytest.mark.parametrize(("row", "text"), [(b"abc", "has 3 bytes"), (None, "has None"), ("ab", "has 'ab'")])
def test_a_row_of_another_size_is_refused_by_its_place(row, text):
    with pytest.raises(ColumnValueError, match=rf"'x': row 1 of those read {text}.*torch.int16 of shape \(\) has 2"):
        decode_tensor("x", [b"ab", row], torch.int16, ())


@pytest.mark.parametrize("name", ["float7", "load", "Tensor"])
def test_only_dtypes_are_dtypes(name):
    with pytest.raises(ColumnTypeError, match=f"This torch has no dtype '{name}'; a later version may have written it"):
        torch_dtype(name)


def test_the_codec_knows_no_sql():
    tree = ast.parse(Path(codec.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert not [module for module in modules if "sql" in module or "database" in module]


def test_names_are_those_of_messages():
    message = fw.Message({name: torch.zeros(1).to(torch_dtype(name)) for name in DTYPES})
    assert [field.dtype for field in message.schema] == [torch_dtype(name) for name in DTYPES]
