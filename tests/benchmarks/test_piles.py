"""The short version of the benchmark: every row comes back, and the report is whole. No time is asserted."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "piles.py"


def test_both_passes_are_measured():
    report = subprocess.run([sys.executable, SCRIPT, "5000", "4"], check=True, capture_output=True, text=True).stdout
    for name in ["write() of the bytes", "memcpy of the bytes", "pass 1: scatter", "pass 2: read + permute"]:
        assert f"\n{name} " in report
    assert report.startswith("5,000 rows of 16")


def test_every_row_comes_back(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import numpy as np
    import piles

    chunk = piles.table(3000)
    found = piles.scatter(
        [chunk], [(np.arange(3000) % 4).astype(np.uint8)], [np.arange(3000, dtype=np.uint64)], 4, tmp_path
    )
    with found:
        for number in range(4):
            assert found.read(number)[0] == chunk.take(np.arange(number, 3000, 4))
