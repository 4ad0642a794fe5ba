"""The schema is that of what comes out; what a source does for itself is not found downstream; passes are noted upstream."""

import warnings

import pytest
import torch

import fireworks as fw
from fireworks.errors import (
    ColumnNotFoundError,
    NoRandomAccessError,
    NotFoundUpstreamError,
    QuarantineWarning,
    SchemaMismatchError,
    StateError,
)
from pipelines import add_noise, counting, double, numbers, table


def refuses_three(rows):
    if 3 in rows["n"].tolist():
        raise ValueError("three")
    return rows


def refuses_five(rows):
    if 5 in rows["n"].tolist():
        raise ValueError("five")
    return rows.select("n")


class TestSchema:
    @pytest.mark.parametrize(
        "build",
        [
            lambda p: p,
            lambda p: p.cast(n="float32").select("n"),
            lambda p: p.rename(n="m").drop("w"),
            lambda p: p.map(double).map(add_noise, seed=1),
            lambda p: p.shuffle(seed=0).batch(4).tensors("w"),
            lambda p: p.window(3).batch(2),
            lambda p: p.select("n").zip(p.select("x")),
            lambda p: p.filter("n < 0"),
        ],
        ids=["source", "cast", "rename", "map", "tensors", "window", "zip", "nothing left"],
    )
    def test_is_that_of_the_rows_that_come_out(self, build):
        assert build(table()).schema == build(table()).to_message().schema

    def test_of_a_stream_is_that_of_its_first_rows(self):
        pipe = counting().map(double).select("n")
        assert str(pipe.schema) == "n: int64"
        assert numbers(pipe)[0] == 0

    def test_no_epoch_begins_by_it(self):
        pipe = table().shuffle(seed=0)
        first = pipe.at_epoch(0).to_message()
        assert pipe.schema == first.schema
        assert next(iter(pipe)) == first[:1]


class TestWhatBelongsToASource:
    @pytest.mark.parametrize("name", ["count", "fetch", "stream", "find", "narrowed", "held", "random_access"])
    def test_is_not_found_behind_other_stages(self, name):
        with pytest.raises(NotFoundUpstreamError, match=f"^Filter: no '{name}' here or upstream"):
            getattr(table().filter("n > 3"), name)
        assert table().filter("n > 3").explain(name).error is not None

    def test_is_not_found_behind_a_row_stage(self):
        with pytest.raises(NotFoundUpstreamError, match=r"^Batch: no 'transform' here"):
            _ = table().map(double).batch(4).transform

    def test_a_junction_names_the_component_that_has_a_name(self):
        class Named(fw.RowStage):
            words = ("a", "b")

            def transform(self, rows):
                return rows

        zipped = fw.Zip({"left": table().select("n"), "right": Named(table().select("x"))})
        with pytest.raises(
            NotFoundUpstreamError, match=r"Its component 'right' has it: write \.components\['right'\]\.words"
        ):
            _ = zipped.words


class TestThePassIsNotedUpstream:
    def quietly(self, call):
        with warnings.catch_warnings(action="ignore", category=QuarantineWarning):
            return call()

    @pytest.mark.parametrize(
        "read",
        [
            lambda p: list(p.at_epoch(0)),
            lambda p: list(p.select("n").repeat(1)),
            lambda p: p.to_message(),
            lambda p: p[0],
            lambda p: list(p.as_iterable_dataset()),
        ],
        ids=["at_epoch", "behind stages", "to_message", "index", "dataset"],
    )
    def test_rows_set_aside_can_be_asked_for_where_they_were(self, read):
        pipe = table().batch(5).map(refuses_three, on_error="quarantine")
        self.quietly(lambda: read(pipe))
        assert pipe.quarantined()["n"].tolist() == [3]

    def test_two_stages_with_other_columns_are_asked_for_one_by_one(self):
        pipe = table().batch(5).map(refuses_three, on_error="quarantine").map(refuses_five, on_error="quarantine")
        pipe = pipe.map(lambda rows: rows.assign(m=1 // (rows["n"] - 7)), on_error="quarantine")
        self.quietly(lambda: list(pipe))
        with pytest.raises(
            SchemaMismatchError, match=r"^quarantined: several stages .* name one, stage=.Map\(refuses_three"
        ):
            pipe.quarantined()
        assert pipe.quarantined("refuses_five")["n"].tolist() == [5]
        assert pipe.quarantined(stage="<lambda>")["n"].tolist() == [7]


class TestFunctionsThatTakeSomethingElse:
    def test_a_seed_and_rows_alone(self):
        with pytest.raises(
            TypeError, match=r"^map: the function double\(rows\) must take \(rows, generator\), for seed= was"
        ):
            table().map(double, seed=0)

    def test_a_generator_and_no_seed(self):
        with pytest.raises(
            TypeError, match=r"^map: the function add_noise\(rows, generator\) must take rows alone; with"
        ):
            table().map(add_noise)

    def test_what_says_nothing_of_itself_is_tried(self):
        assert numbers(table().map(fw.Message)) == list(range(23))


class TestStreamsSayWhoMadeThem:
    def test_a_source(self):
        with pytest.raises(
            NoRandomAccessError, match=r"Iterable\(CountingRows\) can only be read on .*\. Read the rows first"
        ):
            counting().split(0.5, 0.5, seed=0)

    def test_a_stage(self):
        pipe = table().shuffle(seed=0).filter("n > 3").map(double)
        with pytest.raises(
            NoRandomAccessError, match=r"Filter\(n > 3\) makes it one\. Put this before it, or read the rows"
        ):
            pipe.split(0.5, 0.5, seed=1)


class TestErrorsInSources:
    def test_of_a_stream(self):
        def rows():
            yield {"n": 1}
            raise ZeroDivisionError

        pipe = fw.source(rows)
        with pytest.raises(ZeroDivisionError) as caught:
            list(pipe)
        assert any(note.startswith(f"In Iterable(rows), built at {pipe.built_at}") for note in caught.value.__notes__)

    def test_with_random_access(self):
        class Broken(fw.Source):
            schema = fw.Message({"n": [0]}).schema

            def count(self):
                return 5

            def fetch(self, rows):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            list(Broken())
        (note,) = caught.value.__notes__
        assert note.startswith("In Broken(), built at ")
        assert note.endswith("fetching rows [0, 1, 2, 3, 4].")


class TestStatesThatAreNone:
    @pytest.mark.parametrize("state", [None, 3, {}])
    def test_of_another_kind(self, state):
        with pytest.raises(StateError, match=r"^PipeIterator: expected a state of version 1; got"):
            iter(table()).load_state_dict(state)

    @pytest.mark.parametrize(("cursor", "epoch"), [({"foo": 1}, 0), (None, 0), ({"position": 1}, "x")])
    def test_with_a_place_that_is_none(self, cursor, epoch):
        pipe = table()
        with pytest.raises(StateError, match=r"^PipeIterator: the place .* is none of this pipe; the state is damaged"):
            iter(pipe).load_state_dict({"version": 1, "pipe": pipe.stages(), "epoch": epoch, "cursor": cursor})


def test_names_in_a_list_are_refused_by_normalize_at_once():
    with pytest.raises(TypeError, match=r"^Normalize: write the names one by one, Normalize\('x', 'y'\); got"):
        fw.Normalize(["x", "n"])
    assert repr(fw.Normalize("x", "n")) == "Normalize(x, n)"


@pytest.mark.parametrize(
    ("text", "mend"),
    [("n == null", "n is null"), ("None != w + 1", "w \\+ 1 is not null"), ("x > 1 and not (w < nan)", "w is null")],
)
def test_a_text_that_compares_with_null_is_refused_with_what_to_write(text, mend):
    with pytest.raises(fw.errors.ExpressionError, match=f"a comparison with null is never true; write: {mend}\\."):
        table().filter(text)


def test_workers_of_a_component_work_and_processes_there_are_refused():
    def where(rows):
        import threading

        return rows.assign(here=[threading.current_thread() is threading.main_thread()] * len(rows))

    for build in (
        lambda p: p.zip(table().select("x").batch(5)),
        lambda p: p.concat(table().select("n").batch(5).map(where)),
    ):
        batches = list(build(table().select("n").batch(5).map(where, workers=2)))
        assert not all(all(batch["here"]) for batch in batches)
        with pytest.raises(
            ValueError, match=r"component '0' has Map\(double\) in worker processes, which a junction can't"
        ):
            _ = build(table().select("n").batch(5).map(double, workers=2, backend="process")).flow


def test_a_hook_is_the_same_behind_a_budget_and_workers():
    class Told(fw.Hooked):
        def on_get(self, rows):
            return rows.assign(n=rows["n"] + 1000)

    assert Told(table()).with_budget("1GB")[0]["n"].tolist() == [1000]
    assert Told(table(3000).batch(10)).map(double, workers=2)[5:9][0]["n"][0] == 2100


def test_columns_that_are_gone_are_still_named():
    with pytest.raises(ColumnNotFoundError):
        table().drop("n").select("n")
    assert torch.equal(table().select("n").to_message()["n"], torch.arange(23))
