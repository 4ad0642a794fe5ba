"""State as JSON and tensors: exact in type and value, or an error that names the place."""

import enum
import json
import math
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.core.encoding import put_together, take_apart
from fireworks.errors import StateError

DTYPES = [
    *(torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32),
    *(torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
    *(torch.float8_e4m3fn, torch.float8_e5m2),
]
NUMPY_TYPES = [np.bool_, np.int8, np.uint16, np.int32, np.uint64, np.float16, np.float32, np.float64]


def through_files(state):
    """Take a state apart, write it as text and bytes, read these, and put it together."""
    tensors = {}
    text = json.dumps(take_apart(state, "it", tensors), allow_nan=False)
    return put_together(json.loads(text), safetensors.torch.load(safetensors.torch.save(tensors)))


def raw(tensor):
    plain = tensor.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return bytes(plain.untyped_storage())


def same(one, other):
    """Equal in type and value; NaN equals NaN, and dicts keep their order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and raw(one) == raw(other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same([*one.items()], [*other.items()])
    if isinstance(one, (float, np.floating)):
        return (one == other and math.copysign(1, one) == math.copysign(1, other)) or (one != one and other != other)
    return one == other


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    made = torch.randint(
        0, 2**8, (*shape, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))
    )
    dtype = draw(st.sampled_from(DTYPES))
    tensor = made.to(torch.bool)[..., 0] if dtype == torch.bool else made.view(dtype)[..., 0]
    form = draw(st.sampled_from(["as it is", "transposed", "strided", "expanded", "conjugate"]))
    if form == "transposed" and tensor.dim() > 1:
        return tensor.transpose(0, 1)
    if form == "strided" and tensor.dim():
        return tensor[::2]
    if form == "expanded":
        return tensor.expand(2, *tensor.shape)
    return tensor.conj() if form == "conjugate" and tensor.is_complex() else tensor


numbers = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(2**70, 2**80), st.floats(), st.sampled_from([-0.0, math.inf])
)
numpy_numbers = st.builds(
    lambda kind, value: kind(value), st.sampled_from(NUMPY_TYPES), st.integers(0, 100) | st.just(1)
) | st.builds(np.float32, st.floats(width=32))
keys = st.one_of(
    st.text(max_size=3), st.integers(), st.sampled_from(["$", "$tensor", "$map", "$float", "1", "a/b", "__metadata__"])
)
states = st.recursive(
    numbers | numpy_numbers | st.text(max_size=3) | tensors(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys | st.tuples(st.integers(), st.text(max_size=2)) | st.none(), inner, max_size=3),
    ),
    max_leaves=12,
)


class TestComesBack:
    @given(states)
    @settings(deadline=None, max_examples=300)
    def test_any_nested_state_is_exact_in_type_and_value(self, state):
        assert same(through_files(state), state)

    @pytest.mark.parametrize("dtype", DTYPES, ids=str)
    def test_every_common_dtype(self, dtype):
        tensor = torch.tensor([0, 1, 1, 0]).to(dtype)
        assert same(through_files(tensor), tensor)

    @pytest.mark.parametrize("shape", [(), (0,), (1, 0, 3), (1, 1, 1)], ids=str)
    def test_tensors_of_unusual_shapes(self, shape):
        assert same(through_files(torch.ones(shape)), torch.ones(shape))

    def test_tensors_that_share_memory_come_back_whole(self):
        whole = torch.arange(6.0)
        state = {"whole": whole, "part": whole[2:4], "same": whole, "turned": whole.reshape(2, 3).T}
        assert same(through_files(state), state)

    def test_a_conjugate_is_stored_as_it_reads(self):
        conjugate = torch.tensor([1 + 2j]).conj()
        assert through_files(conjugate).tolist() == [1 - 2j]
        assert through_files(conjugate.imag).tolist() == [-2]  # it keeps its sign as a flag

    @pytest.mark.parametrize(
        "state",
        [
            {"$tensor": "it"},
            {"$map": []},
            {"$tuple": [1]},
            {"$float": "nan"},
            {"$": {"$": 1}},
            {"a": 1, "$tensor": 2},
            {1: "int", "1": "text", 1.5: "float", True + 1: "another"},
            {None: 0, (1, "a"): 1, math.inf: 2},
        ],
        ids=repr,
    )
    def test_keys_that_look_like_tags_or_are_no_text(self, state):
        assert same(through_files(state), state)

    def test_tensors_under_places_that_read_alike_stay_apart(self):
        state = {"a/b": torch.zeros(1), "a": {"b": torch.ones(1), 1: torch.full((1,), 2), "1": torch.full((1,), 3)}}
        assert same(through_files(state), state)

    def test_numbers_at_the_edge(self):
        state = [2**200, -(2**63), 5e-324, 1.7976931348623157e308, -0.0, 0.1 + 0.2, np.float32(0.1), np.float64(0.1)]
        assert same(through_files(state), state)

    def test_a_counter_of_a_scheduler_stays_a_counter(self):
        back = through_files({"milestones": Counter({3: 2, 5: 1})})
        assert same(back, {"milestones": Counter({3: 2, 5: 1})})
        assert sorted(back["milestones"].elements()) == [3, 3, 5]

    def test_an_ordered_dict_comes_back_as_a_dict(self):
        assert same(through_files(OrderedDict(a=1, b=2)), {"a": 1, "b": 2})

    def test_a_parameter_comes_back_as_a_tensor(self):
        back = through_files(torch.nn.Parameter(torch.ones(2)))
        assert type(back) is torch.Tensor
        assert not back.requires_grad

    def test_what_is_taken_apart_is_a_copy(self):
        tensor, found = torch.zeros(3), {}
        take_apart({"w": tensor}, "net", found)
        tensor += 1
        assert found["net/w"].tolist() == [0, 0, 0]


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


class TestRefuses:
    @pytest.mark.parametrize(
        "value",
        [
            *(object(), b"bytes", 1j, {1}, frozenset(), range(3), Path("a"), len, np.zeros(2), np.longdouble(1)),
            *(np.datetime64("2024-01-01"), np.timedelta64(1, "s"), np.complex64(1), np.str_("a"), torch.float32),
            *(torch.device("cpu"), torch.Size([1]), Point(1, 2), Colour.RED, Text("a"), defaultdict(list)),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_another_type_is_an_error_that_names_the_place(self, value):
        for state, place in (({"a": [0, (value,)]}, "it/a/1/0"), (OrderedDict(b=value), "it/b")):
            with pytest.raises(
                StateError, match=f"^{place}: a value of type {type(value).__name__} can't be saved; a state"
            ):
                take_apart(state, "it", {})

    @pytest.mark.parametrize(
        ("make", "kind"),
        [
            (lambda: torch.eye(2).to_sparse(), r"torch\.float32, torch\.sparse_coo, on cpu"),
            (lambda: torch.zeros(2, device="meta"), r"torch\.float32, torch\.strided, on meta"),
            (lambda: torch.zeros(2, dtype=torch.complex128), r"torch\.complex128, torch\.strided, on cpu"),
        ],
        ids=["sparse", "meta", "complex128"],
    )
    def test_a_tensor_that_no_file_holds_is_an_error_that_names_the_place(self, make, kind):
        with pytest.raises(StateError, match=f"it/w: a tensor of {kind} can't be saved; a state holds dense tensors"):
            take_apart({"w": make()}, "it", {})

    @pytest.mark.parametrize("key", [torch.zeros(1), (1, torch.zeros(1))], ids=["tensor", "tuple"])
    def test_a_tensor_as_a_key_is_an_error(self, key):
        with pytest.raises(StateError, match="it/a: a key of this dict holds a tensor"):
            take_apart({"a": {key: 1}}, "it", {})

    def test_a_key_of_another_type_is_an_error(self):
        with pytest.raises(StateError, match="it/key: a value of type bytes can't be saved"):
            take_apart({b"k": 1}, "it", {})
