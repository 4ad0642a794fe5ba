"""What every pipe promises, as tests to inherit."""

# These are tests: they assert, and their names are sentences.
# ruff: noqa: D102, PERF401, S101

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

from fireworks.core.model import upstream_pipes
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.stages import RowStage
from fireworks.core.workers import Workers
from fireworks.errors import NoRandomAccessError, UnknownLengthError
from fireworks.message import Message

MakePipe = Callable[[], Pipe]

_MAX_STATE_BYTES = 2048


class PipeContract:
    """Inherit it, give it a fixture ``make_pipe`` that returns a function, and get the tests of every pipe's promises.

    The function builds the pipe anew each time, from small data (five to fifty items) and with functions that pickle.
    A pipe without random access is tested for saying so.

    Example:
        >>> import pytest
        >>> class TestTake(fw.testing.PipeContract):
        ...     @pytest.fixture
        ...     def make_pipe(self):
        ...         return lambda: fw.source({"x": torch.arange(9)}).take(5)
    """

    def test_there_is_something_to_test(self, make_pipe: MakePipe) -> None:
        items = len(list(make_pipe()))
        assert items, "make_pipe gives a pipe without items, which keeps every promise"

    def test_two_passes_of_one_epoch_are_equal(self, make_pipe: MakePipe) -> None:
        pipe = make_pipe()
        for epoch in (0, 1, 3):
            first = list(pipe.at_epoch(epoch))
            assert first == list(pipe.at_epoch(epoch))
            assert first == list(make_pipe().at_epoch(epoch))

    def test_each_iter_starts_the_next_epoch(self, make_pipe: MakePipe) -> None:
        pipe = make_pipe()
        for epoch in range(3):
            assert list(pipe) == list(make_pipe().at_epoch(epoch))

    def test_iterators_are_independent(self, make_pipe: MakePipe) -> None:
        pipe = make_pipe().at_epoch(0)
        alone = list(pipe)
        one, other = iter(pipe), iter(pipe)
        interleaved: list[tuple[Message, Message]] = []
        for item in one:
            interleaved.append((item, next(other)))
        assert [item for item, _ in interleaved] == alone
        assert [item for _, item in interleaved] == alone

    def test_it_resumes_at_every_item_in_a_fresh_pipe(self, make_pipe: MakePipe) -> None:
        for epoch in (0, 2):
            whole = list(make_pipe().at_epoch(epoch))
            for stop in range(len(whole) + 1):
                running = _iterator_at(make_pipe(), epoch)
                for _ in range(stop):
                    next(running)
                state = json.loads(json.dumps(running.state_dict()))
                fresh = make_pipe()
                resumed = iter(fresh)
                resumed.load_state_dict(state)
                assert list(resumed) == whole[stop:], f"resumed at item {stop} of epoch {epoch}"
                assert next(iter(fresh), None) == next(_iterator_at(make_pipe(), epoch + 1), None)

    def test_the_original_goes_on_after_its_state_was_taken(self, make_pipe: MakePipe) -> None:
        iterator = iter(make_pipe())
        whole = list(make_pipe().at_epoch(0))
        for item in whole:
            iterator.state_dict()
            assert next(iterator) == item

    def test_a_state_is_small(self, make_pipe: MakePipe) -> None:
        iterator = iter(make_pipe())
        next(iterator, None)
        assert len(json.dumps(iterator.state_dict()["cursor"])) < _MAX_STATE_BYTES

    def test_random_access_agrees_with_iteration(self, make_pipe: MakePipe) -> None:
        pipe = make_pipe()
        if not pipe.is_indexable:
            _raises(NoRandomAccessError, lambda: pipe[0])
            return
        items = list(pipe.at_epoch(0))
        assert [pipe[i] for i in range(len(items))] == items
        assert pipe[-1] == items[-1]
        backwards = list(range(len(items)))[::-1]
        assert _items(pipe[backwards]) == items[::-1]
        assert _items(pipe[1:4]) == items[1:4]
        assert _items(pipe[::2]) == items[::2]

    def test_lengths_agree(self, make_pipe: MakePipe) -> None:
        pipe = make_pipe()
        items = list(pipe.at_epoch(0))
        if not pipe.is_indexable:
            _raises(UnknownLengthError, lambda: len(pipe))
            return
        assert len(pipe) == len(items)
        rows = sum(map(len, items))
        assert len(pipe.to_message()) == rows
        try:
            assert pipe.num_rows == rows
        except UnknownLengthError:
            assert pipe.is_batched

    def test_nothing_upstream_is_changed(self, make_pipe: MakePipe) -> None:
        pipe = make_pipe()
        upstream = [stage.at_epoch(0) for stage in list(chain(pipe))[1:]]
        before = [copy.deepcopy(stage.to_message()) for stage in upstream]
        for _ in pipe:
            pass
        assert [stage.to_message() for stage in upstream] == before

    def test_it_pickles(self, make_pipe: MakePipe) -> None:
        pipe = make_pipe()
        list(pipe.at_epoch(1))
        again = pickle.loads(pickle.dumps(pipe))  # noqa: S301 (our own bytes)
        assert list(again.at_epoch(1)) == list(pipe.at_epoch(1))

    def test_workers_change_nothing(self, make_pipe: MakePipe) -> None:
        expected = [list(make_pipe().at_epoch(epoch)) for epoch in (0, 1)]
        for count in (1, 4):
            pipe = make_pipe()
            for stage in upstream_pipes(pipe):
                if isinstance(stage, RowStage):
                    stage.staff = Workers(count)
            assert [list(pipe.at_epoch(epoch)) for epoch in (0, 1)] == expected, f"{count} workers"

    def test_working_ahead_changes_nothing(self, make_pipe: MakePipe) -> None:
        whole = list(make_pipe().at_epoch(1))
        assert list(make_pipe().prefetch(3).at_epoch(1)) == whole
        running = _iterator_at(make_pipe().prefetch(3), 1)
        for stop in range(len(whole)):
            resumed = iter(make_pipe().prefetch(3))
            resumed.load_state_dict(json.loads(json.dumps(running.state_dict())))
            assert next(resumed) == next(running) == whole[stop]
        assert next(running, None) is None

    def test_it_names_itself(self, make_pipe: MakePipe) -> None:
        pipe = make_pipe()
        assert len(pipe.stages()) == len(list(chain(pipe)))
        assert all(stage in repr(pipe) for stage in pipe.stages())
        assert repr(pipe) == repr(make_pipe())


def _iterator_at(pipe: Pipe, epoch: int) -> Any:
    for _ in range(epoch):
        iter(pipe)
    return iter(pipe)


def _items(items: Message | list[Message]) -> list[Message]:
    return list(items)


def _raises(kind: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")
