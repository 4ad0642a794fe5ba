import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch

import fireworks as fw
from fireworks.database import DBPipe, TablePipe
from fireworks.database.connection import Database
from fireworks.errors import DatabaseError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.db"
    with TablePipe("rows", path) as table:
        table.insert({"n": [1, 2, 3]})
    return path


def count(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT count(*) FROM rows").fetchone()[0]


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&cache=shared&uri=true"]
)
def test_a_url_of_a_database_in_memory_is_refused(url):
    with pytest.raises(
        DatabaseError, match=r"is a database in memory, and each connection would see another, empty one; use a file"
    ):
        Database(url)


@pytest.mark.parametrize("address", ["runs/data.db", 3, None])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match=r"expected a URL such as 'sqlite:///runs/data.db', a pathlib.Path or .*got"):
        Database(address)


def test_databases_to_come_are_named_without_the_password():
    with pytest.raises(DatabaseError, match=r"postgresql databases are not supported yet, only sqlite") as error:
        Database("postgresql://ann:secret@host/db")
    assert "secret" not in str(error.value)
    with pytest.raises(DatabaseError, match=r"sqlite\+aiosqlite is not supported; write 'sqlite:///data.db'"):
        Database("sqlite+aiosqlite:///data.db")


def test_every_address_of_a_file_leads_there(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    for address in (path, Path("data.db"), "sqlite:///data.db", f"sqlite:///{path}", sa.make_url("sqlite:///data.db")):
        assert len(TablePipe("rows", address)) == 3
        assert pickle.loads(pickle.dumps(Database(address))).url == Database(address).url
    assert len(TablePipe("rows", "sqlite:///file:data.db?mode=ro&uri=true")) == 3


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, only some text that is long enough\n" * 40)
    with pytest.raises(
        DatabaseError, match=r"DBPipe\('rows'\): .*notes.txt: the file is not an SQLite database"
    ) as error:
        DBPipe("rows", path)
    assert isinstance(error.value.__cause__, sa.exc.DatabaseError)
    with pytest.raises(DatabaseError, match=r"TablePipe\('rows'\): inserting rows failed in .*not an SQLite database"):
        TablePipe("rows", path).insert({"n": [1]})
    assert path.read_text().startswith("no database")


def test_a_damaged_file_is_named(path):
    data = bytearray(path.read_bytes())
    data[100:2000] = b"\xff" * 1900
    path.write_bytes(data)
    with pytest.raises(DatabaseError, match=r"the file is damaged; restore a copy"):
        DBPipe("rows", path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DatabaseError, match=r"the file can't be opened; check that it is a file"):
        DBPipe("rows", tmp_path)


def test_a_folder_that_can_not_be_made_is_named(path):
    with pytest.raises(DatabaseError, match=r"the folder of .*inside.db can't be made or entered .*check the path"):
        TablePipe("rows", path / "inside.db").insert({"n": [1]})


def test_a_locked_database_says_so_and_lets_the_insert_be_tried_again(path):
    table = TablePipe("rows", f"sqlite:///{path}?timeout=0.05")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            DatabaseError, match=r"TablePipe\('rows'\): inserting rows failed .*another connection has it lock"
        ):
            table.insert({"n": [4]})
        other.execute("ROLLBACK")
    table.insert({"n": [4]})
    table.commit()
    assert count(path) == 4


def test_a_commit_that_is_refused_can_be_tried_again(path):
    table = TablePipe("rows", f"sqlite:///{path}?timeout=0.05")
    table.insert({"n": [4]})
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM rows").fetchone()
        with pytest.raises(DatabaseError, match=r"commit failed .*another connection has it locked"):
            table.commit()
        reader.execute("ROLLBACK")
    table.commit()
    assert count(path) == 4


def test_a_read_only_file_says_so(path):
    table = TablePipe("rows", f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(DatabaseError, match=r"inserting rows failed .*can't be written; check their permissions"):
        table.insert({"n": [4]})
    assert len(table) == 3


def test_a_full_disk_undoes_the_transaction_and_the_next_one_works(path):
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    pages = {"max": 20}

    @sa.event.listens_for(engine, "connect")
    def limit(connection, _record):
        connection.execute(f"PRAGMA max_page_count={pages['max']}")

    table = TablePipe("rows", engine)
    table.insert({"n": [4]})
    with pytest.raises(DatabaseError, match=r"inserting rows failed .*the disk is full; make room and insert again"):
        table.insert({"n": list(range(100_000))})
    pages["max"] = 10_000
    table.close()
    with table:
        table.insert({"n": [5]})
    assert count(path) == 4


def test_any_other_refusal_comes_with_the_databases_own_words(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON rows BEGIN SELECT RAISE(ABORT, 'not on sundays'); END")
    with pytest.raises(DatabaseError, match=r"not on sundays"):
        TablePipe("rows", path).insert({"n": [4]})
    with pytest.raises(DatabaseError, match=r"reserved for internal use"):
        TablePipe("sqlite_rows", path).insert({"n": [4]})


# --- threads --------------------------------------------------------------------------------------------------------


def test_a_thread_reads_while_another_inserts_and_undoes(path):
    with TablePipe("rows", path) as table:
        table.insert({"n": list(range(2000))})
    query, is_done = table.query(), threading.Event()
    rows = query.to_message()

    def read():
        while not is_done.is_set():
            assert query.to_message() == rows

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for _ in range(150):
            table.insert({"n": [1] * 50})
            table.rollback()
        is_done.set()
        for reader in readers:
            reader.result()


def test_a_transaction_waits_for_the_thread_that_reads_in_it(path):
    table = TablePipe("rows", path)
    table.insert({"n": [4]})
    undone = threading.Event()
    thread = threading.Thread(target=lambda: (table.rollback(), undone.set()))
    with table._database.reading() as connection:
        thread.start()
        assert not undone.wait(0.1)
        assert connection.execute(sa.text("SELECT count(*) FROM rows")).scalar() == 4
    thread.join()
    assert count(path) == 3


# --- processes ------------------------------------------------------------------------------------------------------

# Children are forked, for a new interpreter takes seconds to import torch. They do no tensor arithmetic.
fork = multiprocessing.get_context("fork")
forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of threads and fork, since Python 3.12


def insert_without_end(path, inserted):
    table = TablePipe("rows", path)
    while True:
        table.insert({"n": list(range(100_000))})
        inserted.release()


@forks
def test_a_process_that_is_killed_while_it_inserts_leaves_the_table_as_it_was(path):
    inserted = fork.Semaphore(0)
    process = fork.Process(target=insert_without_end, args=(path, inserted))
    process.start()
    before = path.stat().st_size
    for _ in range(4):
        assert inserted.acquire(timeout=60)
    assert path.stat().st_size > before  # past SQLite's cache: the file itself has been written to
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert TablePipe("rows", path).to_message() == fw.Message({"n": [1, 2, 3]})
    with TablePipe("rows", path) as table:
        table.insert({"n": [4]})
    assert count(path) == 4


@forks
def test_a_forked_process_reads_what_is_committed_and_leaves_the_transaction_alone(path):
    table = TablePipe("rows", path)
    table.insert({"n": [4]})
    child = os.fork()
    if child == 0:
        os._exit(0 if len(table) == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    table.commit()
    assert count(path) == 4


@forks
def test_a_child_that_drops_what_it_inherited_undoes_nothing(path):
    table = TablePipe("rows", path)
    table.insert({"n": list(range(400_000))})  # past SQLite's cache: the file itself has been written to
    journal = Path(f"{path}-journal")
    written = journal.read_bytes()[:512], path.stat().st_size
    child = os.fork()
    if child == 0:
        del table
        gc.collect()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert journal.exists()
    assert (journal.read_bytes()[:512], path.stat().st_size) == written
    table.commit()
    assert count(path) == 400_003


SCRIPT = """
import os, sys
from pathlib import Path
from fireworks.database import TablePipe
table = TablePipe("rows", Path("data.db"))
table.insert({"n": list(range(400_000))})
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    assert Path("data.db-journal").exists()
    table.commit()
"""


@pytest.mark.slow
def test_a_child_that_ends_as_a_program_does_undoes_nothing(path):
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=False, cwd=path.parent, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert count(path) == 400_003


@forks
def test_a_child_waits_for_no_lock_of_another_thread_of_its_parent(path):
    table = TablePipe("rows", path)
    held, is_done = threading.Event(), threading.Event()

    def hold():
        with table._database.writing():
            held.set()
            is_done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if len(table) == 3 else 1)
    is_done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    table.close()


def insert_one_by_one(path, start):
    start.wait()
    for n in range(10):
        with TablePipe("rows", path) as table:
            table.insert({"n": [n]})


@forks
def test_processes_add_to_one_table_at_the_same_time(path):
    start = fork.Barrier(3)
    processes = [fork.Process(target=insert_one_by_one, args=(path, start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert count(path) == 33


@forks
def test_workers_of_a_data_loader_read_the_same_rows(tmp_path):
    with TablePipe("rows", tmp_path / "data.db") as table:
        table.insert({"x": torch.arange(12.0)})
    pipe = DBPipe("rows", tmp_path / "data.db").shuffle(seed=0).batch(3)
    loader = torch.utils.data.DataLoader(pipe, batch_size=None, num_workers=2, sampler=range(len(pipe)))
    assert list(loader) == list(pipe.at_epoch(0))
