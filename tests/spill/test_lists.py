"""Lists of numbers come back, whatever they hold, and wherever in Arrow's memory they lie."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fireworks as fw
from fireworks.spill.lists import holds_numbers
from spill.writing import there_and_back, written

KINDS = [
    pa.list_(pa.int8()),
    pa.list_(pa.int64()),
    pa.large_list(pa.float32()),
    pa.list_(pa.field("token", pa.uint16(), nullable=False)),
    pa.list_(pa.timestamp("us", "UTC")),
]


def lists(rows, *, nulls=False, missing=True, seed=0):
    rng = np.random.default_rng(seed)
    values = [
        [None if nulls and n == 3 else int(n) for n in rng.integers(0, 100, size)] for size in rng.integers(0, 9, rows)
    ]
    return [None if missing and row % 7 == 3 else value for row, value in enumerate(values)]


def column(values, kind):
    return fw.Message({"x": pd.arrays.ArrowExtensionArray(pa.array(values, kind))})


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("write_bytes", [2000, 2**20])
def test_lists_come_back(tmp_path, kind, missing, write_bytes):
    message = column(lists(300, missing=missing), kind)
    there_and_back(message, tmp_path, chunks=3, write_bytes=write_bytes)
    there_and_back(message[5:290], tmp_path, chunks=3, write_bytes=write_bytes)


@pytest.mark.parametrize("kind", [pa.list_(pa.int8()), pa.large_list(pa.int64())], ids=str)
@pytest.mark.parametrize("write_bytes", [1000, 2**20])
def test_nulls_inside_may_come_late_and_go_again(tmp_path, kind, write_bytes):
    values = [*lists(100), *lists(100, nulls=True), *[[7]] * 50, *lists(100), *lists(100, nulls=True)]
    for part in (values, values[:200], values[100:], values[100:200]):
        there_and_back(column(part, kind), tmp_path, chunks=len(part) // 50, write_bytes=write_bytes)


@pytest.mark.parametrize("values", [[], [None] * 9, [[]] * 9, [[1, 2]] * 9], ids=str)
def test_lists_of_nothing_and_of_the_same(tmp_path, values):
    there_and_back(column(values, pa.list_(pa.int32())), tmp_path, chunks=2)


def test_what_a_missing_list_covers_is_not_written(tmp_path):
    array = pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 5]), pa.array([1, 2, 8, 9, 3]), mask=pa.array([False, True, False])
    )
    message = fw.Message({"x": pd.arrays.ArrowExtensionArray(array)})
    found, _ = written(message, np.zeros(3, np.uint8), tmp_path, num_piles=1)
    with found:
        assert found.read(0)[0]["x"].tolist()[::2] == [[1, 2], [3]]
        assert found.num_bytes == 3 * 8 + 3 * 1 + 3 * 8


def test_numbers_in_a_few_bytes_each(tmp_path):
    values = [list(range(row % 10, row % 10 + row % 50)) for row in range(5000)]
    found, _ = written(column(values, pa.list_(pa.int32())), np.zeros(5000, np.uint8), tmp_path, num_piles=1)
    with found:
        assert found.num_bytes < 5000 * (8 + 2 + 24.5 * 4)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.list_(pa.int8()), True),
        (pa.large_list(pa.decimal128(9, 2)), True),
        (pa.list_(pa.bool_()), False),
        (pa.list_(pa.string()), False),
        (pa.list_(pa.list_(pa.int8())), False),
        (pa.list_(pa.int8(), 3), False),
        (pa.int8(), False),
    ],
    ids=str,
)
def test_which_lists_those_are(tmp_path, kind, expected):
    assert holds_numbers(kind) == expected
    rows = {"decimal128(9, 2)": [[Decimal("1.25")], None], "bool": [[True, False], None], "string": [["a"], None]}
    if pa.types.is_nested(kind) and str(kind.value_type) in rows:
        there_and_back(column(rows[str(kind.value_type)], kind), tmp_path)
