"""Items made ahead: the same items and states, never more than asked for, and a thread that ends."""

import gc
import json
import threading
import time

import pytest
import torch

import fireworks as fw
from pipelines import add_noise, counting, double, numbers, table
from worker_functions import fail_at_13


def own_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fireworks")]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    gc.collect()
    assert not own_threads()


class TestBatches(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table().shuffle(seed=0).batch(4).map(add_noise, seed=1).prefetch(2)


class TestRows(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table(9).map(double).prefetch(3)


class TestRowsOfNothingElse(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table(9).prefetch(3).shuffle(seed=0)


class TestAStreamOfRows(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: counting(9).prefetch(2)


class TestAStreamOfBatches(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: counting().batch(4).prefetch(2).map(double, workers=2).prefetch(1)


class TestNone(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table().batch(4).prefetch(0)


@pytest.mark.parametrize("num_items", [-1, 1.0, True])
def test_items_are_counted(num_items):
    with pytest.raises(ValueError, match=r"prefetch: num_items must be an int of at least 0; got"):
        table().prefetch(num_items)


class TestAhead:
    @pytest.mark.parametrize("num_items", [1, 2, 5])
    def test_never_more_than_so_many_are_made_ahead(self, num_items):
        made = []

        def note(rows):
            made.append(int(rows["n"][0]))
            return rows

        iterator = iter(table(60).batch(2).map(note).prefetch(num_items))
        for item in range(20):
            next(iterator)
            time.sleep(0.001)
            assert len(made) <= item + 1 + num_items

    def test_they_are_made_while_the_consumer_works(self):
        made = threading.Semaphore(0)

        def note(rows):
            made.release()
            return rows

        iterator = iter(table(60).batch(2).map(note).prefetch(3))
        next(iterator)
        for _ in range(4):  # the first, and three ahead
            assert made.acquire(timeout=20)

    def test_stages_behind_it_run_in_the_thread_that_asks(self):
        names = {}

        def note(key):
            def function(rows):
                names[key] = threading.current_thread().name
                return rows

            return function

        list(table().batch(4).map(note("before")).prefetch(2).map(note("behind")))
        assert names == {"before": "fireworks-prefetch", "behind": threading.current_thread().name}

    def test_a_single_item_needs_no_thread(self):
        names = []

        def note(rows):
            names.append(threading.current_thread().name)
            return rows

        pipe = table().batch(4).map(note).prefetch(2)
        assert pipe[3]["n"].tolist() == [12, 13, 14, 15]
        assert names == [threading.current_thread().name]

    def test_two_passes_at_once(self):
        pipe = table().shuffle(seed=0).batch(4).prefetch(2)
        one, other = iter(pipe), iter(pipe)
        both = list(zip(one, other, strict=True))
        assert [a for a, _ in both] == list(table().shuffle(seed=0).batch(4).at_epoch(0))
        assert [b for _, b in both] == list(table().shuffle(seed=0).batch(4).at_epoch(1))


class TestStates:
    def test_a_state_says_where_the_consumer_is(self):
        iterator = iter(table().batch(4).prefetch(3))
        next(iterator)
        assert iterator.state_dict()["cursor"] == {"position": 1}

    @pytest.mark.parametrize("make", [lambda: table().batch(4), lambda: counting().batch(4), lambda: counting(9)])
    @pytest.mark.parametrize(("there", "here"), [(2, 0), (0, 2), (5, 1)])
    def test_it_can_be_loaded_with_another_number(self, make, there, here):
        running = iter(make().prefetch(there))
        items = [next(running) for _ in range(2)]
        resumed = iter(make().prefetch(here))
        resumed.load_state_dict(json.loads(json.dumps(running.state_dict())))
        assert items + list(resumed) == list(make().at_epoch(0))


class TestTheEnd:
    def test_the_thread_ends_with_the_pass(self):
        list(table().batch(4).prefetch(2))
        assert not own_threads()

    def test_it_ends_when_the_iterator_is_gone(self):
        iterator = iter(table(100).batch(4).prefetch(2))
        next(iterator)
        assert own_threads()
        del iterator
        assert not own_threads()

    def test_it_ends_when_an_iterator_in_a_cycle_is_collected(self):
        holder = [iter(table(100).batch(4).prefetch(2))]
        holder.append(holder)
        next(holder[0])
        del holder
        gc.collect()
        assert not own_threads()

    def test_it_ends_when_the_loop_is_left(self):
        for _ in counting(1000).batch(4).prefetch(2):
            break
        assert not own_threads()

    @pytest.mark.parametrize("make", [table, counting])
    def test_an_error_comes_at_its_place(self, make):
        iterator = iter(make().batch(4).map(fail_at_13).prefetch(3))
        assert [next(iterator)["n"].tolist()[0] for _ in range(3)] == [0, 4, 8]
        with pytest.raises(ValueError, match="13 is in the rows") as kept:
            next(iterator)
        assert "on rows [12, 13, 14, 15] of the source" in kept.value.__notes__[0]
        assert not own_threads()
        with pytest.raises(ValueError, match="13 is in the rows"):
            next(iterator)

    def test_an_error_of_the_consumer_ends_it_though_it_is_kept(self):
        iterator = iter(table(400).batch(4).prefetch(2).map(fail_at_13))
        with pytest.raises(ValueError, match="13") as kept:
            list(iterator)
        assert not own_threads()
        assert kept.value

    def test_ctrl_c_in_the_consumer_loses_no_item(self, monkeypatch):
        stream = counting().batch(4).prefetch(2)
        iterator = iter(stream)
        first = next(iterator)
        from fireworks.parallel.prefetch import _Lane

        with monkeypatch.context() as patch:
            patch.setattr(_Lane, "next_item", lambda lane: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                next(iterator)
        assert not own_threads()
        assert numbers([first, *iterator]) == list(range(23))


def test_results_of_many_stages_ahead_are_the_same():
    plain = table(3000).map(add_noise, seed=1).shuffle(seed=2).batch(100).map(add_noise, seed=3)
    ahead = table(3000).map(add_noise, seed=1, workers=2).prefetch(2).shuffle(seed=2).batch(100).prefetch(2)
    ahead = ahead.map(add_noise, seed=3, workers=3).prefetch(4)
    for epoch in (0, 2):
        assert list(ahead.at_epoch(epoch)) == list(plain.at_epoch(epoch))
    assert torch.equal(ahead[7]["noise"], plain[7]["noise"])
