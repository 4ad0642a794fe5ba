from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from fireworks.experiment.metrics import metric_step, metric_value


@pytest.mark.parametrize(
    "value",
    [0.5, Decimal("0.5"), Fraction(1, 2), np.float32(0.5), np.array(0.5), np.array([[0.5]]), torch.tensor([0.5])],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_number_becomes_a_float(value):
    number = metric_value("loss", value)
    assert number == 0.5
    assert type(number) is float


def test_ints_and_bools_count_as_numbers():
    assert metric_value("hits", 3) == 3.0
    assert metric_value("hit", True) == 1.0
    assert math.isnan(metric_value("loss", torch.tensor(float("nan"))))


@pytest.mark.parametrize("value", ["0.5", None, [0.5], 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match=r"^Trial: metric 'loss' must be a number; got .*\.$"):
        metric_value("loss", value)


@pytest.mark.parametrize("value", [torch.ones(3), np.ones(3)])
def test_several_numbers_are_refused(value):
    with pytest.raises(ValueError, match=r"^Trial: metric 'loss' must be one number; got shape \(3,\)\.$"):
        metric_value("loss", value)


def test_a_name_is_text():
    with pytest.raises(TypeError, match=r"^Trial: the name of a metric must be a str; got 3\.$"):
        metric_value(3, 0.5)


def test_a_step_is_an_integer_of_64_bits():
    assert metric_step(None) is None
    assert metric_step(np.int32(7)) == 7
    assert metric_step(-(2**63)) == -(2**63)
    with pytest.raises(ValueError, match=r"^Trial: step must fit into 64 bits; got 9223372036854775808\.$"):
        metric_step(2**63)


@pytest.mark.parametrize("step", [1.0, "1", True])
def test_what_is_no_integer_is_refused_as_a_step(step):
    with pytest.raises(TypeError, match=r"^Trial: step must be an int or None; got .*\.$"):
        metric_step(step)
