"""What a pipeline needs at least is told before it runs."""

import pytest
import torch

import fireworks as fw
from files_in_order import File, message
from fireworks.core.budget import Budget, available_bytes, limit_of
from fireworks.core.needs import needs
from pipelines import counting, double, table


class TestTooSmallABudget:
    def test_it_names_the_stage_that_needs_most_and_the_smallest_that_will_do(self):
        pipe = File(message(50_000)).shuffle(seed=0).batch(100)
        with (
            fw.memory_budget("100kB"),
            pytest.raises(
                fw.errors.MemoryBudgetError,
                match=r"The memory budget of 100\.0 kB is too small for .*: it needs at least .* MB, .* MB of it for "
                r"Shuffle\(seed=0\)\. Give it fw\.memory_budget\(\d+\) or more",
            ) as caught,
        ):
            iter(pipe)
        with fw.memory_budget(caught.value.needed_bytes):
            assert next(iter(pipe)) == next(iter(fw.source(message(50_000)).shuffle(seed=0).batch(100)))
        with fw.memory_budget(caught.value.needed_bytes - 1), pytest.raises(fw.errors.MemoryBudgetError):
            iter(pipe)

    def test_that_of_a_pipeline_counts_what_stands_before_it(self):
        pipe = File(message(50_000)).shuffle(seed=0).with_budget("100kB").batch(100)
        with pytest.raises(fw.errors.MemoryBudgetError, match=r"too small for Memory.* → WithBudget"):
            iter(pipe)

    def test_rows_in_memory_need_no_more_than_their_batches(self):
        pipe = table(1000).map(double).shuffle(seed=0).batch(10)
        assert [need.stage for need in needs(pipe)] == ["Map(double)", "Batch(10)"]

    def test_nothing_is_asked_where_there_is_no_limit(self):
        assert len(list(counting(31).shuffle(seed=0).batch(4))) == 8


class TestLimits:
    def test_a_limit_is_the_budget_s_or_half_of_what_is_free(self):
        assert limit_of(Budget(5)) == 5
        free = available_bytes()
        assert 2**20 < free < 2**50
        assert 0.5 * 0.25 * free < limit_of(Budget(None)) < 0.5 * 4 * free

    def test_no_proc_file_is_no_reason_to_fail(self, monkeypatch):
        monkeypatch.setattr("pathlib.Path.read_text", lambda path: (_ for _ in ()).throw(FileNotFoundError(path)))
        assert available_bytes() > 2**20


def test_memory_that_was_freed_goes_back():
    from fireworks._internal.memory import give_back

    held = [torch.ones(2**18) for _ in range(50)]
    del held
    give_back()


def test_the_plan_says_that_a_file_is_read_once():
    text = str(File(message(100)).shuffle(seed=0).batch(10).explain())
    assert (
        "order  Shuffle(seed=0): reads all rows once, into memory where the budget has room, else into piles on disk"
        in text
    )
