"""A stage that chooses items once gives the same ones in every epoch, in the order of the input."""

import pickle

import numpy as np
import pytest

import fireworks as fw
from fireworks.errors import NoRandomAccessError
from fireworks.order.chosen import Chosen
from pipelines import counting, numbers, table


class Even(Chosen):
    who = "even"

    def choose(self, num_items):
        return np.arange(0, num_items, 2)


class FirstHalf(Chosen):
    who = "half"

    def choose(self, num_items):
        return range(num_items // 2)


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(params=[lambda: Even(table(23)), lambda: FirstHalf(table(23)).shuffle(seed=0).batch(3)])
    def make_pipe(self, request):
        return request.param


def test_it_chooses_once(monkeypatch):
    calls = []
    monkeypatch.setattr(Even, "choose", lambda self, count: calls.append(count) or np.arange(0, count, 2))
    pipe = Even(table(9))
    assert [numbers(pipe), numbers(pipe)] == [[0, 2, 4, 6, 8]] * 2
    assert calls == [9]


def test_what_it_found_does_not_travel():
    pipe = Even(table(9))
    len(pipe)
    assert pickle.loads(pickle.dumps(pipe))._found is None


def test_a_range_stays_one():
    pipe = FirstHalf(table(20))
    assert pipe.locate(range(3, 5), 20, 0) == range(3, 5)
    assert pipe.locate(np.array([4, 0]), 20, 0).tolist() == [4, 0]


def test_refusals():
    with pytest.raises(NoRandomAccessError, match="even needs random access"):
        Even(counting())
    with pytest.raises(ValueError, match="even: the order of its input changes with every epoch"):
        Even(table().shuffle(seed=0))
    with pytest.raises(TypeError, match="Even: input must be a pipe; got list"):
        Even([1, 2])
    with pytest.raises(ValueError, match="half: its input has no rows"):
        FirstHalf(table().filter("n", ">", 99)).require_some(lambda count: "")
    with pytest.raises(ValueError, match="half: nothing of 1"):
        FirstHalf(table(1)).require_some(lambda count: f"half: nothing of {count}")


def test_what_its_positions_take_is_counted_where_the_rows_are_in_files(tmp_path):
    from fireworks.core.needs import needs

    rows = table(400).to_message()
    rows.to_parquet(tmp_path / "rows.parquet")
    data = fw.read_parquet(tmp_path / "rows.parquet")
    found = {need.stage: need.num_bytes for need in needs(data.split(0.5, 0.5, seed=0)[0])}
    assert found["Split(0.5, 0.5, seed=0)[0]"] == 1600
    assert not needs(fw.source(rows).split(0.5, 0.5, seed=0)[0])
    found = {need.stage: need.num_bytes for need in needs(data.bootstrap(seed=0))}
    assert found["Bootstrap(seed=0)"] > 16 * 400
    assert not needs(fw.source(rows).bootstrap(seed=0))
