"""A map in two workers beside one, and prefetch beside neither, with what a user would write or take instead.

Three workloads on batches of 256 rows (40 KB). *Python*: a function in pure Python of some 2 ms, which holds the GIL, in
worker processes. *Hash*: SHA-256 over a buffer, some 2 ms, which releases it, in threads. *Step*: a batch is loaded (hash)
and computed with (torch, one thread) for about the same time each, one after the other and with ``prefetch``. Prints
batches/s and ratios of one run; starting processes is not counted. A machine needs two quiet cores for it.

    python benchmarks/parallel_map.py [--batches 300] [--rounds 5]
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

import fireworks as fw

BATCH = 256
WARM_UP = 8  # batches; processes are there then
GOALS = {
    "python in 2 processes / 1": 1.5,
    "hash in 2 threads / 1": 1.7,
    "step with prefetch / max(load, compute)": 1.15,
}
LOOPS, BUFFER, MATRIX = 20_000, bytes(3_000_000), torch.randn(200, 200) / 14

Batch = dict[str, torch.Tensor]
Ways = dict[str, Callable[[], Iterable[Any]]]


def set_up(loops: int, num_bytes: int) -> None:
    """Set the size of the work in this process."""
    global LOOPS, BUFFER
    LOOPS, BUFFER = loops, bytes(num_bytes)
    torch.set_num_threads(1)


def spin(loops: int) -> int:
    total = 0
    for number in range(loops):
        total += number & 7
    return total


class Python:
    """Some 2 ms that hold the GIL."""

    def __init__(self, loops: int) -> None:
        self.loops = loops

    def __call__(self, rows: fw.Message) -> fw.Message:
        return rows.assign(y=rows["x"] + spin(self.loops) % 2)

    def on(self, batch: Batch) -> Batch:
        return batch | {"y": batch["x"] + spin(self.loops) % 2}


class Hash:
    """Some 2 ms that release the GIL."""

    def __init__(self, num_bytes: int) -> None:
        self.buffer = bytes(num_bytes)

    def __call__(self, rows: fw.Message) -> fw.Message:
        return rows.assign(y=rows["x"] + hashlib.sha256(self.buffer).digest()[0] % 2)

    def on(self, batch: Batch) -> Batch:
        return batch | {"y": batch["x"] + hashlib.sha256(self.buffer).digest()[0] % 2}


def calibrated(make: Callable[[int], Any], size: int, seconds: float) -> Any:
    """Return the work of about so many seconds per batch."""
    rows = fw.Message({"x": torch.zeros(BATCH, 32)})
    work = make(size)
    took = min(timed(lambda: work(rows)) for _ in range(20))
    return make(max(1, int(size * seconds / took)))


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def columns(batches: int) -> Batch:
    rows = batches * BATCH
    return {"x": torch.randn(rows, 32), "label": torch.arange(rows), "weight": torch.rand(rows, dtype=torch.float64)}


class Batches(Dataset[Batch]):
    """The same for the DataLoader: an item is a batch."""

    def __init__(self, data: Batch, function: Callable[[Batch], Batch]) -> None:
        self.data, self.function = data, function

    def __len__(self) -> int:
        return len(self.data["label"]) // BATCH

    def __getitem__(self, number: int) -> Batch:
        start = number * BATCH
        return self.function({name: column[start : start + BATCH].clone() for name, column in self.data.items()})


def bare_batches(data: Batch) -> Iterator[dict[str, Any]]:
    for number in range(len(data["label"]) // BATCH):
        yield {name: column[number * BATCH : (number + 1) * BATCH].numpy().copy() for name, column in data.items()}


def by_arrays(work: Python, batch: dict[str, Any]) -> dict[str, Any]:
    """What a bare process does: NumPy arrays travel as they are."""
    return {
        name: column.numpy() for name, column in work.on({k: torch.from_numpy(v) for k, v in batch.items()}).items()
    }


class OnArrays:
    def __init__(self, work: Python) -> None:
        self.work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return by_arrays(self.work, batch)


def by_pool(work: Python, data: Batch, workers: int) -> Iterator[Any]:
    context = multiprocessing.get_context("forkserver")
    with context.Pool(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.imap(OnArrays(work), bare_batches(data))


def by_loader(work: Python, data: Batch, workers: int) -> Iterator[Any]:
    yield from DataLoader(
        Batches(data, work.on), batch_size=None, num_workers=workers, multiprocessing_context="forkserver"
    )


def by_executor(work: Hash, data: Batch, workers: int) -> Iterator[Any]:
    batches = Batches(data, work.on)
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(batches.__getitem__, range(len(batches)))


def per_batch(ways: Ways, rounds: int) -> dict[str, float]:
    """Return the median seconds per batch of each way; they take turns, and the first batches don't count."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, begin in ways.items():
            count, started = 0, 0.0
            for count, _ in enumerate(begin(), start=1):
                if count == WARM_UP:
                    started = time.perf_counter()
            found[name].append((time.perf_counter() - started) / (count - WARM_UP))
    return {name: statistics.median(values) for name, values in found.items()}


def python_ways(data: Batch, work: Python) -> Ways:
    pipe = fw.source(data).batch(BATCH)
    ours = {n: pipe.map(work, workers=n, backend="process") for n in (0, 1, 2)}
    return {
        "fireworks, here": lambda: iter(ours[0]),
        "fireworks, 1 process": lambda: iter(ours[1]),
        "fireworks, 2 processes": lambda: iter(ours[2]),
        "bare Pool.imap, 1 process": lambda: by_pool(work, data, 1),
        "bare Pool.imap, 2 processes": lambda: by_pool(work, data, 2),
        "DataLoader, 1 worker": lambda: by_loader(work, data, 1),
        "DataLoader, 2 workers": lambda: by_loader(work, data, 2),
    }


def hash_ways(data: Batch, work: Hash) -> Ways:
    pipe = fw.source(data).batch(BATCH)
    ours = {n: pipe.map(work, workers=n) for n in (0, 1, 2)}
    return {
        "fireworks, here": lambda: iter(ours[0]),
        "fireworks, 1 thread": lambda: iter(ours[1]),
        "fireworks, 2 threads": lambda: iter(ours[2]),
        "bare ThreadPoolExecutor, 1 thread": lambda: by_executor(work, data, 1),
        "bare ThreadPoolExecutor, 2 threads": lambda: by_executor(work, data, 2),
    }


def compute(times: int) -> None:
    result = MATRIX
    for _ in range(times):
        result = torch.tanh(result @ MATRIX)


def step_ways(data: Batch, work: Hash, seconds: float) -> Ways:
    times = max(1, int(50 * seconds / min(timed(lambda: compute(50)) for _ in range(20))))
    pipe = fw.source(data).batch(BATCH).map(work)

    def steps(batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            compute(times)
            yield batch

    def by_executor_ahead() -> Iterator[Any]:
        """What two threads can do at best here: one loads, one computes."""
        return steps(by_executor(work, data, 1))

    return {
        "load alone": lambda: iter(pipe),
        "compute alone": lambda: steps(range(len(pipe))),
        "one after the other": lambda: steps(pipe),
        "with prefetch(2)": lambda: steps(pipe.prefetch(2)),
        "bare thread that loads ahead": by_executor_ahead,
    }


def show(title: str, found: dict[str, float]) -> None:
    print(f"\n{title}")
    for name, seconds in found.items():
        print(f"  {name:36} {1 / seconds:8.0f} batches/s  {seconds * 1e3:6.2f} ms")


def goal(name: str, value: float, *, at_most: bool = False) -> None:
    target = GOALS[name]
    reached = value <= target if at_most else value >= target
    print(
        f"goal {name}: {value:.2f} ({'at most' if at_most else 'at least'} {target}; {'reached' if reached else 'NOT reached'})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ms", type=float, default=2.0, help="of work per batch")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data, seconds = columns(arguments.batches), arguments.ms / 1e3

    python = per_batch(python_ways(data, calibrated(Python, 20_000, seconds)), arguments.rounds)
    show("python, in processes", python)
    work = calibrated(Hash, 1_000_000, seconds)
    hashed = per_batch(hash_ways(data, work), arguments.rounds)
    show("hash, in threads", hashed)
    step = per_batch(step_ways(data, work, seconds), arguments.rounds)
    show("step", step)

    print()
    goal("python in 2 processes / 1", python["fireworks, 1 process"] / python["fireworks, 2 processes"])
    print(f"     bare: {python['bare Pool.imap, 1 process'] / python['bare Pool.imap, 2 processes']:.2f}")
    print(f"     DataLoader: {python['DataLoader, 1 worker'] / python['DataLoader, 2 workers']:.2f}")
    goal("hash in 2 threads / 1", hashed["fireworks, 1 thread"] / hashed["fireworks, 2 threads"])
    bare = hashed["bare ThreadPoolExecutor, 1 thread"] / hashed["bare ThreadPoolExecutor, 2 threads"]
    print(f"     bare: {bare:.2f}")
    slower = max(step["load alone"], step["compute alone"])
    goal("step with prefetch / max(load, compute)", step["with prefetch(2)"] / slower, at_most=True)
    print(f"     bare: {step['bare thread that loads ahead'] / slower:.2f}")


if __name__ == "__main__":
    main()
