"""The connection through which a running trial writes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256
from time import time_ns

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from fireworks.experiment.stores.connection import in_lists
from fireworks.experiment.stores.records import TrialEnd, TrialStart
from fireworks.experiment.stores.schema import artifact, content, metric, metric_summary, trial


class TrialWriter:
    """Writes what one trial does, each call one transaction that outlives a kill of the process.

    One thread at a time may use it, in the process that made it.
    """

    def __init__(self, engine: sa.Engine, start: TrialStart, claim: Callable[[int], bool]) -> None:
        self._connection = engine.connect()
        try:
            with self._connection.begin():
                self.number = _add_trial(self._connection, start, claim)
        except BaseException:
            self._connection.close()
            raise

    def log(self, values: Mapping[str, float], step: int | None) -> None:
        """Add one point to each metric, all or none; without a step, at the step after the metric's last."""
        now = time_ns() // 1000
        with self._connection.begin():
            for name, value in values.items():
                known = None if math.isnan(value) else value
                summary, position, at = self._connection.execute(
                    _COUNT_POINT, {"of": self.number, "as": name, "at": step, "is": known}
                ).one()
                self._connection.execute(
                    _ADD_POINT, {"summary": summary, "position": position, "step": at, "value": known, "logged_us": now}
                )

    def set_result(self, result: str) -> None:
        """Keep the result; a later one takes its place."""
        with self._connection.begin():
            self._connection.execute(sa.update(trial).where(trial.c.number == self.number).values(result=result))

    def end(self, end: TrialEnd) -> None:
        """Write how the trial ended and close the connection."""
        failure = end.failure
        with self._connection, self._connection.begin():
            if end.artifacts:
                self._connection.execute(
                    sa.insert(artifact), [{"trial": self.number, **asdict(one)} for one in end.artifacts]
                )
            self._connection.execute(
                sa.update(trial)
                .where(trial.c.number == self.number)
                .values(
                    status=end.status,
                    finished_us=end.finished_us,
                    duration_s=end.duration_s,
                    failure_type=failure and failure.type,
                    failure_text=failure and failure.text,
                    failure_traceback=failure and failure.traceback,
                )
            )


def _add_trial(connection: sa.Connection, start: TrialStart, claim: Callable[[int], bool]) -> int:
    """Add the trial under the first number that can be claimed; the write lock is held throughout."""
    number = (connection.execute(sa.select(sa.func.max(trial.c.number))).scalar() or 0) + 1
    while not claim(number):
        number += 1
    process = start.process
    environment, git = _json(asdict(start.environment)), _json(asdict(start.git))
    code = _json({path: _digest(text) for path, text in start.code.files.items()})
    _add_contents(connection, [environment, git, code, *start.code.files.values()])
    connection.execute(
        sa.insert(trial).values(
            number=number,
            parameters=start.parameters,
            seed=str(start.seed),
            status="RUNNING",
            started_us=start.started_us,
            host=process.host,
            boot=process.boot,
            namespace=process.namespace,
            pid=process.pid,
            process_started=process.started,
            environment=_digest(environment),
            git=_digest(git),
            code=_digest(code),
        )
    )
    return number


def _add_contents(connection: sa.Connection, texts: Iterable[str]) -> None:
    by_digest = {_digest(text): text for text in texts}
    for digests in in_lists(list(by_digest)):
        known = connection.execute(sa.select(content.c.sha256).where(content.c.sha256.in_(digests))).scalars()
        for digest in known.all():
            del by_digest[digest]
    if by_digest:
        connection.execute(sa.insert(content), [{"sha256": key, "text": text} for key, text in by_digest.items()])


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _json(facts: object) -> str:
    return json.dumps(facts, sort_keys=True)


def _count_point() -> sa.Executable:
    """Return the statement that moves a metric's summary on by one point, and tells where the point goes."""
    step = sa.bindparam("at", type_=sa.BigInteger)
    add = insert(metric_summary).values(
        trial=sa.bindparam("of"),
        name=sa.bindparam("as"),
        count=1,
        last_step=sa.func.coalesce(step, 0),
        last_value=sa.bindparam("is"),
    )
    return add.on_conflict_do_update(
        index_elements=["trial", "name"],
        set_={
            "count": metric_summary.c.count + 1,
            "last_step": sa.func.coalesce(step, metric_summary.c.last_step + 1),
            "last_value": add.excluded.last_value,
        },
    ).returning(metric_summary.c.id, metric_summary.c.count, metric_summary.c.last_step)


_COUNT_POINT = _count_point()
_ADD_POINT = sa.insert(metric)
