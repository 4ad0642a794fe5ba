"""Some of the items, by their positions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import NoRandomAccessError
from pipelines import counting, double, numbers, table

BOUND = st.none() | st.integers(-15, 15)
POSITIVE = st.none() | st.integers(0, 15)
STEP = st.integers(1, 5)


class TestSlice(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table().slice(2, -3, 3),
            lambda: table().map(double).slice(None, None, -2),
            lambda: table().shuffle(seed=0).slice(3, None).batch(4),
            lambda: table().batch(3).slice(1, -1, 2),
            lambda: counting().slice(2, 20, 3),
            lambda: counting().map(double).slice(3, None).batch(2),
            lambda: counting().batch(2).slice(1, 10, 2),
        ],
        ids=["rows", "backwards", "behind shuffle", "batches", "stream", "stream to its end", "batched stream"],
    )
    def make_pipe(self, request):
        return request.param


class TestWhatIsKept:
    @given(start=BOUND, stop=BOUND, step=STEP | STEP.map(lambda step: -step))
    def test_the_items_of_pythons_slice(self, start, stop, step):
        expected = list(range(11))[start:stop:step]
        pipe = table(11).slice(start, stop, step)
        assert numbers(pipe) == expected
        assert len(pipe) == len(expected)
        batches = [n for batch in range(11)[start:stop:step] for n in range(3 * batch, 3 * batch + 3)]
        assert numbers(table(33).batch(3).slice(start, stop, step)) == batches

    @given(start=POSITIVE, stop=POSITIVE, step=STEP, batch=st.integers(1, 4))
    def test_the_same_of_a_stream(self, start, stop, step, batch):
        assert numbers(counting(11).slice(start, stop, step)) == list(range(11))[start:stop:step]
        expected = [n for k in range(-(-11 // batch))[start:stop:step] for n in range(11)[k * batch : (k + 1) * batch]]
        assert numbers(counting(11).batch(batch).slice(start, stop, step)) == expected

    def test_a_stream_is_read_no_further_than_needed(self):
        seen = []

        def rows():
            for n in range(5000):
                seen.append(n)
                yield fw.Message({"n": [n]})

        list(fw.source(rows).slice(2, 9, 3))
        assert seen == list(range(9))

    def test_it_describes_itself_as_python_writes_it(self):
        assert table().slice(2, -3, 3).describe() == "Slice(2:-3:3)"
        assert table().slice(None, 3).describe() == "Slice(:3)"


class TestWhatIsRefused:
    def test_a_step_of_0(self):
        with pytest.raises(ValueError, match=r"slice: step must be an int other than 0; got 0\."):
            table().slice(0, 3, 0)

    @pytest.mark.parametrize(
        ("bounds", "text"),
        [
            ((1.5, 3), r"slice: start must be an int or None; got 1\.5\."),
            ((None, "3"), r"slice: stop must be an int or None; got '3'\."),
            ((None, 3, None), r"slice: step must be an int; got None\."),
            ((True, 3), r"slice: start must be an int or None; got True\."),
        ],
    )
    def test_bounds_that_are_none(self, bounds, text):
        with pytest.raises(TypeError, match=text):
            table().slice(*bounds)

    @pytest.mark.parametrize("bounds", [(-3, None), (0, -3), (None, None, -1)])
    def test_counting_from_the_end_of_a_stream(self, bounds):
        with pytest.raises(
            NoRandomAccessError, match=r"slice: .* counts from the end, and .* is a stream, .* from 0 on"
        ):
            counting().slice(*bounds)
