"""The short version of the benchmark: the report is whole. No time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "shuffle_on_disk.py"


def report_of(*options):
    return subprocess.run([sys.executable, SCRIPT, *options], check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_every_way_is_measured():
    report = report_of("--gb", "0.01", "--epochs", "2")
    for name in [
        "unshuffled",
        "PyArrow's scanner",
        "exact shuffle, epoch 1",
        "8,192 random rows",
        "the same bytes",
        "DuckDB",
        "polars in memory",
        "Hugging Face, buffer of 10,000 rows",
        "effective batch of that",
    ]:
        assert f"\n{name}" in report
    assert "audit.is_uniform=True" in report


@pytest.mark.slow
def test_time_by_size_is_a_table():
    report = report_of("--grow", "0.01", "0.02", "--budget", "128")
    lines = report.splitlines()
    heading = next(number for number, line in enumerate(lines) if line.startswith("   GB   seconds per GB"))
    assert [len(line.split()) for line in lines[heading + 1 :]] == [6, 6]
