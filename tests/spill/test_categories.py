"""Categorical columns: codes, and the categories once."""

import numpy as np
import pandas as pd
import pytest

import fireworks as fw
from fireworks.errors import SchemaMismatchError
from fireworks.spill.piles import PileWriter
from spill.writing import there_and_back


def read_back(folder, no_rows, *columns, write_bytes=2**20):
    writer = PileWriter(fw.Message({"c": no_rows}), 1, folder, extras={}, write_bytes=write_bytes)
    with writer:
        for column in columns:
            writer.write(fw.Message({"c": column}), np.zeros(len(column), np.uint8))
        with writer.finish() as found:
            return found.read(0)[0].raw("c")


@pytest.mark.parametrize("count", [0, 3, 127, 128, 300, 40_000])
@pytest.mark.parametrize("ordered", [False, True])
def test_codes_of_every_width(tmp_path, count, ordered):
    codes = np.random.default_rng(0).integers(-1, count, 500)
    column = pd.Categorical.from_codes(codes, categories=[f"kind {n}" for n in range(count)], ordered=ordered)
    there_and_back(fw.Message({"c": column}), tmp_path, chunks=3)


@pytest.mark.parametrize("write_bytes", [20, 2**20])
def test_categories_that_come_later_are_added(tmp_path, write_bytes):
    first = pd.Categorical(["a", None, "b"], categories=["b", "a"])
    second = pd.Categorical(["c", "b", None, "a"], categories=["a", "b", "c"])
    third = pd.Categorical([None, None], categories=pd.Index([], dtype="str"))
    many = pd.Categorical([f"kind {n}" for n in range(300)])
    got = read_back(tmp_path, first[:0], first, second, third, many, first, write_bytes=write_bytes)
    assert got.tolist() == pd.Series([*first, *second, *third, *many, *first]).tolist()
    assert got.categories.tolist() == ["b", "a", "c", *many.categories]


def test_a_schema_that_knows_none_takes_the_first_ones(tmp_path):
    column = pd.Categorical(["x", "y", None], categories=["y", "x"])
    got = read_back(tmp_path, pd.Categorical([]), column, column)
    assert got.dtype == column.dtype
    assert got.tolist()[:2] == ["x", "y"]


def test_what_does_not_go_together(tmp_path):
    ordered = pd.Categorical(["a"], categories=["a", "b"], ordered=True)
    for one, other in [
        (ordered, pd.Categorical(["a"], categories=["b", "a"], ordered=True)),
        (ordered, pd.Categorical(["a"], categories=["a", "b"])),
        (pd.Categorical([1]), pd.Categorical(["a"])),
    ]:
        with pytest.raises(
            SchemaMismatchError, match=r"^shuffle: column 'c' is CategoricalDtype\(.* here and CategoricalDtype\("
        ):
            read_back(tmp_path, one[:0], one, other)
    with pytest.raises(SchemaMismatchError, match=r"^shuffle: column 'c' is str here and category in the rows before"):
        read_back(tmp_path, ordered[:0], pd.array(["a"], dtype="str"))
