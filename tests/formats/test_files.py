"""Files are found once, in the order of their names, and looked after while they are read."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from fireworks.errors import FileChangedError, FileFormatError, MissingExtraError
from fireworks.formats.files import Files


def found(path, *suffixes):
    return Files(path, where="read_x", suffixes=suffixes or (".csv",))


def inside(path, *suffixes):
    return list(found(path, *suffixes).inside)


@pytest.fixture
def folder(tmp_path):
    for name in ["b.csv", "a.csv", "B.CSV", "c.csv.gz", "notes.txt", "deep/er/a.csv", "deep/z.csv"]:
        write(tmp_path / "data" / name, name)
    return tmp_path / "data"


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class TestWhatIsFound:
    def test_one_file_whatever_its_name_ends_in(self, folder):
        files = found(folder / "notes.txt")
        assert files.names == (str(folder / "notes.txt"),)
        assert files.inside == ("notes.txt",)
        assert len(files) == 1

    def test_all_files_of_a_folder_and_of_those_below_it_that_end_as_they_should(self, folder):
        assert inside(folder) == ["B.CSV", "a.csv", "b.csv", "deep/er/a.csv", "deep/z.csv"]
        assert inside(str(folder), ".csv", ".csv.gz")[3] == "c.csv.gz"
        assert [Path(name).name for name in found(folder).names] == ["B.CSV", "a.csv", "b.csv", "a.csv", "z.csv"]

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.csv", ["a.csv", "b.csv"]),
            ("?.csv*", ["a.csv", "b.csv", "c.csv.gz"]),
            ("[ab].csv", ["a.csv", "b.csv"]),
            ("deep/*/a.csv", ["er/a.csv"]),
            ("**/*.csv", ["a.csv", "b.csv", "deep/er/a.csv", "deep/z.csv"]),
            ("deep/**", ["er/a.csv", "z.csv"]),
            ("*", ["B.CSV", "a.csv", "b.csv", "c.csv.gz", "notes.txt"]),
        ],
    )
    def test_what_fits_a_pattern(self, folder, pattern, expected):
        assert inside(f"{folder}/{pattern}") == expected

    def test_a_pattern_may_be_relative(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        assert found("*.csv").names == ("a.csv", "b.csv")
        assert found("deep/*.csv").names == ("deep/z.csv",)

    def test_a_path_may_be_of_the_user(self, folder, monkeypatch):
        monkeypatch.setenv("HOME", str(folder))
        assert found("~/a.csv").names == (str(folder / "a.csv"),)

    def test_a_file_whose_name_looks_like_a_pattern_is_itself(self, tmp_path):
        write(tmp_path / "a[1].csv")
        write(tmp_path / "a1.csv")
        assert inside(tmp_path / "a[1].csv") == ["a[1].csv"]

    def test_lists_keep_their_order_and_may_hold_anything(self, folder):
        some = [folder / "b.csv", f"{folder}/?.csv", str(folder / "deep")]
        assert inside(some) == ["b.csv", "a.csv", "b.csv", "er/a.csv", "z.csv"]
        assert inside(path for path in some) == inside(some)
        assert inside([[folder / "b.csv"], folder / "a.csv"]) == ["b.csv", "a.csv"]

    def test_hidden_files_and_those_of_writers_are_left_out_of_folders(self, tmp_path):
        for name in ["a.csv", ".b.csv", "_c.csv", ".d/e.csv", "_f/g.csv", "_g=1/h.csv"]:
            write(tmp_path / name)
        assert inside(tmp_path) == ["_g=1/h.csv", "a.csv"]
        assert inside(f"{tmp_path}/*.csv") == ["_c.csv", "a.csv"]
        assert inside(f"{tmp_path}/.*.csv") == [".b.csv"]
        assert inside(tmp_path / ".d") == ["e.csv"]

    def test_links_are_followed_once(self, folder):
        (folder / "linked.csv").symlink_to(folder / "notes.txt")
        (folder / "around").symlink_to(folder, target_is_directory=True)
        (folder.parent / "there").mkdir()
        (folder / "elsewhere").symlink_to(folder.parent / "there", target_is_directory=True)
        write(folder.parent / "there" / "t.csv")
        (folder / "gone.csv").symlink_to(folder / "no such file")
        assert inside(folder) == [
            "B.CSV",
            "a.csv",
            "b.csv",
            "deep/er/a.csv",
            "deep/z.csv",
            "elsewhere/t.csv",
            "linked.csv",
        ]

    def test_folders_are_no_files(self, tmp_path):
        (tmp_path / "a.csv").mkdir()
        write(tmp_path / "b.csv")
        assert inside(tmp_path) == ["b.csv"]
        assert inside(f"{tmp_path}/*.csv") == ["b.csv"]


class TestBehindURLs:
    def test_of_the_memory_of_this_process(self, memory):
        for name in ["b.csv", "a.csv", "notes.txt", "deep/er/a.csv", ".hidden.csv"]:
            memory.pipe(f"/data/{name}", name.encode())
        assert found("memory://data/b.csv").names == ("memory://data/b.csv",)
        assert inside("memory://data") == ["a.csv", "b.csv", "deep/er/a.csv"]
        assert inside("memory://data/") == ["a.csv", "b.csv", "deep/er/a.csv"]
        assert inside("memory://data/*.csv") == ["a.csv", "b.csv"]
        assert inside("memory://data/**/*.csv") == ["a.csv", "b.csv", "deep/er/a.csv"]
        files = found("memory://data")
        assert not files.is_local(0)
        with files.open(2, kind="CSV") as file:
            assert file.read() == b"deep/er/a.csv"
            file.seek(5)
            assert file.read(2) == b"er"

    def test_of_this_machine(self, folder):
        assert inside(f"file://{folder}") == inside(folder)
        assert inside(f"file://{folder}/*.csv") == ["a.csv", "b.csv"]
        with found([f"file://{folder}/a.csv", folder / "b.csv"]).open(0, kind="CSV") as file:
            assert file.read() == b"a.csv"

    def test_what_is_not_there_is_said(self, memory):
        memory.pipe("/data/notes.txt", b"x")
        with pytest.raises(
            FileNotFoundError, match=r"read_x: no file in the folder 'memory://data' ends in \.csv; mend the path\."
        ):
            found("memory://data")
        with pytest.raises(FileNotFoundError, match=r"read_x: no file fits the pattern 'memory://data/\*\.csv'; mend"):
            found("memory://data/*.csv")
        gone = found("memory://data/gone.csv")
        with (
            pytest.raises(
                FileNotFoundError, match=r"read_x: 'memory://data/gone.csv' can't be read: there is no such file"
            ),
            gone.open(0, kind="CSV"),
        ):
            pass

    def test_a_url_of_no_known_kind_is_said(self):
        with pytest.raises(
            ValueError, match=r"read_x: 'nonsense://a/b' is no URL that can be read: Protocol not known"
        ):
            found("nonsense://a/b")

    def test_fsspec_is_needed_and_said(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(MissingExtraError, match=r"read_x of a URL needs fsspec.*fireworks-torch\[remote\]"):
            found("memory://data")

    def test_a_damaged_and_an_unreadable_file_are_said(self, memory):
        memory.pipe("/data/a.csv", b"x")
        files = found("memory://data/a.csv")
        with (
            pytest.raises(
                FileFormatError, match=r"read_x: 'memory://data/a.csv' is no CSV file, or a damaged one: bad\."
            ),
            files.open(0, kind="CSV", broken=(ValueError,)),
        ):
            raise ValueError("bad.")
        with (
            pytest.raises(FileFormatError, match=r"or a damaged one: corrupt\."),
            files.open(0, kind="CSV", broken=(ValueError,)),
        ):
            raise OSError("corrupt")
        with (
            pytest.raises(PermissionError, match=r"read_x: 'memory://data/a.csv' can't be read: not yours"),
            files.open(0, kind="CSV"),
        ):
            raise PermissionError(13, "not yours")
        with pytest.raises(FileChangedError, match="passes"), files.open(0, kind="CSV", broken=(ValueError,)):
            raise FileChangedError("passes")

    def test_a_folder_without_rights_is_said(self, memory, monkeypatch):
        def refuse(*arguments, **options):
            raise PermissionError(13, "Forbidden")

        monkeypatch.setattr(type(memory), "isdir", refuse)
        with pytest.raises(PermissionError, match=r"read_x: 'memory://data' can't be read: Forbidden"):
            found("memory://data")

    def test_one_that_changes_is_noticed(self, memory):
        memory.pipe("/data/a.csv", b"x")
        files = found("memory://data")
        memory.pipe("/data/a.csv", b"xx")
        with pytest.raises(
            FileChangedError, match=r"read_x: 'memory:///?data/a.csv' has changed since the source was made"
        ):
            files.require_unchanged(0)


class TestWhatIsNotThere:
    def test_no_path_is_said(self):
        with pytest.raises(TypeError, match=r"read_x: a path is a str or a Path; got 3 of type int"):
            found(3)
        with pytest.raises(TypeError, match=r"read_x: a path is a str or a Path; got b'a.csv' of type bytes"):
            found(b"a.csv")
        with pytest.raises(ValueError, match=r"read_x: the list of files is empty; name at least one\."):
            found([])

    def test_an_empty_folder_and_a_pattern_that_nothing_fits_are_said(self, tmp_path):
        write(tmp_path / "notes.txt")
        expected = f"read_x: no file in the folder {str(tmp_path)!r} ends in .csv or .tsv; mend the path."
        with pytest.raises(FileNotFoundError, match=re.escape(expected)):
            found(tmp_path, ".csv", ".tsv")
        expected = f"read_x: no file fits the pattern '{tmp_path}/*.csv'; mend the path."
        with pytest.raises(FileNotFoundError, match=re.escape(expected)):
            found(f"{tmp_path}/*.csv")

    def test_a_missing_file_is_said_when_it_is_opened(self, tmp_path):
        files = found(tmp_path / "gone.csv")
        with (
            pytest.raises(FileNotFoundError, match=r"read_x: '.*gone.csv' can't be read: there is no such file"),
            files.open(0, kind="CSV"),
        ):
            pass

    @pytest.mark.parametrize("closed", ["data", "data/deep"])
    def test_a_folder_without_rights_is_said(self, tmp_path, closed):
        write(tmp_path / "data" / "a.csv")
        write(tmp_path / "data" / "deep" / "b.csv")
        (tmp_path / closed).chmod(0)
        try:
            said = as_nobody(tmp_path, f"Files({str(tmp_path / 'data')!r}, where='read_x', suffixes=('.csv',))")
        finally:
            (tmp_path / closed).chmod(0o755)
        assert (
            f"PermissionError: [Errno 13] read_x: the folder {str(tmp_path / closed)!r} can't be read: Permission denied"
            in said
        )

    def test_a_file_without_rights_is_said(self, tmp_path):
        write(tmp_path / "a.csv").chmod(0)
        said = as_nobody(
            tmp_path, f"Files({str(tmp_path)!r}, where='read_x', suffixes=('.csv',)).open(0, kind='CSV').__enter__()"
        )
        assert "can't be read: Permission denied" in said


def as_nobody(folder, expression):
    """Run an expression as a user without any rights, and return the error that it prints."""
    for parent in [folder, *folder.parents]:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    drop = "os.setgroups([]); os.setgid(65534); os.setuid(65534)" if os.getuid() == 0 else "pass"
    script = f"import os\nfrom fireworks.formats.files import Files\n{drop}\n{expression}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return done.stderr


class TestWhileItIsRead:
    def test_it_is_read_from_its_beginning_and_can_be_sought_in(self, folder):
        files = found(folder)
        with files.open(1, kind="CSV") as file:
            assert file.read() == b"a.csv"
            file.seek(2)
            assert file.read(3) == b"csv"
        assert files.is_local(1)

    def test_what_a_reader_raises_is_said_with_the_file(self, folder):
        with (
            pytest.raises(FileFormatError, match=r"read_x: '.*a.csv' is no CSV file, or a damaged one: no digits\."),
            found(folder / "a.csv").open(0, kind="CSV", broken=(ValueError,)),
        ):
            raise ValueError("no digits")

    @pytest.mark.parametrize("change", ["longer", "other", "replaced", "gone"])
    def test_one_that_changes_is_noticed(self, folder, change):
        path = folder / "a.csv"
        files = found(folder)
        before = path.stat()
        if change == "gone":
            path.unlink()
        elif change == "replaced":  # by one that looks the same
            new = write(folder / "new", "A.csv")
            os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
            new.replace(path)
        else:
            path.write_text("a.csv more" if change == "longer" else "A.csv")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        files.require_unchanged(0)
        expected = r"read_x: '.*a.csv' has changed since the source was made; make the pipe anew\."
        with pytest.raises(FileChangedError, match=expected):
            files.require_unchanged(1)
        with pytest.raises(FileChangedError, match=expected), files.open(1, kind="CSV"):
            pass
        with pytest.raises(FileChangedError, match=expected):
            files.fingerprint()
        if change != "gone":
            with files.open(1, kind="CSV", check=False) as file:
                assert file.read().lower().startswith(b"a.csv")

    def test_it_pickles(self, folder):
        files = found(folder)
        again = pickle.loads(pickle.dumps(files))
        assert (again.names, again.inside) == (files.names, files.inside)
        (folder / "a.csv").write_text("other")
        with pytest.raises(FileChangedError):
            again.require_unchanged(1)


class TestFingerprint:
    def test_it_is_that_of_the_contents_in_their_order(self, folder, tmp_path):
        first = found(folder).fingerprint()
        assert re.fullmatch("[0-9a-f]{64}", first)
        assert found(folder).fingerprint() == first
        for name in ["B.CSV", "a.csv", "b.csv", "deep/er/a.csv", "deep/z.csv"]:  # elsewhere, and made later
            write(tmp_path / "copy" / name, (folder / name).read_text())
        assert found(tmp_path / "copy").fingerprint() == first
        assert found([folder / "b.csv", folder / "a.csv"]).fingerprint() != found(f"{folder}/?.csv").fingerprint()
        (folder / "a.csv").write_text("A.csv")
        assert found(folder).fingerprint() != first

    def test_what_moves_from_one_file_to_the_next_changes_it(self, tmp_path):
        write(tmp_path / "0" / "a.csv", "12")
        write(tmp_path / "0" / "b.csv", "3")
        write(tmp_path / "1" / "a.csv", "1")
        write(tmp_path / "1" / "b.csv", "23")
        assert found(tmp_path / "0").fingerprint() != found(tmp_path / "1").fingerprint()

    def test_a_second_call_reads_nothing(self, folder, monkeypatch):
        first = found(folder).fingerprint()
        monkeypatch.setattr(Files, "open", lambda *arguments, **options: pytest.fail("it reads again"))
        assert found(folder).fingerprint() == first

    def test_one_that_changes_while_it_is_hashed_is_noticed(self, tmp_path, monkeypatch):
        path = write(tmp_path / "a.csv", "1" * 10)
        files = found(path)
        monkeypatch.setattr("fireworks.formats.files._HASHED_AT_A_TIME", 4)
        opened = Files.open

        def changed(self, number, **options):
            with path.open("a") as file:
                file.write("2")
            return opened(self, number, **options, check=False)

        monkeypatch.setattr(Files, "open", changed)
        with pytest.raises(FileChangedError):
            files.fingerprint()
        monkeypatch.undo()
        assert found(path).fingerprint() != ""

    def test_behind_a_url_it_is_the_same(self, folder, memory):
        memory.pipe("/x/a.csv", b"a.csv")
        assert found("memory://x/a.csv").fingerprint() == found(folder / "a.csv").fingerprint()
