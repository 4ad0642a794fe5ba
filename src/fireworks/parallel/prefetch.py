"""Items that are made ahead of their consumer."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from time import perf_counter_ns
from typing import final

from fireworks._internal.checks import check_count
from fireworks.core.budget import Budget, bytes_of
from fireworks.core.chunk import Chunk
from fireworks.core.flow import Flow
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.parallel.steering import Steering
from fireworks.parallel.stopping import Stoppable, begin_thread, join_threads, note_begun


@final
class Prefetch(Steering):
    """Make items ahead of their consumer, in a thread: the next batches while the model works on this one.

    The stages before it, and reading, run in the thread; the stages behind it, and the consumer, don't wait for them
    unless they are quicker. Behind ``batch`` an item is a batch, before it a block of rows. Items, their order and states
    are the same as without it; a state says where the consumer is, not what was made ahead. A single item, ``pipe[3]``,
    needs no thread. The thread ends with the pass: at its end, at an error, or when the iterator is gone.

    Args:
        input: Rows or batches.
        num_items: How many are made ahead, at most; 0 for none.

    Raises:
        ValueError: ``num_items`` is below 0.

    Example:
        >>> batches = fw.source({"x": torch.arange(6)}).batch(2)
        >>> list(Prefetch(batches, 2)) == list(batches)
        True
    """

    def __init__(self, input: Pipe, num_items: int) -> None:
        super().__init__(input)
        self.num_items = check_count(num_items, at_least=0, where="prefetch: num_items")

    def steer(self, chunks: Iterator[tuple[int, Chunk]], flow: Flow, run: Run) -> Iterator[tuple[int, Chunk]]:  # noqa: ARG002
        """Yield the blocks or batches that a thread makes."""
        if not self.num_items:
            for number, chunk in chunks:
                yield number, self.process(chunk, run, number)
            return
        lane = _Lane(chunks, self.num_items, run.budget)
        del chunks  # the thread's, from here on
        meter = run.book.meter(self)
        try:
            while True:
                started = perf_counter_ns()
                item = lane.next_item()
                meter.wait_ns += perf_counter_ns() - started
                if item is None:
                    return
                number, chunk = item
                del item
                yield number, self.process(chunk, run, number)
                del chunk
        finally:
            lane.stop()


class _Lane:
    """A thread that fills a queue of bounded length, and the way to take from it.

    Args:
        items: Numbered blocks or batches; nobody else may ask for any.
        num_items: How many may wait in the queue or be in the making.
        budget: Their bytes are counted there.
    """

    def __init__(self, items: Iterator[tuple[int, Chunk]], num_items: int, budget: Budget) -> None:
        self._num_items, self._budget = num_items, budget
        self._queue: deque[tuple[int, Chunk]] = deque()
        self._largest = 0
        self._failure: BaseException | None = None
        self._is_at_end = self._is_stopped = False
        self._changed = threading.Condition()
        self._begun: weakref.WeakSet[Stoppable] = weakref.WeakSet()
        note_begun(self)
        self._thread = threading.Thread(target=self._fill, args=(items,), name="fireworks-prefetch", daemon=True)
        self._thread.start()

    def _fill(self, items: Iterator[tuple[int, Chunk]]) -> None:
        begin_thread(self._begun)
        try:
            while self._may_go_on():
                item = next(items, None)
                if item is None:
                    break
                num_bytes = bytes_of(item[1])
                self._largest = max(self._largest, num_bytes)
                self._budget.take(num_bytes)
                with self._changed:
                    self._queue.append(item)
                    self._changed.notify_all()
                del item
        except BaseException as error:  # noqa: BLE001 (it is raised at its place, where items are taken)
            self._failure = error
        close = getattr(items, "close", None)
        if close is not None:
            close()
        with self._changed:
            self._is_at_end = True
            self._changed.notify_all()

    def _may_go_on(self) -> bool:
        """Wait until the next item may be made; False if it is not wanted any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) < self._num_items or self._is_stopped)
        # It is counted when it is there: until then, workers before this stage may count it as theirs.
        self._budget.wait_for_room(self._largest, unless=lambda: self._is_stopped or not self._queue)
        return not self._is_stopped

    def next_item(self) -> tuple[int, Chunk] | None:
        """Return the next item; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_at_end)
            item = self._queue.popleft() if self._queue else None
            self._changed.notify_all()
        if item is not None:
            self._budget.give(bytes_of(item[1]))
            return item
        if self._failure is not None:
            failure, self._failure = self._failure, None
            try:
                raise failure
            finally:
                del failure
        return None

    def stop(self) -> None:
        """Make nothing more, and wait for the thread."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._budget.wake()
        for worker in list(self._begun):
            worker.stop()  # the thread may be waiting for it
        join_threads([self._thread])
        while self._queue:
            self._budget.give(bytes_of(self._queue.popleft()[1]))
