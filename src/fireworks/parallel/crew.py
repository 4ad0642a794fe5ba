"""Blocks in several hands at once, results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter_ns
from typing import Protocol

from fireworks._internal.lazy import load
from fireworks.core.budget import bytes_of
from fireworks.core.chunk import Chunk
from fireworks.core.run import Book, Run
from fireworks.core.stages import RowStage
from fireworks.core.workers import PROCESS, Workers
from fireworks.parallel.stopping import join_threads, note_begun

# So many blocks for each worker are under way at most: the one in its hands, and one that waits on either side of it.
_BLOCKS_PER_WORKER = 2


class Task:
    """One block on its way through a worker."""

    __slots__ = ("block", "chunk", "done", "error", "held_bytes", "result", "run")

    def __init__(self, block: int, chunk: Chunk, run: Run, held_bytes: int) -> None:
        self.block, self.chunk, self.run = block, chunk, Run(run.epoch, Book(), run.budget)
        self.held_bytes = held_bytes
        self.done = threading.Event()
        self.result: Chunk | None = None
        self.error: BaseException | None = None

    def hold(self, num_bytes: int) -> None:
        """Count so many bytes as under way for this block, in place of those so far."""
        self.run.budget.take(num_bytes - self.held_bytes)
        self.held_bytes = num_bytes

    def cancel(self) -> None:
        """Say to whoever waits that nothing will come."""
        self.error = RuntimeError("the workers were stopped")
        self.done.set()


class Hand(Protocol):
    """What a worker's thread does the work with: itself, or a process of its own."""

    def work(self, task: Task) -> Chunk:
        """Return what becomes of a block; what happens is noted in the book of the task's run."""

    def stop(self) -> None:
        """Drop what is in hand, at once where that is possible. Called from another thread."""

    def leave(self) -> None:
        """Let go of everything; called last, by the worker's thread."""


class ThreadHand:
    """Runs stages in the thread that asks."""

    def __init__(self, stages: Sequence[RowStage]) -> None:
        self._stages = stages

    def work(self, task: Task) -> Chunk:
        """Return what becomes of a block."""
        chunk = task.chunk
        for stage in self._stages:
            chunk = stage.process(chunk, task.run, task.block)
        return chunk

    def stop(self) -> None:
        """Nothing can stop a function in a thread; it comes to its end."""

    def leave(self) -> None:
        """There is nothing to let go of."""


class Crew:
    """Threads that take blocks from a queue; each has a hand to work with.

    Args:
        count: How many threads; each starts when there is work for it.
        make_hand: Called once in each thread.
    """

    def __init__(self, count: int, make_hand: Callable[[], Hand]) -> None:
        self._count, self._make_hand = count, make_hand
        self._tasks: deque[Task] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._idle = 0
        self._hands: list[Hand] = []
        self._threads: list[threading.Thread] = []
        note_begun(self)

    def submit(self, task: Task) -> None:
        """Put a block in the queue."""
        with self._changed:
            if self._stopping:
                task.cancel()
                return
            self._tasks.append(task)
            if self._idle < len(self._tasks) and len(self._threads) < self._count:
                thread = threading.Thread(target=self._live, name="fireworks-worker", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def _next_task(self) -> Task | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._tasks or self._stopping)
            self._idle -= 1
            return None if self._stopping else self._tasks.popleft()

    def _live(self) -> None:
        hand: Hand | None = None
        while (task := self._next_task()) is not None:
            try:
                if hand is None:
                    hand = self._make_hand()
                    with self._changed:
                        self._hands.append(hand)
                        if self._stopping:
                            hand.stop()
                task.result = hand.work(task)
                task.hold(bytes_of(task.result))
            except BaseException as error:  # noqa: BLE001 (it is raised where the block is waited for)
                task.error = error
            task.done.set()
            del task
        if hand is not None:
            hand.leave()

    def stop(self) -> None:
        """Take no more blocks, drop those that wait, and wait until the threads are gone."""
        with self._changed:
            self._stopping = True
            while self._tasks:
                self._tasks.pop().cancel()
            self._changed.notify_all()
            hands = list(self._hands)
        for hand in hands:
            hand.stop()
        join_threads(self._threads)


def in_workers(
    stages: list[RowStage], workers: Workers, chunks: Iterator[tuple[int, Chunk]], run: Run
) -> Iterator[tuple[int, Chunk]]:
    """Run stages on numbered blocks in workers, and yield what becomes of each, in order.

    Blocks are read, and handed to workers, in the thread that asks. An error is raised at its block's place.
    """
    make_hand: Callable[[], Hand] = lambda: ThreadHand(stages)  # noqa: E731 (one of two)
    if workers.backend == PROCESS:
        make_hand = load("parallel.process.hand_maker")(stages, workers, make_hand)
    crew = Crew(workers.count, make_hand)
    waiting: deque[Task] = deque()
    meter = run.book.meter(stages[0])
    failure: Exception | None = None
    largest, knows_results, at_end = 0, False, False
    try:
        while True:
            while not at_end and len(waiting) < _BLOCKS_PER_WORKER * workers.count:
                # With a limit the first goes alone, because nobody knows how large its result will be.
                limited = run.budget.max_bytes is not None
                if waiting and limited and (not knows_results or not run.budget.has_room(largest)):
                    break
                try:
                    number, chunk = next(chunks)
                except StopIteration:
                    at_end = True
                    break
                except Exception as error:  # noqa: BLE001 (raised below, behind the blocks before it)
                    failure, at_end = error, True
                    break
                largest = max(largest, bytes_of(chunk))
                run.budget.take(largest)
                task = Task(number, chunk, run, largest)
                waiting.append(task)
                crew.submit(task)
                del number, chunk
            if not waiting:
                break
            task = waiting[0]
            if not task.done.is_set():
                started = perf_counter_ns()
                task.done.wait()
                meter.wait_ns += perf_counter_ns() - started
            if task.error is not None:
                error, task.error = task.error, None
                try:
                    raise error
                finally:
                    del error, task  # an error that is kept would keep itself
            assert task.result is not None  # noqa: S101 (it is done, and without an error)
            run.book.merge(task.run.book, stages)
            largest, knows_results = max(largest, task.held_bytes), True
            waiting.popleft()
            task.hold(0)
            done = task.block, task.result
            del task
            yield done
            del done
        if failure is not None:
            raise failure
    finally:
        crew.stop()
        for task in waiting:
            task.hold(0)
