"""Every pipe that ships keeps the contract: alone, behind others, over rows, over batches, over a stream."""

import pytest

import fireworks as fw
from fireworks.testing import PipeContract
from pipelines import add_noise, counting, double, is_noisy, is_odd, table, total

PIPES = {
    "memory": table,
    "sequence": lambda: fw.source([{"n": n} for n in range(7)]),
    "iterable": counting,
    "map": lambda: table().map(double),
    "map of a whole block": lambda: table().map(total),
    "seeded map": lambda: table().map(add_noise, seed=3),
    "seeded map behind batch": lambda: table().batch(4).map(add_noise, seed=3),
    "map behind batch": lambda: table().batch(4).map(total),
    "map over a stream": lambda: counting().map(double),
    "seeded map over a stream": lambda: counting().map(add_noise, seed=3),
    "map over a batched stream": lambda: counting().batch(4).map(add_noise, seed=3),
    "filter by column": lambda: table().filter("n", ">", 5),
    "filter by function": lambda: table().filter(is_odd),
    "filter of nothing left out": lambda: table().filter("n", ">=", 0),
    "filter behind batch": lambda: table().batch(4).filter(is_odd),
    "filter behind shuffle": lambda: table().shuffle(seed=0).filter(is_odd),
    "filter behind seeded map": lambda: table().map(add_noise, seed=3).filter(is_noisy),
    "filter over a stream": lambda: counting().filter(is_odd),
    "filter behind filter on a stream": lambda: counting().filter("n", ">", 3).filter(is_odd).batch(3),
    "select": lambda: table().select("word", "n"),
    "tensors": lambda: table().select("x", "w").tensors(),
    "shuffle": lambda: table().shuffle(seed=0),
    "shuffle twice": lambda: table().shuffle(seed=0).shuffle(seed=0),
    "shuffle behind map": lambda: table().map(total).shuffle(seed=0),
    "shuffle of batches": lambda: table().batch(4).shuffle(seed=0),
    "map then shuffle of batches": lambda: table().batch(4).map(add_noise, seed=3).shuffle(seed=0),
    "one part of a split": lambda: table().split(0.7, 0.3, seed=0)[0],
    "other part of a split": lambda: table().split(0.7, 0.3, seed=0)[1].shuffle(seed=1).batch(2),
    "part of the batches": lambda: table().batch(4).split(0.5, 0.5, seed=0)[1],
    "batch": lambda: table().batch(4),
    "batch without the last": lambda: table().batch(4, drop_last=True),
    "one batch of all": lambda: table().batch(100),
    "batch over a stream": lambda: counting().batch(4),
    "batch over a stream without the last": lambda: counting().batch(4, drop_last=True),
    "take": lambda: table().take(9),
    "take of batches": lambda: table().batch(4).take(2),
    "take of shuffled batches": lambda: table().batch(4).shuffle(seed=1).take(3),
    "take from a stream": lambda: counting().take(9),
    "take batches from a stream": lambda: counting().batch(4).take(3),
    "repeat": lambda: table(9).repeat(2),
    "repeat of shuffled rows": lambda: table(9).map(add_noise, seed=3).shuffle(seed=0).repeat(3),
    "repeat of batches": lambda: table(9).shuffle(seed=0).batch(4).repeat(2),
    "shuffle behind repeat": lambda: table(9).map(total).repeat(2).shuffle(seed=0).batch(4),
    "shuffled repeated batches": lambda: table(9).batch(4).repeat(2).shuffle(seed=0),
    "repeat of a stream": lambda: counting(9).batch(4).repeat(2),
    "repeat of a filtered stream": lambda: table(9).shuffle(seed=0).filter(is_odd).repeat(2),
    "fixed epoch": lambda: table().shuffle(seed=0).at_epoch(2),
    "fixed epoch, batched again": lambda: table().shuffle(seed=0).at_epoch(2).batch(4),
    "zip": lambda: fw.Zip({"a": table().select("x"), "b": table().select("n")}),
    "zip of maps, shuffled": lambda: (
        fw.Zip({"a": table().map(total).select("block"), "b": table().map(add_noise, seed=1)}).shuffle(seed=0).batch(4)
    ),
    "zip of batches": lambda: fw.Zip({"a": table().select("x").batch(4), "b": table().select("n").batch(4)}),
    "zip of streams": lambda: fw.Zip({"a": counting().select("x"), "b": table().select("word")}).batch(5),
    "zip of batched streams": lambda: fw.Zip({"a": counting().batch(4), "b": table().select("word").batch(4)}),
    "a whole pipeline": lambda: (
        table()
        .filter("n", "!=", 4)
        .split(0.8, 0.2, seed=0)[0]
        .map(double)
        .map(add_noise, seed=1)
        .shuffle(seed=2)
        .batch(4)
        .map(total)
        .tensors("x", "w")
    ),
}


@pytest.mark.parametrize("name", PIPES)
class TestEveryPipe(PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]
