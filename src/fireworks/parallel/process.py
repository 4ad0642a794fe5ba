"""A worker process, as the thread that feeds it sees it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import pickle
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import Any, cast

from fireworks.core.chunk import Chunk
from fireworks.core.failures import note_place
from fireworks.core.run import some_rows
from fireworks.core.stages import RowStage
from fireworks.core.workers import Workers
from fireworks.errors import WorkerDiedError
from fireworks.parallel import worker
from fireworks.parallel.crew import Hand, Task
from fireworks.parallel.shipping import detached, require_no_gradients, require_picklable, write_notes
from fireworks.parallel.wire import packed, receive, send

_PATIENCE_S = 1.0
_NOTICE_S = 0.5  # an end that the connection doesn't tell of is noticed so soon
_starting = threading.Lock()  # multiprocessing keeps lists of its processes that know nothing of threads


class WorkerTracebackError(Exception):
    """The traceback of an error that came from a worker process, as text: the cause of the error that is raised here."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def hand_maker(
    stages: Sequence[RowStage], workers: Workers, make_thread_hand: Callable[[], Hand]
) -> Callable[[], Hand]:
    """Return what makes a hand that works in a process of its own.

    In a worker of a ``DataLoader``, which must not have processes of its own, it works in threads.
    """
    if multiprocessing.current_process().daemon:
        return make_thread_hand
    try:
        as_bytes = pickle.dumps([detached(stage) for stage in stages], protocol=5)
    except Exception:
        for stage in stages:
            require_picklable(stage)
        raise
    setup = packed((worker.Setting.of_this_process(), as_bytes))
    return lambda: ProcessHand(stages, workers.retries, setup)


def _context() -> Any:
    """Return how processes are started: forked from a clean server that has torch loaded, or anew; never from here."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fireworks.parallel.preload"])
    return context


class ProcessHand:
    """Runs stages in a process of its own.

    Args:
        stages: The stages here, whose names and books errors and counts go by.
        retries: How often a block is given to a new process after one died over it.
        setup: The frame that makes a new process ready.
    """

    depth = 2

    def __init__(self, stages: Sequence[RowStage], retries: int, setup: list[Any]) -> None:
        self._stages, self._retries, self._setup = stages, retries, setup
        self._process: BaseProcess | None = None
        self._connection: socket.socket | None = None
        self._begun: deque[tuple[Task, list[Any]]] = deque()
        self._is_stopped = False
        self._lock = threading.RLock()

    def begin(self, task: Task) -> None:
        """Take a block in hand: send it, behind the one that the process works on."""
        require_no_gradients(task.chunk.message, who=self._stages[0].describe())
        idle = None if self._begun else self._process
        if idle is not None and multiprocessing.connection.wait(
            [cast("socket.socket", self._connection), idle.sentinel], 0
        ):
            self._bury()  # it died with nothing in hand: nothing is lost
        parts = packed((task.block, task.run.epoch, task.chunk.message, task.chunk.rows))
        self._begun.append((task, parts))
        if self._connection is not None:
            with suppress(EOFError, ConnectionError):  # `finish` will find it gone too
                send(self._connection, parts, self._require_alive)

    def finish(self) -> Chunk:
        """Return what becomes of the block that the process has had longest.

        Raises:
            WorkerDiedError: the process died over it, and over each new try.
        """
        task = self._begun[0][0]
        if self._is_stopped:
            self._begun.popleft()
            raise RuntimeError("the workers were stopped")
        for tries_left in range(self._retries, -1, -1):
            is_ready = False
            try:
                connection = self._ready_connection()
                is_ready = True
                answer = receive(connection, self._require_alive)
                break
            except (EOFError, ConnectionError):
                code = self._bury()
                if not tries_left or self._is_stopped:
                    self._begun.popleft()
                    self._raise_died(code, task, is_ready=is_ready)
            except BaseException:
                self._begun.popleft()
                raise
        self._begun.popleft()
        if answer[0] == worker.FAILED:
            _raise_from_worker(answer)
        _, message, rows, notes = answer
        write_notes(notes, task.run.book, self._stages)
        return Chunk(message, rows)

    def _ready_connection(self) -> socket.socket:
        """Return the connection to a process that has all that is in hand."""
        if self._connection is not None:
            return self._connection
        connection = self._start()
        send(connection, self._setup, self._require_alive)
        answer = receive(connection, self._require_alive)
        if answer[0] == worker.FAILED:
            self._bury()
            _raise_from_worker(answer)
        for _, parts in self._begun:
            send(connection, parts, self._require_alive)
        return connection

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(_NOTICE_S)
        process = _context().Process(target=worker.main, args=(theirs,), name="fireworks-worker", daemon=True)
        with _starting, theirs:
            process.start()
        with self._lock:
            self._process, self._connection = process, ours
            if self._is_stopped:
                process.terminate()
        return ours

    def _require_alive(self) -> None:
        """Raise EOFError if the process is gone, though something that it began may hold its end of the connection."""
        if self._process is None or not self._process.is_alive():
            raise EOFError("the process is gone")

    def _bury(self) -> int | None:
        """Let go of the process, and return its exit code."""
        with self._lock:
            process, connection = self._process, self._connection
            self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is None:
            return None
        process.join(_PATIENCE_S)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        return code

    def _raise_died(self, code: int | None, task: Task, *, is_ready: bool) -> None:
        stage, rows = self._stages[0], task.chunk.rows
        who = ", ".join(each.describe() for each in self._stages)
        how = f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        if is_ready:
            tried = f" {self._retries + 1} times" if self._retries else ""
            mend = "Too little memory is a common reason"
            mend += "." if self._retries else "; retries=1 would give the rows to a new process once."
            text = f"{who}: a worker process {how}{tried} while it had {some_rows(rows)} of the source in hand. {mend}"
        else:
            text = (
                f"{who}: a worker process {how} before it was ready; what it printed says why. In a script, what starts "
                "processes stands below if __name__ == '__main__'."
            )
        error = WorkerDiedError(text, stage=who, rows=rows.tolist(), exit_code=code)
        note_place(error, stage, task.chunk, task.run, task.block)
        raise error from None

    def stop(self) -> None:
        """End the process at once if it works; else `leave` does."""
        with self._lock:
            self._is_stopped = True
            if self._begun and self._process is not None:
                self._process.terminate()

    def leave(self) -> None:
        """Let the process end by itself, and wait for that; called by the thread that fed it."""
        self._bury()


def _raise_from_worker(answer: Any) -> None:
    _, as_bytes, text = answer
    error = pickle.loads(as_bytes)  # noqa: S301 (a worker of ours wrote it)
    error.__cause__ = WorkerTracebackError(text)
    raise error
