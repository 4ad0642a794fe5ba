"""Arrow files and streams as a source."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.budget import Budget
from fireworks.core.expressions import parse
from fireworks.errors import ColumnNotFoundError, FileChangedError, FileFormatError, SchemaMismatchError
from fireworks.formats import arrow_source
from fireworks.formats.arrow_source import ArrowSource, read_arrow
from pipelines import double

NUM_ROWS = 40


def message():
    n = NUM_ROWS
    return fw.Message(
        {
            "x": torch.arange(n * 3, dtype=torch.float32).reshape(n, 3),
            "short": torch.arange(n).bfloat16(),
            "n": np.arange(n),
            "k": pd.array([None if i == 33 else i for i in range(n)], dtype="Int64"),
            "word": [f"w{i}" for i in range(n)],
            "kind": pd.Categorical([("a", "b", "c")[i // 14] for i in range(n)]),
            "day": pd.date_range("2024-01-01", periods=n),
            "l": pd.array([[i] * (i % 3) for i in range(n)], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        }
    )


def write(path, table, *, compression=None, batch_rows=7, stream=False, **options):
    options = pa.ipc.IpcWriteOptions(compression=compression, **options)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrow")
    table = message().to_arrow()
    write(path / "a.arrow", table[:10])
    write(path / "b.feather", table[10:18], compression="lz4")
    write(path / "c.ipc", table[18:27], compression="zstd", batch_rows=4)
    write(path / "d.arrows", table[27:], stream=True, compression="zstd", batch_rows=5)
    return path


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(arrow_source, "_BLOCK_ROWS", 3)
    monkeypatch.setattr(ArrowSource, "piece_bytes", 900)


class TestArrowSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "filtered"])
    def make_pipe(self, folder, request):
        def make():
            data = read_arrow(folder)
            if request.param == "batched":
                return data.select("n", "x").map(double).batch(7)
            if request.param == "shuffled":
                return data.select("n", "kind", "k").take(20).shuffle(seed=0)
            if request.param == "filtered":
                return data.filter("n > 25").drop("x")
            return data.select("n", "x", "word").skip(12).take(20)

        return make


def test_all_files_are_read_as_they_were(folder):
    source = read_arrow(folder)
    assert source.to_message() == message()
    assert source.schema == message().schema
    assert source[3:3].schema == source.schema
    assert all(source[i].schema == source.schema for i in (0, 12, 20, 33, 39))
    assert read_arrow(folder, ["word", "n"]).to_message() == message().select("word", "n")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.integers(0, NUM_ROWS - 1), min_size=1, max_size=30),
    start=st.integers(0, NUM_ROWS),
    stop=st.integers(0, NUM_ROWS),
)
def test_any_rows_in_any_order_are_those_of_the_message(folder, rows, start, stop):
    source, whole = read_arrow(folder), message()
    assert source.fetch(np.array(rows)) == whole.take(np.array(rows))
    if start < stop:
        assert source.fetch(range(start, stop)) == whole[start:stop]
        assert fw.concat(list(source.scan(range(start, stop), Budget(None)))) == whole[start:stop]


TYPES = st.sampled_from(
    [
        pa.int8(),
        pa.float64(),
        pa.string(),
        pa.bool_(),
        pa.list_(pa.int16()),
        pa.list_(pa.float32(), 2),
        pa.struct([("a", pa.int8()), ("b", pa.string())]),
        pa.map_(pa.string(), pa.int8()),
        pa.dictionary(pa.int8(), pa.string()),
        pa.timestamp("us"),
        pa.large_binary(),
    ]
)


def values_of(kind, seed, num_rows, with_nulls):
    generator = np.random.default_rng(seed)
    numbers = [
        None if with_nulls and generator.random() < 0.3 else int(generator.integers(0, 5)) for _ in range(num_rows)
    ]
    shapes = {
        pa.string(): str,
        pa.large_binary(): lambda n: bytes([n]),
        pa.bool_(): bool,
        pa.list_(pa.int16()): lambda n: [n] * n,
        pa.list_(pa.float32(), 2): lambda n: [n, -n],
        pa.struct([("a", pa.int8()), ("b", pa.string())]): lambda n: {"a": n, "b": None if n == 3 else str(n)},
        pa.map_(pa.string(), pa.int8()): lambda n: [(str(n), n)],
        pa.dictionary(pa.int8(), pa.string()): str,
    }
    shape = shapes.get(kind, lambda n: n)
    plain = [None if number is None else shape(number) for number in numbers]
    if pa.types.is_dictionary(kind):
        return pa.array(plain, pa.string()).dictionary_encode().cast(kind)
    return pa.array(plain, kind)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kinds=st.lists(TYPES, min_size=1, max_size=5),
    num_rows=st.integers(0, 20),
    batch_rows=st.integers(1, 8),
    compression=st.sampled_from([None, "lz4", "zstd"]),
    stream=st.booleans(),
    seed=st.integers(0, 99),
    with_nulls=st.booleans(),
)
def test_any_types_are_read_as_pyarrow_reads_them(
    tmp_path_factory, kinds, num_rows, batch_rows, compression, stream, seed, with_nulls
):
    table = pa.table({f"c{at}": values_of(kind, seed + at, num_rows, with_nulls) for at, kind in enumerate(kinds)})
    path = tmp_path_factory.mktemp("random") / "a.arrow"
    write(path, table, compression=compression, batch_rows=batch_rows, stream=stream)
    source = read_arrow(path)
    assert len(source) == num_rows
    expected = fw.Message(table)
    rows = source.to_message()
    assert rows.to_dict() == expected.to_dict()
    if num_rows:
        assert rows.schema == expected.schema
        assert source.fetch(np.arange(num_rows)[::-1].copy()).to_dict() == expected[::-1].to_dict()


def test_uncompressed_columns_are_views_of_the_file(tmp_path):
    path = write(tmp_path / "a.arrow", pa.table({"n": np.arange(30_000)}), batch_rows=30_000)
    before = pa.total_allocated_bytes()
    rows = read_arrow(path).fetch(range(1, 3))
    assert pa.total_allocated_bytes() - before < 30_000
    assert not rows.raw("n").flags.owndata
    assert not rows.raw("n").flags.writeable


def test_dictionaries_of_each_batch_are_joined(tmp_path):
    parts = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", None, "a"]).dictionary_encode()]
    for stream, options in (
        (True, {}),
        (True, {"emit_dictionary_deltas": True}),
        (False, {"unify_dictionaries": True}),
    ):
        path = tmp_path / "a.arrow"
        write(path, pa.table({"c": pa.chunked_array(parts), "n": range(5)}), stream=stream, **options)
        source = read_arrow(path)
        assert source.schema["c"].dtype.categories.tolist() == ["a", "b", "c"]
        assert source.to_message()["c"].astype(object).tolist() == ["a", "b", "c", np.nan, "a"]
        assert source[4]["c"].tolist() == ["a"]
        assert source.fetch(np.array([4, 2, 0]))["c"].tolist() == ["a", "c", "a"]


def test_a_record_batch_that_is_compressed_is_decoded_once_for_its_parts(folder, monkeypatch):
    source = read_arrow(folder / "b.feather", "n")
    opened = []
    open_file = pa.ipc.open_file
    monkeypatch.setattr(
        pa.ipc, "open_file", lambda *args, **options: opened.append(options) or open_file(*args, **options)
    )
    assert source.to_message()["n"].tolist() == list(range(10, 18))
    assert len(source.blocks) == 4
    assert len(opened) == 1
    assert opened[0]["options"].included_fields == [2]


def test_many_files_are_not_all_kept_open(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_source, "_OPEN_FILES", 2)
    for number in range(5):
        write(tmp_path / f"{number}.arrow", pa.table({"n": [number]}))
    source = read_arrow(tmp_path)
    assert source.to_message()["n"].tolist() == [0, 1, 2, 3, 4]
    assert source.fetch(np.array([4, 0]))["n"].tolist() == [4, 0]
    assert len(source._reader._open) <= 2


def test_a_file_behind_a_url(folder):
    fsspec = pytest.importorskip("fsspec")
    for name in ("a.arrow", "d.arrows"):
        with fsspec.open(f"memory://arrow/{name}", "wb") as file:
            file.write((folder / name).read_bytes())
    rows = read_arrow("memory://arrow").to_message()
    assert rows == fw.concat([message()[:10], message()[27:]])


def test_an_index_that_pandas_wrote_comes_first(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index(["p", "q"], name="i"))
    write(tmp_path / "a.arrow", pa.Table.from_pandas(frame))
    assert read_arrow(tmp_path / "a.arrow").to_message().to_dict() == {"i": ["p", "q"], "a": [1.0, 2.0]}


# --- bad files -----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_cut_short_is_an_error(tmp_path):
    path = write(tmp_path / "a.arrow", pa.table({"n": range(100)}), batch_rows=30)
    data = path.read_bytes()
    for length in (7, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(
            FileFormatError, match=r"a.arrow' is cut short: the footer of the Arrow file is missing, which"
        ):
            read_arrow(path)
    # the middle is missing, and the footer is there
    path.write_bytes(data[:200] + data[-400:])
    with pytest.raises(
        FileFormatError, match=r"a.arrow' is cut short, or damaged: record batch \d of 4 does not end inside"
    ):
        read_arrow(path)


def test_a_stream_that_is_cut_short_is_an_error(tmp_path):
    path = write(tmp_path / "a.arrows", pa.table({"n": range(100)}), batch_rows=30, stream=True)
    data = path.read_bytes()
    path.write_bytes(data[:-8])  # the end may go without its mark
    assert len(read_arrow(path)) == 100
    path.write_bytes(data[:-60])
    with pytest.raises(
        FileFormatError, match=r"a.arrows' is cut short, or damaged: record batch 3 does not end inside it"
    ):
        read_arrow(path)
    for length in range(1, 140, 7):
        path.write_bytes(data[:length])
        with pytest.raises(FileFormatError, match=r"a.arrows' is (no Arrow file, or a damaged one|cut short)"):
            read_arrow(path)


def test_random_damage_is_an_error_or_other_values(tmp_path):
    good = write(tmp_path / "a.arrow", pa.table({"n": range(50), "w": [str(i) for i in range(50)]})).read_bytes()
    generator = np.random.default_rng(0)
    for number in range(60):
        data = bytearray(good)
        for place in generator.integers(8, len(data), size=3):
            data[place] ^= int(generator.integers(1, 256))
        path = tmp_path / f"{number}.arrow"
        path.write_bytes(bytes(data))
        try:
            source = read_arrow(path)
            if len(source) < 10**6:
                source.to_message()
        except (FileFormatError, SchemaMismatchError, fw.errors.ColumnTypeError, UnicodeDecodeError):
            pass


def test_what_is_no_arrow_file_is_an_error(tmp_path):
    path = tmp_path / "a.arrow"
    for data, text in (
        (b"", r"a.arrow' is empty: an Arrow file has at least a schema; leave it out"),
        (b"FEA1....", r"a.arrow' is a Feather file of version 1; write it again: "),
        (
            b"a,b\n1,2\n" * 9,
            r"a.arrow' is no Arrow file, or a damaged one: it begins with neither a file's magic nor a schema",
        ),
        (b"\0\0\0\0\0\0\0\0", r"a.arrow' is no Arrow file, or a damaged one"),
    ):
        path.write_bytes(data)
        with pytest.raises(FileFormatError, match=text):
            read_arrow(path)


def test_a_record_batch_that_is_damaged_is_an_error(tmp_path):
    path = write(tmp_path / "a.arrow", pa.table({"n": np.arange(2000) // 7}), compression="zstd", batch_rows=1000)
    layout = ArrowSource(path)._layouts[0]
    data = bytearray(path.read_bytes())
    at = layout.batches[1].stop - 200
    data[at : at + 190] = b"\xff" * 190
    path.write_bytes(bytes(data))
    source = read_arrow(path)
    assert source[0]["n"].tolist() == [0]
    with pytest.raises(FileFormatError, match=r"a.arrow' is damaged in record batch 1: .*; write it again"):
        source.to_message()


def test_files_with_other_columns_are_an_error(tmp_path):
    write(tmp_path / "a.arrow", pa.table({"a": [1], "b": [2]}))
    write(tmp_path / "b.arrow", pa.table({"a": [1], "b": ["x"]}))
    with pytest.raises(
        SchemaMismatchError, match=r"column 'b' is int64 in '.*a.arrow' and string in '.*b.arrow'; files"
    ):
        read_arrow(tmp_path)
    write(tmp_path / "b.arrow", pa.table({"a": [1]}))
    with pytest.raises(SchemaMismatchError, match=r"column 'b' is int64 in '.*a.arrow' and not there in '.*b.arrow'"):
        read_arrow(tmp_path)
    write(tmp_path / "b.arrow", pa.table([[1], [2]], names=["a", "a"]))
    with pytest.raises(SchemaMismatchError, match=r"b.arrow' has the column 'a' twice; rename one"):
        read_arrow(tmp_path / "b.arrow")


def test_a_type_that_the_metadata_do_not_tell_is_an_error(tmp_path):
    write(tmp_path / "a.arrow", pa.table({"k": [1, 2, None]}), batch_rows=2)
    source = ArrowSource(tmp_path / "a.arrow")
    assert str(source.schema["k"].dtype) == "Int64"
    source._with_nulls = set()
    with pytest.raises(
        SchemaMismatchError, match=r"column 'k' is Int64 by the metadata, and int64 from row 0 of '.*a.arr"
    ):
        source.fetch(range(2))


def test_a_file_that_changes_is_an_error(tmp_path):
    path = write(tmp_path / "a.arrow", pa.table({"n": range(100)}))
    source = read_arrow(path)
    assert source[0]["n"].tolist() == [0]
    write(path, pa.table({"n": range(101)}))
    with pytest.raises(FileChangedError, match=r"a.arrow' has changed since the source was made"):
        source[99]


def test_a_disk_that_fails_is_no_damaged_file(tmp_path, monkeypatch):
    path = write(tmp_path / "a.arrow", pa.table({"n": range(100)}))
    source = read_arrow(path)

    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pa, "memory_map", fails)
    with pytest.raises(OSError, match="Input/output error"):
        source[0]


def test_it_is_a_source_like_others(folder):
    source = read_arrow(folder)
    assert source.describe() == "Arrow(a.arrow and 3 more: x, short, n, k, word, kind, day, l)"
    assert pickle.loads(pickle.dumps(source)).to_message() == message()
    assert source.find(parse("n < 3"), lambda rows: np.asarray(rows["n"]) < 3).tolist() == [0, 1, 2]
    assert source.fingerprint() == read_arrow(folder).fingerprint()
    with pytest.raises(ColumnNotFoundError, match="read_arrow: no column 'z'"):
        read_arrow(folder, "z")
