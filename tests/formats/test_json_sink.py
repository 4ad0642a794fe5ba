"""Pipes into JSON lines."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError


def message(num_rows=50):
    n = num_rows
    return fw.Message(
        {
            "x": torch.arange(n * 2, dtype=torch.float32).reshape(n, 2) / 7,
            "n": np.arange(n),
            "f": np.arange(n) / 3,
            "k": pd.array([None if i % 7 == 0 else i for i in range(n)], dtype="Int64"),
            "w": [None if i % 5 == 0 else f'é"{i},\n' for i in range(n)],
            "l": pd.array([[i] * (i % 3) for i in range(n)], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        }
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.zst"])
def test_one_file_comes_back(tmp_path, name):
    rows = message()
    path = tmp_path / name
    assert fw.source(rows).batch(7).to_json(path) == [path]
    assert fw.read_json(path, schema=rows.schema).to_message() == rows
    assert fw.Message.read_json(path, schema=rows.schema, lines=True) == rows


def test_a_file_is_what_a_message_writes(tmp_path):
    fw.source(message()).batch(7).to_json(tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text() == message().to_json(lines=True)


def test_shards_come_back(tmp_path):
    rows = message()
    files = fw.source(rows).to_json(tmp_path / "out", shard_rows=20)
    assert [file.name for file in files] == [f"part-0000{n}.jsonl" for n in range(3)]
    assert fw.read_json(tmp_path / "out", schema=rows.schema).to_message() == rows


def test_half_of_a_pair_of_surrogates_is_spelled(tmp_path):
    rows = fw.Message({"w": pd.array(["\ud800", "é"], dtype=object)})
    fw.source(rows).to_json(tmp_path / "a.jsonl")
    assert [json.loads(line)["w"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == ["\ud800", "é"]


def test_no_rows_are_an_empty_file(tmp_path):
    fw.source(message()).filter("n < 0").to_json(tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text() == ""


def test_what_json_can_t_give_back_is_an_error(tmp_path):
    with pytest.raises(ColumnTypeError, match="column 'b' holds") as caught:
        fw.source({"b": [b"x"]}).to_json(tmp_path / "a.jsonl")
    assert "In to_json, where row 0 is row 0 of the file." in caught.value.__notes__
    with pytest.raises(ValueError, match="to_json: compression is one of"):
        fw.source(message()).to_json(tmp_path / "a.jsonl", compression="lz4")
    assert not (tmp_path / "a.jsonl").exists()
