"""One trial: what it was given, and the verbs by which it is recorded."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextvars import Token
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any, Literal, Self, SupportsFloat, SupportsIndex

import sqlalchemy as sa

from fireworks._internal.current import MetricLog, current_trial
from fireworks.errors import TrialError
from fireworks.experiment.encoding import decode, encode
from fireworks.experiment.metrics import SupportsItem, metric_step, metric_value
from fireworks.experiment.recording import Recording, ending_of
from fireworks.experiment.stores.records import Ending
from fireworks.experiment.stores.sql import SqlTrialStore


class Trial:
    """One execution, recorded from the ``with`` that enters it to the end of the block.

    `Experiment.trial` makes it. Entering it takes the next number, makes its folder and captures code,
    environment and git; it seeds nothing. What trains inside the block finds the trial by itself and logs into
    it. The end of the block is recorded as COMPLETED, as FAILED with the exception, or as INTERRUPTED
    (`KeyboardInterrupt`, `SystemExit`), and the exception goes on its way. A trial runs once.

    What is logged outlives a kill of the process from the moment that the call returns. Threads may share a
    trial; a forked process can't record into its parent's.

    Example:
        >>> import tempfile
        >>> from fireworks.experiment import Experiment
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Experiment("digits", folder).trial({"lr": 0.01}, seed=1) as trial:
        ...         for _ in range(3):
        ...             trial.log_metric("loss", 0.5)
        ...         with trial.open("notes/first.txt", "w") as file:
        ...             print("all well", file=file)
        ...         trial.set_result({"loss": 0.5})
        >>> trial
        Trial(number=1, status='COMPLETED')
    """

    def __init__(self, store: SqlTrialStore, experiment_folder: Path, *, parameters: str, seed: int) -> None:
        self._store = store
        self._experiment_folder = experiment_folder
        self._encoded_parameters = parameters
        self._parameters: Mapping[str, Any] = MappingProxyType(decode(parameters))
        self._seed = seed
        self._status: Literal["NEW", "RUNNING"] | Ending = "NEW"
        self._recording: Recording | None = None
        self._token: Token[MetricLog | None] | None = None
        self._lock = threading.RLock()

    @property
    def parameters(self) -> Mapping[str, Any]:
        """A copy of the parameters, as `Experiment.get_parameters` will give them; it can't be assigned to."""
        return self._parameters

    @property
    def seed(self) -> int:
        """The seed that was given, or drawn where none was."""
        return self._seed

    @property
    def status(self) -> str:
        """NEW until the trial is entered, RUNNING, then COMPLETED, FAILED or INTERRUPTED."""
        return self._status

    @property
    def number(self) -> int:
        """The number of the trial in its experiment, from 1."""
        return self._entered().number

    @property
    def path(self) -> Path:
        """The trial's own folder."""
        return self._entered().files.path

    def log_metric(self, name: str, value: SupportsFloat | SupportsItem, step: SupportsIndex | None = None) -> None:
        """Record one value of one metric.

        Args:
            name: Any text.
            value: A number, or a tensor with one element. NaN and the infinities are kept as they are.
            step: Where on the metric's axis the value belongs. Without it, one after the metric's last step, from 0.

        Raises:
            TypeError: the value is no number, or the step no integer.
            ValueError: the value holds several numbers.
            TrialError: the trial is not running, or runs in another process.
        """
        self.log_metrics({name: value}, step)

    def log_metrics(
        self, values: Mapping[str, SupportsFloat | SupportsItem], step: SupportsIndex | None = None
    ) -> None:
        """Record one value of each of several metrics, all or none; see `log_metric`."""
        numbers = {name: metric_value(name, value) for name, value in values.items()}
        with self._running() as recording:
            recording.writer.log(numbers, metric_step(step))

    def set_result(self, result: object) -> None:
        """Record the outcome, as the history shows it; another call takes its place.

        Args:
            result: Anything that parameters may be; nested as you like.

        Raises:
            TypeError: a part of the result can't be stored as JSON; the message names it.
            TrialError: the trial is not running, or runs in another process.
        """
        with self._running() as recording:
            recording.writer.set_result(encode(result, where="result"))

    def open(
        self,
        filename: str | os.PathLike[str],
        mode: str = "r",
        *,
        encoding: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open a file inside the trial's folder, as the builtin `open` does.

        Subfolders are made for a file that is created. What is still open when the trial ends is closed, and every
        file that was opened for writing is recorded with its size and SHA-256.

        Args:
            filename: Relative to the trial's folder.
            mode: As for the builtin.
            encoding: Of a text file; UTF-8 unless given.
            newline: As for the builtin; the csv module asks for ``""``.

        Raises:
            ValueError: the path leads out of the trial's folder.
            TrialError: the trial is not running, or runs in another process.
        """
        with self._running() as recording:
            return recording.files.open(filename, mode, encoding=encoding, newline=newline)

    def engine(self, name: str) -> sa.Engine:
        """Return an SQLAlchemy engine on the database ``<name>.sqlite`` in the trial's folder.

        The same name gives the same engine. Its connections are closed when the trial ends.

        Raises:
            ValueError: the name can't be the name of a file.
            TrialError: the trial is not running, or runs in another process.
        """
        with self._running() as recording:
            return recording.engine(name)

    def __enter__(self) -> Self:
        with self._lock:
            if self._recording is not None:
                raise TrialError(
                    f"Trial {self.number} has been entered before, and a trial runs once; "
                    "ask Experiment.trial for another."
                )
            self._recording = Recording(
                self._store, self._experiment_folder, parameters=self._encoded_parameters, seed=self._seed
            )
            self._status = "RUNNING"
        self._token = current_trial.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        recording = self._entered()
        if self._token is not None:
            # In another context (the block was entered in another task) the trial is not the current one.
            with contextlib.suppress(ValueError):
                current_trial.reset(self._token)
        if recording.pid != os.getpid():
            return  # a fork leaves the block; the trial goes on in its parent
        with self._lock:
            try:
                self._status = recording.end(error)
            except BaseException as problem:
                self._status = ending_of(problem)
                raise

    def __repr__(self) -> str:
        number = f"number={self.number}, " if self._recording else ""
        return f"Trial({number}status={self._status!r})"

    def _entered(self) -> Recording:
        if self._recording is None:
            raise TrialError(
                "Trial: it has no number and no folder before it is entered; "
                "write `with experiment.trial(...) as trial:`."
            )
        return self._recording

    @contextlib.contextmanager
    def _running(self) -> Iterator[Recording]:
        recording = self._entered()
        if recording.pid != os.getpid():
            raise TrialError(
                f"Trial {recording.number} runs in process {recording.pid} and can't record from "
                f"process {os.getpid()}; return the values to the process that entered it."
            )
        with self._lock:
            if self._status != "RUNNING":
                raise TrialError(
                    f"Trial {recording.number} has ended ({self._status}) and records nothing more; "
                    "ask Experiment.trial for another."
                )
            yield recording
