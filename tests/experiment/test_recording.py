from __future__ import annotations

import sqlite3

import pytest


def test_a_folder_that_a_lost_database_left_keeps_its_number(experiment):
    (experiment.path / "trial-0001").mkdir()
    with experiment.trial() as trial:
        assert trial.number == 2
        assert trial.path.name == "trial-0002"


def test_the_traceback_of_a_failure_is_stored(experiment):
    with pytest.raises(KeyError, match="nothing"), experiment.trial():
        {}["nothing"]
    [(kind, text, trace)] = rows(experiment, "SELECT failure_type, failure_text, failure_traceback FROM trial")
    assert (kind, text) == ("KeyError", "'nothing'")
    assert trace.startswith("Traceback (most recent call last)")
    assert '{}["nothing"]' in trace


def test_an_exception_that_cannot_be_told_or_encoded_is_still_recorded(experiment):
    class SilentError(Exception):
        def __str__(self):
            raise RuntimeError

    with pytest.raises(SilentError), experiment.trial():
        raise SilentError
    with pytest.raises(OSError, match="not there"), experiment.trial():
        raise OSError("not there: \udce9")
    assert experiment.get_history()["Description"].tolist() == [
        "SilentError(<exception str() failed>)",
        r"OSError(not there: \udce9)",
    ]


def test_a_file_that_cannot_be_closed_fails_the_trial(experiment, monkeypatch):
    class FullDisk:
        def close(self):
            raise OSError("No space left on device")

    full, trial = FullDisk(), experiment.trial()
    with pytest.raises(OSError, match="No space"), trial:
        trial._recording.files._opened.add(full)
    assert trial.status == "FAILED"
    assert experiment.get_history().loc[1, "Description"] == "OSError(No space left on device)"


def test_an_interruption_while_files_are_hashed_is_recorded(experiment, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hashlib.file_digest", interrupt)
    trial = experiment.trial()
    with pytest.raises(KeyboardInterrupt), trial:
        file = trial.open("a.txt", "w")
    assert (file.closed, trial.status) == (True, "INTERRUPTED")
    assert experiment.get_history().loc[1, "Status"] == "INTERRUPTED"


def test_artifacts_are_recorded_at_the_end(experiment):
    with experiment.trial() as trial:
        file = trial.open("a.txt", "w")
        file.write("abc")
    assert file.closed
    [(number, name, size, digest)] = rows(experiment, "SELECT trial, name, bytes, sha256 FROM artifact")
    assert (number, name, size) == (1, "a.txt", 3)
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def rows(experiment, query):
    connection = sqlite3.connect(experiment.path / "experiment.sqlite")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
