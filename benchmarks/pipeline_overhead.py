"""What a pipeline of five stages costs over the same work written by hand in torch, and what the notes for errors cost.

Three functions on shuffled batches of three tensor columns: shuffle, batch, map, map, map. By hand: `randperm`, one
gather per column and batch, the same three operations on a dict. Absolute figures depend on the machine.

    python benchmarks/pipeline_overhead.py [--rows 200000] [--batch 256] [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from measure import seconds

import fireworks as fw
from fireworks.core.chunk import Chunk
from fireworks.core.run import Run

GOAL_US = 20.0
NOTES_GOAL_US = 2.0
Columns = dict[str, torch.Tensor]


def make_columns(num_rows: int) -> Columns:
    generator = torch.Generator().manual_seed(0)
    return {
        "x": torch.randn(num_rows, 32, generator=generator),
        "label": torch.arange(num_rows),
        "weight": torch.rand(num_rows, generator=generator, dtype=torch.float64),
    }


def scale(rows: fw.Message) -> fw.Message:
    return rows.assign(x=rows["x"] * 2.0)


def shift(rows: fw.Message) -> fw.Message:
    return rows.assign(x=rows["x"] + 1.0)


def soften(rows: fw.Message) -> fw.Message:
    return rows.assign(weight=torch.log1p(rows["weight"]))


def make_pipe(columns: Columns, batch: int) -> fw.Pipe:
    return fw.source(columns).shuffle(seed=0).batch(batch).map(scale).map(shift).map(soften)


def by_hand(columns: Columns, batch: int) -> Iterator[Columns]:
    num_rows = len(columns["label"])
    order = torch.randperm(num_rows)
    for start in range(0, num_rows, batch):
        index = order[start : start + batch]
        rows = {name: column.index_select(0, index) for name, column in columns.items()}
        rows["x"] = rows["x"] * 2.0
        rows["x"] = rows["x"] + 1.0
        rows["weight"] = torch.log1p(rows["weight"])
        yield rows


def us_per_batch(begin: Callable[[], Iterator[object]], batches: int) -> float:
    start = time.perf_counter()
    for _ in begin():
        pass
    return (time.perf_counter() - start) / batches * 1e6


def notes_us(columns: Columns, batch: int, rounds: int) -> float:
    """Return what a stage and batch pay for the place of an error and for the account of rows."""
    stage = fw.source(columns).batch(batch).map(lambda rows: rows)
    chunk = Chunk(fw.Message({name: column[:batch] for name, column in columns.items()}), np.arange(batch))
    run = Run(0)
    found = seconds(
        {"with": lambda: stage.process(chunk, run, 0), "without": lambda: stage.compute(chunk, run, 0)}, rounds=rounds
    )
    return (found["with"] - found["without"]) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    columns, batches = make_columns(arguments.rows), -(-arguments.rows // arguments.batch)
    pipe, bare = make_pipe(columns, arguments.batch), fw.source(columns).shuffle(seed=0).batch(arguments.batch)
    ways: dict[str, Callable[[], Iterator[object]]] = {
        "five stages": lambda: iter(pipe),
        "shuffle and batch alone": lambda: iter(bare),
        "by hand in torch": lambda: by_hand(columns, arguments.batch),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, begin in ways.items():
            found[name].append(us_per_batch(begin, batches))
    print(
        f"{arguments.rows:,} rows in batches of {arguments.batch}, one thread, median of {arguments.rounds} rounds:\n"
    )
    median = {name: statistics.median(values) for name, values in found.items()}
    for name, value in median.items():
        print(f"{name:24} {value:7.1f} us per batch")
    over = statistics.median(a - b for a, b in zip(found["five stages"], found["by hand in torch"], strict=True))
    notes = notes_us(columns, arguments.batch, arguments.rounds)
    print()
    for what, value, goal in [
        ("five stages over by hand", over, GOAL_US),
        ("notes for errors, a stage", notes, NOTES_GOAL_US),
    ]:
        print(f"goal at most {goal:g} us: {what} {value:.1f} us, {'reached' if value <= goal else 'NOT reached'}")


if __name__ == "__main__":
    main()
