"""The short version of the benchmark: the ways agree, nothing is copied, and the report is whole. No time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "message_costs.py"


@pytest.fixture
def benchmark_script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import message_costs

    return message_costs


@pytest.mark.slow
def test_every_subject_is_measured_and_every_goal_reported():
    command = [sys.executable, SCRIPT, "--rows", "2000", "--rounds", "1"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert report.count("fireworks ") == 8
    assert report.count("  goal") == 10


def test_all_ways_give_the_same_group_means(benchmark_script):
    ways = benchmark_script.group_means(5000)
    ours, torchs, frame = (way() for way in ways.values())
    torch.testing.assert_close(ours["x"], torchs)
    torch.testing.assert_close(ours["x"], torch.from_numpy(frame.to_numpy(copy=True)))


@pytest.mark.parametrize("subject", ["build", "row_slice", "gather", "concat"])
def test_all_ways_give_the_same_columns(benchmark_script, subject):
    ours, *others = (way() for way in getattr(benchmark_script, subject)(1000).values())
    for other in others:
        for name in ours.columns:
            assert torch.equal(ours[name], other[name]), name
