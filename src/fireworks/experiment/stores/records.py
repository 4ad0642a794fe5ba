"""What a store is given and what it gives back. Parameters and results travel as the text of `encoding`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fireworks.experiment.artifacts import Artifact
from fireworks.experiment.collectors.code import CodeFacts
from fireworks.experiment.collectors.environment import EnvironmentFacts
from fireworks.experiment.collectors.git import GitFacts
from fireworks.experiment.liveness import ProcessIdentity

Ending = Literal["COMPLETED", "FAILED", "INTERRUPTED"]
Point = tuple[int, float]  # step and value


@dataclass(frozen=True)
class TrialStart:
    """All that is known of a trial before its first line runs. Times are microseconds since 1970, UTC."""

    parameters: str
    seed: int
    started_us: int
    process: ProcessIdentity
    environment: EnvironmentFacts
    git: GitFacts
    code: CodeFacts


@dataclass(frozen=True)
class Failure:
    """The exception that ended a trial."""

    type: str
    text: str
    traceback: str


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended."""

    status: Ending
    finished_us: int
    duration_s: float
    failure: Failure | None
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True)
class TrialRecord:
    """One trial as a list of trials shows it. A trial whose process was killed is still RUNNING here."""

    number: int
    parameters: str
    seed: int
    status: str
    result: str | None
    started_us: int
    finished_us: int | None
    duration_s: float | None
    failure: str | None  # ZeroDivisionError(division by zero)
    process: ProcessIdentity


@dataclass(frozen=True)
class LastValue:
    """The value of one metric that one trial logged last."""

    number: int
    metric: str
    value: float
