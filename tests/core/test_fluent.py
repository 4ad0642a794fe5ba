"""A verb and its class give the same pipe."""

import inspect

import pytest
import torch

import fireworks as fw
from fireworks.core.fluent import Fluent
from pipelines import add_noise, is_odd, table

# verb -> its class, the pipe by the verb, the pipe by the class
PAIRS = {
    "at_epoch": ("AtEpoch", lambda p: p.shuffle(seed=0).at_epoch(2), lambda p: fw.AtEpoch(fw.Shuffle(p, 0), 2)),
    "batch": ("Batch", lambda p: p.batch(4, drop_last=True), lambda p: fw.Batch(p, 4, drop_last=True)),
    "cast": (
        "Cast",
        lambda p: p.cast({"n": "int8"}, x=torch.float64),
        lambda p: fw.Cast(p, {"n": "int8"}, x=torch.float64),
    ),
    "drop": ("Drop", lambda p: p.drop("x", "w"), lambda p: fw.Drop(p, "x", "w")),
    "filter": ("Filter", lambda p: p.filter("n", "in", [1, 2]), lambda p: fw.Filter(p, "n", "in", [1, 2])),
    "gradients": ("Gradients", lambda p: p.batch(4).gradients("x"), lambda p: fw.Gradients(fw.Batch(p, 4), "x")),
    "label": ("Label", lambda p: p.label("a", "title"), lambda p: fw.Label(p, "a", "title")),
    "label_index": (
        "LabelIndex",
        lambda p: p.label_index("word", fit=table()),
        lambda p: fw.LabelIndex(p, "word", fit=table()),
    ),
    "map": ("Map", lambda p: p.map(add_noise, seed=1, name="m"), lambda p: fw.Map(p, add_noise, seed=1, name="m")),
    "map_rows": (
        "MapRows",
        lambda p: p.map_rows(dict, on_error="raise"),
        lambda p: fw.MapRows(p, dict, on_error="raise"),
    ),
    "one_hot": (
        "OneHot",
        lambda p: p.one_hot("n", 23, dtype=torch.int8),
        lambda p: fw.OneHot(p, "n", 23, dtype=torch.int8),
    ),
    "rename": ("Rename", lambda p: p.rename({"n": "m"}, x="n"), lambda p: fw.Rename(p, {"n": "m"}, x="n")),
    "repeat": ("Repeat", lambda p: p.repeat(2), lambda p: fw.Repeat(p, 2)),
    "select": ("Select", lambda p: p.select("n", "x"), lambda p: fw.Select(p, "n", "x")),
    "shuffle": ("Shuffle", lambda p: p.shuffle(seed=3, name="s"), lambda p: fw.Shuffle(p, 3, name="s")),
    "split": (
        "Part",
        lambda p: p.split(0.5, 0.5, seed=1, name="s")[1],
        lambda p: fw.Part(p, [0.5, 0.5], 1, seed=1, name="s"),
    ),
    "take": ("Take", lambda p: p.take(5), lambda p: fw.Take(p, 5)),
    "tap": ("Tap", lambda p: p.tap(len), lambda p: fw.Tap(p, len)),
    "tensors": ("Tensors", lambda p: p.tensors("w", device="cpu"), lambda p: fw.Tensors(p, "w", device="cpu")),
}

VERBS = {name: verb for name, verb in vars(Fluent).items() if not name.startswith("_")}


def test_every_verb_is_tested_here():
    assert set(VERBS) == set(PAIRS)


@pytest.mark.parametrize("verb", PAIRS)
class TestEachVerb:
    def test_it_gives_the_pipe_that_its_class_gives(self, verb):
        kind, by_verb, by_class = PAIRS[verb]
        one, other = by_verb(table()), by_class(table())
        assert type(one) is type(other) is getattr(fw, kind)
        assert repr(one) == repr(other)
        assert list(one) == list(other)
        assert list(one) == list(other)  # and the next epoch too

    def test_its_class_is_public(self, verb):
        assert PAIRS[verb][0] in fw.__all__

    def test_it_is_documented_and_typed(self, verb):
        assert inspect.getdoc(VERBS[verb])
        signature = inspect.signature(VERBS[verb])
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(
            parameter.annotation is not inspect.Parameter.empty
            for name, parameter in signature.parameters.items()
            if name != "self"
        )

    def test_it_takes_what_its_class_takes_by_the_same_names(self, verb):
        kind, _, _ = PAIRS[verb]
        of_verb = {name for name in inspect.signature(VERBS[verb]).parameters if name != "self"}
        of_class = {name for name in inspect.signature(getattr(fw, kind)).parameters if name != "input"}
        assert of_verb == (of_class - {"number"} if verb == "split" else of_class)


def test_a_function_can_be_the_predicate_of_the_verb_too():
    assert table().filter(is_odd).to_message() == fw.Filter(table(), is_odd).to_message()
