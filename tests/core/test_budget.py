"""Bytes under way: how many there may be, and who waits."""

import threading

import numpy as np
import pytest
import torch

import fireworks as fw
from fireworks.core.budget import Budget, bytes_of, check_bytes, current_budget
from fireworks.core.chunk import Chunk


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (1, 1),
            ("7", 7),
            ("2GB", 2 * 10**9),
            ("2 gb", 2 * 10**9),
            ("1.5MB", 1_500_000),
            ("64KiB", 65536),
            ("1TiB", 2**40),
        ],
    )
    def test_text_and_ints(self, text, expected):
        assert check_bytes(text, where="here") == expected

    @pytest.mark.parametrize("value", [0, -1, "0GB", "GB", "2 GBs", "-1MB", 1.5, True, None])
    def test_what_is_no_number_of_bytes(self, value):
        with pytest.raises(
            ValueError, match=r"here must be a number of bytes of at least 1, or a text such as '2GB'; got"
        ):
            check_bytes(value, where="here")

    def test_a_chunk_has_those_of_its_columns_and_row_numbers(self):
        message = fw.Message({"x": torch.zeros(5, 3), "n": np.arange(5)})
        assert bytes_of(Chunk(message, np.arange(5))) == 5 * 3 * 4 + 5 * 8 + 5 * 8


class TestBudget:
    def test_who_waits_goes_on_when_there_is_room(self):
        budget = Budget(100)
        budget.take(80)
        passed = threading.Event()

        def wait():
            budget.wait_for_room(30, unless=lambda: False)
            passed.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not passed.wait(0.05)
        budget.give(10)
        assert passed.wait(20)
        thread.join()
        assert budget.used_bytes == 70

    def test_bytes_are_taken_only_if_they_fit(self):
        budget = Budget(100)
        assert budget.try_take(60)
        assert not budget.try_take(60)
        assert budget.used_bytes == 60

    def test_or_when_it_need_not_wait_any_more(self):
        budget, stopped = Budget(100), threading.Event()
        budget.take(100)
        thread = threading.Thread(target=budget.wait_for_room, args=(1, stopped.is_set))
        thread.start()
        stopped.set()
        budget.wake()
        thread.join(20)
        assert not thread.is_alive()

    def test_it_says_how_it_stands(self):
        budget = Budget(2000)
        budget.take(1500)
        budget.give(500)
        assert repr(budget) == "Budget(2,000 bytes, 1,000 in use, 1,500 at most)"
        assert repr(Budget(None)) == "Budget(no limit, 0 in use, 0 at most)"


class TestOfAllPasses:
    def test_it_ends_with_the_block(self):
        before = current_budget()
        with fw.memory_budget("1MB") as budget:
            assert current_budget() is budget
            assert budget.max_bytes == 10**6
            with fw.memory_budget(None):
                assert current_budget().max_bytes is None
            assert current_budget() is budget
        assert current_budget() is before

    def test_it_can_be_set(self):
        before = current_budget()
        setting = fw.memory_budget(5000)
        assert current_budget().max_bytes == 5000
        setting.__exit__(None, None, None)
        assert current_budget() is before

    def test_it_is_a_number_of_bytes(self):
        before = current_budget()
        with pytest.raises(ValueError, match="memory_budget: limit must be a number of bytes"):
            fw.memory_budget("much")
        assert current_budget() is before
