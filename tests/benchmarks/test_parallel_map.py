"""The short version of the benchmark: every way gives every batch, and the report is whole. No time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "parallel_map.py"


@pytest.mark.slow
def test_every_goal_is_reported():
    command = [sys.executable, SCRIPT, "--batches", "20", "--rounds", "1", "--ms", "0.2"]
    report = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    for name in ["fireworks, 2 processes", "bare Pool.imap, 2 processes", "DataLoader, 2 workers", "with prefetch(2)"]:
        assert f"\n  {name} " in report
    assert report.count("goal ") == 3
