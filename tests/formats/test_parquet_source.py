"""Parquet files as a source."""

import hashlib
import os
import pickle
import shutil
import threading

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.budget import Budget
from fireworks.core.expressions import parse
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnValueError,
    FileChangedError,
    FileFormatError,
    QuarantineWarning,
    SchemaMismatchError,
)
from fireworks.formats.parquet_reader import GroupReader
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


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Few rows of few columns, so that the many passes of a contract are quick."""
    path = tmp_path_factory.mktemp("few")
    for part in range(2):
        rows = message().select("n", "x", "word")[part * 9 : part * 9 + 9]
        (path / f"part={part}").mkdir()
        rows.to_parquet(path / f"part={part}" / "0.parquet", row_group_size=4)
    return path


class TestParquetSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "filtered"])
    def make_pipe(self, few, request):
        def make():
            data = read_parquet(few)
            if request.param == "batched":
                return data.select("n", "x").map(double).batch(7)
            if request.param == "shuffled":
                return data.shuffle(seed=0)
            return data.filter("n > 3 and part == 1").drop("x") if request.param == "filtered" else data

        return make


class TestLongPasses(fw.testing.PipeContract):
    """Read on in threads, in pieces of a few rows."""

    @pytest.fixture(autouse=True)
    def read_on(self, monkeypatch):
        monkeypatch.setattr("fireworks.core.source.read_rows", lambda row_bytes: 1)
        monkeypatch.setattr("fireworks.core.flow.read_rows", lambda row_bytes: 1)

    @pytest.fixture(params=["rows", "batched", "row by row"])
    def make_pipe(self, few, request, monkeypatch):
        if request.param == "row by row":
            monkeypatch.setattr("fireworks.formats.parquet_source._AHEAD_BYTES", 1)

        def make():
            data = read_parquet(few)
            return data if request.param == "rows" else data.map(double).batch(5)

        return make


class TestDamagedOnesSetAside(fw.testing.PipeContract):
    @pytest.fixture(params=["whole", "damaged"])
    def make_pipe(self, few, request, tmp_path):
        folder = few
        if request.param == "damaged":
            folder = tmp_path / "damaged"
            shutil.copytree(few, folder)
            damage(folder / "part=0" / "0.parquet", 1, "n")
        return lambda: read_parquet(folder, on_error="quarantine").batch(3)

    pytestmark = pytest.mark.filterwarnings("ignore::fireworks.errors.QuarantineWarning")


def damage(path, group, name):
    """Flip a byte of a column in a row group; its file looks as old as before."""
    whole = bytearray(path.read_bytes())
    before = path.stat()
    footer = pq.ParquetFile(path).metadata.row_group(group)
    column = next(c for c in map(footer.column, range(footer.num_columns)) if c.path_in_schema.split(".")[0] == name)
    start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    whole[start + column.total_compressed_size - 3] ^= 0xFF
    path.write_bytes(whole)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


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
        ParquetSource,
        "_table",
        lambda self, group, *given, **more: decoded.append(group) or table(self, group, *given, **more),
    )
    source = ParquetSource(folder, ["n"])
    for _ in range(3):
        source.to_message()
    assert len(decoded) == len(set(map(id, decoded))) == 8
    monkeypatch.setattr("fireworks.formats.parquet_source._CACHE_BYTES", 100)
    small = ParquetSource(folder, ["n"])
    decoded.clear()
    small[0], small[1], small[20], small[0]
    assert len(decoded) == 3
    assert len(small._decoded) == 1
    with fw.memory_budget(4 * 170):
        roomy = ParquetSource(folder, ["n"])
        monkeypatch.setattr("fireworks.formats.parquet_source._CACHE_BYTES", 10**9)
        roomy.to_message()
        assert sum(size for _, size in roomy._decoded.values()) <= 170
        assert len(roomy._decoded) == 3


@pytest.mark.parametrize("limit", [1, 100, 1000, 3000])
def test_rows_of_a_row_group_that_is_too_large_to_keep_are_taken_piece_by_piece(folder, monkeypatch, limit):
    monkeypatch.setattr("fireworks.formats.parquet_source._CACHE_BYTES", limit)
    source, rows = ParquetSource(folder), np.array([3, 59, 3, 0, 34, 35, 7, 20, 9])
    assert source.fetch(rows) == message().take(rows)
    assert source.fetch(range(7, 37)) == message()[7:37]
    assert limit >= 1000 or not source._decoded


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
        lambda self, group, *given, **more: decoded.append(group.num_rows) or table(self, group, *given, **more),
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
        FileNotFoundError, match=r"read_parquet: no file in the folder '.*' ends in \.parquet or \.pq; mend the path"
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
    expected = (
        r"read_parquet: column 'a' is int64 in '.*0.parquet' and double in '.*1.parquet'; give it one type that holds both, "
        r"such as schema=\{'a': 'double'\}, or read the files one by one and cast\."
    )
    with pytest.raises(SchemaMismatchError, match=expected):
        read_parquet(tmp_path)
    fw.Message({"a": [1]}).to_parquet(tmp_path / "1.parquet")
    expected = (
        r"column 'b' is .* in '.*0.parquet' and not there in '.*1.parquet'; .* columns=\[…\], or read them one by one"
    )
    with pytest.raises(SchemaMismatchError, match=expected):
        read_parquet(tmp_path)
    assert read_parquet(tmp_path, "a").to_message()["a"].tolist() == [1, 1]
    fw.Message({"a": [1], "b": ["x"], "c": [1]}).to_parquet(tmp_path / "1.parquet")
    with pytest.raises(
        SchemaMismatchError, match=r"column 'c' is not there in '.*0.parquet' and int64 in '.*1.parquet'"
    ):
        read_parquet(tmp_path)
    assert read_parquet(tmp_path, ["b", "a"]).to_message().columns == ["b", "a"]


def test_columns_may_come_in_another_order_and_texts_be_of_another_kind(tmp_path):
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"b": pa.array(["z"], pa.large_string()), "a": [3]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": pa.array(["z"], pa.string_view()), "a": [4]}), tmp_path / "2.parquet")
    rows = read_parquet(tmp_path).to_message()
    assert rows.to_dict("list") == {"a": [1, 2, 3, 4], "b": ["x", "y", "z", "z"]}


class TestGivenTypes:
    @pytest.mark.parametrize(
        ("kinds", "wanted", "dtype"),
        [
            ((pa.int32(), pa.int64()), "int64", "int64"),
            ((pa.int64(), pa.int8()), pa.int64(), "int64"),
            ((pa.int32(), pa.float32()), "double", "float64"),
            ((pa.int64(), pa.string()), "string", "str"),
            ((pa.date32(), pa.timestamp("ms")), "timestamp[us]", "datetime64[us]"),
        ],
    )
    def test_files_whose_types_differ_are_read_as_one(self, tmp_path, kinds, wanted, dtype):
        for number, kind in enumerate(kinds):
            values = pa.array([number, 7]).cast(pa.int64() if pa.types.is_timestamp(kind) else pa.int32())
            pq.write_table(pa.table({"n": values.cast(kind), "m": [0, 1]}), tmp_path / f"{number}.parquet")
        source = read_parquet(tmp_path, schema={"n": wanted})
        parts = [pq.read_table(tmp_path / f"{n}.parquet", columns=["n"]) for n in (0, 1)]
        target = pa.schema({"n": pa.type_for_alias(str(wanted))})
        expected = fw.Message(pa.concat_tables([part.cast(target) for part in parts]))
        assert str(source.schema["n"].dtype) == dtype
        assert source.select("n").to_message() == expected
        assert source.to_message()["m"].tolist() == [0, 1, 0, 1]
        assert pickle.loads(pickle.dumps(source)).to_message() == source.to_message()

    def test_tensors_stay_tensors(self, tmp_path):
        fw.Message({"x": torch.arange(4, dtype=torch.int32)}).to_parquet(tmp_path / "0.parquet")
        fw.Message({"x": torch.arange(4)}).to_parquet(tmp_path / "1.parquet")
        x = read_parquet(tmp_path, schema={"x": torch.int64}).to_message()["x"]
        assert torch.equal(x, torch.arange(4).repeat(2))
        assert read_parquet(tmp_path, schema={"x": "string"}).to_message()["x"].tolist() == list("01230123")

    def test_a_filter_finds_the_same(self, tmp_path):
        for number, kind in enumerate((pa.int32(), pa.int64())):
            pq.write_table(
                pa.table({"n": pa.array(range(20)).cast(kind)}), tmp_path / f"{number}.parquet", row_group_size=5
            )
        for kind in ("int64", "double", "string"):
            source = read_parquet(tmp_path, schema={"n": kind})
            text = "n == '12'" if kind == "string" else "n > 11 and n <= 12"
            assert source.filter(text).to_message()["n"].tolist() == [source[12]["n"].tolist()[0]] * 2

    def test_a_value_that_does_not_fit_is_said(self, tmp_path):
        pq.write_table(pa.table({"n": [1, 2**40]}), tmp_path / "0.parquet", row_group_size=1)
        source = read_parquet(tmp_path, schema={"n": "int32"})
        assert source[0]["n"].tolist() == [1]
        expected = r"read_parquet: column 'n' is int64 in row group 1 of '.*0.parquet', and not every value of it fits int32: .*Give it"
        with pytest.raises(ColumnValueError, match=expected):
            source.to_message()

    def test_what_is_no_type_and_no_column_is_said(self, folder):
        with pytest.raises(
            TypeError, match=r"read_parquet: schema is a mapping from columns to types, .*; got \['n'\]"
        ):
            read_parquet(folder, schema=["n"])
        with pytest.raises(
            ValueError, match=r"read_parquet: schema: the type of column 'n' must be a name such as .*'int63'"
        ):
            read_parquet(folder, schema={"n": "int63"})
        with pytest.raises(ColumnNotFoundError, match=r"read_parquet: schema: no column 'm'; columns are \['x', .*"):
            read_parquet(folder, schema={"m": "int64"})


class TestFolders:
    @pytest.fixture
    def root(self, tmp_path):
        for year in (2023, 2024):
            for kind in ("a b", "c"):
                folder = tmp_path / f"year={year}" / f"kind={kind.replace(' ', '%20')}"
                folder.mkdir(parents=True)
                for part in range(2):
                    pq.write_table(pa.table({"n": [year * 10 + part]}), folder / f"{part}.parquet")
        return tmp_path

    def expected(self):
        rows = [(y * 10 + p, y, k) for y in (2023, 2024) for k in ("a b", "c") for p in (0, 1)]
        return pd.DataFrame(rows, columns=["n", "year", "kind"])

    def test_folders_make_columns_behind_the_others(self, root):
        source = read_parquet(root)
        assert source.to_message() == fw.Message(self.expected())
        assert str(source.schema) == "n: int64\nyear: int64\nkind: str"
        rows = np.array([7, 0, 3, 0])
        assert source.fetch(rows) == fw.Message(self.expected().iloc[rows])
        assert read_parquet(f"{root}/year=*/*/1.parquet").to_message()["year"].tolist() == [2023, 2023, 2024, 2024]
        assert read_parquet(root / "year=2024").schema.names == ["n", "kind"]
        assert read_parquet(root / "year=2024" / "kind=c" / "0.parquet").schema.names == ["n"]

    def test_their_types_may_be_given(self, root):
        source = read_parquet(root, partitions={"year": "int32"})
        assert source.schema["year"].dtype == np.int32
        assert read_parquet(root, partitions={"year": "string"}).to_message()["year"].tolist()[0] == "2023"

    def test_only_they_may_be_read(self, root, monkeypatch):
        monkeypatch.setattr(
            "fireworks.formats.parquet_reader.GroupReader.whole", lambda *given, **more: pytest.fail("reads")
        )
        source = read_parquet(root, ["kind", "year"])
        assert source.to_message() == fw.Message(self.expected()[["kind", "year"]])
        monkeypatch.setattr("fireworks.formats.parquet_source._CACHE_BYTES", 1)
        assert source.fetch(np.array([3, 0]))["kind"].tolist() == ["c", "a b"]

    @pytest.mark.parametrize(
        "text", ["year == 2024", "kind == 'c' and n > 20230", "year > 2023 or kind == 'c'", "year == 1"]
    )
    def test_a_filter_reads_no_folder_that_has_no_such_row(self, root, monkeypatch, text):
        read = []
        opened = GroupReader._stream
        monkeypatch.setattr(
            GroupReader, "_stream", lambda self, number: read.append(self.files.inside[number]) or opened(self, number)
        )
        frame = self.expected()
        kept = frame.query(text.replace("==", "=="))
        assert (
            read_parquet(root)
            .filter(text)
            .to_message()
            .to_pandas()
            .reset_index(drop=True)
            .equals(fw.Message(kept).to_pandas().reset_index(drop=True))
        )
        possible = frame.query(text.partition(" and n")[0])
        assert {name.rpartition("/")[0].replace("%20", " ") for name in read} == {
            f"year={year}/kind={kind}" for year, kind in zip(possible["year"], possible["kind"], strict=True)
        }

    def test_a_null_makes_the_type_nullable(self, tmp_path):
        for value in ("1", "__HIVE_DEFAULT_PARTITION__"):
            (tmp_path / f"k={value}").mkdir()
            pq.write_table(pa.table({"n": [1]}), tmp_path / f"k={value}" / "0.parquet")
        source = read_parquet(tmp_path)
        assert str(source.schema["k"].dtype) == "Int64"
        assert [source[i].schema == source.schema for i in (0, 1)] == [True, True]
        assert source.to_message()["k"].tolist() == [1, pd.NA]
        assert source.filter("k == 1").to_message()["k"].tolist() == [1]

    def test_a_column_of_the_files_goes_before_that_of_the_folders(self, tmp_path):
        (tmp_path / "n=5").mkdir()
        pq.write_table(pa.table({"n": [1.5]}), tmp_path / "n=5" / "0.parquet")
        assert read_parquet(tmp_path).to_message().to_dict("list") == {"n": [1.5]}

    def test_a_type_of_theirs_is_no_type_of_the_files(self, root):
        with pytest.raises(ColumnNotFoundError, match=r"read_parquet: schema: no column 'year'; columns are \['n'\]"):
            read_parquet(root, schema={"year": "int32"})


class TestBehindURLs:
    @pytest.fixture
    def url(self, folder):
        system = fsspec.filesystem("memory")
        for path in folder.glob("*.parquet"):
            system.pipe(f"/rows/{path.name}", path.read_bytes())
        yield "memory://rows"
        system.rm("/rows", recursive=True)

    def test_all_is_as_on_the_disk(self, url, folder, monkeypatch):
        source = read_parquet(url)
        assert source.to_message() == message()
        assert repr(source) == repr(read_parquet(folder))
        rows = np.array([50, 2, 33])
        assert source.fetch(rows) == message().take(rows)
        assert read_parquet(f"{url}/part-1*").filter("n > 40").to_message() == message()[41:]
        assert read_parquet(f"file://{folder}").to_message() == message()
        assert pickle.loads(pickle.dumps(source)).to_message() == message()
        monkeypatch.setattr("fireworks.core.source.read_rows", lambda row_bytes: 1)
        assert read_parquet(url).to_message() == message()

    def test_a_damaged_row_group_is_named(self, url):
        system = fsspec.filesystem("memory")
        whole = bytearray(system.cat("/rows/part-1.parquet"))
        whole[4:500] = bytes(496)
        system.pipe("/rows/part-1.parquet", bytes(whole))
        with pytest.raises(
            FileFormatError, match=r"row group 0 of 'memory:///?rows/part-1.parquet' \(8 rows\) is damaged: "
        ):
            read_parquet(url).to_message()


def test_a_damaged_file_is_named(tmp_path, folder):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 this is none")
    with pytest.raises(FileFormatError, match=r"read_parquet: '.*bad.parquet' is no Parquet file, or a damaged one"):
        read_parquet(tmp_path / "bad.parquet")


def test_a_damaged_page_and_a_changed_file_are_named(tmp_path, folder):
    path = tmp_path / "flipped.parquet"
    shutil.copy(folder / "part-0.parquet", path)
    source = read_parquet(path, "n")
    damage(path, 1, "n")
    os.utime(path)
    with pytest.raises(
        FileChangedError, match=r"flipped.parquet' has changed since the source was made; make the pipe anew"
    ):
        source.to_message()
    again = read_parquet(path, "n")
    assert again[:10]["n"].tolist() == list(range(10))
    expected = (
        r"read_parquet: row group 1 of '.*flipped.parquet' \(10 rows\) is damaged: .*CRC checksum.*\. Write the file again, "
        r"or set such rows aside: on_error='quarantine'\."
    )
    with pytest.raises(FileFormatError, match=expected) as raised:
        again.to_message()
    assert "In Parquet(flipped.parquet, 35 rows: n)" in raised.value.__notes__[0]
    assert read_parquet(path, "w").to_message()["w"].tolist() == message()[:35]["w"].tolist()


def test_a_type_that_differs_from_the_footers_is_an_error(folder, monkeypatch):
    source = read_parquet(folder, ["n"])
    monkeypatch.setattr(
        ParquetSource,
        "_message",
        lambda self, table, categories, share=False: fw.Message({"n": ["a"] * table.num_rows}),
    )
    monkeypatch.setitem(source.__dict__, "schema", fw.Schema({"n": "int64"}))
    with pytest.raises(SchemaMismatchError, match=r"column 'n' is int64 by the footers, and str in row group 0 of"):
        source.fetch(range(3))


def test_a_file_that_is_gone_or_may_not_be_read_any_more_is_said(tmp_path, folder, monkeypatch):
    shutil.copy(folder / "part-0.parquet", tmp_path / "0.parquet")
    source = read_parquet(tmp_path)

    def refused(self, number):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(GroupReader, "_stream", refused)
        with pytest.raises(PermissionError, match=r"read_parquet: '.*0.parquet' can't be read: Permission denied"):
            source[0]
    (tmp_path / "0.parquet").unlink()
    with pytest.raises(FileChangedError, match=r"read_parquet: '.*0.parquet' has changed since the source was made"):
        source[0]


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path, folder, monkeypatch):
    path = tmp_path / "0.parquet"
    shutil.copy(folder / "part-0.parquet", path)
    source = read_parquet(tmp_path, "n")
    stream = GroupReader._stream

    def changing(self, number):
        os.utime(path)
        return stream(self, number)

    monkeypatch.setattr(GroupReader, "_stream", changing)
    with pytest.raises(FileChangedError, match=r"0.parquet' has changed since the source was made"):
        source[0]


class TestScan:
    """Reading on gives the same rows, however much fits."""

    @pytest.mark.parametrize("limit", [1, 200, 4000, 10_000, 10**7])
    @pytest.mark.parametrize("threads", [1, 3])
    def test_the_rows_are_those_of_the_message(self, folder, monkeypatch, limit, threads):
        monkeypatch.setattr("fireworks.formats.parquet_source._AHEAD_BYTES", limit)
        monkeypatch.setattr("pyarrow.cpu_count", lambda: threads)
        source, whole, budget = read_parquet(folder), message(), Budget(None)
        for start, stop in [(0, 60), (7, 43), (34, 36), (59, 60), (12, 18)]:
            pieces = list(source.scan(range(start, stop), budget))
            assert all(piece.schema == source.schema for piece in pieces)
            assert fw.concat(pieces) == whole[start:stop]
        assert budget.used_bytes == 0
        assert threading.active_count() == len(threading.enumerate())
        assert not [thread for thread in threading.enumerate() if thread.name == "fireworks-read-ahead"]

    def test_no_more_is_ready_than_a_third_of_the_budget(self, tmp_path):
        rows = fw.Message({"x": torch.arange(40_000), "word": ["a word"] * 40_000})
        rows.to_parquet(tmp_path / "0.parquet", row_group_size=1000)
        source, budget = read_parquet(tmp_path), Budget(800_000)
        for piece in source.scan(range(40_000), budget):
            assert budget.used_bytes <= 800_000 / 3
            assert len(piece) <= 1000
        assert 0 < budget.peak_bytes <= 800_000 / 3
        assert budget.used_bytes == 0

    def test_a_large_row_group_is_never_whole_in_memory(self, tmp_path, monkeypatch):
        rows = fw.Message({"x": torch.arange(50_000), "word": [f"{i % 7}" * 20 for i in range(50_000)]})
        rows.to_parquet(tmp_path / "0.parquet")
        monkeypatch.setattr(GroupReader, "whole", lambda *given, **more: pytest.fail("reads all of it"))
        source, budget = read_parquet(tmp_path), Budget(400_000)
        assert fw.concat(source.scan(range(50_000), budget)) == rows
        assert budget.peak_bytes < 150_000  # a third of the budget, and a piece
        assert fw.concat(source.scan(range(777, 33_333), budget)) == rows[777:33_333]

    def test_it_ends_with_its_consumer(self, folder, monkeypatch):
        monkeypatch.setattr("fireworks.core.source.read_rows", lambda row_bytes: 1)
        iterator = iter(read_parquet(folder))
        next(iterator)
        assert [thread for thread in threading.enumerate() if thread.name == "fireworks-read-ahead"]
        del iterator
        assert not [thread for thread in threading.enumerate() if thread.name == "fireworks-read-ahead"]

    def test_tensors_are_not_copied(self, tmp_path):
        fw.Message({"x": torch.arange(10.0).reshape(5, 2), "n": torch.arange(5)}).to_parquet(tmp_path / "0.parquet")
        source = read_parquet(tmp_path)
        (piece,) = source.scan(range(5), Budget(None))
        piece["n"][0] = 9  # it is nobody else's
        assert source.to_message()["n"].tolist() == [0, 1, 2, 3, 4]
        assert read_parquet(tmp_path).to_message()["n"].tolist() == [0, 1, 2, 3, 4]

    def test_an_error_comes_behind_the_rows_before_it(self, tmp_path):
        message().to_parquet(tmp_path / "0.parquet", row_group_size=10)
        damage(tmp_path / "0.parquet", 4, "w")
        pieces = read_parquet(tmp_path).scan(range(60), Budget(None))
        assert fw.concat([next(pieces) for _ in range(4)]) == message()[:40]
        with pytest.raises(FileFormatError, match=r"row group 4 of '.*0.parquet' \(10 rows\) is damaged"):
            next(pieces)
        assert list(pieces) == []


class TestQuarantine:
    @pytest.fixture
    def damaged(self, folder, tmp_path):
        for name in ("part-0", "part-1"):
            shutil.copy(folder / f"{name}.parquet", tmp_path)
        damage(tmp_path / "part-0.parquet", 1, "n")
        damage(tmp_path / "part-1.parquet", 3, "w")
        return tmp_path

    @pytest.mark.parametrize("limit", [1, 3000, 10**7])
    def test_damaged_row_groups_are_set_aside_with_their_rows(self, damaged, monkeypatch, limit):
        monkeypatch.setattr("fireworks.formats.parquet_source._AHEAD_BYTES", limit)
        source = read_parquet(damaged, on_error="quarantine")
        with pytest.warns(QuarantineWarning, match=r"11 rows were set aside by Parquet\(part-0.parquet and 1 more"):
            rows = source.to_message()
        assert rows == message().take(np.r_[0:10, 20:59])
        aside = source.quarantined()
        assert aside["row"].tolist() == [*range(10, 20), 59]
        assert aside["row_group"].tolist() == [1] * 10 + [3]
        assert [name.rpartition("/")[2] for name in aside["file"]] == ["part-0.parquet"] * 10 + ["part-1.parquet"]
        assert "row group 1 of" in aside["reason"].tolist()[0]
        assert "is damaged" in aside["reason"].tolist()[-1]

    def test_it_is_a_stream_and_reads_the_columns_that_were_named(self, damaged):
        source = read_parquet(damaged, on_error="quarantine")
        assert not source.is_indexable
        assert source.find(parse("n > 3"), None) is None
        with pytest.warns(QuarantineWarning):
            assert source.select("x").to_message() == message().take(np.r_[0:10, 20:59]).select("x")
        with pytest.warns(QuarantineWarning, match="10 rows were set aside"):
            assert len(read_parquet(damaged, "n", on_error="quarantine").to_message()) == 50
        assert len(read_parquet(damaged, "word", on_error="quarantine").to_message()) == 60
        assert "60 rows, damaged ones set aside: n)" in repr(read_parquet(damaged, "n", on_error="quarantine"))

    def test_a_file_without_a_footer_counts_as_one_row(self, damaged):
        whole = (damaged / "part-0.parquet").read_bytes()
        (damaged / "part-0.parquet").write_bytes(whole[:-20])
        with pytest.raises(FileFormatError, match=r"'.*part-0.parquet' is no Parquet file, or a damaged one"):
            read_parquet(damaged)
        source = read_parquet(damaged, "n", on_error="quarantine")
        with pytest.warns(QuarantineWarning, match="1 rows were set aside"):
            assert source.to_message()["n"].tolist() == list(range(35, 60))
        aside = source.quarantined()
        assert aside["row"].tolist() == [0]
        assert aside["row_group"].tolist() == [pd.NA]
        assert "part-0.parquet' is no Parquet file" in aside["reason"].tolist()[0]

    def test_without_any_footer_there_are_no_columns(self, tmp_path):
        (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
        with pytest.raises(
            FileFormatError, match=r"read_parquet: none of the 1 files can be read.*The first: read_parquet: '.*a.pa"
        ):
            read_parquet(tmp_path, on_error="quarantine")

    def test_categories_are_those_of_the_good_ones(self, folder, tmp_path):
        shutil.copy(folder / "part-0.parquet", tmp_path)
        damage(tmp_path / "part-0.parquet", 2, "kind")
        with pytest.warns(QuarantineWarning):
            rows = read_parquet(tmp_path, ["kind"], on_error="quarantine").to_message()
        assert rows["kind"].tolist() == ["a"] * 20 + ["b"] * 5
        with pytest.raises(FileFormatError, match="row group 2"):
            read_parquet(tmp_path, ["kind"]).to_message()

    def test_a_changed_file_is_not_set_aside(self, damaged):
        source = read_parquet(damaged, on_error="quarantine")
        os.utime(damaged / "part-1.parquet")
        with pytest.raises(FileChangedError):
            source.to_message()

    def test_what_else_it_could_be_is_said(self, folder):
        with pytest.raises(ValueError, match=r"read_parquet: on_error must be 'raise' or 'quarantine'; got 'skip'\."):
            read_parquet(folder, on_error="skip")


class TestHowMuchItIs:
    def test_it_is_about_what_the_rows_take(self, tmp_path):
        n = 70_000
        rows = fw.Message(
            {
                "x": torch.rand(n, 3),
                "one": ["always the same long text"] * n,
                "many": [f"text number {i}" for i in range(n)],
                "k": pd.array([None, *range(n - 1)], dtype="Int64"),
                "kind": pd.Categorical(["a", "b"] * (n // 2)),
            }
        )
        for use_dictionary in (True, False):
            rows.to_parquet(tmp_path / "rows.parquet", row_group_size=30_000, use_dictionary=use_dictionary)
            source = read_parquet(tmp_path)
            assert source.estimated_bytes() == pytest.approx(rows.num_bytes, rel=0.2)
            assert source.narrowed(["x"]).estimated_bytes() == rows.select("x").num_bytes

    def test_of_folders_and_of_nothing(self, few, tmp_path):
        assert read_parquet(few, "part").estimated_bytes() == 18 * 8
        message()[:0].to_parquet(tmp_path / "0.parquet")
        assert read_parquet(tmp_path).estimated_bytes() == 0

    def test_damage_does_not_stop_it(self, folder, tmp_path):
        shutil.copy(folder / "part-0.parquet", tmp_path)
        damage(tmp_path / "part-0.parquet", 0, "word")
        assert read_parquet(tmp_path, "word").estimated_bytes() > 0


def test_the_fingerprint_is_that_of_the_content_and_of_how_it_is_read(folder, few, tmp_path):
    first = read_parquet(folder).fingerprint()
    assert len(bytes.fromhex(first)) == hashlib.sha256().digest_size
    shutil.copytree(folder, tmp_path / "copy")
    assert read_parquet(tmp_path / "copy").fingerprint() == first
    others = [
        read_parquet(folder, ["n"]),
        read_parquet(folder, schema={"n": "double"}),
        read_parquet(folder, on_error="quarantine"),
        read_parquet(folder / "part-0.parquet"),
    ]
    shutil.copytree(few, tmp_path / "few")
    (tmp_path / "few" / "part=1").rename(tmp_path / "few" / "part=2")
    prints = [first, read_parquet(few).fingerprint(), read_parquet(tmp_path / "few").fingerprint()]
    prints += [other.fingerprint() for other in others]
    assert len(set(prints)) == len(prints)


def test_a_change_is_found_out_of_rows_that_were_kept(tmp_path):
    path = tmp_path / "n.parquet"
    fw.Message({"n": list(range(1000))}).to_parquet(path)
    source = fw.read_parquet(path)
    assert source[5]["n"].tolist() == [5]
    fw.Message({"n": list(range(1, 1001))}).to_parquet(path)
    with pytest.raises(fw.errors.FileChangedError, match=r"n\.parquet' has changed since the source was made"):
        source.to_message()
