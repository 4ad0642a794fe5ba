"""Columns that go to disk as Arrow streams: lists, structs, dictionaries, objects."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pandas.api.extensions import ExtensionArray, ExtensionDtype

import fireworks as fw
from fireworks.errors import ColumnTypeError
from fireworks.spill.piles import PileWriter
from spill.writing import there_and_back, written

STRUCT = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])
NESTED = {
    "lists": pa.array([[1, 2], [], None, [None, 3]]),
    "large lists of texts": pa.array([["a"], [], None, ["b", None]], pa.large_list(pa.large_string())),
    "lists of one size": pa.array([[1, 2], [3, 4], None, [5, None]], pa.list_(pa.int32(), 2)),
    "structs": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}, {"a": 2, "b": []}], STRUCT),
    "maps": pa.array([[("k", 1)], [], None, [("l", None)]], pa.map_(pa.string(), pa.int64())),
    "dictionaries": pa.array(["x", None, "y", "x"]).dictionary_encode(),
    "nulls": pa.nulls(4),
}


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("write_bytes", [1, 2**20])
def test_arrows_types_with_parts(tmp_path, kind, write_bytes):
    array = NESTED[kind].take(pa.array(np.arange(30) % 4))
    message = fw.Message({"x": pd.arrays.ArrowExtensionArray(array)})
    there_and_back(message, tmp_path, chunks=3, write_bytes=write_bytes)
    there_and_back(message[5:], tmp_path, chunks=2, write_bytes=write_bytes)


def objects(values):
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    return cells


OTHERS = {
    "texts": objects(["a", None, "b"] * 10),
    "bytes": objects([b"a", None, b"\0"] * 10),
    "tuples": objects([(1, 2), None, (3,)] * 10),
    "lists": objects([[1, 2], None, []] * 10),
    "dicts": objects([{"a": 1}, None, {"a": None}] * 10),
    "arrays": objects([np.arange(n % 3, dtype=np.int16) for n in range(30)]),
    "tensors": objects([torch.arange(n % 3) for n in range(30)]),
    "missing in one way, then in another": objects([*["a", None] * 8, *["a", float("nan")] * 7]),
    "of one type, then of another": objects([*[1, None] * 8, *["a", "b"] * 7]),
    "nothing": objects([None] * 30),
    "intervals": pd.arrays.IntervalArray.from_breaks(np.arange(31.0)),
    "sparse": pd.arrays.SparseArray([0.0, 0.0, 1.0] * 10),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("write_bytes", [1, 2**20])
def test_what_arrow_brings_back_with_a_note(tmp_path, kind, write_bytes):
    message = fw.Message({"x": OTHERS[kind]})
    assert len(message) == 30
    chunks = 3 if "then" not in kind else 30
    there_and_back(message, tmp_path, chunks=chunks, write_bytes=write_bytes)


def test_objects_that_arrow_can_not_hold(tmp_path):
    message = fw.Message({"n": np.arange(3), "x": objects(["a", "b", {1, 2}])})
    with pytest.raises(
        ColumnTypeError,
        match=r"^shuffle: column 'x' holds \{1, 2\} of type set in row 2, which Arrow can't hold .*drop\. Rows go to disk in Arrow's types\.$",
    ):
        written(message, np.zeros(3, np.uint8), tmp_path, num_piles=1)


def test_an_array_of_objects_of_numpy(tmp_path):
    message = fw.Message._of({"x": objects(["a", "b"])}, 2)
    with pytest.raises(ColumnTypeError, match=r"^shuffle: column 'x' "):
        written(message, np.zeros(2, np.uint8), tmp_path, num_piles=1)


class OtherDtype(ExtensionDtype):
    name = "other"
    type = float
    kind = "f"

    @classmethod
    def construct_array_type(cls):
        return OtherArray


class OtherArray(ExtensionArray):
    """Numbers in an array of somebody else's, which Arrow takes for plain ones."""

    def __init__(self, values):
        self.values = np.asarray(values, dtype=float)

    dtype = OtherDtype()
    nbytes = 0

    def __len__(self):
        return len(self.values)

    def __getitem__(self, item):
        found = self.values[item]
        return OtherArray(found) if isinstance(found, np.ndarray) else found

    def __arrow_array__(self, type=None):
        return pa.array(self.values)


def test_arrays_of_others_that_would_come_back_as_something_else(tmp_path):
    message = fw.Message._of({"x": OtherArray([1.0, 2.0])}, 2)
    with pytest.raises(
        ColumnTypeError,
        match=r"^shuffle: column 'x' is other, which would come back from disk as float64; convert it\.$",
    ):
        PileWriter(message[:0], 1, tmp_path, extras={}, write_bytes=1)
