"""Texts of a plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireworks.plan.shorten import bytes_text, shortened


@given(text=st.text(max_size=200), longest=st.integers(4, 80))
def test_a_text_is_one_line_of_at_most_so_many_characters(text, longest):
    short = shortened(text, longest)
    assert len(short) <= longest
    assert short.splitlines() in ([], [short])
    if len(" ".join(text.split())) <= longest:
        assert short == " ".join(text.split())


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1536, "1.54 kB"), (2.5e9, "2.5 GB"), (3e15, "3e+03 TB")],
)
def test_bytes_are_written_as_people_read_them(count, text):
    assert bytes_text(count) == text
