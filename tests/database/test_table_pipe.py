import contextlib
import pickle
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from database.database_columns import COLUMNS, DTYPES
from fireworks.database import DBPipe, TablePipe
from fireworks.database.codec import torch_dtype
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    ColumnValueError,
    DatabaseError,
    RowIndexError,
    SchemaMismatchError,
)
from fireworks.testing import PipeContract


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "data.db"


def ask(path, query, *values):
    """What another program reads from the file."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()


def rows(n=5):
    return fw.Message(
        {"x": torch.arange(n * 2.0).reshape(n, 2), "n": list(range(n)), "word": [f"w{i}" for i in range(n)]}
    )


class TestContract(PipeContract):
    @pytest.fixture
    def make_pipe(self, path):
        with TablePipe.create("rows", path, rows(), if_exists="replace") as table:
            table.insert(rows(12))
            table.delete("n", [3, 4, 9])
        return lambda: TablePipe("rows", path)


# --- inserting and reading ----------------------------------------------------------------------------------------


def test_another_program_reads_what_was_inserted(path):
    message = fw.Message(
        {
            "n": [1, 2],
            "w": [0.5, float("nan")],
            "flag": [True, False],
            "word": ["ünï", None],
            "raw": [b"\0a", None],
            "day": pd.to_datetime(["2024-01-05 10:00", None]),
            "x": torch.tensor([[1, 2], [3, 4]], dtype=torch.int16),
        }
    )
    with TablePipe("rows", path) as table:
        table.insert(message)
    assert ask(path, "SELECT * FROM rows") == [
        (1, 1, 0.5, 1, "ünï", b"\0a", "2024-01-05 10:00:00.000000", struct.pack("<2h", 1, 2)),
        (2, 2, None, 0, None, None, None, struct.pack("<2h", 3, 4)),
    ]
    assert ask(
        path,
        "SELECT column_name, kind, dtype, shape, version FROM fireworks_schema WHERE table_name = 'rows' ORDER BY rowid",
    ) == [
        ("id", "automatic key", "int64", "[]", 1),
        ("n", "integer", "int64", "[]", 1),
        ("w", "float", "float64", "[]", 1),
        ("flag", "bool", "bool", "[]", 1),
        ("word", "text", "str", "[]", 1),
        ("raw", "bytes", "object", "[]", 1),
        ("day", "datetime", "datetime64[us]", "[]", 1),
        ("x", "tensor", "int16", "[2]", 1),
    ]
    assert ask(path, "SELECT date(day, '+1 day') FROM rows WHERE id = 1") == [("2024-01-06",)]
    assert TablePipe("rows", path).to_message() == message


@given(
    columns=st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: "\0" not in name),
        st.sampled_from(["int64", "float32", "str", "tensor", "Int8", "boolean"]),
        min_size=1,
        max_size=4,
    ).filter(lambda columns: len({name.lower() for name in columns}) == len(columns)),
    name=st.text(min_size=1, max_size=8).filter(
        lambda name: "\0" not in name and not name.lower().startswith("sqlite_")
    ),
    num_rows=st.integers(0, 4),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_and_columns_come_back_as_they_were(tmp_path, columns, name, num_rows):
    values = {
        "tensor": torch.arange(num_rows * 3).reshape(num_rows, 3),
        "str": pd.array([None, "a", '"', "'"][:num_rows], dtype="str"),
        "Int8": pd.array([None, 1, 2, 3][:num_rows], dtype="Int8"),
        "boolean": pd.array([True, None, False, True][:num_rows], dtype="boolean"),
        "int64": np.arange(num_rows),
        "float32": np.array([np.nan, 1, 2, -3][:num_rows], dtype=np.float32),
    }
    message = fw.Message({column: values[dtype] for column, dtype in columns.items()})
    with TablePipe.create(name, tmp_path / "data.db", message, if_exists="replace") as table:
        table.insert(message)
    assert TablePipe(name, tmp_path / "data.db").to_message() == message


def test_every_dtype_comes_back(path):
    columns = {
        f"{dtype} column": fw.Message({"x": column}).take([0, 0, 0]).raw("x")
        for dtype, (column, _, _) in COLUMNS.items()
    }
    tensors = {
        dtype: torch.randint(0, 2, (3, 5 * torch_dtype(dtype).itemsize)).bool().to(torch.uint8).view(torch_dtype(dtype))
        for dtype in DTYPES
    }
    message = fw.Message({**columns, **tensors})
    with TablePipe("rows", path) as table:
        table.insert(message)
    again = TablePipe("rows", path).to_message()
    assert again == message
    assert TablePipe("rows", path).schema == message.schema
    assert all(torch.equal(again[dtype].view(torch.uint8), message[dtype].view(torch.uint8)) for dtype in DTYPES)


def test_nan_is_nan_and_null_is_null_and_only_tensors_keep_the_sign_of_zero(path):
    nan = float("nan")
    message = fw.Message(
        {
            "plain": [nan, -0.0, np.inf],
            "nullable": pd.array([None, -0.0, np.inf], dtype="Float64"),
            "tensor": torch.tensor([nan, -0.0, np.inf]),
        }
    )
    with TablePipe("rows", path) as table:
        table.insert(message)
    again = TablePipe("rows", path).to_message()
    assert again == message
    assert again["nullable"].isna().tolist() == [True, False, False]
    assert np.signbit(again["plain"][1:]).tolist() == [False, False]
    assert torch.signbit(again["tensor"][1:]).tolist() == [True, False]


def test_a_large_table_comes_back_through_every_chunk(path):
    message = fw.Message({"x": torch.randn(5000, 3), "n": np.arange(5000)})
    with TablePipe("rows", path) as table:
        table.insert(message[:1])
        table.insert(message[1:])
    table = TablePipe("rows", path)
    assert table.to_message() == message
    scattered = np.random.default_rng(0).integers(0, 5000, 3000)
    assert table[scattered] == message[scattered]
    order = list(table.shuffle(seed=0).batch(700))
    assert fw.concat(order) == fw.concat(list(fw.source(message).shuffle(seed=0).batch(700)))


def test_a_mapping_and_a_frame_are_messages_too(path):
    with TablePipe("rows", path) as table:
        table.insert({"n": [1]})
        table.insert(pd.DataFrame({"n": [2]}))
    assert ask(path, "SELECT n FROM rows") == [(1,), (2,)]


def test_a_gradient_stays_behind_and_the_message_is_left_alone(path):
    x = torch.ones(2, requires_grad=True)
    with TablePipe("rows", path) as table:
        table.insert({"x": x})
    again = TablePipe("rows", path).to_message()["x"]
    assert x.requires_grad
    assert not again.requires_grad


def test_a_table_without_rows_keeps_its_columns_and_types(path):
    none = rows()[:0]
    with TablePipe("rows", path) as table:
        table.insert(none)
    empty = TablePipe("rows", path)
    assert len(empty) == 0
    assert empty.schema == none.schema
    assert empty.to_message() == none
    assert empty[:3] == none
    assert list(empty.batch(2)) == list(empty.shuffle(seed=0).batch(2)) == []
    assert empty.query().filter("n", ">", 0).to_message() == none
    assert empty.shuffle(seed=0).to_message() == none


# --- the key --------------------------------------------------------------------------------------------------------


def test_the_automatic_key_is_left_out_unless_it_is_named(path):
    with TablePipe("rows", path) as table:
        table.insert({"n": [7, 8]})
    assert table.columns == ["n"]
    assert table.query(["id", "n"]).to_message() == fw.Message({"id": [1, 2], "n": [7, 8]})
    assert table.filter("id", "==", 2).to_message()["n"].tolist() == [8]


def test_rows_may_bring_the_automatic_key(path):
    with TablePipe("rows", path) as table:
        table.insert({"n": [7]})
        table.insert({"n": [8], "id": [40]})
        table.insert({"n": [9]})
    assert ask(path, "SELECT id, n FROM rows") == [(1, 7), (40, 8), (41, 9)]


def test_an_id_of_integers_is_the_key(path):
    message = fw.Message({"n": [1, 2, 3], "id": [30, -10, 20]})
    with TablePipe("rows", path) as table:
        table.insert(message)
    assert ask(path, "SELECT rowid, * FROM rows") == [(-10, 2, -10), (20, 3, 20), (30, 1, 30)]
    assert TablePipe("rows", path).to_message() == message[[1, 2, 0]]
    with pytest.raises(SchemaMismatchError, match=r"column 'id' \(int64\) is missing"):
        table.insert({"n": [1]})


@pytest.mark.parametrize(("column", "values"), [("id", ["a", "b"]), ("ID", [1.5, 2.5]), ("id", torch.arange(2))])
def test_any_other_id_stands_beside_the_key(path, column, values):
    message = fw.Message({column: values, "_id": [4, 5]})
    with TablePipe("rows", path) as table:
        table.insert(message)
    assert TablePipe("rows", path).to_message() == message
    assert ask(path, "SELECT __id FROM rows") == [(1,), (2,)]


def test_a_key_that_is_there_already_is_refused_and_nothing_is_written(path):
    table = TablePipe("rows", path)
    table.insert({"id": [1, 2]})
    with pytest.raises(DatabaseError, match=r"TablePipe\('rows'\): inserting rows failed.*a key that is there already"):
        table.insert({"id": np.arange(3000)[::-1].copy()})  # the second chunk breaks the rule
    table.commit()
    table.close()
    assert ask(path, "SELECT id FROM rows") == [(1,), (2,)]


def test_a_key_that_is_null_is_refused(path):
    table = TablePipe("rows", path)
    with pytest.raises(
        ColumnValueError, match=r"column 'id' is the table's key and is null in row 1; leave the column"
    ):
        table.insert({"id": pd.array([1, None], dtype="Int64")})
    assert not path.exists() or ask(path, "SELECT name FROM sqlite_master") == []


# --- what does not fit ----------------------------------------------------------------------------------------------


def test_columns_that_do_not_fit_are_all_named_and_nothing_is_written(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
    wrong = fw.Message({"x": torch.zeros(1, 3), "n": [1.0], "wort": ["a"]})
    with pytest.raises(SchemaMismatchError) as error:
        table.insert(wrong)
    assert str(error.value) == (
        "TablePipe('rows'): the message doesn't fit the table: column 'word' (str) is missing; column 'x' is float32[3] "
        "tensor in the message and float32[2] tensor in the table; column 'n' is float64 in the message and int64 in the "
        "table; column 'wort' (str) is not in the table (Did you mean 'word'?). Nothing was inserted."
    )
    assert ask(path, "SELECT count(*) FROM rows") == [(5,)]
    with pytest.raises(SchemaMismatchError):
        table.insert(fw.Message())


def test_the_order_of_columns_is_the_tables(path):
    with TablePipe("rows", path) as table:
        table.insert({"a": [1], "b": [2]})
        table.insert({"b": [4], "a": [3]})
    assert TablePipe("rows", path).to_message() == fw.Message({"a": [1, 3], "b": [2, 4]})


def test_a_column_that_can_not_be_stored_makes_no_table(path):
    with pytest.raises(ColumnTypeError, match=r"'c' is category"):
        TablePipe("rows", path).insert({"c": pd.array(["a"], dtype="category")})
    with pytest.raises(DatabaseError, match=r"no such table in .*tables are \[\]"):
        len(TablePipe("rows", path))


def test_columns_that_differ_in_case_are_refused(path):
    with pytest.raises(ColumnTypeError, match=r"'x' and 'X' differ only in case"):
        TablePipe("rows", path).insert({"x": [1], "X": [2]})


def test_a_message_without_columns_makes_no_table(path):
    with pytest.raises(ColumnTypeError, match=r"a table needs a column, and the message has none"):
        TablePipe("rows", path).insert(fw.Message())


def test_half_a_surrogate_is_no_text(path):
    with pytest.raises(ColumnValueError, match=r"'\\ud800' is no valid Unicode .*text.encode"):
        TablePipe("rows", path).insert({"word": pd.array(["\ud800"], dtype=object)})


@pytest.mark.parametrize("name", ["", None, 3, "fireworks_schema", "Fireworks_Schema"])
def test_a_name_is_text(path, name):
    with pytest.raises(ValueError, match=r"TablePipe: a table's name is text, not empty, and not 'fireworks_schema'"):
        TablePipe(name, path)


def test_a_name_has_no_nul(path):
    with pytest.raises(ValueError, match=r"a table's name can't hold the character NUL"):
        TablePipe("a\0b", path)
    with pytest.raises(ValueError, match=r"a column's name can't hold the character NUL"):
        TablePipe("ab", path).insert({"a\0b": [1]})


def test_names_are_quoted(path):
    name, column = 'x"; DROP TABLE rows; --', "select '%s' :a ?"
    with TablePipe("rows", path) as table:
        table.insert({"n": [1]})
    with TablePipe(name, path) as table:
        table.insert({column: [1, 2], "group": ["a", "b"]})
        assert table.delete(column, [1]) == 1
    assert table.query([column], order_by=column).filter("group", "==", "b").to_message()[column].tolist() == [2]
    assert len(TablePipe("rows", path)) == 1


def test_a_table_is_found_whatever_its_case(path):
    with TablePipe("Rows", path) as table:
        table.insert(rows())
    assert TablePipe("rOWS", path).to_message() == rows()


# --- transactions ---------------------------------------------------------------------------------------------------


def test_insert_then_rollback_leaves_nothing(path):
    table = TablePipe("rows", path)
    table.insert(rows())
    assert len(table) == 5
    table.rollback()
    assert ask(path, "SELECT name FROM sqlite_master") == []
    with pytest.raises(DatabaseError, match=r"no such table"):
        len(table)
    table.insert(rows())
    table.commit()
    table.insert(rows())
    table.rollback()
    assert len(table) == 5


def test_rows_are_seen_here_at_once_and_elsewhere_after_commit(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
    other = TablePipe("rows", path)
    table.insert(rows())
    query = table.query()
    assert (len(table), table.num_rows, len(query), len(other), len(other.query())) == (10, 10, 10, 5, 5)
    assert table.to_message() == query.to_message() == fw.concat([rows(), rows()])
    table.commit()
    assert len(other) == 10
    table.close()


def test_a_context_commits_unless_an_error_passes_through(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
    with pytest.raises(SchemaMismatchError), TablePipe("rows", path) as table:
        _insert_and_fail(table)
    assert ask(path, "SELECT count(*) FROM rows") == [(5,)]


def _insert_and_fail(table):
    table.insert(rows())
    table.insert({"another": [1]})


def test_a_failed_insert_leaves_earlier_ones_of_the_transaction(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
        with pytest.raises(SchemaMismatchError):
            table.insert({"n": [1]})
        table.insert(rows())
    assert ask(path, "SELECT count(*) FROM rows") == [(10,)]


def test_closing_undoes_what_was_not_committed_and_the_pipe_goes_on(path):
    table = TablePipe("rows", path)
    table.insert(rows())
    table.close()
    table.insert(rows(3))
    table.commit()
    assert len(table) == 3
    table.close()


def test_it_is_live(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
    query = table.query()
    assert len(query) == len(table) == 5
    with TablePipe("rows", path) as other:
        other.insert(rows())
    assert (len(query), len(table)) == (5, 10)
    assert table[9]["n"].tolist() == [4]


def test_a_pass_keeps_the_rows_that_it_found(path):
    with TablePipe("rows", path) as table:
        table.insert({"n": np.arange(40_000)})
    iterator = iter(table.batch(1000))
    seen = [next(iterator)["n"]]
    with TablePipe("rows", path) as other:
        other.delete("n", range(100))
        other.insert({"n": np.arange(100) + 90_000})
    assert len(table) == 40_000
    assert table[-1]["n"].tolist() == [90_099]
    seen.extend(batch["n"] for batch in iterator)
    assert np.concatenate(seen).tolist() == list(range(40_000))
    assert table.to_message()["n"].tolist() == [*range(100, 40_000), *range(90_000, 90_100)]


def test_a_row_that_is_deleted_before_its_turn_is_an_error(path):
    with TablePipe("rows", path) as table:
        table.insert({"n": np.arange(40_000)})
    iterator = iter(table)
    next(iterator)
    with TablePipe("rows", path) as other:
        other.delete("n", [39_000])
    with pytest.raises(DatabaseError, match=r"rows with id \[39001\] were there .*make the query anew"):
        list(iterator)
    assert len(list(table.batch(1000))) == 40
    with pytest.raises(RowIndexError, match=r"row 39999 is past the end; there are 39999 rows"):
        table.fetch(range(39_990, 40_000))


def is_even(rows):
    return rows["n"] % 2 == 0


def one_more(rows):
    return rows.assign(n=rows["n"] + 1)


@pytest.mark.parametrize(
    "derive",
    [
        lambda table: table.map(one_more),
        lambda table: table.map(one_more).filter(is_even),
        lambda table: table.map(one_more).batch(3),
        lambda table: table.shuffle(seed=0).at_epoch(1),
        lambda table: table.take(8),
        lambda table: table.split(0.5, 0.5, seed=0)[1],
        lambda table: table.map(one_more).split(0.5, 0.5, seed=0)[1],
    ],
)
@pytest.mark.parametrize("looks_first", [False, True])
def test_a_pipe_built_on_the_table_agrees_with_itself_when_the_table_grows(path, derive, looks_first):
    with TablePipe("rows", path) as table:
        table.insert({"n": np.arange(10)})
    pipe = derive(table).at_epoch(0)
    if looks_first:
        before = list(pipe)
    with TablePipe("rows", path) as other:
        other.insert({"n": np.arange(10, 20)})
    items = list(pipe)
    assert len(pipe) == len(items)
    assert [pipe[i] for i in range(len(pipe))] == items
    assert not looks_first or items == before


def test_the_parts_of_a_table_that_grows_stay_disjoint_and_whole(path):
    with TablePipe("rows", path) as table:
        table.insert({"n": np.arange(10)})
    for pipe in (table, table.map(one_more)):
        parts = pipe.split(0.5, 0.5, seed=0)
        first = parts[0].to_message()["n"].tolist()
        with TablePipe("rows", path) as other:
            other.insert({"n": np.arange(10)})
        together = first + parts[1].to_message()["n"].tolist()
        assert sorted(together) == sorted(pipe.to_message()["n"].tolist()[: len(together)])
        assert sum(map(len, parts)) == len(together)


def test_a_pipe_travels_without_its_transaction(path):
    table = TablePipe("rows", path)
    table.insert(rows())
    table.commit()
    table.insert(rows())
    again = pickle.loads(pickle.dumps(table))
    assert (len(again), len(table)) == (5, 10)
    table.close()


# --- deleting -------------------------------------------------------------------------------------------------------


def test_rows_are_deleted_by_value(path):
    with TablePipe("rows", path) as table:
        table.insert({"values": list(range(2, 10))})
        assert table.filter("values", "between", 4, 8).num_rows == 5
        assert table.delete("values", [3, 4, 5, 99, None]) == 3
        assert table.to_message()["values"].tolist() == [2, 6, 7, 8, 9]
        assert table.delete("values", []) == 0
        table.rollback()
        table.insert({"values": np.arange(13_000)})
        assert table.delete("values", range(12_000)) == 12_000
    assert ask(path, "SELECT count(*) FROM rows") == [(1000,)]


def test_deleting_by_what_can_not_be_compared_is_refused(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
        with pytest.raises(ColumnNotFoundError, match=r"delete: table 'rows': no column 'wort'.*Did you mean 'word'"):
            table.delete("wort", [1])
        with pytest.raises(ColumnTypeError, match=r"delete: column 'x' is .* tensor, stored as bytes"):
            table.delete("x", [1])
        with pytest.raises(TypeError, match=r"delete: 'word' takes a list of values; got 'ab'"):
            table.delete("word", "ab")
        with pytest.raises(ColumnTypeError, match=r"delete: column 'n' is int64, which can't be compared with 'a'"):
            table.delete("n", ["a"])


# --- making ---------------------------------------------------------------------------------------------------------


def test_a_table_is_made_from_a_message_or_a_schema(path):
    with TablePipe.create("rows", path, rows()) as table:
        assert table.to_message() == rows()[:0]
    with TablePipe.create("again", path, rows().schema) as table:
        assert table.to_message() == rows()[:0]
        table.insert(rows())
    TablePipe.create("not kept", path, rows()).rollback()
    assert sorted(ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'")) == [
        ("again",),
        ("fireworks_schema",),
        ("rows",),
    ]


def test_a_table_that_is_there_is_refused_replaced_or_gone_on_with(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
    with pytest.raises(DatabaseError, match=r"the table is there already in .*pass if_exists='replace' or 'append'"):
        TablePipe.create("rows", path, rows())
    with TablePipe.create("rows", path, rows(), if_exists="append") as table:
        table.insert(rows())
    assert len(TablePipe("rows", path)) == 10
    with pytest.raises(SchemaMismatchError, match=r"column 'x' .* is missing"):
        TablePipe.create("rows", path, fw.Message({"n": [1]}), if_exists="append")
    TablePipe.create("rows", path, fw.Message({"n": ["a"]}), if_exists="replace").rollback()
    assert len(TablePipe("rows", path)) == 10
    with TablePipe.create("rows", path, fw.Message({"n": ["a"]}), if_exists="replace") as table:
        table.insert({"n": ["b"]})
    assert TablePipe("rows", path).to_message() == fw.Message({"n": ["b"]})
    with pytest.raises(ValueError, match=r"create: if_exists is 'error', 'replace' or 'append'; got 'ignore'"):
        TablePipe.create("rows", path, rows(), if_exists="ignore")


# --- tables of other programs -----------------------------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path):
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE clicks (click INTEGER PRIMARY KEY, n INTEGER NOT NULL, maybe INTEGER, w REAL, flag BOOLEAN, "
            "word VARCHAR(20), day DATETIME, raw BLOB, anything);"
            "INSERT INTO clicks VALUES (5, 1, NULL, 0.5, 1, 'a', '2024-01-05 10:00:00', x'00ff', 'x');"
            "INSERT INTO clicks VALUES (7, 2, 3, NULL, NULL, NULL, NULL, NULL, 2.5);"
        )
    return path


def test_a_table_of_another_program_is_read_by_its_types(foreign):
    message = TablePipe("clicks", foreign).to_message()
    assert str(message.schema).splitlines() == [
        "click: int64",
        "n: int64",
        "maybe: Int64",
        "w: float64",
        "flag: boolean",
        "word: str",
        "day: datetime64[us]",
        "raw: object",
        "anything: object",
    ]
    assert message["click"].tolist() == [5, 7]
    assert message["maybe"].isna().tolist() == [True, False]
    assert message["day"][0] == pd.Timestamp("2024-01-05 10:00")
    assert message["raw"].tolist() == [b"\0\xff", None]
    assert message["anything"].tolist() == ["x", 2.5]


def test_dates_of_another_program_are_compared_here(foreign):
    table = TablePipe("clicks", foreign)
    kept = table.filter("day", ">=", "2024-01-05 10:00")
    assert not isinstance(kept, DBPipe)
    assert kept.to_message()["click"].tolist() == [5]
    assert table.filter("anything", "is not null").num_rows == 2


def test_rows_go_into_a_table_of_another_program(foreign):
    one = {
        "n": [3],
        "maybe": [1],
        "w": [1.0],
        "flag": [True],
        "word": ["b"],
        "day": pd.to_datetime(["2025-01-01"]),
        "raw": [b"r"],
    }
    table = TablePipe("clicks", foreign)
    with pytest.raises(
        SchemaMismatchError, match=r"column 'anything' is str in the message and object of mixed in the table"
    ):
        table.insert({**one, "anything": ["z"]})
    with contextlib.closing(sqlite3.connect(foreign)) as connection:
        connection.execute("ALTER TABLE clicks DROP COLUMN anything")
    with TablePipe("clicks", foreign) as table:
        table.insert(one)
    assert ask(foreign, "SELECT * FROM clicks WHERE click > 7") == [
        (8, 3, 1, 1.0, 1, "b", "2025-01-01 00:00:00.000000", b"r")
    ]


def test_a_column_that_another_program_added_is_read_by_its_type(path):
    with TablePipe("rows", path) as table:
        table.insert(rows(2))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE rows ADD COLUMN extra INTEGER DEFAULT 4")
    assert TablePipe("rows", path).to_message()["extra"].tolist() == [4, 4]


@pytest.mark.parametrize(
    "definition",
    ["(n INTEGER, word TEXT)", "(word TEXT PRIMARY KEY, n INTEGER)", "(n INTEGER, word TEXT, PRIMARY KEY (n, word))"],
)
def test_a_table_without_an_integer_key_is_a_stream(tmp_path, definition):
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE rows {definition}")
        connection.executemany("INSERT INTO rows (n, word) VALUES (?, ?)", [(n, f"w{n:05}") for n in range(3000)])
    table = TablePipe("rows", path)
    assert not table.is_indexable
    assert table.to_message()["n"].tolist() == list(range(3000))
    assert table.filter("n", ">", 2990).take(4).to_message()["n"].tolist() == [2991, 2992, 2993, 2994]


def test_a_view_is_a_stream(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW odd AS SELECT * FROM rows WHERE n % 2 = 1")
    odd = TablePipe("odd", path)
    assert [row["n"].tolist() for row in odd] == [[1], [3]]


# --- what is not there, and what refuses ------------------------------------------------------------------------------


def test_reading_makes_no_file(path):
    with pytest.raises(
        DatabaseError, match=r"There is no database file .*data.db; insert rows first, or check the path"
    ):
        len(TablePipe("rows", path))
    assert not path.parent.exists()


def test_a_table_that_is_not_there_names_the_nearest(path):
    with TablePipe("clicks", path) as table:
        table.insert(rows())
    with pytest.raises(DatabaseError, match=r"no such table in .*; tables are \['clicks'\]. Did you mean 'clicks'"):
        TablePipe("click", path).to_message()


def test_a_later_record_is_refused(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE fireworks_schema SET version = 2, kind = 'quaternion' WHERE column_name = 'x'")
    with pytest.raises(DatabaseError, match=r"'rows' was made by a later fireworks: .*version 2 .* 'quaternion'"):
        TablePipe("rows", path).to_message()


def test_bytes_that_something_else_wrote_are_refused_by_column(path):
    with TablePipe("rows", path) as table:
        table.insert(rows())
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE rows SET x = x'00' WHERE id = 3")
    with pytest.raises(ColumnValueError, match=r"Column 'x': row 2 of those read has 1 bytes"):
        TablePipe("rows", path).to_message()


def test_an_engine_may_hold_a_database_in_memory():
    engine = sa.create_engine("sqlite://")
    try:
        table = TablePipe("rows", engine)
        table.insert(rows())
        assert len(table) == 5
        table.commit()
        assert TablePipe("rows", engine).to_message() == rows()
        with pytest.raises(DatabaseError, match=r"in this process's memory and can't be sent to another; use a file"):
            pickle.dumps(table)
        table.close()
    finally:
        engine.dispose()


def test_an_engine_of_the_users_keeps_the_promises_of_a_transaction(path):
    path.parent.mkdir()
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        table = TablePipe("rows", engine)
        table.insert(rows())
        table.rollback()
        assert ask(path, "SELECT name FROM sqlite_master") == []
        with table:
            table.insert(rows())
        assert pickle.loads(pickle.dumps(table)).to_message() == rows()
    finally:
        engine.dispose()


def test_the_path_is_fixed_when_the_pipe_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = TablePipe("rows", "sqlite:///runs/data.db")
    monkeypatch.chdir("/")
    with table:
        table.insert(rows())
    assert ask(tmp_path / "runs" / "data.db", "SELECT count(*) FROM rows") == [(5,)]
    assert Path.cwd() == Path("/")


# --- integers, one per row --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.bool],
    ids=str,
)
def test_a_tensor_of_one_integer_per_row_is_a_number_in_sql(dtype, tmp_path):
    lowest, highest = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    message = fw.Message({"label": torch.tensor([lowest, highest, 1], dtype=dtype)})
    with fw.TablePipe("t", tmp_path / "t.db") as table:
        table.insert(message)
    with contextlib.closing(sqlite3.connect(tmp_path / "t.db")) as plain:
        stored = plain.execute("SELECT label, typeof(label) FROM t ORDER BY id").fetchall()
    assert stored == [(lowest, "integer"), (highest, "integer"), (1, "integer")]
    assert table.to_message() == message
    kept = table.query().filter("label", "==", highest).to_message()
    assert kept["label"].tolist() == [value for value in message["label"].tolist() if value == highest]
    assert kept["label"].dtype == dtype


def test_a_number_that_no_integer_tensor_can_hold_is_refused(tmp_path):
    with fw.TablePipe("t", tmp_path / "t.db") as table:
        table.insert(fw.Message({"label": torch.tensor([1, 2], dtype=torch.int8)}))
    with contextlib.closing(sqlite3.connect(tmp_path / "t.db")) as plain, plain:
        plain.execute("UPDATE t SET label = 300 WHERE id = 2")
    with pytest.raises(fw.errors.ColumnValueError, match=r"Column 'label' is int8 tensor, and row 1 .* holds 300"):
        table.to_message()
