"""How rows that are missing are had from above: in large pieces, on the grid, and by which policy."""

import gc
import os

import numpy as np
import pytest
import torch

import fireworks as fw
from fireworks.cache.store import Settings, Store
from fireworks.core.budget import Budget
from fireworks.core.run import Run


class Asked(fw.Source):
    """Numbers, and a note of what was asked for."""

    schema = fw.Message({"n": [0]}).schema

    def __init__(self, num_rows):
        super().__init__()
        self._count, self.asked = num_rows, []

    def count(self):
        return self._count

    def fetch(self, rows):
        self.asked.append(rows if isinstance(rows, range) else rows.tolist())
        return fw.Message({"n": np.asarray(rows)})


class Decoded(Asked):
    reads_in_order = True

    def scan(self, rows, budget):
        self.asked.append(("scan", rows))
        for start in range(rows.start, rows.stop, 5000):
            yield fw.Message({"n": np.arange(start, min(start + 5000, rows.stop))})


def test_rows_are_asked_for_once_sorted_and_together():
    source = Asked(100)
    pipe = source.cache()
    pipe[[9, 3, 50, 3]]
    pipe[[3, 4, 9, 2]]
    assert source.asked == [[3, 9, 50], [2, 4]]


def test_what_is_decoded_is_scanned_once_if_it_has_room():
    source = Decoded(50_000)
    pipe = source.cache(max_bytes="20MB").shuffle(seed=0).batch(100)
    for _ in range(2):
        assert sorted(n for batch in pipe for n in batch["n"].tolist()) == list(range(50_000))
    assert source.asked == [("scan", range(50_000))]


def test_a_pass_in_order_over_what_is_decoded_scans_the_gaps():
    source = Decoded(60_000)
    pipe = source.cache(max_rows=50_000)
    pipe[20_000:20_010]
    source.asked.clear()
    assert pipe.to_message()["n"].tolist() == list(range(60_000))
    assert source.asked == [("scan", range(20_000)), ("scan", range(20_010, 60_000))]


@pytest.mark.parametrize(
    ("make", "policy"),
    [
        (lambda rows: rows.cache(40).shuffle(seed=0), "pin"),
        (lambda rows: rows.cache(200).repeat(2).shuffle(seed=0), "pin"),
        (lambda rows: rows.cache(40).repeat(2).shuffle(seed=0), "pin"),
        (lambda rows: rows.map(lambda some: some).cache(40).shuffle(seed=0), "belady"),
        (lambda rows: rows.map(lambda some: some).cache(200).shuffle(seed=0), "pin"),
        (lambda rows: rows.cache(40, policy="lru").shuffle(seed=0), "lru"),
    ],
)
def test_the_policy_follows_from_what_is_asked(make, policy):
    pipe = make(fw.source({"n": torch.arange(100)}))
    list(pipe)
    cached = pipe
    while not isinstance(cached, fw.Cache):
        cached = cached.input
    assert cached._store._cache.policy == policy


def test_several_pipes_make_it_look_ahead():
    cached = fw.source({"n": torch.arange(100)}).cache(40)
    one, other = cached.shuffle(seed=0), cached.shuffle(seed=1)
    for a, b in zip(one, other, strict=True):
        assert len(a) == len(b) == 1
    assert cached._store._cache.policy == "belady"


def test_rows_that_repeat_make_it_look_ahead():
    class Twice(fw.OrderStage):
        def num_items_out(self, num_items):
            return 2 * num_items

        def locate(self, span, num_items, epoch):
            return np.asarray(span) // 2

    cached = fw.source({"n": torch.arange(100)}).cache(40)
    assert Twice(cached).to_message()["n"].tolist() == [n // 2 for n in range(200)]
    assert cached._store._cache.policy == "belady"


def test_a_future_that_takes_too_much_memory_is_not_kept():
    data = fw.source({"n": torch.arange(5000)}).map(lambda some: some)
    cached = data.cache(max_bytes=100_000)
    list(cached.shuffle(seed=0).batch(100))
    assert cached._store._cache.policy == "pin"


def test_its_bytes_are_counted_and_given_back():
    budget = Budget(10**6)
    data = fw.source({"n": torch.arange(3000)})
    store = Store(Settings(None, None, None, None))
    for _ in store.pieces(data.flow, range(3000), Run(0, budget=budget)):
        pass
    stats = store.stats()
    assert stats.num_bytes == budget.used_bytes <= 250_000
    store.clear()
    assert budget.used_bytes < 1000
    del store
    gc.collect()
    assert budget.used_bytes == 0


def test_a_forked_process_begins_with_an_empty_cache():
    pipe = fw.source({"n": torch.arange(100)}).cache(10, disk_bytes="1MB")
    pipe.to_message()
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            ok = pipe[[5, 90]]["n"].tolist() == [5, 90] and pipe.cache_stats().num_rows == 2
            os.write(writing, b"y" if ok else b"n")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1) == b"y"
    assert pipe.cache_stats().num_rows == 100
    assert pipe.to_message()["n"].tolist() == list(range(100))


def test_where_rows_are_drawn_it_looks_several_epochs_ahead():
    """At a half of the rows the bound of weighted sampling is out of reach with one epoch ahead: rows come back later."""
    num_rows, epochs = 4000, 6

    class Drawn(fw.OrderStage):
        def num_items_out(self, num_items):
            return num_items

        def locate(self, span, num_items, epoch):
            weights = np.where(np.arange(num_items) < num_items // 10, 20.0, 1.0)
            rng = np.random.default_rng(epoch)
            return rng.choice(num_items, num_items, p=weights / weights.sum())[np.asarray(span)]

    rows = fw.source({"n": torch.arange(num_rows), "wide": torch.zeros(num_rows, 1000, dtype=torch.float64)})
    cached = rows.cache(num_rows // 2)
    pipe = Drawn(cached).batch(50)
    before = (0, 0)
    for epoch in range(epochs):
        for _ in pipe.at_epoch(epoch):
            pass
        stats = cached.cache_stats()
        rate = (stats.hits - before[0]) / num_rows
        before = stats.hits, stats.misses
    assert cached._store._cache.policy == "belady"
    assert rate > 0.9
