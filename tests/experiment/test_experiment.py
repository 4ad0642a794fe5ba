from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fireworks.errors import TrialError
from fireworks.experiment import Experiment
from fireworks.experiment.history import FIXED_COLUMNS


def test_everything_is_below_the_experiments_folder(tmp_path):
    experiment = Experiment("digits", tmp_path / "runs")
    with experiment.trial():
        pass
    assert experiment.path == tmp_path / "runs" / "digits"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["digits"]
    assert sorted(path.name for path in experiment.path.iterdir()) == ["experiment.sqlite", "trial-0001"]


def test_experiments_are_kept_in_runs_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = Experiment("digits")
    assert experiment.path == tmp_path / "runs" / "digits"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with experiment.trial() as trial:
        assert trial.path.is_relative_to(tmp_path / "runs")


def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^Experiment: name must be made of ASCII letters.*; got '\.\./up'\.$"):
        Experiment("../up", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_name_opens_the_same_history(tmp_path):
    with Experiment("digits", tmp_path).trial({"a": 1}):
        pass
    again = Experiment("digits", str(tmp_path))
    assert len(again) == 1
    with again.trial() as trial:
        assert trial.number == 2
    assert len(Experiment("letters", tmp_path)) == 0


def test_an_empty_experiment_is_true_and_has_an_empty_history(experiment):
    assert len(experiment) == 0
    assert experiment
    assert list(experiment.get_history().columns) == list(FIXED_COLUMNS)
    assert len(experiment.get_history()) == 0


def test_repr_gives_the_experiment_again(experiment):
    assert repr(experiment) == f"Experiment('digits', folder={str(experiment.path.parent)!r})"
    assert experiment.name == "digits"


def test_a_pickled_experiment_opens_the_same_history(experiment):
    text = pickle.dumps(experiment)
    with experiment.trial():
        pass
    assert len(pickle.loads(text)) == 1


def test_parameters_come_back_with_their_types(experiment):
    parameters = {
        "int": 2**70,
        "float": 1.0,
        "inf": float("-inf"),
        "flag": True,
        "none": None,
        "tuple": (1, [2, {"three": (4,)}]),
        "path": Path("data/train.csv"),
        "when": datetime(2024, 5, 1, tzinfo=UTC),
    }
    with experiment.trial(parameters):
        pass
    back = experiment.get_parameters(1)
    assert back == parameters
    assert [type(value) for value in back.values()][:4] == [int, float, float, bool]


def test_a_parameter_that_cannot_be_stored_is_refused_before_the_trial_starts(experiment):
    with pytest.raises(TypeError, match=r"^parameters\['model'\]\['net'\] is of type object,"):
        experiment.trial({"model": {"net": object()}})
    with pytest.raises(TypeError, match=r"^Experiment\.trial: the name of a parameter must be a str; got 1\.$"):
        experiment.trial({1: "a"})
    assert len(experiment) == 0


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", True])
def test_a_seed_is_an_int_of_64_bits(experiment, seed):
    with pytest.raises(
        ValueError, match=r"^Experiment\.trial: seed must be an int from 0 to 2\*\*64 - 1, or None; got .*\.$"
    ):
        experiment.trial(seed=seed)


def test_seeds_are_kept_to_the_last_bit(experiment):
    seeds = [0, 2**63, 2**64 - 1, np.uint64(2**64 - 2)]
    for seed in seeds:
        with experiment.trial(seed=seed):
            pass
    assert [int(seed) for seed in experiment.get_history()["Seed"]] == [int(seed) for seed in seeds]


def test_an_unknown_trial_is_named_together_with_the_known_ones(experiment):
    with pytest.raises(TrialError, match=r"^Unable to find trial 1; there are no trials yet\.$"):
        experiment.get_parameters(1)
    for _ in range(3):
        with experiment.trial() as trial:
            trial.log_metric("loss", 1.0)
    for ask in (
        experiment.get_parameters,
        experiment.get_environment,
        experiment.get_code,
        lambda number: experiment.load_metric("loss", number),
        lambda number: experiment.load_metric("loss", [1, number]),
    ):
        for number in (0, 4, 2**80):
            with pytest.raises(TrialError, match=rf"^Unable to find trial {number}; trials are numbered 1 to 3\.$"):
                ask(number)


@pytest.mark.parametrize("trial_id", ["a", 1.0, None, True])
def test_the_number_of_a_trial_is_an_int(experiment, trial_id):
    for ask in (experiment.get_parameters, lambda number: experiment.load_metric("loss", [number])):
        with pytest.raises(TypeError, match=r"^Experiment: trial_id must be an int, the number of a trial; got .*\.$"):
            ask(trial_id)


def test_an_unknown_metric_gets_a_suggestion(experiment):
    with experiment.trial() as trial:
        trial.log_metrics({"loss": 1.0, "accuracy": 0.5})
    with experiment.trial():
        pass
    with pytest.raises(
        TrialError,
        match=r"^Unable to find metric 'los' in trial 1, 2; metrics are \['accuracy', 'loss'\]\. Did you mean 'loss'\?$",
    ):
        experiment.load_metric("los", [1, 2])
    with pytest.raises(TrialError, match=r"^Unable to find metric 'loss' in trial 2; metrics are \[\]\.$"):
        experiment.load_metric("loss", 2)


def test_a_metric_of_several_trials_has_one_column_for_each(experiment):
    for steps in ([0, 1], [1, 2], []):
        with experiment.trial() as trial:
            for step in steps:
                trial.log_metric("loss", trial.number * 10 + step, step)
    frame = experiment.load_metric("loss", [2, np.int64(1), 3, 2])
    assert frame.index.tolist() == [0, 1, 2]
    assert frame.columns.tolist() == [2, 1, 3]
    assert frame.fillna(-1)[2].tolist() == [-1, 21, 22]
    assert frame.fillna(-1)[1].tolist() == [10, 11, -1]
    assert frame[3].isna().all()
    assert experiment.load_metric("loss", experiment.get_history().index).shape == (3, 3)


def test_the_environment_and_git_are_captured(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with experiment.trial():
        pass
    environment = experiment.get_environment(1)
    assert environment["packages"]["pandas"]
    assert environment["torch"] is None or environment["torch"]["num_threads"] >= 1
    assert environment["git"] == {"commit": None, "branch": None, "dirty": None}


def test_code_is_captured_as_it_was_and_stored_once(tmp_path, start_python):
    (tmp_path / "helper.py").write_text("ANSWER = 42  # größe\n", encoding="utf-8")
    (tmp_path / "main.py").write_text(
        """
import pathlib
import helper
from fireworks.experiment import Experiment
experiment = Experiment("digits", "runs")
for number in range(5):
    with experiment.trial():
        pass
pathlib.Path("helper.py").write_text("ANSWER = 43\\n")
with experiment.trial():
    pass
""",
        encoding="utf-8",
    )
    process = start_python("import runpy, sys; sys.argv = ['main.py']; runpy.run_path('main.py', run_name='__main__')")
    assert process.communicate()[1] == ""
    experiment = Experiment("digits", tmp_path / "runs")
    assert experiment.get_code(1)["helper.py"] == "ANSWER = 42  # größe\n"
    assert experiment.get_code(1) == experiment.get_code(5)
    assert experiment.get_code(6)["helper.py"] == "ANSWER = 43\n"


def test_threads_run_trials_at_the_same_time(experiment):
    def run(seed):
        with experiment.trial({"seed": seed}, seed=seed) as trial:
            trial.log_metric("loss", seed)
            return trial.number, seed

    with ThreadPoolExecutor(8) as pool:
        pairs = dict(pool.map(run, range(40)))
    history = experiment.get_history()
    assert sorted(pairs) == list(range(1, 41))
    assert {number: history.loc[number, "seed"] for number in pairs} == pairs
    assert {number: history.loc[number, "loss"] for number in pairs} == pairs


def test_processes_and_threads_share_one_new_experiment(tmp_path, start_python):
    script = """
import sys
from concurrent.futures import ThreadPoolExecutor
from fireworks.experiment import Experiment
print("ready", flush=True)
input()
experiment = Experiment("digits", ".")

def run(index):
    with experiment.trial({"index": index}) as trial:
        for step in range(5):
            trial.log_metric("loss", index + step)
        return trial.number

with ThreadPoolExecutor(4) as pool:
    print(*pool.map(run, range(20)))
"""
    processes = [start_python(script) for _ in range(2)]
    processes = [process for process in processes if process.stdout.readline() == "ready\n"]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate() for process in processes]
    assert [errors for _, errors in answers] == ["", ""]
    numbers = [int(number) for said, _ in answers for number in said.split()]
    assert sorted(numbers) == list(range(1, 41))
    experiment = Experiment("digits", tmp_path)
    history = experiment.get_history()
    assert history["Status"].unique().tolist() == ["COMPLETED"]
    assert (history["loss"] == history["index"] + 4).all()
    assert sorted(path.name for path in tmp_path.glob("digits/trial-*")) == [f"trial-{n:04d}" for n in range(1, 41)]


def test_a_metric_of_no_trials_is_refused(experiment):
    with pytest.raises(ValueError, match=r"^Experiment.load_metric: name at least one trial; got \[\]\.$"):
        experiment.load_metric("loss", [])
