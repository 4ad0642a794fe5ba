"""A file is there whole or not at all, whatever happens while it is written."""

import errno
import os
import stat
from pathlib import Path

import pytest

from disks import largest_file, small_disk
from fireworks._internal import files
from fireworks._internal.files import as_path, open_file, whole_file
from fireworks.errors import ColumnTypeError, FileFormatError

as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")


@pytest.fixture(params=["nameless", "hidden"])
def way(request, monkeypatch):
    """Both ways of writing: with files that have no name yet, and where the system has none."""
    if request.param == "hidden":
        monkeypatch.setattr(files, "_OPEN_FILES", Path("/there/is/no/such/folder"))
    return request.param


def write(path, data=b"new"):
    with whole_file(path, where="Writer") as file:
        file.write(data)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("way")
class TestWholeFile:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_new_file_is_written(self, kind, tmp_path):
        write(kind(tmp_path / "x"))
        assert (tmp_path / "x").read_bytes() == b"new"
        assert names(tmp_path) == ["x"]

    def test_an_old_one_stays_until_the_new_one_is_whole(self, tmp_path, way):
        path = tmp_path / "x"
        path.write_bytes(b"old")
        with whole_file(path, where="Writer") as file:
            file.write(b"new")
            file.flush()
            assert path.read_bytes() == b"old"
            assert len(names(tmp_path)) == (1 if way == "nameless" else 2)
        assert path.read_bytes() == b"new"
        assert names(tmp_path) == ["x"]

    @pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
    def test_a_failure_leaves_the_old_one_and_nothing_else(self, failure, tmp_path):
        path = tmp_path / "x"
        path.write_bytes(b"old")

        def fail():
            with whole_file(path, where="Writer") as file:
                file.write(b"new")
                raise failure

        with pytest.raises(type(failure)) as caught:
            fail()
        assert caught.value is failure
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["x"]

    def test_it_is_on_the_disk_before_it_has_the_name_and_the_name_is_before_the_end(self, tmp_path, monkeypatch):
        events = []
        sync, replace = os.fsync, Path.replace

        def synced(handle):
            events.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
            sync(handle)

        def replaced(self, target):
            events.append("name")
            return replace(self, target)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "replace", replaced)
        write(tmp_path / "x")
        assert events == ["file", "name", "folder"]

    def test_it_has_the_permissions_of_the_old_one_or_of_any_new_file(self, tmp_path):
        (tmp_path / "plain").touch()
        write(tmp_path / "x")
        assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode
        (tmp_path / "x").chmod(0o640)
        write(tmp_path / "x")
        assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640

    def test_a_link_is_followed_and_stays_one(self, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "folder" / "x")
        write(tmp_path / "link", b"first")
        write(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "x").read_bytes() == b"new"
        assert names(tmp_path / "folder") == ["x"]

    def test_it_can_be_read_and_sought_in_while_it_is_written(self, tmp_path):
        with whole_file(tmp_path / "x", where="Writer") as file:
            file.write(b"12345")
            file.seek(1)
            assert file.read(2) == b"23"
            file.seek(0)
            file.write(b"x")
        assert (tmp_path / "x").read_bytes() == b"x2345"

    def test_two_at_once_end_with_the_last_one_whole(self, tmp_path):
        with whole_file(tmp_path / "x", where="Writer") as outer:
            outer.write(b"outer")
            write(tmp_path / "x", b"inner")
            assert (tmp_path / "x").read_bytes() == b"inner"
        assert (tmp_path / "x").read_bytes() == b"outer"
        assert names(tmp_path) == ["x"]

    def test_without_room_the_old_one_stays(self, tmp_path):
        path = tmp_path / "x"
        write(path, b"old")
        with largest_file(1000), pytest.raises(OSError, match=r"File too large\. What was there before") as caught:
            write(path, b"n" * 10_000)
        assert caught.value.errno == errno.EFBIG
        assert str(caught.value) == (
            f"[Errno {errno.EFBIG}] Writer: {str(path)!r} can't be written: File too large. "
            "What was there before is still whole"
        )
        assert isinstance(caught.value.__cause__, OSError)
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["x"]

    def test_without_room_for_a_first_one_there_is_none(self, tmp_path):
        with largest_file(1000), pytest.raises(OSError, match=r"can't be written: File too large$"):
            write(tmp_path / "x", b"n" * 10_000)
        assert names(tmp_path) == []

    def test_a_real_disk_that_is_full(self, tmp_path):
        with small_disk(tmp_path, "64k"):
            write(tmp_path / "x", b"o" * 20_000)
            with pytest.raises(OSError, match="No space left on device") as caught:
                write(tmp_path / "x", b"n" * 60_000)
            assert caught.value.errno == errno.ENOSPC
            assert (tmp_path / "x").read_bytes() == b"o" * 20_000
            assert names(tmp_path) == ["x"]
            write(tmp_path / "x", b"n" * 20_000)

    def test_the_folder_must_be_there(self, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=r"Writer: '.*/no/x' can't be written: there is no folder '.*/no'; make it first"
        ):
            write(tmp_path / "no" / "x")
        assert names(tmp_path) == []

    def test_a_folder_is_no_file(self, tmp_path):
        with pytest.raises(IsADirectoryError, match=r"Writer: '.*' can't be written: Is a directory"):
            write(tmp_path)

    @as_root
    def test_a_folder_that_is_read_only(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(PermissionError, match=r"Writer: '.*/x' can't be written: Permission denied"):
            write(tmp_path / "x")

    @as_root
    def test_a_file_that_is_read_only_is_not_replaced(self, tmp_path):
        write(tmp_path / "x", b"old")
        (tmp_path / "x").chmod(0o400)
        with pytest.raises(PermissionError, match="Permission denied"):
            write(tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == b"old"


def test_a_file_without_a_name_is_what_is_used_where_there_is_one(tmp_path):
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has none")
    file, has_name = files._created(tmp_path / ".x-00000000")
    file.close()
    assert not has_name
    assert names(tmp_path) == []


# The devices below are of our own making: a fault in the code must not replace those that everybody uses.


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(path)
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert names(tmp_path) == ["pipe"]


def test_a_device_that_is_full_is_an_error_and_stays_a_device(tmp_path):
    path = tmp_path / "full"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, Path("/dev/full").stat().st_rdev)
        path.open("wb").close()
    except OSError:
        pytest.skip("this user may not make a device")
    with pytest.raises(OSError, match=r"Writer: '.*/full' can't be written: No space left on device$"):
        write(path)
    assert stat.S_ISCHR(path.stat().st_mode)
    assert names(tmp_path) == ["full"]


def test_a_path_begins_at_home_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write("~/x")
    assert (tmp_path / "x").read_bytes() == b"new"
    with open_file("~/x", where="Reader") as file:
        assert file.read() == b"new"


@pytest.mark.parametrize("path", [b"x", 3, None, ["x"]])
def test_a_path_is_a_text_or_a_path(path):
    with pytest.raises(TypeError, match=r"Writer: a path is a str or a Path; got .* of type (bytes|int|NoneType|list)"):
        as_path(path, where="Writer")


class TestOpenFile:
    def test_a_missing_file_is_named(self, tmp_path):
        with (
            pytest.raises(FileNotFoundError, match=r"Reader: '.*/x' can't be read: there is no such file") as caught,
            open_file(tmp_path / "x", where="Reader"),
        ):
            pass
        assert caught.value.errno == errno.ENOENT

    def test_a_folder_is_named(self, tmp_path):
        with (
            pytest.raises(IsADirectoryError, match=r"can't be read: Is a directory"),
            open_file(tmp_path, where="Reader"),
        ):
            pass

    @pytest.mark.parametrize("failure", [ZeroDivisionError("7/0."), OSError("odd bytes")], ids=["broken", "no errno"])
    def test_what_a_reader_raises_of_a_damaged_file_says_so(self, failure, tmp_path):
        (tmp_path / "x").touch()
        with (
            pytest.raises(
                FileFormatError, match=r"^Reader: '.*/x' is no Odd file, or a damaged one: (7/0|odd bytes)\.$"
            ) as caught,
            open_file(tmp_path / "x", where="Reader", kind="Odd", broken=(ZeroDivisionError,)),
        ):
            raise failure
        assert caught.value.__cause__ is failure

    def test_an_error_without_a_text_says_its_kind(self, tmp_path):
        (tmp_path / "x").touch()
        with (
            pytest.raises(FileFormatError, match=r"damaged one: RecursionError\.$"),
            open_file(tmp_path / "x", where="Reader", kind="Odd", broken=(RecursionError,)),
        ):
            raise RecursionError

    @pytest.mark.parametrize("failure", [ColumnTypeError("ours"), KeyError("other"), FileFormatError("ours too")])
    def test_any_other_error_comes_through(self, failure, tmp_path):
        (tmp_path / "x").touch()
        with (
            pytest.raises(type(failure)) as caught,
            open_file(tmp_path / "x", where="Reader", kind="Odd", broken=(ValueError, TypeError)),
        ):
            raise failure
        assert caught.value is failure

    def test_a_disk_that_fails_is_no_damaged_format(self, tmp_path):
        (tmp_path / "x").touch()
        with (
            pytest.raises(OSError, match="can't be read: Input/output error") as caught,
            open_file(tmp_path / "x", where="Reader", kind="Odd", broken=(ValueError,)),
        ):
            raise OSError(errno.EIO, "Input/output error")
        assert caught.value.errno == errno.EIO
