"""Worker processes that die, and those that must not be left over: with real processes and real signals."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import fireworks as fw
import worker_functions as functions
from pipelines import double, numbers, table

TESTS = Path(__file__).parents[1]


def is_there(pid):
    """Whether a thread of a process runs; a zombie has ended, and only with the last thread its files are closed."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] not in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended just now
    return False


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def workers_noted(folder):
    return [int(path.name) for path in Path(folder).iterdir()]


def shared_memory():
    return set(Path("/dev/shm").iterdir()) if Path("/dev/shm").exists() else set()


class TestDeath:
    def test_it_is_an_error_with_the_rows_in_hand(self):
        pipe = table().batch(4).map(functions.die_at_13, workers=2, backend="process")
        iterator = iter(pipe)
        assert [next(iterator)["n"].tolist()[0] for _ in range(3)] == [0, 4, 8]
        expected = (
            r"Map\(die_at_13\): a worker process was killed by SIGKILL while it had rows \[12, 13, 14, 15\] of the source in "
            r"hand\. Too little memory is a common reason; retries=1 would give the rows to a new process once\."
        )
        with pytest.raises(fw.errors.WorkerDiedError, match=expected) as caught:
            next(iterator)
        error = caught.value
        assert (error.stage, error.rows, error.exit_code) == ("Map(die_at_13)", [12, 13, 14, 15], -signal.SIGKILL)
        assert "test_process.py:" in error.__notes__[0]
        assert pickle.loads(pickle.dumps(error)).rows == error.rows

    def test_it_is_noticed_within_a_second(self, tmp_path):
        pipe = table().batch(12).map(functions.SleepUntilGone(tmp_path), workers=2, backend="process")
        iterator = iter(pipe)
        killed_at = []

        def kill():
            wait_until(lambda: len(workers_noted(tmp_path)) == 2, 60)
            killed_at.append(time.monotonic())
            for pid in workers_noted(tmp_path):
                os.kill(pid, signal.SIGSTOP)  # so that the first can't be missed before the second is gone
            for pid in workers_noted(tmp_path):
                os.kill(pid, signal.SIGKILL)

        import threading

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(fw.errors.WorkerDiedError, match="SIGKILL"):
            next(iterator)
        noticed = time.monotonic()
        killer.join()
        assert noticed - killed_at[0] < 1

    def test_rows_are_tried_again_when_asked(self, tmp_path):
        function = functions.DieOnce(tmp_path / "died")
        pipe = table().batch(4).map(function, workers=2, backend="process", retries=1)
        assert numbers(pipe) == [2 * n for n in range(23)]
        assert (tmp_path / "died").exists()
        assert pipe.stats().stages[-1].rows_in == 23

    def test_but_not_for_ever(self):
        pipe = table().batch(4).map(functions.die_at_13, workers=2, backend="process", retries=2)
        with pytest.raises(
            fw.errors.WorkerDiedError, match=r"was killed by SIGKILL 3 times while it had rows \[12, 13, 14"
        ):
            list(pipe)

    def test_one_that_dies_with_nothing_in_hand_is_replaced(self):
        pipe = table(40).batch(4).map(functions.mark_process, workers=1, backend="process")
        iterator = iter(pipe)
        batches = [next(iterator)]
        time.sleep(0.5)  # it has made what it may make ahead
        os.kill(int(batches[0]["process"][0]), signal.SIGKILL)
        wait_until(lambda: not is_there(int(batches[0]["process"][0])), 5)
        batches += iterator
        assert numbers(batches) == list(range(40))
        assert len({int(batch["process"][0]) for batch in batches}) == 2

    def test_one_that_can_not_start_says_so(self, tmp_path):
        script = tmp_path / "unguarded.py"
        script.write_text(
            textwrap.dedent("""
                import fireworks as fw, torch
                from pipelines import double
                list(fw.source({"n": torch.arange(9)}).batch(3).map(double, workers=1, backend="process"))
            """)
        )
        done = run(script)
        assert done.returncode != 0
        assert "before it was ready; what it printed says why" in done.stderr
        assert "stands below if __name__ == '__main__'" in done.stderr


def run(script, **options):
    environment = os.environ | {"PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        **options,
    )


class TestNothingIsLeft:
    def worker_of(self, batch):
        return int(batch["process"][0])

    def make(self):
        return table(400).batch(4).map(functions.mark_process, workers=2, backend="process")

    def test_after_a_whole_pass(self):
        before = shared_memory()
        pids = {self.worker_of(batch) for batch in self.make()}
        assert not [pid for pid in pids if is_there(pid)]
        assert shared_memory() == before

    def test_after_an_iterator_is_gone(self):
        iterator = iter(self.make())
        pid = self.worker_of(next(iterator))
        assert is_there(pid)
        del iterator
        assert not is_there(pid)

    def test_after_an_iterator_is_gone_that_prefetched(self):
        iterator = iter(self.make().prefetch(3))
        pid = self.worker_of(next(iterator))
        del iterator
        assert not is_there(pid)

    def test_after_an_iterator_in_a_cycle_was_collected(self):
        class Holder:
            pass

        holder = Holder()
        holder.me, holder.iterator = holder, iter(self.make())
        pid = self.worker_of(next(holder.iterator))
        del holder
        gc.collect()
        assert not is_there(pid)

    def test_after_an_error_that_is_kept(self):
        pipe = table(400).batch(4).map(functions.mark_process, workers=1, backend="process").map(functions.fail_at_13)
        iterator = iter(pipe)
        pid = self.worker_of(next(iterator))
        with pytest.raises(ValueError, match="13") as kept:
            list(iterator)
        assert not is_there(pid)
        assert kept.value

    def test_after_moving_elsewhere(self):
        iterator = iter(self.make())
        pid = self.worker_of(next(iterator))
        place = iterator.place()
        next(iterator)
        iterator.move_to(place)
        assert not is_there(pid)
        assert next(iterator)["n"].tolist() == [4, 5, 6, 7]


SCRIPT = """
import sys
import fireworks as fw, torch
from pipelines import table
from worker_functions import SleepUntilGone, mark_process

def make(folder):
    pipe = table(40).batch(4)
    {pipe}
    return pipe

if __name__ == "__main__":
    iterator = iter(make(sys.argv[1]))
    {then}
"""


@pytest.mark.slow
class TestTheWholeProgram:
    def start(self, tmp_path, pipe, then="next(iterator)"):
        script = tmp_path / "script.py"
        script.write_text(SCRIPT.format(pipe=pipe, then=then))
        folder = tmp_path / "pids"
        folder.mkdir()
        environment = os.environ | {"PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return process, folder

    SLEEPING = "pipe = pipe.map(SleepUntilGone(folder), workers=2, backend='process')"

    def test_its_workers_end_when_it_is_killed(self, tmp_path):
        process, folder = self.start(tmp_path, self.SLEEPING)
        assert wait_until(lambda: len(workers_noted(folder)) == 2, 90)
        process.kill()
        process.communicate(timeout=30)
        assert wait_until(lambda: not any(map(is_there, workers_noted(folder))), 2)

    @pytest.mark.parametrize("behind", ["", ".prefetch(2)"])
    def test_ctrl_c_ends_them_at_once(self, tmp_path, behind):
        process, folder = self.start(tmp_path, self.SLEEPING + behind)
        assert wait_until(lambda: len(workers_noted(folder)) == 2, 90)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        started = time.monotonic()
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - started < 10
        assert errors.count("KeyboardInterrupt") == 1
        assert not any(map(is_there, workers_noted(folder)))

    @pytest.mark.parametrize("behind", ["", ".prefetch(2)"])
    @pytest.mark.parametrize("backend", ["thread", "process"])
    def test_its_end_ends_them_though_the_iterator_was_kept(self, tmp_path, backend, behind):
        pipe = f"pipe = pipe.map(mark_process, workers=2, backend={backend!r}){behind}"
        process, _ = self.start(tmp_path, pipe, "print(int(next(iterator)['process'][0]), flush=True)")
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0
        assert errors == ""
        assert backend == "thread" or not is_there(int(output))


def test_in_a_process_that_may_have_none_it_works_in_threads():
    from torch.utils.data import DataLoader

    pipe = table(12).batch(4).map(double, workers=2, backend="process")
    loader = DataLoader(pipe, batch_size=None, num_workers=1, multiprocessing_context="forkserver")
    assert numbers(loader) == [2 * n for n in range(12)]
