from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fireworks.experiment import Experiment


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return Experiment("digits", tmp_path)


@pytest.fixture
def start_python(tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Start another Python that runs a text, with the test's folder as its current one."""

    def start(script: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start
