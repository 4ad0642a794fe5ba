"""Trials and metrics as data frames."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fireworks.experiment.encoding import decode
from fireworks.experiment.stores.records import LastValue, Point, TrialRecord

FIXED_COLUMNS = ("Seed", "Result", "Status", "Started", "Finished", "Process Time", "Description")


def history_frame(trials: Sequence[TrialRecord], last_values: Sequence[LastValue]) -> pd.DataFrame:
    """Return one row per trial: parameters, last values of metrics, then the fixed columns."""
    parameters = [decode(trial.parameters) for trial in trials]
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for given in parameters for name in given):
        label = _free_label(name, prefix="parameter:", taken={*FIXED_COLUMNS, *columns})
        columns[label] = _column([given.get(name) for given in parameters])
    last_by_metric: dict[str, dict[int, float]] = {}
    for last in last_values:
        last_by_metric.setdefault(last.metric, {})[last.number] = last.value
    for name, values in last_by_metric.items():
        label = _free_label(name, prefix="metric:", taken={*FIXED_COLUMNS, *columns})
        columns[label] = pd.Series([values.get(trial.number, np.nan) for trial in trials], dtype="float64")
    frame = pd.DataFrame({**columns, **_fixed_columns(trials)})
    frame.index = pd.Index([trial.number for trial in trials], dtype="int64", name="Trial ID")
    return frame


def metric_frame(points: Mapping[int, Sequence[Point]]) -> pd.DataFrame:
    """Return one row per step and one column per trial; of several values at one step, the last."""
    series = {number: pd.Series(dict(of_trial), dtype="float64") for number, of_trial in points.items()}
    frame = pd.DataFrame(series).sort_index()
    frame.index = frame.index.astype("int64").rename("Step")
    return frame.rename_axis(columns="Trial ID")


def _fixed_columns(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    gone = {
        process for process in {trial.process for trial in trials if trial.status == "RUNNING"} if process.is_gone()
    }
    return {
        "Seed": pd.Series([trial.seed for trial in trials], dtype="uint64"),
        "Result": _column([None if trial.result is None else decode(trial.result) for trial in trials]),
        "Status": pd.Series([_status(trial, gone) for trial in trials], dtype="str"),
        "Started": _times([trial.started_us for trial in trials]),
        "Finished": _times([trial.finished_us for trial in trials]),
        "Process Time": pd.Series([trial.duration_s for trial in trials], dtype="float64"),
        "Description": pd.Series([trial.failure for trial in trials], dtype="str"),
    }


def _status(trial: TrialRecord, gone: Container[Any]) -> str:
    return "LOST" if trial.status == "RUNNING" and trial.process in gone else trial.status


def _column(values: list[Any]) -> pd.Series[Any]:
    """Let pandas choose the type, unless that would turn an integer into a float that is another number."""
    integers = [value for value in values if type(value) is int]
    if len(integers) < len(values) and any(abs(value) > 2**53 for value in integers):
        return pd.Series(values, dtype="object")
    return pd.Series(values)


def _times(microseconds: Sequence[int | None]) -> pd.Series[Any]:
    times = np.array(["NaT" if value is None else value for value in microseconds], dtype="datetime64[us]")
    return pd.Series(times).dt.tz_localize("UTC")


def _free_label(name: str, *, prefix: str, taken: Container[str]) -> str:
    while name in taken:
        name = prefix + name
    return name
