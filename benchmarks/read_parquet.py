"""One unshuffled pass over Parquet files, in batches of 1,024, beside what a user would write or take instead.

The files have 20 columns: 18 tensors of numbers and booleans, and two of text, 126 bytes a row when decoded; they are made
once, in a temporary folder, by `pipe.to_parquet`. Every way hands out a mapping of 18 tensors and two columns of text per
batch. Prints rows/s, ratios, the peak of anonymous memory over what was there before, and goals. Absolute figures depend on
the machine; the ratios of one run are what counts.

    python benchmarks/read_parquet.py [--gb 0.25] [--batch 1024] [--rounds 3] [--cut 20] [--budget 512MB] [--folder …]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import torch
from measure import Result, Ways, peak_mb, speeds, table

import fireworks as fw

OURS = "fireworks"
SCANNER = "pyarrow: dataset scanner -> views"
POLARS = "polars: collect_batches -> views"
GOALS = {SCANNER: 0.9, POLARS: 0.8}
READ_ROWS = 131_072
GROUP_ROWS = 131_072
FILE_ROWS = 8 * GROUP_ROWS
ROW_BYTES_ON_DISK = 111
"""The numbers are random, so they hardly compress."""
LIBRARIES = ("polars", "duckdb", "datasets", "grain", "webdataset", "litdata", "ray", "streaming")
TEXTS = ("kind", "name")


def make_rows(num_rows: int, seed: int) -> fw.Message:
    draw = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for number in range(4):
        columns[f"f32_{number}"] = torch.from_numpy(draw.standard_normal(num_rows, dtype=np.float32))
        columns[f"f64_{number}"] = torch.from_numpy(draw.standard_normal(num_rows))
        columns[f"i64_{number}"] = torch.from_numpy(draw.integers(0, 2**60, num_rows))
        columns[f"i32_{number}"] = torch.from_numpy(draw.integers(0, 2**31 - 1, num_rows).astype(np.int32))
    columns["i8"] = torch.from_numpy(draw.integers(0, 100, num_rows).astype(np.int8))
    columns["flag"] = torch.from_numpy(draw.random(num_rows) < 0.5)
    words = pa.array([f"word-{number}" for number in range(1000)])
    columns["kind"] = words.take(pa.array(draw.integers(0, 1000, num_rows))).to_pandas()
    columns["name"] = pa.array(draw.integers(10**9, 10**10, num_rows)).cast(pa.string()).to_pandas()
    return fw.Message(columns)


def make_files(folder: Path, num_bytes: float) -> None:
    """Write about so many bytes; files that are there already are left."""
    for number in range(max(1, round(num_bytes / ROW_BYTES_ON_DISK / FILE_ROWS))):
        path = folder / f"part-{number:03}.parquet"
        if not path.exists():
            rows = fw.Message(make_rows(FILE_ROWS, number))
            rows.to_parquet(path, row_group_size=GROUP_ROWS, use_dictionary=["kind"])


def make_ways(folder: Path, batch: int, budget: str) -> Ways:
    files = sorted(map(str, folder.glob("*.parquet")))
    pipe = fw.read_parquet(folder).batch(batch)
    bounded = fw.read_parquet(folder).batch(batch)
    ways: Ways = {
        OURS: lambda: (len(message) for message in pipe),
        f"{OURS}, budget {budget}": lambda: by_ours(bounded, budget),
        SCANNER: lambda: by_scanner(files, batch),
        "pyarrow: iter_batches -> views": lambda: by_iter_batches(files, batch),
        "pyarrow: iter_batches of the batch size": lambda: by_small_batches(files, batch),
        "limit: pyarrow decodes, no batches": lambda: by_decoding(files),
    }
    if importlib.util.find_spec("polars"):
        ways[POLARS] = lambda: by_polars(files, batch)
    if importlib.util.find_spec("duckdb"):
        ways["duckdb: to_arrow_reader -> views"] = lambda: by_duckdb(folder, batch)
    if importlib.util.find_spec("datasets"):
        ways["datasets: streaming, torch"] = lambda: by_datasets(files, batch)
    if importlib.util.find_spec("grain"):
        ways["grain: ParquetIterDataset.batch"] = lambda: by_grain(files, batch)
    return ways


def views(rows: Any, batch: int) -> Iterator[int]:
    """Cut an Arrow batch into mappings from names to tensors and texts, which share its memory."""
    columns = {}
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        if name in TEXTS:
            columns[name] = [column.slice(start, batch) for start in range(0, len(column), batch)]
        else:
            columns[name] = torch.split(torch.from_numpy(column.to_numpy(zero_copy_only=False)), batch)
    for parts in zip(*columns.values(), strict=True):
        yield len(dict(zip(columns, parts, strict=True))["i8"])


def by_ours(pipe: Any, budget: str) -> Iterator[int]:
    with fw.memory_budget(budget):
        yield from (len(message) for message in pipe)


def by_scanner(files: list[str], batch: int) -> Iterator[int]:
    for rows in pyarrow.dataset.dataset(files).scanner(batch_size=READ_ROWS).to_batches():
        yield from views(rows, batch)


def by_iter_batches(files: list[str], batch: int) -> Iterator[int]:
    for file in files:
        for rows in pq.ParquetFile(file).iter_batches(READ_ROWS):
            yield from views(rows, batch)


def by_small_batches(files: list[str], batch: int) -> Iterator[int]:
    for file in files:
        for rows in pq.ParquetFile(file).iter_batches(batch):
            yield from views(rows, batch)


def by_decoding(files: list[str]) -> Iterator[int]:
    for file in files:
        for rows in pq.ParquetFile(file).iter_batches(READ_ROWS):
            yield len(rows)


def by_polars(files: list[str], batch: int) -> Iterator[int]:
    import polars as pl

    for frame in pl.scan_parquet(files).collect_batches(chunk_size=65_536, maintain_order=True):
        for rows in frame.to_arrow().to_batches():
            yield from views(rows, batch)


def by_duckdb(folder: Path, batch: int) -> Iterator[int]:
    import duckdb

    for rows in duckdb.sql(f"from read_parquet('{folder}/*.parquet')").to_arrow_reader(65_536):
        yield from views(rows, batch)


def by_datasets(files: list[str], batch: int) -> Iterator[int]:
    import datasets

    rows = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True).with_format("torch")
    return (len(part["i8"]) for part in rows.iter(batch_size=batch))


def by_grain(files: list[str], batch: int) -> Iterator[int]:
    import grain

    for file in files:
        for part in grain.experimental.ParquetIterDataset(file).batch(batch):
            yield len(part["i8"])


def _peak_in_a_new_process(name: str, folder: Path) -> float:
    command = [sys.executable, "-W", "ignore", *sys.argv, "--folder", str(folder), "--peak-of", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gb", type=float, default=0.25, help="10**9 bytes of Parquet; 4 for figures that count")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cut", type=float, default=20, help="seconds after which a pass is cut")
    parser.add_argument("--budget", default="512MB", help="memory budget of one of our passes")
    parser.add_argument(
        "--folder", type=Path, help="where the files are or will be made; a temporary folder if not given"
    )
    parser.add_argument("--only", help="measure only ways with this in their name, beside ours")
    parser.add_argument("--peak-of", help="print only the peak memory of one way, in MB")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not arguments.peak_of:
            make_files(folder, arguments.gb * 1e9)
        ways = make_ways(folder, arguments.batch, arguments.budget)
        if arguments.peak_of:
            print(json.dumps(peak_mb(ways[arguments.peak_of], arguments.cut)))
            return
        if arguments.only:
            ways = {name: way for name, way in ways.items() if name.startswith(OURS) or arguments.only in name}
        found = speeds(ways, rounds=arguments.rounds, cut_s=arguments.cut)
        results = {name: Result(speed, _peak_in_a_new_process(name, folder)) for name, speed in found.items()}
        files = list(folder.glob("*.parquet"))
        num_bytes = sum(file.stat().st_size for file in files)
    print(
        f"{len(files) * FILE_ROWS:,} rows of 20 columns, {num_bytes / 1e9:.2f} GB of Parquet in {len(files)} files, batch "
        f"{arguments.batch}, {pa.cpu_count()} threads, median of {arguments.rounds} rounds:\n"
    )
    print(table(results, OURS))
    for missing in LIBRARIES:
        if not importlib.util.find_spec(missing):
            print(f"Not measured: {missing} is not installed.")
    print("Not measured, for want of a reader of Parquet: webdataset, litdata, MosaicML streaming.\n")
    for name, goal in GOALS.items():
        if name in results:
            ratio = results[OURS].rows_per_s / results[name].rows_per_s
            print(f"goal {goal:g} x {name}: {ratio:.2f} x, {'reached' if ratio >= goal else 'NOT reached'}")


if __name__ == "__main__":
    main()
