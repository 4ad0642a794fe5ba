"""Where a stage runs: how many workers it has, of which kind. It never changes a result."""

from __future__ import annotations

from dataclasses import dataclass

from fireworks._internal.checks import check_count

THREAD, PROCESS = "thread", "process"


@dataclass(frozen=True)
class Workers:
    """The workers of a stage.

    Stages next to each other with equal workers share them.
    """

    count: int
    backend: str = THREAD
    retries: int = 0
    """How often rows are given to a new process after one died over them."""


def check_workers(count: object, backend: object, retries: object, *, who: str) -> Workers | None:
    """Return the workers that a stage is told to have, checked; None where it runs in the thread that asks.

    Raises:
        ValueError: a number is below 0, the backend has another name, or threads are to be tried again.
    """
    number = check_count(count, at_least=0, where=f"{who}: workers")
    again = check_count(retries, at_least=0, where=f"{who}: retries")
    if backend not in {THREAD, PROCESS}:
        raise ValueError(f"{who}: backend is 'thread' or 'process'; got {backend!r}.")
    if again and backend == THREAD:
        raise ValueError(
            f"{who}: retries is for workers that can die; pass backend='process' with it, or leave it out."
        )
    return Workers(number, str(backend), again) if number else None
