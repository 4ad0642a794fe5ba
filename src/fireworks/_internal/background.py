"""Threads for work in the background that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Background:
    """A few threads that do what they are given, in order.

    Unlike those of ``ThreadPoolExecutor`` they are never joined, so that the garbage collector may let go of whoever uses
    them: it runs in any thread, and whatever locks that thread holds, a join could wait for them for ever. `close` lets them
    end by themselves, behind what they have in hand.

    Args:
        count: How many threads, at most; each starts when there is work for it.
        name: Of the threads.

    Example:
        >>> background = Background(1, "example")
        >>> background.submit(sum, [1, 2]).result()
        3
        >>> background.close()
    """

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._started = 0
        self._is_closed = False

    def submit(self, function: Callable[_P, _T], *arguments: _P.args, **keywords: _P.kwargs) -> Future[_T]:
        """Have something done, and return where its result will be."""
        future: Future[_T] = Future()
        if self._is_closed:
            future.cancel()
            return future
        self._tasks.put((future, lambda: function(*arguments, **keywords)))
        if self._started < self._count:
            self._started += 1
            threading.Thread(target=_work, args=(self._tasks,), name=self._name, daemon=True).start()
        return future

    def close(self, nothing_left: type[Exception] = Empty) -> None:
        """Take nothing more, drop what was not begun, and let the threads end. May be called again.

        At the end of the interpreter too, when the names of the module may be gone already.
        """
        self._is_closed = True
        while True:
            try:
                task = self._tasks.get_nowait()
            except nothing_left:
                break
            if task is not None:
                task[0].cancel()
        for _ in range(self._started):
            self._tasks.put(None)

    def __del__(self) -> None:
        if "_is_closed" in self.__dict__:
            self.close()


def _work(tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]) -> None:
    while (task := tasks.get()) is not None:
        future, do = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(do())
            except BaseException as error:  # noqa: BLE001 (it is raised where the result is asked for)
                future.set_exception(error)
        del task, future, do
