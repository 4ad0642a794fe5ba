"""Who would answer a method call."""

import pytest
import torch

import fireworks as fw
from fireworks.errors import NotFoundUpstreamError
from pipelines import double, table


class Named(fw.RowStage):
    def __init__(self, input, name):
        super().__init__(input)
        self.marking = name

    def describe(self):
        return f"Named({self.marking})"

    def transform(self, rows):
        return rows

    @fw.recursive(accumulate=True)
    def names(self, so_far):
        return [*so_far, self.marking]

    @property
    def costly(self):
        raise RuntimeError("must not run")


def test_the_nearest_pipe_that_has_it_answers():
    pipe = Named(table(), "a").map(double).batch(4)
    answer = pipe.explain("marking")
    assert answer.runs == ("Named(a)",)
    assert answer.asked == (("Batch(4)", False), ("Map(double)", False), ("Named(a)", True))
    assert str(answer) == "marking: Named(a) answers.\nasked: Batch(4) - no; Map(double) - no; Named(a) - yes"


def test_a_recursive_method_runs_from_the_first_that_has_it():
    pipe = Named(Named(table(), "a").shuffle(seed=0), "b").batch(4)
    answer = pipe.explain("names")
    assert answer.runs == ("Named(a)", "Named(b)")
    assert pipe.names([]) == ["a", "b"]
    assert repr(answer).startswith(
        "names: recursive; it runs on Named(a), then on Named(b).\nasked: Batch(4) - no; Named(b)"
    )


def test_nothing_is_run_to_answer():
    assert Named(table(), "a").batch(3).explain("costly").runs == ("Named(a)",)


def test_what_nobody_has_is_the_error_of_the_call():
    pipe = Named(table(), "a").batch(4)
    answer = pipe.explain("markng")
    with pytest.raises(NotFoundUpstreamError) as caught:
        pipe.markng  # noqa: B018
    assert str(answer) == str(caught.value)
    assert answer.runs == ()
    assert "private name is not looked up" in str(pipe.explain("_secret"))


def test_parts_of_a_model_are_found():
    model = fw.Model(torch.nn.Linear(3, 1), in_columns=["x"], out_columns=["y"], input=table())
    name = next(name for name, _ in model.named_children())
    assert len(model.explain(name).runs) == 1


def test_a_junction_ends_the_search():
    both = fw.Zip({"a": Named(table(), "a")}).batch(3)
    assert both.explain("marking").runs == ()
    assert both.explain("components").asked[-1][1]


def test_a_name_is_a_text():
    with pytest.raises(TypeError, match=r"explain: method is a name, as in explain\('schema'\); got 3 of type int\."):
        table().explain(3)
