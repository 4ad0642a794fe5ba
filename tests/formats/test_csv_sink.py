"""Pipes into CSV."""

import gzip
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError, ColumnValueError
from pipelines import double, refuses_three


def message(num_rows=50):
    n = num_rows
    return fw.Message(
        {
            "x": torch.arange(n * 2, dtype=torch.float32).reshape(n, 2) / 7,
            "n": np.arange(n),
            "k": pd.array([None if i % 7 == 0 else i for i in range(n)], dtype="Int64"),
            "w": [None if i % 5 == 0 else f'a"{i},\n' if i % 3 else "" for i in range(n)],
            "day": pd.date_range("2024-01-01", periods=n),
        }
    )


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.csv.bz2", "a.csv.zst"])
def test_one_file_comes_back(tmp_path, name):
    rows = message()
    path = tmp_path / name
    assert fw.source(rows).batch(7).to_csv(path) == [path]
    assert fw.read_csv(path, schema=rows.schema).to_message() == rows
    assert fw.Message.read_csv(path, schema=rows.schema, sep="\t" if "tsv" in name else ",") == rows


def test_a_file_is_what_a_message_writes(tmp_path):
    fw.source(message()).batch(7).to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == message().to_csv()


def test_shards_have_names_of_columns_each(tmp_path):
    rows = message()
    files = fw.source(rows).to_csv(tmp_path / "out", shard_rows=20, compression="gzip")
    assert [file.name for file in files] == [f"part-0000{n}.csv.gz" for n in range(3)]
    assert gzip.decompress(files[2].read_bytes()).decode() == rows[40:].to_csv()
    assert fw.read_csv(tmp_path / "out", schema=rows.schema).to_message() == rows
    small = fw.source(rows).batch(5).to_csv(tmp_path / "small", shard_bytes=200)
    assert len(small) > 3
    assert fw.read_csv(small, schema=rows.schema).to_message() == rows


def test_other_marks(tmp_path):
    rows = fw.Message({"a": ["NA", None, "x;y"]})
    fw.source(rows).to_csv(tmp_path / "a.csv", separator=";", null_value="NA")
    assert (tmp_path / "a.csv").read_text() == 'a\n"NA"\nNA\n"x;y"\n'
    assert fw.read_csv(tmp_path / "a.csv", separator=";", null_values="NA", schema={"a": "str"}).to_message() == rows


def test_no_rows_have_names(tmp_path):
    fw.source(message()).filter("n < 0").to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "x,n,k,w,day\n"


def test_what_text_can_t_give_back_is_an_error_with_the_row(tmp_path):
    (tmp_path / "a.csv").write_text("before")
    with pytest.raises(ColumnTypeError, match="column 'b' holds"):
        fw.source({"b": [b"x"]}).to_csv(tmp_path / "a.csv")
    with pytest.raises(ColumnValueError, match="column 'a', row 1: the text is missing") as caught:
        fw.source({"a": ["x", "y", "z", None]}).batch(2).to_csv(tmp_path / "a.csv")
    assert "In to_csv, where row 0 is row 2 of the file." in caught.value.__notes__
    with pytest.raises(ZeroDivisionError, match="row 3 is bad"):
        fw.source(message()).map(refuses_three).to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "before"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"separator": ""}, "sep is one ASCII character"),
        ({"null_value": ","}, "na_rep can't hold the separator"),
        (
            {"compression": "rar"},
            "compression is one of 'gzip', 'bz2', 'zstd', or None for what the name says; got 'rar'",
        ),
        ({"shard_rows": 0}, "shard_rows"),
    ],
)
def test_arguments_are_checked(tmp_path, options, text):
    with pytest.raises(ValueError, match=text):
        fw.source(message()).to_csv(tmp_path / "a.csv", **options)


def test_a_kill_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")
    code = (
        "import sys, os, signal, fireworks as fw\n"
        "def stop(rows):\n"
        "    if 50 in rows['n'].tolist(): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return rows\n"
        f"fw.source({{'n': range(100)}}).batch(10).map(stop).to_csv({str(path)!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_functions_on_the_way_run(tmp_path):
    fw.source({"n": range(5)}).map(double).shuffle(seed=0).to_csv(tmp_path / "a.csv")
    assert sorted(fw.read_csv(tmp_path / "a.csv").to_message()["n"].tolist()) == [0, 2, 4, 6, 8]
