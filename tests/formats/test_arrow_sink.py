"""Pipes into Arrow files."""

import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import SchemaMismatchError


def message(num_rows=50):
    n = num_rows
    return fw.Message(
        {
            "x": torch.arange(n * 2, dtype=torch.float32).reshape(n, 2),
            "h": torch.arange(n).bfloat16(),
            "k": pd.array([None if i % 7 == 0 else i for i in range(n)], dtype="Int64"),
            "w": [None if i % 5 == 0 else f"w{i}" for i in range(n)],
            "c": pd.Categorical(["a", "b"] * (n // 2), categories=["b", "a", "unused"], ordered=True),
        }
    )


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_one_file_comes_back(tmp_path, compression):
    rows = message()
    path = tmp_path / "a.arrow"
    assert fw.source(rows).batch(7).to_feather(path, compression=compression, batch_rows=20) == [path]
    assert fw.read_arrow(path).to_message() == rows
    assert fw.Message.read_feather(path) == rows
    assert pa.ipc.open_file(path).num_record_batches == 3


def test_shards_come_back(tmp_path):
    rows = message()
    files = fw.source(rows).to_feather(tmp_path / "out", shard_rows=20)
    assert [file.name for file in files] == [f"part-0000{n}.arrow" for n in range(3)]
    assert fw.read_arrow(tmp_path / "out").to_message() == rows


def test_no_rows_have_a_schema(tmp_path):
    rows = fw.source(message()).filter("k < 0")
    rows.to_feather(tmp_path / "a.arrow")
    assert fw.read_arrow(tmp_path / "a.arrow").to_message().columns == message().columns


def parts_of(*columns):
    return fw.source(lambda: (fw.Message({"a": column}) for column in columns))


def test_a_column_that_is_all_null_later_fits(tmp_path):
    arrow = pd.ArrowDtype(pa.int64())
    nothing = pd.array([None], dtype=pd.ArrowDtype(pa.null()))
    parts_of(pd.array([1], dtype=arrow), nothing).batch(1).to_feather(tmp_path / "a.arrow", batch_rows=1)
    assert pa.ipc.open_file(tmp_path / "a.arrow").read_all().column("a").to_pylist() == [1, None]


def test_another_type_in_later_rows_is_an_error(tmp_path):
    with pytest.raises(
        SchemaMismatchError, match=r"to_feather: column 'a' is int64, and .*string from row 1 of the file on"
    ):
        parts_of([1], ["x"]).batch(1).to_feather(tmp_path / "a.arrow", batch_rows=1)
    with pytest.raises(
        SchemaMismatchError, match="a categorical column has other categories from row 1 of the file on"
    ):
        parts_of(pd.Categorical(["x"]), pd.Categorical(["y"])).batch(1).to_feather(tmp_path / "a.arrow", batch_rows=1)
    assert not (tmp_path / "a.arrow").exists()


def test_arguments_are_checked(tmp_path):
    with pytest.raises(ValueError, match="to_feather: compression is 'lz4', 'zstd' or None; got 'gzip'"):
        fw.source(message()).to_feather(tmp_path / "a.arrow", compression="gzip")
    with pytest.raises(ValueError, match="to_feather: batch_rows"):
        fw.source(message()).to_feather(tmp_path / "a.arrow", batch_rows=0)
