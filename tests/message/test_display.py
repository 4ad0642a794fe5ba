import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from message.strategies import messages


def test_it_shows_names_then_types_then_rows():
    message = fw.Message({"x": torch.tensor([[0.5, 1.0], [2.0, 3.25]]), "n": [1, 20], "name": ["ann", "bo"]})
    assert repr(message).splitlines() == [
        "Message of 2 rows",
        "                   x      n  name",
        "   float32[2] tensor  int64   str",
        "0           [0.5, 1]      1   ann",
        "1          [2, 3.25]     20    bo",
    ]


def test_of_many_rows_it_shows_the_first_and_the_last_five():
    lines = repr(fw.Message({"n": range(1_000)})).splitlines()
    assert lines[0] == "Message of 1,000 rows"
    assert [line.split() for line in lines[3:]] == [
        *([str(i), str(i)] for i in range(5)),
        ["…", "…"],
        *([str(i), str(i)] for i in range(995, 1_000)),
    ]


def test_ten_rows_are_shown_whole():
    text = repr(fw.Message({"n": range(10)}))
    assert "…" not in text
    assert len(text.splitlines()) == 3 + 10


def test_without_rows_it_shows_the_columns():
    lines = repr(fw.Message({"x": torch.zeros(0, 3), "name": []})).splitlines()
    assert [line.split() for line in lines] == [
        ["Message", "of", "0", "rows"],
        ["x", "name"],
        ["float32[3]", "tensor", "object"],
    ]


def test_without_columns_it_says_so():
    assert repr(fw.Message()) == "Message of 0 rows, no columns"


def test_one_row_is_singular():
    assert repr(fw.Message({"n": [1]})).startswith("Message of 1 row\n")


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        (torch.tensor([1 / 3]), "0.333333"),
        (torch.tensor([7]), "7"),
        (torch.tensor([True]), "True"),
        (torch.tensor([1 + 2j]), "(1+2j)"),
        (torch.tensor([1.5], dtype=torch.bfloat16), "1.5"),
        (torch.tensor([2.0], requires_grad=True), "2"),
        (torch.tensor([[1 / 3, 2.0]], requires_grad=True), "[0.3333, 2]"),
        (torch.arange(6).reshape(1, 6), "[0, 1, 2, 3, …]"),
        (torch.zeros(1, 0), "[]"),
        (torch.zeros(1, 3, 224, 224), "[3x224x224 values]"),
        (np.array([1e-9]), "1e-09"),
        (np.array([np.nan]), "nan"),
        (["line\none\ttwo\rthree"], "line one two three"),
        (["größe 日本 🎆"], "größe 日本 🎆"),
        (["a" * 1_000], "a" * 27 + "…"),
        (["a" * 28], "a" * 28),
        (pd.array([None], dtype="Int64"), "<NA>"),
        ([None], "None"),
    ],
    ids=str,
)
def test_a_cell_is_one_short_line(column, cell):
    last = repr(fw.Message({"x": column})).splitlines()[-1]
    assert last.partition("  ")[2].strip() == cell
    assert len(last) <= 80


def test_a_name_with_a_line_break_stays_on_one_line():
    assert repr(fw.Message({"a\nb": [1]})).splitlines()[1].strip() == "a b"


@settings(deadline=None, max_examples=60)
@given(messages(max_rows=20))
def test_every_message_can_be_shown(message):
    lines = repr(message).splitlines() if message.columns else []
    assert len(lines) == (3 + min(len(message), 10) + (len(message) > 10) if message.columns else 0)
    assert not any(line.endswith(" ") for line in lines)
