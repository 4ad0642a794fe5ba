"""Chunks are cut and joined without losing a row or its number."""

import itertools

import pytest
import torch

import fireworks as fw
from fireworks.core.chunk import Chunk, groups, join, recut


def chunk(start, stop):
    rows = torch.arange(start, stop)
    return Chunk(fw.Message({"n": rows, "word": [f"w{n}" for n in rows.tolist()]}), rows.numpy())


class TestCutting:
    @pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 20, 100])
    def test_chunks_are_cut_anew_without_losing_a_row(self, size):
        edges = [0, 1, 4, 4, 11, 12, 20]
        pieces = [chunk(start, stop) for start, stop in itertools.pairwise(edges) if stop > start]
        cut = list(recut(pieces, size))
        assert [len(piece.rows) for piece in cut[:-1]] == [size] * (len(cut) - 1)
        assert join(cut).message == chunk(0, 20).message
        assert join(cut).rows.tolist() == list(range(20))
        assert all(piece.message["n"].tolist() == piece.rows.tolist() for piece in cut)

    def test_cutting_shares_memory_where_no_border_is_crossed(self):
        whole = chunk(0, 12)
        for number, piece in enumerate(recut([whole], 3)):
            assert piece.message["n"].data_ptr() == whole.message["n"][number * 3 :].data_ptr()

    def test_rows_without_columns_are_still_counted(self):
        bare = Chunk(fw.Message._of({}, 6), chunk(0, 6).rows)
        assert [len(piece.message) for piece in recut([bare], 2)] == [2, 2, 2]

    def test_nothing_is_cut_into_nothing(self):
        assert list(recut([], 3)) == []
        assert list(groups(range(0), 3)) == []
