import contextlib
import pickle
import sqlite3

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.database import DBPipe, TablePipe
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    DatabaseError,
    NoRandomAccessError,
    UnknownLengthError,
)
from fireworks.testing import PipeContract


def is_even(rows):
    return rows["n"] % 2 == 0


@pytest.fixture
def path(tmp_path):
    return make(tmp_path / "data.db", 40)


def make(path, num_rows):
    n = np.arange(num_rows)
    with TablePipe("rows", path) as table:
        table.insert(
            {
                "n": n,
                "x": torch.arange(num_rows * 2.0).reshape(num_rows, 2),
                "word": [f"w{i % 7}" for i in n],
                "w": np.where(n % 5, n, np.nan),
            }
        )
        table.delete("n", [2, 3, 20])
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE keyless AS SELECT n, word FROM rows LIMIT 12")
    return path


PIPES = {
    "all": lambda path: DBPipe("rows", path),
    "columns": lambda path: DBPipe("rows", path, ["word", "id"]),
    "filtered": lambda path: DBPipe("rows", path).filter("n", ">", 1).filter("word", "!=", "w5"),
    "ordered": lambda path: DBPipe("rows", path, order_by="word", descending=True),
    "filtered here": lambda path: DBPipe("rows", path).filter(is_even),
    "shuffled": lambda path: DBPipe("rows", path).select("x").shuffle(seed=0).batch(4),
    "stream": lambda path: DBPipe("keyless", path).filter("n", ">", 1),
    "batched stream": lambda path: DBPipe("keyless", path).batch(5),
}


@pytest.mark.parametrize("name", PIPES)
class TestContract(PipeContract):
    @pytest.fixture
    def make_pipe(self, name, tmp_path):
        path = make(tmp_path / "data.db", 14)
        return lambda: PIPES[name](path)


# --- the query ------------------------------------------------------------------------------------------------------


def test_each_part_of_a_query_makes_a_new_pipe(path):
    pipe = DBPipe("rows", path)
    late = pipe.filter("n", ">=", 30)
    later = late.filter("n", "<", 32).select("n")
    assert (len(pipe), len(late), len(later)) == (37, 10, 2)
    assert later.to_message() == fw.Message({"n": [30, 31]})
    assert later.stages() == ["DBPipe(rows: n where n >= 30 and n < 32)"]
    assert pipe.columns == pipe.known_columns == ["n", "x", "word", "w"]


def test_a_filter_may_ask_for_a_column_that_is_not_selected(path):
    assert DBPipe("rows", path, ["word"]).filter("n", "==", 5).to_message() == fw.Message({"word": ["w5"]})


def test_columns_are_pushed_down_and_come_in_the_order_asked_for(path):
    assert DBPipe("rows", path, "n").columns == ["n"]
    assert DBPipe("rows", path).select("w", "n", "w").to_message().columns == ["w", "n"]


def test_a_function_filters_here(path):
    pipe = DBPipe("rows", path).filter(is_even)
    assert isinstance(pipe, fw.Filter)
    assert pipe.to_message()["n"].tolist() == [n for n in range(40) if n % 2 == 0 and n not in (2, 20)]


def test_rows_are_ordered_by_a_column_with_nulls_last_then_by_key(path):
    up = DBPipe("rows", path, ["n", "w", "word"], order_by="w").to_message()
    down = DBPipe("rows", path, ["n", "w", "word"], order_by="w", descending=True).to_message()
    expected = DBPipe("rows", path).to_message().select("n", "w", "word").to_pandas()
    pd.testing.assert_frame_equal(up.to_pandas(), expected.sort_values("w", kind="stable", ignore_index=True))
    down_expected = expected.sort_values("w", kind="stable", ascending=False, ignore_index=True)
    pd.testing.assert_frame_equal(down.to_pandas(), down_expected)
    by_word = DBPipe("rows", path, order_by="word").filter("n", "<", 12)
    assert by_word[[0, -1]]["word"].tolist() == ["w0", "w6"]
    assert by_word.stages() == ["DBPipe(rows: n, x, word, w where n < 12 by word)"]


def test_what_is_wrong_with_a_query_is_said_at_once(path):
    pipe = DBPipe("rows", path)
    with pytest.raises(ColumnNotFoundError, match=r"select: table 'rows': no column 'wort'.*Did you mean 'word'"):
        pipe.select("wort")
    with pytest.raises(ColumnNotFoundError, match=r"filter: table 'rows': no column 'm'"):
        pipe.filter("m", "==", 3)
    with pytest.raises(ColumnNotFoundError, match=r"order_by: table 'rows': no column 'm'"):
        DBPipe("rows", path, order_by="m")
    with pytest.raises(ColumnTypeError, match=r"order_by: column 'x' is float32\[2\] tensor, stored as bytes"):
        DBPipe("rows", path, order_by="x")
    with pytest.raises(ColumnTypeError, match=r"filter: column 'x' is float32\[2\] tensor, .*pass a function"):
        pipe.filter("x", ">", 0)
    with pytest.raises(ValueError, match=r"select: name at least one column"):
        pipe.select()
    with pytest.raises(TypeError, match=r"filter: expected a text such as 'x >= 0', a function, an expression of"):
        pipe.filter(3)
    with pytest.raises(DatabaseError, match=r"DBPipe\('row'\): there is no such table in .*Did you mean 'rows'"):
        DBPipe("row", path)


# --- the snapshot ---------------------------------------------------------------------------------------------------


def test_rows_that_come_later_are_not_in_the_snapshot(path):
    whole, some = DBPipe("rows", path), DBPipe("rows", path).filter("n", ">", 35)
    assert (len(whole), len(some)) == (37, 4)
    with TablePipe("rows", path) as table:
        table.insert({"n": [99], "x": torch.zeros(1, 2), "word": ["new"], "w": [0.0], "id": [3]})
    assert (len(whole.to_message()), len(some.to_message())) == (37, 4)
    assert 99 not in whole.to_message()["n"].tolist()
    assert len(some.select("n")) == 5


def test_a_value_that_changes_is_read_as_it_stands(path):
    pipe = DBPipe("rows", path).filter("n", "==", 5)
    assert len(pipe) == 1
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE rows SET n = 500 WHERE n = 5")
    assert pipe.to_message()["n"].tolist() == [500]


def test_a_row_that_has_gone_is_named_by_its_key(path):
    pipe = DBPipe("rows", path)
    assert len(pipe) == 37
    with TablePipe("rows", path) as table:
        table.delete("n", [7, 8, *range(22, 40)])
    assert pipe[:5]["n"].tolist() == [0, 1, 4, 5, 6]
    with pytest.raises(DatabaseError, match=r"rows with id \[8, 9\] were there .* deleted since; make the query anew"):
        pipe[:15]
    with pytest.raises(DatabaseError, match=r"rows with id \[8, 9, 23, .*\] and 10 more were there"):
        pipe.to_message()


def test_a_snapshot_without_gaps_is_two_numbers(tmp_path):
    with TablePipe("rows", tmp_path / "data.db") as table:
        table.insert({"n": np.arange(3000)})
    pipe = DBPipe("rows", tmp_path / "data.db")
    assert pipe.row_keys() == range(1, 3001)
    assert pipe[[2999, 0, 0, 17]]["n"].tolist() == [2999, 0, 0, 17]


def test_a_snapshot_with_gaps_is_eight_bytes_a_row(tmp_path):
    n = np.arange(5000)
    with TablePipe("rows", tmp_path / "data.db") as table:
        table.insert({"n": n})
        table.delete("n", n[1000:1500:2].tolist())
        table.delete("n", n[3000:3100].tolist())
    kept = np.setdiff1d(n, np.concatenate([n[1000:1500:2], n[3000:3100]]))
    pipe = DBPipe("rows", tmp_path / "data.db")
    assert pipe.row_keys().nbytes == 8 * len(kept)
    assert pipe.to_message()["n"].tolist() == kept.tolist()
    scattered = np.random.default_rng(1).integers(0, len(kept), 2500)
    assert pipe[scattered]["n"].tolist() == kept[scattered].tolist()
    assert pipe[::-1]["n"].tolist() == kept[::-1].tolist()


def test_a_pipe_travels_with_its_snapshot(path):
    pipe = DBPipe("rows", path).filter("n", "<", 9)
    assert len(pipe) == 7
    sent = pickle.dumps(pipe)
    with TablePipe("rows", path) as table:
        table.insert({"n": [-1], "x": torch.zeros(1, 2), "word": ["new"], "w": [0.0]})
    assert pickle.loads(sent).to_message() == pipe.to_message()


# --- streams --------------------------------------------------------------------------------------------------------


def test_a_table_without_an_integer_key_says_that_it_is_a_stream(path):
    pipe = DBPipe("keyless", path)
    assert not pipe.random_access
    with pytest.raises(UnknownLengthError, match=r"is a stream"):
        len(pipe)
    with pytest.raises(NoRandomAccessError, match=r"needs random access"):
        pipe.split(0.5, 0.5, seed=0)
    assert [len(batch) for batch in pipe.batch(5)] == [5, 5, 2]


def test_a_stream_may_be_ordered(path):
    assert DBPipe("keyless", path, order_by="n", descending=True).take(2).to_message()["n"].tolist() == [13, 12]


def test_a_stream_that_is_left_early_lets_writers_in(path):
    url = f"sqlite:///{path}?timeout=0.1"
    iterator = iter(DBPipe("keyless", url).batch(2))
    next(iterator)
    del iterator
    with TablePipe("rows", url) as table:
        table.delete("n", [1])


def test_a_key_that_is_no_integer_is_an_error(tmp_path):
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE rows (k INT PRIMARY KEY, n INTEGER)")
        connection.executemany("INSERT INTO rows VALUES (?, ?)", [("a", 1), (None, 2)])
    with pytest.raises(DatabaseError, match=r"DBPipe\('rows'\): the key 'k' holds something else than integers"):
        len(DBPipe("rows", path))


def test_a_stream_has_no_keys_to_ask_for(path):
    pipe = DBPipe("keyless", path)
    with pytest.raises(
        NoRandomAccessError, match=r"DBPipe\('keyless'\): the table has no integer primary key, so it is a"
    ):
        pipe.row_keys()
    with pytest.raises(NoRandomAccessError, match=r"rows have no keys to be asked for by. Read the rows first"):
        pipe.fetch(range(2))


def test_a_part_of_a_query_begins_at_its_own_first_epoch(path):
    pipe = DBPipe("rows", path)
    assert iter(pipe).epoch == 0
    assert iter(pipe.select("n")).epoch == 0
    assert iter(pipe).epoch == 1


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_a_stream_says_that_its_transaction_has_ended(tmp_path, end, capfd):
    path = tmp_path / "data.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE rows (n INTEGER)")
        connection.executemany("INSERT INTO rows VALUES (?)", [(n,) for n in range(3000)])
    table = TablePipe("rows", path)
    table.insert({"n": [3000]})
    iterator = iter(table.batch(1000))
    assert next(iterator)["n"].tolist() == list(range(1000))
    getattr(table, end)()
    with pytest.raises(
        DatabaseError, match=r"DBPipe\('rows'\): the transaction that this pass reads has ended .*commit"
    ):
        list(iterator)
    assert capfd.readouterr().err == ""
    table.close()


def test_a_stream_reads_what_is_not_committed(tmp_path):
    path = tmp_path / "data.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE rows (n INTEGER)")
    with TablePipe("rows", path) as table:
        table.insert({"n": list(range(3000))})
        iterator = iter(table.batch(1000))
        next(iterator)
        del iterator
        assert table.to_message()["n"].tolist() == list(range(3000))


def test_a_stream_begun_before_the_transaction_outlives_it(tmp_path):
    path = tmp_path / "data.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE rows (n INTEGER)")
        connection.executemany("INSERT INTO rows VALUES (?)", [(n,) for n in range(3000)])
    table = TablePipe("rows", path)
    iterator = iter(table.batch(1000))
    seen = next(iterator)["n"].tolist()
    table.insert({"n": [3000]})
    table.commit()
    assert seen + [n for batch in iterator for n in batch["n"]] == list(range(3000))
