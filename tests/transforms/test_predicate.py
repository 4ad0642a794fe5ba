"""A comparison means what it means in SQL: null and NaN are unknown. SQLite itself is the judge."""

import sqlite3

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError
from fireworks.transforms.predicate import condition

NUMBERS = [3, None, -1, 0, 7, None, 3, 2]
WORDS = ["b", None, "a", "", "c", None, "b", "bb"]
NAN = float("nan")


def floats(values):
    return [NAN if value is None else float(value) for value in values]


NUMBER_COLUMNS = {
    "numpy floats with nan": np.array(floats(NUMBERS)),
    "list of floats": floats(NUMBERS),
    "nullable ints": pd.array(NUMBERS, dtype="Int64"),
    "nullable floats": pd.array(NUMBERS, dtype="Float64"),
    "arrow ints": pd.array(NUMBERS, dtype="int64[pyarrow]"),
    "arrow floats": pd.array(NUMBERS, dtype="double[pyarrow]"),
    "objects": pd.array(NUMBERS, dtype=object),
    "float tensor": torch.tensor(floats(NUMBERS)),
    "float64 tensor": torch.tensor(floats(NUMBERS), dtype=torch.float64),
    "half tensor": torch.tensor(floats(NUMBERS), dtype=torch.float16),
    "bfloat16 tensor": torch.tensor(floats(NUMBERS), dtype=torch.bfloat16),
    "tensor with gradients": torch.tensor(floats(NUMBERS), requires_grad=True),
}
WORD_COLUMNS = {
    "list": WORDS,
    "str": pd.array(WORDS, dtype="str"),
    "string": pd.array(WORDS, dtype="string"),
    "arrow": pd.array(WORDS, dtype="string[pyarrow]"),
    "objects": pd.array(WORDS, dtype=object),
}
NUMBER_VALUES = [
    *[(op, value) for op in ("==", "!=", "<", "<=", ">", ">=") for value in (3, 0, -5, 2.5, None)],
    *[(op, listed) for op in ("in", "not in") for listed in ([3], [3, -1, 99], [99], [3, None], [None])],
    *[("between", low, high) for low, high in [(0, 3), (3, 3), (4, 1), (None, 3), (0, None)]],
    ("is null",),
    ("is not null",),
]
WORD_VALUES = [
    *[(op, value) for op in ("==", "!=", "<", "<=", ">", ">=") for value in ("b", "", "zz", None)],
    *[(op, listed) for op in ("in", "not in") for listed in (["b"], ["a", "c", "zz"], ["b", None])],
    *[("between", low, high) for low, high in [("a", "b"), ("b", "b"), (None, "b")]],
    ("is null",),
    ("is not null",),
]


def in_sqlite(values, comparison):
    """Return which rows a WHERE clause keeps."""
    operator, *operands = comparison
    if operator in ("in", "not in"):
        (operands,) = operands
        clause = f"c {operator} ({', '.join('?' * len(operands))})"
    elif operator == "between":
        clause = "c between ? and ?"
    elif operands:
        clause = f"c {operator} ?"
    else:
        clause = f"c {operator}"
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table t (row integer, c)")
        connection.executemany("insert into t values (?, ?)", enumerate(values))
        kept = {row for (row,) in connection.execute(f"select row from t where {clause}", operands)}
    connection.close()
    return [row in kept for row in range(len(values))]


def kept(column, comparison):
    return condition("c", *comparison)(fw.Message({"c": column})).tolist()


def as_text(comparison):
    return " ".join(map(str, comparison))


class TestAgainstSqlite:
    @pytest.mark.parametrize("comparison", NUMBER_VALUES, ids=as_text)
    @pytest.mark.parametrize("kind", NUMBER_COLUMNS)
    def test_numbers(self, kind, comparison):
        assert kept(NUMBER_COLUMNS[kind], comparison) == in_sqlite(NUMBERS, comparison)

    @pytest.mark.parametrize("comparison", WORD_VALUES, ids=as_text)
    @pytest.mark.parametrize("kind", WORD_COLUMNS)
    def test_words(self, kind, comparison):
        assert kept(WORD_COLUMNS[kind], comparison) == in_sqlite(WORDS, comparison)

    @pytest.mark.parametrize("comparison", NUMBER_VALUES, ids=as_text)
    @pytest.mark.parametrize(
        "column", [np.array([3, -1, 0, 7]), torch.tensor([3, -1, 0, 7]), np.array([3, -1, 0, 7], dtype=np.int8)]
    )
    def test_columns_that_can_hold_no_null(self, column, comparison):
        assert kept(column, comparison) == in_sqlite([3, -1, 0, 7], comparison)

    @pytest.mark.parametrize("value", [None, NAN, pd.NA, np.nan, pd.NaT])
    def test_every_null_to_compare_with_is_unknown(self, value):
        for operator in ("==", "!=", "<", ">="):
            assert not any(kept(np.array([1.0, 2.0]), (operator, value)))
        assert not any(kept(np.array([1.0, 2.0]), ("not in", [1.0, value])))

    @pytest.mark.parametrize("comparison", [c for c in WORD_VALUES if c[0][0] not in "<>b"], ids=as_text)
    def test_categories_are_equal_or_not(self, comparison):
        assert kept(pd.Categorical(WORDS), comparison) == in_sqlite(WORDS, comparison)

    def test_dates_compare_too(self):
        days = pd.to_datetime(["2020-01-01", None, "2022-01-01"])
        assert kept(days, (">", pd.Timestamp("2021-01-01"))) == [False, False, True]
        assert kept(days, ("!=", pd.Timestamp("2020-01-01"))) == [False, False, True]
        assert kept(days, ("is null",)) == [False, True, False]

    def test_booleans_compare_too(self):
        assert kept(pd.array([True, None, False], dtype="boolean"), ("!=", True)) == [False, False, True]
        assert kept(torch.tensor([True, False]), ("==", True)) == [True, False]


class TestEmptyLists:
    def test_nothing_is_in_no_list(self):
        assert kept(NUMBER_COLUMNS["nullable ints"], ("in", [])) == [False] * len(NUMBERS)

    def test_what_is_known_is_not_in_it_and_what_is_null_is_dropped(self):
        # Here engines disagree (SQLite keeps null); ours follow the one rule.
        assert kept(NUMBER_COLUMNS["nullable ints"], ("not in", [])) == [value is not None for value in NUMBERS]


class TestHowItIsWritten:
    @pytest.mark.parametrize(
        ("operator", "hint"),
        [
            ("=", r" Did you mean '=='\?"),
            ("<>", r" Did you mean '!='\?"),
            ("isnull", r" Did you mean 'is null'\?"),
            ("~", ""),
        ],
    )
    def test_an_unknown_operator_is_named_with_the_nearest(self, operator, hint):
        with pytest.raises(ValueError, match=rf"filter: no operator {operator!r}; operators are \['==', .*\]\.{hint}$"):
            condition("c", operator, 1)

    @pytest.mark.parametrize(
        ("comparison", "takes"),
        [(("==",), 1), (("<", 1, 2), 1), (("in", 1, 2), 1), (("between", 1), 2), (("is null", None), 0)],
    )
    def test_the_wrong_number_of_values_is_an_error(self, comparison, takes):
        with pytest.raises(
            ValueError, match=rf"filter: 'c' {comparison[0]} takes {takes} values; got {len(comparison) - 1}"
        ):
            condition("c", *comparison)

    def test_a_column_of_several_values_per_row_is_an_error(self):
        with pytest.raises(
            ColumnTypeError, match=r"column 'c' is a tensor of \(2, 3\) per row, .* pass a function: filter"
        ):
            kept(torch.zeros(4, 2, 3), (">", 0))

    @pytest.mark.parametrize("listed", [3, "abc", None])
    def test_in_takes_a_list(self, listed):
        with pytest.raises(TypeError, match=r"filter: 'c' in takes a list of values; got"):
            condition("c", "in", listed)

    @pytest.mark.parametrize(
        "listed", [(3, 7), {3, 7}, np.array([3, 7]), torch.tensor([3, 7]), pd.Series([3, 7]), iter([3, 7])]
    )
    def test_a_list_of_any_kind_will_do_for_every_block(self, listed):
        predicate = condition("c", "in", listed)
        for _ in range(2):
            assert predicate(fw.Message({"c": [7, 8]})).tolist() == [True, False]
