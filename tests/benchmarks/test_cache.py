"""The short version of the benchmark: the report is whole. No time is asserted; rates are, in tests/cache."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "cache.py"


@pytest.mark.slow
def test_every_bound_is_reported():
    command = [sys.executable, SCRIPT, "--rows", "2000", "--batch", "50", "--rounds", "5"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert report.count("(i) one pass") == 15
    assert report.count("(iii) weights") == 3
    assert report.count("look-up") == 2
