"""All but the first few items."""

import pytest

import fireworks as fw
from pipelines import counting, double, numbers, table


class TestSkip(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table().skip(4),
            lambda: table().map(double).shuffle(seed=0).skip(4).batch(3),
            lambda: table().batch(3).skip(2),
            lambda: counting().skip(4),
            lambda: counting().batch(3).skip(2),
            lambda: counting().skip(4).map(double).skip(1).take(9),
        ],
        ids=["rows", "behind shuffle", "batches", "stream", "batched stream", "in the middle of a stream"],
    )
    def make_pipe(self, request):
        return request.param


class TestWhatIsLeft:
    @pytest.mark.parametrize("make", [table, counting])
    @pytest.mark.parametrize("num_items", [0, 1, 7, 22, 23, 99])
    def test_the_items_behind(self, make, num_items):
        assert numbers(make().skip(num_items)) == list(range(23))[num_items:]
        assert numbers(make().batch(4).skip(num_items)) == list(range(23))[4 * num_items :]

    def test_its_length_is_known_where_the_inputs_is(self):
        assert (len(table().skip(4)), len(table().skip(99)), table().batch(4).skip(2).num_rows) == (19, 0, 15)

    def test_take_and_skip_are_the_two_parts(self):
        pipe = table().shuffle(seed=0)
        assert numbers(pipe.take(9).at_epoch(1)) + numbers(pipe.skip(9).at_epoch(1)) == numbers(pipe.at_epoch(1))


def test_it_says_what_a_number_of_items_is():
    with pytest.raises(ValueError, match=r"skip: num_items must be an int of at least 0; got -1\."):
        table().skip(-1)
