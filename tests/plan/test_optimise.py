"""The optimiser: whatever it does, items, order, row numbers, states and errors are those of the pipe as written."""

import itertools
import json
import pickle

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings

import fireworks as fw
from fireworks.core.run import Run
from fireworks.database import DBPipe, TablePipe
from pipelines import add_noise, double, total

NUM_ROWS = 90


def rows_of(num_rows=NUM_ROWS):
    return fw.Message(
        {
            "x": torch.arange(num_rows * 3, dtype=torch.float32).reshape(num_rows, 3),
            "n": torch.arange(num_rows),
            "w": [None if i % 7 == 0 else i / 3 for i in range(num_rows)],
            "word": [f"w{i % 5}" for i in range(num_rows)],
            "k": pd.array([None if i % 4 == 0 else i % 11 for i in range(num_rows)], dtype="Int64"),
        }
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("optimise")
    message = rows_of()
    message[:40].to_parquet(folder / "0.parquet", row_group_size=13)
    message[40:].to_parquet(folder / "1.parquet", row_group_size=21)
    with TablePipe("t", folder / "t.db") as table:
        table.insert(message)
    with TablePipe("u", folder / "t.db") as table:
        table.insert(message.take(np.random.default_rng(0).permutation(NUM_ROWS)))
    return {
        "memory": lambda: fw.source(message),
        "parquet": lambda: fw.read_parquet(folder),
        "sql": lambda: DBPipe("t", folder / "t.db"),
        "sorted": lambda: DBPipe("u", folder / "t.db", order_by="word", descending=True),
        "stream": lambda: fw.source(Halves(message)),
    }


class Halves:
    def __init__(self, message):
        self.message = message

    def __call__(self):
        return iter([self.message[:50], self.message[50:]])


EXPRESSIONS = [
    "n > 40",
    "w < 20 or k is null",
    "not (w >= 10 and w <= 25)",
    "word in ['w1', 'w4'] and n between 5 and 80",
    "k not in [1, 2, 3]",
    "n % 3 == 1",
    "word >= 'w2'",
    "n == 3.0 or n > 70.5",
    "w is not null and k != 4",
]


def keeps_even(rows):
    return np.asarray(rows["n"]) % 2 == 0


def add_z(rows):
    return rows.assign(z=rows["n"] + 1)


VERBS = {
    **{f"filter {text}": lambda pipe, text=text: pipe.filter(text) for text in EXPRESSIONS},
    "filter function": lambda pipe: pipe.filter(keeps_even),
    "select n w": lambda pipe: pipe.select("n", "w"),
    "select word n": lambda pipe: pipe.select("word", "n"),
    "select k n word w": lambda pipe: pipe.select("k", "n", "word", "w"),
    "drop x": lambda pipe: pipe.drop("x"),
    "drop word k": lambda pipe: pipe.drop("word", "k"),
    "rename": lambda pipe: pipe.rename({"w": "v"}),
    "map": lambda pipe: pipe.map(double),
    "map total": lambda pipe: pipe.map(total),
    "map z": lambda pipe: pipe.map(add_z),
    "noise": lambda pipe: pipe.map(add_noise, seed=4),
    "shuffle": lambda pipe: pipe.shuffle(seed=7),
    "take": lambda pipe: pipe.take(31),
    "slice": lambda pipe: pipe.slice(2, 60, 3),
    "enumerate": lambda pipe: pipe.enumerate("number"),
    "unbatch": lambda pipe: pipe.unbatch(),
    "rebatch": lambda pipe: pipe.rebatch(5),
    "tap": lambda pipe: pipe.tap(len),
    "cast": lambda pipe: pipe.cast({"n": torch.float64}),
    "concat": lambda pipe: pipe.select("n", "w").concat(pipe.select("n", "w").take(5)),
    "mix": lambda pipe: pipe.drop("x").mix(pipe.drop("x").filter("n > 50"), seed=3),
    "cycle": lambda pipe: pipe.cycle(pipe.take(9)),
    "join": lambda pipe: pipe.select("n", "w").join(pipe.select("n", "word").filter("n < 60"), on="n"),
    "prefetch": lambda pipe: pipe.prefetch(2),
    "threads": lambda pipe: pipe.map(double, workers=2),
    "window": lambda pipe: pipe.select("n").window(3),
    "branch": lambda pipe: pipe.branch(2)[1],
    "split": lambda pipe: pipe.split(0.7, 0.3, seed=1)[0],
    "skip": lambda pipe: pipe.skip(3),
    "repeat": lambda pipe: pipe.repeat(2),
    "at_epoch": lambda pipe: pipe.at_epoch(2),
    "batch": lambda pipe: pipe.batch(8),
    "zip": lambda pipe: fw.Zip({"a": pipe.select("n"), "b": pipe.drop("n")}),
}


def build(make_source, verbs):
    """Return the pipe of as many of the verbs as fit; which fit does not depend on the optimiser."""
    pipe = make_source()
    for verb in verbs:
        try:
            pipe = VERBS[verb](pipe)
        except (TypeError, ValueError, KeyError):
            continue
    return pipe


def outcome(function):
    """Return what a function returns, or what kind of error it raises on which rows."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 (errors are compared too)
        return type(error), [note for note in getattr(error, "__notes__", []) if "rows" in note][:1]


def chunks_of(pipe):
    cursor = pipe.runnable.open(Run(1))
    rows = []
    while (chunk := cursor.read(7)) is not None:
        rows += chunk.rows.tolist()
    return rows


def resumed(pipe, other, stop):
    running = iter(pipe)
    first = list(itertools.islice(running, stop))
    fresh = iter(other)
    fresh.load_state_dict(json.loads(json.dumps(running.state_dict())))
    return first + list(fresh)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["memory", "parquet", "sql", "sorted", "stream"]),
    verbs=st.lists(st.sampled_from(sorted(VERBS)), max_size=6),
    data=st.data(),
)
def test_a_pipe_gives_the_same_as_written_and_optimised(sources, kind, verbs, data):
    pipe = build(sources[kind], verbs)
    with fw.optimisation(False):
        written = build(sources[kind], verbs)
        items = outcome(lambda: list(written.at_epoch(0)))
        later = outcome(lambda: list(written.at_epoch(1)))
        rows = outcome(lambda: chunks_of(written))
        length = outcome(lambda: len(written)) if written.is_indexable else None
    assert pipe.stages() == written.stages()
    assert outcome(lambda: list(pipe.at_epoch(0))) == items
    assert outcome(lambda: list(pipe.at_epoch(1))) == later
    assert outcome(lambda: chunks_of(pipe)) == rows
    assert outcome(lambda: list(pipe.as_written().at_epoch(0))) == items
    assert list(pipe.explain().stages)
    if not isinstance(items, list) or not items:
        return
    stop = data.draw(st.integers(0, len(items)))
    assert resumed(pipe, build(sources[kind], verbs).as_written(), stop) == items
    assert resumed(build(sources[kind], verbs).as_written(), build(sources[kind], verbs), stop) == items
    if pipe.is_indexable:
        assert len(pipe) == length == len(items)
        at = data.draw(st.lists(st.integers(0, len(items) - 1), min_size=1, max_size=6))
        assert list(pipe[at]) == [items[i] for i in at]


class TestPushedFilter(fw.testing.PipeContract):
    @pytest.fixture(params=["memory", "parquet", "sql", "sorted"])
    def make_pipe(self, sources, request):
        make = sources[request.param]
        return lambda: make().select("n", "w", "word").filter("n > 30 and w < 24").map(double).select("n").batch(5)


class TestZipped(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, sources):
        make = sources["parquet"]
        return lambda: fw.Zip({"a": make().select("x"), "b": make().select("n").map(double)}).shuffle(seed=0).take(30)


class TestAsWritten(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, sources):
        make = sources["parquet"]
        return lambda: make().filter("n > 30").select("n").take(20).as_written()


class Recording(fw.Source):
    """A source that writes down what it is asked for."""

    def __init__(self, columns=("n", "w", "word"), log=None):
        super().__init__()
        self.columns, self.log = list(columns), [] if log is None else log

    @property
    def schema(self):
        return self.fetch_quietly(range(0)).schema

    def count(self):
        return 40

    def fetch_quietly(self, rows):
        return (
            rows_of(40)
            .select(*self.columns)
            .take(np.arange(40)[rows.start : rows.stop] if isinstance(rows, range) else rows)
        )

    def fetch(self, rows):
        self.log.append(tuple(self.columns))
        return self.fetch_quietly(rows)

    def narrowed(self, columns):
        return Recording([name for name in self.columns if name in columns], self.log)


class Finding(Recording):
    def find(self, expression, mask):
        self.log.append(str(expression))
        return np.flatnonzero(mask(self.fetch_quietly(range(40))))

    def narrowed(self, columns):
        return self


def test_only_the_columns_that_are_needed_are_read():
    source = Recording()
    source.shuffle(seed=0).batch(8).select("n", "word").to_message()
    assert set(source.log) == {("n", "word")}


def test_the_pass_of_a_filter_reads_the_columns_of_its_expression():
    source = Recording()
    assert source.filter("w > 3").select("word").to_message()["word"].tolist()
    assert set(source.log) == {("w",), ("word",)}


def test_a_function_sees_every_column():
    source = Recording()
    source.map(double).select("n").to_message()
    assert set(source.log) == {("n", "w", "word")}


def test_dropped_columns_are_not_read():
    source = Recording()
    pipe = source.drop("word").map(double)
    assert pipe.to_message().columns == ["n", "w"]
    assert set(source.log) == {("n", "w")}


def test_a_filter_of_a_stream_passes_columns_on():
    source = Recording()
    pipe = source.shuffle(seed=0).filter("w > 3").select("word")
    assert not pipe.is_indexable
    with fw.optimisation(False):
        written = pipe.to_message()
    source.log.clear()
    assert pipe.to_message() == written
    assert set(source.log) == {("w", "word")}


def test_rows_that_are_set_aside_are_whole():
    source = Recording()
    pipe = fw.Filter(source.shuffle(seed=0), "w > 3")
    pipe.on_error = "quarantine"
    pipe.select("n").to_message()
    assert set(source.log) == {("n", "w", "word")}


def test_prefetch_lets_the_choice_of_columns_through():
    source = Recording()
    source.batch(8).prefetch(2).select("n").to_message()
    assert set(source.log) == {("n",)}


def test_a_source_that_can_find_is_asked_once_for_all_pipes_behind_a_filter():
    source = Finding()
    kept = source.filter("n >= 10")
    assert len(kept) == 30
    assert len(kept.batch(4)) == 8
    assert kept.shuffle(seed=0).take(3).to_message()["n"].min() >= 10
    assert source.log.count("n >= 10") == 1


def test_filters_behind_other_orders_are_found_by_the_source_too():
    source = Finding()
    pipe = source.filter("n >= 10").take(20).filter("word == 'w1'")
    assert pipe.to_message()["n"].tolist() == [n for n in range(10, 30) if n % 5 == 1]
    assert source.log[:2] == ["n >= 10", "word == 'w1'"]


def test_a_find_that_fails_leaves_the_pass_to_say_where():
    class Broken(Recording):
        def find(self, expression, mask):
            raise RuntimeError("broken")

        def narrowed(self, columns):
            return self

    assert len(Broken().filter("n < 5")) == 5


def test_the_grid_of_blocks_is_that_of_the_whole_schema():
    wide = fw.source({"x": torch.zeros(600, 5000), "n": torch.arange(600)})
    pipe = wide.select("n").map(total)
    with fw.optimisation(False):
        written = wide.select("n").map(total).to_message()
    assert pipe.to_message() == written
    assert len(written["block"].unique()) > 1


def test_errors_name_the_same_rows():
    def fails(rows):
        raise ValueError("no")

    def notes(pipe):
        with pytest.raises(ValueError, match="no") as caught:
            pipe.to_message()
        return caught.value.__notes__

    def make():
        return fw.source(rows_of()).filter("n > 50").shuffle(seed=0).select("n").map(fails)

    optimised = notes(make())
    with fw.optimisation(False):
        assert [note.replace("at", "") for note in notes(make())] == [note.replace("at", "") for note in optimised]


def test_optimisation_can_be_switched_off_and_on():
    source = Recording()
    pipe = source.select("n")
    with fw.optimisation(False):
        pipe.to_message()
    assert source.log == [("n", "w", "word")]
    pipe.to_message()
    assert source.log[-1] == ("n",)
    pipe.as_written().to_message()
    assert source.log[-1] == ("n", "w", "word")


def test_as_written_begins_at_epoch_0_and_leaves_the_pipe_alone():
    pipe = fw.source(rows_of()).shuffle(seed=0).select("n")
    first = list(pipe)
    assert list(pipe.as_written()) == first
    assert list(pipe) == list(pipe.at_epoch(1))


def test_an_optimised_pipe_pickles():
    pipe = fw.source(rows_of()).filter("n > 3").select("n").as_written()
    again = pickle.loads(pickle.dumps(pipe))
    assert again.to_message() == pipe.to_message()
    assert type(again.runnable).__name__ == "WrittenFlow"
