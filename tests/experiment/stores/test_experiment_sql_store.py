from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fireworks.errors import TrialError
from fireworks.experiment.collectors.code import CodeFacts
from fireworks.experiment.collectors.environment import EnvironmentFacts
from fireworks.experiment.collectors.git import GitFacts
from fireworks.experiment.liveness import ProcessIdentity
from fireworks.experiment.stores.records import TrialEnd, TrialStart
from fireworks.experiment.stores.schema import trial
from fireworks.experiment.stores.sql import SqlTrialStore

CODE = {"train.py": "import model\n", "model.py": "x = 1\n", "copy.py": "x = 1\n"}
DONE = TrialEnd("COMPLETED", finished_us=20, duration_s=0.5, failure=None, artifacts=())


@pytest.fixture
def store(tmp_path):
    return SqlTrialStore(tmp_path / "experiment.sqlite")


def start(**facts):
    return TrialStart(
        **{
            "parameters": "{}",
            "seed": 1,
            "started_us": 10,
            "process": ProcessIdentity.current(),
            "environment": EnvironmentFacts.collect(),
            "git": GitFacts(commit="abc", branch="main", dirty=True),
            "code": CodeFacts(CODE),
            **facts,
        }
    )


def run(store, claim=lambda number: True, **facts):
    writer = store.start_trial(start(**facts), claim)
    writer.end(DONE)
    return writer.number


def count(tmp_path, table):
    with closing(sqlite3.connect(tmp_path / "experiment.sqlite")) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_numbers_that_cannot_be_claimed_are_passed_over(store):
    assert run(store) == 1
    assert run(store, claim=lambda number: number not in {2, 3}) == 4
    assert run(store) == 5


def test_a_claim_that_fails_leaves_no_trial_and_no_lock(store):
    def fail(number):
        raise PermissionError("read-only folder")

    with pytest.raises(PermissionError, match="read-only folder"):
        store.start_trial(start(), fail)
    assert store.count_trials() == 0
    assert run(store) == 1


def test_what_many_trials_share_is_stored_once(store, tmp_path):
    for _ in range(20):
        run(store)
    # environment, git, list of files, and two different sources
    assert count(tmp_path, "content") == 5
    run(store, code=CodeFacts({**CODE, "model.py": "x = 2\n"}))
    assert count(tmp_path, "content") == 7
    assert store.read_code(20) == CODE
    assert store.read_code(21)["model.py"] == "x = 2\n"


def test_facts_come_back(store):
    number = run(store, parameters='{"a": 1}', seed=2**64 - 1)
    assert store.read_parameters(number) == '{"a": 1}'
    environment = store.read_environment(number)
    assert environment.pop("git") == {"commit": "abc", "branch": "main", "dirty": True}
    assert environment["packages"] == EnvironmentFacts.collect().packages
    [record] = store.read_trials()
    assert (record.seed, record.started_us, record.finished_us, record.duration_s) == (2**64 - 1, 10, 20, 0.5)
    assert record.process == ProcessIdentity.current()


def test_a_point_and_its_summary_are_written_together(store, tmp_path):
    writer = store.start_trial(start(), lambda number: True)
    with pytest.raises(OverflowError, match="too large"):
        writer.log({"loss": 0.5, "accuracy": 1.0}, step=2**70)
    assert (count(tmp_path, "metric"), count(tmp_path, "metric_summary")) == (0, 0)
    writer.log({"loss": 0.5, "accuracy": 1.0}, step=None)
    assert store.read_metric("loss", [1]) == {1: [(0, 0.5)]}
    writer.end(DONE)


def test_listing_trials_reads_no_points(store, tmp_path):
    writer = store.start_trial(start(), lambda number: True)
    for value in (0.5, 0.25):
        writer.log({"loss": value}, step=None)
    writer.end(DONE)
    with closing(sqlite3.connect(tmp_path / "experiment.sqlite")) as connection, connection:
        connection.execute("DROP TABLE metric")
    assert [(last.number, last.metric, last.value) for last in store.read_last_values()] == [(1, "loss", 0.25)]
    assert len(store.read_trials()) == 1


def test_nothing_stays_open_when_the_work_is_done(store, tmp_path):
    run(store)
    store.read_trials()
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.sqlite"]  # the last to close removes the log
    assert not [link for link in Path("/dev/fd").iterdir() if os.path.realpath(link).startswith(str(tmp_path))]


def test_any_number_of_files_and_trials_goes_through_an_old_sqlite(store, tmp_path):
    @sa.event.listens_for(store._engine, "connect")
    def limit(connection, _record):
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)

    files = {f"{n}.py": f"x = {n}\n" for n in range(2500)}
    number = run(store, code=CodeFacts(files))
    again = run(store, code=CodeFacts(files))
    assert store.read_code(number) == store.read_code(again) == files
    assert count(tmp_path, "content") == 2500 + 3  # the environment, git and the list of the files
    with store._engine.begin() as connection:
        [first] = connection.execute(sa.select(trial).where(trial.c.number == 1)).mappings()
        connection.execute(sa.insert(trial), [{**first, "number": n} for n in range(3, 1500)])
    with pytest.raises(TrialError, match=r"Unable to find metric 'loss' in trial 1, 2, .*; metrics are \[\]"):
        store.read_metric("loss", range(1, 1500))
    writer = store.start_trial(start(), lambda number: True)
    writer.log({"loss": 0.5}, None)
    writer.end(DONE)
    assert store.read_metric("loss", range(1, 1501))[1500] == [(0, 0.5)]
