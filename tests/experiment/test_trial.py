from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import signal
import threading

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import torch

from fireworks._internal.current import current_trial
from fireworks.errors import TrialError
from fireworks.experiment import Experiment


def values(experiment, name, number=1):
    column = experiment.load_metric(name, number)[number]
    return list(zip(column.index, column, strict=True))


def test_a_trial_knows_what_it_was_given(experiment):
    trial = experiment.trial({"lr": 0.01, "layers": (1, 2)}, seed=2**64 - 1)
    assert (trial.seed, dict(trial.parameters), trial.status) == (2**64 - 1, {"lr": 0.01, "layers": (1, 2)}, "NEW")
    with trial as entered:
        assert entered is trial
        assert (trial.number, trial.status) == (1, "RUNNING")
        assert trial.path == experiment.path / "trial-0001"
        assert trial.path.is_dir()
    assert (trial.number, trial.status) == (1, "COMPLETED")
    assert repr(trial) == "Trial(number=1, status='COMPLETED')"


def test_parameters_are_a_copy_that_cannot_be_assigned_to(experiment):
    given = {"layers": [1, 2]}
    trial = experiment.trial(given)
    given["layers"].append(3)
    assert trial.parameters["layers"] == [1, 2]
    with pytest.raises(TypeError, match="does not support item assignment"):
        trial.parameters["layers"] = []


def test_a_seed_is_drawn_and_recorded_where_none_is_given(experiment):
    first, second = experiment.trial(), experiment.trial()
    assert first.seed != second.seed
    with first:
        pass
    assert int(experiment.get_history().loc[1, "Seed"]) == first.seed


def test_entering_a_trial_seeds_nothing(experiment):
    before = torch.get_rng_state()
    with experiment.trial(seed=3):
        assert torch.equal(torch.get_rng_state(), before)


def test_training_code_finds_the_trial_that_runs(experiment):
    assert current_trial.get() is None
    with experiment.trial() as outer:
        assert current_trial.get() is outer
        with experiment.trial() as inner:
            assert current_trial.get() is inner
        current_trial.get().log_metric("loss", 0.5)
    assert current_trial.get() is None
    assert values(experiment, "loss") == [(0, 0.5)]


def test_a_trial_that_is_left_in_another_context_ends(experiment):
    trial = experiment.trial()
    contextvars.copy_context().run(trial.__enter__)
    trial.__exit__(None, None, None)
    assert trial.status == "COMPLETED"
    assert experiment.get_history().loc[1, "Status"] == "COMPLETED"


def test_a_trial_may_be_entered_and_left_in_different_tasks(experiment):
    async def run():
        stack = contextlib.ExitStack()
        await asyncio.create_task(enter(stack))
        stack.close()

    async def enter(stack):
        stack.enter_context(trial)

    trial = experiment.trial()
    asyncio.run(run())
    assert trial.status == "COMPLETED"


def test_a_failure_is_recorded_and_raised(experiment):
    with pytest.raises(ZeroDivisionError), experiment.trial({"a": 1}) as trial:
        1 / 0  # noqa: B018
    assert trial.status == "FAILED"
    assert current_trial.get() is None
    row = experiment.get_history().loc[1]
    assert (row["Status"], row["Description"]) == ("FAILED", "ZeroDivisionError(division by zero)")
    assert pd.notna(row["Finished"])
    assert experiment.get_parameters(1) == {"a": 1}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_recorded_and_raised(experiment, interruption):
    with pytest.raises(interruption), experiment.trial() as trial:
        raise interruption
    assert trial.status == "INTERRUPTED"
    row = experiment.get_history().loc[1]
    assert row["Status"] == "INTERRUPTED"
    assert pd.isna(row["Description"])


def test_a_metric_without_steps_counts_from_zero(experiment):
    with experiment.trial() as trial:
        for value in (0.5, 0.25):
            trial.log_metric("loss", value)
        trial.log_metric("accuracy", 1)
    assert values(experiment, "loss") == [(0, 0.5), (1, 0.25)]
    assert values(experiment, "accuracy") == [(0, 1.0)]


def test_a_metric_goes_on_after_the_step_that_was_given_last(experiment):
    with experiment.trial() as trial:
        for step in (10, None, 4, None, -3, None):
            trial.log_metric("loss", 0.5, step=step)
    assert [step for step, _ in values(experiment, "loss")] == [-3, -2, 4, 5, 10, 11]


def test_numbers_that_are_not_finite_are_kept(experiment):
    with experiment.trial() as trial:
        for value in (math.inf, -math.inf, math.nan):
            trial.log_metric("loss", value)
        loss = values(experiment, "loss")
    assert [value for _, value in loss[:2]] == [math.inf, -math.inf]
    assert math.isnan(loss[2][1])
    assert math.isnan(experiment.get_history().loc[1, "loss"])


def test_values_keep_every_bit(experiment):
    drawn = np.random.default_rng(0).standard_normal(50).tolist()
    with experiment.trial() as trial:
        for value in drawn:
            trial.log_metric("loss", value, step=np.int64(len(drawn)))
        trial.log_metrics({"tensor": torch.tensor(0.1), "step": 1}, step=2**63 - 1)
    assert values(experiment, "loss") == [(50, drawn[-1])]
    assert values(experiment, "tensor") == [(2**63 - 1, float(np.float32(0.1)))]


def test_several_metrics_are_logged_all_or_none(experiment):
    with experiment.trial() as trial:
        trial.log_metrics({"loss": 0.5, "accuracy": 0.9}, step=3)
        with pytest.raises(TypeError, match="metric 'accuracy' must be a number"):
            trial.log_metrics({"loss": 0.25, "accuracy": "high"})
    assert values(experiment, "loss") == [(3, 0.5)]
    assert values(experiment, "accuracy") == [(3, 0.9)]


def test_the_last_result_counts(experiment):
    with experiment.trial() as trial:
        trial.set_result(1)
        trial.set_result({"confusion": ((1, 2), [3])})
        with pytest.raises(TypeError, match=r"^result\['x'\] is of type set,"):
            trial.set_result({"x": {1}})
    assert experiment.get_history().loc[1, "Result"] == {"confusion": ((1, 2), [3])}


def test_files_are_opened_in_the_trials_own_folder(experiment):
    with experiment.trial() as trial:
        with trial.open("plots/loss.csv", "w", newline="") as file:
            file.write("step,loss\r\n")
        with trial.open("plots/loss.csv", "rb") as file:
            assert file.read() == b"step,loss\r\n"
        with pytest.raises(ValueError, match=r"^Trial\.open: '\.\./x' leads out of the trial's folder"):
            trial.open("../x", "w")
    assert (experiment.path / "trial-0001/plots/loss.csv").is_file()


def test_a_trial_has_databases_of_its_own(experiment):
    with experiment.trial() as trial:
        engine = trial.engine("gradients")
        assert trial.engine("gradients") is engine
        frame = pd.DataFrame({"layer": [1, 2], "norm": [0.5, 0.25]})
        frame.to_sql("norms", engine, index=False)
        pd.testing.assert_frame_equal(pd.read_sql("norms", engine), frame)
        with pytest.raises(ValueError, match=r"^Trial\.engine: name must be made of ASCII letters"):
            trial.engine("../gradients")
        assert engine.pool.checkedin() == 1
    assert (trial.path / "gradients.sqlite").is_file()
    assert engine.pool.checkedin() == 0


def test_a_trial_that_ended_records_nothing_more(experiment):
    with experiment.trial() as trial:
        pass
    for act in (
        lambda: trial.log_metric("loss", 1.0),
        lambda: trial.log_metrics({"loss": 1.0}),
        lambda: trial.set_result(1),
        lambda: trial.open("a"),
        lambda: trial.engine("a"),
    ):
        with pytest.raises(TrialError, match=r"^Trial 1 has ended \(COMPLETED\) and records nothing more; ask"):
            act()


def test_a_trial_runs_once(experiment):
    trial = experiment.trial()
    with trial, pytest.raises(TrialError, match=r"^Trial 1 has been entered before, and a trial runs once; ask"), trial:
        pass
    with pytest.raises(TrialError, match=r"^Trial 1 has been entered before"), trial:
        pass
    assert len(experiment) == 1


def test_a_trial_that_was_not_entered_has_no_number_and_leaves_no_trace(experiment):
    trial = experiment.trial()
    assert repr(trial) == "Trial(status='NEW')"
    for act in (lambda: trial.number, lambda: trial.path, lambda: trial.log_metric("loss", 1.0)):
        with pytest.raises(TrialError, match=r"^Trial: it has no number and no folder before it is entered; write"):
            act()
    assert len(experiment) == 0
    assert [path.name for path in experiment.path.iterdir()] == ["experiment.sqlite"]


def test_threads_share_a_trial(experiment):
    with experiment.trial() as trial:

        def log(name):
            for _ in range(50):
                trial.log_metrics({"shared": 1.0, name: 1.0})

        threads = [threading.Thread(target=log, args=[f"own{number}"]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [step for step, _ in values(experiment, "shared")] == list(range(200))
    assert all(len(values(experiment, f"own{number}")) == 50 for number in range(4))


def test_a_value_outlives_a_kill_right_after_it_was_logged(tmp_path, start_python):
    process = start_python("""
import os, signal
from fireworks.experiment import Experiment
with Experiment("digits", ".").trial({"lr": 0.1}, seed=1) as trial:
    for step in range(100):
        trial.log_metric("loss", step / 7)
    trial.set_result("so far")
    os.kill(os.getpid(), signal.SIGKILL)
""")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    experiment = Experiment("digits", tmp_path)
    assert experiment.load_metric("loss", 1)[1].tolist() == [step / 7 for step in range(100)]
    row = experiment.get_history().loc[1]
    assert (row["Status"], row["Result"], row["lr"], row["loss"]) == ("LOST", "so far", 0.1, 99 / 7)
    with experiment.trial() as trial:
        assert trial.number == 2


def test_a_trial_in_another_process_is_running_until_that_is_killed(tmp_path, start_python):
    process = start_python("""
from fireworks.experiment import Experiment
with Experiment("digits", ".").trial() as trial:
    print("entered", flush=True)
    input()
""")
    experiment = Experiment("digits", tmp_path)
    assert process.stdout.readline() == "entered\n"
    assert experiment.get_history().loc[1, "Status"] == "RUNNING"
    process.kill()
    process.communicate()
    assert experiment.get_history().loc[1, "Status"] == "LOST"


def test_a_fork_neither_records_into_the_trial_nor_ends_it(tmp_path, start_python):
    process = start_python("""
import os, warnings
from fireworks.experiment import Experiment
warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on, about forks of a process with threads
experiment = Experiment("digits", ".")
with experiment.trial() as trial:
    child = os.fork()
    if child == 0:
        try:
            trial.log_metric("loss", 1.0)
        except RuntimeError as error:
            print(error)
        with experiment.trial() as own:
            own.log_metric("loss", 2.0)
        raise SystemExit(0)
    assert os.waitpid(child, 0)[1] == 0
    trial.log_metric("loss", 3.0)
    assert experiment.get_history()["Status"].tolist() == ["RUNNING", "COMPLETED"]
""")
    said, errors = process.communicate()
    assert errors == ""
    assert said.startswith("Trial 1 runs in process ")
    assert " and can't record from process " in said
    assert "return the values to the process that entered it." in said
    experiment = Experiment("digits", tmp_path)
    assert experiment.load_metric("loss", [1, 2]).loc[0].tolist() == [3.0, 2.0]
    assert experiment.get_history()["Status"].tolist() == ["COMPLETED", "COMPLETED"]


def test_engines_are_plain_sqlalchemy(experiment):
    with experiment.trial() as trial, trial.engine("a").begin() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
