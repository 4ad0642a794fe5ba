"""A mapping, keywords, or both."""

import pytest

from fireworks.transforms.by_column import by_column


def test_both_are_one():
    assert by_column(None, {"x": 1}, who="cast", example="") == {"x": 1}
    assert by_column({"a b": 1}, {"x": 2}, who="cast", example="") == {"a b": 1, "x": 2}


@pytest.mark.parametrize(
    ("given", "keywords", "error", "problem"),
    [
        (["x"], {}, TypeError, r"cast: expected a mapping, cast\(\{\}\); got \['x'\] of type list\."),
        ({}, {}, ValueError, r"cast: name at least one column: cast\(\{\}\)\."),
        ({3: 1}, {}, TypeError, r"cast: names of columns are text; got 3 of type int\."),
        ({"x": 1}, {"x": 2}, ValueError, r"cast: column 'x' is named twice, in the mapping and as a keyword\."),
    ],
)
def test_what_is_wrong_is_said(given, keywords, error, problem):
    with pytest.raises(error, match=problem):
        by_column(given, keywords, who="cast", example="{}")
