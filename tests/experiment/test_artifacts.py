from __future__ import annotations

import csv
import hashlib

import pytest

from fireworks.experiment.artifacts import Artifact, ArtifactFolder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "trial").mkdir()
    return ArtifactFolder(tmp_path / "trial")


def open_in(folder, filename, mode="r", encoding=None, newline=None):
    return folder.open(filename, mode, encoding=encoding, newline=newline)


def test_written_files_are_known_by_name_size_and_content(folder):
    with open_in(folder, "b/c.bin", "wb") as file:
        file.write(b"\x00\x01")
    with open_in(folder, "a.txt", "w") as file:
        file.write("größe")
    assert folder.close() == (
        Artifact("a.txt", 7, hashlib.sha256("größe".encode()).hexdigest()),
        Artifact("b/c.bin", 2, hashlib.sha256(b"\x00\x01").hexdigest()),
    )


@pytest.mark.parametrize("mode", ["w", "x", "a", "wb", "w+", "a+b"])
def test_modes_that_create_a_file_make_its_folders(folder, mode):
    open_in(folder, "one/two/three", mode).close()
    assert [artifact.name for artifact in folder.close()] == ["one/two/three"]


@pytest.mark.parametrize("mode", ["r", "rb", "r+"])
def test_modes_that_read_make_nothing(folder, mode):
    with pytest.raises(FileNotFoundError):
        open_in(folder, "one/two", mode)
    assert list(folder.path.iterdir()) == []


def test_a_file_that_was_only_read_is_no_artifact(folder):
    (folder.path / "given").write_text("text")
    with open_in(folder, "given") as file:
        assert file.read() == "text"
    assert folder.close() == ()


def test_a_file_that_was_changed_in_place_is_an_artifact(folder):
    (folder.path / "given").write_text("text")
    open_in(folder, "given", "r+").close()
    assert [artifact.name for artifact in folder.close()] == ["given"]


def test_what_is_still_open_is_closed_and_whole(folder):
    file = open_in(folder, "log.txt", "w")
    file.write("last words")
    [artifact] = folder.close()
    assert file.closed
    assert artifact.bytes == 10


def test_a_file_that_was_deleted_again_is_no_artifact(folder):
    open_in(folder, "scratch", "w").close()
    (folder.path / "scratch").unlink()
    assert folder.close() == ()


def test_newlines_and_encoding_are_the_callers_choice(folder):
    with open_in(folder, "table.csv", "w", encoding="latin-1", newline="") as file:
        csv.writer(file).writerow(["ä"])
    assert (folder.path / "table.csv").read_bytes() == b"\xe4\r\n"


@pytest.mark.parametrize("filename", ["../other", "a/../../other", "/etc/passwd", "link/other"])
@pytest.mark.parametrize("mode", ["r", "w"])
def test_a_path_out_of_the_folder_is_refused(folder, filename, mode):
    (folder.path / "link").symlink_to(folder.path.parent)
    with pytest.raises(ValueError, match=r"^Trial\.open: '.*' leads out of the trial's folder .*trial\.$"):
        open_in(folder, filename, mode)
    assert [path.name for path in folder.path.parent.iterdir()] == ["trial"]


def test_an_absolute_path_inside_is_as_good_as_a_relative_one(folder):
    open_in(folder, folder.path / "a", "w").close()
    assert [artifact.name for artifact in folder.close()] == ["a"]
