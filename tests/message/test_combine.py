import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import SchemaMismatchError
from message.strategies import messages

ONE = "convert one of them first"
TENSOR = ".to_tensors('x') or .to_dataframe('x') converts one of them"


@settings(deadline=None, max_examples=60)
@given(messages(), st.lists(st.integers(0, 8), max_size=4))
def test_slices_joined_again_are_the_message(message, cuts):
    bounds = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    parts = [message[start:stop] for start, stop in itertools.pairwise(bounds)]
    assert fw.concat(parts) == message
    assert fw.concat(iter(parts)) == message


@settings(deadline=None, max_examples=60)
@given(messages(min_rows=1, min_columns=1), st.data())
def test_rows_joined_in_any_order_are_the_rows_taken_in_that_order(message, data):
    positions = data.draw(st.lists(st.integers(0, len(message) - 1), min_size=1, max_size=9))
    assert fw.concat([message[i] for i in positions]) == message[positions]


@settings(deadline=None, max_examples=60)
@given(messages(), st.integers(1, 4))
def test_concat_agrees_with_pandas(message, times):
    frames = [message.to_pandas()] * times
    assert fw.concat([message] * times) == fw.Message(pd.concat(frames, ignore_index=True))


def test_the_first_message_sets_the_order_of_the_columns():
    one, other = fw.Message({"a": [1], "b": [2]}), fw.Message({"b": [3], "a": [4]})
    assert fw.concat([one, other]).to_dict() == {"a": [1, 4], "b": [2, 3]}
    assert fw.concat([one, other]).columns == ["a", "b"]


def test_messages_without_columns_are_passed_over():
    message = fw.Message({"a": [1]})
    assert fw.concat([fw.Message(), message, fw.Message(), message])["a"].tolist() == [1, 1]
    assert fw.concat([]) == fw.concat([fw.Message()]) == fw.Message()


def test_the_result_is_a_message_of_its_own():
    message = fw.Message({"x": torch.zeros(2), "n": np.zeros(2)})
    alone, twice = fw.concat([message]), fw.concat([message, message])
    alone["new"] = [1, 2]
    twice["x"].add_(1)
    twice.raw("n")[:] = 1
    assert message == fw.Message({"x": torch.zeros(2), "n": np.zeros(2)})


def test_equal_categories_in_another_order_go_together():
    one = fw.Message({"c": pd.Categorical(["a", "b"], categories=["a", "b"])})
    other = fw.Message({"c": pd.Categorical(["a", "b"], categories=["b", "a"])})
    assert fw.concat([one, other])["c"].tolist() == ["a", "b", "a", "b"]


class TestItems:
    def test_anything_that_a_message_is_made_of_can_be_joined(self):
        message = fw.Message({"x": torch.zeros(1), "n": [1]})
        items = [message, {"x": torch.ones(1), "n": [2]}, message.to_pandas(), [{"x": torch.tensor(5.0), "n": 4}]]
        assert fw.concat(items).to_dict() == {"x": [0.0, 1.0, 0.0, 5.0], "n": [1, 2, 1, 4]}
        assert message.append({"x": torch.ones(1), "n": [2]})["n"].tolist() == [1, 2]

    def test_nothing_is_no_item(self):
        with pytest.raises(
            TypeError, match=r"^concat: item 1 is None; expected a message, or what fw\.Message can be made of\.$"
        ):
            fw.concat([fw.Message({"x": [1]}), None])

    def test_a_message_is_joined_from_its_rows(self):
        message = fw.Message({"x": [1, 2]})
        assert fw.concat(message) == message


class TestColumns:
    @pytest.mark.parametrize(
        ("others", "problem"),
        [
            ({"a": [1]}, "message 2 has columns ['a'], message 1 has ['a', 'b']; it lacks ['b']."),
            (
                {"a": [1], "b": [2], "c": [3]},
                "message 2 has columns ['a', 'b', 'c'], message 1 has ['a', 'b']; it alone has ['c'].",
            ),
            (
                {"a": [1], "c": [3]},
                "message 2 has columns ['a', 'c'], message 1 has ['a', 'b']; it lacks ['b'] and it alone has ['c'].",
            ),
        ],
    )
    def test_other_columns_are_an_error_that_shows_both(self, others, problem):
        with pytest.raises(SchemaMismatchError) as caught:
            fw.concat([fw.Message(), fw.Message({"a": [1], "b": [2]}), fw.Message(others)])
        assert str(caught.value) == f"concat: {problem}"

    @pytest.mark.parametrize(
        ("one", "other", "first", "second", "remedy"),
        [
            (torch.zeros(1), torch.zeros(1).double(), "float32 tensor on cpu", "float64 tensor on cpu", ONE),
            (torch.zeros(1).int(), torch.zeros(1).long(), "int32 tensor on cpu", "int64 tensor on cpu", ONE),
            (torch.zeros(1, 2), torch.zeros(1, 3), "float32[2] tensor on cpu", "float32[3] tensor on cpu", ONE),
            (torch.zeros(1, 2), torch.zeros(0), "float32[2] tensor on cpu", "float32 tensor on cpu", ONE),
            (torch.zeros(0), torch.zeros(1, 2), "float32 tensor on cpu", "float32[2] tensor on cpu", ONE),
            (torch.zeros(1), torch.zeros(1, device="meta"), "float32 tensor on cpu", "float32 tensor on meta", ONE),
            (torch.zeros(1).double(), [0.0], "float64 tensor on cpu", "float64", TENSOR),
            ([0.0], torch.zeros(1).double(), "float64", "float64 tensor on cpu", TENSOR),
            ([1], [1.0], "int64", "float64", ONE),
            ([True], [1], "bool", "int64", ONE),
            (["a"], [1], "str", "int64", ONE),
            (["a"], pa.array(["a"]), "str", "string[pyarrow]", ONE),
            (["a"], pd.Categorical(["a"]), "str", "category", ONE),
        ],
    )
    def test_types_that_do_not_go_together_are_shown_both(self, one, other, first, second, remedy):
        with pytest.raises(SchemaMismatchError) as caught:
            fw.concat([fw.Message(), fw.Message({"x": one}), fw.Message({"x": one}), fw.Message({"x": other})])
        assert str(caught.value) == (
            f"concat: column 'x' differs: {first!r} in message 1, {second!r} in message 3; {remedy}."
        )

    def test_types_of_one_name_are_told_apart_by_their_long_names(self):
        one, other = (fw.Message({"c": pd.Categorical([value], ordered=True)}) for value in "ab")
        with pytest.raises(
            SchemaMismatchError, match=r"(?s)column 'c' differs: .*\['a'\].* in message 0, .*\['b'\].* in message 1"
        ):
            fw.concat([one, other])

    def test_a_failed_join_changes_nothing(self):
        one, other = fw.Message({"a": [1], "x": torch.zeros(1)}), fw.Message({"a": [2], "x": torch.zeros(1, 2)})
        with pytest.raises(SchemaMismatchError):
            one.append(other)
        assert one == fw.Message({"a": [1], "x": torch.zeros(1)})

    def test_what_torch_says_of_its_own_is_not_hidden(self, monkeypatch):
        def no_memory(tensors):
            raise torch.OutOfMemoryError("no memory is left")

        monkeypatch.setattr(torch, "cat", no_memory)
        with pytest.raises(torch.OutOfMemoryError, match="no memory is left"):
            fw.concat([fw.Message({"x": torch.zeros(1)})] * 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_message_on_a_gpu_does_what_it_does_on_the_cpu():
    tensor = torch.tensor([[1.0, float("nan")], [2.0, 3.0], [4.0, 5.0]])
    here, there = fw.Message({"x": tensor, "n": [1, 2, 3]}), fw.Message({"x": tensor.cuda(), "n": [1, 2, 3]})
    for key in (1, slice(0, 2), [2, 0, 0], torch.tensor([True, False, True]), torch.tensor([2, 1]).cuda()):
        part = there[key]
        assert part["x"].is_cuda
        assert part.assign(x=part["x"].cpu()) == here[key]
    assert here != there
    assert there == fw.concat([there[:1], there[1:]])
    with pytest.raises(SchemaMismatchError, match=r"on cpu' in message 0, .* on cuda:0' in message 1"):
        fw.concat([here, there])
    assert "on cuda:0" in repr(there)
    assert there.to_pandas()["x"].isna().tolist() == [True, False, False]
    assert there.to_pandas()["x"].mean().tolist() == [3.0, 4.0]
    assert (there.to_pandas()["x"] > 1).tolist() == [False, True, True]
