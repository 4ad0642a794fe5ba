import contextlib
import sqlite3

import pytest
import sqlalchemy as sa
import torch

import fireworks as fw
from fireworks.database.layout import (
    VERSION,
    create_table,
    drop_table,
    find_table,
    plan_layout,
    read_layout,
    table_names,
)
from fireworks.database.types import AUTOMATIC_KEY, ColumnType

MESSAGE = fw.Message({"x": torch.zeros(2, 3), "n": [1, 2]})


@pytest.fixture
def connection():
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_what_is_planned_is_what_is_read_back(connection):
    planned = plan_layout("rows", MESSAGE)
    assert planned.types == {
        "id": AUTOMATIC_KEY,
        "x": ColumnType("tensor", "float32", (3,)),
        "n": ColumnType("integer", "int64"),
    }
    assert planned.data_columns == ["x", "n"]
    assert (planned.key, planned.optional_key) == ("id", "id")
    create_table(connection, planned)
    assert read_layout(connection, "rows") == planned
    assert find_table(connection, "ROWS") == "rows"
    assert read_layout(connection, "others") is None


def test_a_key_of_the_message_is_not_optional():
    layout = plan_layout("rows", fw.Message({"id": [1], "n": [2]}))
    assert (layout.key, layout.optional_key, layout.data_columns) == ("id", None, ["id", "n"])


def test_the_sql_says_what_sql_can(connection):
    create_table(connection, plan_layout("rows", MESSAGE.assign(w=[0.5, 1.5], word=["a", "b"])))
    columns = connection.exec_driver_sql("SELECT name, type, \"notnull\", pk FROM pragma_table_info('rows')").all()
    assert columns == [
        ("id", "INTEGER", 1, 1),
        ("x", "BLOB", 1, 0),
        ("n", "BIGINT", 1, 0),
        ("w", "DOUBLE", 0, 0),
        ("word", "TEXT", 0, 0),
    ]


def test_a_dropped_table_leaves_no_record(connection):
    create_table(connection, plan_layout("rows", MESSAGE))
    create_table(connection, plan_layout("others", MESSAGE))
    drop_table(connection, "rows")
    assert table_names(connection) == ["others"]
    assert connection.exec_driver_sql("SELECT DISTINCT table_name, version FROM fireworks_schema").all() == [
        ("others", VERSION)
    ]


def test_the_record_of_a_table_that_something_else_dropped_is_forgotten(connection):
    create_table(connection, plan_layout("rows", MESSAGE))
    connection.exec_driver_sql("DROP TABLE rows")
    create_table(connection, plan_layout("rows", fw.Message({"word": ["a"]})))
    assert read_layout(connection, "rows").data_columns == ["word"]


def test_a_table_without_a_record_is_dropped_too(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "data.db")) as other:
        other.execute("CREATE TABLE rows (n INTEGER)")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'data.db'}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        drop_table(connection, "rows")
        assert table_names(connection) == []
