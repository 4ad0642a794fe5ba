"""The contract finds pipes that break their promises: each one here breaks one, and its test says so."""

import pytest
import torch

import fireworks as fw
from fireworks.core.chunk import as_positions
from fireworks.testing import PipeContract
from pipelines import table

CONTRACT = [name for name in vars(PipeContract) if name.startswith("test_")]


def broken_promises(make_pipe):
    """Return the names of the tests that fail."""
    broken = set()
    for name in CONTRACT:
        try:
            getattr(PipeContract(), name)(make_pipe)
        except Exception:  # noqa: BLE001  (what a broken pipe raises is its own affair)
            broken.add(name.removeprefix("test_"))
    return broken


class Drawing(fw.RowStage):
    """Draws from the global generator."""

    def transform(self, rows):
        return rows.assign(noise=torch.rand(len(rows)))


class InPlace(fw.RowStage):
    """Writes into the rows that it is given."""

    def transform(self, rows):
        rows["n"].add_(1)
        return rows


class Stateful(fw.RowStage):
    """Counts its own calls."""

    def __init__(self, input):
        super().__init__(input)
        self.calls = 0

    def transform(self, rows):
        self.calls += 1
        return rows.assign(calls=torch.full((len(rows),), self.calls))


class Unpicklable(fw.RowStage):
    def __init__(self, input):
        super().__init__(input)
        self.function = lambda rows: rows

    def transform(self, rows):
        return self.function(rows)


class Nameless(fw.RowStage):
    def transform(self, rows):
        return rows

    def describe(self):
        return f"Nameless({id(self)})"


class Backwards(fw.OrderStage):
    """Says one length and gives another."""

    def num_items_out(self, num_items):
        return num_items

    def locate(self, span, num_items, epoch):
        return as_positions(span)[:-1] if len(span) > 2 else span


class Forgetful(fw.OrderStage):
    """Another order each time it is asked, by chance."""

    def num_items_out(self, num_items):
        return num_items

    def locate(self, span, num_items, epoch):
        return torch.randperm(num_items).numpy()[as_positions(span)]


class OddStream(fw.Source):
    """A stream that starts where it likes."""

    random_access = False
    schema = fw.Message({"n": [0]}).schema

    def stream(self, start):
        yield fw.Message({"n": torch.arange(max(0, start - 1), 9)})


def test_a_pipe_that_keeps_its_promises_breaks_none():
    assert broken_promises(lambda: table().shuffle(seed=0).batch(4)) == set()


def test_a_pipe_without_items_is_no_proof():
    assert "there_is_something_to_test" in broken_promises(lambda: table().take(0))


@pytest.mark.parametrize(
    ("stage", "promise"),
    [
        (Drawing, "two_passes_of_one_epoch_are_equal"),
        (Drawing, "it_resumes_at_every_item_in_a_fresh_pipe"),
        (Drawing, "random_access_agrees_with_iteration"),
        (Stateful, "iterators_are_independent"),
        (Stateful, "each_iter_starts_the_next_epoch"),
        (InPlace, "nothing_upstream_is_changed"),
        (Unpicklable, "it_pickles"),
        (Nameless, "it_names_itself"),
        (Backwards, "lengths_agree"),
        (Forgetful, "two_passes_of_one_epoch_are_equal"),
        (Forgetful, "the_original_goes_on_after_its_state_was_taken"),
    ],
)
def test_a_broken_promise_is_found(stage, promise):
    assert promise in broken_promises(lambda: stage(table(12)).batch(2))


def test_a_stream_that_loses_its_place_is_found():
    assert broken_promises(OddStream) == {"it_resumes_at_every_item_in_a_fresh_pipe"}


def test_a_state_that_holds_rows_is_found():
    class Verbose(fw.Source):
        random_access = False
        schema = fw.Message({"n": [0]}).schema

        def make_flow(self):
            from fireworks.core.flow import Flow

            flow = super().make_flow()
            opened = flow.base.open

            def open_verbosely(epoch):
                cursor = opened(epoch)
                state = cursor.state_dict
                cursor.state_dict = lambda: state() | {"rows": list(range(1000))}
                return cursor

            flow.base.open = open_verbosely
            return Flow(flow.base)

        def stream(self, start):
            yield fw.Message({"n": torch.arange(start, 9)})

    assert "a_state_is_small" in broken_promises(Verbose)
