"""What all sources of mapped columns share."""

import numpy as np
import pytest

import fireworks as fw
from fireworks.formats import stored_source
from fireworks.formats.npz_source import read_npz

NUM_ROWS = 50_000


@pytest.fixture
def path(tmp_path):
    n = np.arange(NUM_ROWS)
    np.savez(tmp_path / "a.npz", n=n, x=np.stack([n, -n], axis=1), word=n.astype("U8"))
    return tmp_path / "a.npz"


def test_files_larger_than_memory_are_read_in_order_with_the_same_rows(path, monkeypatch):
    small = read_npz(path)
    assert not small.make_flow().base.reads_in_order
    expected = [list(small.shuffle(seed=1).batch(999).at_epoch(epoch)) for epoch in (0, 1)]
    monkeypatch.setattr(stored_source, "available_bytes", lambda: 2**20)
    large = read_npz(path)
    assert large.make_flow().base.reads_in_order
    assert not read_npz(path, "n").make_flow().base.reads_in_order
    with fw.memory_budget("16MB"):
        assert [list(large.shuffle(seed=1).batch(999).at_epoch(epoch)) for epoch in (0, 1)] == expected
        assert large.to_message() == small.to_message()
