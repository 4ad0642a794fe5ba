"""Rows of several components in one column: sliced, taken and joined as numbers, and given back whole."""

import pickle

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.chunk import Chunk, join
from fireworks.junctions.assorted import COLUMN, Assorted, assorted, of_one


def chunk(component, count):
    values = torch.arange(count) + 100 * component
    return Chunk(fw.Message({f"c{component}": values}), np.arange(count))


def found(column):
    """Each row's (component, value), in order."""
    rows = [None] * len(column)
    for component, places, part in column.by_component():
        for place, value in zip(places.tolist(), part.message[f"c{component}"].tolist(), strict=True):
            rows[place] = (component, value)
    return rows


@given(st.data())
def test_whatever_is_cut_taken_and_joined_comes_back_in_order(data):
    counts = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    parts = [(k % 2, chunk(k % 2, count)) for k, count in enumerate(counts)]
    which = data.draw(st.lists(st.tuples(st.integers(0, len(parts) - 1), st.integers(0, 4)), min_size=1, max_size=12))
    which = [(part, place % counts[part]) for part, place in which]
    part, place = (np.array(values) for values in zip(*which, strict=True))
    column = Assorted(parts, part, place)
    expected = [(part % 2, 100 * (part % 2) + place) for part, place in which]
    assert found(column) == expected
    picks = data.draw(st.lists(st.integers(0, len(which) - 1), min_size=1))
    assert found(column.take(picks)) == [expected[pick] for pick in picks]
    cut = data.draw(st.integers(0, len(which)))
    pieces = [piece for piece in (column[:cut], column[cut:]) if len(piece)]
    assert found(Assorted._concat_same_type(pieces)) == expected
    assert found(pickle.loads(pickle.dumps(column))) == expected


def test_rows_that_lie_in_order_are_views():
    whole = chunk(0, 6)
    column = of_one(0, whole, whole.rows).message.raw(COLUMN)
    ((_, places, part),) = column[2:5].by_component()
    assert places.tolist() == [0, 1, 2]
    assert part.message["c0"].data_ptr() == whole.message["c0"][2:].data_ptr()


def test_joined_chunks_keep_each_read_once():
    whole = of_one(0, chunk(0, 6), np.arange(6))
    column = join([whole.cut(0, 2), whole.cut(2, 4)]).message.raw(COLUMN)
    assert len(column.parts) == 1
    assert column.nbytes == 6 * 8 + 2 * 4 * 8
    assert not column.isna().any()
    assert found(column.copy()) == found(column)


def test_no_rows():
    nothing = np.empty(0, dtype=np.int64)
    assert list(assorted([(0, chunk(0, 1))], nothing, nothing, nothing).message.raw(COLUMN).by_component()) == []
