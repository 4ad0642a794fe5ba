from __future__ import annotations

import enum
import json
import math
from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireworks.experiment.encoding import decode, encode

keys = st.text() | st.sampled_from(["$float", "$tuple", "$dict", "$"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
    | st.text("abc/.").map(Path)
    | st.datetimes()
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.dictionaries(st.integers() | st.tuples(st.booleans(), keys), inner)
    ),
    max_leaves=10,
)


def types(value):
    """The value with the type of every part written out: 1, 1.0 and True are equal, and 0.0 and -0.0."""
    match value:
        case dict():
            return {repr(key): types(item) for key, item in value.items()}
        case list() | tuple():
            return type(value), [types(item) for item in value]
    return type(value), repr(value)


@given(values)
def test_what_comes_back_is_what_went_in(value):
    assert types(decode(encode(value, where="value"))) == types(value)


def test_numbers_that_are_not_finite_are_kept():
    back = decode(encode([float("nan"), float("inf"), -float("inf")], where="value"))
    assert math.isnan(back[0])
    assert back[1:] == [math.inf, -math.inf]


def test_the_text_is_json_by_the_standard():
    def refuse(name):
        raise AssertionError(name)

    json.loads(encode({"a": [float("nan"), (float("inf"),)]}, where="value"), parse_constant=refuse)


def test_a_time_zone_is_kept_as_its_offset():
    noon = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert decode(encode([noon, noon.astimezone(UTC)], where="value")) == [noon, noon]
    assert decode(encode(noon, where="value")).utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float64(0.1), 0.1),
        (np.float16("inf"), math.inf),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
    ],
)
def test_a_numpy_scalar_becomes_the_python_value_that_equals_it(value, expected):
    back = decode(encode(value, where="value"))
    assert back == expected
    assert type(back) is type(expected)


class Colour(enum.IntEnum):
    RED = 1


class Pair(NamedTuple):
    a: int
    b: int


@pytest.mark.parametrize(
    "value",
    [
        {1},
        b"a",
        1j,
        object(),
        Colour.RED,
        Pair(1, 2),
        OrderedDict(a=1),
        PurePosixPath("a"),
        np.zeros(2),
        np.datetime64("2024-01-01"),
        np.longdouble(1),
        print,
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused(value):
    name = type(value).__name__
    with pytest.raises(TypeError, match=rf"^value is of type {name}, which can't be stored as JSON; pass None, bool"):
        encode(value, where="value")


def test_the_error_names_the_place():
    with pytest.raises(TypeError, match=r"^parameters\['model'\]\['layers'\]\[1\] is of type set,"):
        encode({"model": {"layers": [1, {2}]}}, where="parameters")
    with pytest.raises(TypeError, match=r"^parameters\[3\]\[0\] is of type set,"):
        encode({3: ({2},)}, where="parameters")
    with pytest.raises(TypeError, match=r"^key 1j of parameters is of type complex,"):
        encode({1j: 0}, where="parameters")


def test_an_unknown_tag_is_an_ordinary_dict():
    assert decode('{"$eval": "print(1)"}') == {"$eval": "print(1)"}
