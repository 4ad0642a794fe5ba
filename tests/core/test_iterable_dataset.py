"""Any pipe as an iterable dataset of PyTorch, shared among the workers of a DataLoader."""

import json

import pytest
import torch
from torch.utils.data import DataLoader

from fireworks.core.iterable_dataset import PipeIterableDataset, ShareIterator
from fireworks.core.shared_epoch import SharedEpoch
from fireworks.errors import StateError
from pipelines import add_noise, counting, double, is_odd, numbers, table, total

PIPES = {
    "batches": lambda: table().map(add_noise, seed=1).shuffle(seed=0).batch(4),
    "functions over batches": lambda: table().shuffle(seed=0).batch(4).map(total),
    "rows": lambda: table().map(double).shuffle(seed=0),
    "stream": lambda: counting().map(double).batch(3),
    "stream of rows": lambda: counting(7),
    "a filtered shuffle": lambda: table().shuffle(seed=0).filter(is_odd).batch(2),
    "fewer batches than workers": lambda: table(3).batch(4),
}


@pytest.fixture(params=PIPES.values(), ids=PIPES.keys())
def pipe(request):
    return request.param()


def share(pipe, worker, workers, epoch=0):
    epochs = SharedEpoch()
    epochs.upcoming = epoch
    return ShareIterator(pipe, epochs, worker, workers)


class TestShares:
    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_a_worker_yields_every_so_manyth_item(self, pipe, workers):
        for epoch in (0, 2):
            items = list(pipe.at_epoch(epoch))
            for worker in range(workers):
                assert list(share(pipe, worker, workers, epoch)) == items[worker::workers]

    @pytest.mark.parametrize("workers", [1, 3])
    def test_a_share_resumes_at_every_item(self, pipe, workers):
        for worker in range(workers):
            whole = list(share(pipe, worker, workers, epoch=1))
            for stop in range(len(whole) + 1):
                running = share(pipe, worker, workers, epoch=1)
                for _ in range(stop):
                    next(running)
                state = json.loads(json.dumps(running.state_dict()))
                resumed = share(pipe, worker, workers)
                resumed.load_state_dict(state)
                assert list(resumed) == whole[stop:]

    def test_with_random_access_only_a_workers_own_batches_are_computed(self):
        seen = []

        def look(rows):
            seen.append(rows["n"][0].item())
            return rows

        list(share(table().batch(4).map(look), 1, 2))
        assert seen == [4, 12, 20]

    def test_an_error_does_not_end_the_share(self):
        failing = [True]

        def sometimes(rows):
            if failing[0]:
                raise ZeroDivisionError
            return rows

        items = share(table().batch(4).map(sometimes), 0, 2)
        with pytest.raises(ZeroDivisionError):
            next(items)
        failing[0] = False
        assert numbers(items) == [n for n in range(23) if n // 4 % 2 == 0]


class TestStates:
    def test_another_pipe_or_share_is_refused(self):
        state = share(table().batch(4), 0, 2).state_dict()
        with pytest.raises(
            StateError, match=r"as_iterable_dataset: the state is of another pipe: stage 1 was Batch\(4\)"
        ):
            share(table().batch(5), 0, 2).load_state_dict(state)
        with pytest.raises(
            StateError, match=r"the state is of worker 0 of 2, this is worker 1 of 2; resume with as many"
        ):
            share(table().batch(4), 1, 2).load_state_dict(state)
        with pytest.raises(StateError, match="as_iterable_dataset: expected a state of version 1; got"):
            share(table().batch(4), 0, 2).load_state_dict({"version": 9})

    def test_the_next_pass_is_the_epoch_after_the_states(self):
        dataset = table().shuffle(seed=0).batch(4).as_iterable_dataset()
        dataset.set_epoch(4)
        state = iter(dataset).state_dict()
        fresh = table().shuffle(seed=0).batch(4).as_iterable_dataset()
        iter(fresh).load_state_dict(state)
        assert iter(fresh).state_dict()["epoch"] == 5


class TestPipeIterableDataset:
    def test_it_is_a_dataset_of_torchs(self):
        dataset = table().batch(4).as_iterable_dataset()
        assert isinstance(dataset, torch.utils.data.IterableDataset)
        assert (len(dataset), len(DataLoader(dataset, batch_size=None))) == (6, 6)
        assert repr(dataset) == "PipeIterableDataset(Memory(23 rows: x, n, w, word) → Batch(4))"

    def test_a_stream_has_no_length(self):
        dataset = counting().batch(4).as_iterable_dataset()
        assert dataset
        with pytest.raises(TypeError, match="its length is not known before its end"):
            len(dataset)

    def test_the_pipe_counts_no_epochs_of_it(self):
        pipe = table().shuffle(seed=0).batch(4)
        list(pipe.as_iterable_dataset())
        assert list(pipe) == list(pipe.at_epoch(0))

    def test_it_wraps_pipes_only(self):
        with pytest.raises(TypeError, match=r"PipeIterableDataset: expected a pipe; got list\. Wrap it: fw\.source"):
            PipeIterableDataset([1])

    def test_what_no_epoch_is(self):
        with pytest.raises(ValueError, match=r"set_epoch: epoch must be an int of at least 0; got 1\.5\."):
            table().as_iterable_dataset().set_epoch(1.5)


@pytest.mark.parametrize(
    ("workers", "start", "persistent"),
    [
        (0, None, False),
        (2, "fork", False),
        (2, "fork", True),
        pytest.param(2, "spawn", True, marks=pytest.mark.slow),
    ],
)
def test_a_loader_gives_the_batches_of_each_epoch_in_order(workers, start, persistent):
    pipe = table().map(add_noise, seed=1).shuffle(seed=0).batch(4)
    dataset = pipe.as_iterable_dataset()
    loader = DataLoader(
        dataset, batch_size=None, num_workers=workers, multiprocessing_context=start, persistent_workers=persistent
    )
    for epoch in (0, 1):
        assert list(loader) == list(pipe.at_epoch(epoch))
    dataset.set_epoch(5)
    for epoch in (5, 6):
        assert list(loader) == list(pipe.at_epoch(epoch))
    next(iter(loader))  # a pass that is left after its first batch counts
    assert list(loader) == list(pipe.at_epoch(8))


def test_a_loader_reads_a_stream_in_order():
    loader = DataLoader(counting().batch(3).as_iterable_dataset(), batch_size=None, num_workers=2)
    assert numbers(loader) == list(range(23))


def test_equal_seeds_of_two_passes_are_two_epochs():
    pipe = table().shuffle(seed=0).batch(4)
    loader = DataLoader(pipe.as_iterable_dataset(), batch_size=None, num_workers=2)
    for epoch in (0, 1, 2):
        torch.manual_seed(0)
        assert list(loader) == list(pipe.at_epoch(epoch))
