"""The parts of all ranks, in order, are the global batch: for any number of ranks, anywhere in a pipeline."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from columns_read import Watched
from fireworks.message import concat
from pipelines import add_noise, counting, double, is_odd, numbers, table, total


def batches(num_rows=23, size=5):
    return table(num_rows).shuffle(seed=0).batch(size)


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: batches().shard(0, 2),
            lambda: batches().shard(2, 3),
            lambda: batches(size=2).shard(1, 4),
            lambda: table().map(double).shuffle(seed=0).batch(5).shard(1, 2),
            lambda: batches().map(total).shard(1, 2).map(add_noise, seed=3),
            lambda: batches().select("n", "x").shuffle(seed=1).shard(1, 2),
            lambda: batches().repeat(2).shard(0, 3),
            lambda: counting(23).batch(5).shard(1, 2),
            lambda: batches().filter(is_odd).shard(0, 2),
            lambda: table().bucket("n", [10], 4).shard(1, 2),
        ],
        ids=[
            "half",
            "third",
            "empty parts",
            "map before batch",
            "map before and behind",
            "orders behind batch",
            "repeated",
            "stream",
            "filtered batches",
            "buckets",
        ],
    )
    def make_pipe(self, request):
        return request.param


PIPELINES = {
    "memory": lambda size: table(23).shuffle(seed=0).batch(size),
    "unshuffled": lambda size: table(23).batch(size),
    "dropped": lambda size: table(23).batch(size, drop_last=True),
    "map before": lambda size: table(23).map(total).shuffle(seed=0).batch(size),
    "map behind": lambda size: table(23).shuffle(seed=0).batch(size).map(total),
    "noise": lambda size: table(23).shuffle(seed=0).batch(size).map(add_noise, seed=2),
    "cast": lambda size: table(23).shuffle(seed=0).batch(size).select("n", "w").rename(w="v"),
    "batches shuffled": lambda size: table(23).batch(size).shuffle(seed=0).take(3),
    "zip": lambda size: table(23).batch(size).zip(table(23).rename(n="m").select("m").batch(size)),
    "stream": lambda size: counting(23).batch(size),
    "filter": lambda size: table(23).batch(size).filter(is_odd),
    "workers": lambda size: table(23).shuffle(seed=0).map(total, workers=2).batch(size).prefetch(2),
}


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [4, 23])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_parts_of_all_ranks_are_the_global_batches(pipeline, size, world):
    make = PIPELINES[pipeline]
    for epoch in (0, 1):
        whole = list(make(size).at_epoch(epoch))
        ranks = [list(make(size).shard(rank, world).at_epoch(epoch)) for rank in range(world)]
        assert {len(parts) for parts in ranks} == {len(whole)}, "the same number of steps on each rank"
        for step, batch in enumerate(whole):
            parts = [parts[step] for parts in ranks]
            assert concat(parts) == batch
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(deadline=None, max_examples=40)
@given(
    num_rows=st.integers(1, 60),
    size=st.integers(1, 20),
    world=st.integers(1, 5),
    numbers_=st.lists(st.integers(0, 100), max_size=6),
)
def test_random_access_gives_the_same_parts(num_rows, size, world, numbers_):
    pipe = table(num_rows).shuffle(seed=1).batch(size)
    chosen = [number % len(pipe) for number in numbers_]
    for rank in range(world):
        shard = pipe.shard(rank, world)
        assert shard.num_rows == sum(map(len, shard.at_epoch(0)))
        expected = [len(batch) * (rank + 1) // world - len(batch) * rank // world for batch in pipe[chosen]]
        assert [len(part) for part in shard[chosen]] == expected
        for part, batch in zip(shard[chosen], pipe[chosen], strict=True):
            start = len(batch) * rank // world
            assert part == batch[start : start + len(part)]


def test_resume_with_another_number_of_ranks():
    make = PIPELINES["noise"]
    running = iter(make(4).shard(1, 2))
    for _ in range(3):
        next(running)
    state = json.loads(json.dumps(running.state_dict()))
    whole = list(make(4).at_epoch(0))
    for world in (1, 2, 3):
        parts = []
        for rank in range(world):
            resumed = iter(make(4).shard(rank, world))
            resumed.load_state_dict(state)
            parts.append(list(resumed))
        assert [concat(step) for step in zip(*parts, strict=True)] == whole[3:]


def test_resume_of_a_stream_with_another_number_of_ranks():
    running = iter(counting(23).batch(4).shard(0, 2))
    next(running)
    state = running.state_dict()
    resumed = iter(counting(23).batch(4).shard(2, 3))
    resumed.load_state_dict(state)
    assert [part["n"].tolist() for part in resumed] == [[6, 7], [10, 11], [14, 15], [18, 19], [22]]


def test_functions_in_front_see_the_global_batch_and_those_behind_the_part():
    pipe = (
        table(8).batch(4).map(total).shard(0, 2).map(lambda rows: rows.assign(part=torch.full((len(rows),), len(rows))))
    )
    first = pipe[0]
    assert first["block"].tolist() == [6, 6]
    assert first["part"].tolist() == [2, 2]


def test_a_rank_reads_its_own_rows_alone():
    source = Watched({"n": torch.arange(100), "x": torch.rand(100, 3)})
    parts = list(source.shuffle(seed=0).batch(10).shard(1, 4))
    own = sum(map(len, parts))
    assert source.rows_read() == own == 30


def test_it_reads_only_the_columns_that_are_wanted():
    source = Watched({"n": torch.arange(100), "x": torch.rand(100, 3)})
    list(source.shuffle(seed=0).batch(10).shard(1, 4).select("n"))
    assert source.columns_read() == {"n"}


def test_which_rows_a_rank_gets_is_known_without_reading():
    pipe = table(23).shuffle(seed=0).batch(5).shard(1, 3)
    origins = pipe.flow.rows_at(range(5), 2)
    parts = list(pipe.at_epoch(2))
    assert [rows.tolist() for rows in origins.each()] == [part["n"].tolist() for part in parts]


def test_a_parquet_file(tmp_path):
    table(23).to_message().to_parquet(tmp_path / "rows.parquet")
    data = fw.read_parquet(tmp_path / "rows.parquet").shuffle(seed=0).batch(5)
    whole = list(data.at_epoch(0))
    parts = [list(data.shard(rank, 2).at_epoch(0)) for rank in (0, 1)]
    assert [concat(step) for step in zip(*parts, strict=True)] == whole


def test_the_mean_over_a_batch_is_the_mean_of_parts_by_their_rows():
    whole = numbers(batches().at_epoch(0))
    sums = [sum(numbers(batches().shard(rank, 3).at_epoch(0))) for rank in range(3)]
    assert sum(sums) == sum(whole)


class TestWhereRankAndWorldComeFrom:
    def test_the_environment(self, monkeypatch):
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "3")
        shard = batches().shard()
        assert (shard.rank, shard.world) == (1, 3)

    def test_nothing_says_it(self, monkeypatch):
        monkeypatch.delenv("RANK", raising=False)
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        with pytest.raises(
            ValueError, match=r"shard: there is no rank: .* Run the script with torchrun, or pass shard\(rank=0"
        ):
            batches().shard()

    def test_the_environment_is_no_number(self, monkeypatch):
        monkeypatch.setenv("RANK", "one")
        monkeypatch.setenv("WORLD_SIZE", "3")
        with pytest.raises(ValueError, match=r"shard: RANK and WORLD_SIZE must be ints; they are 'one' and '3'\."):
            batches().shard()

    def test_one_without_the_other(self):
        with pytest.raises(ValueError, match=r"shard: rank and world go together; got rank=1 and world=None\."):
            batches().shard(1)

    def test_two_processes_of_torch_distributed(self, tmp_path):
        """Two real processes with gloo: each takes its part, and together they add up a global batch."""
        script = tmp_path / "train.py"
        script.write_text(
            textwrap.dedent(
                """
                import sys
                import torch, torch.distributed as dist
                import fireworks as fw

                rank, store = int(sys.argv[1]), sys.argv[2]
                dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
                pipe = fw.source({"n": torch.arange(23)}).shuffle(seed=0).batch(5).shard()
                assert (pipe.rank, pipe.world) == (rank, 2)
                sums = []
                for part in pipe:
                    total = part["n"].sum()
                    dist.all_reduce(total)
                    sums.append(total.item())
                print(sums)
                dist.destroy_process_group()
                """
            )
        )
        command = [sys.executable, str(script)]
        environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
        running = [
            subprocess.Popen(
                [*command, str(rank), str(tmp_path / "store")], stdout=subprocess.PIPE, text=True, env=environment
            )
            for rank in (0, 1)
        ]
        outputs = [process.communicate(timeout=120)[0].strip() for process in running]
        expected = [int(batch["n"].sum()) for batch in fw.source({"n": torch.arange(23)}).shuffle(seed=0).batch(5)]
        assert outputs == [str(expected)] * 2


class TestRefusals:
    def test_rows(self):
        with pytest.raises(
            TypeError, match=r"shard: its input gives rows .*Write \.batch\(rows of all ranks together\)\.shard"
        ):
            table().shard(0, 2)

    def test_a_rank_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"shard: of 2 ranks the last is 1; got rank 2\."):
            batches().shard(2, 2)
        with pytest.raises(ValueError, match=r"shard: rank must be an int of at least 0; got -1\."):
            batches().shard(-1, 2)
        with pytest.raises(ValueError, match=r"shard: world must be an int of at least 1; got 0\."):
            batches().shard(0, 0)


def test_no_rows_at_all():
    pipe = table(5).filter("n", ">", 99).batch(4).shard(1, 2)
    assert (len(pipe), pipe.num_rows, list(pipe)) == (0, 0, [])


def test_an_empty_part_has_the_columns():
    parts = list(table(5).batch(2).shard(0, 3))
    assert [len(part) for part in parts] == [0, 0, 0]
    assert all(part.columns == ["x", "n", "w", "word"] for part in parts)
    assert parts[0]["x"].shape == (0, 3)
    assert np.asarray(parts[0]["w"]).dtype == float
