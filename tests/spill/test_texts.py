"""Texts and bytes: codes where few come again, lengths and bytes elsewhere, and both in one column."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fireworks as fw
from fireworks.core.buffers import Buffers
from fireworks.spill import texts
from fireworks.spill.piles import PileWriter
from spill.writing import KEY, there_and_back, written

FEW = ["a", "", "größe", None, "日本" * 40]
DTYPES = [
    "str",
    "string",
    "string[python]",
    pd.StringDtype("pyarrow", na_value=np.nan),
    pd.StringDtype("python", na_value=np.nan),
    *(pd.ArrowDtype(kind) for kind in (pa.string(), pa.large_string())),
]


def some(values, rows, seed=0):
    return [values[n] for n in np.random.default_rng(seed).integers(0, len(values), rows)]


def many(rows, seed=0):
    return [None if n % 7 == 0 else str(n) * (n % 40) for n in np.random.default_rng(seed).integers(0, 10**6, rows)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "values", [lambda: some(FEW, 500), lambda: many(500), lambda: [None] * 500, lambda: [""] * 500]
)
def test_texts_come_back(tmp_path, dtype, values):
    message = fw.Message({"t": pd.array(values(), dtype=dtype)})
    there_and_back(message, tmp_path, chunks=3)
    there_and_back(message[3:], tmp_path, chunks=3, write_bytes=1000)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()], ids=str)
def test_views_come_back(tmp_path, kind):
    array = pa.array([None if n % 5 == 0 else f"{n}" * n for n in range(90)], pa.large_binary()).cast(kind)
    message = fw.Message._of({"t": pd.arrays.ArrowExtensionArray(array)}, 90)  # which Arrow can't take rows of
    found, _ = written(message, (np.arange(90) % 2).astype(np.uint8), tmp_path, num_piles=2, chunks=3)
    with found:
        got = found.read(1, lambda _: np.arange(45)[::-1])[0].raw("t")
        assert got.dtype == pd.ArrowDtype(kind)
        assert got.__arrow_array__().to_pylist() == array.to_pylist()[89::-2]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()], ids=str)
def test_bytes_come_back(tmp_path, kind):
    few = pa.array(some([b"\0\xff", b"", None], 100), kind)
    message = fw.Message({"t": few, "u": pa.array([None, *(bytes([n]) * n for n in range(99))], kind)})
    there_and_back(message, tmp_path, chunks=3)


@pytest.mark.parametrize("longest", [10, 127, 128, 40_000])
def test_lengths_of_every_width(tmp_path, longest):
    there_and_back(fw.Message({"t": ["x" * longest, None, *(str(n) for n in range(50)), ""]}), tmp_path, chunks=2)


class TestCodes:
    def bytes_per_row(self, folder, values, **options):
        message = fw.Message({"t": pd.array(values, dtype="str")})
        found, _ = written(message, np.zeros(len(values), np.uint8), folder, num_piles=1, **options)
        with found:
            assert found.read(0)[0] == message
            return found.num_bytes / len(values) - 8  # of the key

    def test_few_values_take_a_byte(self, tmp_path):
        assert self.bytes_per_row(tmp_path, some([f"a long text {n}" for n in range(100)], 5000)) == 1

    def test_more_values_take_two(self, tmp_path):
        assert self.bytes_per_row(tmp_path, some([f"a long text {n}" for n in range(300)], 5000)) == 2

    def test_random_ones_take_their_bytes_and_a_length(self, tmp_path):
        assert self.bytes_per_row(tmp_path, [*(f"{n:010}" for n in range(4999)), "", "x" * 10]) == 11 - 10 / 5001

    def test_those_of_one_length_take_their_bytes_alone(self, tmp_path):
        assert self.bytes_per_row(tmp_path, [f"{n:010}" for n in range(5000)]) == 10

    @pytest.mark.parametrize("width", [1, 3, texts._MOST_WIDTH, texts._MOST_WIDTH + 1])
    def test_lengths_may_be_one_in_each_write_and_another_in_the_next(self, tmp_path, width):
        values = [*(f"{n:0{width}}"[:width] for n in range(100)), *(f"{n:07}" for n in range(100)), "", None, "größer"]
        for chunks in (1, 2, 3, 7):
            there_and_back(fw.Message({"t": values}), tmp_path, chunks=chunks, write_bytes=900)

    def test_a_text_that_is_cut_by_the_width_is_not_mistaken(self, tmp_path):
        there_and_back(fw.Message({"t": ["ab", "abc", "a", "zz"] * 50}), tmp_path)  # on the whole, two each

    def test_the_dictionary_grows_from_write_to_write(self, tmp_path):
        values = [f"a rather long text of number {n // 50}" for n in range(20_000)]
        assert self.bytes_per_row(tmp_path, values, chunks=10, write_bytes=40_000) < 2

    def test_what_begins_with_few_values_may_go_on_with_many(self, tmp_path):
        values = [*some(FEW, 1000), *many(1000), *some(FEW, 1000)]
        for chunks in (2, 3, 7):
            there_and_back(fw.Message({"t": values}), tmp_path, chunks=chunks, write_bytes=5000)

    @pytest.mark.parametrize("limit", ["_MOST_VALUES", "_MOST_BYTES"])
    def test_a_dictionary_does_not_grow_for_ever(self, tmp_path, monkeypatch, limit):
        monkeypatch.setattr(texts, limit, 100)
        values = [f"text {n // 20}" for n in range(4000)]
        assert self.bytes_per_row(tmp_path, values, chunks=10, write_bytes=5000) > 4
        there_and_back(fw.Message({"t": values}), tmp_path, chunks=10, write_bytes=5000)


def test_several_threads_may_bring_texts_from_pile_to_pile(tmp_path):
    """Of which some have codes and some don't, so that the dictionary grows on the way."""
    values = [*(f"{n:03}" for n in range(1000)), *(f"text {n % 50}" * (n % 7) for n in range(9000))]
    piles = (np.arange(10_000) % 40).astype(np.uint8)
    found, keys = written(fw.Message({"t": values}), piles, tmp_path, num_piles=40, chunks=10, write_bytes=3000)
    stored = [some for number in range(40) for some in found.stored(number, 10**6)]
    writer = PileWriter(stored[0][0], 1, tmp_path, extras=KEY, write_bytes=1)

    def move(some):
        writer.move(some[0], np.zeros(some[0].num_rows, np.uint8), some[1])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(move, stored))
    with found, writer.finish() as moved:
        rows, extras = moved.read(0)
        by_key, expected = np.argsort(extras["key"]), np.argsort(keys)
        assert rows["t"].take(by_key).tolist() == [values[n] for n in expected]


def test_texts_of_two_lengths_do_not_share_memory(tmp_path):
    """One pile has the texts of the first write, the other the longer ones of the second."""
    texts = [f"{n:020}" for n in range(1000)], [f"{n:021}" for n in range(1000)]
    piles = np.repeat(np.array([0, 1], np.uint8), 1000)
    found, _ = written(fw.Message({"t": [*texts[0], *texts[1]]}), piles, tmp_path, num_piles=2, chunks=2, write_bytes=1)
    with found:
        buffers = Buffers()
        for number in (0, 1, 0):
            assert found.read(number, None, buffers)[0]["t"].tolist() == texts[number]


def test_a_result_shares_no_memory_with_the_next_one(tmp_path):
    message = fw.Message({"t": [f"text {n}" for n in range(100)], "few": ["a", "b"] * 50})
    found, _ = written(message, (np.arange(100) % 2).astype(np.uint8), tmp_path, num_piles=2, chunks=3)
    with found:
        for order in (None, lambda extras: np.arange(len(extras["key"]))):
            first = found.read(0, order)[0]
            found.read(1, order)
            assert first == message.take(np.arange(0, 100, 2))


def test_memory_of_arrow_that_is_cut_out_of_a_larger_piece(tmp_path):
    array = pa.array(["left out", *(f"text {n}" for n in range(50)), "left out too"], pa.large_string())[1:-1]
    with PileWriter(fw.Message({"t": array[:0]}), 1, tmp_path, extras={}, write_bytes=1) as writer:
        writer.write(fw.Message({"t": array}), np.zeros(50, np.uint8))
        size = writer.num_bytes
        with writer.finish() as found:
            assert found.read(0)[0]["t"].tolist() == array.to_pylist()
    assert size == sum(map(len, array.to_pylist()))
