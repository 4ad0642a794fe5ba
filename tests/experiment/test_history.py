from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from fireworks.experiment.encoding import encode
from fireworks.experiment.history import FIXED_COLUMNS, history_frame, metric_frame
from fireworks.experiment.liveness import ProcessIdentity
from fireworks.experiment.stores.records import LastValue, TrialRecord

HERE = ProcessIdentity.current()
GONE = ProcessIdentity(HERE.host, HERE.boot, HERE.namespace, pid=2**22 + 1, started="1")


def record(number, parameters=None, **facts):
    return TrialRecord(
        **{
            "number": number,
            "parameters": encode(parameters or {}, where="parameters"),
            "seed": number,
            "status": "COMPLETED",
            "result": None,
            "started_us": 1_700_000_000_000_000,
            "finished_us": 1_700_000_001_500_000,
            "duration_s": 1.5,
            "failure": None,
            "process": HERE,
            **facts,
        }
    )


def test_an_empty_history_has_the_fixed_columns_with_their_types():
    empty, full = history_frame([], []), history_frame([record(1)], [])
    assert list(empty.columns) == list(FIXED_COLUMNS)
    assert len(empty) == 0
    assert empty.index.name == "Trial ID"
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_columns_are_parameters_then_metrics_then_the_fixed_ones():
    frame = history_frame(
        [record(1, {"z": 1, "a": 2}), record(2, {"b": 3, "a": 4})],
        [LastValue(1, "loss", 0.5), LastValue(2, "accuracy", 0.9), LastValue(2, "loss", 0.25)],
    )
    assert list(frame.columns) == ["z", "a", "b", "loss", "accuracy", *FIXED_COLUMNS]
    assert list(frame.index) == [1, 2]
    assert frame["a"].tolist() == [2, 4]
    assert frame["loss"].tolist() == [0.5, 0.25]
    assert frame["accuracy"].isna().tolist() == [True, False]


def test_a_parameter_that_clashes_with_a_fixed_column_is_prefixed():
    frame = history_frame([record(1, {"Seed": "mine", "parameter:Seed": 1})], [])
    assert list(frame.columns)[:2] == ["parameter:Seed", "parameter:parameter:Seed"]
    assert frame.loc[1, "parameter:Seed"] == "mine"
    assert frame.loc[1, "parameter:parameter:Seed"] == 1


def test_a_metric_that_clashes_with_an_earlier_column_is_prefixed():
    frame = history_frame([record(1, {"loss": "hinge"})], [LastValue(1, "loss", 0.5), LastValue(1, "Result", 2.0)])
    assert list(frame.columns)[:3] == ["loss", "metric:loss", "metric:Result"]
    assert frame.loc[1, "loss"] == "hinge"
    assert frame.loc[1, "metric:loss"] == 0.5


def test_seeds_are_kept_to_the_last_bit():
    frame = history_frame([record(1, seed=2**64 - 1), record(2, seed=2**63 + 1), record(3, seed=0)], [])
    assert [int(seed) for seed in frame["Seed"]] == [2**64 - 1, 2**63 + 1, 0]


def test_times_are_utc_and_the_duration_is_in_seconds():
    frame = history_frame([record(1), record(2, status="RUNNING", finished_us=None, duration_s=None)], [])
    assert frame.loc[1, "Started"] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert frame.loc[1, "Finished"] - frame.loc[1, "Started"] == pd.Timedelta("1.5s")
    assert frame["Process Time"].dtype == np.float64
    assert frame.loc[2, ["Finished", "Process Time"]].isna().all()


def test_a_running_trial_whose_process_has_gone_is_lost():
    frame = history_frame(
        [
            record(1, status="RUNNING", process=GONE),
            record(2, status="RUNNING"),
            record(3, process=GONE),
            record(4, status="FAILED", failure="ZeroDivisionError(division by zero)", process=GONE),
        ],
        [],
    )
    assert frame["Status"].tolist() == ["LOST", "RUNNING", "COMPLETED", "FAILED"]
    assert frame["Description"].isna().tolist() == [True, True, True, False]
    assert frame.loc[4, "Description"] == "ZeroDivisionError(division by zero)"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int64"),
        ([1, None], "float64"),
        ([0.5, None], "float64"),
        ([True, False], "bool"),
        (["a", None], "str"),
        ([2**60 + 1, None], "object"),
        ([2**60 + 1, 0.5], "object"),
        ([2**60 + 1, 1], "int64"),
        ([2**70, 1], "object"),
        ([(1, 2), [3]], "object"),
        ([{"a": 1}, {"b": 2}], "object"),
        ([datetime(2024, 1, 1, tzinfo=None), datetime(2024, 1, 2, tzinfo=UTC)], "object"),  # noqa: DTZ001
    ],
    ids=str,
)
def test_values_keep_what_they_are(values, dtype):
    frame = history_frame([record(number, {"p": value}) for number, value in enumerate(values, 1)], [])
    assert frame["p"].dtype == dtype
    assert [None if value is None else back for back, value in zip(frame["p"], values, strict=True)] == values


def test_results_that_are_numbers_can_be_compared():
    frame = history_frame([record(1, result="0.5"), record(2), record(3, result='{"$float": "nan"}')], [])
    assert frame["Result"].max() == 0.5


def test_metrics_are_joined_by_step_and_the_last_value_counts():
    frame = metric_frame({7: [(3, 0.3), (1, 0.1), (1, 0.2)], 2: [(2, math.inf)], 4: []})
    assert frame.index.name == "Step"
    assert frame.index.tolist() == [1, 2, 3]
    assert frame.columns.tolist() == [7, 2, 4]
    assert frame[7].tolist()[::2] == [0.2, 0.3]
    assert frame[2].tolist()[1] == math.inf
    assert frame.isna().sum().tolist() == [1, 2, 3]
