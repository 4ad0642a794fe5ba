"""One level of a cache: its bounds, and that it is whole after an error."""

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.cache.future import Futures
from fireworks.cache.level import Level


def rows_of(numbers, word=3):
    return fw.Message(
        {"n": torch.as_tensor(numbers), "t": pd.array(["x" * (word + n % 7) for n in numbers], dtype="str")}
    )


def put(level, numbers, message):
    level.prepare(message)
    return level.put(np.array(numbers), message, keep_left=True)


@pytest.mark.parametrize("policy", ["pin", "lru", "lfu", "belady"])
@pytest.mark.parametrize("max_bytes", [100, 1000, 5000, 50_000])
def test_what_is_put_in_is_held_or_left(policy, max_bytes):
    level = Level(policy, Futures(), None, max_bytes)
    rng = np.random.default_rng(0)
    for start in range(0, 600, 30):
        before = set(level.rows.tolist())
        numbers = list(range(start, start + 30))
        left = put(level, numbers, rows_of(numbers, word=int(rng.integers(0, 100))))
        gone = {n for some, _ in left for n in some.tolist()}
        assert all(message["n"].tolist() == some.tolist() for some, message in left)
        assert set(level.rows.tolist()) == (before | set(numbers)) - gone
        assert level.column_bytes + level.table_bytes <= max_bytes
        assert level.take(level.slots.find(level.rows))["n"].tolist() == level.rows.tolist()


def test_much_of_its_bytes_is_used():
    level = Level("lru", Futures(), None, 200_000)
    for start in range(0, 20_000, 500):
        put(level, range(start, start + 500), rows_of(range(start, start + 500)))
    assert level.column_bytes + level.table_bytes > 100_000


def test_an_error_half_way_leaves_it_empty_and_usable(monkeypatch):
    level = Level("lru", Futures(), 50)
    put(level, range(40), rows_of(range(40)))

    def interrupted(rows, slots):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(level.slots, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            put(level, range(40, 60), rows_of(range(40, 60)))
    assert len(level) == 0
    put(level, range(40, 60), rows_of(range(40, 60)))
    assert level.rows.tolist() == list(range(40, 60))
    with monkeypatch.context() as patch:
        patch.setattr(level.columns, "forget", lambda slots: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            level.drop(np.array([41]), np.array([1]))
    assert len(level) == 0


def test_how_many_rows_fit_without_any_that_has_to_go():
    level = Level("lru", Futures(), 10)
    put(level, range(7), rows_of(range(7)))
    assert level.free_rows(5, rows_of(range(5))) == 3
    assert level.free_rows(2, rows_of(range(2))) == 2
    assert level.room_for(100) == 10


def test_a_pinned_level_is_closed_when_it_is_full():
    level = Level("pin", Futures(), 3)
    put(level, range(3), rows_of(range(3)))
    assert not level.is_closed
    put(level, [5], rows_of([5]))
    assert level.is_closed
    level.drop(np.array([1]), level.slots.find(np.array([1])).astype(np.int64))
    assert not level.is_closed
