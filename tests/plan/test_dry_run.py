"""A few rows through every branch before the long run."""

import json
import pickle
import random
import time

import numpy as np
import pytest
import torch

import fireworks as fw
from fireworks.errors import DryRunError
from pipelines import add_noise, counting, double, is_odd, table


def centred(rows):
    return rows.assign(x=rows["x"] - rows["x"].mean(0))


def cumulated(rows):
    return rows.assign(n=rows["n"].cumsum(0))


def fails(rows):
    raise ValueError("no such picture")


def returns_nothing(rows):
    return None


def statuses(report):
    return [tried.status for tried in report.stages]


def test_a_good_pipeline_is_ok_stage_by_stage():
    report = table().filter(is_odd).map(double).map(add_noise, seed=3).shuffle(seed=0).batch(4).tensors("n").dry_run()
    assert report.ok
    assert statuses(report) == ["ok"] * 7
    assert [(tried.rows_in, tried.rows_out) for tried in report.stages][:3] == [(23, 23), (23, 11), (11, 11)]
    assert report.stages[3].schema.names == ["x", "n", "w", "word", "noise"]
    assert report.errors == report.warnings == []


def test_a_function_that_fails_is_named_and_the_rest_is_skipped():
    report = table().map(double).map(fails).batch(4).dry_run()
    assert statuses(report) == ["ok", "ok", "error", "skipped"]
    assert "Map(fails): ValueError: no such picture" in report.errors[0]
    assert "rows [0, 1, 2" in report.errors[0]
    assert "test_dry_run.py" in report.errors[0]


def test_a_function_that_returns_something_else_is_an_error():
    assert "must return a Message" in table().map(returns_nothing).dry_run().errors[0]


@pytest.mark.parametrize("function", [centred, cumulated])
def test_a_row_that_depends_on_its_neighbours_is_a_warning(function):
    report = table().map(double).map(function).dry_run()
    assert statuses(report) == ["ok", "ok", "warning"]
    assert f"Map({function.__name__}): a row's result depends on its neighbours: column" in report.warnings[0]


def test_last_bits_a_seeded_map_and_a_map_of_batches_are_no_warning():
    weight = torch.rand(3, 500, generator=torch.Generator().manual_seed(0))

    class Product:
        def __call__(self, rows):
            return rows.assign(y=rows["x"] @ weight)

    assert table().map(Product()).dry_run().stages[-1].findings[1:] == []
    assert table().map(add_noise, seed=1).dry_run().ok
    assert table().batch(5).map(centred).dry_run().ok


def test_a_function_that_fails_on_a_single_row_is_a_warning():
    def needs_two(rows):
        if len(rows) < 2:
            raise ValueError("too few")
        return rows

    report = table().map(needs_two).dry_run()
    assert any("fails where the rows come in other blocks: ValueError: too few" in text for text in report.warnings)


def test_what_does_not_pickle_is_a_warning_with_the_stage():
    report = table().map(double).map(lambda rows: rows).batch(3).dry_run()
    assert statuses(report) == ["ok", "ok", "warning", "ok"]
    assert report.warnings[0].startswith("Map(<lambda>): it does not pickle, so it can't work in another process")


def test_branches_of_junctions_are_tried_each():
    data = table().filter("n > 3")
    report = fw.Zip({"a": data.select("x").map(centred), "b": data.select("n")}).shuffle(seed=0).batch(4).dry_run()
    assert len(report.stages) == 8
    assert len(report.warnings) == 1
    assert report.stages[-1].schema.names == ["x", "n"]
    broken = fw.Zip({"a": data.select("x").map(fails), "b": data.select("n")}).dry_run()
    assert statuses(broken) == ["ok", "ok", "ok", "error", "ok", "skipped"]


def test_streams_are_tried_too():
    report = counting(5000).filter("n > 10").map(double).batch(4).dry_run(rows=20)
    assert report.ok
    assert report.stages[0].rows_out == 20


def test_a_filter_that_keeps_nothing_is_a_warning():
    report = table().filter("n > 1000").batch(3).dry_run()
    assert "Filter(n > 1000): none of the first 23 rows is left behind it." in report.warnings


class Lying(fw.Source):
    schema = fw.Schema({"n": "int64"})

    def count(self):
        return 5

    def fetch(self, rows):
        return fw.Message({"n": np.asarray(rows, dtype=np.float64)})


class Missing(Lying):
    schema = fw.Schema({"n": "int64", "m": "int64"})

    def fetch(self, rows):
        return fw.Message({"n": np.asarray(rows)})


def test_a_source_that_gives_other_columns_than_it_says_is_found():
    assert Lying().dry_run().warnings == ["Lying(): its schema says n: int64, and its rows have n: float64."]
    assert Missing().dry_run().errors == ["Missing(): its schema has 'm', and its rows have not."]


class Forgetful(fw.OrderStage):
    """Its state is lost, because it draws anew each time."""

    def num_items_out(self, num_items):
        return num_items

    def locate(self, span, num_items, epoch):
        return np.random.default_rng().permutation(num_items)[np.asarray(span)]


def test_a_state_that_does_not_go_on_is_an_error():
    report = Forgetful(fw.source({"n": torch.arange(1000)})).dry_run()
    assert any("goes on with other items" in text for text in report.errors)


def test_rows_bytes_and_peak_memory_are_estimated():
    data = fw.source({"x": torch.zeros(10_000, 4), "n": torch.arange(10_000)})
    report = data.shuffle(seed=0).batch(100).dry_run()
    assert report.estimates["rows"] == "10,000"
    assert report.estimates["bytes"] == "24 B a row, 240 kB in all"
    assert report.estimates["peak memory"].startswith("about ")
    assert data.filter("n % 2 == 0").repeat(3).dry_run().estimates["rows"] == "about 15,000"
    both = fw.Zip({"a": data.select("x").filter(lambda rows: rows["x"][:, 0] == 0), "b": data.select("n")})
    assert both.dry_run().estimates["rows"] == "about 10,000"
    assert "rows" not in counting().dry_run().estimates


def test_nothing_is_left_behind():
    model = torch.nn.BatchNorm1d(3).train()

    def draws(rows):
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
        return rows

    class Normed(fw.RowStage):
        def transform(self, rows):
            return rows.assign(y=model(rows["x"]))

        function = model

    pipe = Normed(table().map(draws)).shuffle(seed=0)
    state = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    mean = model.running_mean.clone()
    pipe.dry_run()
    assert (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()) == state  # noqa: NPY002
    assert torch.equal(model.running_mean, mean)
    assert [item["n"].item() for item in pipe] == [item["n"].item() for item in pipe.at_epoch(0)]


def test_time_is_limited_and_few_rows_are_read():
    seen = []

    def slow(rows):
        seen.append(len(rows))
        time.sleep(0.1)
        return rows

    pipe = fw.source({"n": torch.arange(10**6)})
    for _ in range(30):
        pipe = pipe.map(slow)
    started = time.perf_counter()
    report = pipe.dry_run(rows=10, seconds=0.3)
    assert time.perf_counter() - started < 2
    assert max(seen) <= 10
    assert "skipped" in statuses(report)
    assert "time was up" in str(report)


def test_strict_raises_with_the_report():
    assert table().dry_run(strict=True).ok
    with pytest.raises(DryRunError, match="dry run: 0 errors, 1 warning") as caught:
        table().map(centred).dry_run(strict=True)
    assert caught.value.report.warnings
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.report.warnings == caught.value.report.warnings


def test_it_prints_and_shows_in_a_notebook():
    report = table().map(centred).dry_run()
    text = str(report)
    assert text.splitlines()[0].startswith("dry run: 0 errors, 1 warning (")
    assert "warning  Map(centred)  23 rows in, 23 out" in text
    assert repr(report) == text
    assert "<td>warning</td>" in report._repr_html_()
    json.dumps(report.estimates)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"dry_run: rows must be an int of at least 1; got 0\."):
        table().dry_run(rows=0)
    with pytest.raises(ValueError, match=r"dry_run: seconds must be a positive number; got 'x'\."):
        table().dry_run(seconds="x")


def test_every_small_pipeline_takes_under_a_second():
    started = time.perf_counter()
    fw.Zip({"a": table().select("x"), "b": table().select("n").map(double)}).shuffle(seed=0).batch(4).dry_run()
    assert time.perf_counter() - started < 1
