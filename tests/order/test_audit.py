"""An audit tells a uniform order from any other, and names each row that is missing or comes twice."""

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import fireworks as fw
from fireworks.errors import QuarantineWarning
from fireworks.order.audit import guarantees
from order.uniformity import sorted_rows
from pipelines import add_noise, counting, double, is_odd, refuses_three, table


def load_benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "shuffle_quality.py"
    spec = importlib.util.spec_from_file_location("shuffle_quality", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


quality = load_benchmark()


def data(num_rows=20_000):
    return fw.source(sorted_rows(num_rows))


class TestWaysToShuffle:
    @pytest.mark.parametrize("seed", range(4))
    def test_ours_is_uniform(self, seed):
        audit = data().shuffle(seed=seed).batch(100).audit(by="label")
        assert audit.is_uniform
        assert audit.verdict == "mixed as by a uniform order"
        assert audit.effective_batch == pytest.approx(100, rel=0.2)
        assert audit.each_row_once
        assert audit.as_planned

    @pytest.mark.parametrize("name", quality.ways(20_000))
    def test_what_others_do_is_found_out(self, name):
        make, random = quality.ways(20_000)[name], np.random.default_rng(0)
        pipe = quality.Ordered(data(), lambda count: make(count, 200, random))
        audit = pipe.batch(100).audit(by="label")
        assert audit.each_row_once
        if "blocks of 1 rows" in name:  # a shuffle of 5 % of all rows at a time, which rows being random, is exact
            assert audit.is_uniform
            return
        assert not audit.is_uniform
        assert audit.verdict.startswith("NOT mixed as by a uniform order: see ")
        worst = min(audit.measures, key=lambda measure: measure.p)
        assert worst.p < 1e-12
        assert "NOT as in a uniform order" in str(audit)

    def test_shuffled_batches_of_sorted_rows_are_found_out(self):
        audit = data().batch(100).shuffle(seed=0).audit(by="label")
        assert audit["effective batch by label"].observed == pytest.approx(1, abs=0.1)

    def test_an_order_that_deals_labels_out_is_more_even(self):
        # Ten of each class in every batch, which ones at random.
        random = np.random.default_rng(0)
        order = np.stack([random.permutation(2000) + 2000 * label for label in range(10)], axis=1).reshape(-1)
        audit = quality.Ordered(data(), lambda count: order).batch(100).audit(by="label")
        measure = audit["effective batch by label"]
        assert measure.observed > 1e6
        assert measure.z < -5
        assert measure.verdict.startswith("otherwise than in a uniform order: a batch tells of 'label' what")
        assert audit.verdict.startswith("more even than a uniform order: see effective batch by label")
        assert not audit.is_uniform


class TestWhichRowsCame:
    def test_each_row_once(self):
        audit = data(1000).shuffle(seed=0).batch(100).audit()
        assert audit.rows_text == "each of 1,000 rows once, as planned"
        assert (audit.num_rows, audit.num_batches, audit.batch_rows, audit.num_source_rows) == (1000, 10, 100, 1000)

    def test_rows_that_are_left_out_are_named(self):
        audit = data(1005).batch(100, drop_last=True).audit()
        assert audit.missing.tolist() == [1000, 1001, 1002, 1003, 1004]
        assert not audit.each_row_once
        assert audit.as_planned
        assert audit.rows_text == (
            "1,000 rows came, of 1,005 in the source, as planned; 5 did not come: rows [1000, 1001, 1002, 1003, 1004]"
        )

    def test_rows_that_come_twice_are_named(self):
        audit = data(30).repeat(2).take(33).batch(3).audit()
        assert audit.repeated.tolist() == [0, 1, 2]
        assert audit.rows_text.endswith("as planned; 3 came more than once: rows [0, 1, 2]")
        assert "neighbours together" not in [measure.name for measure in audit.measures]

    def test_a_shuffle_repeated_is_still_uniform(self):
        audit = data(2000).shuffle(seed=0).repeat(3).batch(50).audit(by="label")
        assert audit.is_uniform
        assert len(audit.repeated) == 2000

    def test_a_draw_with_replacement_is_uniform(self):
        drawn = np.random.default_rng(0).integers(0, 5000, 5000)
        audit = quality.Ordered(data(5000), lambda count: drawn).batch(50).audit(by="label")
        assert audit.is_uniform
        assert len(audit.missing) == 5000 - len(set(drawn.tolist()))

    def test_a_stage_that_does_not_keep_to_its_order_is_found_out(self):
        class Liar(fw.OrderStage):
            """Gives another order each time that it is asked."""

            asked = 0

            def num_items_out(self, num_items):
                return num_items

            def locate(self, span, num_items, epoch):
                Liar.asked += 1
                return (np.asarray(span) + Liar.asked) % num_items

        audit = Liar(data(100)).batch(10).audit()
        assert audit.as_planned is False
        assert "NOT as planned: another row than rows_of says" in str(audit)

    def test_a_plan_of_more_rows_than_came_is_found_out(self, monkeypatch):
        from fireworks.core.origins import Origins
        from fireworks.order import audit as module

        monkeypatch.setattr(module, "origins_in", lambda flow, epoch: [(0, Origins(np.arange(4)))])
        assert module.audit(data(5)).as_planned is False

    def test_rows_set_aside_are_counted_and_nothing_is_warned_of(self):
        pipe = table(2000).map(refuses_three, on_error="quarantine").shuffle(seed=0).batch(50)
        with warnings.catch_warnings():
            warnings.simplefilter("error", QuarantineWarning)
            audit = pipe.audit()
        assert audit.set_aside == 1
        assert audit.missing.tolist() == [3]
        assert audit.as_planned is None
        assert "1 were set aside" in audit.rows_text

    def test_a_stream_ends_with_its_last_row(self):
        audit = counting(500).filter("n != 17").batch(20).audit()
        assert audit.num_source_rows is None
        assert audit.missing.tolist() == [17]
        assert audit.as_planned is None
        assert not audit.is_uniform
        assert audit.rows_text == "499 rows came; 1 did not come: rows [17]"


class TestWhatIsRead:
    def test_no_function_runs_without_a_column(self):
        def fails(rows):
            raise AssertionError

        pipe = data(1000).map(fails).shuffle(seed=0).batch(10).map(fails).unbatch().batch(20).repeat(2).map(fails)
        assert pipe.audit().num_rows == 2000

    def test_one_column_is_read(self):
        class Noting(fw.Source):
            def __init__(self, columns=("wide", "label", "n"), asked=None):
                super().__init__()
                self.columns, self.asked = list(columns), set() if asked is None else asked

            @property
            def schema(self):
                every = {"wide": torch.zeros(1, 9), "label": torch.zeros(1, dtype=torch.int64), "n": torch.zeros(1)}
                return fw.Message({name: every[name] for name in self.columns}).schema

            def count(self):
                return 1000

            def narrowed(self, columns):
                return Noting(columns, self.asked)

            def fetch(self, rows):
                if len(rows):
                    self.asked.add(tuple(self.columns))
                numbers = np.arange(rows.start, rows.stop) if isinstance(rows, range) else rows
                every = {"wide": torch.zeros(len(numbers), 9), "label": numbers % 7, "n": torch.zeros(len(numbers))}
                return fw.Message({name: every[name] for name in self.columns})

        source = Noting()
        source.shuffle(seed=0).batch(10).audit(by="label")
        assert source.asked == {("label",)}
        source.asked.clear()
        source.shuffle(seed=0).batch(10).repeat(2).audit()
        assert source.asked == {("n",)}

    def test_a_function_that_makes_the_label_runs(self):
        def labelled(rows):
            return rows.assign(kind=rows["n"] // 100)

        pipe = data(1000).map(labelled).shuffle(seed=0).batch(10)
        assert pipe.audit(by="kind")["effective batch by kind"].is_uniform

    def test_a_filter_of_batches_runs(self):
        audit = table(1000).batch(10).filter(is_odd).audit()
        assert audit.missing.tolist() == list(range(0, 1000, 2))
        assert audit.as_planned is None

    def test_the_passes_of_a_pipe_go_on_as_if_nothing_had_been(self):
        pipe = table().map(add_noise, seed=0).shuffle(seed=0).batch(4)
        first = list(pipe)
        stats = str(pipe.stats().stages)
        pipe.audit(epoch=3)
        assert str(pipe.stats().stages) == stats
        assert list(pipe) == list(pipe.at_epoch(1)) != first

    def test_each_epoch_is_its_own(self):
        pipe = data(2000).shuffle(seed=0).batch(50)
        first, second = (pipe.audit(epoch=epoch) for epoch in (0, 1))
        assert (first.epoch, second.epoch) == (0, 1)
        assert first["displacement"].observed != second["displacement"].observed
        assert pipe.at_epoch(1).audit()["displacement"] == second["displacement"]

    @pytest.mark.parametrize(
        "verb", ["zip", "concat", "mix", "cycle", "join", "window", "enumerate", "prefetch", "threads"]
    )
    def test_every_kind_of_pipeline_can_be_audited(self, verb):
        rows = data(600)
        pipe = {
            "zip": lambda: fw.Zip({"a": rows.select("n"), "b": rows.select("label")}),
            "concat": lambda: rows.concat(rows.map(double)),
            "mix": lambda: rows.mix(rows, seed=1),
            "cycle": lambda: rows.cycle(rows.map(double)),
            "join": lambda: rows.join(rows.rename(label="other"), on="n"),
            "window": lambda: rows.window(2),
            "enumerate": lambda: rows.enumerate("place"),
            "prefetch": lambda: rows.prefetch(3),
            "threads": lambda: rows.map(double, workers=2),
        }[verb]()
        by = None if verb == "window" else "label"
        audit = pipe.shuffle(seed=0).batch(20).audit(by=by)
        assert audit.is_uniform, str(audit)
        assert audit.as_planned


class TestArguments:
    def test_rows_are_measured_by_256_or_as_is_said(self):
        rows = data(2000).shuffle(seed=0)
        assert rows.audit().batch_rows == 256
        few = rows.audit(by="label", batch_rows=50)
        assert few.batch_rows == 50
        assert few.measures == rows.batch(50).audit(by="label").measures

    def test_batches_have_a_size_of_their_own(self):
        with pytest.raises(
            ValueError, match=r"audit: batch_rows is for a pipe of rows; this one has batches of its own: Mem"
        ):
            data(100).batch(5).audit(batch_rows=5)

    @pytest.mark.parametrize("batch_rows", [1, 0, 2.0, True])
    def test_a_batch_has_two_rows(self, batch_rows):
        with pytest.raises(ValueError, match=r"audit: batch_rows must be an int of at least 2; got"):
            data(100).audit(batch_rows=batch_rows)

    def test_an_epoch_is_an_int_from_0(self):
        with pytest.raises(ValueError, match=r"audit: epoch must be an int of at least 0; got -1\."):
            data(100).audit(epoch=-1)

    def test_by_is_a_column(self):
        with pytest.raises(TypeError, match=r"audit: by is the name of a column or None; got \['n'\] of type list\."):
            data(100).audit(by=["n"])

    def test_a_measure_that_is_not_there(self):
        with pytest.raises(
            KeyError, match=r"audit: no measure 'entropy'; there are \['effective batch by source', 'rank"
        ):
            data(1000).audit()["entropy"]

    def test_few_rows_tell_nothing(self):
        audit = data(3).audit()
        assert audit.measures == ()
        assert not audit.is_uniform
        assert audit.verdict == "too few rows or batches to tell an order from another"
        assert str(data(0).audit()).startswith("Order of epoch 0, 0 rows in 0 batches of 0: too few rows")


class TestAsText:
    def test_it_prints_a_table(self):
        audit = data(2000).shuffle(seed=0).batch(50).audit(by="label")
        lines = str(audit).splitlines()
        assert lines[0] == "Order of epoch 0, 2,000 rows in 40 batches of 50: mixed as by a uniform order"
        assert lines[2] == "rows: each of 2,000 rows once, as planned"
        assert lines[4].split() == ["measured", "expected", "95", "%", "of", "uniform"]
        names = ["effective batch by label", "effective batch by source", "rank correlation", "displacement"]
        names += ["neighbours together", "span of a batch"]
        assert [line.split("  ")[0] for line in lines[5:11]] == names
        assert len({line.index("as in a uniform order") for line in lines[5:11]}) == 1
        assert lines[12] == "guaranteed"
        assert lines[13].startswith(
            "Shuffle(seed=0): exactly uniform: each of the n! orders of n items is equally likely"
        )
        assert repr(audit) == str(audit)

    def test_it_shows_in_a_notebook(self):
        rows = fw.source({"a<b": [1, 2, 3, 4] * 100}).shuffle(seed=0).batch(10)
        text = rows.audit(by="a<b")._repr_html_()
        assert "effective batch by a&lt;b" in text
        assert "<li>Shuffle(seed=0): exactly uniform" in text
        assert text.count("<tr>") == 7

    def test_it_is_a_dict_for_json(self):
        audit = data(1005).shuffle(seed=0).batch(100, drop_last=True).audit(by="label")
        found = json.loads(json.dumps(audit.to_dict()))
        assert found["missing"] == audit.missing.tolist()
        assert found["measures"]["displacement"]["observed"] == audit["displacement"].observed
        assert found["verdict"] == audit.verdict
        assert found["each_row_once"] is False
        assert list(found["guarantees"]) == ["Shuffle(seed=0)"]

    def test_batches_that_are_all_alike_have_no_number_in_json(self):
        dealt = quality.Ordered(data(1000), lambda count: np.arange(count).reshape(10, -1).T.reshape(-1))
        found = json.loads(json.dumps(dealt.batch(20).audit(by="label").to_dict(), allow_nan=False))
        assert found["measures"]["effective batch by label"]["observed"] is None


class TestGuarantees:
    def test_each_stage_that_draws_says_what_it_guarantees(self):
        mixed = data(100).shuffle(seed=1).mix(data(100), seed=2).shuffle(seed=3)
        said = dict(guarantees(mixed))
        assert [name.partition("(")[0] for name in said] == ["Shuffle", "Mix", "Shuffle"]
        assert "n**2 / 2**65" in said["Shuffle(seed=3)"]
        assert "each turn draws a component by the weights" in said[mixed.input.describe()]

    def test_a_stage_that_draws_nothing_says_nothing(self):
        assert list(guarantees(data(100).filter(is_odd).batch(3).take(2).repeat(2))) == []

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda rows: rows.split(0.5, 0.5, seed=0)[0], "each choice of so many items is equally likely; they keep"),
            (
                lambda rows: rows.split(0.5, 0.5, seed=0, stratify="label")[0],
                "of each class of 'label' is equally likely",
            ),
            (lambda rows: rows.split(0.5, 0.5, seed=0, group="label")[0], "whole groups, the largest first"),
            (lambda rows: rows.sample(9, seed=0), "each sequence of so many items is equally likely"),
            (lambda rows: rows.sample(9, replace=True, seed=0), "draws are independent, each of all items alike"),
            (
                lambda rows: rows.sample(9, weights="label", seed=0),
                "one item after the other, each of those that are left",
            ),
            (
                lambda rows: rows.sample(9, weights="label", replace=True, seed=0),
                "all items in proportion to the weights",
            ),
            (lambda rows: fw.Feedback(rows, seed=0), "each row comes as often as its share of the weights says"),
        ],
    )
    def test_splits_and_samples_say_theirs(self, make, text):
        ((_, said),) = guarantees(make(data(100)))
        assert text in said

    def test_a_stage_of_ones_own_may_say_something(self):
        class Reverse(fw.OrderStage):
            guarantee = "the last comes first"

            def num_items_out(self, num_items):
                return num_items

            def locate(self, span, num_items, epoch):
                return num_items - 1 - np.asarray(span)

        pipe = Reverse(data(100))
        assert "Reverse(): the last comes first" in str(pipe.audit())
        assert "the last comes first" in str(pipe.explain())

    def test_explain_shows_it(self):
        text = str(data(100).shuffle(seed=0).batch(5).explain())
        assert "   exactly uniform: each of the n! orders of n items is equally likely" in text
        assert "exactly uniform" in data(100).shuffle(seed=0).explain()._repr_html_()

    def test_the_chance_of_equal_keys_is_below_what_is_said(self):
        # n * (n - 1) / 2 pairs, each equal with a chance of 1 / 2**64
        for count in (2, 10**6, 10**9):
            assert count * (count - 1) / 2 / 2**64 < count**2 / 2**65
