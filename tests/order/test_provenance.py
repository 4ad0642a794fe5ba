"""What a pass hands out can be looked up without it: the same rows, for any pipeline, epoch and way of asking."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

import fireworks as fw
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError, RowIndexError, UnknownLengthError
from fireworks.order.provenance import rows_of, when
from pipelines import add_noise, counting, double, is_odd, numbers, table
from plan.test_optimise import VERBS, Halves
from plan.test_optimise import rows_of as message_of

MORE_VERBS = VERBS | {
    "window 2 by 3": lambda pipe: pipe.select("n").window(2, stride=3),
    "slice back": lambda pipe: pipe.slice(None, None, -2),
    "batch, whole": lambda pipe: pipe.batch(7, drop_last=True),
    "rebatch, whole": lambda pipe: pipe.rebatch(4, drop_last=True),
    "bucket": lambda pipe: pipe.bucket("n", [20, 50], [3, 4, 5]),
    "flatten": lambda pipe: pipe.select("n").map(repeated).flatten("n"),
    "quarantine": lambda pipe: pipe.map(double, on_error="quarantine"),
    "epoch 1": lambda pipe: pipe.at_epoch(1),
    "concat batches": lambda pipe: pipe.select("n").batch(4).concat(pipe.select("n").shuffle(seed=3).batch(6)),
    "repeat 3": lambda pipe: pipe.repeat(3),
    "shard": lambda pipe: pipe.shard(1, 3),
    "cache": lambda pipe: pipe.cache(),
    "sample": lambda pipe: pipe.sample(20, seed=1),
    "sample again": lambda pipe: pipe.sample(frac=1.5, replace=True, seed=2),
    "bootstrap": lambda pipe: pipe.bootstrap(seed=5),
    "oversample": lambda pipe: pipe.oversample("n", seed=6),
    "fold": lambda pipe: pipe.kfold(3, seed=1)[1][0],
}


def built(pipe, verbs):
    """Put as many of the verbs on a pipe as fit."""
    for verb in verbs:
        try:
            pipe = MORE_VERBS[verb](pipe)
        except (TypeError, ValueError, KeyError):
            continue
    return pipe


def repeated(rows):
    return rows.assign(n=[[int(n)] * (int(n) % 3) for n in rows["n"]])


def what_came(pipe, epoch):
    """Run an epoch; return the row numbers of each item."""
    cursor = pipe.runnable.open(Run(epoch))
    items = []
    while (chunk := cursor.read(1)) is not None:
        items.append(chunk.rows.tolist())
    return items


def as_lists(found, *, is_batched):
    return [rows.tolist() for rows in found] if is_batched else [[row] for row in found.tolist()]


def places_in(items, wanted, *, is_batched):
    """Find rows by looking at every item."""
    lines = []
    for row in wanted:
        for number, rows in enumerate(items):
            for place, other in enumerate(rows):
                if other == row:
                    lines.append({"row": row, "batch": number, "place": place} if is_batched else (row, number))
    return lines if is_batched else [{"row": row, "position": number} for row, number in lines]


class TestAnyPipeline:
    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        kind=st.sampled_from(["memory", "stream"]),
        verbs=st.lists(st.sampled_from(sorted(MORE_VERBS)), max_size=6),
        epoch=st.integers(0, 2),
        data=st.data(),
    )
    def test_it_says_what_comes(self, kind, verbs, epoch, data):
        sources = {"memory": lambda: fw.source(message_of()), "stream": lambda: fw.source(Halves(message_of()))}
        pipe = built(sources[kind](), verbs)
        if not pipe.is_indexable:
            with pytest.raises(NoRandomAccessError, match=r"rows_of needs random access, and .* is a stream"):
                pipe.rows_of(epoch, 0)
            with pytest.raises(NoRandomAccessError, match=r"when needs random access, and .* is a stream"):
                pipe.when(0, epoch)
            return
        try:
            came = what_came(pipe, epoch)
        except (TypeError, ValueError, KeyError):
            return  # a pipeline that can't run; the optimiser's tests are full of them
        try:
            found = pipe.rows_of(epoch, slice(None))
        except NoRandomAccessError:
            assert "cache" in verbs  # which has random access to what a stream gives
            return
        except UnknownLengthError:
            assert any("Filter" in stage or "quarantine" in verbs or "Flatten" in stage for stage in pipe.stages())
            return
        assert as_lists(found, is_batched=pipe.is_batched) == came
        if not came:
            return
        at = data.draw(st.lists(st.integers(-len(came), len(came) - 1), max_size=9), label="items")
        assert as_lists(pipe.rows_of(epoch, at), is_batched=pipe.is_batched) == [came[i] for i in at]
        one = data.draw(st.integers(0, len(came) - 1), label="item")
        assert pipe.rows_of(epoch, one).tolist() == came[one]
        highest = max(itertools.chain([0], *came))
        wanted = data.draw(st.lists(st.integers(0, highest), max_size=9), label="rows")
        lines = pipe.when(wanted, epoch)
        assert lines.to_dict("records") == places_in(came, wanted, is_batched=pipe.is_batched)

    def test_each_of_the_verbs_is_answered(self):
        unanswered = []
        for name, verb in MORE_VERBS.items():
            for first in ("n", "batch"):
                try:
                    pipe = fw.source(message_of()).shuffle(seed=1)
                    pipe = verb(pipe.batch(4) if first == "batch" else pipe)
                    came = what_came(pipe, 1)
                except (TypeError, ValueError, KeyError):
                    continue
                if not pipe.is_indexable:
                    continue
                try:
                    assert as_lists(pipe.rows_of(1, slice(None)), is_batched=pipe.is_batched) == came, name
                except UnknownLengthError:
                    unanswered.append(name)
        # Those that drop rows of batches, and a mix of which a component is filtered.
        assert {name.partition(" ")[0] for name in unanswered} == {"filter", "flatten", "mix", "quarantine"}

    def test_a_large_order_is_looked_through_in_parts(self, monkeypatch):
        monkeypatch.setattr("fireworks.order.provenance._BATCHES_AT_A_TIME", 3)
        monkeypatch.setattr("fireworks.order.provenance._ITEMS_AT_A_TIME", 7)
        for pipe in (table(100).shuffle(seed=0), table(100).shuffle(seed=0).batch(9)):
            lines = pipe.when(range(100), 4).to_dict("records")
            assert lines == places_in(what_came(pipe, 4), range(100), is_batched=pipe.is_batched)

    def test_rows_are_found_without_a_table_too(self, monkeypatch):
        pipe = table(100).shuffle(seed=0).batch(9).repeat(2)
        expected = pipe.when(range(0, 100, 3), 1)
        monkeypatch.setattr("fireworks.order.provenance._LONGEST_TABLE", 0)
        assert pipe.when(range(0, 100, 3), 1) == expected


class TestRowsOf:
    def test_one_batch_is_an_array_and_several_are_a_list(self):
        pipe = table().shuffle(seed=0).batch(4)
        expected = [batch["n"].tolist() for batch in pipe.at_epoch(3)]
        assert pipe.rows_of(3, 2).tolist() == expected[2]
        assert pipe.rows_of(3, 2).dtype == np.int64
        assert pipe.rows_of(epoch=3, batch=-1).tolist() == expected[-1]
        for several in ([5, 0], torch.tensor([5, 0]), np.array([5, 0])):
            assert [rows.tolist() for rows in pipe.rows_of(3, several)] == [expected[5], expected[0]]
        assert [rows.tolist() for rows in pipe.rows_of(3, slice(None, None, -2))] == expected[::-2]
        assert pipe.rows_of(3, []) == []

    def test_a_pipe_of_rows_gives_one_array(self):
        pipe = table().shuffle(seed=0)
        expected = numbers(pipe.at_epoch(1))
        assert pipe.rows_of(1, 4).tolist() == [expected[4]]
        assert pipe.rows_of(1, slice(2, 6)).tolist() == expected[2:6]
        assert pipe.rows_of(1, [7, 7]).tolist() == [expected[7]] * 2

    def test_nothing_is_read_and_no_function_runs(self):
        class Closed(fw.Source):
            schema = fw.Message({"n": [0]}).schema

            def count(self):
                return 50

            def fetch(self, rows):
                raise AssertionError

        def fails(rows):
            raise AssertionError

        pipe = Closed().map(fails).split(0.5, 0.5, seed=0)[1].shuffle(seed=1).map(fails).batch(4).repeat(2).map(fails)
        rows = np.concatenate(pipe.rows_of(7, slice(None)))
        assert len(rows) == 50
        assert len(pipe.when(int(rows[3]), 7)) == 2

    def test_the_kept_rows_of_a_filter_are_found_once(self):
        calls = []

        def odd(rows):
            calls.append(len(rows))
            return is_odd(rows)

        pipe = table().filter(odd).shuffle(seed=0).batch(3)
        assert sorted(np.concatenate(pipe.rows_of(0, slice(None))).tolist()) == list(range(1, 23, 2))
        pipe.rows_of(5, 1)
        assert sum(calls) == 23

    def test_numbers_behind_junctions_are_those_of_errors(self):
        one, other = table(5).select("n"), table(4).select("n").shuffle(seed=0)
        assert one.concat(other).rows_of(0, slice(None)).tolist() == list(range(9))
        zipped = fw.Zip({"a": table(5).shuffle(seed=2).select("n"), "b": table(5).select("x")})
        assert zipped.rows_of(3, slice(None)).tolist() == numbers(table(5).shuffle(seed=2).at_epoch(3))
        joined = table(9).filter("n > 5").join(table(7).select("n").rename(n="m"), on={"n": "m"})
        assert joined.rows_of(0, slice(None)).tolist() == [6]

    def test_a_link_is_followed(self):
        class Owner:
            pipe = table(8).shuffle(seed=0)

        linked = fw.Concat({"a": fw.link(Owner, "pipe")}).shuffle(seed=1)
        assert linked.rows_of(2, slice(None)).tolist() == [row for rows in what_came(linked, 2) for row in rows]
        assert linked.flow.base.num_source_rows() == 8

    def test_an_order_of_ones_own_is_followed(self):
        class Reverse(fw.OrderStage):
            def num_items_out(self, num_items):
                return num_items

            def locate(self, span, num_items, epoch):
                return num_items - 1 - np.asarray(span)

        assert table(6).pipe(Reverse).batch(4).rows_of(0, 0).tolist() == [5, 4, 3, 2]

    @pytest.mark.parametrize("epoch", [-1, 1.0, True, None])
    def test_an_epoch_is_an_int_from_0(self, epoch):
        with pytest.raises(ValueError, match=r"rows_of: epoch must be an int of at least 0; got"):
            table().rows_of(epoch, 0)
        with pytest.raises(ValueError, match=r"when: epoch must be an int of at least 0; got"):
            table().when(0, epoch)

    def test_a_batch_past_the_end(self):
        with pytest.raises(RowIndexError, match=r"rows_of: batch 6 is past the end; there are 6 batches\."):
            table().batch(4).rows_of(0, 6)
        with pytest.raises(RowIndexError, match=r"rows_of: row 23 is past the end; there are 23 rows\."):
            table().rows_of(0, [23])

    def test_a_stream_does_not_know(self):
        with pytest.raises(NoRandomAccessError, match=r"rows_of needs random access, and .* is a stream: Iterable"):
            counting().batch(4).rows_of(0, 0)
        with pytest.raises(NoRandomAccessError, match=r"when needs random access, .*Map\(.*makes it one"):
            table().map(double, on_error="quarantine").when(0)

    def test_a_cache_of_a_stream_does_not_know(self):
        pipe = counting().cache()
        assert pipe[5]["n"].item() == 5
        for ask in (lambda: pipe.rows_of(0, 5), lambda: pipe.shuffle(seed=0).batch(4).when(5)):
            with pytest.raises(
                NoRandomAccessError, match=r"Nobody knows before a pass which rows come: upstream a stream is"
            ):
                ask()

    def test_a_filter_of_batches_does_not_know(self):
        with pytest.raises(
            UnknownLengthError, match=r"Filter\(is_odd\) drops rows of batches, so which rows they hold is"
        ):
            table().batch(4).filter(is_odd).rows_of(0, 0)

    def test_a_base_of_ones_own_says_so_until_it_is_taught(self):
        from fireworks.core.flow import Base

        class Mine(Base):
            row_bytes = 1
            num_items = pieces = open = None

        with pytest.raises(NoRandomAccessError, match=r"Mine: nobody knows before a pass which rows of the source its"):
            Mine().rows_at(range(1), 0)
        assert Mine().num_source_rows() is None

    def test_a_feedback_knows_the_epochs_that_have_begun(self):
        pipe = fw.Feedback(table(6), seed=0).batch(3)
        assert [rows.tolist() for rows in pipe.rows_of(0, slice(None))] == what_came(pipe, 0)
        with pytest.raises(NoRandomAccessError, match=r"Feedback\(seed=0\): what epoch 1 draws depends on the weights"):
            pipe.rows_of(1, 0)
        list(pipe.at_epoch(1))
        assert [rows.tolist() for rows in pipe.rows_of(1, slice(None))] == what_came(pipe, 1)


class TestWhen:
    def test_one_row_and_several(self):
        pipe = table().shuffle(seed=0).batch(4)
        batches = [batch["n"].tolist() for batch in pipe.at_epoch(2)]
        for row in (0, 11, 22):
            (line,) = pipe.when(row, 2).to_dict("records")
            assert batches[line["batch"]][line["place"]] == row == line["row"]
        assert pipe.when([3, 3, 1], epoch=2)["row"].tolist() == [3, 3, 1]
        assert len(pipe.when(slice(None), 2)) == 23
        assert pipe.when(-1, 2) == pipe.when(22, 2)
        assert pipe.when([], 2).columns == ["row", "batch", "place"]

    def test_a_pipe_of_rows_has_positions(self):
        pipe = table().shuffle(seed=0)
        line = pipe.when(5)
        assert line.columns == ["row", "position"]
        assert pipe[int(line["position"])]["n"].item() == 5

    def test_a_row_that_comes_twice_has_two_lines_and_one_left_out_none(self):
        pipe = table(10).shuffle(seed=0).batch(4, drop_last=True).repeat(2)
        lines = pipe.when(range(10))
        counts = np.bincount(lines["row"].numpy(), minlength=10)
        assert counts.sum() == 16
        came = np.concatenate(pipe.rows_of(0, slice(None)))
        assert counts.tolist() == np.bincount(came, minlength=10).tolist()
        left_out = int(np.flatnonzero(counts == 0)[0]) if (counts == 0).any() else None
        if left_out is not None:
            assert len(pipe.when(left_out)) == 0

    def test_a_row_that_the_source_lacks(self):
        with pytest.raises(RowIndexError, match=r"when: row 23 is past the end; there are 23 rows\."):
            table().batch(4).when(23)

    def test_an_empty_pipe_has_none(self):
        assert len(table().take(0).when([1, 2])) == 0

    def test_rows_of_several_sources_have_no_end(self):
        pipe = table(4).batch(2).concat(table(6).batch(3))
        assert pipe.when(3).to_dict("records") == [
            {"row": 3, "batch": 1, "place": 1},
            {"row": 3, "batch": 3, "place": 0},
        ]
        assert len(pipe.when(100)) == 0


def test_the_functions_are_the_verbs():
    pipe = table().map(add_noise, seed=0).shuffle(seed=0).batch(5)
    assert rows_of(pipe, 1, 2).tolist() == pipe.rows_of(1, 2).tolist()
    assert when(pipe, 4, 1) == pipe.when(4, 1)
