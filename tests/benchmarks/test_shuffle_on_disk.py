"""The short version of the benchmark: the report is whole. No time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "shuffle_on_disk.py"


@pytest.mark.slow
def test_every_way_is_measured():
    command = [sys.executable, SCRIPT, "--gb", "0.01", "--epochs", "2"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in [
        "unshuffled",
        "PyArrow's scanner",
        "exact shuffle, epoch 1",
        "8,192 random rows",
        "the same bytes",
        "DuckDB",
    ]:
        assert f"\n{name}" in report
    assert "audit.is_uniform=True" in report
