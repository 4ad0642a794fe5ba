"""What every doctest finds without importing it: ``fw``, ``torch``, ``np`` and ``pd``."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw


@pytest.fixture(autouse=True)
def _names_for_doctests(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(fw=fw, torch=torch, np=np, pd=pd)
