"""Work is done ahead in threads, in order, in bounded memory, and ends with its consumer."""

import gc
import threading

import pytest

from fireworks.core.budget import Budget
from fireworks.formats.read_ahead import ReadAhead


def ahead(units, make, *, size=1, max_bytes=4, budget=None, num_threads=3):
    return ReadAhead(
        units,
        make,
        lambda unit: size,
        lambda item: 1,
        max_bytes=max_bytes,
        budget=budget or Budget(None),
        num_threads=num_threads,
    )


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "fireworks-read-ahead"]


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("max_bytes", [1, 3, 100])
def test_items_come_in_the_order_of_their_units(num_threads, max_bytes):
    work = ahead(range(40), lambda n: iter([n] * (n % 4)), max_bytes=max_bytes, num_threads=num_threads)
    assert list(work) == [n for n in range(40) for _ in range(n % 4)]
    assert not threads()
    assert next(work, None) is None


def test_there_may_be_nothing_to_do():
    assert list(ahead([], iter)) == []


@pytest.mark.parametrize("max_bytes", [1, 2, 5])
def test_no_more_is_ready_and_under_way_than_is_allowed(max_bytes):
    budget = Budget(None)
    begun = []

    def make(n):
        begun.append(n)
        yield n

    work = ahead(range(20), make, max_bytes=max_bytes, budget=budget)
    for n in work:
        assert budget.used_bytes <= max_bytes + 1  # and the one that the consumer has in hand
        assert len(begun) <= n + max_bytes + 2
    assert budget.used_bytes == 0
    assert budget.peak_bytes <= max_bytes + 1


def test_a_unit_of_many_items_waits_for_its_consumer():
    made = []

    def make(n):
        for item in range(50):
            made.append(item)
            yield item

    work = ahead([0], make, max_bytes=4)
    for number, item in enumerate(work):
        assert item == number
        assert len(made) <= number + 8
    assert len(made) == 50


def test_a_budget_that_others_use_up_lets_one_unit_go_on_at_a_time():
    budget = Budget(10)
    budget.take(10)
    assert list(ahead(range(9), lambda n: iter([n]), max_bytes=5, budget=budget)) == list(range(9))
    assert budget.used_bytes == 10


def test_an_error_comes_where_its_item_would_have():
    def make(n):
        yield n
        if n == 2:
            raise ZeroDivisionError("two")
        yield -n

    budget = Budget(None)
    work = ahead(range(9), make, budget=budget)
    assert [next(work) for _ in range(5)] == [0, 0, 1, -1, 2]
    with pytest.raises(ZeroDivisionError, match="two"):
        next(work)
    assert not threads()
    assert budget.used_bytes == 0


def test_an_error_in_what_is_expected_comes_at_once():
    def refuse(unit):
        raise ZeroDivisionError("unknown")

    with pytest.raises(ZeroDivisionError, match="unknown"):
        ReadAhead([1], iter, refuse, lambda item: 1, max_bytes=4, budget=Budget(None), num_threads=1)


def test_it_ends_when_it_is_closed_and_counts_nothing_any_longer():
    budget = Budget(None)
    work = ahead(range(1000), lambda n: iter([n]), budget=budget)
    assert next(work) == 0
    work.close()
    assert not threads()
    assert budget.used_bytes == 0
    work.close()
    assert budget.used_bytes == 0


def test_it_ends_when_nobody_holds_it_any_longer():
    budget = Budget(None)
    work = ahead(range(1000), lambda n: iter([n]), budget=budget)
    next(work)
    left = threads()
    del work
    gc.collect()
    for thread in left:
        thread.join(10)
    assert not threads()
    assert budget.used_bytes == 0
