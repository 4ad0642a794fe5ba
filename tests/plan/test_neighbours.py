"""Whether a row's result depends on the rows that come with it."""

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.plan.neighbours import cuts, differing_column


@pytest.mark.parametrize("num_rows", range(1, 40))
def test_the_cuts_cover_all_rows_once(num_rows):
    ends = cuts(num_rows)
    assert [row for start, stop in ends for row in range(start, stop)] == list(range(num_rows))
    assert all(start < stop for start, stop in ends)


def parted(message):
    return [message[start:stop] for start, stop in cuts(len(message))]


def test_equal_rows_differ_nowhere():
    message = fw.Message(
        {
            "x": torch.rand(9, 2),
            "short": torch.rand(9).bfloat16(),
            "f": [1.5, None, 3.0] * 3,
            "w": pd.array([1.5, None, 3.0] * 3, dtype="Float64"),
            "word": ["a", "b", "c"] * 3,
            "n": np.arange(9),
        }
    )
    assert differing_column(message, parted(message)) is None


@pytest.mark.parametrize("column", ["x", "n", "word", "w"])
def test_the_first_column_that_differs_is_named(column):
    message = fw.Message(
        {"x": torch.rand(6), "n": torch.arange(6), "word": list("abcdef"), "w": pd.array([1.5] * 6, dtype="Float64")}
    )
    other = {
        "x": torch.rand(6) + 2,
        "n": torch.arange(6) + 1,
        "word": list("abcdeg"),
        "w": pd.array([2.5] * 6, dtype="Float64"),
    }
    assert differing_column(message, parted(message.assign(**{column: other[column]}))) == column


def test_last_bits_may_differ_and_infinities_may_not():
    x = torch.rand(6)
    message = fw.Message({"x": x})
    assert differing_column(message, parted(fw.Message({"x": x * (1 + 1e-7)}))) is None
    assert differing_column(message, parted(fw.Message({"x": torch.where(x == x[2], torch.inf, x)}))) == "x"


def test_other_columns_or_rows_differ():
    message = fw.Message({"x": torch.rand(6), "y": torch.rand(6)})
    assert differing_column(message, parted(message.select("x"))) == "y"
    assert differing_column(message, parted(message[:5])) == "the number of rows"
    wide = fw.Message({"x": torch.rand(6, 2)})
    assert differing_column(fw.Message({"x": torch.rand(6)}), parted(wide)) == "x"
