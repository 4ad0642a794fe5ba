"""The table from row numbers to slots, against a dict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.cache.slots import BYTES_PER_ROW, FIRST_BYTES, Slots

KEYS = st.integers(0, 60) | st.integers(0, 5000) | st.integers(2**62, 2**62 + 40) | st.just(2**63 - 1)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.lists(KEYS, unique=True, max_size=60)), max_size=12))
def test_it_agrees_with_a_dict(steps):
    slots, held, most = Slots(), {}, 0
    for number, (adds, keys) in enumerate(steps):
        rows = np.array([key for key in keys if (key in held) != adds], dtype=np.int64)
        if adds:
            places = np.arange(len(rows)) + 100 * number
            slots.add(rows, places)
            held |= dict(zip(rows.tolist(), places.tolist(), strict=True))
        else:
            slots.remove(rows)
            for row in rows.tolist():
                del held[row]
        most = max(most, len(held))
        assert slots.num_bytes <= BYTES_PER_ROW * most + FIRST_BYTES
        asked = np.array([*keys, *held, 7, 2**61], dtype=np.int64)
        assert slots.find(asked).tolist() == [held.get(key, -1) for key in asked.tolist()]


@pytest.mark.parametrize("highest", [3000, 10**7, 2**62])
def test_many_rows_come_and_go(highest):
    rng = np.random.default_rng(0)
    slots, held, most = Slots(), np.empty(0, dtype=np.int64), 0
    for _ in range(60):
        rows = np.setdiff1d(rng.integers(0, highest, 400), held)
        slots.add(rows, rows % 1000)
        held = np.concatenate([held, rows])
        most = max(most, len(held))
        gone = rng.choice(held, min(350, len(held)), replace=False)
        slots.remove(gone)
        held = np.setdiff1d(held, gone)
        assert (slots.find(held) == held % 1000).all()
        assert (slots.find(gone) == -1).all()
        assert slots.num_bytes <= BYTES_PER_ROW * most + FIRST_BYTES


def test_numbers_that_fall_into_one_bucket():
    """Hashing by multiplication puts multiples of a high power of two together; look-ups go on to the next bucket."""
    rows = np.arange(1, 64, dtype=np.int64) << 56
    slots = Slots()
    slots.add(rows, np.arange(63))
    assert slots.find(rows).tolist() == list(range(63))
    slots.remove(rows[::2])
    assert slots.find(rows).tolist() == [n if n % 2 else -1 for n in range(63)]


def test_clear():
    slots = Slots()
    slots.add(np.arange(1000) << 40, np.arange(1000))
    slots.clear()
    assert slots.num_bytes <= FIRST_BYTES
    assert slots.find(np.array([0, 5 << 40])).tolist() == [-1, -1]


def test_no_rows():
    slots = Slots()
    slots.add(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    assert slots.find(np.empty(0, dtype=np.int64)).tolist() == []
