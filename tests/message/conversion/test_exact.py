"""Numbers change their type only where no value changes: judged here by Python's own exact comparison of numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fireworks.message.conversion.exact import (
    MisfitError,
    as_shared_tensor,
    exact,
    exact_tensor,
    from_numpy,
    numpy_dtype,
    numpy_of,
)

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
EDGES = [
    *(sign * (2**power + step) for power in (0, 7, 8, 11, 15, 16, 24, 31, 32, 53, 63, 64) for step in (-1, 0, 1) for sign in (1, -1)),
    *(0, 0.5, -0.5, 1e-8, 65504.0, 65520.0, 3.4028235e38, 1e39, 1e300, math.inf, -math.inf, math.nan, 0.1),
]  # fmt: skip


def holds(value, dtype):
    """Tell by Python's arithmetic whether a type has exactly this value."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return math.isfinite(value) and value == int(value) and int(limits.min) <= int(value) <= int(limits.max)
    if dtype.kind == "b":
        return value in {0, 1}
    if isinstance(value, float) and not math.isfinite(value):
        return True
    with np.errstate(all="ignore"):
        try:
            back = dtype.type(value).real.item()
        except OverflowError:
            return False
    return back == value  # Python compares an int with a float exactly


def source(value, dtype):
    return np.array([value], dtype=dtype)


@pytest.mark.parametrize("target", ["bool", *INTEGERS, *FLOATS, "complex64", "complex128"])
@pytest.mark.parametrize("origin", ["bool", *INTEGERS, *FLOATS, "complex64", "complex128"])
def test_every_edge_of_every_type_is_kept_or_refused(origin, target):
    origin, target = np.dtype(origin), np.dtype(target)
    for value in EDGES:
        if not holds(value, origin):
            continue
        known = source(value, origin)[0].item()
        plain = known.real if isinstance(known, complex) else known
        if holds(plain, target):
            (result,) = exact(source(value, origin), target)
            assert result.dtype == target
            assert result == known or (np.isnan(result) and math.isnan(plain))
        else:
            with pytest.raises(MisfitError) as caught:
                exact(source(value, origin), target)
            assert caught.value.position == 0
            assert caught.value.value == known or math.isnan(plain)


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from([*INTEGERS, *FLOATS]))
def test_any_integer_is_kept_or_refused(value, target):
    try:
        (result,) = exact(np.array([value]), np.dtype(target))
    except MisfitError:
        assert not holds(value, np.dtype(target))
    else:
        assert result.item() == value


@given(st.floats(), st.sampled_from([*INTEGERS, *FLOATS]))
def test_any_float_is_kept_or_refused(value, target):
    try:
        (result,) = exact(np.array([value]), np.dtype(target))
    except MisfitError:
        assert not holds(value, np.dtype(target))
    else:
        assert result.item() == value or math.isnan(value)


def test_the_first_value_that_does_not_fit_is_named():
    with pytest.raises(MisfitError) as caught:
        exact(np.array([1, 2, 300, 4, 500]), np.dtype("int8"))
    assert (caught.value.position, caught.value.value, caught.value.why) == (2, 300, "")


def test_an_imaginary_part_is_never_dropped():
    for imaginary in (1.0, math.nan):
        with pytest.raises(MisfitError):
            exact(np.array([complex(1, imaginary)]), np.dtype("float64"))
    with pytest.raises(MisfitError):
        exact(np.array([complex(0, 0.1)]), np.dtype("complex64"))


def test_the_same_type_is_the_same_array():
    values = np.arange(3)
    assert exact(values, np.dtype("int64")) is values


class TestTensors:
    @pytest.mark.parametrize(
        ("dtype", "fits", "does_not"),
        [
            (torch.bfloat16, [0.0, 1.5, -(2.0**100), math.inf, math.nan], [0.1, 257.0, 2.0**128]),
            (torch.float8_e4m3fn, [0.0, 448.0, -1.125, math.nan], [449.0, 1.06, math.inf]),
            (torch.float8_e5m2, [0.0, 57344.0, 1.25, math.inf, math.nan], [57345.0, 1.1]),
            (torch.float8_e8m0fnu, [1.0, 2.0**100, math.nan], [0.0, -1.0, 3.0]),
            (torch.float16, [65504.0, 0.5], [65505.0, 0.1]),
            (torch.float64, [0.1, 1e300], []),
            (torch.int8, [-128.0, 127.0], [128.0, 0.5, math.nan]),
            (torch.uint64, [2.0**63], [2.0**64, -1.0]),
            (torch.bool, [0.0, 1.0], [2.0, 0.5, math.nan]),
            (torch.complex32, [1.5], [0.1]),
            (torch.complex64, [1.5, math.inf], [0.1]),
        ],
        ids=str,
    )
    def test_values_of_numpy_go_to_any_type_of_torch_that_holds_them(self, dtype, fits, does_not):
        tensor = from_numpy(np.array(fits), dtype)
        assert tensor.dtype == dtype
        assert [str(value) for value in tensor.to(torch.complex128).tolist()] == [str(complex(value)) for value in fits]
        for value in does_not:
            for convert in (
                lambda values: from_numpy(values, dtype),
                lambda values: exact_tensor(torch.from_numpy(values), dtype),
            ):
                with pytest.raises(MisfitError) as caught:
                    convert(np.array([*fits, value]))
                assert caught.value.position == len(fits)
                assert caught.value.value == value or math.isnan(value)

    def test_a_tensor_of_any_shape_is_checked_element_by_element(self):
        tensor = torch.tensor([[[1.0], [2.0]], [[3.0], [4.5]]])
        with pytest.raises(MisfitError) as caught:
            exact_tensor(tensor, torch.int64)
        assert caught.value.position == 3
        assert exact_tensor(tensor[:1], torch.int64).tolist() == [[[1], [2]]]

    def test_it_stays_known_to_autograd(self):
        leaf = torch.ones(2, requires_grad=True)
        exact_tensor(leaf, torch.float64).sum().backward()
        assert leaf.grad.tolist() == [1.0, 1.0]

    def test_on_the_meta_device_there_is_nothing_to_check(self):
        tensor = torch.zeros(2, 3, device="meta")
        assert exact_tensor(tensor, torch.int8).dtype == torch.int8
        with pytest.raises(TypeError, match=r"^A tensor on the meta device has no values\.$"):
            numpy_of(tensor)

    def test_the_same_type_is_the_same_tensor(self):
        tensor = torch.zeros(2, dtype=torch.bfloat16)
        assert exact_tensor(tensor, torch.bfloat16) is tensor

    def test_numbers_that_numpy_lacks_are_named(self):
        for dtype in (torch.quint8, torch.float4_e2m1fn_x2):
            with pytest.raises(TypeError, match=rf"^NumPy has no numbers like {dtype}\.$"):
                numpy_dtype(dtype)


class TestSharing:
    def test_a_tensor_and_its_array_share_memory_where_the_types_are_one(self):
        values = np.arange(4.0)
        assert as_shared_tensor(values).data_ptr() == values.ctypes.data
        assert from_numpy(values, torch.float64).data_ptr() == values.ctypes.data
        tensor = torch.arange(4).to(torch.uint16)
        assert numpy_of(tensor).ctypes.data == tensor.data_ptr()
        assert numpy_of(torch.ones(1, requires_grad=True)).tolist() == [1.0]

    def test_a_read_only_array_is_shared_without_a_warning(self):
        values = np.arange(4)
        values.flags.writeable = False
        assert as_shared_tensor(values).data_ptr() == values.ctypes.data
        assert as_shared_tensor(values[:0]).shape == (0,)

    def test_arrays_that_torch_can_not_read_are_copied(self):
        assert as_shared_tensor(np.arange(3)[::-1]).tolist() == [2, 1, 0]
        assert as_shared_tensor(np.array([1, 256], dtype=">i4")).tolist() == [1, 256]
