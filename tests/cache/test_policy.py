"""What a full cache keeps; each policy against lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireworks.cache.future import Future, Futures
from fireworks.cache.policy import FREE, POLICIES, lowest, make_policy


@given(numbers=st.lists(st.integers(-5, 5), min_size=1), count=st.integers(0, 20))
def test_the_lowest_numbers(numbers, count):
    count = min(count, len(numbers))
    found = lowest(np.array(numbers), count)
    assert len(set(found.tolist())) == count
    assert sorted(numbers[at] for at in found) == sorted(numbers)[:count]


@pytest.mark.parametrize(
    "make", [np.arange, np.zeros, lambda n: -np.arange(n), lambda n: np.random.default_rng(0).random(n)]
)
@pytest.mark.parametrize("count", [1, 100, 1500, 40_000])
def test_the_lowest_of_many_numbers(make, count):
    numbers = make(100_000)
    found = lowest(numbers, count)
    assert len(np.unique(found)) == count
    assert sorted(numbers[found]) == sorted(np.sort(numbers)[:count])


@pytest.mark.parametrize("name", POLICIES)
def test_free_slots_are_never_chosen(name):
    futures = Futures()
    futures.expect(Future(np.array([10, 11, 12])), None)
    policy = make_policy(name, futures)
    policy.grow(8)
    assert (policy.score == FREE).all()
    policy.entered(np.array([2, 5]), np.array([10, 99]))
    policy.left(np.array([2]))
    policy.entered(np.array([1]), np.array([11]))
    gone, stay = policy.make_room(2, 2, np.array([12, 50]))
    assert set(gone.tolist()) <= {1, 5}
    assert len(gone) + 2 - len(stay) == 2


def test_belady_prefers_what_is_held_among_equals():
    policy = make_policy("belady", Futures())
    policy.grow(2)
    policy.entered(np.array([0, 1]), np.array([3, 4]))
    gone, stay = policy.make_room(2, 2, np.array([5, 6]))
    assert gone.tolist() == stay.tolist() == []


def test_the_count_of_uses_does_not_overflow():
    policy = make_policy("lfu", Futures())
    policy.grow(2)
    policy.entered(np.array([0, 1]), np.array([0, 1]))
    policy.score[0] = ((1 << 22) - 1) << 40
    policy.used(np.array([0]), np.array([0]))
    assert 0 < policy.score[0] < FREE
    assert policy.make_room(1, 2, np.array([9]))[0].tolist() == [1]
