"""Batches back into rows."""

import pytest

import fireworks as fw
from fireworks.errors import NoRandomAccessError, UnknownLengthError
from lists import lists
from pipelines import add_noise, counting, is_odd, numbers, table, total


class TestUnbatch(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table().batch(4).map(total).unbatch(),
            lambda: table().batch(4).map(add_noise, seed=1).shuffle(seed=0).unbatch(),
            lambda: table().batch(4).shuffle(seed=0).take(3).unbatch(),
            lambda: counting().batch(4).map(total).unbatch(),
            lambda: table().batch(4).filter(is_odd).unbatch(),
            lambda: table().shuffle(seed=0).batch(4).map(total).unbatch().shuffle(seed=0).batch(3),
            lambda: table(9).batch(4).repeat(2).unbatch(),
            lambda: table().batch(4).shuffle(seed=0).at_epoch(2).unbatch(),
            lambda: lists().select("n", "python").shuffle(seed=1).bucket("python", [0, 1], 4).shuffle(seed=0).unbatch(),
        ],
        ids=[
            "rows",
            "shuffled batches",
            "some of shuffled batches",
            "stream",
            "thinned batches",
            "then shuffle",
            "repeated",
            "one epoch",
            "buckets",
        ],
    )
    def make_pipe(self, request):
        return request.param


class TestWhichRows:
    def test_batch_after_batch(self):
        assert numbers(table().batch(4).unbatch()) == list(range(23))
        assert numbers(counting().batch(4).unbatch()) == list(range(23))
        assert numbers(table().batch(4, drop_last=True).unbatch()) == list(range(20))
        assert numbers(table().batch(4).filter(is_odd).unbatch()) == list(range(1, 23, 2))

    def test_functions_upstream_get_whole_batches(self):
        batches = table().batch(4).map(total)
        assert batches.unbatch().to_message() == batches.to_message()
        assert batches.unbatch()[[22, 3]]["block"].tolist() == [20 + 21 + 22, 0 + 1 + 2 + 3]

    def test_shuffled_batches_in_each_epochs_order(self):
        batches = table().batch(4).shuffle(seed=0)
        for epoch in (0, 1, 2):
            pipe = batches.unbatch().at_epoch(epoch)
            assert numbers(pipe) == numbers(batches.at_epoch(epoch))
            assert pipe[:]["n"].tolist() == numbers(pipe)

    def test_many_batches_asked_for_at_random(self):
        pipe = table(1000).batch(3).map(total).unbatch()
        rows = [*range(999, -1, -7), 5, 5, 0]
        sums = {n: sum(range(n // 3 * 3, min(n // 3 * 3 + 3, 1000))) for n in rows}
        assert pipe[rows]["n"].tolist() == rows
        assert pipe[rows]["block"].tolist() == [sums[n] for n in rows]

    def test_in_one_pass_each_batch_is_computed_once(self):
        calls = []

        def look(rows):
            calls.append(len(rows))
            return rows

        list(table().batch(4).map(look).unbatch())
        assert calls == [4, 4, 4, 4, 4, 3]


class TestRandomAccess:
    @pytest.mark.parametrize(
        ("make", "length"),
        [
            (lambda: table().batch(4), 23),
            (lambda: table().shuffle(seed=0).batch(4, drop_last=True), 20),
            (lambda: table().batch(4).map(add_noise, seed=0).shuffle(seed=0), 23),
            (lambda: table().batch(4).rebatch(5).shuffle(seed=0), 23),
            (lambda: table().batch(4).take(3), 12),
            (lambda: table().batch(4).shuffle(seed=0).take(3), None),
            (lambda: table().batch(4).filter(is_odd), None),
            (lambda: counting().batch(4), None),
        ],
    )
    def test_where_the_sizes_of_batches_are_known(self, make, length):
        pipe = make().unbatch()
        assert pipe.is_indexable is (length is not None)
        if length is not None:
            assert len(pipe) == pipe.num_rows == length
            return
        with pytest.raises(UnknownLengthError, match=r"unbatch: the sizes of the batches are not known before the end"):
            len(pipe)
        with pytest.raises(NoRandomAccessError, match="unbatch: the rows of these batches are a stream"):
            list(pipe.flow.pieces(range(1), None))


def test_rows_have_no_batches_to_undo():
    with pytest.raises(TypeError, match=r"unbatch: the input has no batches \(Memory.*\); it gives rows already\."):
        table().unbatch()
