"""The first items, of rows and of batches, of what can be indexed and of streams."""

import pytest

import fireworks as fw
from pipelines import counting, numbers, table, total


@pytest.mark.parametrize("make", [table, counting], ids=["rows", "stream"])
class TestTake:
    @pytest.mark.parametrize("count", [0, 1, 22, 23, 24, 1000])
    def test_it_keeps_the_first_rows_and_all_where_there_are_fewer(self, make, count):
        assert numbers(make().take(count)) == list(range(min(count, 23)))

    def test_behind_batch_it_counts_batches(self, make):
        assert numbers(make().batch(5).take(2)) == list(range(10))

    def test_a_take_of_a_take_is_the_smaller(self, make):
        assert numbers(make().take(3).take(9)) == numbers(make().take(9).take(3)) == [0, 1, 2]


def test_rows_behind_it_are_not_read():
    def endless():
        n = 0
        while True:
            yield {"n": n}
            n += 1

    assert numbers(fw.source(endless).map(total).take(3)) == [0, 1, 2]


@pytest.mark.parametrize("count", [-1, True, 1.5, None])
def test_a_count_is_an_int_from_zero(count):
    with pytest.raises(ValueError, match="take: num_items must be an int of at least 0; got"):
        table().take(count)
