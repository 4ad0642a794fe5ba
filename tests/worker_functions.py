"""Functions that worker processes find by their name, because they live in a module."""

import os
import signal
import sys
import time
from pathlib import Path

import torch


def mark_process(rows):
    return rows.assign(process=torch.full((len(rows),), os.getpid()))


def slow_if_even(rows):
    """Later blocks overtake earlier ones."""
    if int(rows["n"][0]) // max(1, len(rows)) % 2 == 0:
        time.sleep(0.02)
    return rows.assign(n=rows["n"] * 2)


def fail_at_13(rows):
    if 13 in rows["n"].tolist():
        raise ValueError("13 is in the rows")
    return rows


def other_column_from_13_on(rows):
    if 13 in rows["n"].tolist():
        return rows.assign(other=rows["n"])
    return rows


class OwnError(Exception):
    """It pickles, and can't be made again from what it pickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def raise_own_error(rows):
    raise OwnError("this", "that")


def leave(rows):
    sys.exit("enough")


def die_at_13(rows):
    if 13 in rows["n"].tolist():
        os.kill(os.getpid(), signal.SIGKILL)
    return rows


class DieOnce:
    """Kills its process at row 13 the first time; a file remembers that."""

    def __init__(self, path):
        self.path = str(path)

    def __call__(self, rows):
        if 13 in rows["n"].tolist() and not Path(self.path).exists():
            Path(self.path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return rows.assign(n=rows["n"] * 2)


class SleepUntilGone:
    """Notes its process in a folder, and works for a minute."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __call__(self, rows):
        (Path(self.folder) / str(os.getpid())).touch()
        time.sleep(60)
        return rows


def threads_of_torch(rows):
    return rows.assign(threads=torch.full((len(rows),), torch.get_num_threads()))


def look_around(rows):
    place = os.environ.get("FIREWORKS_TEST_SETTING", "")
    return rows.assign(
        setting=[place] * len(rows), directory=[str(Path.cwd())] * len(rows), f=torch.ones(len(rows)) / 3
    )


def draw_without_seed(rows):
    return rows.assign(drawn=torch.rand(len(rows)))


def with_gradients(rows):
    return rows.assign(x=rows["x"].clone().requires_grad_() * 2)


def unpicklable_result(rows):
    return rows.assign(word=[lambda: None for _ in range(len(rows))])
