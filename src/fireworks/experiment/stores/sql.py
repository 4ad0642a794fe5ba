"""The history of one experiment in one SQLite database."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fireworks.errors import TrialError, did_you_mean
from fireworks.experiment.liveness import ProcessIdentity
from fireworks.experiment.stores.connection import in_lists, open_database, reading
from fireworks.experiment.stores.records import LastValue, Point, TrialRecord, TrialStart
from fireworks.experiment.stores.schema import content, metric, metric_summary, trial
from fireworks.experiment.stores.writer import TrialWriter


class SqlTrialStore:
    """Keeps trials; threads and processes may share the database, which may be read while it is written.

    Args:
        path: The database; it is made if there is none.

    Raises:
        DatabaseError: the file is not a database of trials.
        StateError: a later version of fireworks made it.
    """

    def __init__(self, path: Path) -> None:
        self._engine = open_database(path)

    def start_trial(self, start: TrialStart, claim: Callable[[int], bool]) -> TrialWriter:
        """Add a trial that is RUNNING and return its writer.

        Args:
            start: What is known of the trial.
            claim: Called with the next number, alone among all processes; False passes the number over.
        """
        return TrialWriter(self._engine, start, claim)

    def count_trials(self) -> int:
        """Return how many trials there are."""
        with reading(self._engine) as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(trial)).scalar_one()

    def read_trials(self) -> list[TrialRecord]:
        """Return every trial, in the order of their numbers."""
        with reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(sa.select(trial).order_by(trial.c.number))]

    def read_last_values(self) -> list[LastValue]:
        """Return the last value of every metric of every trial, in the order in which they were first logged."""
        summary = metric_summary.c
        query = sa.select(summary.trial, summary.name, summary.last_value).order_by(summary.id)
        with reading(self._engine) as connection:
            return [LastValue(number, name, _value(value)) for number, name, value in connection.execute(query)]

    def read_metric(self, name: str, numbers: Sequence[int]) -> dict[int, list[Point]]:
        """Return the points of one metric, by trial, in the order of logging.

        Raises:
            TrialError: a trial is not there, or none of the trials has such a metric.
        """
        query = (
            sa.select(metric_summary.c.trial, metric.c.step, metric.c.value)
            .join(metric, metric.c.summary == metric_summary.c.id)
            .where(metric_summary.c.name == name)
            .order_by(metric.c.summary, metric.c.position)
        )
        with reading(self._engine) as connection:
            _require_trials(connection, numbers)
            points: dict[int, list[Point]] = {number: [] for number in numbers}
            for some in in_lists(numbers):
                for number, step, value in connection.execute(query.where(metric_summary.c.trial.in_(some))):
                    points[number].append((step, _value(value)))
            if not any(points.values()):
                raise _no_metric(connection, name, numbers)
        return points

    def read_parameters(self, number: int) -> str:
        """Return the parameters of a trial, encoded as they were given. Raises `TrialError`."""
        with reading(self._engine) as connection:
            _require_trials(connection, [number])
            encoded: str = connection.execute(
                sa.select(trial.c.parameters).where(trial.c.number == number)
            ).scalar_one()
            return encoded

    def read_environment(self, number: int) -> dict[str, Any]:
        """Return the environment of a trial, with the git facts under ``git``. Raises `TrialError`."""
        with reading(self._engine) as connection:
            _require_trials(connection, [number])
            environment = _shared_text(connection, number, trial.c.environment)
            return {**environment, "git": _shared_text(connection, number, trial.c.git)}

    def read_code(self, number: int) -> dict[str, str]:
        """Return the source texts of a trial by path. Raises `TrialError`."""
        with reading(self._engine) as connection:
            _require_trials(connection, [number])
            digests = _shared_text(connection, number, trial.c.code)
            query = sa.select(content.c.sha256, content.c.text)
            texts = {
                row.sha256: row.text
                for some in in_lists(digests.values())
                for row in connection.execute(query.where(content.c.sha256.in_(some)))
            }
        return {path: texts[digest] for path, digest in digests.items()}


def _shared_text(connection: sa.Connection, number: int, digest: sa.ColumnElement[str]) -> dict[str, Any]:
    query = sa.select(content.c.text).join(trial, digest == content.c.sha256).where(trial.c.number == number)
    found: dict[str, Any] = json.loads(connection.execute(query).scalar_one())
    return found


def _require_trials(connection: sa.Connection, numbers: Sequence[int]) -> None:
    known = set(connection.execute(sa.select(trial.c.number)).scalars())
    for number in numbers:
        if number not in known:
            have = f"trials are numbered {min(known)} to {max(known)}" if known else "there are no trials yet"
            raise TrialError(f"Unable to find trial {number}; {have}.")


def _no_metric(connection: sa.Connection, name: str, numbers: Sequence[int]) -> TrialError:
    query = sa.select(metric_summary.c.name).distinct()
    found = (connection.execute(query.where(metric_summary.c.trial.in_(some))).scalars() for some in in_lists(numbers))
    known = sorted({one for names in found for one in names})
    asked = ", ".join(map(str, numbers))
    return TrialError(
        f"Unable to find metric {name!r} in trial {asked}; metrics are {known}.{did_you_mean(name, known)}"
    )


def _record(row: sa.Row[Any]) -> TrialRecord:
    return TrialRecord(
        number=row.number,
        parameters=row.parameters,
        seed=int(row.seed),
        status=row.status,
        result=row.result,
        started_us=row.started_us,
        finished_us=row.finished_us,
        duration_s=row.duration_s,
        failure=None if row.failure_type is None else f"{row.failure_type}({row.failure_text})",
        process=ProcessIdentity(row.host, row.boot, row.namespace, row.pid, row.process_started),
    )


def _value(stored: float | None) -> float:
    return math.nan if stored is None else stored
