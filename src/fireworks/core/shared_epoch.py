"""The epoch of a dataset, shared with the worker processes of a DataLoader."""

from __future__ import annotations

import os
import time
from typing import Any

import torch
from torch.utils.data import get_worker_info

MAX_WORKERS = 1024
_PASSES_KEPT = 64
# Where things stand in the shared memory.
_NEXT, _NUM_PASSES, _JOINED = 0, 1, 2
_PASSES = _JOINED + MAX_WORKERS
_PASS_WORDS = 3  # seed of the workers, which pass of the process, epoch
_WAIT_S = 600.0


class SharedEpoch:
    """A count of epochs that a dataset's copies in worker processes see and move on together.

    A DataLoader never tells a dataset that an epoch begins; each worker calls ``iter`` on a copy of its own, new ones each
    epoch or the same ones again. So worker 0 decides, and notes the epoch beside what all workers of one pass have in
    common: the seed that the loader gave them, and how many passes their process has begun. The others look it up.

    It travels to workers by fork, spawn or forkserver as shared memory; a copy by pickle or ``deepcopy`` counts by itself.
    """

    def __init__(self) -> None:
        self._words: torch.Tensor = torch.zeros(_PASSES + _PASSES_KEPT * _PASS_WORDS, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self._begun = 0  # passes that this worker process has begun; always 0 in the main process

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._words.share_memory_()  # type: ignore[no-untyped-call]  # a copy by pickle or deepcopy is not shared yet

    @property
    def upcoming(self) -> int:
        """The epoch that begins next."""
        return int(self._words[_NEXT])

    @upcoming.setter
    def upcoming(self, epoch: int) -> None:
        self._words[_NEXT] = epoch

    def begin(self) -> int:
        """Return the epoch that begins now, here or in all workers of a loader, and move on to the next."""
        info = get_worker_info()
        if info is None:
            epoch = self.upcoming
            self.upcoming = epoch + 1
            return epoch
        if info.id >= MAX_WORKERS:
            raise RuntimeError(f"as_iterable_dataset: at most {MAX_WORKERS} workers; got {info.num_workers}.")
        key = info.seed - info.id, self._begun
        self._begun += 1
        return self._decide(*key) if info.id == 0 else self._look_up(info.id, *key)

    def _decide(self, seed: int, begun: int) -> int:
        epoch, number = self.upcoming, int(self._words[_NUM_PASSES])
        place = _PASSES + number % _PASSES_KEPT * _PASS_WORDS
        self._words[place : place + _PASS_WORDS] = torch.tensor([seed, begun, epoch])
        self.upcoming = epoch + 1
        self._words[_NUM_PASSES] = number + 1  # last: from now on the others see it
        return epoch

    def _look_up(self, worker: int, seed: int, begun: int) -> int:
        parent, give_up, pause = os.getppid(), time.monotonic() + _WAIT_S, 0.0005
        while True:
            count = int(self._words[_NUM_PASSES])
            oldest = max(int(self._words[_JOINED + worker]), count - _PASSES_KEPT, 0)
            for number in range(count - 1, oldest - 1, -1):
                place = _PASSES + number % _PASSES_KEPT * _PASS_WORDS
                if self._words[place : place + 2].tolist() == [seed, begun]:
                    self._words[_JOINED + worker] = number + 1
                    return int(self._words[place + 2])
            if os.getppid() != parent or time.monotonic() > give_up:
                raise RuntimeError("as_iterable_dataset: worker 0 has not begun, so the epoch is not known.")
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
