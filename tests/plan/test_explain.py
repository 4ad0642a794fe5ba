"""The plan as text."""

import pytest
import torch

import fireworks as fw
from fireworks.plan.explain import Plan
from pipelines import add_noise, counting, double, is_odd, table


def test_it_shows_stages_steps_and_rules():
    pipe = table().filter("n > 3").map(double).map(add_noise, seed=1).shuffle(seed=0).select("n").batch(4)
    text = str(pipe.explain())
    for line in (
        "7 stages: rows not counted, random access",
        "1  Memory(23 rows: x, n, w, word)",
        "   x: float32[3] tensor, n: int64 tensor, w: float64, word: str",
        "   rows not counted; on blocks of 1,024 rows, in the caller's thread; values new each epoch",
        "   columns: what the function returns",
        "order  Filter(n > 3): found in one pass, and kept; holds 8 bytes a row",
        "run    Map(double) → Map(add_noise, seed=1) → Select(n): on blocks of 1,024 rows, in the caller's thread",
        "then   Batch(4)",
        "- filter: the pass that finds Filter(n > 3) reads n where it can.",
        "- work behind orders: Map(double), Map(add_noise, seed=1) run behind Shuffle(seed=0).",
    ):
        assert line in text.splitlines() or line in text, line


def test_rows_behind_a_filter_are_counted_on_request():
    pipe = table().filter(is_odd).batch(4)
    assert "rows not counted" in pipe.explain().summary
    assert pipe.explain(count=True).summary == "3 stages: 3 batches, 11 rows of 60 B, 660 B in all, random access"


def test_nothing_is_run_to_explain():
    def fails(rows):
        raise AssertionError

    text = str(table().filter(fails).map(fails).batch(3).explain())
    assert "Filter(fails): found in one pass" in text


def test_a_stream_is_not_begun():
    def begin():
        raise AssertionError

    text = str(fw.source(begin).batch(3).explain())
    assert text.startswith("2 stages: nobody knows how many rows, a stream")


def test_junctions_and_diamonds():
    data = table().map(double)
    pipe = fw.Zip({"a": data.select("x"), "b": data.select("n")}).shuffle(seed=0).batch(4)
    text = str(pipe.explain())
    assert "(stage 2 again)" in text
    assert "Zip of a, b" in text
    assert "input  a:" in text


def test_what_a_junction_leaves_unread_is_said_where_it_is_true():
    wide = table()
    narrow = fw.Zip({"a": wide.select("x"), "b": wide.select("n")})
    assert narrow.explain().rules.count("columns: 1 of 4 columns of Memory(23 rows: x, n, w, word) is read: x.") == 1
    assert narrow.runnable.base._flows[0].base.source.known_columns == ["x"]


def test_what_the_source_finds_is_said(tmp_path):
    fw.Message({"n": [1, 2, 3], "w": [1.0, 2.0, 3.0]}).to_parquet(tmp_path / "a.parquet")
    pipe = fw.read_parquet(tmp_path).filter("n >= 2").select("w")
    text = str(pipe.explain())
    assert "order  Filter(n >= 2): found by the source; holds 8 bytes a row" in text
    assert "read   1 of 2 columns of Parquet(a.parquet, 3 rows: n, w): w" in text
    assert "done   Select(w): by what is read" in text
    assert "- filter: Filter(n >= 2) is found by the source, which reads what it must." in text


def test_without_optimisation_it_says_so(tmp_path):
    pipe = table().select("n")
    assert "not optimised" in str(pipe.as_written().explain())
    with fw.optimisation(False):
        assert "not optimised\n- nothing to do" in str(pipe.explain())


def test_workers_are_named():
    class Remote(fw.RowStage):
        workers, backend = 3, "process"

        def transform(self, rows):
            return rows

    assert "in 3 worker processes" in str(Remote(table()).explain())
    assert "fused" not in str(table().map(double).prefetch(3).explain())
    text = str(table().batch(4).map(double).map(double, workers=2).prefetch(3).explain())
    assert "on each batch, Map(double) in 2 worker threads; Prefetch" in text
    assert "with all before it up to 3 items ahead, in a thread of its own" in text


def test_it_shows_in_a_notebook():
    shown = fw.source({"<b>": torch.arange(3)}).batch(2).explain()._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>:" not in shown


def test_repeat_at_epoch_and_streams_are_explained():
    for pipe in (
        table().shuffle(seed=0).repeat(2).at_epoch(1),
        counting().filter("n > 2").batch(3),
        table().split(0.5, 0.5, seed=0)[0],
    ):
        assert isinstance(pipe.explain(), Plan)
        assert repr(pipe.explain()) == str(pipe.explain())


def test_count_is_a_bool():
    with pytest.raises(TypeError, match=r"explain: count is True or False; got 1 of type int\."):
        table().explain(count=1)
