from __future__ import annotations

import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sa

from fireworks.errors import DatabaseError, StateError
from fireworks.experiment.stores import connection as connection_module
from fireworks.experiment.stores.connection import open_database, reading


@pytest.fixture
def path(tmp_path):
    return tmp_path / "experiment.sqlite"


def make(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_connection_is_durable_patient_and_checks_its_keys(path):
    engine = open_database(path)
    with reading(engine) as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 30_000, "foreign_keys": 1}


def test_a_database_is_opened_again_unchanged(path):
    open_database(path)
    before = digest(path)
    open_database(path)
    assert digest(path) == before


def test_many_open_a_new_database_at_once(path):
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: open_database(path), range(16)))
    with reading(engines[0]) as connection:
        assert connection.exec_driver_sql("SELECT count(*), max(version) FROM schema_version").one() == (1, 1)


def test_an_empty_file_becomes_a_database(path):
    path.touch()
    open_database(path)
    assert path.stat().st_size > 0


def test_a_later_version_is_left_as_it_is(path):
    open_database(path)
    make(path, "UPDATE schema_version SET version = 2", "DROP TABLE artifact")
    before = digest(path)
    with pytest.raises(
        StateError,
        match=r"^Experiment: .*experiment\.sqlite has version 2 of the tables, and this fireworks knows versions up to "
        r"1; install a later fireworks to open it\.$",
    ):
        open_database(path)
    assert digest(path) == before


def test_a_file_that_is_no_database_is_left_as_it_is(path):
    path.write_text("step,loss\n" * 500)
    before = digest(path)
    with pytest.raises(
        DatabaseError,
        match=r"^Experiment: .*experiment\.sqlite is not an SQLite database; move it away or choose another folder\.$",
    ):
        open_database(path)
    assert digest(path) == before


@pytest.mark.parametrize("table", ["users", "schema_version"])
def test_the_database_of_another_program_is_left_as_it_is(path, table):
    make(path, f"CREATE TABLE {table} (name)")
    before = digest(path)
    with pytest.raises(
        DatabaseError,
        match=r"^Experiment: .*experiment\.sqlite is an SQLite database of something else; move it away or choose "
        r"another folder\.$",
    ):
        open_database(path)
    assert digest(path) == before


def test_other_troubles_of_the_database_come_through(tmp_path):
    with pytest.raises(sa.exc.OperationalError, match="unable to open database file"):
        open_database(tmp_path / "missing" / "experiment.sqlite")


def test_the_switch_to_wal_waits_for_others(path, monkeypatch):
    make(path, "CREATE TABLE t (a)")
    engine = connection_module.make_engine(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(connection_module, "BUSY_TIMEOUT_MS", 10)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            connection_module._switch_to_wal(engine)
        waits = []

        def release(seconds):
            waits.append(seconds)
            other.rollback()

        monkeypatch.setattr(connection_module, "BUSY_TIMEOUT_MS", 30_000)
        monkeypatch.setattr(connection_module.time, "sleep", release)
        connection_module._switch_to_wal(engine)
    assert waits


def test_readers_do_not_wait_for_a_writer(path):
    engine = open_database(path)
    with engine.begin() as writer, reading(engine) as reader:
        writer.exec_driver_sql("UPDATE schema_version SET version = 1")
        assert reader.exec_driver_sql("SELECT version FROM schema_version").scalar_one() == 1
