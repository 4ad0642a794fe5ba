"""Single items as rows of a message."""

import numpy as np
import torch

import fireworks as fw
from fireworks.formats.items import Items, shown

FIRST = {"n": 1, "x": torch.zeros(2)}


def test_what_fits_below_the_first_row():
    items = Items(None, where="test")
    assert items.misfit({"n": 2, "x": torch.ones(2)}, FIRST) is None
    assert items.misfit({"x": torch.ones(2), "n": 2.5}, FIRST) is None


def test_what_does_not_fit_is_said():
    items = Items(None, where="test")
    reasons = {
        "TypeError: test: each item must be a mapping of one row's values": 5,
        "TypeError: test: a message stands between items that are rows": fw.Message({"n": [1]}),
        "SchemaMismatchError: test: rows must have the same columns; ['n', 'x'] came first, then ['n']": {"n": 1},
        "ColumnTypeError: test: column 'x' is a tensor of float32, shape (2,)": {"n": 1, "x": torch.zeros(3)},
        "ColumnTypeError: test: column 'x' is a tensor of float32": {"n": 1, "x": torch.zeros(2, dtype=torch.int8)},
    }
    for reason, item in reasons.items():
        assert items.misfit(item, FIRST).startswith(reason)


def test_rows_of_records_and_tuples_and_values():
    records = np.array([(1, [2.0, 3.0])], dtype=[("a", "i4"), ("b", "f4", (2,))])
    row = Items(None, where="test").row(records[0])
    assert row["a"] == 1
    assert row["b"].tolist() == [2.0, 3.0]
    assert Items(None, where="test").row((1, "x")) == {"0": 1, "1": "x"}
    assert Items(["a", "b"], where="test").row([1, "x"]) == {"a": 1, "b": "x"}
    assert Items("a", where="test").row((1, "x")) == {"a": (1, "x")}


def test_an_item_is_shown_on_one_line_and_not_at_length():
    assert shown("a\nb").to_dict() == {"item": ["'a\\nb'"]}
    assert len(shown("x" * 5000)["item"][0]) == 1000
