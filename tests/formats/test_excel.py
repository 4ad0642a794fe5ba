"""A sheet for people to look at: every value is there, and no text becomes a formula."""

import importlib
import math

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from disks import small_disk
from fireworks.errors import ColumnValueError, MissingExtraError
from message.strategies import ARRAYS

openpyxl = pytest.importorskip("openpyxl")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.xlsx"


def cells_of(path, sheet="Sheet1"):
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(path)[sheet].iter_rows()]


def test_what_is_in_the_cells(path):
    message = fw.Message(
        {
            "x": torch.tensor([[1.0, 0.5], [math.nan, 2.0]]),
            "b": torch.tensor([1.5, 2.5], dtype=torch.bfloat16),
            "z": torch.tensor([1j, 2.0]),
            "n": pd.array([1, None], dtype="Int8"),
            "ok": [True, False],
            "name": ["ann", None],
            "kind": pd.Categorical(["u", None]),
            "day": np.array(["2020-02-29", "NaT"], dtype="M8[s]"),
            "then": pd.DatetimeIndex(["2020-01-01", None], tz="Asia/Tokyo").as_unit("s"),
            "o": pd.Series([(1, 2), None], dtype=object),
        }
    )
    message.to_excel(path)
    assert cells_of(path) == [
        ["x", "b", "z", "n", "ok", "name", "kind", "day", "then", "o"],
        [
            "[1.0, 0.5]",
            1.5,
            "1j",
            1,
            True,
            "ann",
            "u",
            pd.Timestamp("2020-02-29"),
            "2020-01-01T00:00:00+09:00",
            "(1, 2)",
        ],
        ["[null, 2.0]", 2.5, "(2+0j)", None, False, None, None, None, None, None],
    ]


@pytest.mark.parametrize("kind", sorted(ARRAYS))
def test_every_kind_of_column_can_be_looked_at(kind, path):
    message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), 7)})
    message.to_excel(str(path), index=False)
    assert len(cells_of(path)) == 8


def test_a_text_is_never_a_formula(path):
    fw.Message({"=1+1": ["=2+2", '=HYPERLINK("http://there")', "a=b"]}).to_excel(path)
    sheet = openpyxl.load_workbook(path)["Sheet1"]
    assert [[cell.value, cell.data_type] for (cell,) in sheet.iter_rows()] == [
        ["=1+1", "s"],
        ["=2+2", "s"],
        ['=HYPERLINK("http://there")', "s"],
        ["a=b", "s"],
    ]


def test_the_sheet_has_a_name(path):
    fw.Message({"x": [1]}).to_excel(path, "rows")
    assert cells_of(path, "rows") == [["x"], [1]]
    fw.Message({"x": [2]}).to_excel(path, sheet_name="others")
    assert openpyxl.load_workbook(path).sheetnames == ["others"]


@pytest.mark.parametrize(("text", "length"), [("x" * 32_768, "32,768"), ("a\x07b", "3")], ids=["long", "control"])
def test_a_text_that_no_cell_holds_is_named(text, length, path):
    pattern = (
        rf"Message.to_excel: column 't', row 1: '.* has {length} letters; a cell holds at most 32,767, none of them a"
    )
    with pytest.raises(ColumnValueError, match=pattern):
        fw.Message({"t": ["a", text]}).to_excel(path)
    with pytest.raises(ColumnValueError, match=r"Message.to_excel: the name of column '.*: '.* has"):
        fw.Message({text: [1, 2]}).to_excel(path)
    fw.Message({"t": ["x" * 32_767]}).to_excel(path)


def test_more_rows_than_a_sheet_has(path):
    room = "a sheet has room for 1,048,575 rows and 16,384 columns; the message has"
    with pytest.raises(ValueError, match=f"Message.to_excel: {room} 1,048,576 and 1"):
        fw.Message({"n": np.zeros(2**20)}).to_excel(path)
    with pytest.raises(ValueError, match=f"Message.to_excel: {room} 0 and 16,385"):
        fw.Message({f"c{number}": [] for number in range(2**14 + 1)}).to_excel(path)
    assert not path.exists()


def test_an_index_can_not_be_written(path):
    with pytest.raises(ValueError, match=r"Message.to_excel: a message has no index to write"):
        fw.Message({"n": [1]}).to_excel(path, index=True)


def test_without_openpyxl_it_says_what_to_install(path, monkeypatch):
    real = importlib.import_module

    def without(name, *arguments):
        if name.startswith("openpyxl"):
            raise ModuleNotFoundError("No module named 'openpyxl'", name="openpyxl")
        return real(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(
        MissingExtraError,
        match=r"Message.to_excel needs openpyxl, which is not installed. Run: pip install 'fireworks-torch\[interop\]'",
    ):
        fw.Message({"n": [1]}).to_excel(path)


def test_without_room_the_old_file_stays(tmp_path):
    with small_disk(tmp_path, "32k"):
        path = tmp_path / "rows.xlsx"
        fw.Message({"n": [1]}).to_excel(path)
        with pytest.raises(
            OSError, match=r"Message.to_excel: .* can't be written: No space left on device\. What was there"
        ):
            fw.Message({"x": torch.randn(5_000)}).to_excel(path)
        assert cells_of(path) == [["n"], [1]]
