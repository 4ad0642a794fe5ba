"""The epoch of a dataset, shared with the worker processes of a DataLoader."""

import copy
import os
import pickle
from types import SimpleNamespace

import pytest

from fireworks.core import shared_epoch
from fireworks.core.shared_epoch import SharedEpoch


@pytest.fixture
def as_worker(monkeypatch):
    def become(worker, seed, workers=2):
        info = None if worker is None else SimpleNamespace(id=worker, seed=seed + worker, num_workers=workers)
        monkeypatch.setattr(shared_epoch, "get_worker_info", lambda: info)

    return become


def in_worker(epochs):
    """The copy that a worker process has: the same memory, a count of its own."""
    made = SharedEpoch.__new__(SharedEpoch)
    made._words, made._begun = epochs._words, 0
    return made


def test_without_workers_it_counts():
    epochs = SharedEpoch()
    assert [epochs.begin(), epochs.begin(), epochs.upcoming] == [0, 1, 2]


def test_all_workers_of_a_pass_begin_the_same_epoch(as_worker):
    epochs = SharedEpoch()
    for expected, seed in enumerate((77, 78, 78)):  # new workers for each pass, and one seed twice
        first, second = in_worker(epochs), in_worker(epochs)
        as_worker(0, seed)
        assert first.begin() == expected
        as_worker(1, seed)
        assert second.begin() == expected


def test_workers_that_stay_go_on_together_even_if_one_is_late(as_worker):
    epochs = SharedEpoch()
    first, second = in_worker(epochs), in_worker(epochs)
    as_worker(0, 5)
    begun = [first.begin(), first.begin()]
    epochs.upcoming = 9
    begun.append(first.begin())
    as_worker(1, 5)
    assert [second.begin(), second.begin(), second.begin()] == begun == [0, 1, 9]


def test_a_worker_that_is_quick_does_not_join_the_pass_before(as_worker, monkeypatch):
    epochs = SharedEpoch()
    for worker in (0, 1):
        as_worker(worker, 5)
        in_worker(epochs).begin()
    monkeypatch.setattr(shared_epoch, "_WAIT_S", 0.01)
    with pytest.raises(RuntimeError, match="worker 0 has not begun"):  # the next pass, of workers with the same seed
        in_worker(epochs).begin()


def test_old_passes_make_room(as_worker):
    epochs = SharedEpoch()
    for seed in range(200):
        as_worker(0, seed)
        assert in_worker(epochs).begin() == seed
    as_worker(1, 199)
    assert in_worker(epochs).begin() == 199


def test_a_worker_whose_first_one_never_begins_gives_up(as_worker, monkeypatch):
    monkeypatch.setattr(shared_epoch, "_WAIT_S", 0.01)
    as_worker(1, 5)
    with pytest.raises(RuntimeError, match=r"as_iterable_dataset: worker 0 has not begun, so the epoch is not known\."):
        SharedEpoch().begin()


def test_a_worker_whose_parent_is_gone_gives_up(as_worker, monkeypatch):
    parents = iter([1, 2])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    as_worker(1, 5)
    with pytest.raises(RuntimeError, match="worker 0 has not begun"):
        SharedEpoch().begin()


def test_more_workers_than_there_is_room_for(as_worker):
    as_worker(1024, 5, workers=2000)
    with pytest.raises(RuntimeError, match="as_iterable_dataset: at most 1024 workers; got 2000"):
        SharedEpoch().begin()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda epochs: pickle.loads(pickle.dumps(epochs))])
def test_a_copy_counts_by_itself_in_memory_that_its_workers_share(copied):
    epochs = SharedEpoch()
    epochs.upcoming = 3
    other = copied(epochs)
    epochs.upcoming = 0
    assert other.begin() == 3
    assert other._words.is_shared()
