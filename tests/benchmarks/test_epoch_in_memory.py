"""The short version of the benchmark: every way hands out every row, and the report is whole. No time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "epoch_in_memory.py"


@pytest.mark.slow
def test_every_way_is_measured_and_every_goal_reported():
    command = [sys.executable, SCRIPT, "--rows", "5000", "--rounds", "1", "--cut", "0.5"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in ["fireworks", "torch: randperm + one gather per batch", "DataLoader(TensorDataset, shuffle=True)"]:
        assert f"\n{name} " in report
    assert report.count("goal ") == 3


def test_every_way_gives_every_row(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import epoch_in_memory

    for name, begin in epoch_in_memory.make_ways(epoch_in_memory.make_columns(1000), 256).items():
        assert sum(begin()) == 1000, name
