"""What is known of the rows that will be asked for, against a search through lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.cache.future import NEVER, Future, Futures


@settings(max_examples=150, deadline=None)
@given(
    first=st.lists(st.integers(0, 8), min_size=1, max_size=20),
    then=st.none() | st.lists(st.integers(0, 8), max_size=10),
    cuts=st.lists(st.integers(1, 6), max_size=8),
    large=st.sampled_from([1, 2**58]),
)
def test_steps_are_those_that_a_search_finds(first, then, cuts, large):
    rows = np.array(first, dtype=np.int64) * large
    future = Future(rows, None if then is None else np.array(then, dtype=np.int64) * large)
    whole = [n * large for n in first + (then or [])]
    asked = np.arange(12) * large
    at = 0
    for cut in [0, *cuts]:
        part = rows[at : at + cut]
        assert future.advance(part) == (len(part) > 0)
        at += len(part)
        assert future.now == at
        expected = [whole.index(row, at) - at if row in whole[at:] else NEVER for row in asked.tolist()]
        assert future.steps(asked).tolist() == expected
    assert future.is_finished == (at == len(first))
    assert len(future) == len(first)


@pytest.mark.parametrize("rows", [range(10, 30), np.arange(10, 30)])
def test_it_goes_on_only_by_what_comes_next(rows):
    future = Future(rows)
    assert not future.advance(np.array([3]))
    assert not future.advance(np.array([11, 10]))
    assert not future.advance(np.array([28, 29, 30]))
    assert future.advance(np.array([12, 13]))  # two were skipped
    assert future.now == 4
    assert not future.advance(np.array([10]))
    assert future.advance(np.arange(14, 30))
    assert future.is_finished
    assert not future.advance(np.array([14]))


def test_no_rows():
    future = Future(np.empty(0, dtype=np.int64))
    assert future.steps(np.array([1])).tolist() == [NEVER]
    assert future.is_finished


def test_the_soonest_of_several_consumers_counts_by_a_common_clock():
    futures = Futures()
    futures.expect(Future(np.array([1, 2, 3, 4])), "a")
    futures.expect(Future(np.array([4, 3, 9, 1])), "b")
    rows = np.array([1, 2, 3, 4, 9, 7])
    assert futures.due(rows).tolist() == [0, 2, 2, 0, 4, NEVER]
    futures.asked(np.array([1, 2]))
    assert futures.due(rows).tolist() == [2 + 6, NEVER, 2, 2, 2 + 4, NEVER]


def test_a_consumer_that_begins_anew_is_known_once():
    futures = Futures()
    for _ in range(3):
        futures.expect(Future(np.array([1, 2])), "a")
        futures.asked(np.array([1, 2]))
    assert len(futures) == 1


def test_a_consumer_that_has_gone_is_forgotten():
    futures = Futures()
    futures.expect(Future(np.array([5, 6])), "gone")
    for _ in range(10):
        futures.expect(Future(np.array([1, 2])), "a")
        futures.asked(np.array([1, 2]))
    assert len(futures) == 1
