"""Texts of filters, in the spellings of SQL and of Python; and every way to get one wrong."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
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
    parse,
)
from fireworks.errors import ExpressionError

A, B, C = Column("a"), Column("b"), Column("c")


class TestWhatIsRead:
    @pytest.mark.parametrize(
        ("text", "expression"),
        [
            ("a", A),
            ("`my column`", Column("my column")),
            ("`a``b`", Column("a`b")),
            ("`null`", Column("null")),
            ("größe_2", Column("größe_2")),
            ("date", Column("date")),
            ("a and b or c", Or((And((A, B)), C))),
            ("a AND NOT b", And((A, Not(B)))),
            ("a and (b and c)", And((A, And((B, C))))),
            ("not a == b", Not(Comparison("==", A, B))),
            ("a + b * c - 1", Arithmetic("-", Arithmetic("+", A, Arithmetic("*", B, C)), Value(1))),
            ("a // b % c", Arithmetic("%", Arithmetic("//", A, B), C)),
            ("-a * +b", Arithmetic("*", Negative(A), B)),
            ("-1", Value(-1)),
            ("-inf", Value(float("-inf"))),
            ("-(1)", Negative(Value(1))),
            ("0 < a <= b", And((Comparison("<", Value(0), A), Comparison("<=", A, B)))),
            ("a BETWEEN 1 AND b + 1", Between(A, Value(1), Arithmetic("+", B, Value(1)))),
            ("a not between 1 and 2 and b", And((Not(Between(A, Value(1), Value(2))), B))),
            ("a is null", IsNull(A)),
            ("a IS NOT NULL", IsNull(A, negated=True)),
            ("a is not None", IsNull(A, negated=True)),
            ("a in (1, -2.5, 'x', null, true)", Member("in", A, tuple(map(Value, (1, -2.5, "x", None, True))))),
            ("a not in [1,]", Member("not in", A, (Value(1),))),
            ("a in []", Member("in", A, ())),
            ("(a > b) == c", Comparison("==", Comparison(">", A, B), C)),
            ("a == nan", Comparison("==", A, Value(None))),
        ],
    )
    def test_as_it_was_meant(self, text, expression):
        assert parse(text) == expression

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("12", 12),
            ("1_000", 1000),
            ("9007199254740993", 2**53 + 1),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("1.5E-3", 0.0015),
            ("'it''s'", "it's"),
            ('"it\'s"', "it's"),
            (r"'it\'s'", "it's"),
            (r"'\n\t\\\x41\u00fc\U0001f525'", "\n\t\\Aü🔥"),
            (r"'C:\dir'", r"C:\dir"),
            ("''", ""),
            ("''''", "'"),
            ("True", True),
            ("FALSE", False),
            ("None", None),
            ("DATE '2024-01-31'", dt.date(2024, 1, 31)),
            ("timestamp '2024-01-31 10:00'", pd.Timestamp("2024-01-31 10:00")),
            ("duration '90s'", pd.Timedelta(seconds=90)),
        ],
    )
    def test_values(self, text, value):
        assert parse(text) == Value(value)

    @given(st.text())
    def test_any_text_between_quotes_comes_back(self, text):
        assert parse(repr(text)) == Value(text)
        assert parse("'" + text.replace("\\", "\\\\").replace("'", "''") + "'") == Value(text)

    @given(st.text(max_size=20))
    def test_nothing_but_an_expression_or_its_error_comes_out(self, text):
        try:
            found = parse(text)
        except ExpressionError as error:
            found = error
        if isinstance(found, ExpressionError):
            assert 0 <= found.place <= len(text)
            assert str(found).endswith("^")
        else:
            assert parse(str(found)) == found


ERRORS = {
    "x = 1": (2, r"expected an operator such as == or 'and'; got '='\. Did you mean '=='\?"),
    "x === 1": (2, r"got '==='\. Did you mean '=='\?"),
    "x <> 1": (2, r"got '<>'\. Did you mean '!='\?"),
    "x => 1": (2, r"got '=>'\. Did you mean '>='\?"),
    "x =< 1": (2, r"got '=<'\. Did you mean '<='\?"),
    "x && y": (2, r"got '&&'\. Did you mean 'and'\?"),
    "(x > 1) & y": (8, r"expected an operator such as == or 'and'; got '&'\. Did you mean 'and'\?"),
    "x || y": (2, r"got '\|\|'\. Did you mean 'or'\?"),
    "x | y": (2, r"got '\|'\. Did you mean 'or'\?"),
    "!x": (0, r"expected a column or a value; got '!'\. Did you mean 'not'\?"),
    "~x": (0, r"got '~'\. Did you mean 'not'\?"),
    "x ** 2": (2, r"got '\*\*'\.$"),
    "x isnull": (2, r"got 'isnull'\. Did you mean 'is null'\?"),
    "x > 1 y": (6, r"expected an operator such as == or 'and'; got 'y'\."),
    "x >": (3, r"expected a column or a value; got the end\."),
    "": (0, r"expected a column or a value; got the end\."),
    "x > and y": (4, r"expected a column or a value; got 'and'\."),
    "(x > 1": (6, r"expected '\)' to close the parenthesis, or an operator; got the end\."),
    "x > 1)": (5, r"got '\)'\."),
    "x is 3": (5, r"expected 'null' behind 'is'; got '3'\."),
    "x in y": (5, r"expected a list such as \[1, 2\] behind 'in'; got 'y'\."),
    "x in [1 2]": (8, r"expected ',' or '\]' behind a value of the list; got '2'\."),
    "x in (1, y)": (9, r"expected a number, a text or another value in the list, not a column; got 'y'\."),
    "x in [1": (7, r"expected ',' or '\]' behind a value of the list; got the end"),
    "x between 1 or 2": (12, r"expected 'and' between the two limits; got 'or'\."),
    "0 < x in [1]": (0, r"a comparison stands in parentheses before another operator\."),
    "lower(x) == 'a'": (0, r"'lower' looks like a function, and there are none; pass a function to filter"),
    "3x > 1": (0, r"expected a number; got '3x'\. A column whose name begins with a digit stands between backticks"),
    "x.y > 1": (1, r"'\.' means nothing here\. A column whose name has other signs"),
    "x > 'abc": (4, r"expected ' at the end of a text that begins here\."),
    'x > "abc': (4, r'expected " at the end of a text that begins here\.'),
    "`x > 1": (0, r"expected ` at the end of a name that begins here\."),
    "x > date '2024-13-01'": (4, r"'2024-13-01' is no date: "),
    "x > decimal 'a'": (4, r"'a' is no decimal: "),
    "(" * 60 + "x" + ")" * 60: (51, r"expected at most 50 operators within or behind each other; write a function"),
    "x" + " + x" * 60 + " > 1": (204, r"expected at most 50 operators"),
    "not " * 60 + "x": (204, r"expected at most 50 operators"),
    "-" * 60 + "x": (51, r"expected at most 50 operators"),
}


class TestWhatIsWrong:
    @pytest.mark.parametrize("text", ERRORS)
    def test_it_says_what_was_expected_and_marks_the_place(self, text):
        place, problem = ERRORS[text]
        with pytest.raises(ExpressionError, match=f"filter: .*{problem.removesuffix('$')}") as caught:
            parse(text)
        assert caught.value.place == place
        assert str(caught.value).splitlines()[-2:] == [f"    {text}", "    " + " " * place + "^"]
        assert isinstance(caught.value, ValueError)

    def test_only_the_line_of_the_place_is_shown(self):
        with pytest.raises(ExpressionError) as caught:
            parse("x > 1\n and y = 2\n and z > 3")
        assert str(caught.value).splitlines()[-2:] == ["     and y = 2", "           ^"]

    def test_it_takes_a_text(self):
        with pytest.raises(TypeError, match=r"filter: expected a text such as 'x > 0'; got 3 of type int"):
            parse(3)
