"""Threads that nobody waits for."""

import gc
import threading
import time

import pytest

from fireworks._internal.background import Background


def named(name):
    return [thread for thread in threading.enumerate() if thread.name == name]


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_results_and_errors_come_to_whoever_asks():
    background = Background(2, "of this test")
    squares = [background.submit(pow, n, 2) for n in range(20)]
    fails = background.submit(int, "x")
    assert [future.result() for future in squares] == [n * n for n in range(20)]
    with pytest.raises(ValueError, match="invalid literal"):
        fails.result()
    assert len(named("of this test")) == 2
    background.close()
    assert wait_until(lambda: not named("of this test"))


def test_what_was_not_begun_is_dropped():
    goes_on, begun = threading.Event(), threading.Event()
    background = Background(1, "of this test")
    first = background.submit(lambda: (begun.set(), goes_on.wait(20)))
    begun.wait(20)
    later = background.submit(int)
    background.close()
    background.close()
    assert later.cancelled()
    assert background.submit(int).cancelled()
    assert not first.done()
    goes_on.set()
    assert first.result()[1]
    assert wait_until(lambda: not named("of this test"))


def test_it_ends_with_whoever_has_it():
    background = Background(1, "of this test")
    background.submit(int).result()
    del background
    gc.collect()
    assert wait_until(lambda: not named("of this test"))
