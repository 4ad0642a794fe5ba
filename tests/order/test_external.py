"""Rows that are brought into order on disk stand in the order in which a gather in memory brings them."""

import gc
import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from files_in_order import File, limit, message
from fireworks.core.iterable_dataset import ShareIterator
from fireworks.core.run import Run
from fireworks.core.shared_epoch import SharedEpoch
from fireworks.order import in_order, keys, piled
from order.uniformity import assert_every_order_is_equally_likely, assert_sorted_labels_are_mixed, sorted_rows
from pipelines import add_noise, counting, double, is_odd, numbers, total


@pytest.fixture
def reads_everything(monkeypatch):
    """Few rows are treated as many are."""
    monkeypatch.setattr(in_order, "_is_most", lambda flow, span: True)


@pytest.fixture
def on_disk(reads_everything, monkeypatch):
    """Nothing fits into memory."""
    monkeypatch.setattr(in_order, "_load", lambda base, run: None)


PIPES = {
    "shuffle": lambda data: data.shuffle(seed=1),
    "batches": lambda data: data.shuffle(seed=1).batch(7),
    "map": lambda data: data.shuffle(seed=1).map(double).map(total),
    "map before": lambda data: data.map(total).shuffle(seed=1).map(add_noise, seed=4).batch(10),
    "filter": lambda data: data.filter("n", ">=", 11).shuffle(seed=1),
    "filter behind": lambda data: data.shuffle(seed=1).filter(is_odd).batch(5),
    "split": lambda data: data.split(0.7, 0.3, seed=3)[0].shuffle(seed=1).batch(4),
    "take": lambda data: data.shuffle(seed=1).take(17),
    "skip": lambda data: data.shuffle(seed=1).skip(9).batch(4),
    "slice": lambda data: data.shuffle(seed=1).slice(3, 30, 4),
    "twice": lambda data: data.shuffle(seed=1).shuffle(seed=2).batch(6),
    "select": lambda data: data.shuffle(seed=1).select("n", "word").batch(6),
    "repeat": lambda data: data.shuffle(seed=1).repeat(2).batch(6),
    "prefetch": lambda data: data.shuffle(seed=1).batch(6).prefetch(2),
    "threads": lambda data: data.shuffle(seed=1).batch(6).map(double, workers=2),
}


@pytest.mark.parametrize("name", PIPES)
class TestTheOrderIsThatOfAGather:
    @pytest.mark.parametrize("num_rows", [1, 300])
    def test_on_disk(self, name, num_rows, on_disk):
        if name == "split" and num_rows < 10:
            pytest.skip("a part would stay empty")
        self.compare(PIPES[name], num_rows)

    def test_in_memory(self, name, reads_everything):
        self.compare(PIPES[name], 300)

    def compare(self, make, num_rows):
        file = File(message(num_rows), at_a_time=37)
        pipe, expected = make(file), make(fw.source(message(num_rows)))
        for _ in range(2):
            assert list(pipe) == list(expected)
        assert file.rows_in_order or file.rows_here_and_there


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(params=["batches", "map before", "twice"])
    def make_pipe(self, request, on_disk):
        return lambda: PIPES[request.param](File(message(23), at_a_time=10))


class TestRandomly:
    @settings(max_examples=40, deadline=None)
    @given(
        num_rows=st.integers(0, 400),
        at_a_time=st.integers(1, 200),
        budget=st.sampled_from([500, 3_000, 20_000, 10**6, 10**9]),
        name=st.sampled_from(sorted(PIPES)),
        epoch=st.integers(0, 3),
        stop=st.integers(0, 60),
    )
    def test_any_budget_gives_the_same_rows_and_resumes(self, num_rows, at_a_time, budget, name, epoch, stop):
        if name == "split" and num_rows < 10:
            num_rows += 10
        with limit(budget) as patch:
            patch.setattr(in_order, "_is_most", lambda flow, span: True)
            file = File(message(num_rows), at_a_time=at_a_time)
            pipe = PIPES[name](file)
            expected = list(PIPES[name](fw.source(message(num_rows))).at_epoch(epoch))
            assert list(pipe.at_epoch(epoch)) == expected
            running = iter(pipe.at_epoch(epoch))
            for _ in range(min(stop, len(expected))):
                next(running)
            state = json.loads(json.dumps(running.state_dict()))
            again = iter(PIPES[name](file).at_epoch(epoch))
            again.load_state_dict(state)
            assert list(again) == expected[stop:]

    @settings(max_examples=20, deadline=None)
    @given(num_rows=st.integers(1, 300), bits=st.integers(0, 8), pile_bytes=st.sampled_from([1, 500, 10**9]))
    def test_equal_keys_stand_in_the_order_of_their_places(self, num_rows, bits, pile_bytes):
        real = keys.keys

        def coarse(*arguments):
            return (
                real(*arguments) >> np.uint64(64 - bits) << np.uint64(64 - bits)
                if bits
                else real(*arguments) * np.uint64(0)
            )

        with pytest.MonkeyPatch.context() as patch:
            for module in (keys, __import__("fireworks.order.scatter", fromlist=["keys"])):
                patch.setattr(module, "keys", coarse)
            patch.setattr(in_order, "_is_most", lambda flow, span: True)
            patch.setattr(in_order, "_load", lambda base, run: None)
            patch.setattr(piled, "_PILE_BYTES", pile_bytes)
            pipe = File(message(num_rows), at_a_time=50).shuffle(seed=0)
            for _ in range(3):
                assert list(pipe) == list(fw.source(message(num_rows)).shuffle(seed=0).at_epoch(_))


class TestWhatIsRead:
    def test_the_source_once_for_all_epochs(self, on_disk):
        file = File(message(300))
        pipe = file.shuffle(seed=0).batch(10)
        for _ in range(4):
            list(pipe)
        assert (file.rows_in_order, file.rows_here_and_there) == (300, 0)

    def test_in_memory_too(self, reads_everything):
        file = File(message(300))
        pipe = file.shuffle(seed=0).batch(10)
        for _ in range(4):
            list(pipe)
        assert (file.rows_in_order, file.rows_here_and_there) == (300, 0)

    def test_a_part_is_read_on_too(self, monkeypatch):
        monkeypatch.setattr("fireworks.core.flow._READ_ROWS", 1024)
        file = File(message(4_000))
        for part, expected in zip(
            file.split(0.7, 0.3, seed=0), fw.source(message(4_000)).split(0.7, 0.3, seed=0), strict=True
        ):
            assert list(part.batch(50)) == list(expected.batch(50))
        assert file.rows_here_and_there == 0

    def test_two_iterators_of_two_epochs_at_once(self, on_disk):
        pipe = File(message(100)).shuffle(seed=0)
        one, other = iter(pipe), iter(pipe)
        expected = fw.source(message(100)).shuffle(seed=0)
        for first, second, want_first, want_second in zip(one, other, expected, expected, strict=True):
            assert (first, second) == (want_first, want_second)

    def test_a_few_rows_are_fetched_one_by_one(self):
        file = File(message(100_000))
        assert file.shuffle(seed=0).head(5) == fw.source(message(100_000)).shuffle(seed=0).head(5)
        assert (file.rows_in_order, file.rows_here_and_there) == (0, 5)

    def test_an_index_is_answered_from_the_piles_when_they_are_there(self, on_disk):
        file = File(message(100))
        pipe = file.shuffle(seed=0)
        whole = pipe.to_message()
        fetched = file.rows_here_and_there
        assert pipe[[5, 99, 0, 5]] == whole.take([5, 99, 0, 5])
        assert file.rows_here_and_there == fetched

    def test_row_numbers_travel_along(self, on_disk):
        flow = File(message(100)).filter("n", ">", 20).shuffle(seed=0).flow
        for chunk in flow.pieces(range(79), Run(2)):
            assert chunk.message["n"].tolist() == chunk.rows.tolist()

    def test_dropping_the_pipe_removes_its_files(self, on_disk, tmp_path):
        with fw.scratch_folder(tmp_path):
            pipe = File(message(100)).shuffle(seed=0)
            next(iter(pipe))
            assert list(tmp_path.iterdir())
            del pipe
            gc.collect()  # a pipe and its flow hold each other
            assert not list(tmp_path.iterdir())


class TestWorkers:
    @pytest.mark.parametrize("workers", [0, 1, 2])
    def test_a_data_loader_gets_the_same_batches(self, workers, on_disk):
        pipe = File(message(300)).shuffle(seed=1).map(double).batch(7)
        list(pipe.at_epoch(1))  # there are piles before the workers are forked
        dataset = pipe.as_iterable_dataset()
        expected = fw.source(message(300)).shuffle(seed=1).map(double).batch(7)
        for _ in range(2):
            loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=workers)
            assert list(loader) == list(expected)
        assert list(pipe.at_epoch(1)) == list(expected.at_epoch(1))

    def test_a_few_items_at_a_time_come_from_the_piles(self, on_disk):
        file = File(message(300))
        shares = [iter(ShareIterator(file.shuffle(seed=1).batch(7), SharedEpoch(), worker, 2)) for worker in range(2)]
        batches = [batch for pair in itertools.zip_longest(*shares) for batch in pair if batch is not None]
        assert batches == list(fw.source(message(300)).shuffle(seed=1).batch(7))
        assert file.rows_here_and_there == 0


class TestStreams:
    @pytest.mark.parametrize("budget", [1, 2_000, 10**9])
    @pytest.mark.parametrize("num_rows", [0, 1, 200])
    def test_a_stream_is_shuffled_as_what_is_in_memory_is(self, num_rows, budget):
        stream = fw.source(lambda: iter([message(num_rows)[start : start + 30] for start in range(0, num_rows, 30)]))
        pipe = stream.shuffle(seed=1).map(total).batch(6)
        expected = fw.source(message(num_rows)).shuffle(seed=1).map(total).batch(6)
        with limit(budget):
            for _ in range(2):
                assert list(pipe) == list(expected)

    def test_batches_of_a_stream_need_random_access(self):
        with pytest.raises(fw.errors.NoRandomAccessError, match=r"shuffle of batches needs random access, and Iter"):
            fw.source(lambda: iter([{"n": 1}])).batch(2).shuffle(seed=0)


class TestStreamContract(fw.testing.PipeContract):
    @pytest.fixture(params=[10**9, 500])
    def make_pipe(self, request):
        with limit(request.param):
            yield lambda: counting(31).shuffle(seed=1).batch(4)


def test_another_order_that_scatters_goes_the_same_way(on_disk):
    class Reversed(fw.OrderStage):
        scatters = True

        def num_items_out(self, num_items):
            return num_items + 2

        def locate(self, span, num_items, epoch):
            return np.maximum(num_items - 1 - np.asarray(span), 0)

    file = File(message(90), at_a_time=20)
    assert numbers(Reversed(file)) == [*range(89, -1, -1), 0, 0]
    assert (file.rows_in_order, file.rows_here_and_there) == (90, 0)


class TestIsExactlyUniform:
    @pytest.mark.parametrize("num_bytes", [100, 10**9], ids=["in piles", "in memory"])
    def test_every_order_of_five_rows_is_equally_likely(self, num_bytes, reads_everything):
        with limit(num_bytes):
            assert_every_order_is_equally_likely(
                lambda num_rows, seed: File(sorted_rows(num_rows)).shuffle(seed=seed), epochs=1500, seeds=0
            )

    def test_a_stream_in_piles(self):
        with limit(100):
            assert_every_order_is_equally_likely(
                lambda num_rows, seed: fw.source(lambda: iter([sorted_rows(num_rows)])).shuffle(seed=seed),
                epochs=1200,
                seeds=0,
            )

    def test_sorted_labels_are_mixed(self, on_disk):
        with limit(50_000):
            assert_sorted_labels_are_mixed(
                lambda num_rows, seed: File(sorted_rows(num_rows)).shuffle(seed=seed), num_rows=5_000, seeds=2
            )


def test_a_file_that_changes_between_epochs_is_found_out(on_disk):
    class Changing(File):
        changed = False

        def require_unchanged(self):
            if self.changed:
                raise fw.errors.FileChangedError("the file has changed")

    file = Changing(message(100))
    pipe = file.shuffle(seed=0)
    list(pipe)
    file.changed = True
    with pytest.raises(fw.errors.FileChangedError):
        list(pipe)


def test_rows_in_memory_go_when_a_smaller_budget_comes(reads_everything, tmp_path):
    pipe = File(message(300)).shuffle(seed=0)
    list(pipe)
    expected = list(fw.source(message(300)).shuffle(seed=0).at_epoch(0))
    with fw.scratch_folder(tmp_path), limit(2_000), fw.memory_budget("1MB"):
        assert list(pipe.at_epoch(0)) == expected
        assert list(tmp_path.iterdir())
