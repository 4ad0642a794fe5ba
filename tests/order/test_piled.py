"""Rows of an epoch in piles: how large they are in memory, and what is added too late."""

import numpy as np
import pytest

import fireworks as fw
from fireworks.core.chunk import Chunk
from fireworks.order.keys import random_order
from fireworks.order.piled import Layout, PileUp, keyed, pile_up
from fireworks.order.scatter import KeyScatter
from fireworks.spill.arena import Arena

ROWS = 4000


@pytest.fixture
def arena(tmp_path):
    made = Arena(tmp_path, "shuffle", block_bytes=4096)
    yield made
    made.close()


def rows_with_keys(message):
    numbers = np.arange(len(message))
    return keyed(
        [Chunk(message[:1000], numbers[:1000]), Chunk(message[1000:], numbers[1000:])], KeyScatter(0, "shuffle:0", 0)
    )


def layout_for(num_bytes):
    return Layout.fitting(num_bytes, num_bytes, has_places=False, num_rows=ROWS)


def test_a_pile_counts_as_what_it_takes_in_memory(arena):
    """On disk a text that comes again and again is a code of a byte."""
    message = fw.Message({"text": [f"{n % 5} " + "long " * 40 for n in range(ROWS)]})
    piled = pile_up(rows_with_keys(message), layout_for(message.num_bytes), arena)
    assert piled.num_bytes < message.num_bytes / 10
    assert message.num_bytes <= piled.memory_bytes < 1.2 * message.num_bytes
    assert sum(piled.bytes_of(number) for number in range(len(piled.starts))) == pytest.approx(
        piled.memory_bytes, rel=0.01
    )
    again = pile_up(
        (some for number in range(len(piled.starts)) for some in piled.raw(number)),
        layout_for(message.num_bytes),
        arena,
    )
    assert again.memory_bytes == pytest.approx(piled.memory_bytes, rel=0.01)  # though they came as codes


def test_a_pile_that_would_be_too_large_in_memory_is_shared_out_though_it_is_small_on_disk(arena):
    message = fw.Message({"text": ["long " * 40] * ROWS})
    layout = Layout.fitting(10**5, 10**5, has_places=False, num_rows=ROWS)  # strings turned out longer than was thought
    piled = pile_up(rows_with_keys(message), layout, arena)
    assert all(piled.is_too_large(number) for number in range(len(piled.starts)))
    chunks = [chunk for number in range(len(piled.starts)) for chunk in piled.read(number, None)]
    assert max(chunk.message.num_bytes for chunk in chunks) < 4 * layout.pile_bytes
    assert np.concatenate([chunk.rows for chunk in chunks]).tolist() == random_order(0, "shuffle:0", 0, ROWS).tolist()


def test_what_a_thread_adds_after_the_end_is_dropped(arena):
    made = PileUp(layout_for(ROWS * 8), arena)
    rows = rows_with_keys(fw.Message({"n": np.arange(ROWS)}))
    made.close()
    made.add(next(rows))
    assert arena.num_bytes == 0
