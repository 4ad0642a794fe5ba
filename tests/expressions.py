"""Random expressions over the columns n, m (integers), w, v (floats), word and flag, for tests of several folders."""

import datetime as dt
from decimal import Decimal

import pandas as pd
from hypothesis import strategies as st

from fireworks.core.expressions import (
    And,
    Arithmetic,
    Between,
    Column,
    Comparison,
    IsNull,
    Member,
    Negative,
    Not,
    Or,
    Value,
)

COMPARISON_SIGNS = ("==", "!=", "<", "<=", ">", ">=")

integers = st.integers(-5, 5) | st.integers(-(2**62), 2**62) | st.sampled_from([2**53, 2**53 + 1])
floats = st.sampled_from([0.0, 0.5, -1.5, 2.0, 2.0**53, float("inf")]) | st.floats(-9, 9, width=16)
words = st.sampled_from(["", "a", "b", "ab", "it's", "ü"])


def values(of):
    return st.builds(Value, of | st.none())


def joined(conditions):
    parts = st.lists(conditions, min_size=2, max_size=3).map(tuple)
    return st.builds(And, parts) | st.builds(Or, parts) | st.builds(Not, conditions)


def conditions(signs=("+", "-", "*", "/")):
    """Return conditions whose arithmetic is on small numbers only: the integers of SQLite end at 64 bits."""
    small = (
        st.sampled_from([Column("m"), Column("v")]) | values(st.integers(-4, 4)) | values(st.sampled_from([0.5, -2.0]))
    )
    computed = st.recursive(
        small,
        lambda inner: st.builds(Arithmetic, st.sampled_from(signs), inner, inner) | st.builds(Negative, inner),
        max_leaves=3,
    )
    numbers = st.sampled_from([Column("n"), Column("w")]) | values(integers) | values(floats) | computed
    texts = st.just(Column("word")) | values(words)
    tests = st.one_of(
        *[st.builds(Comparison, st.sampled_from(COMPARISON_SIGNS), side, side) for side in (numbers, texts)],
        *[st.builds(Between, side, side, side) for side in (numbers, texts)],
        st.builds(IsNull, numbers | texts, st.booleans()),
        members(numbers, values(integers | floats)),
        members(texts, values(words)),
    )
    return st.recursive(st.just(Column("flag")) | values(st.booleans()) | tests, joined, max_leaves=5)


def members(operand, listed):
    several = st.lists(listed, min_size=1, max_size=3).map(tuple)
    return st.builds(Member, st.sampled_from(["in", "not in"]), operand, several)


def rows():
    """Return lists of rows, each a tuple of n, m, w, v, word, flag with None for what is null."""
    row = st.tuples(
        integers | st.none(),
        st.integers(-5, 5) | st.none(),
        floats | st.none(),
        st.sampled_from([0.0, 1.0, -2.5]) | st.none(),
        words | st.none(),
        st.booleans() | st.none(),
    )
    return st.lists(row, min_size=1, max_size=6)


def any_expression():
    """Return expressions of every kind, whether they make sense or not."""
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.binary(max_size=3),
        st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)),
        st.datetimes(pd.Timestamp("1700").to_pydatetime(), pd.Timestamp("2200").to_pydatetime()),
        st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999)),
        st.decimals(allow_nan=False).map(Decimal),
        st.just(pd.Timestamp("2024-01-31 10:00:00.000000001", tz="UTC")),
    )
    value = st.builds(Value, plain)
    column = st.builds(
        Column, st.text(min_size=1, max_size=4) | st.sampled_from(["x", "a b", "in", "`", "NULL", "date"])
    )

    def larger(inner):
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(
            st.builds(Arithmetic, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner, inner),
            st.builds(Negative, inner),
            st.builds(Comparison, st.sampled_from(COMPARISON_SIGNS), inner, inner),
            st.builds(Member, st.sampled_from(["in", "not in"]), inner, st.lists(value, max_size=3).map(tuple)),
            st.builds(Between, inner, inner, inner),
            st.builds(IsNull, inner, st.booleans()),
            st.builds(And, several),
            st.builds(Or, several),
            st.builds(Not, inner),
        )

    return st.recursive(value | column, larger, max_leaves=8)
