"""What works in the background is stopped before the interpreter goes, whatever the user forgot."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections.abc import Generator, Iterable
from typing import Any, Protocol, TypeVar

_PATIENCE_S = 5.0


class Stoppable(Protocol):
    """Something with threads of its own."""

    def stop(self) -> None:
        """Stop working, and wait until nothing works any more."""


_running: weakref.WeakSet[Stoppable] = weakref.WeakSet()
_open: weakref.WeakSet[Generator[Any]] = weakref.WeakSet()
_T = TypeVar("_T")


class _Thread(threading.local):
    """What was begun in this thread is stopped with the thread's own master."""

    begun: weakref.WeakSet[Stoppable] | None = None


_here = _Thread()


def note_begun(worker: Stoppable) -> None:
    """See that a worker is stopped when the interpreter exits, or when the thread is that began it."""
    _running.add(worker)
    if _here.begun is not None:
        _here.begun.add(worker)


def closed_at_exit(items: Generator[_T]) -> Generator[_T]:
    """See that a generator does not outlive the modules whose names it needs to close."""
    _open.add(items)
    return items


def begin_thread(begun: weakref.WeakSet[Stoppable]) -> None:
    """Note from now on in ``begun`` what this thread begins."""
    _here.begun = begun


def join_threads(threads: Iterable[threading.Thread], timeout_s: float | None = None) -> None:
    """Wait for threads to end; the one that asks, where the collector runs in it, is not waited for."""
    for thread in threads:
        if thread is not threading.current_thread() and thread.ident is not None:
            thread.join(_PATIENCE_S if _exiting else timeout_s)


_exiting = False


def _stop_all() -> None:
    global _exiting  # noqa: PLW0603 (the interpreter exits once)
    _exiting = True
    for items in list(_open):
        with contextlib.suppress(ValueError):  # a thread is at work in it, which is stopped below
            items.close()
    for worker in list(_running):
        worker.stop()


# Threads here are daemons, which Python does not wait for before it calls this; it still runs whole at that time.
atexit.register(_stop_all)
