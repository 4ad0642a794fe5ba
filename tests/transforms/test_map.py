"""A function over rows: what it is called with, and what keys its draws."""

import functools

import numpy as np
import pytest
import torch

import fireworks as fw
from pipelines import add_noise, counting, double, numbers, table


def drawn(seed, stage, epoch, block, count):
    """What a generator keyed by (seed, stage, epoch, block) draws, from the definition."""
    name = stage.encode()
    words = [int.from_bytes(name[i : i + 4], "little") for i in range(0, len(name), 4)]
    state = np.random.SeedSequence([seed, len(name), *words, epoch, block]).generate_state(1, np.uint64)
    return torch.rand(count, generator=torch.Generator().manual_seed(int(state[0])))


class TestDraws:
    def test_they_are_keyed_by_seed_stage_epoch_and_block(self):
        pipe = table(1500).map(add_noise, seed=5)
        for epoch in range(3):
            noise = torch.cat([row["noise"] for row in pipe.at_epoch(epoch)])
            assert torch.equal(noise[:1024], drawn(5, "map:0", epoch, 0, 1024))
            assert torch.equal(noise[1024:], drawn(5, "map:0", epoch, 1, 476))

    def test_behind_batch_the_block_is_the_batch(self):
        for number, batch in enumerate(table().batch(4).map(add_noise, seed=5).at_epoch(1)):
            assert torch.equal(batch["noise"], drawn(5, "map:0", 1, number, len(batch)))

    def test_a_second_map_draws_otherwise_and_an_unseeded_one_does_not_count(self):
        pipe = table().map(add_noise, seed=5).map(double).map(double)
        again = pipe.map(lambda rows, generator: rows.assign(second=torch.rand(23, generator=generator)), seed=5)
        rows = again.to_message()
        assert torch.equal(rows["noise"], drawn(5, "map:0", 0, 0, 23))
        assert torch.equal(rows["second"], drawn(5, "map:1", 0, 0, 23))

    def test_a_name_keys_the_draws(self):
        rows = table().map(add_noise, seed=5, name="augment").to_message()
        assert torch.equal(rows["noise"], drawn(5, "augment", 0, 0, 23))

    def test_neither_global_generators_nor_their_state_matter(self):
        torch.manual_seed(1)
        first = table().map(add_noise, seed=5).to_message()
        before = torch.get_rng_state()
        assert table().map(add_noise, seed=5).to_message() == first
        assert torch.equal(torch.get_rng_state(), before)

    def test_a_stream_draws_as_its_rows_do_in_memory(self):
        stream = counting().map(add_noise, seed=5)
        noise = torch.cat([batch["noise"] for batch in stream.batch(4)])
        assert torch.equal(noise, drawn(5, "map:0", 0, 0, 23))


class TestFunctions:
    def test_anything_that_can_be_called_is_a_function(self):
        class Plus:
            def __init__(self, amount):
                self.amount = amount

            def __call__(self, rows):
                return rows.assign(n=rows["n"] + self.amount)

        pipe = table(3).map(Plus(1)).map(functools.partial(double))
        assert numbers(pipe) == [2, 4, 6]
        assert pipe.stages()[1:] == ["Map(Plus)", "Map(partial)"]

    @pytest.mark.parametrize("function", [None, 5, "double", fw.Message({"n": [1]})])
    def test_anything_else_is_none(self, function):
        with pytest.raises(TypeError, match=r"(?s)map: expected a function; got .* of type \w+\."):
            table().map(function)

    @pytest.mark.parametrize("seed", [-1, 2**64, True, 1.0])
    def test_a_seed_is_an_int_of_64_bits(self, seed):
        with pytest.raises(ValueError, match="map: seed must be an int from 0 to"):
            table().map(add_noise, seed=seed)

    def test_nothing_is_run_before_rows_are_asked_for(self):
        def never(rows):
            raise AssertionError

        assert len(table().map(never).shuffle(seed=0).batch(4)) == 6

    def test_it_needs_an_input(self):
        with pytest.raises(TypeError, match="Map has no input; pass it a pipe"):
            fw.Map(None, double)


class TestModelsInTheData:
    """A model in a map is a part of the data: the same each time, and no gradients."""

    def make(self):
        net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5))
        return fw.Model(net, in_columns=["x"], out_columns=["y"])

    def test_it_runs_in_evaluation_mode_without_gradients(self):
        model = self.make()
        pipe = table().map(model)
        assert pipe[0] == pipe[0]
        assert not pipe[0]["y"].requires_grad
        assert model.module[2].training

    def test_its_running_statistics_stay(self):
        model = self.make()
        before = model.module[1].running_mean.clone()
        table().map(model).to_message()
        assert torch.equal(model.module[1].running_mean, before)

    def test_the_mode_comes_back_after_an_error(self):
        model = self.make()
        with pytest.raises(fw.errors.ColumnNotFoundError):
            table().select("n").map(model).to_message()
        assert model.training

    def test_it_describes_itself(self):
        norm = fw.Normalize("x", per_element=False)
        assert table().map(norm).stages()[-1] == "Map(Normalize(x, per_element=False))"
        assert table().map(self.make()).stages()[-1] == "Map(Model(Sequential: x -> y))"

    def test_the_models_upstream_of_it_do_too(self):
        first = self.make()
        last = fw.Model(torch.nn.Identity(), in_columns=["y"], out_columns=["z"], input=first)
        pipe = table().map(last)
        assert pipe[0] == pipe[0]
        assert first.module[2].training
