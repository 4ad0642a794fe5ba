"""Buffers are used again, but never while somebody holds a view of them."""

import gc
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.buffers import Buffers
from fireworks.errors import RowIndexError


def table(num_rows=40):
    return fw.Message(
        {
            "x": torch.arange(num_rows * 3, dtype=torch.float32).reshape(num_rows, 3),
            "half": torch.arange(num_rows).bfloat16(),
            "flag": torch.arange(num_rows) % 2 == 0,
            "z": torch.arange(num_rows).to(torch.complex64),
            "w": np.arange(num_rows) / 7,
            "day": np.arange(num_rows).astype("datetime64[D]"),
            "word": [f"word {i}" for i in range(num_rows)],
            "maybe": pd.array([None, *range(num_rows - 1)], dtype="Int64"),
            "object": np.array([{"n": i} for i in range(num_rows)], dtype=object),
            "turned": torch.arange(num_rows * 2).reshape(2, num_rows).T,
            "learnt": torch.arange(float(num_rows), requires_grad=True),
        }
    )


def address(message, name="x"):
    return message[name].data_ptr()


@given(rows=st.lists(st.integers(0, 39), min_size=0, max_size=60))
def test_the_rows_are_those_that_take_gives_in_every_type(rows):
    positions = np.array(rows, dtype=np.int64)
    taken, expected = Buffers().take("me", table(), positions), table().take(positions)
    assert taken == expected
    assert taken.columns == expected.columns
    assert [taken.raw(name).dtype for name in taken.columns] == [expected.raw(name).dtype for name in taken.columns]


def test_memory_is_used_again_when_the_last_view_is_gone():
    buffers = Buffers()
    first = buffers.take("me", table(), np.array([1, 2]))
    where = address(first)
    part = first[1:]
    del first
    assert address(buffers.take("me", table(), np.array([3, 4]))) != where
    del part
    gc.collect()
    assert address(buffers.take("me", table(), np.array([5, 6]))) == where


@pytest.mark.parametrize(
    ("view", "read"),
    [
        (lambda message: message["x"][0], torch.clone),
        (lambda message: message["x"].numpy(), np.copy),
        (lambda message: message["x"].view(torch.int32).T, torch.clone),
        (lambda message: message["half"], torch.Tensor.float),
        (lambda message: message["w"], lambda series: series.to_numpy().copy()),
        (lambda message: message.raw("w")[1:], np.copy),
        (lambda message: message.select("x", "w").to_pandas(), lambda frame: frame["w"].to_numpy().copy()),
        (lambda message: message.select("x", "w").to_arrow(), lambda table: np.array(table["w"])),
    ],
    ids=["row", "numpy", "other type", "bfloat16", "series", "array", "frame", "arrow"],
)
def test_any_view_keeps_its_rows(view, read):
    source, buffers = table(), Buffers()
    held = view(buffers.take("me", source, np.array([1, 2])))
    before = read(held)
    for start in range(5, 30):
        buffers.take("me", source, np.array([start, start + 1]))
    assert np.array_equal(np.asarray(read(held)), np.asarray(before))


def test_a_batch_that_is_kept_never_changes():
    pipe = fw.source({"x": torch.arange(100_000)}).shuffle(seed=0).batch(1000)
    kept = list(pipe)
    assert torch.equal(torch.cat([batch["x"] for batch in kept]), pipe.to_message()["x"])
    for epoch in range(3):
        some = {number: (batch, batch["x"].clone()) for number, batch in enumerate(pipe) if number % 17 == epoch}
        assert all(torch.equal(batch["x"], was) for batch, was in some.values())


def test_a_pass_takes_no_more_memory_than_some_buffers():
    pipe = fw.source({"x": torch.arange(500_000)}).shuffle(seed=0).batch(500)  # no power of two
    assert len({batch["x"].untyped_storage().data_ptr() for batch in pipe}) <= 5


def test_several_threads_never_share_a_buffer():
    source, buffers, wrong = fw.Message({"x": torch.arange(50_000)}), Buffers(), []

    def work(seed):
        positions = np.random.default_rng(seed).permutation(50_000)
        for start in range(0, 50_000, 1000):
            rows = positions[start : start + 1000]
            taken = buffers.take("me", source, rows)
            if not np.array_equal(taken["x"].numpy(), rows):
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_position_past_the_end_is_an_error_and_never_clipped():
    with pytest.raises(RowIndexError):
        Buffers().take("me", table(), np.array([3, 40]))


def test_other_shapes_get_buffers_of_their_own():
    buffers = Buffers()
    assert buffers.take("me", fw.Message({"x": torch.zeros(5, 2)}), np.array([0]))["x"].shape == (1, 2)
    assert buffers.take("me", fw.Message({"x": torch.zeros(5, 3)}), np.array([0, 1]))["x"].shape == (2, 3)
