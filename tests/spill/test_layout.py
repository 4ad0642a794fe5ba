"""Planes: what is left out, what changes its width, and memory that is used again."""

import numpy as np
import pytest

from fireworks.spill.arena import Arena, ArenaFiles
from fireworks.spill.layout import Directory, PileRows, Scatter, Segment, Warm, bytes_of


def fresh(key, shape, dtype):
    return np.empty(shape, dtype)


@pytest.fixture
def rows(tmp_path):
    """Three writes of one pile of three planes: numbers that grow wider, numbers that the second one lacks, bytes."""
    files, warm, segments = ArenaFiles(Arena(tmp_path, "shuffle"), 1), Warm(), []
    for dtype, has_mask, text in [(np.int8, True, b"abc"), (np.int16, False, b""), (np.int32, True, b"de")]:
        scatter = Scatter(np.zeros(4, np.uint8), 1, warm)
        numbers = scatter.numbers("a", [np.array([1, -2, 3, np.iinfo(dtype).max], dtype)])
        mask = scatter.numbers("b", [np.array([True, False, True, True])] if has_mask else [])
        data = scatter.bytes(np.frombuffer(text, np.uint8), np.array([0, len(text)]), "text")
        planes = [numbers, mask, data]
        lengths = {2: np.array([len(text)])}
        offsets = np.array(files.sizes)
        segments.append(Segment(scatter.counts, offsets, [p.form for p in planes], [p.width for p in planes], lengths))
        files.append(0, [p.data for p in planes], sum(len(p.data) for p in planes))

    def some(segments_to_read=None):
        with files.reading(0) as descriptor:
            return PileRows(files, descriptor, 0, Directory(segments, 1, 3), segments_to_read, warm, fresh)

    yield some
    files.close()


NUMBERS = [1, -2, 3, 127, 1, -2, 3, 32767, 1, -2, 3, 2**31 - 1]
MASK = [True, False, True, True, False, False, False, False, True, False, True, True]


@pytest.mark.parametrize("together", [0, 2**20])
class TestRead:
    @pytest.fixture(autouse=True)
    def limit(self, monkeypatch, together):
        monkeypatch.setattr("fireworks.spill.layout._TOGETHER_BYTES", together)

    def test_numbers_come_in_the_widest_type(self, rows):
        found = rows().numbers(0)
        assert (found.tolist(), found.dtype) == (NUMBERS, np.int32)

    def test_what_was_left_out_is_zero(self, rows):
        assert rows().numbers(1).tolist() == MASK
        assert not rows().is_left_out(1)
        assert rows([1]).is_left_out(1)
        assert rows([1]).numbers(1, empty=np.bool_).tolist() == [False] * 4
        assert list(rows().runs(1)) == [(True, slice(0, 1)), (False, slice(1, 2)), (True, slice(2, 3))]

    def test_in_any_order(self, rows):
        some = rows()
        some.order = np.array([11, 0, 0, 7])
        assert some.num_rows == 4
        assert some.numbers(0).tolist() == [2**31 - 1, 1, 1, 32767]
        assert some.numbers(1).tolist() == [True, True, True, False]

    def test_bytes(self, rows):
        data, ends = rows().raw_bytes(2)
        assert (data.tobytes(), ends) == (b"abcde", [3, 3, 5])
        data, ends = rows().raw_bytes(2, slice(2, 3))
        assert (data.tobytes(), ends) == (b"de", [2])

    def test_some_segments(self, rows):
        assert rows([1, 2]).numbers(0).tolist() == NUMBERS[4:]
        assert rows([1, 2]).raw_bytes(2)[0].tobytes() == b"de"
        assert rows([0]).numbers(0).dtype == np.int8
        assert rows([0, 1]).raw_numbers(0, slice(1, 2)).tolist() == NUMBERS[4:8]


def test_a_gather_is_stable_and_joins_what_comes_in_parts():
    piles = np.array([2, 0, 2, 1, 0], np.uint8)
    scatter = Scatter(piles, 4, Warm())
    assert (scatter.order.tolist(), scatter.counts.tolist()) == ([1, 4, 3, 0, 2], [2, 1, 2, 0])
    plane = scatter.numbers("x", [np.array([10, 11], np.int8), np.array([12, 13, 14], np.int16)])
    assert np.frombuffer(plane.data, np.int16).tolist() == [11, 14, 13, 10, 12]
    assert plane.cuts.tolist() == [0, 4, 6, 10, 10]


def test_a_large_column_is_gathered_where_it_lies():
    values = np.arange(2**20 * 3)
    scatter = Scatter((np.arange(len(values)) % 2).astype(np.uint8), 2, Warm())
    plane = scatter.numbers("x", [values])
    assert (np.frombuffer(plane.data, np.int64) == np.concatenate([values[::2], values[1::2]])).all()


def test_warm_memory_is_the_same_memory():
    warm = Warm()
    first = warm.array("a", (100,), np.float64)
    assert np.shares_memory(first, warm.array("a", (10, 5), np.int16))
    assert not np.shares_memory(first, warm.array("b", (100,), np.float64))
    assert not np.shares_memory(first, warm.array("a", (1000,), np.float64))
    assert warm.array("c", (0, 3), "M8[s]").shape == (0, 3)


def test_bytes_of_any_array():
    assert bytes_of(np.array(["2020"], "M8[D]")).nbytes == 8
    assert bytes_of(np.empty((3, 0))).nbytes == 0
    assert bytes_of(np.arange(6, dtype=np.uint8).reshape(2, 3).T).tobytes() == b"\0\3\1\4\2\5"
