"""How many bytes of rows may be in memory at once: read ahead, in piles, cached, prefetched, in workers."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fireworks.core.chunk import Chunk

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{unit}i": 2 ** (10 * power) for power, unit in enumerate("kmgt", start=1)}
_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", re.IGNORECASE)


def check_bytes(value: object, *, where: str) -> int:
    """Return a number of bytes, from an int or from a text with a unit.

    Args:
        value: What the user passed; ``"2GB"`` is 2 * 10**9, ``"2GiB"`` is 2 * 2**30.
        where: The verb and the argument.

    Raises:
        ValueError: it is no such number, or below 1.

    Example:
        >>> check_bytes("1.5 GB", where="this example"), check_bytes("64KiB", where="this example")
        (1500000000, 65536)
    """
    found: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str) and (match := _BYTES.fullmatch(value)):
        found = int(float(match[1]) * _UNITS[match[2].lower()])
    if found is None or found < 1:
        raise ValueError(f"{where} must be a number of bytes of at least 1, or a text such as '2GB'; got {value!r}.")
    return found


def bytes_of(chunk: Chunk) -> int:
    """Return the bytes of the columns and of the row numbers."""
    return chunk.message.num_bytes + chunk.rows.nbytes


class Budget:
    """Bytes that may be under way at once; whoever makes more has to wait.

    Whoever has nothing under way may always go on, whatever that takes, so nobody waits for ever. May be shared by any
    number of threads.

    Args:
        max_bytes: None for no limit.

    Example:
        >>> budget = Budget(100)
        >>> budget.take(80); budget.has_room(30)
        False
        >>> budget.give(80); budget.has_room(30), budget.peak_bytes
        (True, 80)
    """

    def __init__(self, max_bytes: int | None) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.peak_bytes = 0
        self._changed = threading.Condition()

    def has_room(self, num_bytes: int) -> bool:
        """Return whether so many bytes more fit."""
        return self.max_bytes is None or self.used_bytes + num_bytes <= self.max_bytes

    def take(self, num_bytes: int) -> None:
        """Count bytes as under way, whether they fit or not."""
        with self._changed:
            self.used_bytes += num_bytes
            self.peak_bytes = max(self.peak_bytes, self.used_bytes)
            if num_bytes < 0:
                self._changed.notify_all()

    def give(self, num_bytes: int) -> None:
        """Count bytes as under way no longer, and wake who waits."""
        self.take(-num_bytes)

    def try_take(self, num_bytes: int) -> bool:
        """Count bytes as under way if they fit, and return whether they did."""
        with self._changed:
            fits = self.has_room(num_bytes)
            if fits:
                self.take(num_bytes)
            return fits

    def wait_for_room(self, num_bytes: int, unless: Callable[[], bool]) -> None:
        """Wait until so many bytes more fit, or until ``unless`` is true; nothing is counted yet.

        Args:
            num_bytes: How many.
            unless: Whether the caller may go on all the same, asked again after each change: nothing of its own is under
                way, or it is to stop.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.has_room(num_bytes) or unless())

    def wake(self) -> None:
        """Let everybody who waits ask again."""
        with self._changed:
            self._changed.notify_all()

    def __repr__(self) -> str:
        limit = "no limit" if self.max_bytes is None else f"{self.max_bytes:,} bytes"
        return f"Budget({limit}, {self.used_bytes:,} in use, {self.peak_bytes:,} at most)"


_NO_LIMIT_SHARE = 0.5  # of what is free, for what a pass keeps where no limit was set


def limit_of(budget: Budget) -> int:
    """Return how many bytes a pass may use: the budget's limit, or half of what is available on this machine now."""
    return int(available_bytes() * _NO_LIMIT_SHARE) if budget.max_bytes is None else budget.max_bytes


def available_bytes() -> int:
    """Return how much memory this process could still take without others having to give any up.

    That of the machine, or of the control group that the process is in, where that has a lower limit.

    Source:
        ``MemAvailable`` of proc(5); ``memory.max`` and ``memory.current`` of Linux's control groups, version 2.
    """
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            used = int((group / "memory.current").read_text()) - int(facts.get("inactive_file", 0))  # files give way
            available = min(available, max(int(limit) - used, 0))
    except (OSError, ValueError):
        pass
    return available


_current = Budget(None)


def current_budget() -> Budget:
    """Return the budget of all passes that have none of their own."""
    return _current


class memory_budget:  # noqa: N801 (it is called as a function is, and used with `with`)
    """Limit the memory that passes take for rows, in all passes that start from now on.

    It covers what is read ahead, what a shuffle keeps or piles up, caches, prefetched items and blocks in workers; not rows that
    you hold, and not what functions make for themselves. More rows than that are brought into order on disk, and
    work that would need more waits. A limit in which a pipeline can't run is an error before its first row, which names the
    smallest that will do. Results are the same. Used with ``with``, the limit ends with the block. A pipeline gets a limit
    of its own by ``pipe.with_budget(…)``.

    Args:
        limit: Bytes, or a text: ``"2GB"`` (10**9), ``"2GiB"`` (2**30). None for no limit.

    Raises:
        ValueError: it is neither.
        MemoryBudgetError: a pass begins that can't run in it.

    Example:
        >>> with fw.memory_budget("1MB"):
        ...     batches = list(fw.source({"x": torch.arange(4)}).batch(2).prefetch(2))
        >>> len(batches)
        2
    """

    def __init__(self, limit: int | str | None) -> None:
        global _current  # noqa: PLW0603 (one limit of the process, seen by all of its threads)
        self._before = _current
        _current = Budget(None if limit is None else check_bytes(limit, where="memory_budget: limit"))
        self.budget = _current

    def __enter__(self) -> Budget:
        return self.budget

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        global _current  # noqa: PLW0603
        _current = self._before
