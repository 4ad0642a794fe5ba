"""A folder is there whole or not at all."""

import fcntl
from pathlib import Path

import pytest

from fireworks.formats import whole_folder as module
from fireworks.formats.whole_folder import whole_folder


def fill(target, text, names=("a.txt",)):
    with whole_folder(target, lambda entry: entry.suffix == ".txt", where="to_x") as new:
        for name in names:
            (new / name).write_text(text)
        return new


def state(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["exchange", "rename"])
def system(request, monkeypatch):
    if request.param == "rename":
        monkeypatch.setattr(module, "_exchanged", lambda one, other: False)
    return request.param


def test_it_takes_its_place_when_the_block_ends(tmp_path, system):
    new = fill(tmp_path / "x", "old")
    assert state(tmp_path) == {"x/a.txt": "old"}
    assert new.name.startswith(".x-")
    fill(tmp_path / "x", "new", ["b.txt"])
    assert state(tmp_path) == {"x/b.txt": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_error_leaves_the_old(tmp_path, system):
    fill(tmp_path / "x", "old")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "x", lambda entry: True, where="to_x") as new:
        raise ZeroDivisionError((new / "b.txt").write_text("new"))
    assert state(tmp_path) == {"x/a.txt": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_came_meanwhile_is_not_lost(tmp_path, system):
    fill(tmp_path / "x", "old")
    writer = whole_folder(tmp_path / "x", lambda entry: entry.suffix == ".txt", where="to_x")
    (writer.__enter__() / "b.txt").write_text("new")
    (tmp_path / "x" / "notes.md").write_text("mine")
    with pytest.raises(FileExistsError, match=r"to_x: the folder '.*x' holds 'notes.md', which would be lost"):
        writer.__exit__(None, None, None)
    assert state(tmp_path) == {"x/a.txt": "old", "x/notes.md": "mine"}


def test_what_a_killed_writer_left_is_taken_away(tmp_path):
    (tmp_path / ".x-01234567.writing").mkdir()
    (tmp_path / ".x-01234567.writing" / "b.txt").write_text("half")
    (tmp_path / ".x-01234567.old").mkdir()
    (tmp_path / ".y-01234567.writing").mkdir()
    (tmp_path / ".x-01234567.mine").mkdir()
    fill(tmp_path / "x", "new")
    fill(tmp_path / "x", "newer")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".x-01234567.mine", ".y-01234567.writing", "x"]


def test_what_was_set_aside_by_a_killed_writer_is_put_back(tmp_path):
    (tmp_path / ".x[1]-01234567.old").mkdir()
    (tmp_path / ".x[1]-01234567.old" / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "x[1]", lambda entry: True, where="to_x"):
        raise ZeroDivisionError
    assert state(tmp_path) == {"x[1]/a.txt": "old"}


def test_one_that_is_being_written_is_left_alone(tmp_path):
    with whole_folder(tmp_path / "x", lambda entry: True, where="to_x") as first:
        (first / "a.txt").write_text("first")
        fill(tmp_path / "x", "second")
        assert (first / "a.txt").read_text() == "first"
    assert state(tmp_path) == {"x/a.txt": "first"}


def test_a_folder_that_is_taken_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    real, calls = fcntl.flock, []

    def busy(number, how):
        calls.append(how)
        if len(calls) == 1:
            raise OSError(11, "busy")
        return real(number, how)

    monkeypatch.setattr(module.fcntl, "flock", busy)
    fill(tmp_path / "x", "new")
    assert len(calls) == 2
    assert state(tmp_path / "x") == {"a.txt": "new"}


def test_where_the_new_one_can_not_be_put_the_old_one_is_put_back(tmp_path, monkeypatch):
    fill(tmp_path / "x", "old")
    monkeypatch.setattr(module, "_exchanged", lambda one, other: False)
    rename = module.Path.rename

    def refuse(self, target):
        if self.suffix == ".writing":
            raise OSError(5, "disk gone")
        return rename(self, target)

    monkeypatch.setattr(module.Path, "rename", refuse)
    with pytest.raises(OSError, match="disk gone"):
        fill(tmp_path / "x", "new")
    assert state(tmp_path) == {"x/a.txt": "old"}


class TestExchange:
    def test_two_folders_change_places(self, tmp_path):
        for name in "ab":
            (tmp_path / name).mkdir()
            (tmp_path / name / name).write_text(name)
        assert module._exchanged(tmp_path / "a", tmp_path / "b")
        assert state(tmp_path) == {"a/b": "b", "b/a": "a"}

    def test_a_system_that_can_not_says_so(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module.ctypes, "CDLL", lambda *given, **more: object())
        assert not module._exchanged(tmp_path / "a", tmp_path / "b")

    @pytest.mark.parametrize("number", [38, 22, 95])
    def test_so_does_a_file_system(self, tmp_path, monkeypatch, number):
        class Library:
            renameat2 = staticmethod(lambda *given: -1)

        monkeypatch.setattr(module.ctypes, "CDLL", lambda *given, **more: Library)
        monkeypatch.setattr(module.ctypes, "get_errno", lambda: number)
        assert not module._exchanged(tmp_path / "a", tmp_path / "b")

    def test_what_is_not_there_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            module._exchanged(tmp_path / "a", tmp_path / "b")


def test_its_files_are_on_the_disk_before_it_is_in_its_place(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(module.os, "fsync", lambda number: done.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    new = fill(tmp_path / "x", "new")
    assert done == [str(new), str(tmp_path)]
