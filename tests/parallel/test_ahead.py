"""The place of a stream that is read ahead: the consumer's, in the form of a stream that is not."""

import json

import pytest

from pipelines import counting, double, total


@pytest.mark.parametrize(
    "make", [lambda **w: counting(30).batch(4).map(double, **w), lambda **w: counting(1100).map(total, **w)]
)
def test_states_are_those_of_a_stream_that_is_not_read_ahead(make):
    ahead, plain = iter(make(workers=3)), iter(make())
    for _ in range(7):
        assert json.dumps(ahead.state_dict()["cursor"], sort_keys=True) == json.dumps(
            plain.state_dict()["cursor"], sort_keys=True
        )
        assert next(ahead) == next(plain)


def test_what_was_read_beyond_is_read_again_after_moving_back():
    iterator = iter(counting(40).batch(4).map(double, workers=3))
    places = []
    items = []
    for _ in range(10):
        places.append(iterator.place())
        items.append(next(iterator))
    for number in (7, 0, 3, 9):
        iterator.move_to(places[number])
        assert list(iterator) == items[number:]


def test_its_end_stays_its_end():
    iterator = iter(counting(8).batch(4).map(double, workers=3))
    assert len(list(iterator)) == 2
    assert next(iterator, None) is None
    assert next(iterator, None) is None
