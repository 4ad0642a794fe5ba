"""Parquet files as a source."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.expressions import parse
from fireworks.errors import ColumnNotFoundError, FileFormatError, SchemaMismatchError
from fireworks.formats.parquet_source import ParquetSource, read_parquet
from pipelines import double

NUM_ROWS = 60


def message():
    n = NUM_ROWS
    return fw.Message(
        {
            "x": torch.arange(n * 3, dtype=torch.float32).reshape(n, 3),
            "short": torch.rand(n, generator=torch.Generator().manual_seed(0)).bfloat16(),
            "n": np.arange(n),
            "w": [float(i) / 7 for i in range(n)],
            "k": pd.array([None if i == 50 else i for i in range(n)], dtype="Int64"),
            "word": [f"w{i}" for i in range(n)],
            "kind": pd.Categorical([("a", "b", "c")[i // 25] for i in range(n)]),
            "day": pd.date_range("2024-01-01", periods=n),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("parquet")
    rows = message()
    rows[:35].to_parquet(path / "part-0.parquet", row_group_size=10)
    rows[35:].to_parquet(path / "part-1.parquet", row_group_size=8)
    (path / "notes.txt").write_text("not a table")
    return path


class TestParquetSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "filtered"])
    def make_pipe(self, folder, request):
        def make():
            data = read_parquet(folder)
            if request.param == "batched":
                return data.select("n", "x").map(double).batch(7)
            if request.param == "shuffled":
                return data.shuffle(seed=0)
            return data.filter("n > 20").drop("x") if request.param == "filtered" else data

        return make


def test_a_folder_a_pattern_a_list_and_one_file_are_read(folder):
    rows = message()
    assert read_parquet(folder).to_message() == rows
    assert read_parquet(str(folder / "part-*.parquet")).to_message() == rows
    assert read_parquet([folder / "part-1.parquet", str(folder / "part-0.parquet")]).to_message()["n"].tolist() == [
        *range(35, NUM_ROWS),
        *range(35),
    ]
    assert read_parquet(folder / "part-0.parquet").to_message() == fw.Message.read_parquet(folder / "part-0.parquet")


def test_files_of_a_folder_come_in_the_order_of_their_names(tmp_path):
    for name in ("b", "a", "c"):
        fw.Message({"name": [name]}).to_parquet(tmp_path / f"{name}.parquet")
    assert read_parquet(tmp_path).to_message()["name"].tolist() == ["a", "b", "c"]


def test_the_schema_is_that_of_the_rows_and_of_no_rows(folder):
    source = read_parquet(folder)
    assert source.schema == message().schema
    assert source.fetch(range(0)).schema == source.schema
    assert source[3:3].schema == source.schema
    assert all(source[i].schema == source.schema for i in (0, 12, 34, 35, 50, 59))


def test_a_column_has_its_nullable_type_where_any_row_group_has_a_null(folder):
    assert str(read_parquet(folder).schema["k"].dtype) == "Int64"
    assert str(read_parquet(folder)[:5].schema["k"].dtype) == "Int64"


def test_files_of_others_are_read_as_pandas_would_say(tmp_path):
    frame = pd.DataFrame({"a": [1.0, None, 3.0], "b": [1, 2, 3], "c": [[1, 2], [3], None]})
    for number, index in enumerate(
        [None, pd.MultiIndex.from_tuples([(1, 2), (3, 4), (5, 6)]), pd.Index(["p", "q", "r"]), pd.Index([7, 5, 3])]
    ):
        path = tmp_path / f"{number}.parquet"
        (frame if index is None else frame.set_index(index)).to_parquet(path, row_group_size=2)
        assert read_parquet(path).to_message() == fw.Message.read_parquet(path)


def test_a_file_without_statistics_gets_nullable_types(tmp_path):
    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "n.parquet", write_statistics=False)
    source = read_parquet(tmp_path / "n.parquet")
    assert str(source.schema["n"].dtype) == "Int64"
    assert source.filter("n >= 2").to_message()["n"].tolist() == [2, 3]


def test_categories_are_those_of_all_row_groups(tmp_path):
    for number, values in enumerate((["a", "b"], ["c", "a"])):
        table = pa.table({"c": pa.array(values).dictionary_encode()})
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=1)
    source = read_parquet(tmp_path)
    assert source.schema["c"].dtype.categories.tolist() == ["a", "b", "c"]
    assert source.to_message()["c"].tolist() == ["a", "b", "c", "a"]
    assert [row.schema == source.schema for row in source] == [True] * 4


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.integers(0, NUM_ROWS - 1), min_size=1, max_size=40),
    start=st.integers(0, 60),
    stop=st.integers(0, 60),
)
def test_any_rows_in_any_order_are_those_of_the_message(folder, rows, start, stop):
    source, whole = read_parquet(folder), message()
    assert source.fetch(np.array(rows)) == whole.take(np.array(rows))
    if start < stop:
        assert source.fetch(range(start, stop)) == whole[start:stop]


def test_each_row_group_is_decoded_once_and_the_last_ones_are_kept(folder, monkeypatch):
    decoded = []
    table = ParquetSource._table
    monkeypatch.setattr(
        ParquetSource, "_table", lambda self, group, columns: decoded.append(group) or table(self, group, columns)
    )
    source = ParquetSource(folder, ["n"])
    for _ in range(3):
        source.to_message()
    assert len(decoded) == len(set(map(id, decoded))) == 8
    monkeypatch.setattr("fireworks.formats.parquet_source._CACHE_BYTES", 1)
    small = ParquetSource(folder, ["n"])
    decoded.clear()
    small[0], small[1], small[20], small[0]
    assert len(decoded) == 3
    assert len(small._decoded) == 1


def test_columns_are_named_once_and_come_in_the_order_given(folder):
    assert read_parquet(folder, ["n", "x", "n"]).to_message().columns == ["n", "x"]
    assert read_parquet(folder, "w").schema.names == ["w"]
    with pytest.raises(ColumnNotFoundError, match=r"read_parquet: no column 'nn'.*Did you mean 'n'"):
        read_parquet(folder, "nn")


def test_narrowed_reads_only_these_columns_and_is_made_once(folder):
    source = read_parquet(folder)
    narrow = source.narrowed(["word", "n"])
    assert narrow.schema.names == ["n", "word"]
    assert narrow.to_message() == message().select("n", "word")
    assert source.narrowed(["n", "word"]) is narrow
    assert source.narrowed(source.schema.names) is source
    assert source.narrowed([]) is source
    assert len(narrow) == NUM_ROWS


def mask_of(text):
    pipe = fw.source(message()).filter(text)
    return pipe._predicate


@pytest.mark.parametrize(
    "text",
    [
        "n > 40",
        "n between 9 and 10",
        "word == 'w7' or w < 1",
        "k is null",
        "not (n in [1, 2] or k > 7)",
        "n == 3.0",
        "n > 99",
    ],
)
def test_find_gives_the_rows_that_a_pass_gives(folder, text):
    with fw.optimisation(False):
        expected = fw.source(message()).filter(text).to_message()
    source = read_parquet(folder)
    found = source.find(parse(text), mask_of(text))
    assert message().take(found) == expected
    assert found.dtype == np.int64


def test_find_skips_row_groups_by_their_statistics(folder, monkeypatch):
    decoded = []
    table = ParquetSource._table
    monkeypatch.setattr(
        ParquetSource,
        "_table",
        lambda self, group, columns: decoded.append(group.num_rows) or table(self, group, columns),
    )
    assert read_parquet(folder).find(parse("n == 12"), mask_of("n == 12")).tolist() == [12]
    assert decoded == [10]


def test_find_can_not_tell_without_its_columns(folder):
    source = read_parquet(folder, ["n"])
    assert source.find(parse("w > 3"), None) is None
    assert source.find(parse("true"), None) is None


def test_it_pickles_without_what_it_has_decoded(folder):
    source = read_parquet(folder)
    source.to_message()
    data = pickle.dumps(source)
    assert len(data) < 20_000
    assert pickle.loads(data).to_message() == message()


def test_it_names_itself_without_its_folder(folder):
    assert repr(read_parquet(folder, "n")) == "Parquet(part-0.parquet and 1 more, 60 rows: n)"
    assert repr(read_parquet(folder / "part-0.parquet", "n")) == "Parquet(part-0.parquet, 35 rows: n)"


def test_a_file_without_rows_is_a_source_without_rows(tmp_path):
    message()[:0].to_parquet(tmp_path / "none.parquet")
    source = read_parquet(tmp_path)
    assert len(source) == 0
    assert source.to_message().columns == message().columns
    assert source.filter("n > 3").to_message().columns == message().columns


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"read_parquet: '.*gone.parquet' can't be read: there is no such file"):
        read_parquet(tmp_path / "gone.parquet")
    with pytest.raises(
        FileNotFoundError, match=r"read_parquet: no file in the folder '.*' ends in \.parquet; write one"
    ):
        read_parquet(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"read_parquet: no file fits the pattern '.*\*\.pq'"):
        read_parquet(f"{tmp_path}/*.pq")
    with pytest.raises(ValueError, match=r"read_parquet: the list of files is empty; name at least one\."):
        read_parquet([])
    with pytest.raises(TypeError, match=r"read_parquet: a path is a str or a Path; got 3"):
        read_parquet(3)


def test_files_with_other_columns_are_named(tmp_path):
    fw.Message({"a": [1], "b": ["x"]}).to_parquet(tmp_path / "0.parquet")
    fw.Message({"a": [1.5], "b": ["x"]}).to_parquet(tmp_path / "1.parquet")
    with pytest.raises(SchemaMismatchError, match=r"column 'a' is int64 in '.*0.parquet' and double in '.*1.parquet'"):
        read_parquet(tmp_path)
    fw.Message({"a": [1]}).to_parquet(tmp_path / "1.parquet")
    with pytest.raises(SchemaMismatchError, match=r"column 'b' is .* in '.*0.parquet' and not there in '.*1.parquet'"):
        read_parquet(tmp_path)


def test_a_damaged_file_is_named(tmp_path, folder):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 this is none")
    with pytest.raises(FileFormatError, match=r"read_parquet: '.*bad.parquet' is no Parquet file, or a damaged one"):
        read_parquet(tmp_path / "bad.parquet")


def test_a_damaged_page_and_a_changed_file_are_named(tmp_path, folder):
    path = tmp_path / "flipped.parquet"
    whole = bytearray((folder / "part-0.parquet").read_bytes())
    path.write_bytes(whole)
    source = read_parquet(path, "n")
    group = pq.ParquetFile(path).metadata.row_group(0)
    (column,) = [c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == "n"]
    start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    whole[start + column.total_compressed_size - 3] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(
        FileFormatError, match=r"flipped.parquet' has changed since the source was made; make the pipe anew"
    ):
        source.to_message()
    with pytest.raises(
        FileFormatError, match=r"read_parquet: '.*flipped.parquet' is no Parquet file, or a damaged one"
    ):
        read_parquet(path, "n").to_message()


def test_a_type_that_differs_from_the_footers_is_an_error(folder, monkeypatch):
    source = read_parquet(folder, ["n"])
    monkeypatch.setattr(
        ParquetSource, "_message", lambda self, table, categories: fw.Message({"n": ["a"] * table.num_rows})
    )
    monkeypatch.setitem(source.__dict__, "schema", fw.Schema({"n": "int64"}))
    with pytest.raises(SchemaMismatchError, match=r"column 'n' is int64 by the footers, and str in row group 0 of"):
        source.fetch(range(3))
