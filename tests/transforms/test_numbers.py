"""Numbers are computed and compared as Python's own integers, floats and fractions are."""

import math
import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.transforms.numbers import array_of, compare, compare_with_value, compute, is_one_of

SIGNS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
int64 = st.integers(-(2**63), 2**63 - 1)
some_int64 = st.sampled_from([-(2**63), 2**63 - 1, -1, 0, 1, 2, 2**53 + 1, -(2**53) - 1]) | int64 | st.integers(-9, 9)
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def arrays(elements, dtype):
    return st.lists(elements, min_size=3, max_size=3).map(lambda values: np.array(values, dtype=dtype))


numbers = st.one_of(
    arrays(some_int64, np.int64),
    arrays(st.integers(0, 2**64 - 1), np.uint64),
    arrays(st.integers(-128, 127), np.int8),
    arrays(st.booleans(), bool),
    arrays(finite, np.float64),
    arrays(finite, np.float32),
    arrays(some_int64 | st.fractions(max_denominator=9), object),
)


@given(st.sampled_from(list(SIGNS)), numbers, numbers)
@settings(max_examples=500, deadline=None)
def test_computing_is_pythons(sign, left, right):
    known = np.ones(3, dtype=bool)
    result, is_known = compute(sign, left, right, known)
    for a, b, c, there in zip(left.tolist(), right.tolist(), result.tolist(), is_known.tolist(), strict=True):
        if b == 0 and sign in {"/", "//", "%"}:
            assert not there
            continue
        expected = SIGNS[sign](a, b)
        if isinstance(expected, float):
            assert c == pytest.approx(expected, rel=1e-15, abs=0) or not there
        else:
            assert c == expected


@given(st.sampled_from(list(COMPARISONS)), numbers, numbers)
@settings(max_examples=500, deadline=None)
def test_comparing_is_pythons(sign, left, right):
    expected = [COMPARISONS[sign](a, b) for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    assert compare(sign, left, right).tolist() == expected


@given(st.sampled_from(list(COMPARISONS)), arrays(some_int64, np.int64), some_int64 | finite | st.integers())
def test_an_integer_compares_with_a_value_exactly(sign, left, value):
    assert compare_with_value(sign, left, value).tolist() == [COMPARISONS[sign](a, value) for a in left.tolist()]


@given(numbers, st.lists(some_int64 | finite | st.sampled_from(["1", math.inf, 2**70, Fraction(1, 2)]), max_size=4))
def test_being_one_of_a_list_is_pythons(values, listed):
    assert is_one_of(values, listed).tolist() == [value in listed for value in values.tolist()]


def test_a_division_that_no_float_holds_is_unknown_or_infinite():
    assert array_of(2**70).dtype == object
    result, known = compute("*", np.array([1e300]), np.array([1e300]), np.array([True]))
    assert (result.tolist(), known.tolist()) == ([math.inf], [True])


def test_the_least_integer_divided_by_minus_one():
    least, known = np.array([-(2**63)]), np.array([True])
    assert compute("//", least, np.array([-1]), known)[0].tolist() == [2**63]
    assert compute("%", least, np.array([-1]), known)[0].tolist() == [0]


def test_big_integers_compare_with_nan_in_silence():
    assert compare("<", np.array([2**62]), np.array([math.nan])).tolist() == [False]


def test_what_is_unknown_does_no_harm():
    known = np.array([True, False])
    result, is_known = compute("/", np.array([6, 1]), np.array([3, 0]), known)
    assert (result[0], is_known.tolist()) == (2.0, [True, False])
