"""Times several ways of doing one thing in one run: in turn, round by round, so that a noisy machine is fair to all."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_SAMPLE_EVERY_S = 0.002
_WARM_UP_S = 0.2  # imports, first allocations


Ways = dict[str, Callable[[], Iterator[int]]]
"""By name: a function that begins a pass and yields the number of rows of each batch."""


class Result(NamedTuple):
    """What was measured of one way."""

    rows_per_s: float
    peak_mb: float


def speeds(ways: Ways, *, rounds: int, cut_s: float) -> dict[str, float]:
    """Return the median rows/s of each way.

    Args:
        ways: What to time.
        rounds: In each, every way runs once.
        cut_s: Seconds after which a pass is cut; the rows that it had given by then count.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for begin in ways.values():
        _run(begin, _WARM_UP_S)
    for _ in range(rounds):
        for name, begin in ways.items():
            found[name].append(_run(begin, cut_s))
    return {name: statistics.median(values) for name, values in found.items()}


def _run(begin: Callable[[], Iterator[int]], cut_s: float) -> float:
    start = time.perf_counter()
    rows = 0
    for count in begin():
        rows += count
        if time.perf_counter() - start > cut_s:
            break
    return rows / (time.perf_counter() - start)


def _anonymous_mb() -> float:
    """Resident anonymous memory: what was allocated, without files that are mapped."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def peak_mb(begin: Callable[[], Iterator[int]], cut_s: float) -> float:
    """Return how much anonymous memory a pass takes over what was there before; ask in a process of its own."""
    with peak_anonymous_mb() as peak:
        _run(begin, cut_s)
    return peak()


@contextmanager
def peak_anonymous_mb() -> Iterator[Callable[[], float]]:
    """Sample anonymous memory while the block runs; what it gives says how far it rose over what was there before."""
    base = peak = _anonymous_mb()
    done = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(_SAMPLE_EVERY_S):
            peak = max(peak, _anonymous_mb())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield lambda: peak - base
    finally:
        done.set()
        sampler.join()


def table(results: dict[str, Result], ours: str) -> str:
    """Return the results as text, quickest first, with the ratio of ours to each."""
    width = max(map(len, results))
    lines = [f"{'':{width}}  {'Mrow/s':>8}  {'ours / it':>9}  {'peak MB':>8}"]
    for name, result in sorted(results.items(), key=lambda item: -item[1].rows_per_s):
        ratio = results[ours].rows_per_s / result.rows_per_s
        lines.append(f"{name:{width}}  {result.rows_per_s / 1e6:8.3f}  {ratio:9.2f}  {result.peak_mb:8.1f}")
    return "\n".join(lines)


def seconds(calls: dict[str, Callable[[], object]], *, rounds: int, each_s: float = 0.05) -> dict[str, float]:
    """Return the median time of one call of each, in seconds; the calls take turns, round by round.

    Args:
        calls: What to time.
        rounds: In each, every call is repeated for about ``each_s``.
        each_s: Seconds.
    """
    repeats = {name: max(1, int(each_s / _took(call, 3))) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(_took(call, repeats[name]))
    return {name: statistics.median(values) for name, values in found.items()}


def _took(call: Callable[[], object], repeats: int) -> float:
    call()  # what the turn of another has driven out of the caches
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
