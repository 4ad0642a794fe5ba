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
    "bootstrap": (
        "Bootstrap",
        lambda p: p.bootstrap(seed=1, name="b"),
        lambda p: fw.Bootstrap(p, 1, name="b"),
    ),
    "bucket": ("Bucket", lambda p: p.bucket("n", [3, 9], [2, 3, 4]), lambda p: fw.Bucket(p, "n", [3, 9], [2, 3, 4])),
    "cache": ("Cache", lambda p: p.cache(9, disk_bytes="1MB"), lambda p: fw.Cache(p, 9, disk_bytes="1MB")),
    "cast": (
        "Cast",
        lambda p: p.cast({"n": "int8"}, x=torch.float64),
        lambda p: fw.Cast(p, {"n": "int8"}, x=torch.float64),
    ),
    "drop": ("Drop", lambda p: p.drop("x", "w"), lambda p: fw.Drop(p, "x", "w")),
    "enumerate": ("Enumerate", lambda p: p.enumerate("i", start=2), lambda p: fw.Enumerate(p, "i", start=2)),
    "filter": ("Filter", lambda p: p.filter("n", "in", [1, 2]), lambda p: fw.Filter(p, "n", "in", [1, 2])),
    "flatten": ("Flatten", lambda p: p.flatten("x"), lambda p: fw.Flatten(p, "x")),
    "gradients": ("Gradients", lambda p: p.batch(4).gradients("x"), lambda p: fw.Gradients(fw.Batch(p, 4), "x")),
    "kfold": (
        "Fold",
        lambda p: p.kfold(3, seed=1, stratify="n", name="f")[1][0],
        lambda p: fw.Fold(p, 3, 1, "train", seed=1, stratify="n", name="f"),
    ),
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
    "oversample": (
        "Oversample",
        lambda p: p.oversample("n", seed=1, name="o"),
        lambda p: fw.Oversample(p, "n", 1, name="o"),
    ),
    "pad": (
        "Pad",
        lambda p: p.pad("x", value=1, length=5, mask="m", lengths="l", side="left", truncate=True, dtype=torch.float64),
        lambda p: fw.Pad(
            p, "x", value=1, length=5, mask="m", lengths="l", side="left", truncate=True, dtype=torch.float64
        ),
    ),
    "prefetch": ("Prefetch", lambda p: p.batch(4).prefetch(2), lambda p: fw.Prefetch(fw.Batch(p, 4), 2)),
    "progress": ("Progress", lambda p: p.progress("epoch"), lambda p: fw.Progress(p, "epoch")),
    "rebatch": ("Rebatch", lambda p: p.batch(4).rebatch(3), lambda p: fw.Rebatch(fw.Batch(p, 4), 3)),
    "rename": ("Rename", lambda p: p.rename({"n": "m"}, x="n"), lambda p: fw.Rename(p, {"n": "m"}, x="n")),
    "repeat": ("Repeat", lambda p: p.repeat(2), lambda p: fw.Repeat(p, 2)),
    "sample": (
        "Sample",
        lambda p: p.sample(frac=0.5, replace=True, weights="w", seed=1, name="s"),
        lambda p: fw.Sample(p, frac=0.5, replace=True, weights="w", seed=1, name="s"),
    ),
    "select": ("Select", lambda p: p.select("n", "x"), lambda p: fw.Select(p, "n", "x")),
    "shard": ("Shard", lambda p: p.batch(4).shard(1, 3), lambda p: fw.Shard(fw.Batch(p, 4), 1, 3)),
    "shuffle": ("Shuffle", lambda p: p.shuffle(seed=3, name="s"), lambda p: fw.Shuffle(p, 3, name="s")),
    "skip": ("Skip", lambda p: p.skip(5), lambda p: fw.Skip(p, 5)),
    "slice": ("Slice", lambda p: p.slice(1, 9, 2), lambda p: fw.Slice(p, 1, 9, 2)),
    "split": (
        "Part",
        lambda p: p.split(0.5, 0.5, seed=1, name="s")[1],
        lambda p: fw.Part(p, [0.5, 0.5], 1, seed=1, name="s"),
    ),
    "split_by_hash": (
        "HashPart",
        lambda p: p.split_by_hash("n", 0.5, 0.5, seed=1)[1],
        lambda p: fw.HashPart(p, "n", [0.5, 0.5], 1, seed=1),
    ),
    "split_by_time": (
        "TimePart",
        lambda p: p.split_by_time("n", at=9, gap=2)[0],
        lambda p: fw.TimePart(p, "n", 0, at=9, gap=2),
    ),
    "take": ("Take", lambda p: p.take(5), lambda p: fw.Take(p, 5)),
    "tap": ("Tap", lambda p: p.tap(len), lambda p: fw.Tap(p, len)),
    "tensors": ("Tensors", lambda p: p.tensors("w", device="cpu"), lambda p: fw.Tensors(p, "w", device="cpu")),
    "unbatch": ("Unbatch", lambda p: p.batch(4).unbatch(), lambda p: fw.Unbatch(fw.Batch(p, 4))),
    "window": ("Window", lambda p: p.window(4, 2), lambda p: fw.Window(p, 4, stride=2)),
    "with_budget": ("WithBudget", lambda p: p.with_budget("1MB"), lambda p: fw.WithBudget(p, "1MB")),
}

# what a class takes to say which part of several it is
OF_A_PART = {
    "kfold": {"number", "part"},
    "split": {"number"},
    "split_by_hash": {"number"},
    "split_by_time": {"number"},
}
# verbs that make a junction of this pipe and others, named by their places
JUNCTIONS = {
    "concat": (lambda p, q: p.concat(q), fw.Concat),
    "cycle": (lambda p, q: p.cycle(q, weights=[2, 1]), lambda parts: fw.Cycle(parts, weights=[2, 1])),
    "join": (lambda p, q: p.join(q.drop("x", "w", "word"), on="n"), None),
    "mix": (lambda p, q: p.mix(q, seed=1), lambda parts: fw.Mix(parts, seed=1)),
    "zip": (
        lambda p, q: p.drop("x", "w", "word").zip(q.drop("n")),
        lambda parts: fw.Zip({"0": parts["0"].drop("x", "w", "word"), "1": parts["1"].drop("n")}),
    ),
}
# verbs that answer something else than a pipe of one class; each is tested where it is at home
OTHERS = {"as_written", "audit", "branch", "draw", "dry_run", "explain", "pipe", "rows_of", "when"}
OTHERS |= {"to_csv", "to_feather", "to_json", "to_parquet"}

VERBS = {name: verb for name, verb in vars(Fluent).items() if not name.startswith("_")}


def test_every_verb_is_tested_here():
    assert set(VERBS) == set(PAIRS) | set(JUNCTIONS) | OTHERS


@pytest.mark.parametrize("verb", [verb for verb, (_, by_class) in JUNCTIONS.items() if by_class])
def test_the_verb_of_a_junction_gives_what_its_class_gives(verb):
    by_verb, by_class = JUNCTIONS[verb]
    second = table() if verb == "zip" else table(7)
    one, other = by_verb(table(), second), by_class({"0": table(), "1": second})
    assert type(one) is type(other)
    assert repr(one) == repr(other)
    assert list(one) == list(other)


@pytest.mark.parametrize("verb", sorted(OTHERS | set(JUNCTIONS)))
def test_every_other_verb_is_documented_and_typed(verb):
    assert inspect.getdoc(VERBS[verb])
    assert inspect.signature(VERBS[verb]).return_annotation is not inspect.Signature.empty


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
        # A verb that gives several parts has no argument for which of them.
        assert of_verb == of_class - OF_A_PART.get(verb, set())


def test_a_function_can_be_the_predicate_of_the_verb_too():
    assert table().filter(is_odd).to_message() == fw.Filter(table(), is_odd).to_message()
