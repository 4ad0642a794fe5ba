"""Objects through a pair of sockets: every bit, of every type, in one piece or many."""

import socket
import threading

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.parallel.wire import packed, receive, send


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def through(ends, value):
    one, other = ends
    sender = threading.Thread(target=send, args=(one, packed(value)))
    sender.start()
    try:
        return receive(other)
    finally:
        sender.join()


DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int64,
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float16,
    torch.complex64,
]


class TestValues:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (4, 3, 2)])
    def test_tensors(self, ends, dtype, shape):
        tensor = (torch.rand(shape) * 2).to(dtype)
        again = through(ends, tensor)
        assert (again.dtype, again.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(again, tensor)
        again += 1 if dtype is not torch.bool else True  # it is the receiver's to write

    def test_those_that_are_no_plain_memory(self, ends):
        tensors = [torch.arange(6).reshape(2, 3).T, torch.rand(4, requires_grad=True), torch.eye(3).to_sparse()]
        tensors.append(torch.tensor([1 + 2j]).conj())
        for tensor in tensors:
            again = through(ends, tensor)
            assert torch.equal(again.to_dense(), tensor.to_dense())
            assert again.requires_grad == tensor.requires_grad

    def test_messages(self, ends):
        message = fw.Message(
            {
                "x": torch.rand(9, 2),
                "n": np.arange(9),
                "word": [f"word {i}" for i in range(9)],
                "when": pd.date_range("2024", periods=9),
                "any": [None, *range(8)],
            }
        )
        assert through(ends, message) == message
        assert through(ends, message[2:5]) == message[2:5]

    def test_a_part_of_a_large_tensor_travels_alone(self):
        large = torch.zeros(1_000_000)
        assert sum(map(len, packed(fw.Message({"x": large[5:8]})))) < 2000

    def test_many_large_columns(self, ends):
        message = fw.Message({str(number): torch.full((5000,), number) for number in range(1100)})
        assert through(ends, message) == message

    def test_memory_is_aligned_for_its_type(self, ends):
        for column in through(
            ends, [torch.zeros(3, dtype=torch.uint8), torch.rand(5), torch.rand(7, dtype=torch.float64)]
        ):
            assert column.data_ptr() % column.itemsize == 0


class TestTheOtherSide:
    def test_it_is_gone(self, ends):
        ends[0].close()
        with pytest.raises(EOFError, match="the other side is gone"):
            receive(ends[1])

    def test_it_goes_in_the_middle_of_a_frame(self, ends):
        ends[0].sendall((2).to_bytes(8, "little") + (1000).to_bytes(8, "little") + bytes(100))
        ends[0].close()
        with pytest.raises(EOFError, match="the other side is gone"):
            receive(ends[1])

    def test_while_it_keeps_still_somebody_is_asked(self, ends):
        def give_up():
            raise EOFError("nobody there")

        for end in ends:
            end.settimeout(0.01)
        with pytest.raises(EOFError, match="nobody there"):
            receive(ends[1], give_up)
        with pytest.raises(EOFError, match="nobody there"):
            send(ends[0], packed(torch.zeros(10_000_000)), give_up)

    def test_one_that_is_slow_is_waited_for(self, ends):
        for end in ends:
            end.settimeout(0.01)
        pause = threading.Timer(0.1, send, (ends[0], packed("late")))
        pause.start()
        assert receive(ends[1]) == "late"
