"""A shuffle on disk when the disk is full, the source fails, or the process is killed."""

import gc
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

import fireworks as fw
from disks import small_disk
from files_in_order import File, limit, message
from fireworks.order import external, in_order

ROWS = 20_000


@pytest.fixture(autouse=True)
def on_disk(monkeypatch):
    monkeypatch.setattr(in_order, "_is_most", lambda flow, span: True)
    monkeypatch.setattr(in_order, "_load", lambda base, run: None)


class Understated(File):
    """Says that it is smaller than it is."""

    def estimated_bytes(self):
        return 1000


class Failing(File):
    """Fails once, in the middle."""

    def __init__(self, rows):
        super().__init__(rows)
        self.fails = True

    def scan(self, rows, budget):
        for number, part in enumerate(super().scan(rows, budget)):
            if self.fails and number == 10:
                self.fails = False
                raise OSError("the disk of the source hiccuped")
            yield part


class TestFullDisk:
    def test_it_is_foreseen_before_a_row_is_read(self, tmp_path):
        file = File(message(ROWS))
        with small_disk(tmp_path, 2**18), fw.scratch_folder(tmp_path):
            with pytest.raises(
                fw.errors.DiskSpaceError, match=r"Shuffle\(seed=0\) needs .* of scratch, .* are free in"
            ):
                next(iter(file.shuffle(seed=0)))
            assert file.rows_in_order == 0
            assert not list(tmp_path.iterdir())

    def test_where_it_was_not_it_is_survived(self, tmp_path):
        file = Understated(message(ROWS))
        pipe = file.shuffle(seed=0).batch(1000)
        with small_disk(tmp_path, 2**20):
            with (
                fw.scratch_folder(tmp_path),
                pytest.raises(fw.errors.DiskSpaceError, match=r"Shuffle\(seed=0\): no room is left in"),
            ):
                list(pipe)
            assert free(tmp_path) > 2**19
        assert list(pipe.at_epoch(0)) == list(fw.source(message(ROWS)).shuffle(seed=0).batch(1000))

    def test_a_next_epoch_for_which_there_is_no_room_beside_this_one_is_made_in_its_place(self, tmp_path):
        expected = fw.source(message(ROWS)).shuffle(seed=0).batch(1000)
        with small_disk(tmp_path, 2**22), fw.scratch_folder(tmp_path):
            pipe = File(message(ROWS)).shuffle(seed=0).batch(1000)
            for _ in range(3):
                for batch, other in zip(pipe, expected, strict=True):
                    time.sleep(0.01)  # there would be time to prepare the next epoch
                    assert batch == other
            del pipe, batch
            gc.collect()


def free(folder):
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_a_source_that_fails_can_be_read_again(tmp_path):
    with fw.scratch_folder(tmp_path):
        pipe = Failing(message(ROWS)).shuffle(seed=0).batch(1000)
        with pytest.raises(OSError, match="hiccuped"):
            list(pipe)
        assert list(pipe.at_epoch(0)) == list(fw.source(message(ROWS)).shuffle(seed=0).batch(1000))


PASSES = """
import sys
import fireworks as fw
from fireworks.order import in_order
from fireworks.order import external
in_order._load = lambda base, run: None
with fw.scratch_folder(sys.argv[2]):
    pipe = fw.read_parquet(sys.argv[1]).shuffle(seed=0).batch(64)
    print("ready", flush=True)
    while True:
        for batch in pipe: pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.long)])
def test_a_kill_leaves_nothing_that_the_next_start_does_not_remove(kills, tmp_path):
    data, scratch = tmp_path / "data.parquet", tmp_path / "scratch"
    scratch.mkdir()
    fw.Message({"n": torch.arange(200_000), "x": torch.rand(200_000, 8)}).to_parquet(data)
    instants = random.Random(0)
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", PASSES, str(data), str(scratch)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(instants.random() * 1.5)
            process.send_signal(signal.SIGKILL)
    with fw.scratch_folder(scratch):
        pipe = File(message(100)).shuffle(seed=0)
        list(pipe)
        assert len(list(scratch.iterdir())) == 1, "that of the living"


@pytest.mark.parametrize("room", [1_300_000, 1_700_000, 2_500_000])
def test_a_disk_that_has_room_for_one_epoch_has_it_for_all(room, tmp_path):
    file, expected = File(message(ROWS // 2)), fw.source(message(ROWS // 2)).shuffle(seed=0).batch(500)
    with small_disk(tmp_path, room), fw.scratch_folder(tmp_path):
        pipe = file.shuffle(seed=0).batch(500)
        for _ in range(4):
            assert list(pipe) == list(expected)
        del pipe
        gc.collect()


def test_a_preparation_that_failed_aside_loses_no_row(monkeypatch):
    """Aside, an error is nobody's; the next epoch is made another way, whole."""
    fails = []
    read = external._rows_of

    def failing(piled, words, consumes):
        for number, some in enumerate(read(piled, words, consumes)):
            if number == 2 and not fails:
                fails.append(True)
                raise OSError("the disk hiccuped")
            yield some

    monkeypatch.setattr(external, "_rows_of", failing)
    expected = fw.source(message(ROWS)).shuffle(seed=0).batch(1000)
    pipe = File(message(ROWS)).shuffle(seed=0).batch(1000)
    with limit(400_000):
        for _ in range(3):
            for batch, other in zip(pipe, expected, strict=True):
                time.sleep(0.02)  # there is time to prepare the next epoch
                assert batch == other
    assert fails
