"""Optimisation on or off."""

import threading

import pytest

import fireworks as fw
from fireworks.plan.switch import is_on


def test_it_is_on_until_it_is_switched_off():
    assert is_on()
    with fw.optimisation(False):
        assert not is_on()
        with fw.optimisation(True):
            assert is_on()
        assert not is_on()
    assert is_on()


def test_it_comes_back_after_an_error():
    with pytest.raises(RuntimeError), fw.optimisation(False):
        raise RuntimeError
    assert is_on()


def test_without_a_block_it_stays():
    before = fw.optimisation(False)
    assert not is_on()
    with before:
        pass
    assert is_on()


def test_it_holds_for_all_threads():
    seen = []
    with fw.optimisation(False):
        thread = threading.Thread(target=lambda: seen.append(is_on()))
        thread.start()
        thread.join()
    assert seen == [False]


def test_it_takes_a_bool():
    with pytest.raises(TypeError, match=r"optimisation: expected True or False; got 0 of type int\."):
        fw.optimisation(0)
    assert is_on()
