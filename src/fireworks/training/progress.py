"""A progress bar for a terminal, and nothing where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Bar:
    """One bar over the batches of one epoch after the other.

    Args:
        shown: Whether to draw it; None draws it on a terminal only.
    """

    def __init__(self, *, shown: bool | None) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not (console.is_terminal if shown is None else shown),
            transient=console.is_terminal,  # elsewhere rich writes the last line at the end, and only if it is to stay
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, epoch: int, last: int | None, total: int | None, done: int) -> None:
        """Start the bar of one epoch.

        Args:
            epoch: From 0.
            last: The number of epochs.
            total: Batches, if known.
            done: Batches that an earlier run did.
        """
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(f"epoch {epoch + 1}/{last}", total=total, completed=done)

    def advance(self) -> None:
        """Count one batch."""
        if self._task is not None and not self._progress.disable:
            self._progress.advance(self._task)
