"""The short version of the benchmark: both ways give the same rows, and the report is whole. No time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "pipeline_overhead.py"


@pytest.mark.slow
def test_every_goal_is_reported():
    command = [sys.executable, SCRIPT, "--rows", "2000", "--rounds", "1"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "by hand in torch" in report
    assert report.count("goal at most") == 2


def test_both_ways_do_the_same_work(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import pipeline_overhead

    columns = pipeline_overhead.make_columns(1000)
    ours = {name: torch.cat([batch[name] for batch in pipeline_overhead.make_pipe(columns, 256)]) for name in columns}
    hand = list(pipeline_overhead.by_hand(columns, 256))
    theirs = {name: torch.cat([batch[name] for batch in hand]) for name in columns}
    ours_sorted, theirs_sorted = ours["label"].argsort(), theirs["label"].argsort()
    for name in columns:
        assert torch.equal(ours[name][ours_sorted], theirs[name][theirs_sorted])
