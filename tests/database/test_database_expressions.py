"""Expressions as SQL: the database answers what memory would, or is not asked."""

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import torch
from hypothesis import HealthCheck, given, settings

import fireworks as fw
from fireworks.core.expressions import parse
from fireworks.database import DBPipe, TablePipe
from fireworks.database.expressions import to_sql

NUM_ROWS = 40


def message():
    n = NUM_ROWS
    return fw.Message(
        {
            "i": np.arange(n) - 20,
            "k": pd.array([None if i % 4 == 0 else i % 11 for i in range(n)], dtype="Int64"),
            "f": [None if i % 7 == 0 else i / 4 for i in range(n)],
            "single": np.arange(n, dtype=np.float32) / 10,
            "big": np.arange(n, dtype=np.uint64),
            "b": [i % 3 == 0 for i in range(n)],
            "s": [None if i % 9 == 0 else ("ä", "a", "B", "b\x00c")[i % 4] for i in range(n)],
            "day": pd.date_range("2024-01-01", periods=n),
            "x": torch.arange(n),
        }
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("expressions") / "t.db"
    with TablePipe("t", path) as table:
        table.insert(message())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "i > 3",
        "i != -2 and f < 5",
        "not (f >= 2 or k == 3)",
        "k is null",
        "f is not null",
        "i between -3 and 4",
        "k in [1, 2, 10]",
        "k not in [1, 2, 10]",
        "f in [1, 2.5]",
        "b == true",
        "b != true",
        "s == 'a'",
        "s < 'b'",
        "s in ['ä', 'B']",
        "not s == 'a'",
        "f == 2",
    ],
)
def test_the_database_finds_the_rows_that_memory_keeps(address, text):
    found = DBPipe("t", address).find(parse(text), None)
    assert message().take(found) == fw.source(message()).filter(text).to_message()


@pytest.mark.parametrize(
    "text",
    [
        "i + 1 > 3",
        "i > k",
        "single == 0.1",
        "big > 3",
        "i > 2.5",
        "i > 99999999999999999999",
        "f > 9007199254740993",
        "b > false",
        "b == 1",
        "s == 3",
        "i == '3'",
        "i > null",
        "i in [1, null]",
        "i in []",
        "day > timestamp '2024-01-05'",
        "b",
        "-i > 3",
        "x > 3",
        "id > 3",
    ],
)
def test_what_might_mean_something_else_is_not_handed_over(address, text):
    pipe = DBPipe("t", address)
    assert to_sql(parse(text), pipe._layout) is None
    assert pipe.find(parse(text), None) is None


def test_texts_are_compared_in_sqlite_only(address):
    layout = DBPipe("t", address)._layout
    assert to_sql(parse("s == 'a'"), layout, dialect="mysql") is None
    assert to_sql(parse("i == 1"), layout, dialect="mysql") is not None


def test_columns_that_something_else_made_are_not_handed_over(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/o.db")
    with engine.begin() as connection:
        connection.execute(sa.text("create table o (id integer primary key, n integer)"))
        connection.execute(sa.text("insert into o (n) values (1), ('two'), (3)"))
    assert DBPipe("o", tmp_path / "o.db", ["n"]).find(parse("n > 1"), None) is None


COMPARISONS = st.one_of(
    st.builds("{} {} {}".format, st.just("i"), st.sampled_from(["==", "<", ">=", "!="]), st.integers(-25, 25)),
    st.builds(
        "{} {} {}".format,
        st.just("f"),
        st.sampled_from(["==", "<", ">=", "!="]),
        st.integers(-3, 12).map(lambda n: n / 2),
    ),
    st.builds("{} is {}null".format, st.sampled_from(["k", "f", "s"]), st.sampled_from(["", "not "])),
    st.builds("k {}in {}".format, st.sampled_from(["", "not "]), st.lists(st.integers(0, 12), min_size=1, max_size=4)),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=CONDITIONS)
def test_null_is_unknown_in_both_however_conditions_are_joined(address, text):
    found = DBPipe("t", address, order_by="f", descending=True)
    expected = found.to_message()
    with fw.optimisation(False):
        kept = fw.source(expected).filter(text).to_message()
    assert found.to_message().take(found.find(parse(text), None)) == kept


def test_rows_are_places_in_the_snapshot(address, tmp_path):
    pipe = DBPipe("t", address).filter("i", ">", 0)
    found = pipe.find(parse("i < 5"), None)
    assert pipe.to_message().take(found)["i"].tolist() == [1, 2, 3, 4]
    with TablePipe("live", tmp_path / "l.db") as table:
        table.insert(message()[:5])
        table.commit()
        pipe = DBPipe("live", tmp_path / "l.db")
        assert len(pipe) == 5
        table.insert(message()[5:9])
        table.commit()
        assert pipe.find(parse("i < 100"), None).tolist() == [0, 1, 2, 3, 4]


def test_find_needs_its_columns_and_a_key(address, tmp_path):
    assert DBPipe("t", address, ["i"]).find(parse("f > 3"), None) is None
    engine = sa.create_engine(f"sqlite:///{tmp_path}/v.db")
    with engine.begin() as connection:
        connection.execute(sa.text("create table o (n text primary key)"))
    assert DBPipe("o", tmp_path / "v.db").find(parse("n > 1"), None) is None


def test_narrowed_shares_the_snapshot(tmp_path):
    with TablePipe("live", tmp_path / "l.db") as table:
        table.insert(message()[:5])
        table.commit()
        pipe = DBPipe("live", tmp_path / "l.db")
        narrow = pipe.narrowed(["f", "i"])
        assert narrow.schema.names == ["i", "f"]
        assert len(pipe) == 5
        table.insert(message()[5:9])
        table.commit()
        assert len(narrow) == 5
        assert narrow.narrowed(["i"]).to_message() == message()[:5].select("i")
        assert pipe.narrowed(pipe.columns) is pipe
        assert pipe.narrowed([]) is pipe
