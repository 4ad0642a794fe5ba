"""Loading by name, so that a base never imports what is built on it."""

from __future__ import annotations

import importlib
from typing import Any


def load(path: str) -> Any:
    """Return what a dotted path below ``fireworks`` names, importing its module on first use.

    Example:
        >>> load("errors.did_you_mean")("lable", ["label"])
        " Did you mean 'label'?"
    """
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"fireworks.{module}"), name)
