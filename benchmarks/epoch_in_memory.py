"""One shuffled epoch over a table in memory, in batches of 256, beside what a user would write or take instead.

The table has 1,000,000 rows of 32 float32 as one tensor column, an int64 and a float64: 144 bytes a row. Every way
hands out a mapping of three tensors per batch, and every row once. Prints rows/s, ratios and goals. Absolute figures
depend on the machine; the ratios of one run are what counts.

    python benchmarks/epoch_in_memory.py [--rows 1000000] [--batch 256] [--rounds 7] [--cut 2.5]
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator

import torch
from measure import Result, Ways, peak_mb, speeds, table
from torch.utils.data import DataLoader, TensorDataset

import fireworks as fw

OURS = "fireworks"
GATHER = "torch: randperm + one gather per batch"
LOADER = "DataLoader(TensorDataset, shuffle=True)"
GOALS = {LOADER: 50.0, GATHER: 1.5}
LIBRARY_GOAL = 2.0  # times the fastest library that a user would take instead
LIBRARIES = [LOADER, "tensordict: td[perm[i:i+b]]", "polars: sample + iter_slices"]


def make_columns(num_rows: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "x": torch.randn(num_rows, 32, generator=generator),
        "label": torch.arange(num_rows),
        "weight": torch.rand(num_rows, generator=generator, dtype=torch.float64),
    }


def make_ways(columns: dict[str, torch.Tensor], batch: int) -> Ways:
    pipe = fw.source(columns).shuffle(seed=0).batch(batch)
    views = fw.source(columns).batch(batch)
    again = fw.source(columns).shuffle(seed=0).batch(batch).at_epoch(0)
    next(iter(again))
    ways: Ways = {
        OURS: lambda: (len(message) for message in pipe),
        f"{OURS}, order known": lambda: (len(message) for message in again),
        f"{OURS}, not shuffled": lambda: (len(message) for message in views),
        GATHER: lambda: by_torch(columns, batch, lambda column, index: column.index_select(0, index)),
        "torch: x[perm[i:i+b]] per batch": lambda: by_torch(columns, batch, lambda column, index: column[index]),
        "limit: slices, not shuffled": lambda: by_slices(columns, batch),
        LOADER: lambda: by_loader(columns, batch),
    }
    if importlib.util.find_spec("tensordict"):
        ways[LIBRARIES[1]] = lambda: by_tensordict(columns, batch)
    if importlib.util.find_spec("polars"):
        ways[LIBRARIES[2]] = lambda: by_polars(columns, batch)
    return ways


def by_torch(
    columns: dict[str, torch.Tensor], batch: int, gather: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> Iterator[int]:
    num_rows = len(columns["label"])
    order = torch.randperm(num_rows)
    for start in range(0, num_rows, batch):
        index = order[start : start + batch]
        yield len({name: gather(column, index) for name, column in columns.items()}["label"])


def by_slices(columns: dict[str, torch.Tensor], batch: int) -> Iterator[int]:
    for start in range(0, len(columns["label"]), batch):
        yield len({name: column[start : start + batch] for name, column in columns.items()}["label"])


def by_loader(columns: dict[str, torch.Tensor], batch: int) -> Iterator[int]:
    dataset = TensorDataset(*columns.values())
    return (len(label) for _, label, _ in DataLoader(dataset, batch_size=batch, shuffle=True))


def by_tensordict(columns: dict[str, torch.Tensor], batch: int) -> Iterator[int]:
    from tensordict import TensorDict

    num_rows = len(columns["label"])
    dictionary = TensorDict(columns, batch_size=[num_rows])
    order = torch.randperm(num_rows)
    return (len(dictionary[order[start : start + batch]]) for start in range(0, num_rows, batch))


def by_polars(columns: dict[str, torch.Tensor], batch: int) -> Iterator[int]:
    import polars as pl

    frame = pl.DataFrame({name: column.numpy() for name, column in columns.items()})
    for part in frame.sample(fraction=1.0, shuffle=True).iter_slices(batch):
        yield len({name: part[name].to_torch() for name in columns}["label"])


def _peak_in_a_new_process(name: str) -> float:
    command = [sys.executable, *sys.argv, "--peak-of", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cut", type=float, default=2.5, help="seconds after which a pass is cut")
    parser.add_argument("--peak-of", help="print only the peak memory of one way, in MB")
    arguments = parser.parse_args()
    ways = make_ways(make_columns(arguments.rows), arguments.batch)
    if arguments.peak_of:
        print(peak_mb(ways[arguments.peak_of], arguments.cut))
        return
    found = speeds(ways, rounds=arguments.rounds, cut_s=arguments.cut)
    results = {name: Result(speed, _peak_in_a_new_process(name)) for name, speed in found.items()}
    print(
        f"One shuffled epoch of {arguments.rows:,} rows of 144 bytes, batch {arguments.batch}, "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {arguments.rounds} rounds:\n"
    )
    print(table(results, OURS))
    for missing in {"tensordict", "polars"} - {name.partition(":")[0] for name in results}:
        print(f"\nNot measured: {missing} is not installed (pip install 'fireworks-torch[interop]').")
    print()
    fastest = max((name for name in LIBRARIES if name in results), key=lambda name: results[name].rows_per_s)
    for name, goal in [*GOALS.items(), (fastest, LIBRARY_GOAL)]:
        ratio = results[OURS].rows_per_s / results[name].rows_per_s
        print(f"goal {goal:g} x {name}: {ratio:.2f} x, {'reached' if ratio >= goal else 'NOT reached'}")


if __name__ == "__main__":
    main()
