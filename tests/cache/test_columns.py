"""Rows in slots, in memory and in files, against a message that is indexed."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.cache.columns import Columns
from fireworks.errors import SchemaMismatchError


def rows_of(numbers):
    numbers = np.asarray(numbers, dtype=np.int64)
    return fw.Message(
        {
            "word": pd.array([f"row {n}" * (n % 3) for n in numbers], dtype="str"),
            "x": torch.from_numpy(numbers[:, None] * np.ones(2)),
            "n": numbers,
        }
    )


@pytest.mark.parametrize("on_disk", [False, True])
@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 29), unique=True, max_size=15)), max_size=12))
def test_slots_hold_what_was_written(tmp_path_factory, on_disk, steps):
    folder = tmp_path_factory.mktemp("columns") if on_disk else None
    columns = Columns(rows_of([0]), folder)
    columns.grow(30)
    held = {}
    for number, (writes, given_slots) in enumerate(steps):
        slots = np.array([slot for slot in given_slots if (slot in held) != writes], dtype=np.int64)
        if writes:
            columns.write(slots, rows_of(slots + 100 * number))
            held |= {int(slot): int(slot) + 100 * number for slot in slots}
        else:
            columns.forget(slots)
            for slot in slots.tolist():
                del held[slot]
        order = list(held)[::-1] * 2
        assert columns.take(np.array(order, dtype=np.int64)) == rows_of([held[slot] for slot in order]) or not order
    columns.compact()
    words = rows_of(list(held.values())).select("word").num_bytes
    assert on_disk or columns.piece_bytes <= words + 16 * len(columns._pieces)
    columns.close()
    assert columns.piece_bytes == 0
    assert folder is None or not list(folder.iterdir())


def test_pieces_stay_few():
    columns = Columns(rows_of([0]))
    columns.grow(20_000)
    for start in range(0, 20_000, 50):
        columns.write(np.arange(start, start + 50), rows_of(range(start, start + 50)))
    assert len(columns._pieces) < 25
    columns.forget(np.arange(0, 20_000, 2))
    columns.forget(np.arange(1, 20_000, 4))
    assert columns.take(np.arange(3, 20_000, 4)) == rows_of(range(3, 20_000, 4))
    assert columns.piece_bytes < 2.2 * columns.take(np.arange(3, 20_000, 4)).select("word").num_bytes


def test_growing_keeps_rows():
    columns = Columns(rows_of([0]))
    for capacity in (2, 5, 1000):
        columns.grow(capacity)
        columns.write(np.array([capacity - 1]), rows_of([capacity]))
    assert columns.take(np.array([1, 4, 999])) == rows_of([2, 5, 1000])
    assert columns.capacity == 1000
    assert columns.row_bytes == 16 + 8 + 8


def test_bytes_of_objects_are_counted():
    message = fw.Message({"o": pd.Series([b"x" * 1000, b"y" * 2000], dtype=object)})
    columns = Columns(message)
    assert columns.varies
    assert columns.loose_bytes(message) > 3000


def test_columns_must_stay_as_they_are():
    columns = Columns(rows_of([0]))
    with pytest.raises(
        SchemaMismatchError, match=r"column 'n' is float64; the rows that are held have int64\. Convert it"
    ):
        columns.require_same(rows_of([1]).assign(n=np.array([0.5])))
    with pytest.raises(
        SchemaMismatchError, match=r"column 'x' is float64\[3\] tensor; the rows that are held have float64\[2\]"
    ):
        columns.require_same(rows_of([1]).assign(x=torch.zeros(1, 3, dtype=torch.float64)))
    with pytest.raises(SchemaMismatchError, match=r"the rows have columns \['word'\]"):
        columns.require_same(rows_of([1]).select("word"))


def test_a_type_that_a_file_would_change(tmp_path):
    message = fw.Message({"p": pd.Series([1 + 2j, None], dtype=object)})
    columns = Columns(message, tmp_path)
    columns.grow(2)
    with pytest.raises(Exception, match=r"'p'"):
        columns.write(np.array([0, 1]), message)
