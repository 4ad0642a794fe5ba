"""Rows to piles on disk and back, on one core, beside copying the same bytes in memory and to a file and back.

The table: 20 columns, of which 12 of 8-byte numbers, 4 of float32, one of four float32, one of texts of few values, one of
random texts, and one of small integers. Run: ``python benchmarks/piles.py [rows] [piles]``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

import fireworks as fw
from fireworks.core.buffers import Buffers
from fireworks.message.columns import Positions
from fireworks.spill.piles import Piles, PileWriter

CHUNK = 131_072
ROUNDS = 3


def table(rows: int, seed: int = 0) -> fw.Message:
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {f"f{i}": torch.from_numpy(rng.random(rows)) for i in range(6)}
    columns |= {f"i{i}": rng.integers(0, 10**9, rows) for i in range(6)}
    columns |= {f"s{i}": torch.from_numpy(rng.random(rows, dtype=np.float32)) for i in range(4)}
    columns["v"] = torch.from_numpy(rng.random((rows, 4), dtype=np.float32))
    columns["few"] = pd.array(
        np.array([f"kind {i}" for i in range(50)], dtype=object)[rng.integers(0, 50, rows)], dtype="str"
    )
    lengths = rng.integers(8, 21, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    letters = rng.integers(97, 123, int(offsets[-1]), dtype=np.uint8)
    texts = pa.Array.from_buffers(pa.large_string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(letters)])
    columns["many"] = pd.array(texts, dtype="str")
    columns["small"] = rng.integers(0, 100, rows).astype(np.int8)
    return fw.Message(columns)


def scatter(
    chunks: list[fw.Message], ids: list[np.ndarray], keys: list[np.ndarray], num_piles: int, folder: Path
) -> Piles:
    writer = PileWriter(chunks[0], num_piles, folder, extras={"key": np.dtype(np.uint64)}, write_bytes=16 * 2**20)
    for chunk, pile, key in zip(chunks, ids, keys, strict=True):
        writer.write(chunk, pile, {"key": key})
    return writer.finish()


def read_all(piles: Piles, *, sort: bool) -> None:
    buffers = Buffers()

    def order(extras: dict[str, np.ndarray]) -> Positions:
        return np.argsort(extras["key"]) if sort else orders[len(extras["key"])]

    orders = {int(count): np.random.default_rng(0).permutation(int(count)) for count in piles.counts}
    start = time.perf_counter()
    for number in range(len(piles.counts)):
        piles.read(number, order, buffers)
    read_all.seconds = time.perf_counter() - start  # type: ignore[attr-defined]


def took(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(rows: int, num_piles: int) -> None:
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    chunks = [table(min(CHUNK, rows - start), start) for start in range(0, rows, CHUNK)]
    rng = np.random.default_rng(1)
    keys = [rng.integers(0, 2**64, len(chunk), dtype=np.uint64) for chunk in chunks]
    ids = [
        (key // np.uint64(-(-(2**64) // num_piles))).astype(np.uint16 if num_piles > 256 else np.uint8) for key in keys
    ]
    row_bytes = sum(chunk.num_bytes for chunk in chunks) / rows
    block = np.ones(16 * 2**20, dtype=np.uint8)
    target = np.empty_like(block)
    best: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        best[name] = min(best.get(name, float("inf")), seconds)

    blocks = int(rows * row_bytes / len(block)) + 1
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "bytes")
            with path.open("wb", buffering=0) as file:
                note("write() of the bytes", took(lambda: [file.write(block) for _ in range(blocks)]))
            with path.open("rb", buffering=0) as file:
                note("read() of the bytes", took(lambda: [file.readinto(target) for _ in range(blocks)]))
            path.unlink()
            note("memcpy of the bytes", took(lambda: [np.copyto(target, block) for _ in range(blocks)]))
            start = time.perf_counter()
            piles = scatter(chunks, ids, keys, num_piles, Path(folder))
            note("pass 1: scatter", time.perf_counter() - start)
            read_all(piles, sort=False)
            note("pass 2: read + permute", read_all.seconds)  # type: ignore[attr-defined]
            read_all(piles, sort=True)
            note("pass 2 with the sort of the keys", read_all.seconds)  # type: ignore[attr-defined]
            stored = piles.num_bytes / rows
            piles.close()
    print(f"{rows:,} rows of {row_bytes:.0f} bytes ({stored:.0f} on disk), {num_piles} piles, one core")
    for name, seconds in best.items():
        print(f"{name:34} {rows / seconds / 1e6:7.2f} Mrow/s  {rows * row_bytes / seconds / 1e9:6.2f} GB/s")


if __name__ == "__main__":
    main(*(int(text) for text in [*sys.argv[1:], *["2000000", "64"][len(sys.argv) - 1 :]]))
