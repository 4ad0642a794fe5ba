"""Items of a pipe: how they are asked for, and what is said where that can't be."""

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError, RowIndexError, UnknownLengthError
from fireworks.order.keys import random_order
from pipelines import add_noise, counting, double, is_odd, numbers, table


class TestIndexing:
    @pytest.mark.parametrize("one", [3, np.int64(3), torch.tensor(3), np.array(3), -20])
    def test_an_int_of_any_kind_is_one_item(self, one):
        assert table()[one] == table()[3:4]
        assert table().batch(1)[one] == table()[3:4]

    @pytest.mark.parametrize(
        "some",
        [
            [4, 2, -1],
            (4, 2, 22),
            np.array([4, 2, 22]),
            torch.tensor([4, 2, 22]),
            pd.Series([4, 2, 22]),
        ],
        ids=lambda key: type(key).__name__,
    )
    def test_several_items_come_in_the_order_asked_for(self, some):
        assert table().map(double)[some]["n"].tolist() == [8, 4, 44]
        batches = table().batch(1).map(double)[some]
        assert [batch["n"].tolist() for batch in batches] == [[8], [4], [44]]

    def test_a_mask_takes_one_value_per_item(self):
        assert table(4)[[True, False, False, True]]["n"].tolist() == [0, 3]
        assert [len(batch) for batch in table(5).batch(2)[[True, False, True]]] == [2, 1]
        with pytest.raises(RowIndexError, match=r"MemorySource: a mask needs one value per row; it has 2, there are 4"):
            table(4)[[True, False]]

    def test_slices_clamp_and_step_in_both_directions(self):
        assert table()[20:99]["n"].tolist() == [20, 21, 22]
        assert table()[::-10]["n"].tolist() == [22, 12, 2]
        assert [len(batch) for batch in table().batch(10)[::-1]] == [3, 10, 10]
        assert table()[5:5].columns == ["x", "n", "w", "word"]
        assert table().batch(4)[9:] == []

    def test_a_repeated_index_gives_the_item_again(self):
        rows = table().shuffle(seed=0)[[5, 5]]
        assert rows[0] == rows[1]
        one, other = table().batch(4)[[1, 1]]
        assert one == other

    @pytest.mark.parametrize("key", [23, -24, [0, 23]])
    def test_a_row_past_the_end_is_an_error_with_the_length(self, key):
        with pytest.raises(RowIndexError, match=r"Shuffle: row (23|-24) is past the end; there are 23 rows\."):
            table().shuffle(seed=0)[key]

    def test_a_batch_past_the_end_is_an_error_with_the_length(self):
        with pytest.raises(RowIndexError, match=r"Batch: batch 6 is past the end; there are 6 batch"):
            table().batch(4)[6]

    def test_a_column_is_no_item(self):
        with pytest.raises(
            TypeError, match=r"Take: a pipe is indexed by items, not by columns\. Write pipe\.select\('n'"
        ):
            table().take(3)["n"]

    @pytest.mark.parametrize("key", [1.5, None, [0.5], [[1]]])
    def test_anything_else_is_no_index(self, key):
        with pytest.raises(TypeError, match="MemorySource: "):
            table()[key]

    def test_python_iteration_by_index_ends(self):
        # The old protocol asks 0, 1, 2, … until IndexError; an error of ours must be one.
        class Old:
            def __getitem__(self, position):
                return table(3)[position]

        assert len(list(Old())) == 3


class TestLength:
    def test_items_and_rows_are_counted_apart(self):
        pipe = table().batch(4)
        assert (len(pipe), pipe.num_rows) == (6, 23)
        short = table().batch(4, drop_last=True)
        assert (len(short), short.num_rows) == (5, 20)
        assert table().batch(4).shuffle(seed=0).take(2).num_rows in (7, 8)
        assert table().batch(4).repeat(3).num_rows == 69
        assert table().shuffle(seed=0).batch(4).at_epoch(1).num_rows == 23

    def test_rows_behind_a_filter_on_batches_are_not_known_before_the_end(self):
        pipe = table().batch(4).filter(is_odd)
        assert len(pipe) == 6
        with pytest.raises(UnknownLengthError, match=r"Filter\(is_odd\) drops rows of batches, so their number is not"):
            pipe.num_rows  # noqa: B018


STREAMS = {
    "source": counting,
    "map": lambda: counting().map(double),
    "batch": lambda: counting().batch(4),
    "take": lambda: counting().take(3),
    "repeat": lambda: counting().repeat(2),
    "fixed epoch": lambda: counting().at_epoch(1),
    "filter behind shuffle": lambda: table().shuffle(seed=0).filter(is_odd),
    "filter behind seeded map": lambda: table().map(add_noise, seed=0).filter("noise", "<", 0.5),
    "zip": lambda: fw.Zip({"a": counting().select("n"), "b": table().select("x")}),
}


class TestStreams:
    @pytest.mark.parametrize("name", STREAMS)
    def test_a_stream_has_no_items_to_ask_for(self, name):
        with pytest.raises(
            NoRandomAccessError, match=r"\[…\] needs random access, and .* is a stream: .*(Read|or read) the rows first"
        ):
            STREAMS[name]()[0]

    @pytest.mark.parametrize("name", STREAMS)
    def test_a_stream_has_no_length(self, name):
        with pytest.raises(UnknownLengthError, match=r"not known before the end|not known before its end"):
            len(STREAMS[name]())

    @pytest.mark.parametrize("name", STREAMS)
    def test_a_stream_is_shuffled_row_by_row(self, name):
        stream = STREAMS[name]()
        if stream.is_batched:
            with pytest.raises(NoRandomAccessError, match="shuffle of batches needs random access"):
                stream.shuffle(seed=0)
        else:
            straight = numbers(stream.at_epoch(0))
            shuffled = numbers(stream.shuffle(seed=0))
            assert shuffled == [straight[p] for p in random_order(0, stream.shuffle(seed=0).stage, 0, len(straight))]

    @pytest.mark.parametrize("name", STREAMS)
    def test_a_stream_is_not_split(self, name):
        with pytest.raises(NoRandomAccessError, match="split needs random access"):
            STREAMS[name]().split(0.5, 0.5, seed=0)

    def test_what_was_read_can_be_shuffled_as_the_error_says(self):
        rows = counting().filter(is_odd).to_message()
        assert sorted(numbers(fw.source(rows).shuffle(seed=0))) == list(range(1, 23, 2))

    def test_a_filter_that_is_asked_for_pieces_says_what_it_is(self):
        stream = table().shuffle(seed=0).filter(is_odd)
        with pytest.raises(NoRandomAccessError, match=r"Filter\(is_odd\) is a stream here"):
            stream.flow.base.pieces(range(1), Run(0))


class TestData:
    def test_head_gives_rows_or_batches_of_epoch_zero(self):
        pipe = table().shuffle(seed=0)
        assert pipe.head(3) == pipe[:3]
        assert pipe.batch(4).head(2) == pipe.batch(4)[:2]
        assert counting().head(2)["n"].tolist() == [0, 1]
        assert table().head()["n"].tolist() == [0, 1, 2, 3, 4]

    def test_head_of_more_than_there_is_gives_all(self):
        assert len(table(3).head(5)) == 3
        assert table(0).head().columns == ["x", "n", "w", "word"]

    def test_to_message_joins_batches(self):
        assert table().batch(4).to_message() == table().to_message()

    def test_what_to_message_returns_is_the_callers(self):
        for pipe in (table(), table(0), fw.source([{"n": 1}]), fw.source([{"n": 1}]).take(0)):
            before = pipe.to_message().columns
            pipe.to_message()["new"] = range(len(pipe))
            assert pipe.to_message().columns == before


class TestWhatAPipeIsBuiltOn:
    @pytest.mark.parametrize(
        "build",
        [
            lambda no_pipe: fw.Batch(no_pipe, 4),
            lambda no_pipe: fw.Shuffle(no_pipe, seed=0),
            lambda no_pipe: fw.Map(no_pipe, double),
            lambda no_pipe: fw.Filter(no_pipe, "n", ">", 0),
            lambda no_pipe: fw.Select(no_pipe, "n"),
            fw.Tensors,
            lambda no_pipe: fw.Take(no_pipe, 3),
            lambda no_pipe: fw.Repeat(no_pipe, 3),
            lambda no_pipe: fw.AtEpoch(no_pipe, 0),
            lambda no_pipe: fw.Part(no_pipe, [1.0], 0, seed=0),
        ],
    )
    def test_only_on_pipes(self, build):
        with pytest.raises(TypeError, match=r"^\w+: input must be a pipe; got Message\. Wrap it: fw\.source\(…\)\."):
            build(fw.Message({"n": [1]}))


EMPTY = {
    "source": lambda rows: rows,
    "select": lambda rows: rows.select("n", "x"),
    "map": lambda rows: rows.map(lambda rows: rows.assign(twice=rows["n"] * 2)),
    "seeded map": lambda rows: rows.map(add_noise, seed=0),
    "filter": lambda rows: rows.filter("n", ">", 0),
    "filter by function": lambda rows: rows.filter(is_odd),
    "shuffle": lambda rows: rows.shuffle(seed=0),
    "shuffled filter": lambda rows: rows.shuffle(seed=0).filter(is_odd),
    "take": lambda rows: rows.take(3),
    "repeat": lambda rows: rows.repeat(3),
    "batch": lambda rows: rows.batch(4),
    "map behind batch": lambda rows: rows.batch(4).map(lambda rows: rows.assign(twice=rows["n"] * 2)),
    "filter behind batch": lambda rows: rows.batch(4).filter(is_odd),
    "shuffled batches": lambda rows: rows.batch(4).shuffle(seed=0).repeat(2),
    "tensors": lambda rows: rows.select("n", "x", "w").tensors(),
    "fixed epoch": lambda rows: rows.at_epoch(2),
    "zip": lambda rows: fw.Zip({"a": rows.select("n"), "b": rows.select("x").map(lambda rows: rows)}).batch(2),
}


@pytest.mark.parametrize("name", EMPTY)
class TestNoRows:
    def test_an_empty_source_goes_through_every_stage_and_keeps_the_columns(self, name):
        pipe, full = EMPTY[name](fw.source(table(5).to_message()[:0])), EMPTY[name](table(5))
        assert list(pipe) == []
        assert len(pipe.to_message()) == 0
        assert pipe.to_message().schema == full.to_message().schema
        if pipe.is_indexable:
            assert (len(pipe), pipe.is_batched) == (0, full.is_batched)
            assert len(pipe[:]) == len(pipe[[]]) == 0

    def test_a_source_of_which_nothing_is_left_keeps_the_columns(self, name):
        for nothing in (table(5).take(0), table(5).filter("n", ">", 99)):
            pipe = EMPTY[name](nothing)
            assert list(pipe) == []
            assert pipe.to_message().schema == EMPTY[name](table(5)).to_message().schema

    def test_a_stream_without_rows_ends_at_once(self, name):
        stream = counting(0).map(double)
        if name in ("zip", "shuffle", "shuffled batches", "shuffled filter"):
            return
        pipe = EMPTY[name](stream)
        assert list(pipe) == []
        assert len(pipe.to_message()) == 0


@pytest.mark.parametrize(
    "make",
    [
        table,
        lambda: table().map(double).filter("n", ">", 9),
        lambda: table().shuffle(seed=0).batch(4),
        lambda: counting().map(double).batch(3),
    ],
)
class TestAsFramesAndTables:
    def test_a_data_frame_of_epoch_0_at_any_stage(self, make):
        frame = make().to_pandas()
        assert frame["n"].tolist() == numbers(make().at_epoch(0))
        assert fw.Message(frame) == make().to_message()

    def test_an_arrow_table_of_epoch_0_at_any_stage(self, make):
        arrow = make().to_arrow()
        assert arrow["n"].to_pylist() == numbers(make().at_epoch(0))
        assert fw.Message(arrow) == make().to_message()
