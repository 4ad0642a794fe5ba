"""What every doctest finds without importing it: ``fw``, ``torch``, ``np`` and ``pd``."""

import os
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw


@pytest.fixture(autouse=True)
def _names_for_doctests(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(fw=fw, torch=torch, np=np, pd=pd)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let long tests be asked for."""
    parser.addoption("--long", action="store_true", help="run what takes minutes too; `make test-long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long tests out where nobody asks for them."""
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: make test-long"))


if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests side by side share the cores; torch's threads would only wait for each other.
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
