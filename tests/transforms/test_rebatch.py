"""Batches of another size."""

import pytest

import fireworks as fw
from pipelines import add_noise, counting, is_odd, numbers, table, total


class TestRebatch(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table().batch(4).map(total).rebatch(3),
            lambda: table().batch(4).shuffle(seed=0).rebatch(6).map(add_noise, seed=2),
            lambda: counting().batch(4).rebatch(7, drop_last=True),
            lambda: table().batch(4).filter(is_odd).rebatch(3),
            lambda: table().batch(4).rebatch(6).shuffle(seed=0).rebatch(5),
        ],
        ids=["smaller", "larger behind shuffle", "stream", "thinned batches", "twice"],
    )
    def make_pipe(self, request):
        return request.param


class TestSizes:
    @pytest.mark.parametrize("make", [table, counting])
    @pytest.mark.parametrize("size", [1, 3, 4, 7, 23, 99])
    def test_every_batch_is_full_but_the_last(self, make, size):
        batches = list(make().batch(4).rebatch(size))
        assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        assert [n for batch in batches for n in batch["n"].tolist()] == list(range(23))
        assert numbers(make().batch(4).rebatch(size, drop_last=True)) == list(range(23 // size * size))

    def test_batches_that_a_filter_has_thinned_are_filled_again(self):
        assert [len(batch) for batch in table().batch(4).filter(is_odd).rebatch(4)] == [4, 4, 3]

    def test_length_and_rows_are_known(self):
        pipe = table().batch(4).rebatch(7, drop_last=True)
        assert (len(pipe), pipe.num_rows, pipe.describe()) == (3, 21, "Rebatch(7, drop_last=True)")


def test_functions_get_the_batches_that_they_got_before_and_each_once():
    calls = []

    def look(rows):
        calls.append(rows["n"].tolist())
        return rows

    list(table(9).batch(4).map(look).rebatch(3))
    assert calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


class TestWhatIsRefused:
    def test_rows(self):
        with pytest.raises(TypeError, match=r"rebatch: the input has no batches \(Memory.*\); write \.batch\(3\)\."):
            table().rebatch(3)

    def test_no_rows_in_a_batch(self):
        with pytest.raises(ValueError, match=r"rebatch: num_rows must be an int of at least 1; got 0\."):
            table().batch(4).rebatch(0)
