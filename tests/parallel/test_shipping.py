"""Stages that leave for another process: what goes with them, and what does not."""

import pickle
import sys
import types

import pytest
import torch

import fireworks as fw
from fireworks.core.run import Book, Run
from fireworks.parallel.shipping import detached, notes_of, require_picklable, write_notes
from pipelines import add_noise, double, table


class TestDetached:
    def test_the_data_stay_behind(self):
        pipe = fw.source({"n": torch.zeros(1_000_000)}).shuffle(seed=0).batch(4).map(double)
        assert len(pickle.dumps(detached(pipe))) < 5000

    def test_it_says_of_itself_what_the_stage_says(self):
        pipe = table().select("n", "x").batch(4).map(add_noise, seed=3)
        alone = pickle.loads(pickle.dumps(detached(pipe)))
        assert repr(alone) == repr(pipe)
        assert (alone.built_at, alone.is_batched, alone.stage) == (pipe.built_at, True, pipe.stage)
        assert alone.upstream.known_columns == pipe.upstream.known_columns
        assert [stage.built_at for stage in (alone.upstream, alone.upstream.upstream)] == [
            stage.built_at for stage in (pipe.upstream, pipe.upstream.upstream)
        ]

    def test_the_stage_itself_stays_as_it_is(self):
        pipe = table().batch(4).map(double)
        detached(pipe)
        assert len(list(pipe)) == 6

    @pytest.mark.parametrize(
        "ask", [len, lambda pipe: list(pipe.upstream.flow.pieces(range(1), Run(0))), lambda pipe: next(iter(pipe))]
    )
    def test_what_is_upstream_can_not_be_asked_for(self, ask):
        with pytest.raises(RuntimeError, match="In a worker process a stage has the rows that it is given"):
            ask(detached(table().batch(4).map(double)))


class TestPicklable:
    def test_what_was_defined_at_a_prompt_is_refused(self, monkeypatch):
        main = types.ModuleType("__main__")
        exec("def function(rows): return rows", main.__dict__)  # as a notebook does
        monkeypatch.setitem(sys.modules, "__main__", main)
        with pytest.raises(
            TypeError, match=r"does not pickle \(function was defined at a prompt, where no other process finds it\)"
        ):
            require_picklable(table().map(main.function))

    def test_so_is_an_object_of_a_class_from_there(self, monkeypatch):
        main = types.ModuleType("__main__")
        exec("class Function:\n    def __call__(self, rows): return rows", main.__dict__)
        monkeypatch.setitem(sys.modules, "__main__", main)
        with pytest.raises(TypeError, match=r"Function was defined at a prompt"):
            require_picklable(table().map(main.Function()))

    def test_a_function_of_a_module_is_fine(self):
        require_picklable(table().map(double))


def test_notes_find_their_stages_again():
    here = [table().map(double), table().map(add_noise, seed=1)]
    there = [detached(stage) for stage in here]
    book = Book()
    book.note(there[1], 5, 4, 100)
    book.schemas[id(there[0])] = (3, [("n", torch.int64)])
    again = Book()
    write_notes(pickle.loads(pickle.dumps(notes_of(book, there))), again, here)
    assert (again.meter(here[1]).rows_in, again.meter(here[1]).rows_out) == (5, 4)
    assert again.meter(here[0]).calls == 0
    assert again.schemas == {id(here[0]): (3, [("n", torch.int64)])}
