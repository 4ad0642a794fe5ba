"""Piles as a stream of rows: the next ones are read in threads while one is handed out.

An iterator that is dropped in the middle is closed by whoever collects garbage, in any thread and with any locks held; so
nothing here waits for a thread to end.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Protocol

import torch

from fireworks._internal.background import Background
from fireworks.core.chunk import Chunk
from fireworks.core.run import Run
from fireworks.order.piled import Piled

_MOST_READERS = 2
# A consumer that works on a pile for so many times as long as it takes to read one leaves time for other things.
_PAUSES = 3
_GLANCE_S = 0.005


class Preparing(Protocol):
    """Work for later, done in steps while there is nothing else to do."""

    def step(self) -> bool:
        """Do some of it; return whether there is more."""


def handed_out(piled: Piled, places: range, run: Run, size: int, preparing: Preparing | None = None) -> Iterator[Chunk]:
    """Yield the rows at positions of an order that follow each other.

    Args:
        piled: The order.
        places: Positions, at least one.
        run: The pass.
        size: At most so many rows come at once, and pieces begin at multiples of it where they can.
        preparing: What the threads do while the consumer is busy.
    """
    first, last = piled.pile_at(places.start), piled.pile_at(places.stop - 1)
    at = int(piled.starts[first])
    reader = Reader(piled, run, preparing)
    try:
        for chunk in reader.chunks(range(first, last + 1)):
            start, stop = max(places.start - at, 0), min(places.stop - at, len(chunk.rows))
            while start < stop:
                end = min(start + size - (at + start - places.start) % size, stop)
                yield chunk.cut(start, end)
                start = end
            at += len(chunk.rows)
    finally:
        reader.close()


class Reader:
    """Reads piles ahead.

    Args:
        piled: The piles.
        run: The pass; what lies ready is counted in its budget.
        preparing: What the threads do while nothing is to be read.
    """

    def __init__(self, piled: Piled, run: Run, preparing: Preparing | None) -> None:
        self._piled, self._run = piled, run
        self._count = min(_MOST_READERS, torch.get_num_threads())
        self._threads = Background(self._count, "piles of fireworks")
        self._waiting: deque[tuple[int, Future[Chunk | None] | None]] = deque()
        self._lock = threading.Lock()
        self._to_read = 0
        self._is_closed = threading.Event()
        self._held = 0
        self._reading_s = 0.0  # how long a pile took to be read
        self._handed_out = time.monotonic()
        self._aside: threading.Thread | None = None
        if preparing is not None:
            self._aside = threading.Thread(
                target=self._prepare, args=(preparing,), name="aside of fireworks", daemon=True
            )
            self._aside.start()

    def chunks(self, numbers: range) -> Iterator[Chunk]:
        """Yield the rows of some piles, in chunks of one pile, or less where a pile is too large."""
        rest = iter(numbers)
        while True:
            while len(self._waiting) < self._count and (number := next(rest, None)) is not None:
                self._begin(number)
            if not self._waiting:
                return
            here, future = self._waiting.popleft()
            if future is None:
                yield from self._piled.read(here, self._run.buffers)
                continue
            chunk = future.result()
            del future
            if (number := next(rest, None)) is not None:
                self._begin(number)
            self._hold(self._piled.bytes_of(here))
            self._handed_out = time.monotonic()
            if chunk is not None:
                yield chunk
            del chunk

    def _begin(self, number: int) -> None:
        if self._piled.is_too_large(number):  # which is shared out when it is its turn
            self._waiting.append((number, None))
            return
        with self._lock:
            self._to_read += 1
        self._waiting.append((number, self._threads.submit(self._read, number)))

    def _read(self, number: int) -> Chunk | None:
        began = time.monotonic()
        try:
            return next(iter(self._piled.read(number, self._run.buffers)), None)
        finally:
            self._reading_s = time.monotonic() - began
            with self._lock:
                self._to_read -= 1

    def _prepare(self, preparing: Preparing) -> None:
        """Do step after step of what is to be prepared, where the consumer takes its time."""
        with contextlib.suppress(Exception):  # whoever needs it meets the error again, or does without
            while not self._is_closed.is_set():
                if self._to_read or time.monotonic() < self._handed_out + _PAUSES * self._reading_s:
                    self._is_closed.wait(_GLANCE_S)
                elif not preparing.step():
                    return

    def _hold(self, num_bytes: int) -> None:
        self._run.budget.take(num_bytes - self._held)
        self._held = num_bytes

    def close(self) -> None:
        """Stop reading; what the threads have in hand they finish, and drop."""
        self._is_closed.set()
        self._hold(0)
        self._waiting.clear()
        self._threads.close()
