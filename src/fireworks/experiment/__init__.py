"""Experiments: a history of trials, each with its parameters, seed, code, environment, metrics and files."""

from fireworks.experiment.experiment import Experiment
from fireworks.experiment.trial import Trial

__all__ = ["Experiment", "Trial"]
