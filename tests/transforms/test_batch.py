"""Batches have the size asked for; only the last may be shorter, and it is kept unless one says otherwise."""

import pytest

import fireworks as fw
from pipelines import counting, numbers, table


@pytest.mark.parametrize("make", [table, counting], ids=["rows", "stream"])
class TestSizes:
    @pytest.mark.parametrize("num_rows", [1, 4, 5, 22, 23, 24, 1000])
    def test_only_the_last_batch_is_short(self, make, num_rows):
        sizes = [len(batch) for batch in make().batch(num_rows)]
        whole, rest = divmod(23, num_rows)
        assert sizes == [num_rows] * whole + [rest] * bool(rest)
        assert [len(batch) for batch in make().batch(num_rows, drop_last=True)] == [num_rows] * whole

    def test_no_row_is_lost_or_repeated(self, make):
        assert numbers(make().batch(7)) == list(range(23))


@pytest.mark.parametrize("num_rows", [0, -1, True, 2.0, "4", None])
def test_a_size_is_an_int_of_at_least_one(num_rows):
    with pytest.raises(ValueError, match=rf"^batch: num_rows must be an int of at least 1; got {num_rows!r}\.$"):
        table().batch(num_rows)


def test_batches_are_not_batched_again():
    with pytest.raises(TypeError, match=r"batch: the input is batched already \(.*Batch\(4\).*\); batch once\."):
        table().batch(4).shuffle(seed=0).batch(2)


def test_it_needs_an_input():
    with pytest.raises(TypeError, match="Batch has no input; pass it a pipe"):
        fw.Batch(None, 4)
