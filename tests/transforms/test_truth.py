"""What an expression says of rows is what SQL says: SQLite, polars and pandas are the judges."""

import datetime as dt
import sqlite3
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from expressions import conditions, rows
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
from fireworks.errors import ColumnNotFoundError, ColumnTypeError
from fireworks.transforms.truth import require_condition, truth

NAN = float("nan")
NAMES = ["n", "m", "w", "v", "word", "flag"]


def message(table):
    n, m, w, v, word, flag = map(list, zip(*table, strict=True))
    return fw.Message(
        {
            "n": pd.array(n, dtype="Int64"),
            "m": pd.array(m, dtype="int8[pyarrow]"),
            "w": torch.tensor([NAN if x is None else x for x in w], dtype=torch.float64),
            "v": np.array([NAN if x is None else x for x in v]),
            "word": pd.array(word, dtype="str"),
            "flag": pd.array(flag, dtype="boolean"),
        }
    )


def answers(expression, rows):
    """Return True, False or None for each row."""
    found = truth(expression, rows)
    assert not (found.true & found.false).any()
    return [True if t else False if f else None for t, f in zip(found.true, found.false, strict=True)]


def of(text, **columns):
    return answers(parse(text), fw.Message(columns))


# --- the same as SQL --------------------------------------------------------------------------------------------------


def as_sql(expression, values):
    """Write an expression as SQLite reads it; every value becomes a parameter."""

    def write(part):
        return as_sql(part, values)

    match expression:
        case Column(name):
            return f'"{name}"'
        case Value(value):
            values.append(value)
            return "?"
        case Arithmetic("/", left, right):
            return f"(cast({write(left)} as real) / {write(right)})"
        case Arithmetic(operator, left, right) | Comparison(operator, left, right):
            return f"({write(left)} {operator} {write(right)})"
        case Negative(operand):
            return f"(- {write(operand)})"
        case Member(operator, operand, listed):
            return f"({write(operand)} {operator} ({', '.join(map(write, listed))}))"
        case Between(operand, low, high):
            return f"({write(operand)} between {write(low)} and {write(high)})"
        case And(parts) | Or(parts):
            return "(" + (" and " if isinstance(expression, And) else " or ").join(map(write, parts)) + ")"
        case IsNull(operand, negated):
            return f"({write(operand)} is {'not ' * negated}null)"
        case Not(operand):
            return f"(not {write(operand)})"


@given(conditions(), rows())
@settings(max_examples=400, deadline=None)
def test_sqlite_says_the_same(expression, table):
    values = []
    clause = as_sql(expression, values)
    connection = sqlite3.connect(":memory:")
    # without types, for SQLite would turn integers into texts to compare them with texts
    connection.execute(f"create table t ({', '.join(NAMES)})")
    connection.executemany("insert into t values (?, ?, ?, ?, ?, ?)", table)
    found = [row[0] for row in connection.execute(f"select {clause} from t order by rowid", values)]
    connection.close()
    assert answers(expression, message(table)) == [None if answer is None else bool(answer) for answer in found]


def in_polars(expression):
    match expression:
        case Column(name):
            return pl.col(name)
        case Value(value):
            return pl.lit(value)
        case Comparison(operator, left, right) | Arithmetic(operator, left, right):
            names = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
            names |= {"+": "add", "-": "sub", "*": "mul"}
            return getattr(in_polars(left), names[operator])(in_polars(right))
        case IsNull(operand, negated):
            return in_polars(operand).is_not_null() if negated else in_polars(operand).is_null()
        case And(parts):
            return pl.all_horizontal(*map(in_polars, parts))
        case Or(parts):
            return pl.any_horizontal(*map(in_polars, parts))
        case Not(operand):
            return ~in_polars(operand)


@pytest.mark.parametrize(
    "text",
    [
        "m > 0 and v < 1",
        "m > 0 or v < 1",
        "not (m > 0 and (v < 1 or word == 'a'))",
        "m + v * 2 >= 1 or word is null",
        "not (m + 1 > v) or flag",
        "flag and not (v is null) or m != 1",
    ],
)
def test_polars_keeps_the_same_rows(text):
    table = [
        (0, m, 0.0, v, word, flag)
        for m in (None, 0, 1)
        for v in (None, 0.0, 1.5)
        for word in (None, "a")
        for flag in (None, True, False)
    ]
    frame = pl.DataFrame(table, schema=NAMES, orient="row")
    expected = frame.select(kept=in_polars(parse(text)))["kept"].to_list()
    assert answers(parse(text), message(table)) == expected


@pytest.mark.parametrize(
    "text",
    ["m // 2 == -1", "m % 3 == 2", "m / 2 == 1.5", "-m % 4 >= v // 2", "(m > 1) == (v < 0)", "word in ['a'] or m > 2"],
)
def test_pandas_query_keeps_the_same_rows_where_nothing_is_missing(text):
    frame = pd.DataFrame({"m": range(-5, 6), "v": np.linspace(-2, 2, 11), "word": list("abcabcabcab")})
    assert answers(parse(text), fw.Message(frame)) == frame.eval(text).tolist()


# --- unknown ----------------------------------------------------------------------------------------------------------


class TestUnknown:
    def test_false_and_unknown_is_false_true_or_unknown_is_true(self):
        flags = pd.array([True, False, None] * 3, dtype="boolean")
        others = pd.array([True] * 3 + [False] * 3 + [None] * 3, dtype="boolean")
        assert of("a and b", a=flags, b=others) == [True, False, None, False, False, False, None, False, None]
        assert of("a or b", a=flags, b=others) == [True, True, True, True, False, None, True, None, None]
        assert of("not a", a=flags[:3]) == [False, True, None]

    def test_what_is_divided_by_zero_is_unknown(self):
        for sign in ("/", "//", "%"):
            assert of(f"1 {sign} n > -9", n=[0, 1]) == [None, True]
            assert of(f"w {sign} n > -9", n=[0, 1], w=[1.5, 1.5]) == [None, True]

    def test_what_a_computation_makes_nan_is_unknown(self):
        assert of("w - w == 0", w=[float("inf"), 1.0]) == [None, True]
        assert of("(w - w) is null", w=[float("inf"), 1.0]) == [True, False]

    def test_a_condition_that_is_unknown_is_null(self):
        assert of("(n > 1) is null", n=pd.array([None, 1, 2], dtype="Int64")) == [True, False, False]

    def test_between_is_false_where_one_limit_says_so(self):
        assert of("n between null and 3", n=[1, 5]) == [None, False]
        assert of("n not between null and 3", n=[1, 5]) == [None, True]

    def test_a_list_with_a_null(self):
        assert of("n in [1, null]", n=[1, 2]) == [True, None]
        assert of("n not in [1, null]", n=[1, 2]) == [False, None]
        assert of("n not in []", n=pd.array([1, None], dtype="Int64")) == [True, None]
        assert of("3 in [1, 3]", n=[1]) == [True]

    def test_a_column_of_nothing_but_null_is_unknown_whatever_its_type(self):
        for column in ([None, None], pd.array([None, None], dtype="null[pyarrow]"), np.array([NAN, NAN])):
            assert of("n > 1", n=column) == of("n", n=column) == of("n + 1 > 2", n=column) == [None, None]
            assert of("n == 'a' or n is null", n=column) == [True, True]

    def test_null_is_no_condition_that_holds(self):
        assert of("null", n=[1]) == [None]
        assert of("true", n=[1]) == [True]
        assert of("false or n == 1", n=[1]) == [True]


# --- types ------------------------------------------------------------------------------------------------------------

BIG = 2**53 + 1
SOME = [1, None, 3]
NUMBER_COLUMNS = {
    "numpy": np.array([1.0, NAN, 3.0]),
    "nullable": pd.array(SOME, dtype="Int64"),
    "arrow": pd.array(SOME, dtype="int64[pyarrow]"),
    "arrow decimal": pd.array([Decimal(1), None, Decimal(3)], dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
    "objects": pd.array(SOME, dtype=object),
    "decimals": pd.array([Decimal(1), None, Decimal(3)], dtype=object),
    "categories": pd.Categorical([1, None, 3]),
    "sparse": pd.arrays.SparseArray([1.0, NAN, 3.0]),
    "tensor": torch.tensor([1.0, NAN, 3.0]),
    "half": torch.tensor([1.0, NAN, 3.0], dtype=torch.bfloat16),
    "eight bits": torch.tensor([1.0, NAN, 3.0]).to(torch.float8_e4m3fn),
    "tensor with gradients": torch.tensor([1.0, NAN, 3.0], requires_grad=True),
}


class TestNumbers:
    @pytest.mark.parametrize("kind", NUMBER_COLUMNS)
    @pytest.mark.parametrize(
        "text", ["x > 2", "2 < x", "x in [3, 'a']", "x + 1 == 4", "x * 2 > x + 2", "x > y", "x == 3.0", "-x < -2"]
    )
    def test_of_every_kind_of_column(self, kind, text):
        assert of(text, x=NUMBER_COLUMNS[kind], y=[2, 2, 2]) == [False, None, True]

    @pytest.mark.parametrize(
        "column",
        [
            np.array([BIG, BIG - 1]),
            torch.tensor([BIG, BIG - 1]),
            pd.array([BIG, BIG - 1], dtype="Int64"),
            pd.array([BIG, BIG - 1], dtype="uint64[pyarrow]"),
            pd.array([BIG, BIG - 1], dtype=object),
        ],
    )
    def test_integers_beyond_two_to_the_53_are_exact(self, column):
        assert of(f"n == {BIG}", n=column) == of(f"n in [{BIG}, 0.5]", n=column) == [True, False]
        assert of("n == 9007199254740992.0", n=column) == of("n in [9007199254740992.0]", n=column) == [False, True]
        assert of("n > w", n=column, w=[2.0**53] * 2) == [True, False]
        assert of(f"n * 1024 * 1024 * 1024 == {BIG * 2**30}", n=column) == [True, False]
        assert of("n - 9007199254740990 == 3", n=column) == [True, False]

    def test_a_value_may_stand_first(self):
        assert of("1 < n", n=[0, 1, 2]) == of("n > 1", n=[0, 1, 2]) == [False, False, True]
        assert of("1 >= n", n=[0, 1, 2]) == of("n <= 1", n=[0, 1, 2]) == [True, True, False]
        assert of("1 == n", n=[0, 1, 2]) == [False, True, False]

    def test_small_integers_do_not_wrap_around(self):
        assert of("n + n == 200", n=np.array([100, 1], dtype=np.int8)) == [True, False]
        assert of("n - 1 < 0", n=np.array([0, 2], dtype=np.uint64)) == [True, False]
        assert of("n < 1000", n=np.array([0, 2], dtype=np.int8)) == [True, True]

    def test_a_number_of_the_text_has_the_precision_of_the_column(self):
        assert of("x == 0.1", x=torch.tensor([0.1, 0.2])) == [True, False]
        assert of("x == float64 '0.1'", x=torch.tensor([0.1, 0.2])) == [False, False]
        assert of("x < 1e60", x=torch.tensor([0.1, 0.2])) == [True, True]
        assert of(f"x < {10**400}", x=[0.1]) == of(f"x < {10**400}", x=[1]) == [True]

    def test_booleans_count(self):
        assert of("flag == 1 and flag + flag == 2", flag=[True, False]) == [True, False]
        assert of("flag", flag=torch.tensor([True, False])) == [True, False]
        assert of("flag", flag=pd.array([True, None, False], dtype=object)) == [True, None, False]


class TestTextsAndTimes:
    @pytest.mark.parametrize(
        "dtype", ["str", "string", "string[pyarrow]", object, "category", pd.ArrowDtype(pa.large_string())]
    )
    def test_texts(self, dtype):
        words = pd.Series(["b", None, "a"], dtype=dtype)
        assert of("word == 'a'", word=words) == of("word in ['a', 'z']", word=words) == [False, None, True]
        assert of("word != other", word=words, other=["b", "b", "b"]) == [False, None, True]
        if dtype != "category":
            assert (
                of("word < 'b'", word=words) == of("word < other", word=words, other=["b"] * 3) == [False, None, True]
            )

    def test_a_number_is_no_text(self):
        assert of("n == 'a'", n=[1]) == of("n in ['a']", n=[1]) == [False]
        assert of("n != 'a'", n=[1]) == [True]

    @pytest.mark.parametrize(
        "dtype", ["datetime64[ns]", "datetime64[s]", "timestamp[us][pyarrow]", "date32[day][pyarrow]"]
    )
    @pytest.mark.parametrize(
        "text",
        [
            "day > '2021-06-01'",
            "day > date '2021-06-01'",
            "day >= timestamp '2022-01-01 00:00:00'",
            "day in ['2022-01-01']",
            "day in [date '2022-01-01']",
            "day > other",
        ],
    )
    def test_dates(self, dtype, text):
        days = pd.Series(pd.to_datetime(["2020-01-01", None, "2022-01-01"])).astype(dtype)
        other = pd.to_datetime(["2021-06-01"] * 3)
        assert of(text, day=days, other=other) == [False, None, True]

    def test_objects_that_are_dates(self):
        days = pd.array([dt.date(2020, 1, 1), None], dtype=object)
        assert of("day < date '2021-01-01'", day=days) == [True, None]

    def test_instants_with_a_zone(self):
        days = pd.to_datetime(["2020-01-01 12:00", None]).tz_localize("Europe/Berlin")
        assert of("day == '2020-01-01 12:00'", day=days) == [True, None]
        assert of("day == timestamp '2020-01-01 11:00+00:00'", day=days) == [True, None]

    def test_durations_are_added_and_subtracted(self):
        start = pd.to_datetime(["2020-01-01", None, "2020-01-01"])
        end = pd.to_datetime(["2020-01-02", "2020-01-02", "2020-01-04"])
        assert of("end - start > duration '2 days'", start=start, end=end) == [False, None, True]
        assert of("start + duration '1 day' == end", start=start, end=end) == [True, None, False]
        assert of("date '2020-01-05' - end <= '1 days'", start=start, end=end) == [False, False, True]

    def test_values_of_the_text_alone(self):
        assert of("timestamp '2020-01-01' == date '2020-01-01' and 1 < 2.5 and 'a' < 'b'", n=[1]) == [True]


class TestWhatIsWrong:
    def test_a_column_is_not_there(self):
        with pytest.raises(ColumnNotFoundError, match="no column 'm'; columns are"):
            of("m > 1", n=[1])

    def test_a_tensor_of_several_values_per_row(self):
        with pytest.raises(ColumnTypeError, match=r"column 'x' is a tensor of \(2, 3\) per row, .*; pass a function"):
            of("x + 1 > 0", x=torch.zeros(4, 2, 3))

    @pytest.mark.parametrize(
        ("text", "types"),
        [
            (
                "n < 'a'",
                r"filter: 'n < 'a'' makes no sense, for 'n' is int64: 'a' is no number\. Pass a function: filter",
            ),
            ("word > 3", r"'word > 3' makes no sense, for 'word' is str: "),
            ("word > n", r"'word > n' makes no sense, for 'word' is str and 'n' is int64: "),
            ("word + 1 == 2", r"'word \+ 1' makes no sense, for 'word' is str: '\+' takes numbers, or instants"),
            ("-word == 2", r"'-word' makes no sense, for 'word' is str: '-' takes numbers"),
            ("day * 2 > day", r"'day \* 2' makes no sense, for 'day' is datetime64\[\w+\]: '\*' takes numbers"),
            ("day + day > day", r"'day \+ day' makes no sense, for 'day' is datetime64"),
            ("day > 'soon'", r"'day > 'soon'' makes no sense, for 'day' is datetime64"),
            ("1 < 'a'", r"makes no sense, for there is no column in it: "),
        ],
    )
    def test_types_that_do_not_go_together(self, text, types):
        with pytest.raises(ColumnTypeError, match=types):
            of(text, n=[1], word=["a"], day=pd.to_datetime(["2020-01-01"]))

    @pytest.mark.parametrize("text", ["n + 1", "-n", "3", "'a'", "flag and n + 1", "not (flag or 'a')"])
    def test_what_is_no_condition_is_found_without_rows(self, text):
        with pytest.raises(
            TypeError, match=r"filter: '.*' is a value, not true or false, and a filter keeps .*compare it"
        ):
            require_condition(parse(text))

    @pytest.mark.parametrize("text", ["n", "flag and not n"])
    def test_a_column_that_is_not_boolean(self, text):
        with pytest.raises(
            ColumnTypeError, match=r"filter: 'n' is int64, not true or false, .* true; compare it: 'n > 0'\."
        ):
            of(text, n=[1], flag=[True])
        with pytest.raises(ColumnTypeError, match="filter: 'n' is str, not true or false"):
            of(text, n=["a"], flag=[True])
