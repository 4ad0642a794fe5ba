from __future__ import annotations

import importlib.metadata
import platform
import sys
from types import SimpleNamespace
from unittest.mock import ANY

import pytest
import torch

from fireworks.experiment.collectors import environment
from fireworks.experiment.collectors.environment import EnvironmentFacts, TorchFacts


@pytest.fixture(autouse=True)
def _ask_again():
    for cached in (environment.installed_packages, environment.cuda_devices):
        cached.cache_clear()
    yield
    for cached in (environment.installed_packages, environment.cuda_devices):
        cached.cache_clear()


def test_the_interpreter_and_the_packages_are_told():
    facts = EnvironmentFacts.collect()
    assert facts.python == platform.python_version()
    assert facts.packages["pandas"] == importlib.metadata.version("pandas")
    assert list(facts.packages) == sorted(facts.packages)
    assert facts == EnvironmentFacts.collect()


def test_the_packages_are_looked_up_once(monkeypatch):
    EnvironmentFacts.collect()

    def fail():
        raise AssertionError

    monkeypatch.setattr(importlib.metadata, "distributions", fail)
    EnvironmentFacts.collect()


def test_of_two_packages_with_one_name_the_first_on_the_path_counts(monkeypatch):
    found = [
        SimpleNamespace(metadata={"Name": name}, version=version)
        for name, version in [("b", "1"), (None, "0"), ("a", "2"), ("b", "3")]
    ]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: found)
    assert environment.installed_packages() == {"a": "2", "b": "1"}


def test_torch_is_asked_each_time_as_a_program_may_change_it(monkeypatch):
    before = TorchFacts.collect()
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    after = TorchFacts.collect()
    assert (before.version, before.deterministic, before.num_threads) == (torch.__version__, False, ANY)
    assert (after.version, after.deterministic, after.num_threads) == (torch.__version__, True, 77)


def test_torch_is_not_imported_to_be_asked(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    assert EnvironmentFacts.collect().torch is None
    assert "torch" not in sys.modules


def test_a_trial_alone_does_not_import_torch(start_python):
    process = start_python("""
import sys
from fireworks.experiment import Experiment
experiment = Experiment("digits", ".")
with experiment.trial() as trial:
    trial.log_metric("loss", 1)
print(experiment.get_environment(1)["torch"], "torch" in sys.modules)
""")
    assert process.communicate() == ("None False\n", "")


def test_the_driver_is_asked_for_the_devices(tmp_path, monkeypatch):
    for slot, name in [("0000:1b:00.0", "NVIDIA H100"), ("0000:04:00.0", "NVIDIA A100-SXM4-40GB")]:
        (tmp_path / slot).mkdir()
        (tmp_path / slot / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 1\n")
    monkeypatch.setattr(environment, "NVIDIA_GPUS", tmp_path)
    assert environment.cuda_devices() == ("NVIDIA A100-SXM4-40GB", "NVIDIA H100")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert TorchFacts.collect().cuda_devices == ("NVIDIA A100-SXM4-40GB", "NVIDIA H100")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert TorchFacts.collect().cuda_devices == ()


def test_a_machine_without_the_driver_has_no_devices(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "NVIDIA_GPUS", tmp_path / "missing")
    assert environment.cuda_devices() == ()
