"""Scratch folders: gone with their use, their owner or the next start, and never anybody else's."""

import contextlib
import fcntl
import gc
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import fireworks as fw
from disks import lines_of_killed, small_disk
from fireworks.errors import DiskSpaceError
from fireworks.spill import scratch as module
from fireworks.spill.scratch import Scratch, current_folder

LOCK = "fireworks-scratch.lock"


@pytest.fixture
def parent(tmp_path):
    with fw.scratch_folder(tmp_path):
        yield tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def left_behind(parent, *, lock="fireworks scratch 1\nTHIS\nsomewhere 1\n", name="0123456789abcdef"):
    """Make what a process that was killed leaves."""
    folder = parent / f"fireworks-scratch-{name}"
    (folder / "piles-1").mkdir(parents=True)
    (folder / "piles-1" / "00000").write_bytes(b"rows")
    if lock is not None:
        (folder / LOCK).write_text(lock.replace("THIS", module._this_machine()))
    return folder


def run(code, *arguments, **options):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestFolder:
    def test_is_the_systems_unless_another_is_chosen(self, tmp_path, monkeypatch):
        monkeypatch.delenv("FIREWORKS_SCRATCH", raising=False)
        before = current_folder()
        assert before == Path(tempfile.gettempdir())
        monkeypatch.setenv("FIREWORKS_SCRATCH", str(tmp_path))
        assert current_folder() == tmp_path
        (tmp_path / "a").mkdir()
        with fw.scratch_folder(tmp_path / "a") as chosen:
            assert chosen == current_folder() == tmp_path / "a"
            with fw.scratch_folder(None):
                assert current_folder() == tmp_path
            assert current_folder() == tmp_path / "a"
        assert current_folder() == tmp_path

    def test_it_may_be_chosen_without_an_end(self, tmp_path):
        choice = fw.scratch_folder(str(tmp_path))
        try:
            assert current_folder() == tmp_path
        finally:
            choice.__exit__(None, None, None)

    def test_one_that_is_not_there(self, tmp_path):
        with pytest.raises(
            NotADirectoryError, match=r"^scratch_folder: there is no folder '.*nowhere'; make it first\.$"
        ):
            fw.scratch_folder(tmp_path / "nowhere")
        with pytest.raises(TypeError, match=r"^scratch_folder: a path is a str or a Path; got 5 of type int\.$"):
            fw.scratch_folder(5)
        assert current_folder() != tmp_path / "nowhere"

    def test_one_in_the_environment_that_is_not_there(self, tmp_path, monkeypatch):
        monkeypatch.setenv("FIREWORKS_SCRATCH", str(tmp_path / "nowhere"))
        with pytest.raises(
            FileNotFoundError,
            match=r"shuffle:0: no scratch folder can be made in '.*nowhere' \(from the environment variable FIREWORKS_SCRATCH\): "
            r"No such file or directory; pass another folder to fw\.scratch_folder$",
        ):
            Scratch("shuffle:0")

    def test_one_where_nothing_may_be_made(self, parent):
        code = """
import os, sys
import fireworks as fw
from fireworks.spill.scratch import Scratch
os.setuid(65534)
fw.scratch_folder(sys.argv[1])
try:
    Scratch("shuffle")
except PermissionError as error:
    print(error)
"""
        if os.getuid() != 0:
            pytest.skip("only root may become a user without rights")
        parent.chmod(0o555)
        for folder in parent.parents:
            if folder.stat().st_uid == os.getuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o055)
        found = run(code, parent)
        assert "shuffle: no scratch folder can be made in" in found
        assert "Permission denied; pass another folder to fw.scratch_folder" in found

    def test_a_full_disk(self, tmp_path):
        with small_disk(tmp_path, 2**16), fw.scratch_folder(tmp_path):
            with contextlib.suppress(OSError), (tmp_path / "filler").open("wb", buffering=0) as file:
                while file.write(b"0" * 4096):
                    pass
            with pytest.raises(
                DiskSpaceError,
                match=r"^shuffle: no scratch folder can be made in '.*': No space left on device; make room, or pass another "
                r"folder to fw\.scratch_folder\.$",
            ):
                Scratch("shuffle")
            assert names(tmp_path) == ["filler"]


class TestUse:
    def test_only_its_owner_may_look_into_it(self, parent):
        with Scratch("shuffle") as scratch:
            assert scratch.path.parent == parent
            assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o700
            assert scratch.user == "shuffle"
            assert repr(scratch) == f"Scratch({str(scratch.path)!r})"
        assert repr(scratch).endswith(", closed)")

    def test_is_removed_with_all_that_is_in_it(self, parent):
        scratch = Scratch("shuffle")
        (scratch.path / "a" / "b").mkdir(parents=True)
        (scratch.path / "a" / "b" / "c").write_text("rows")
        (scratch.path / "d").write_text("rows")
        (scratch.path / "link").symlink_to(parent)
        scratch.close()
        scratch.close()
        assert names(parent) == []

    def test_is_removed_when_it_dies(self, parent):
        scratch = Scratch("shuffle")
        assert len(names(parent)) == 1
        del scratch
        gc.collect()
        assert names(parent) == []

    @pytest.mark.parametrize("end", ["", "raise ValueError", "sys.exit(3)"])
    def test_is_removed_when_the_interpreter_ends(self, parent, end):
        code = f"import sys\nfrom fireworks.spill.scratch import Scratch\nscratch = Scratch('x')\n(scratch.path / 'a').write_text('')\n{end}"
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"FIREWORKS_SCRATCH": str(parent)},
            capture_output=True,
            check=False,
        )
        assert names(parent) == []

    def test_a_forked_child_leaves_it_alone(self, parent):
        code = """
import gc, os, sys
import fireworks as fw
from fireworks.spill.scratch import Scratch
fw.scratch_folder(sys.argv[1])
scratch = Scratch("shuffle")
for end in ("close", "del", "exit"):
    pid = os.fork()
    if pid == 0:
        if end == "close":
            scratch.close()
        if end == "del":
            del scratch
            gc.collect()
        if end == "exit":
            sys.exit(0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert scratch.path.exists(), end
with Scratch("another"):
    assert scratch.path.exists()
scratch.close()
print(os.listdir(sys.argv[1]))
"""
        assert run(code, parent).strip() == "[]"

    def test_room_is_foreseen(self, parent):
        with Scratch("shuffle of 'data.parquet'") as scratch:
            scratch.require_space(0)
            scratch.require_space(1)
            with pytest.raises(
                DiskSpaceError,
                match=r"^shuffle of 'data\.parquet' needs 1,000\.0 TB of scratch, \d+\.\d [GT]B are free in '.*'; pass another folder to "
                r"fw\.scratch_folder, or leave out columns and rows that are not needed before it, or give it more memory with "
                r"fw\.memory_budget\.$",
            ):
                scratch.require_space(10**15)


class TestAfterAKill:
    def test_what_a_dead_process_left_is_removed(self, parent):
        left_behind(parent)
        with Scratch("shuffle") as scratch:
            assert names(parent) == [scratch.path.name]

    def test_a_live_one_is_left_alone(self, parent):
        folder = left_behind(parent)
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            Scratch("shuffle").close()
            assert names(folder) == [LOCK, "piles-1"]
        Scratch("shuffle").close()
        assert names(parent) == []

    @pytest.mark.parametrize(
        "case",
        [
            "another name",
            "no lock",
            "another text",
            "a link",
            "a file",
            "a folder for a lock",
            "a link for a lock",
            "a pipe for a lock",
        ],
    )
    def test_what_is_not_ours_is_left_alone(self, parent, case, tmp_path_factory):
        name = "not-hexadecimal" if case == "another name" else "0123456789abcdef"
        texts = {"no lock": None, "another text": "mine"} | dict.fromkeys(
            [f"a {kind} for a lock" for kind in ("folder", "link", "pipe")]
        )
        folder = left_behind(parent, name=name, **({"lock": texts[case]} if case in texts else {}))
        if case == "a link":
            target = folder.rename(tmp_path_factory.mktemp("elsewhere") / "target")
            folder.symlink_to(target)
        if case == "a file":
            folder.rename(tmp_path_factory.mktemp("elsewhere") / "target")
            folder.write_text("mine")
        if case == "a folder for a lock":
            (folder / LOCK).mkdir()
        if case == "a link for a lock":
            (parent / "lock").write_text("fireworks scratch 1\n")
            (folder / LOCK).symlink_to(parent / "lock")
        if case == "a pipe for a lock":
            os.mkfifo(folder / LOCK)
        before = sorted(str(path) for path in parent.rglob("*"))
        Scratch("shuffle").close()
        assert sorted(str(path) for path in parent.rglob("*")) == before
        assert case == "a file" or (folder / "piles-1" / "00000").read_bytes() == b"rows"

    def test_on_a_disk_that_computers_share_only_our_own_is_judged(self, parent, monkeypatch):
        theirs = left_behind(parent, lock="fireworks scratch 1\nanother computer\n", name="f" * 16)
        left_behind(parent)
        monkeypatch.setattr(module, "_is_shared", lambda path: True)
        Scratch("shuffle").close()
        assert names(parent) == [theirs.name]
        monkeypatch.setattr(module, "_is_shared", lambda path: False)
        Scratch("shuffle").close()
        assert names(parent) == []

    def test_disks_that_computers_share_are_told_by_their_kind(self, parent, monkeypatch):
        table = "\n".join(
            [
                "1 0 254:0 / / rw - ext4 /dev/vda rw",
                f"2 1 0:5 / {parent}/home\\040dir rw shared:1 - nfs4 server:/ rw",
                f"3 1 0:6 / {parent}/home\\040dir/local rw - xfs /dev/vdb rw",
            ]
        )
        monkeypatch.setattr(module.Path, "read_text", lambda path: table)
        (parent / "home dir" / "local").mkdir(parents=True)
        assert [module._is_shared(parent / inner) for inner in ("", "home dir", "home dir/local", "home dirt")] == [
            False,
            True,
            False,
            False,
        ]

    def test_where_the_system_does_not_say_a_disk_counts_as_shared(self, parent, monkeypatch):
        def read_text(path):
            raise FileNotFoundError

        monkeypatch.setattr(module.Path, "read_text", read_text)
        assert module._is_shared(parent)
        assert module._this_machine() == module.socket.gethostname()

    @pytest.mark.parametrize("kind", ["no file", "an empty file"])
    def test_one_that_was_killed_at_its_birth(self, parent, kind):
        folder = parent / "fireworks-scratch-0123456789abcdef"
        folder.mkdir()
        if kind == "an empty file":
            (folder / LOCK).touch()
        Scratch("shuffle").close()
        assert names(parent) == []

    def test_a_disk_without_locks_is_used_and_never_cleared(self, parent, monkeypatch):
        folder = left_behind(parent)

        def flock(*arguments):
            raise OSError(module.errno.ENOLCK, "No locks available")

        monkeypatch.setattr(module.fcntl, "flock", flock)
        Scratch("shuffle").close()
        assert names(parent) == [folder.name]

    def test_processes_that_start_and_are_killed_all_the_time_leave_nothing(self, parent):
        script = """
import numpy as np
import fireworks as fw
from fireworks.spill.piles import PileWriter
from fireworks.spill.scratch import Scratch
fw.scratch_folder(sys.argv[1])
rows = fw.Message({"n": np.arange(1000)})
piles = (np.arange(1000) % 8).astype(np.uint8)

def use():
    for _ in range(1000):
        with Scratch("shuffle") as scratch, PileWriter(rows[:0], 8, scratch.path, extras={}, write_bytes=1000) as writer:
            writer.write(rows, piles)
            with writer.finish() as found:
                for number in range(8):
                    assert found.read(number)[0] == rows[number::8]

random.seed(0)
for number in range(20):
    others = [child(use) for _ in range(2)]
    time.sleep(random.random() / 20)
    for other in others:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
print(len(os.listdir(sys.argv[1])) > 0)
Scratch("last").close()
print(os.listdir(sys.argv[1]))
"""
        assert lines_of_killed(script, parent)[-1] == "[]"

    def test_processes_that_start_at_once_take_nothing_from_each_other(self, parent):
        code = """
import sys, time
import fireworks as fw
from fireworks.spill.scratch import Scratch
fw.scratch_folder(sys.argv[1])
end = time.monotonic() + 1.5
while time.monotonic() < end:
    uses = [Scratch("shuffle") for _ in range(3)]
    for use in uses:
        (use.path / "rows").write_text("rows")
    for use in uses:
        assert (use.path / "rows").read_text() == "rows"
        use.close()
"""
        start = time.monotonic()
        running = [subprocess.Popen([sys.executable, "-c", code, str(parent)]) for _ in range(3)]
        assert [process.wait(60) for process in running] == [0, 0, 0], time.monotonic() - start
        assert names(parent) == []
