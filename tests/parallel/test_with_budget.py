"""One limit for all that is under way in a pipeline, measured by the sum of what is."""

import pickle
import threading

import pytest
import torch

import fireworks as fw
from pipelines import add_noise, counting, double, numbers, table
from worker_functions import slow_if_even

ROW = 8 + 8  # column n, and the row number


class TestBatches(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table().batch(4).map(double, workers=2).prefetch(2).with_budget(500)


class TestRowsBeforeAShuffle(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table(9).map(add_noise, seed=1).with_budget("1MB").shuffle(seed=0)


class TestAStream(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: counting().batch(4).with_budget("1KB").prefetch(3)


def rows(count=400):
    return fw.source({"n": torch.arange(count)})


class Watched:
    """A function that knows how many batches were begun and not taken yet; they are all alike."""

    def __init__(self):
        self.begun = 0
        self.lock = threading.Lock()

    def __call__(self, message):
        with self.lock:
            self.begun += 1
        return message


class TestTheLimit:
    @pytest.mark.parametrize("batches", [1, 2, 3, 7])
    def test_the_bytes_under_way_stay_below_it(self, batches):
        limit = batches * 10 * ROW
        function = Watched()
        pipe = rows().batch(10).map(function, workers=8).with_budget(limit)
        iterator = iter(pipe)
        for taken in range(1, 41):
            next(iterator)
            assert (function.begun - taken) * 10 * ROW <= limit
        assert pipe.budget.peak_bytes <= limit
        assert next(iterator, None) is None
        assert pipe.budget.used_bytes == 0

    def test_what_grows_in_a_function_counts_as_large_as_it_gets(self):
        def grow(message):
            return message.assign(x=torch.zeros(len(message), 100))

        large = 10 * (ROW + 400)
        pipe = rows().batch(10).map(grow, workers=8).with_budget(2 * large)
        assert len(list(pipe)) == 40
        assert pipe.budget.peak_bytes <= 2 * large

    @pytest.mark.parametrize("batches", [1, 2, 5])
    def test_prefetched_items_count(self, batches):
        limit = batches * 10 * ROW
        function = Watched()
        pipe = rows().batch(10).map(function).prefetch(20).with_budget(limit)
        iterator = iter(pipe)
        for taken in range(1, 41):
            next(iterator)
            assert (function.begun - taken) * 10 * ROW <= limit
        del iterator
        assert pipe.budget.peak_bytes <= limit
        assert pipe.budget.used_bytes == 0

    def test_one_item_per_stage_always_goes_on(self):
        pipe = (
            rows()
            .batch(10)
            .map(double, workers=2)
            .prefetch(3)
            .map(slow_if_even, workers=2)
            .prefetch(2)
            .with_budget(20 * ROW)
        )
        assert numbers(pipe) == [4 * n for n in range(400)]
        assert pipe.budget.used_bytes == 0

    def test_also_in_processes(self):
        pipe = rows().batch(10).map(double, workers=2, backend="process").with_budget(25 * ROW)
        assert numbers(pipe) == [2 * n for n in range(400)]
        assert 0 < pipe.budget.peak_bytes <= 25 * ROW

    def test_it_reaches_up_through_batches(self):
        pipe = rows(5000).map(double, workers=4).prefetch(5).batch(10).with_budget(33_000)
        assert numbers(pipe) == [2 * n for n in range(5000)]
        assert 1024 * ROW <= pipe.budget.peak_bytes <= 33_000

    def test_the_nearest_behind_counts(self):
        pipe = rows().batch(10).map(double, workers=2).with_budget("1MB").with_budget(20 * ROW)
        assert numbers(pipe) == [2 * n for n in range(400)]
        assert 10 * ROW <= pipe.budget.peak_bytes <= 20 * ROW
        assert pipe.input.budget.peak_bytes == 0

    def test_nothing_is_counted_any_more_when_a_pass_is_given_up(self):
        pipe = rows().batch(10).map(double, workers=2).prefetch(2).with_budget("1MB")
        iterator = iter(pipe)
        next(iterator)
        del iterator
        assert pipe.budget.used_bytes == 0

    def test_that_of_all_passes_holds_where_there_is_no_other(self):
        with fw.memory_budget(20 * ROW) as budget:
            assert numbers(rows().batch(10).map(double, workers=3).prefetch(4)) == [2 * n for n in range(400)]
        assert 10 * ROW <= budget.peak_bytes <= 2 * 10 * ROW  # one in the workers, one prefetched
        assert budget.used_bytes == 0


def test_it_is_a_number_of_bytes():
    with pytest.raises(
        ValueError, match="with_budget: limit must be a number of bytes of at least 1, or a text such as '2GB'"
    ):
        table().with_budget("little")


def test_a_copy_has_a_budget_of_its_own():
    pipe = table().batch(4).with_budget("1MB")
    again = pickle.loads(pickle.dumps(pipe))
    assert again.budget is not pipe.budget
    assert again.budget.max_bytes == 10**6


def test_it_is_no_part_of_a_state():
    running = iter(table().batch(4).with_budget("1MB"))
    next(running)
    resumed = iter(table().batch(4).with_budget("2MB"))
    resumed.load_state_dict(running.state_dict())
    assert next(resumed) == next(running)
