"""Metrics of Ignite that are fed before the step, noted and saved."""

import pytest
import torch
from ignite.engine import Engine
from ignite.metrics import Accuracy, EpochMetric, Frequency, Precision, Recall, RunningAverage

import fireworks as fw
from fireworks.training.ignite_metrics import IgniteMetrics, has_state


def pair(rows):
    return rows["p"], rows["y"]


def share(predicted, true):
    return float((predicted == true).float().mean())


def rows(seed):
    generator = torch.Generator().manual_seed(seed)
    return fw.Message({n: torch.randint(2, (6,), generator=generator) for n in "py"})


MAKE = {
    "accuracy": lambda: Accuracy(pair),
    "epoch metric": lambda: EpochMetric(share, pair),
    "running average": lambda: RunningAverage(Accuracy(pair)),
    "lambda of an epoch metric": lambda: EpochMetric(share, pair) + 1,
    "lambda": lambda: Precision(pair) * Recall(pair),
}


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.filterwarnings("ignore")
class TestEachKind:
    def make(self, kind):
        metrics = IgniteMetrics({"m": MAKE[kind]()}, Engine(lambda *_: None))
        metrics.begin_epoch()
        return metrics

    def fed(self, kind, seeds):
        metrics = self.make(kind)
        for seed in seeds:
            metrics.feed(rows(seed))
            metrics.fed()
        return metrics

    def test_a_batch_is_taken_back(self, kind):
        metrics = self.fed(kind, [0, 1])
        noted = metrics.note()
        metrics.feed(rows(5))
        metrics.load_state_dict(noted)
        metrics.feed(rows(2))
        assert metrics.end_epoch() == self.fed(kind, [0, 1, 2]).end_epoch()

    def test_a_state_goes_on_elsewhere_and_does_not_follow(self, kind):
        metrics, other = self.fed(kind, [0, 1]), self.make(kind)
        state = metrics.state_dict()
        metrics.feed(rows(5))
        other.load_state_dict(state)
        other.feed(rows(2))
        assert other.end_epoch() == self.fed(kind, [0, 1, 2]).end_epoch()


def test_what_is_made_of_parts_needs_the_states_of_all():
    assert has_state(Precision() + Recall())
    assert not has_state(Precision() + Frequency())
