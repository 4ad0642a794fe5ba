"""An exact shuffle of more than the memory budget holds, beside an unshuffled pass and what others offer.

Writes Parquet, 20 columns of numbers and texts, and passes over all of it in batches of 1,024 rows: as it lies there, by us and
by PyArrow's scanner; in an exactly uniform order, by us in three epochs, by DuckDB's ``ORDER BY random()`` and by polars in memory;
by Hugging Face's ``datasets``, whose shuffle of a stream mixes a buffer; and some thousand random rows of the same files. Run it
alone on the machine: both cores are used.

    python benchmarks/shuffle_on_disk.py                        # 0.5 GB, a minute
    python benchmarks/shuffle_on_disk.py --gb 4 --budget 512    # what the figures in the documentation come from
    python benchmarks/shuffle_on_disk.py --grow 1 2 4 8 16 --budget 512
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from measure import peak_anonymous_mb

import fireworks as fw

BATCH, FILE_ROWS, GROUP_ROWS = 1024, 2**20, 2**17
ROW_BYTES = 126  # decoded, without the offsets of the texts


def write(folder: Path, num_rows: int) -> None:
    """Write random numbers and texts, sorted by a label."""
    random = np.random.default_rng(0)
    words = np.array([f"category {n:02d}" for n in range(40)])
    for part, start in enumerate(range(0, num_rows, FILE_ROWS)):
        rows = min(FILE_ROWS, num_rows - start)
        columns: dict[str, object] = {"row": np.arange(start, start + rows)}
        columns["label"] = (np.arange(start, start + rows) * 100 // num_rows).astype(np.int32)
        columns |= {f"f{n}": random.normal(size=rows).astype(np.float32) for n in range(10)}
        columns |= {f"d{n}": random.normal(size=rows) for n in range(4)}
        columns |= {f"i{n}": random.integers(0, 2**31, rows, dtype=np.int32) for n in range(2)}
        columns["word"] = pa.array(words[random.integers(0, len(words), rows)])
        columns["user"] = pa.array(np.char.mod("user-%08x", random.integers(0, 2**32, rows)))
        pq.write_table(pa.table(columns), folder / f"part-{part:04d}.parquet", row_group_size=GROUP_ROWS)


def ours(pipe: fw.Pipe) -> Callable[[], Iterator[int]]:
    def batches() -> Iterator[int]:
        for batch in pipe:
            yield len(batch)

    return batches


def scanner(folder: Path) -> Iterator[int]:
    """PyArrow's own, its large batches cut into views of 1,024 rows."""
    for batch in pads.dataset(folder).scanner(batch_size=GROUP_ROWS).to_batches():
        arrays = [
            column.to_numpy(zero_copy_only=False) if not pa.types.is_string(column.type) else column
            for column in batch.columns
        ]
        for start in range(0, batch.num_rows, BATCH):
            views = [array[start : start + BATCH] for array in arrays]
            yield len(views[0])


def duckdb_shuffled(folder: Path, budget_mb: int) -> Iterator[int]:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET memory_limit='{budget_mb}MB'; SET threads=2; SET preserve_insertion_order=false")
    reader = connection.sql(f"SELECT * FROM '{folder}/*.parquet' ORDER BY random()").to_arrow_reader(65_536)
    for batch in reader:
        for start in range(0, batch.num_rows, BATCH):
            yield len(batch.slice(start, BATCH))


def polars_shuffled(folder: Path) -> Iterator[int]:
    import polars as pl

    table = pl.read_parquet(folder / "*.parquet").sample(fraction=1.0, shuffle=True, seed=0)
    for start in range(0, len(table), BATCH):
        yield len(table.slice(start, BATCH))


def hugging_face(folder: Path, num_rows: int, buffer: int = 0, labels: list[np.ndarray] | None = None) -> Iterator[int]:
    """The first batches of a stream, as tensors where they can be: all of it would take minutes."""
    import datasets

    stream = datasets.load_dataset("parquet", data_files=f"{folder}/*.parquet", split="train", streaming=True)
    if buffer:
        stream = stream.shuffle(seed=0, buffer_size=buffer)
    rows = 0
    for batch in stream.with_format("numpy").batch(BATCH):
        if labels is not None:
            labels.append(np.asarray(batch["label"]))
        yield len(batch["row"])
        rows += len(batch["row"])
        if rows >= num_rows:
            return


def effective_batch(batches: list[np.ndarray]) -> float:
    """How many rows drawn at random tell as much of 100 labels as such a batch does: from the spread of their shares."""
    whole = [batch for batch in batches if len(batch) == BATCH]
    shares = np.stack([np.bincount(batch, minlength=100) / BATCH for batch in whole])
    spread = ((shares - 0.01) ** 2).sum(axis=1).mean()
    return float((1 - 100 * 0.01**2) / spread)


def random_rows(folder: Path, num_rows: int) -> Iterator[int]:
    """A few batches of rows from anywhere, looked up in the files."""
    source = fw.read_parquet(folder)
    places = np.random.default_rng(1).integers(0, num_rows, (8, BATCH))
    for rows in places:
        yield len(source[rows.tolist()])


def written_and_read(folder: Path, num_bytes: int) -> float:
    """What the disk's cache alone takes for as many bytes: written once to a new file, and read back."""
    piece = memoryview(np.random.default_rng(0).bytes(2**22))
    back = bytearray(len(piece))
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        began = time.perf_counter()
        for _ in range(num_bytes // len(piece)):
            file.write(piece)
        wrote = time.perf_counter() - began
        file.seek(0)
        while file.readinto(back):
            pass
        took = time.perf_counter() - began
    print(f"{'the same bytes, written and read back':44s} {took:7.2f} s, {wrote:.2f} s of it written", flush=True)
    return took


def seconds_of(name: str, make: Callable[[], Iterator[int]], num_rows: int, unit_s: float | None = None) -> float:
    gc.collect()
    with peak_anonymous_mb() as peak:
        began, first, rows = time.perf_counter(), 0.0, 0
        cpu = time.process_time()
        for count in make():
            first = first or time.perf_counter() - began
            rows += count
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    if rows != num_rows:
        raise AssertionError(f"{name}: {rows} rows instead of {num_rows}")
    ratio = "" if unit_s is None else f"{took / unit_s:6.2f}"
    print(
        f"{name:44s} {took:7.2f} s {ratio:>6s}  {num_rows / took / 1e6:6.2f} M rows/s  first {first:5.2f} s  cpu {cpu:6.2f} s  +{peak():5.0f} MB",
        flush=True,
    )
    return took


def grow(sizes: list[float], budget_mb: int) -> None:
    """Print how time grows with the data: linearly, as long as data and scratch lie in the system's cache."""
    rows = []
    for gb in sizes:
        num_rows = int(gb * 1e9 / ROW_BYTES)
        with tempfile.TemporaryDirectory() as name, fw.scratch_folder(name), fw.memory_budget(f"{budget_mb}MB"):
            folder = Path(name, "data")
            folder.mkdir()
            write(folder, num_rows)
            print(f"{gb} GB", flush=True)
            plain = seconds_of("unshuffled", ours(fw.read_parquet(folder).batch(BATCH)), num_rows)
            shuffled = fw.read_parquet(folder).shuffle(seed=0).batch(BATCH)
            first, second = (seconds_of(f"epoch {n}", ours(shuffled), num_rows, plain) for n in range(2))
            del shuffled
            disk = written_and_read(Path(name), int(num_rows * (ROW_BYTES + 12)))
            rows.append((gb, plain, first, second, disk))
    print(
        "   GB   seconds per GB: unshuffled  epoch 0  epoch 1  the bytes written and read   epoch 0 / (unshuffled + disk)"
    )
    for gb, plain, first, second, disk in rows:
        print(
            f"{gb:5g} {plain / gb:27.2f} {first / gb:8.2f} {second / gb:8.2f} {disk / gb:27.2f} {first / (plain + disk):32.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=0.5, help="decoded size")
    parser.add_argument("--budget", type=int, default=0, help="MB; an eighth of the data if not given")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--grow", type=float, nargs="+", metavar="GB", help="print a table of time by size instead")
    options = parser.parse_args()
    if options.grow:
        grow(options.grow, options.budget or 512)
        return
    num_rows = int(options.gb * 1e9 / ROW_BYTES)
    budget_mb = options.budget or max(128, int(options.gb * 1000 / 8))
    with tempfile.TemporaryDirectory() as name, fw.scratch_folder(name):
        folder = Path(name, "data")
        folder.mkdir()
        write(folder, num_rows)
        print(f"{num_rows:,} rows, {options.gb} GB decoded, budget {budget_mb} MB; ratio: to our unshuffled pass")
        with fw.memory_budget(f"{budget_mb}MB"):
            plain = fw.read_parquet(folder).batch(BATCH)
            seconds_of("to warm up", ours(plain), num_rows)
            unit = seconds_of("unshuffled", ours(plain), num_rows)
            seconds_of("PyArrow's scanner", lambda: scanner(folder), num_rows, unit)
            shuffled = fw.read_parquet(folder).shuffle(seed=0).batch(BATCH)
            for epoch in range(options.epochs):
                seconds_of(f"exact shuffle, epoch {epoch}", ours(shuffled), num_rows, unit)
            seconds_of("unshuffled again", ours(plain), num_rows, unit)
            seconds_of("8,192 random rows, looked up", lambda: random_rows(folder, num_rows), 8 * BATCH)
            audit = shuffled.audit(by="label")
            print(
                f"effective batch of {BATCH} rows, files sorted by label: {audit.effective_batch:.0f}; {audit.is_uniform=}"
            )
            del shuffled
        written_and_read(Path(name), int(num_rows * (ROW_BYTES + 12)))
        try:
            seconds_of("DuckDB, ORDER BY random()", lambda: duckdb_shuffled(folder, budget_mb), num_rows, unit)
            seconds_of("polars in memory", lambda: polars_shuffled(folder), num_rows, unit)
            few: list[np.ndarray] = []
            some = min(num_rows, 200 * BATCH)
            seconds_of("Hugging Face, its first rows", lambda: hugging_face(folder, some), some)
            seconds_of("Hugging Face, buffer of 10,000 rows", lambda: hugging_face(folder, some, 10_000, few), some)
            print(f"effective batch of that: {effective_batch(few):.0f}")
        except ImportError as error:
            print(f"{error.name} is not installed")
        except Exception as error:  # noqa: BLE001 (its own, of memory)
            print(f"DuckDB: {str(error).splitlines()[0]}")


if __name__ == "__main__":
    main()
