"""Orders are kept for two epochs, and the next one is worked out while this one runs."""

import threading

import numpy as np
import pytest

import fireworks as fw
from fireworks.order.orders import Orders

MANY = 200_000


class Counted:
    """An order to work out, with a note of who did it."""

    def __init__(self):
        self.by = []

    def __call__(self, epoch, count):
        self.by.append((epoch, threading.current_thread() is threading.main_thread()))
        return (np.arange(count) + epoch) % count


def test_an_order_is_worked_out_once_and_two_are_kept():
    work = Counted()
    orders = Orders(work)
    for epoch in (0, 0, 1, 0, 1, 2, 2, 0):
        assert orders.of(epoch, 5)[0] == epoch
    assert [epoch for epoch, _ in work.by] == [0, 1, 2, 0]
    assert len(orders.of(0, 7)) == 7


def test_what_is_expected_is_worked_out_in_another_thread_once():
    work = Counted()
    orders = Orders(work)
    orders.expect(3, MANY)
    orders.expect(3, MANY)
    assert orders.of(3, MANY)[0] == 3
    orders.expect(3, MANY)
    assert work.by == [(3, False)]


def test_few_items_are_not_worth_a_thread():
    work = Counted()
    Orders(work).expect(3, 1000)
    assert work.by == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_order_that_failed_elsewhere_is_worked_out_here():
    calls = []

    def fails_once(epoch, count):
        calls.append(epoch)
        if len(calls) == 1:
            raise MemoryError
        return np.arange(count)

    orders = Orders(fails_once)
    orders.expect(1, MANY)
    assert len(orders.of(1, MANY)) == MANY
    assert calls == [1, 1]


def test_a_shuffle_works_ahead_and_gives_the_same():
    data = {"x": np.arange(MANY)}
    ahead = fw.source(data).shuffle(seed=0).batch(1000)
    for epoch in range(3):
        alone = fw.source(data).shuffle(seed=0).at_epoch(epoch).to_message()
        assert np.array_equal(np.concatenate([batch.raw("x") for batch in ahead]), alone.raw("x"))
    assert any(key[0] == 3 for key in ahead.input._orders._known) or ahead.input._orders._ahead[0][0] == 3
