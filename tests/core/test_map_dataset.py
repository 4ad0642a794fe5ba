"""A pipe with random access as a map-style dataset of PyTorch."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Sampler

from fireworks.errors import NoRandomAccessError
from fireworks.message import Message
from pipelines import add_noise, counting, numbers, table


class EverySecond(Sampler):
    """A sampler of one's own: positions 0, 2, 4, …"""

    def __init__(self, length):
        self.length = length

    def __iter__(self):
        return iter(range(0, self.length, 2))


@pytest.mark.parametrize("workers", [0, 2])
class TestAPipeInALoader:
    def test_rows_are_gathered_a_batch_at_a_time(self, workers):
        pipe = table().map(add_noise, seed=1).shuffle(seed=0)
        assert list(DataLoader(pipe, batch_size=4, num_workers=workers)) == list(pipe.batch(4).at_epoch(0))

    def test_batches_come_as_they_are(self, workers):
        pipe = table().shuffle(seed=0).batch(4)
        assert list(DataLoader(pipe, batch_size=None, num_workers=workers)) == list(pipe.at_epoch(0))

    def test_several_batches_become_one(self, workers):
        loader = DataLoader(table().batch(4), batch_size=3, num_workers=workers)
        assert [batch["n"].tolist() for batch in loader] == [list(range(12)), list(range(12, 23))]

    def test_a_sampler_chooses(self, workers):
        pipe = table()
        loader = DataLoader(pipe, batch_size=5, sampler=EverySecond(len(pipe)), num_workers=workers)
        assert numbers(loader) == list(range(0, 23, 2))


class TestGetitems:
    def test_rows_are_one_message_and_batches_a_list(self):
        assert table().__getitems__([5, 1])["n"].tolist() == [5, 1]
        assert [len(batch) for batch in table().batch(4).__getitems__([5, 1])] == [3, 4]

    def test_one_call_of_the_functions_for_a_batch(self):
        calls = []

        def look(rows):
            calls.append(len(rows))
            return rows

        list(DataLoader(table().map(look), batch_size=23))
        assert calls == [23]


@pytest.mark.parametrize("workers", [0, 2])
class TestEpochs:
    def test_an_epoch_that_is_set_reaches_workers_that_run_already(self, workers):
        pipe = table().shuffle(seed=0)
        dataset = pipe.as_dataset()
        loader = DataLoader(dataset, batch_size=4, num_workers=workers, persistent_workers=workers > 0)
        assert numbers(loader) == numbers(pipe.at_epoch(0))
        assert numbers(loader) == numbers(pipe.at_epoch(0))
        for epoch in (2, 1):
            dataset.set_epoch(epoch)
            assert numbers(loader) == numbers(pipe.at_epoch(epoch))

    def test_batches_too(self, workers):
        pipe = table().shuffle(seed=0).batch(4)
        dataset = pipe.as_dataset()
        dataset.set_epoch(3)
        assert list(DataLoader(dataset, batch_size=None, num_workers=workers)) == list(pipe.at_epoch(3))


class TestPipeDataset:
    def test_it_is_a_dataset_of_torchs(self):
        dataset = table().as_dataset()
        assert isinstance(dataset, torch.utils.data.Dataset)
        assert (len(dataset), repr(dataset)) == (23, "PipeDataset(Memory(23 rows: x, n, w, word))")
        assert isinstance(dataset[3], Message)
        assert dataset.__getitems__([3, 2])["n"].tolist() == [3, 2]

    def test_the_pipe_stays_as_it_is(self):
        pipe = table().shuffle(seed=0)
        dataset = pipe.as_dataset()
        dataset.set_epoch(4)
        assert pipe[0] == pipe.at_epoch(0)[0] != dataset[0]
        assert numbers(pipe) == numbers(pipe.at_epoch(0))

    def test_a_copy_keeps_the_epoch_and_counts_by_itself(self):
        dataset = table().shuffle(seed=0).as_dataset()
        dataset.set_epoch(2)
        copy = pickle.loads(pickle.dumps(dataset))
        assert copy[0] == dataset[0]
        dataset.set_epoch(0)
        assert copy[0] != dataset[0]

    def test_a_stream_is_refused(self):
        with pytest.raises(NoRandomAccessError, match=r"as_dataset needs random access, and .* is a stream"):
            counting().as_dataset()

    def test_what_no_epoch_is(self):
        with pytest.raises(ValueError, match=r"set_epoch: epoch must be an int of at least 0; got -1\."):
            table().as_dataset().set_epoch(-1)
