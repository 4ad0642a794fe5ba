"""What a pass did: counts that add up, times that say where they went, and the bottleneck by name."""

import json
import time

import pytest

import fireworks as fw
from fireworks.parallel.stats import StageStats, Stats
from pipelines import add_noise, counting, double, is_odd, numbers, table


def sleepy(rows):
    time.sleep(0.01)
    return rows


class TestCounts:
    def test_rows_of_each_stage(self):
        pipe = table().batch(4).map(double).filter("n", ">", 6)
        list(pipe)
        counts = [(stage.name, stage.rows_in, stage.rows_out) for stage in pipe.stats().stages]
        assert counts == [
            ("Memory(23 rows: x, n, w, word)", 23, 23),
            ("Map(double)", 23, 23),
            ("Filter(n > 6)", 23, 19),
        ]

    def test_of_a_stream(self):
        pipe = counting().batch(4).map(double).filter(is_odd)
        list(pipe)
        counts = [(stage.rows_in, stage.rows_out) for stage in pipe.stats().stages]
        assert counts == [(23, 23), (23, 23), (23, 0)]

    def test_what_was_set_aside(self):
        def fail_at_5(rows):
            if 5 in rows["n"].tolist():
                raise ValueError
            return rows

        pipe = table().batch(4).map(fail_at_5, on_error="quarantine")
        with pytest.warns(fw.errors.QuarantineWarning, match="1 rows"):
            list(pipe)
        stage = pipe.stats().stages[-1]
        assert (stage.rows_in, stage.rows_out, stage.set_aside) == (23, 22, 1)

    def test_components_carry_their_name(self):
        pipe = fw.Zip({"a": table().select("n").map(double), "b": table().select("w")}).batch(4)
        list(pipe)
        names = [stage.name for stage in pipe.stats().stages]
        assert "a/Map(double)" in names

    def test_each_pass_begins_at_zero(self):
        pipe = table().batch(4).map(double)
        for _ in range(3):
            list(pipe)
        assert pipe.stats().stages[-1].rows_in == 23

    def test_during_a_pass(self):
        pipe = table().batch(4).map(double)
        iterator = iter(pipe)
        next(iterator)
        for stats in (pipe.stats(), iterator.stats()):
            assert not stats.is_at_end
            assert stats.stages[-1].rows_in == 4

    def test_each_iterator_has_its_own(self):
        pipe = table().batch(4).map(double)
        one, other = iter(pipe), iter(pipe)
        next(one)
        list(other)
        assert (one.stats().stages[-1].rows_in, other.stats().stages[-1].rows_in) == (4, 23)

    def test_to_message_is_a_pass(self):
        pipe = table().map(double)
        pipe.to_message()
        assert pipe.stats().is_at_end
        assert pipe.stats().outside_s == 0

    def test_before_any_pass_there_are_none(self):
        with pytest.raises(
            ValueError, match=r"stats: there was no pass over Memory\(.*\) → Map\(double\) yet; iterate it first"
        ):
            table().map(double).stats()


class TestTimes:
    def test_the_slow_stage_is_the_bottleneck(self):
        pipe = table().batch(2).map(double).map(sleepy)
        list(pipe)
        stats = pipe.stats()
        assert stats.stages[-1].work_s >= 0.12
        assert stats.stages[-1].work_s <= stats.seconds
        assert stats.bottleneck.startswith("Map(sleepy) is the bottleneck: it worked 0.")

    def test_the_work_of_workers_is_shared(self):
        pipe = table(48).batch(2).map(sleepy, workers=4).map(double)
        list(pipe)
        stage = pipe.stats().stages[1]
        assert stage.workers == 4
        assert stage.work_s >= 0.24
        assert stage.busy_s == stage.work_s / 4
        assert 0 < stage.wait_s <= pipe.stats().seconds
        assert pipe.stats().bottleneck.endswith("in each of its 4 workers.")

    def test_a_slow_loop_is_named_too(self):
        pipe = table().batch(4).map(double)
        for _ in pipe:
            time.sleep(0.01)
        assert pipe.stats().outside_s >= 0.05
        assert pipe.stats().bottleneck.startswith("What is done with the items takes longest, 0.")

    def test_waiting_for_prefetch_is_counted(self):
        pipe = table().batch(4).map(sleepy).prefetch(2)
        list(pipe)
        prefetch = pipe.stats().stages[-1]
        assert prefetch.name == "Prefetch()"
        assert prefetch.wait_s >= 0.04


def stage(name="Map(f)", workers=0, work_s=8.0):
    return StageStats(name, 4000, 3990, 10, workers, work_s, 0.25, 500.0)


class TestShown:
    def test_as_a_table(self):
        text = repr(Stats((stage(), stage("Map(" + 60 * "g" + ")", 2, 2.0)), 10.0, 1.0, is_at_end=True)).splitlines()
        assert text[0].split() == [
            "stage",
            "rows",
            "in",
            "rows",
            "out",
            "dropped",
            "set",
            "aside",
            "workers",
            "work",
            "s",
            "wait",
            "s",
            "rows/s",
        ]
        assert text[1].split() == ["Map(f)", "4,000", "3,990", "0", "10", "0", "8.000", "0.250", "500"]
        assert text[2].startswith("Map(" + 43 * "g" + "…  ")
        assert text[3] == "The pass took 10.000 s, 1.000 s of it outside the pipe."
        assert text[4] == "Map(f) is the bottleneck: it worked 8.00 of 10.00 s."

    def test_under_way(self):
        assert "So far the pass took 10.000 s" in repr(Stats((stage(),), 10.0, 1.0, is_at_end=False))

    def test_where_nothing_takes_long(self):
        assert Stats((stage(work_s=0.1),), 10.0, 0.1, is_at_end=True).bottleneck == "No stage takes much of the time."
        assert Stats((), 10.0, 0.1, is_at_end=True).bottleneck == "No stage takes much of the time."

    def test_as_plain_values(self):
        stats = Stats((stage(),), 10.0, 1.0, is_at_end=True)
        plain = json.loads(json.dumps(stats.to_dict()))
        assert plain["stages"][0]["rows_in"] == 4000
        assert plain["bottleneck"] == stats.bottleneck

    def test_as_a_message(self):
        rows = Stats((stage(), stage("Map(g)", 2)), 10.0, 1.0, is_at_end=True).to_message()
        assert list(rows["name"]) == ["Map(f)", "Map(g)"]
        assert rows["workers"].tolist() == [0, 2]


def test_results_are_not_changed_by_asking():
    pipe = table().batch(4).map(add_noise, seed=1).map(double)
    seen = []
    for batch in pipe:
        pipe.stats()
        seen += batch["n"].tolist()
    assert seen == numbers(table().batch(4).map(double))


class TestRowsThatAreDropped:
    def test_a_filter_with_random_access_is_accounted_for(self):
        pipe = table().filter("n > 3").map(double).batch(4)
        list(pipe)
        rows = {stage.name: (stage.rows_in, stage.rows_out, stage.dropped) for stage in pipe.stats().stages}
        assert rows["Filter(n > 3)"] == (23, 19, 4)
        assert rows["Map(double)"] == (19, 19, 0)

    def test_a_filter_behind_batch_or_on_a_stream_too(self):
        for pipe in (table().batch(4).filter("n > 3"), counting().filter("n > 3")):
            list(pipe)
            assert {stage.name: stage.dropped for stage in pipe.stats().stages}["Filter(n > 3)"] == 4

    def test_a_stage_without_work_has_no_speed(self):
        pipe = table().filter("n > 3").batch(4)
        list(pipe)
        line = next(line for line in repr(pipe.stats()).splitlines() if line.startswith("Filter"))
        assert line.split()[-1] == "-"
