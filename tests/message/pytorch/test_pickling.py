"""A message reaches another process whole, in every type that torch has."""

import pickle

import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.message.pytorch.pickling import Bits, packed
from message.strategies import messages

DTYPES = sorted(
    {
        dtype
        for dtype in vars(torch).values()
        if isinstance(dtype, torch.dtype) and not str(dtype).startswith("torch.q")
    },
    key=str,
)


def bits_of(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning")
def test_every_type_of_torch_comes_back_bit_for_bit(dtype):
    tensor = torch.arange(6 * dtype.itemsize, dtype=torch.uint8).remainder(2).view(dtype).reshape(3, 2)
    column = pickle.loads(pickle.dumps(fw.Message({"x": tensor})))["x"]
    assert (column.dtype, column.shape) == (dtype, tensor.shape)
    assert bits_of(column) == bits_of(tensor)


@settings(deadline=None)
@given(messages())
def test_any_message_comes_back(message):
    assert pickle.loads(pickle.dumps(message)) == message


@pytest.mark.parametrize("dtype", [torch.uint16, torch.float8_e4m3fn], ids=str)
def test_a_part_takes_its_own_rows_along_and_no_others(dtype):
    message = fw.Message({"x": torch.zeros(100_000, dtype=torch.uint8).to(dtype)})
    part = message[10:20]
    data = pickle.dumps(part)
    assert len(data) < 1_000
    assert pickle.loads(data) == part


@pytest.mark.parametrize("dtype", [torch.float32, torch.float8_e5m2], ids=str)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_what_requires_a_gradient_still_does(dtype, requires_grad):
    message = fw.Message({"x": torch.ones(3).to(dtype).requires_grad_(requires_grad)})
    column = pickle.loads(pickle.dumps(message))["x"]
    assert column.requires_grad == requires_grad
    assert column.is_leaf


def test_rows_that_are_not_next_to_each_other_come_back_in_order():
    tensor = torch.arange(12, dtype=torch.int32).view(torch.uint32).reshape(3, 4).t()
    assert pickle.loads(pickle.dumps(fw.Message({"x": tensor})))["x"].tolist() == tensor.tolist()


def test_types_that_torch_reads_back_go_as_they_are():
    tensor = torch.ones(3)
    assert packed(tensor) is tensor
    assert isinstance(packed(tensor.to(torch.uint64)), Bits)
