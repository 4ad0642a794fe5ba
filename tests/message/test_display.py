from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.message.display import bytes_text
from message.strategies import messages


def test_it_shows_names_then_types_then_rows():
    message = fw.Message({"x": torch.tensor([[0.5, 1.0], [2.0, 3.25]]), "n": [1, 20], "name": ["ann", "bo"]})
    assert repr(message).splitlines() == [
        "Message of 2 rows, 53 bytes",
        "                   x      n  name",
        "   float32[2] tensor  int64   str",
        "0           [0.5, 1]      1   ann",
        "1          [2, 3.25]     20    bo",
    ]


def test_of_many_rows_it_shows_the_first_and_the_last_five():
    lines = repr(fw.Message({"n": range(1_000)})).splitlines()
    assert lines[0] == "Message of 1,000 rows, 8,000 bytes"
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
        ["Message", "of", "0", "rows,", "0", "bytes"],
        ["x", "name"],
        ["float32[3]", "tensor", "object"],
    ]


def test_without_columns_it_says_so():
    assert repr(fw.Message()) == "Message of 0 rows, no columns"


def test_one_row_is_singular():
    assert repr(fw.Message({"n": [1]})).startswith("Message of 1 row, 8 bytes\n")


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
        (torch.zeros(1, 3, device="meta"), "?"),
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


def test_of_many_columns_it_shows_the_first_and_the_last_ten():
    message = fw.Message({f"c{i}": [i] for i in range(25)})
    _, names, kinds, row = repr(message).splitlines()
    assert names.split() == [f"c{i}" for i in range(10)] + ["…"] + [f"c{i}" for i in range(15, 25)]
    assert kinds.split() == ["int64"] * 10 + ["5", "more"] + ["int64"] * 10
    assert row.split()[1:] == [str(i) for i in range(10)] + ["…"] + [str(i) for i in range(15, 25)]
    assert "…" not in repr(message.drop(*(f"c{i}" for i in range(5))))


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (9_999, "9,999 bytes"), (10_000, "10.0 kB"), (999_949, "999.9 kB"),
     (999_951, "1.0 MB"), (3_400_000_000, "3.4 GB"), (5e15, "5,000.0 TB")],
)  # fmt: skip
def test_a_size_is_written_for_people(size, text):
    assert bytes_text(int(size)) == text


def cells(page):
    """The rows of an HTML table as lists of texts, read by a parser of its own."""
    rows = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "tr":
                rows.append([])
            elif tag in {"th", "td"}:
                rows[-1].append("")

        def handle_data(self, data):
            if rows and rows[-1]:
                rows[-1][-1] += data

    Reader().feed(page)
    return rows


def test_a_notebook_shows_the_same_table():
    message = fw.Message({"x": torch.zeros(12, 2, device="meta"), "<b>": range(12), "t": ["a & b"] * 12})
    page = message._repr_html_()
    head, kinds, *rows = cells(page)
    assert head == ["", "x", "<b>", "t"]
    assert kinds == ["", "float32[2] tensor on meta", "int64", "str"]
    assert rows[4:7] == [["4", "?", "4", "a & b"], ["…"] * 4, ["7", "?", "7", "a & b"]]
    assert len(rows) == 11
    assert "<p>Message of 12 rows, " in page
    assert "<b>" not in page


def test_a_notebook_shows_a_message_without_columns():
    assert fw.Message()._repr_html_() == "<div><p>Message of 0 rows, no columns</p></div>"
