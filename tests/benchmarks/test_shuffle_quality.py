"""The short version of the benchmark: every way to shuffle is measured, hands out every row, and ours alone is uniform."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "shuffle_quality.py"


def test_every_way_is_an_order_of_all_rows(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import shuffle_quality

    for name, make in shuffle_quality.ways(3000).items():
        order = make(3000, 30, np.random.default_rng(0))
        assert sorted(order.tolist()) == list(range(3000)), name


@pytest.mark.slow
def test_the_report_has_a_line_for_each():
    command = [sys.executable, SCRIPT, "--rows", "20000", "--batch", "50"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line for line in report.splitlines() if line.endswith(("  yes", "  no"))]
    assert len(lines) == 12
    # Blocks of one row are shuffled rows; all else that others do is found out.
    assert [line.split("  ")[0] for line in lines if line.endswith("yes")] == [
        "fireworks: exact shuffle",
        "blocks of 1 rows, 5 % at a time",
    ]
