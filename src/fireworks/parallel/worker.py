"""What a worker process does: it gets its stages once, then blocks, one at a time, until the other side is gone."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import socket
import threading
import traceback
from typing import Any, NamedTuple

import numpy as np
import torch

from fireworks.core.chunk import Chunk
from fireworks.core.failures import fold, place_of
from fireworks.core.run import Run
from fireworks.core.stages import RowStage
from fireworks.parallel.shipping import notes_of, require_no_gradients
from fireworks.parallel.wire import packed, receive, send

READY, DONE, FAILED = "ready", "done", "failed"


class Setting(NamedTuple):
    """What functions find around them in the process that sent them."""

    environment: dict[str, str]
    directory: str
    default_dtype: torch.dtype
    is_deterministic: bool
    matmul_precision: str

    @classmethod
    def of_this_process(cls) -> Setting:
        """Return how things are here."""
        return cls(
            dict(os.environ),
            str(os.getcwd()),  # noqa: PTH109 (a text)
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
        )

    def settle(self) -> None:
        """Make things here as they were there."""
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.directory)
        torch.set_default_dtype(self.default_dtype)
        if self.is_deterministic != torch.are_deterministic_algorithms_enabled():
            torch.use_deterministic_algorithms(self.is_deterministic)  # which imports for seconds
        torch.set_float32_matmul_precision(self.matmul_precision)


def main(connection: socket.socket) -> None:
    """Serve one end of a connection until the other is closed."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C goes to all processes of a terminal; the parent stops this one
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    torch.seed()  # what draws without a seed shall not draw the same in each worker
    np.random.seed()  # noqa: NPY002 (the global one)
    try:
        _serve(connection)
    except (EOFError, OSError):
        pass  # the other side is gone, and with it whoever wants an answer
    finally:
        connection.close()


def _serve(connection: socket.socket) -> None:
    setting, stages_as_bytes = receive(connection)
    try:
        setting.settle()
        stages: list[RowStage] = pickle.loads(stages_as_bytes)  # noqa: S301 (a parent of ours wrote it)
    except BaseException as error:  # noqa: BLE001 (it is raised on the other side)
        send(connection, packed(_failed(error)))
        return
    send(connection, packed((READY,)))
    blocks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, blocks), daemon=True).start()
    while (received := blocks.get()) is not None:
        block, epoch, message, rows = received
        send(connection, _answer(stages, Chunk(message, rows), Run(epoch), block))


def _read(connection: socket.socket, blocks: queue.SimpleQueue[Any]) -> None:
    """Take what comes while the block before it is worked on, so that the other side never waits for this one to read."""
    try:
        while True:
            blocks.put(receive(connection))
    except (EOFError, OSError):
        blocks.put(None)


def _answer(stages: list[RowStage], chunk: Chunk, run: Run, block: int) -> list[Any]:
    try:
        for stage in stages:
            chunk = stage.process(chunk, run, block)
        return _packed_result(stages, chunk, run)
    except BaseException as error:  # noqa: BLE001 (it is raised on the other side)
        return packed(_failed(error))


def _packed_result(stages: list[RowStage], chunk: Chunk, run: Run) -> list[Any]:
    require_no_gradients(chunk.message, who=stages[-1].describe())
    try:
        return packed((DONE, chunk.message, chunk.rows, notes_of(run.book, stages)))
    except Exception as error:
        raise TypeError(
            f"{stages[-1].describe()}: its result does not pickle ({error}), so it can't leave the worker process. "
            "Return values that pickle, or pass backend='thread'."
        ) from error


def _failed(error: BaseException) -> tuple[str, bytes, str]:
    """Return an error as bytes, and its traceback as text: a traceback holds frames, which don't travel."""
    if isinstance(error, Exception):
        fold(error)
    text = "".join(traceback.format_exception(error))
    try:
        as_bytes = pickle.dumps(error)
        if type(pickle.loads(as_bytes)) is type(error):  # noqa: S301 (written in the line before)
            return FAILED, as_bytes, text
    except Exception:  # noqa: BLE001, S110 (an error of the user's own class may do anything)
        pass
    stand_in = RuntimeError(f"{type(error).__name__}: {error}")
    for note in getattr(error, "__notes__", ()):
        stand_in.add_note(note)
    stand_in.__fireworks_place__ = place_of(error)  # type: ignore[attr-defined]
    return FAILED, pickle.dumps(stand_in), text


def _leave_with_parent() -> None:
    """End this process when its parent is gone, also in the middle of a block."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
