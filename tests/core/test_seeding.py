"""The global generators: seeded together, each on its own, and put back where they were."""
# ruff: noqa: NPY002  (NumPy's global generator is what is tested)

import json
import random

import numpy as np
import pytest
import torch
from scipy import stats

import fireworks as fw
from fireworks.core.encoding import put_together, take_apart
from fireworks.core.seeding import generator_states, set_generator_states


@pytest.fixture(autouse=True)
def _the_generators_of_other_tests_stay():
    before = generator_states()
    yield
    set_generator_states(before)


def draws():
    """What each generator gives, in words that can be compared."""
    return {
        "python": [random.random(), random.gauss(0, 1), random.randrange(2**40)],
        "numpy": np.random.rand(3).tolist() + np.random.randn(1).tolist() + np.random.permutation(9).tolist(),
        "torch": torch.rand(3).tolist() + torch.randn(2).tolist() + torch.randperm(9).tolist(),
        "net": torch.nn.Linear(4, 3).weight.flatten().tolist(),
        "dropout": torch.nn.functional.dropout(torch.ones(40), 0.5).tolist(),
    }


class TestSeedEverything:
    def test_the_same_seed_gives_the_same_draws(self):
        fw.seed_everything(5)
        first = draws()
        draws()
        fw.seed_everything(5)
        assert draws() == first

    def test_every_generator_is_seeded_whatever_was_before(self):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        np.random.randn()  # one of a pair: the other waits
        random.gauss(0, 1)
        fw.seed_everything(5)
        first = draws()
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(99)
        fw.seed_everything(5)
        assert draws() == first

    @pytest.mark.parametrize("other", [0, 6, 2**64 - 1])
    def test_another_seed_gives_others_everywhere(self, other):
        fw.seed_everything(5)
        first = draws()
        fw.seed_everything(other)
        second = draws()
        assert [name for name in first if first[name] == second[name]] == []

    def test_seeds_that_differ_in_high_bits_differ(self):
        found = set()
        for seed in (0, 2**32, 2**63, np.uint64(2**63 + 1)):
            fw.seed_everything(seed)
            found.add(str(draws()))
        assert len(found) == 4

    def test_neighbouring_seeds_and_the_three_generators_are_independent(self):
        values = []
        for seed in range(600):
            fw.seed_everything(seed)
            values.append((random.random(), np.random.random_sample(), torch.rand(()).item()))
        columns = np.array(values).T
        assert np.abs(np.corrcoef(columns) - np.eye(3)).max() < 0.15  # 3.7 deviations of 1 / sqrt(600)
        for column in columns:
            assert stats.kstest(column, "uniform").pvalue > 1e-3
            assert abs(stats.pearsonr(column[:-1], column[1:]).statistic) < 0.15

    @pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "0", True, np.float64(3), [1]], ids=repr)
    def test_what_is_no_seed_is_refused_and_changes_nothing(self, seed):
        before = generator_states()
        with pytest.raises(ValueError, match=r"seed_everything: seed must be an int from 0 to 2\*\*64 - 1; got "):
            fw.seed_everything(seed)
        assert torch.equal(generator_states()["torch"], before["torch"])

    def test_no_seed_says_what_to_pass(self):
        with pytest.raises(ValueError, match=r"seed_everything: a seed is needed.*pass seed=0"):
            fw.seed_everything(None)


class TestStates:
    @pytest.mark.parametrize("through", ["as it is", "JSON"])
    def test_the_generators_go_on_where_they_stood(self, through):
        fw.seed_everything(1)
        np.random.randn()  # of a pair: the second number is kept for the next call
        random.gauss(0, 1)
        states = generator_states()
        expected = [draws(), draws()]
        if through == "JSON":
            tensors = {}
            states = put_together(json.loads(json.dumps(take_apart(states, "it", tensors))), tensors)
        fw.seed_everything(2)
        set_generator_states(states)
        assert [draws(), draws()] == expected

    def test_a_state_does_not_change_when_numbers_are_drawn(self):
        fw.seed_everything(1)
        states = generator_states()
        expected = draws()
        set_generator_states(states)
        assert draws() == expected
        set_generator_states(states)
        assert draws() == expected

    def test_looking_draws_nothing(self):
        fw.seed_everything(1)
        expected = draws()
        fw.seed_everything(1)
        generator_states()
        assert draws() == expected
