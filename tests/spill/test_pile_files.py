"""The files of piles: writes that are cut, few descriptors, forked children, damage."""

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fireworks.errors import FileFormatError
from fireworks.spill import pile_files
from fireworks.spill.pile_files import PileFiles


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def views(*pieces):
    return [memoryview(piece) for piece in pieces]


def read(files, number, *lengths, offset=0):
    found = [bytearray(length) for length in lengths]
    with files.reading(number) as descriptor:
        files.fill(number, descriptor, views(*found), offset)
    return [bytes(piece) for piece in found]


@pytest.fixture
def files(tmp_path):
    files = PileFiles(tmp_path, 5, "shuffle")
    yield files
    files.close()
    assert not list(tmp_path.iterdir())


class TestPieces:
    def test_lie_one_after_the_other(self, files):
        files.append(2, views(b"abc", b"", b"de"), 5)
        files.append(2, views(b"fgh"), 3)
        files.append(0, views(b"x"), 1)
        files.seal()
        assert (files.sizes, files.num_bytes) == ([1, 0, 8, 0, 0], 9)
        assert read(files, 2, 2, 0, 4, offset=1) == [b"bc", b"", b"defg"]
        assert read(files, 0, 1) == [b"x"]

    def test_may_be_more_than_the_system_takes_at_once(self, files):
        pieces = [bytes([number % 256]) * (number % 5) for number in range(3000)]
        files.append(1, views(*pieces), sum(map(len, pieces)))
        files.seal()
        lengths = [number % 7 for number in range(2000)]
        assert b"".join(read(files, 1, *lengths)) == b"".join(pieces)[: sum(lengths)]
        assert b"".join(read(files, 1, *map(len, pieces))) == b"".join(pieces)

    @pytest.mark.parametrize("most", [1, 2, 7])
    def test_are_written_and_read_whole_where_the_system_does_a_part(self, files, monkeypatch, most):
        def some(function):
            def call(descriptor, pieces, offset):
                return function(descriptor, [piece[:most] for piece in pieces if len(piece)][:1], offset)

            return call

        monkeypatch.setattr(os, "pwritev", some(os.pwritev))
        monkeypatch.setattr(os, "preadv", some(os.preadv))
        files.append(3, views(b"abcdefgh", b"", b"ijk"), 11)
        files.append(3, views(b"lm"), 2)
        files.seal()
        assert read(files, 3, 5, 0, 8) == [b"abcde", b"", b"fghijklm"]

    def test_past_the_end(self, files):
        files.append(3, views(b"abc"), 3)
        files.seal()
        with pytest.raises(
            FileFormatError, match=r"00003' ends after 3 bytes, too early; somebody else writes there\. Start the"
        ):
            read(files, 3, 4)

    def test_of_another_length_than_was_said(self, files):
        with pytest.raises(AssertionError, match="3 instead of 4 bytes"):
            files.append(3, views(b"abc"), 4)


class TestDescriptors:
    def test_are_few_however_many_piles_there_are(self, tmp_path, monkeypatch):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (160, 160))
        before = open_files()
        files = PileFiles(tmp_path, 300, "shuffle")
        for _ in range(2):
            for number in range(300):
                files.append(number, views(number.to_bytes(2, "big")), 2)
        files.seal()
        assert open_files() - before <= 20
        assert all(read(files, number, 4) == [number.to_bytes(2, "big") * 2] for number in range(300))
        for number in range(0, 300, 2):
            files.discard(number)
        assert len(list(next(tmp_path.iterdir()).iterdir())) == 150
        (next(tmp_path.iterdir()) / "00299").unlink()
        with pytest.raises(FileFormatError, match=r"00299' is gone; somebody else writes there\."):
            read(files, 299, 1)
        files.close()
        assert open_files() == before
        assert not list(tmp_path.iterdir())

    def test_a_file_that_took_the_place_of_ours(self, tmp_path, monkeypatch):
        monkeypatch.setattr(pile_files, "_FEWEST", 1)
        monkeypatch.setattr(pile_files, "_SHARE", 10**9)
        files = PileFiles(tmp_path, 2, "shuffle")
        for number in range(2):
            files.append(number, views(b"abc"), 3)
        files.seal()
        path = next(tmp_path.iterdir()) / "00001"
        path.unlink()
        path.write_bytes(b"xyz")
        with pytest.raises(FileFormatError, match="00001' was changed since it was written"):
            read(files, 1, 3)
        files.close()

    def test_are_not_inherited_by_other_programs(self, files):
        files.append(0, views(b"abc"), 3)
        assert not any(os.get_inheritable(descriptor) for descriptor in files._open.values())


class TestEnd:
    def test_of_a_forked_child_leaves_the_files_alone(self, tmp_path):
        code = """
import gc, os, sys
from pathlib import Path
from fireworks.spill.pile_files import PileFiles
files = PileFiles(Path(sys.argv[1]), 1, "shuffle")
files.append(0, [memoryview(b"abc")], 3)
files.seal()
pid = os.fork()
if pid == 0:
    files.close()
    os._exit(0)
os.waitpid(pid, 0)
with files.reading(0) as descriptor:
    print(os.pread(descriptor, 3, 0))
"""
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "b'abc'\n"
        assert not list(tmp_path.iterdir())

    def test_comes_with_the_object(self, tmp_path):
        files = PileFiles(tmp_path, 1, "shuffle")
        files.append(0, views(b"abc"), 3)
        del files
        gc.collect()
        assert not list(tmp_path.iterdir())

    def test_is_final(self, files):
        files.close()
        assert files.is_closed
        with pytest.raises(ValueError, match=r"^shuffle: the piles are closed\.$"):
            files.append(0, views(b"abc"), 3)
        files.discard(0)
