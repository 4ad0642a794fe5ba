"""The database and the ordinary `Filter` must keep the same rows; nothing here is checked against our own SQL alone."""

import operator

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.comparisons import NUM_VALUES
from fireworks.database import TablePipe
from fireworks.database.conditions import MAX_LISTED, make_condition
from fireworks.database.db_pipe import DBPipe
from fireworks.database.types import ColumnType
from fireworks.errors import ColumnTypeError
from fireworks.transforms import predicate

NAN = float("nan")
ROWS = fw.Message(
    {
        "n": [3, 1, 2, 3, -4, 2**53 + 1],
        "maybe": pd.array([3, None, 2, None, 0, 7], dtype="Int64"),
        "w": [0.1, NAN, -1.5, np.inf, 0.0, NAN],
        "single": np.array([0.1, NAN, 0.25, 1e9, -0.0, 3], dtype=np.float32),
        "null": pd.array([0.1, None, 0.25, None, 2.0, 3.0], dtype="Float64"),
        "flag": [True, False, True, False, True, False],
        "unsure": pd.array([True, None, False, None, True, False], dtype="boolean"),
        "word": ["fire", None, "", "Fire", "ünï", "works"],
        "day": pd.to_datetime(
            ["2024-01-05", None, "2024-01-06 12:00:00.5", "1999-12-31", "2024-01-05", "2030"], format="ISO8601"
        ),
        "zoned": pd.to_datetime(
            ["2024-01-05", None, "2024-07-06 12:00", "1999-12-31", "2024-01-05", "2030"], format="ISO8601"
        ).tz_localize("Europe/Berlin"),
        "took": pd.to_timedelta([1, None, 2.5, 0, -1, 3600], unit="s"),
    }
)
VALUES = {
    "n": [3, 2.5, 1, -4, 2**70, True],
    "maybe": [3, 0, 2.5],
    "w": [0.1, 0, -1.5, np.inf],
    "single": [0.1, 0.25, 0, np.float64(0.1), np.float32(0.1)],
    "null": [0.1, 2, 0.25],
    "flag": [True, False],
    "unsure": [True, False],
    "word": ["fire", "", "works", "g", "ü"],
    "day": [
        "2024-01-05",
        "2024-01-06 12:00:00.500",
        pd.Timestamp("2024-01-06 12:00:00.500000001"),
        np.datetime64("2029"),
    ],
    "zoned": ["2024-01-05", "2024-07-06 12:00", pd.Timestamp("2024-07-06 10:00", tz="UTC")],
    "took": [pd.Timedelta("1s"), pd.Timedelta("2500ms"), np.timedelta64(0, "s")],
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("conditions") / "data.db"
    with TablePipe("rows", path) as table:
        table.insert(ROWS)
    return table


def cases():
    for column, values in VALUES.items():
        for comparison, num_values in NUM_VALUES.items():
            if num_values == 0:
                yield column, comparison, ()
            elif comparison in {"in", "not in"}:
                yield from ((column, comparison, (some,)) for some in (values[:2], [values[-1], None], [NAN], []))
            elif comparison == "between":
                yield from ((column, comparison, (low, high)) for low in values[:2] for high in (values[0], None))
            else:
                yield from ((column, comparison, (value,)) for value in [*values, None, NAN])


@pytest.mark.parametrize(("column", "comparison", "values"), list(cases()))
def test_the_database_keeps_the_rows_that_filter_keeps(table, column, comparison, values):
    pushed = table.query().filter(column, comparison, *values)
    assert isinstance(pushed, DBPipe)
    assert pushed.to_message() == fw.Filter(fw.source(ROWS), column, comparison, *values).to_message()


@given(
    rows=st.lists(st.floats(width=32) | st.none(), max_size=8),
    comparison=st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    value=st.floats(allow_nan=False),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_any_float_compares_alike(tmp_path, rows, comparison, value):
    message = fw.Message({"w": np.array([NAN if row is None else row for row in rows], dtype=np.float64)})
    with TablePipe.create("rows", tmp_path / "data.db", message, if_exists="replace") as table:
        table.insert(message)
        kept = [row for row in rows if row is not None and row == row and _compares(row, comparison, value)]
        assert table.filter("w", comparison, value).to_message()["w"].tolist() == kept


def _compares(row, comparison, value):
    names = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
    return getattr(operator, names[comparison])(row, value)


def test_values_are_bound_and_never_part_of_the_query(table):
    evil = "'; DROP TABLE rows; --"
    assert len(table.filter("word", "==", evil)) == 0
    assert len(table.filter("word", "not in", [evil, '"'])) == 5
    assert len(table) == 6


def test_an_unknown_operator_names_the_nearest():
    with pytest.raises(ValueError, match=r"filter: no operator 'is not nul'.*Did you mean 'is not null'"):
        make_condition("n", ColumnType("integer", "int64"), "is not nul", ())


@pytest.mark.parametrize(("spelling", "operator"), [("=", "=="), ("<>", "!=")])
def test_the_operators_of_another_language_are_translated(spelling, operator):
    with pytest.raises(ValueError, match=f"no operator '{spelling}'.*Did you mean '{operator}'"):
        make_condition("n", ColumnType("integer", "int64"), spelling, (1,))
    with pytest.raises(ValueError, match=f"no operator '{spelling}'.*Did you mean '{operator}'"):
        predicate.condition("n", spelling, 1)


@pytest.mark.parametrize(("comparison", "values"), [("between", (1,)), ("is null", (1,)), ("==", ())])
def test_the_number_of_values_is_the_operators(comparison, values):
    with pytest.raises(ValueError, match=f"'n' {comparison} takes {NUM_VALUES[comparison]} values; got {len(values)}"):
        make_condition("n", ColumnType("integer", "int64"), comparison, values)


@pytest.mark.parametrize("values", [3, "abc", b"abc"])
def test_in_takes_a_list(values):
    said = f"^filter: 'n' in takes a list of values; got {values!r}"
    with pytest.raises(TypeError, match=said) as error:
        make_condition("n", ColumnType("text", "str"), "in", (values,))
    assert type(error.value) is TypeError
    with pytest.raises(TypeError, match=said):
        predicate.condition("n", "in", values)


def test_a_list_has_an_end():
    make_condition("n", ColumnType("integer", "int64"), "in", (range(MAX_LISTED),))
    with pytest.raises(ValueError, match=r"at most 10,000 values; got 10,001. Pass a function"):
        make_condition("n", ColumnType("integer", "int64"), "in", (range(MAX_LISTED + 1),))


def test_the_longest_list_fits_into_a_query(table):
    assert len(table.filter("n", "in", range(MAX_LISTED))) == 4


def test_a_tensor_column_is_refused_whatever_the_operator():
    for comparison, values in [("is null", ()), ("in", ([1],)), (">", (1,))]:
        with pytest.raises(ColumnTypeError, match=r"'x' is int64 tensor, stored as bytes"):
            make_condition("x", ColumnType("tensor", "int64"), comparison, values)


def test_a_list_may_be_a_tensor_or_an_array(table):
    assert len(table.filter("n", "in", np.array([1, 2]))) == 2
    assert len(table.filter("n", "in", torch.tensor([1, 2]).tolist())) == 2
