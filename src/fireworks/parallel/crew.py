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
from fireworks.core.workers import PROCESS, THREAD, Workers
from fireworks.parallel.stopping import join_threads, note_begun

# So many blocks for each worker are under way at most: the one that it works on, one that is done, and for a process, to
# which the way is longer, one that lies ready.
_BLOCKS_PER_WORKER = {THREAD: 2, PROCESS: 3}


class Task:
    """One block on its way through a worker."""

    __slots__ = ("block", "chunk", "done", "error", "held_bytes", "result", "run")

    def __init__(self, block: int, chunk: Chunk, run: Run, held_bytes: int) -> None:
        self.block, self.chunk, self.run = block, chunk, Run(run.epoch, Book(), run.budget, how=run.how)
        self.held_bytes = held_bytes
        self.done = threading.Event()
        self.result: Chunk | None = None
        self.error: BaseException | None = None

    def hold(self, num_bytes: int) -> None:
        """Count so many bytes as under way for this block, in place of those so far."""
        self.run.budget.take(num_bytes - self.held_bytes)
        self.held_bytes = num_bytes

    def fail(self, error: BaseException) -> None:
        """Give an error to whoever waits for the result."""
        self.error = error
        self.done.set()

    def cancel(self) -> None:
        """Say to whoever waits that nothing will come."""
        self.fail(RuntimeError("the workers were stopped"))


class Hand(Protocol):
    """What a worker's thread does the work with: itself, or a process of its own."""

    depth: int
    """How many blocks it may have at a time: the one that it works on, and those that lie ready."""

    def begin(self, task: Task) -> None:
        """Take a block in hand."""

    def finish(self) -> Chunk:
        """Return what becomes of the block that it has had longest; what happens is noted in the book of its run."""

    def stop(self) -> None:
        """Drop what is in hand, at once where that is possible. Called from another thread."""

    def leave(self) -> None:
        """Let go of everything; called last, by the worker's thread."""


class ThreadHand:
    """Runs stages in the thread that asks."""

    depth = 1

    def __init__(self, stages: Sequence[RowStage]) -> None:
        self._stages = stages
        self._task: Task | None = None

    def begin(self, task: Task) -> None:
        """Take a block in hand."""
        self._task = task

    def finish(self) -> Chunk:
        """Return what becomes of it."""
        assert self._task is not None  # noqa: S101 (it was begun)
        task, self._task = self._task, None
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
                self._idle += 1  # from the start, so that no other takes its first block
                thread.start()
            self._changed.notify()

    def _next_task(self, *, at_once: bool) -> Task | None:
        """Return the next block; None when there is nothing more to do, or, ``at_once``, nothing that nobody waits for."""
        with self._changed:
            if at_once:
                return self._tasks.popleft() if len(self._tasks) > self._idle and not self._stopping else None
            self._changed.wait_for(lambda: self._tasks or self._stopping)
            self._idle -= 1
            return None if self._stopping else self._tasks.popleft()

    def _live(self) -> None:
        hand = self._make_hand()
        with self._changed:
            self._hands.append(hand)
            if self._stopping:
                hand.stop()
        begun: deque[Task] = deque()
        is_at_work = False
        while True:
            while len(begun) < hand.depth and (task := self._next_task(at_once=is_at_work)) is not None:
                is_at_work = True
                try:
                    hand.begin(task)
                    begun.append(task)
                except BaseException as error:  # noqa: BLE001 (it is raised where the block is waited for)
                    task.fail(error)
                del task
            if not is_at_work:
                break
            if not begun:  # what it took could not be begun, or all is done
                is_at_work = False
                with self._changed:
                    self._idle += 1
                continue
            task = begun.popleft()
            try:
                result = hand.finish()
                task.hold(bytes_of(result))
                task.result = result
                task.done.set()
                del result
            except BaseException as error:  # noqa: BLE001 (it is raised where the block is waited for)
                task.fail(error)
            del task
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


def in_workers(  # noqa: C901 (reading, waiting and handing out share what is under way; apart they would not read straighter)
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
            while not at_end and len(waiting) < _BLOCKS_PER_WORKER[workers.backend] * workers.count:
                # With a limit the first goes alone, because nobody knows how large its result will be.
                if waiting and run.budget.max_bytes is not None and not knows_results:
                    break
                if waiting and not run.budget.try_take(largest):
                    break
                held_bytes = largest if waiting else 0
                try:
                    number, chunk = next(chunks)
                except StopIteration:
                    at_end = True
                except Exception as error:  # noqa: BLE001 (raised below, behind the blocks before it)
                    failure, at_end = error, True
                if at_end:
                    run.budget.give(held_bytes)
                    break
                largest = max(largest, bytes_of(chunk))
                run.budget.take(largest - held_bytes)
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
                reason, task.error = task.error, None
                try:
                    raise reason
                finally:
                    del reason, task  # an error that is kept would keep itself
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
