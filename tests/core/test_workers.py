"""Where a stage runs, as it is asked for."""

import pytest

from fireworks.core.workers import Workers, check_workers


def test_none_is_none():
    assert check_workers(0, "thread", 0, who="map") is None
    assert check_workers(0, "process", 1, who="map") is None


def test_equal_ones_are_equal():
    assert (
        check_workers(2, "process", 1, who="map") == Workers(2, "process", 1) == check_workers(2, "process", 1, who="x")
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-1, "thread", 0), r"map: workers must be an int of at least 0; got -1\."),
        ((1, "thread", None), r"map: retries must be an int of at least 0; got None\."),
        ((1, None, 0), r"map: backend is 'thread' or 'process'; got None\."),
        (
            (1, "thread", 2),
            r"map: retries is for workers that can die; pass backend='process' with it, or leave it out\.",
        ),
    ],
)
def test_what_makes_no_sense(arguments, text):
    with pytest.raises(ValueError, match=text):
        check_workers(*arguments, who="map")
