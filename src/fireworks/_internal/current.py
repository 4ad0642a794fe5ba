"""The trial that is running, so that training can log into it without importing experiments."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol


class MetricLog(Protocol):
    """What a running trial offers to the code inside it."""

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Record one value of one metric."""

    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record one value of each of several metrics, all or none."""


current_trial: ContextVar[MetricLog | None] = ContextVar("fireworks_current_trial", default=None)
