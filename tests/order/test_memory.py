"""A pipeline over more data than its memory budget stays within the budget: real memory, of a process of its own."""

import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MB = 10**6
ROW_BYTES = 132

# Prints "ready" when everything is imported and a pass over a few rows has warmed up what is made once per process.
PASSES = """
import sys, time
import torch
import fireworks as fw
folder, budget, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(2)

def grow(rows):
    return rows.assign(total=rows["v"].sum(dim=1))

few = fw.source(fw.read_parquet(folder).head(5000))
for batch in few.map(grow).shuffle(seed=0).batch(256).tensors("f0", "v"): pass
print("ready", flush=True)
sys.stdin.readline()
with fw.memory_budget(budget):
    pipe = fw.read_parquet(folder).map(grow).shuffle(seed=0).batch(256).tensors("f0", "v")
    for epoch in range(epochs):
        rows = total = 0
        for batch in pipe:
            rows += len(batch)
            total += int(batch["row"].sum())
        print(rows, total, flush=True)
"""


def write(folder, num_rows):
    random = np.random.default_rng(0)
    words = np.array([f"category {n}" for n in range(40)])
    for part, start in enumerate(range(0, num_rows, 2**20)):
        rows = min(2**20, num_rows - start)
        columns = {"row": np.arange(start, start + rows)}
        columns |= {f"f{n}": random.normal(size=rows) for n in range(8)}
        columns |= {f"i{n}": random.integers(0, 100, rows, dtype=np.int32) for n in range(4)}
        columns["v"] = pa.FixedSizeListArray.from_arrays(random.normal(size=4 * rows).astype(np.float32), 4)
        columns["word"] = pa.array(words[random.integers(0, len(words), rows)])
        columns["user"] = pa.array(np.char.mod("user-%06d", random.integers(0, 10**6, rows)))
        pq.write_table(pa.table(columns), folder / f"{part}.parquet", row_group_size=2**16)


def anonymous(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def run(folder, budget, epochs):
    """Return the lines that the passes print, and how far anonymous memory rose over what it was before."""
    command = [sys.executable, "-c", PASSES, str(folder), str(budget), str(epochs)]
    peak = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        base = anonymous(process.pid)

        def sample():
            nonlocal peak
            while process.poll() is None:
                with contextlib.suppress(OSError):  # it ended just now
                    peak = max(peak, anonymous(process.pid))
                time.sleep(0.002)

        sampler = threading.Thread(target=sample)
        sampler.start()
        out, _ = process.communicate("go\n")
        sampler.join()
    assert process.returncode == 0
    return [[int(number) for number in line.split()] for line in out.splitlines()], peak - base


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured as Linux tells it")
class TestMemory:
    @pytest.mark.parametrize(
        ("data", "budget"),
        [
            pytest.param(300 * MB, 100 * MB, marks=pytest.mark.slow, id="300 MB in 100 MB"),
            pytest.param(2000 * MB, 256 * MB, marks=pytest.mark.long, id="2 GB in 256 MB"),
        ],
    )
    def test_a_shuffled_pass_stays_within_its_budget(self, data, budget, tmp_path):
        num_rows = data // ROW_BYTES
        write(tmp_path, num_rows)
        lines, rose = run(tmp_path, budget, epochs=2)
        assert lines == [[num_rows, num_rows * (num_rows - 1) // 2]] * 2
        assert rose <= 1.05 * budget, f"{rose / MB:.0f} MB"
