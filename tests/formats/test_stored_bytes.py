"""Files as memory: mapped or unpacked, shared by threads, never written to."""

import os
import pickle
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fireworks as fw
from disks import largest_file, small_disk
from fireworks.errors import DiskSpaceError, FileChangedError, FileFormatError
from fireworks.formats.files import Files
from fireworks.formats.stored_bytes import Mapped, Unpacked

DATA = np.random.default_rng(0).bytes(5_000_000)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "x").write_bytes(DATA)
    return Files(tmp_path / "x", where="test", suffixes=())


@pytest.fixture(params=["mapped", "unpacked", "unpacked without a length", "on disk", "on disk without a length"])
def make(request, files, monkeypatch):
    if "disk" in request.param:
        monkeypatch.setattr("fireworks.formats.stored_bytes._IN_MEMORY", 3_000_000)
    if request.param == "mapped":
        return lambda: Mapped(files, 0, kind="test")
    num_bytes = None if "without" in request.param else len(DATA)
    return lambda: Unpacked(files, 0, partial(files.open, 0, kind="test"), num_bytes=num_bytes)


def test_it_holds_the_bytes_and_nothing_written_to_it_reaches_the_file(make, files):
    memory = make().memory()
    assert memory.tobytes() == DATA
    memory[:100] = 0
    assert Path(files.names[0]).read_bytes() == DATA
    assert make().memory().tobytes() == DATA


def test_threads_share_one(make):
    held, seen = make(), []
    threads = [threading.Thread(target=lambda: seen.append(held.memory())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(memory) for memory in seen}) == 1


def test_it_travels_without_its_memory(make):
    held = make()
    held.memory()
    data = pickle.dumps(held)
    assert len(data) < 2000
    assert pickle.loads(data).memory().tobytes() == DATA


def test_a_mapped_file_must_not_change_an_unpacked_one_may(make, files):
    held = make()
    held.memory()
    os.truncate(files.names[0], 10)
    if isinstance(held, Mapped):
        with pytest.raises(FileChangedError, match="has changed since the source was made"):
            held.memory()
    else:
        assert held.memory().tobytes() == DATA
    with pytest.raises(FileChangedError, match="has changed since the source was made"):
        make().memory()


@pytest.mark.parametrize(("wrong", "text"), [(1, "ends early"), (-1, "has more bytes than it should")])
def test_another_length_is_an_error(files, monkeypatch, wrong, text):
    for limit in (2**24, 1000):
        monkeypatch.setattr("fireworks.formats.stored_bytes._IN_MEMORY", limit)
        held = Unpacked(files, 0, partial(files.open, 0, kind="test"), num_bytes=len(DATA) + wrong)
        with pytest.raises(FileFormatError, match=rf"^test: '.*x' {text}: 5,000,00\d bytes were expected|4,999,999"):
            held.memory()


def test_an_empty_file_is_no_bytes(tmp_path):
    (tmp_path / "x").touch()
    files = Files(tmp_path / "x", where="test", suffixes=())
    assert len(Mapped(files, 0, kind="test").memory()) == 0
    assert len(Unpacked(files, 0, partial(files.open, 0, kind="test")).memory()) == 0


class TestWithoutRoom:
    @pytest.fixture
    def small(self, tmp_path, monkeypatch):
        monkeypatch.setattr("fireworks.formats.stored_bytes._IN_MEMORY", 1000)
        (tmp_path / "small").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "small"))
        return tmp_path / "small"

    def test_it_is_foreseen_where_the_length_is_known(self, files, small):
        held = Unpacked(files, 0, partial(files.open, 0, kind="test"), num_bytes=len(DATA))
        with small_disk(small, 2**20):
            with pytest.raises(
                DiskSpaceError,
                match=r"takes 5,000,000 bytes unpacked, and '.*small' has [\d,]+ free; make room there, or set .* TMPDIR",
            ):
                held.memory()
            assert not list(small.iterdir())
        assert held.memory().tobytes() == DATA

    def test_it_is_survived_where_the_disk_fills_up(self, files, small):
        held = Unpacked(files, 0, partial(files.open, 0, kind="test"))
        with small_disk(small, 2**20):
            with pytest.raises(
                DiskSpaceError, match=r"'.*x' can't be unpacked into '.*small': No space left on device"
            ):
                held.memory()
            assert not list(small.iterdir())
        with largest_file(2**20), pytest.raises(DiskSpaceError, match=r"can't be unpacked into .*: File too large"):
            held.memory()
        assert held.memory().tobytes() == DATA


def test_nothing_is_left_of_a_process_that_is_killed(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((10_000, 300)))
    (tmp_path / "scratch").mkdir()
    script = f"""
import os, signal
import fireworks as fw
assert fw.read_npz({str(tmp_path / "a.npz")!r})[[9999]]["x"].sum() == 0
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"TMPDIR": str(tmp_path / "scratch")}, check=False
    )
    assert done.returncode == -9
    assert not list((tmp_path / "scratch").iterdir())


def test_what_is_read_is_no_memory_of_its_own(tmp_path):
    """A pass over 256 MB that are mapped, in less than 64 MB of the process's own memory."""
    np.save(tmp_path / "x.npy", np.zeros((2**16, 512)))
    script = f"""
import fireworks as fw
def own():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) * 1024
pipe = fw.read_npy({str(tmp_path / "x.npy")!r})
next(iter(pipe.batch(100)))
before = own()
peak = max(own() for batch in pipe.shuffle(seed=0).batch(1000))
print((peak - before) // 2**20)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64  # of which a batch takes 4, and some of them are there at a time


def test_a_source_over_it_is_what_numpy_sees(tmp_path):
    x = np.arange(300_000.0).reshape(-1, 3)
    np.savez_compressed(tmp_path / "a.npz", x=x)
    assert fw.read_npz(tmp_path / "a.npz")[[99_999, 5]]["x"].tolist() == x[[99_999, 5]].tolist()
