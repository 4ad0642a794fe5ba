"""The short version of the benchmark: the report is whole. No time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "read_parquet.py"


@pytest.mark.long
def test_ours_is_measured_beside_others():
    command = [sys.executable, SCRIPT, "--gb", "0.002", "--rounds", "1", "--cut", "0.2", "--only", "views"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "fireworks" in report
    assert "pyarrow: dataset scanner" in report
