"""All that exists from the moment a trial is entered until it ends."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

import sqlalchemy as sa

from fireworks.experiment.artifacts import Artifact, ArtifactFolder
from fireworks.experiment.collectors.code import CodeFacts
from fireworks.experiment.collectors.environment import EnvironmentFacts
from fireworks.experiment.collectors.git import GitFacts
from fireworks.experiment.liveness import ProcessIdentity
from fireworks.experiment.names import check_name
from fireworks.experiment.stores.records import Ending, Failure, TrialEnd, TrialStart
from fireworks.experiment.stores.sql import SqlTrialStore


class Recording:
    """The number, folder, open files and engines of a running trial, and its connection to the store."""

    def __init__(self, store: SqlTrialStore, experiment_folder: Path, *, parameters: str, seed: int) -> None:
        self.pid = os.getpid()
        start = TrialStart(
            parameters=parameters,
            seed=seed,
            started_us=_now_us(),
            process=ProcessIdentity.current(),
            environment=EnvironmentFacts.collect(),
            git=GitFacts.collect(Path.cwd()),
            code=CodeFacts.collect(),
        )
        self._start_s = time.perf_counter()
        self.writer = store.start_trial(start, claim=lambda number: _make_folder(_folder(experiment_folder, number)))
        self.number = self.writer.number
        self.files = ArtifactFolder(_folder(experiment_folder, self.number))
        self._engines: dict[str, sa.Engine] = {}

    def engine(self, name: str) -> sa.Engine:
        """Return the engine on the database of this name in the trial's folder, always the same one."""
        if name not in self._engines:
            path = self.files.path / f"{check_name(name, where='Trial.engine')}.sqlite"
            self._engines[name] = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
        return self._engines[name]

    def end(self, error: BaseException | None) -> Ending:
        """Close everything, write how the trial ended, and return that.

        What can't be closed (a full disk, say) makes the trial FAILED and is raised; an interruption by then is
        recorded, and raised too.
        """
        try:
            for engine in self._engines.values():
                engine.dispose()
            artifacts = self.files.close()
        except BaseException as problem:
            self._write_end(problem, ())
            raise
        return self._write_end(error, artifacts)

    def _write_end(self, error: BaseException | None, artifacts: tuple[Artifact, ...]) -> Ending:
        status = ending_of(error)
        self.writer.end(
            TrialEnd(
                status=status,
                finished_us=_now_us(),
                duration_s=time.perf_counter() - self._start_s,
                failure=_failure(error) if isinstance(error, Exception) else None,
                artifacts=artifacts,
            )
        )
        return status


def ending_of(error: BaseException | None) -> Ending:
    """Return how a trial ends that an exception, or none, has left.

    Example:
        >>> ending_of(None), ending_of(ValueError()), ending_of(KeyboardInterrupt())
        ('COMPLETED', 'FAILED', 'INTERRUPTED')
    """
    if error is None:
        return "COMPLETED"
    return "FAILED" if isinstance(error, Exception) else "INTERRUPTED"


def _failure(error: Exception) -> Failure:
    told = traceback.TracebackException.from_exception(error)  # its str() survives a __str__ that raises
    return Failure(type(error).__name__, _as_utf8(str(told)), _as_utf8("".join(told.format())))


def _as_utf8(text: str) -> str:
    """Escape what is no Unicode: half of a surrogate pair, as in the names of some files."""
    return text.encode("utf-8", "backslashreplace").decode()


def _folder(experiment_folder: Path, number: int) -> Path:
    return experiment_folder / f"trial-{number:04d}"


def _make_folder(path: Path) -> bool:
    """Make a folder that was not there; one that a lost database left behind keeps its number for itself."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _now_us() -> int:
    return time.time_ns() // 1000
