"""Expressions are data: they print, parse back, compare, hash and pickle."""

import copy
import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given

from expressions import any_expression
from fireworks.core.expressions import (
    And,
    Arithmetic,
    Between,
    Column,
    Comparison,
    IsNull,
    Member,
    Not,
    Value,
    comparison,
    parse,
)

NAN = float("nan")


@given(any_expression())
def test_every_expression_prints_as_a_text_that_parses_to_it(expression):
    assert parse(str(expression)) == expression
    assert str(parse(str(expression))) == str(expression)


@given(any_expression())
def test_it_pickles_and_hashes_by_what_it_is(expression):
    again = pickle.loads(pickle.dumps(expression))
    assert again == expression
    assert hash(again) == hash(expression) == hash(copy.copy(expression))
    assert str(again) == str(expression)


class TestValue:
    @pytest.mark.parametrize(
        "missing", [None, NAN, np.nan, pd.NA, pd.NaT, np.float32("nan"), np.datetime64("NaT"), Decimal("nan")]
    )
    def test_everything_that_is_missing_is_null(self, missing):
        assert Value(missing) == Value(None)
        assert str(Value(missing)) == "null"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (np.int8(3), "3"),
            (np.bool_(True), "true"),
            (torch.tensor(3), "3"),
            (np.array(3), "3"),
            (np.str_("a"), "'a'"),
            (False, "false"),
            (0.5, "0.5"),
            (-float("inf"), "-inf"),
            (np.float32(0.5), "float32 '0.5'"),
            (np.datetime64("2024-01-31"), "timestamp '2024-01-31 00:00:00'"),
            (pd.Timedelta("90s"), "duration '0 days 00:01:30'"),
            (Decimal("1.10"), "decimal '1.10'"),
            (b"ab", "bytes '6162'"),
        ],
    )
    def test_values_are_pythons_and_pandas(self, value, text):
        assert str(Value(value)) == text
        assert type(parse(text).value) is type(Value(value).value)

    def test_values_of_other_types_are_other_values(self):
        assert len({Value(1), Value(True), Value(1.0), Value(Decimal(1)), Value("1")}) == 5
        assert Value(1) != Value(True)
        assert Value(1) != Value(1.0)
        assert Value(1) != 1

    @pytest.mark.parametrize(
        "many", [[1], (1, 2), {1}, np.array([1]), torch.tensor([1, 2]), pd.Series([1]), Column("x")]
    )
    def test_many_values_are_none(self, many):
        with pytest.raises(TypeError, match=r"(?s)filter: expected one value to compare with; got .* of type"):
            Value(many)


class TestNodes:
    def test_columns_are_named_once_in_order(self):
        assert parse("b + a > 0 and not (c in [1] or b between a and d)").columns == ("b", "a", "c", "d")
        assert parse("1 < 2").columns == ()

    def test_children_are_the_parts(self):
        both = parse("x > 0 and y is null")
        assert both.children == both.parts
        assert Member("in", Column("x"), (Value(1), Value(2))).children == (Column("x"), Value(1), Value(2))
        assert IsNull(Column("x")).children == (Column("x"),)
        assert Column("x").children == Value(1).children == ()

    @pytest.mark.parametrize(
        ("make", "known"),
        [
            (lambda: Comparison("=", Column("x"), Value(1)), r"\['==', '!='.*\]; got '='"),
            (lambda: Arithmetic("^", Column("x"), Value(1)), r"\['\+', '-'.*\]; got '\^'"),
            (lambda: Member("is in", Column("x"), ()), r"\['in', 'not in'\]; got 'is in'"),
        ],
    )
    def test_an_unknown_operator_is_an_error(self, make, known):
        with pytest.raises(ValueError, match=f"filter: expected one of the operators {known}"):
            make()

    @pytest.mark.parametrize("parts", [(), (Column("x"),)])
    def test_and_joins_at_least_two(self, parts):
        with pytest.raises(ValueError, match=f"'and' and 'or' join at least two conditions; got {len(parts)}"):
            And(parts)

    def test_the_one_who_binds_less_stands_in_parentheses(self):
        assert str(Not(parse("a or b"))) == "not (a or b)"
        assert str(Arithmetic("-", Column("a"), parse("b - c"))) == "a - (b - c)"
        assert str(Arithmetic("*", parse("a + b"), parse("-c"))) == "(a + b) * -c"
        assert str(Comparison("==", parse("a > 1"), parse("b"))) == "(a > 1) == b"


class TestComparison:
    @pytest.mark.parametrize(
        ("operator", "values", "text"),
        [
            ("==", (1,), "`a b` == 1"),
            ("in", ([1, None],), "`a b` in [1, null]"),
            ("not in", (np.array([1.5]),), "`a b` not in [1.5]"),
            ("in", (iter("ab"),), "`a b` in ['a', 'b']"),
            ("between", (1, NAN), "`a b` between 1 and null"),
            ("is null", (), "`a b` is null"),
            ("is not null", (), "`a b` is not null"),
        ],
    )
    def test_it_is_what_the_text_says(self, operator, values, text):
        assert str(comparison("a b", operator, values)) == text

    def test_what_is_wrong_is_said(self):
        with pytest.raises(ValueError, match=r"no operator '='; .* Did you mean '=='\?"):
            comparison("x", "=", (1,))
        with pytest.raises(ValueError, match="takes 2 values; got 1"):
            comparison("x", "between", (1,))
        with pytest.raises(TypeError, match="takes a list of values; got 3"):
            comparison("x", "in", (3,))
        with pytest.raises(TypeError, match=r"expected one value to compare with; got \[1\] of type list"):
            comparison("x", ">", ([1],))

    def test_between_of_three(self):
        assert comparison("x", "between", (1, 2)) == Between(Column("x"), Value(1), Value(2))
