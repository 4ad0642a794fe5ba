"""Tensor columns elsewhere and otherwise: what moves, what is shared, what autograd sees."""

import numpy as np
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError


@pytest.fixture
def message():
    return fw.Message(
        {
            "x": torch.ones(3, 2),
            "z": torch.ones(3, dtype=torch.complex64),
            "label": torch.arange(3),
            "n": np.arange(3),
            "name": ["a", "b", "c"],
        }
    )


def devices(message):
    return {name: message[name].device.type for name in message.columns if message.schema[name].is_tensor}


class TestTo:
    def test_tensor_columns_move_and_all_others_are_shared(self, message):
        moved = message.to("meta")
        assert devices(moved) == {"x": "meta", "z": "meta", "label": "meta"}
        assert moved.columns == message.columns
        assert moved.schema == message.schema
        assert moved.raw("n") is message.raw("n")
        assert moved.raw("name") is message.raw("name")
        assert set(devices(message).values()) == {"cpu"}

    @pytest.mark.parametrize("device", ["meta", torch.device("meta")])
    def test_named_columns_move_alone(self, message, device):
        assert devices(message.to(device, columns="x")) == {"x": "meta", "z": "cpu", "label": "cpu"}
        assert devices(message.to(device, columns=["z", "label"])) == {"x": "cpu", "z": "meta", "label": "meta"}

    def test_what_is_there_already_is_shared(self, message):
        for same in (message.to("cpu"), message.cpu(), message.to(), message.to(dtype=torch.float32, columns="x")):
            assert all(same.raw(name) is message.raw(name) for name in ("x", "label", "n", "name"))
            assert same == message

    def test_a_type_is_for_floating_and_complex_columns(self, message):
        half = message.to(dtype=torch.float64, columns=["x", "label"])
        assert {name: half[name].dtype for name in ("x", "z", "label")} == {
            "x": torch.float64,
            "z": torch.complex64,
            "label": torch.int64,
        }
        assert message.to("meta", dtype=torch.bfloat16, columns="x")["x"].dtype == torch.bfloat16
        assert message.select("x").to(dtype=torch.complex64)["x"].dtype == torch.complex64
        assert half.raw("n").dtype == np.int64

    def test_a_type_may_round_as_torch_does(self):
        assert fw.Message({"x": torch.tensor([0.1])}).to(dtype=torch.bfloat16)["x"].item() == 0.10009765625

    @pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8])
    def test_an_integer_type_is_refused(self, message, dtype):
        with pytest.raises(
            ColumnTypeError,
            match=rf"^Message\.to: dtype must be floating or complex, .*; got {dtype}\. .*\.to_tensors\('column', dtype={dtype}",
        ):
            message.to(dtype=dtype)

    def test_it_is_what_libraries_call_that_move_batches(self, message):
        # accelerate.utils.send_to_device and others go through containers, and call `to` of what has it
        def send(batch, device):
            if hasattr(batch, "to"):
                return batch.to(device, non_blocking=True)
            return type(batch)(send(part, device) for part in batch)

        (moved,) = send((message,), torch.device("meta"))
        assert set(devices(moved).values()) == {"meta"}


@pytest.mark.parametrize(
    ("move", "who"),
    [
        (lambda message, names: message.to("meta", columns=names), "to"),
        (lambda message, names: message.cpu(columns=names), "to"),
        (lambda message, names: message.pin_memory(columns=names), "pin_memory"),
        (lambda message, names: message.requires_grad_(columns=names), "requires_grad_"),
    ],
)
def test_a_named_column_has_to_be_a_tensor_and_to_be_there(message, move, who):
    for names in ("n", ["x", "n"]):
        with pytest.raises(
            ColumnTypeError,
            match=rf"^Message\.{who}: column 'n' is int64, which is no tensor; convert it first: \.to_tensors\('n'\)\.$",
        ):
            move(message, names)
    with pytest.raises(ColumnNotFoundError, match=r"no column 'labels'.* Did you mean 'label'\?"):
        move(message, "labels")
    assert not message["x"].requires_grad


class TestGradients:
    def test_floating_and_complex_columns_record_and_the_message_is_returned(self, message):
        assert message.requires_grad_() is message
        assert {name: message[name].requires_grad for name in ("x", "z", "label")} == {
            "x": True,
            "z": True,
            "label": False,
        }
        (message["x"] * 3).sum().backward()
        assert message["x"].grad.tolist() == [[3.0, 3.0]] * 3

    def test_nothing_that_shares_the_column_records(self):
        tensor = torch.ones(2)
        message = fw.Message({"x": tensor})
        shared = fw.Message(message)
        message.requires_grad_()
        assert not tensor.requires_grad
        assert not shared["x"].requires_grad
        assert message["x"].data_ptr() == tensor.data_ptr()

    def test_a_column_that_was_made_by_autograd_becomes_a_leaf(self):
        weight = torch.ones(2, requires_grad=True)
        message = fw.Message({"x": weight * 2}).requires_grad_()
        assert message["x"].is_leaf
        message["x"].sum().backward()
        assert weight.grad is None
        assert message["x"].grad.tolist() == [1.0, 1.0]

    def test_it_can_be_turned_off_and_named(self, message):
        message.requires_grad_(columns="x")
        assert [message[name].requires_grad for name in ("x", "z")] == [True, False]
        message.requires_grad_(False)
        assert not message["x"].requires_grad

    def test_integers_have_no_gradients(self, message):
        with pytest.raises(
            ColumnTypeError,
            match=r"^Message\.requires_grad_: column 'label' is int64 tensor; only floating and complex numbers have gr",
        ):
            message.requires_grad_(columns=["x", "label"])
        assert not message["x"].requires_grad

    def test_the_frame_that_was_handed_out_before_is_not_used_again(self, message):
        message.to_pandas()
        message.requires_grad_(columns="x")
        assert message.to_pandas()["x"].array.tensor.requires_grad


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said where there is no CUDA device")
def test_without_a_gpu_torch_says_so(message):
    for move in (message.cuda, lambda: message.cuda(0), lambda: message.to("cuda")):
        with pytest.raises((AssertionError, RuntimeError), match=r"CUDA|NVIDIA"):
            move()
    with pytest.raises(RuntimeError, match=r"accelerator|CUDA|NVIDIA"):
        message.pin_memory()
    assert fw.Message({"s": ["a"]}).pin_memory() == fw.Message({"s": ["a"]})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnAGpu:
    def test_there_and_back_nothing_changes(self, message):
        there = message.cuda()
        assert set(devices(there).values()) == {"cuda"}
        assert there != message
        assert there.cpu() == message
        assert message.cuda(0) == message.cuda(torch.device("cuda", 0)) == message.to(0) == there

    def test_pinned_memory_is_copied_from_without_waiting(self, message):
        pinned = message.pin_memory()
        assert [pinned[name].is_pinned() for name in ("x", "z", "label")] == [True, True, True]
        assert message.pin_memory(columns="x")["x"].is_pinned()
        assert not message["x"].is_pinned()
        moved = pinned.to("cuda", non_blocking=True)
        torch.cuda.synchronize()
        assert moved.cpu() == message

    def test_columns_go_to_the_gpu_as_tensors(self, message):
        assert message.to_tensors("n", device="cuda")["n"].is_cuda
        assert message.cuda().to_dataframe()["label"].tolist() == [0, 1, 2]
        with pytest.raises(fw.errors.ColumnValueError, match="row 1: 2 is not exactly a bool"):
            fw.Message({"i": torch.tensor([1, 2]).cuda()}).to_tensors(dtype=torch.bool)
