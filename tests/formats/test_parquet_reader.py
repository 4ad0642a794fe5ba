"""Row groups of Parquet files, whole and in pieces."""

import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fireworks.formats.files import Files
from fireworks.formats.parquet_reader import Group, GroupReader


@pytest.fixture
def reader(tmp_path):
    for number in range(20):
        table = pa.table({"n": range(number, number + 10), "m": ["x"] * 10})
        pq.write_table(table, tmp_path / f"{number:02}.parquet", row_group_size=6)
    return GroupReader(Files(tmp_path, where="read_x", suffixes=(".parquet",)))


def group(file, number):
    return Group(file, number, 6 if number == 0 else 4, {}, {})


@pytest.mark.parametrize("use_threads", [True, False])
def test_a_row_group_is_read_whole(reader, use_threads):
    assert reader.whole(group(3, 1), ["n"], use_threads=use_threads).to_pydict() == {"n": [9, 10, 11, 12]}


@pytest.mark.parametrize("num_rows", [1, 4, 100])
def test_or_in_pieces(reader, num_rows):
    pieces = list(reader.pieces(group(3, 0), ["m", "n"], num_rows, use_threads=False))
    assert all(len(piece) <= num_rows for piece in pieces)
    assert pa.concat_tables(pieces)["n"].to_pylist() == [3, 4, 5, 6, 7, 8]


def test_the_last_footers_are_kept(reader):
    for file in range(20):
        reader.whole(group(file, 0), ["n"], use_threads=False)
    assert list(reader._footers) == list(range(4, 20))
    assert reader.whole(group(0, 0), ["n"], use_threads=False)["n"].to_pylist() == [0, 1, 2, 3, 4, 5]


def test_it_pickles_without_them(reader):
    reader.whole(group(0, 0), ["n"], use_threads=False)
    again = pickle.loads(pickle.dumps(reader))
    assert not again._footers
    assert again.whole(group(1, 1), ["n"], use_threads=False)["n"].to_pylist() == [7, 8, 9, 10]
