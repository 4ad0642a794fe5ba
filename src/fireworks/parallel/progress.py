"""A bar for a pass that takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING, TextIO, final

from fireworks.core.chunk import Chunk
from fireworks.core.flow import Flow
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import UnknownLengthError
from fireworks.parallel.steering import Steering

if TYPE_CHECKING:
    import rich.progress

_QUIET_S = 1.0
"""How long a pass must take until it gets a bar."""


@final
class Progress(Steering):
    """Show a bar while a pass runs: items of how many, rows per second, and the time that is left.

    It appears on the error stream when a pass has taken a second, and only if that is a terminal. A pass that was resumed
    begins where it was. Rows are counted by blocks as they pass this stage.

    Args:
        input: Rows or batches.
        title: What stands before the bar.

    Example:
        >>> sum(len(batch) for batch in Progress(fw.source({"x": torch.arange(6)}).batch(2), "epoch"))
        6
    """

    on_grid = True  # a block says by its number how far the pass is

    def __init__(self, input: Pipe, title: str = "") -> None:
        super().__init__(input)
        if not isinstance(title, str):
            raise TypeError(f"progress: title must be a text; got {title!r:.60} of type {type(title).__name__}.")
        self.title = title

    def steer(self, chunks: Iterator[tuple[int, Chunk]], flow: Flow, run: Run) -> Iterator[tuple[int, Chunk]]:
        """Yield blocks or batches as they come, and show how far they are."""
        bar = _Bar(self.title, flow)
        try:
            for number, chunk in chunks:
                bar.advance(number, len(chunk.rows))
                yield number, self.process(chunk, run, number)
        finally:
            bar.close()


class _Bar:
    """One line of the display, once a pass has taken long enough."""

    def __init__(self, title: str, flow: Flow) -> None:
        self._title, self._flow = title, flow
        self._begun = perf_counter()
        self._rows = 0
        self._task: rich.progress.TaskID | None = None
        self._is_shown = _screen().isatty()

    def advance(self, number: int, num_rows: int) -> None:
        self._rows += num_rows
        seconds = perf_counter() - self._begun
        if not self._is_shown or seconds < _QUIET_S:
            return
        done = number + 1 if self._flow.is_batched else number * self._flow.grid + num_rows
        if self._task is None:
            self._task = _display.add(self._title, done, _length(self._flow))
        _display.update(self._task, done, f"{self._rows / seconds:,.0f} rows/s")

    def close(self) -> None:
        if self._task is not None:
            _display.remove(self._task)
            self._task = None


def _screen() -> TextIO:
    return sys.stderr


def _length(flow: Flow) -> int | None:
    try:
        return flow.num_items()
    except UnknownLengthError:
        return None


class _Display:
    """The lines of all passes that are shown; a terminal has room for one display only."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shown: rich.progress.Progress | None = None

    def add(self, title: str, done: int, total: int | None) -> rich.progress.TaskID:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        with self._lock:
            if self._shown is None:
                columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
                more = (TextColumn("{task.fields[speed]}"), TimeRemainingColumn())
                self._shown = Progress(*columns, *more, console=Console(file=_screen()), redirect_stdout=False)
                self._shown.start()
            return self._shown.add_task(title, completed=done, total=total, speed="")

    def update(self, task: rich.progress.TaskID, done: int, speed: str) -> None:
        with self._lock:
            if self._shown is not None:
                self._shown.update(task, completed=done, speed=speed)

    def remove(self, task: rich.progress.TaskID) -> None:
        """Take a line away; the display stops with its last, which stays on the screen."""
        with self._lock:
            if self._shown is None:
                return
            if len(self._shown.task_ids) == 1:
                shown, self._shown = self._shown, None
                shown.stop()
            else:
                self._shown.remove_task(task)


_display = _Display()
