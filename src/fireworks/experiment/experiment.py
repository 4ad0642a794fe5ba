"""An experiment: a named history of trials in a folder."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, SupportsIndex

import pandas as pd

from fireworks.experiment.encoding import decode, encode
from fireworks.experiment.history import history_frame, metric_frame
from fireworks.experiment.names import check_name
from fireworks.experiment.stores.sql import SqlTrialStore
from fireworks.experiment.trial import Trial


class Experiment:
    """Keep a history of trials, each with its parameters, seed, code, environment, metrics and files.

    Everything is under ``<folder>/<name>``: the database ``experiment.sqlite`` and a folder for each trial. The
    same name opens the same history again; threads and processes may do so at once, and run trials at once.
    An experiment may be pickled: its name and folder travel, not its history. SQLite's write-ahead log needs
    all of them on one machine.

    Args:
        name: ASCII letters, digits, '-', '_' and '.', not starting with '.'.
        folder: Where experiments are kept. Made if it is not there.

    Raises:
        ValueError: the name can't be the name of a folder.
        DatabaseError: ``experiment.sqlite`` is something else.
        StateError: a later version of fireworks made the database.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     experiment = Experiment("digits", folder)
        ...     for lr in (0.1, 0.01):
        ...         with experiment.trial({"lr": lr}, seed=0) as trial:
        ...             trial.log_metric("loss", 2 * lr)
        ...     history = experiment.get_history()
        >>> history[["lr", "loss", "Seed", "Status"]]
                    lr  loss  Seed     Status
        Trial ID
        1         0.10  0.20     0  COMPLETED
        2         0.01  0.02     0  COMPLETED
    """

    def __init__(self, name: str, folder: str | Path = "runs") -> None:
        self._name = check_name(name, where="Experiment")
        self._folder = Path(folder).absolute()
        self.path.mkdir(parents=True, exist_ok=True)
        self._store = SqlTrialStore(self.path / "experiment.sqlite")

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return self._name

    @property
    def path(self) -> Path:
        """The experiment's own folder."""
        return self._folder / self._name

    def trial(self, parameters: Mapping[str, Any] | None = None, *, seed: int | None = None) -> Trial:
        """Return a new trial, to be entered by ``with``; until then it has no number and leaves no trace.

        Args:
            parameters: What this trial is tried with, by name. Values are None, bool, int, float, str, Path,
                datetime, NumPy numbers, and lists, tuples and dicts of these.
            seed: From 0 to 2**64 - 1. It is recorded, and drawn if it is None; to use it is left to the caller.

        Raises:
            TypeError: a name is not a str, or a value can't be stored as JSON; the message says where.
            ValueError: the seed is something else.
        """
        given = dict(parameters or {})
        for name in given:
            if not isinstance(name, str):
                raise TypeError(f"Experiment.trial: the name of a parameter must be a str; got {name!r}.")
        return Trial(self._store, self.path, parameters=encode(given, where="parameters"), seed=_check_seed(seed))

    def get_history(self) -> pd.DataFrame:
        """Return one row per trial, by number: its parameters, the last value of each metric, then the fixed columns.

        These are Seed, Result, Status, Started and Finished (UTC), Process Time (seconds of wall clock) and
        Description (of a failure). A parameter that is called like one of them is shown as ``parameter:<name>``, a
        metric that is called like any earlier column as ``metric:<name>``. A trial whose process has gone without
        ending it has the status LOST.
        """
        return history_frame(self._store.read_trials(), self._store.read_last_values())

    def load_metric(self, name: str, trial_id: SupportsIndex | Iterable[SupportsIndex]) -> pd.DataFrame:
        """Return the values of a metric, one row per step and one column per trial.

        A step that a trial did not log is NaN; of several values logged at one step, the last is given.

        Args:
            name: The name of the metric.
            trial_id: The number of a trial, or several.

        Raises:
            TrialError: there is no such trial, or none of the trials has such a metric.
            TypeError: ``trial_id`` is no integer.
            ValueError: ``trial_id`` is an empty list.
        """
        asked = trial_id if isinstance(trial_id, Iterable) else [trial_id]
        numbers = dict.fromkeys(_trial_number(one) for one in asked)  # once each, in the order given
        if not numbers:
            raise ValueError(f"Experiment.load_metric: name at least one trial; got {trial_id!r:.60}.")
        return metric_frame(self._store.read_metric(name, list(numbers)))

    def get_parameters(self, trial_id: SupportsIndex) -> dict[str, Any]:
        """Return the parameters of a trial, with the types that they were given with; `TrialError` if it is unknown."""
        parameters: dict[str, Any] = decode(self._store.read_parameters(_trial_number(trial_id)))
        return parameters

    def get_environment(self, trial_id: SupportsIndex) -> dict[str, Any]:
        """Return what was captured when a trial was entered; `TrialError` if it is unknown.

        The keys are ``python``, ``implementation``, ``platform``, ``cpu_count``, ``hostname``, ``packages`` (versions
        by name), ``torch`` (None unless it was imported by then) and ``git`` (commit, branch, dirty).
        """
        return self._store.read_environment(_trial_number(trial_id))

    def get_code(self, trial_id: SupportsIndex) -> dict[str, str]:
        """Return the source text of the user's files that were imported when a trial was entered, by path.

        Paths are relative to the folder that was current, or absolute for files elsewhere. `TrialError` if the trial
        is unknown.
        """
        return self._store.read_code(_trial_number(trial_id))

    def __len__(self) -> int:
        return self._store.count_trials()

    def __bool__(self) -> bool:
        return True  # an experiment without trials is still an experiment

    def __repr__(self) -> str:
        return f"Experiment({self._name!r}, folder={str(self._folder)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Experiment, (self._name, self._folder)


def _trial_number(trial_id: object) -> int:
    if isinstance(trial_id, bool) or not hasattr(trial_id, "__index__"):
        raise TypeError(f"Experiment: trial_id must be an int, the number of a trial; got {trial_id!r}.")
    return operator.index(trial_id)


def _check_seed(seed: object) -> int:
    if seed is None:
        return secrets.randbits(64)
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= operator.index(seed) < 2**64:
        raise ValueError(f"Experiment.trial: seed must be an int from 0 to 2**64 - 1, or None; got {seed!r}.")
    return operator.index(seed)
