"""NumPy's files as a source: mapped, equal to what NumPy reads, and never run or changed."""

import os
import pickle
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import (
    ColumnLengthError,
    ColumnTypeError,
    FileChangedError,
    FileFormatError,
    SchemaMismatchError,
)
from fireworks.formats.npy_header import read_npy_header
from fireworks.formats.npy_source import NpySource, read_npy
from pipelines import double

NUM_ROWS = 23


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("npy")
    np.save(path / "n-0.npy", np.arange(10))
    np.save(path / "n-1.npy", np.arange(10, NUM_ROWS, dtype=">i8"))
    np.save(path / "x.npy", np.asfortranarray(np.arange(NUM_ROWS * 6, dtype=np.float32).reshape(NUM_ROWS, 2, 3)))
    return path


class TestNpySource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "filtered"])
    def make_pipe(self, folder, request):
        def make():
            data = read_npy({"n": str(folder / "n-*.npy"), "x": folder / "x.npy"})
            if request.param == "batched":
                return data.map(double).batch(7)
            if request.param == "shuffled":
                return data.shuffle(seed=0)
            return data.filter("n > 12").select("n") if request.param == "filtered" else data

        return make


def saved(path, array):
    np.save(path, array)
    return read_npy(path)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_rows_are_those_that_numpy_loads(tmp_path, data):
    dtype = data.draw(st.sampled_from(["<f4", ">f8", "<i2", ">u4", "|b1", "<c8", "|i1", "<f2", "<U3", "|S2", "<M8[s]"]))
    width = [] if np.dtype(dtype).kind in "USM" else data.draw(st.lists(st.integers(0, 3), max_size=2))
    lengths = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    whole = []
    for number, length in enumerate(lengths):
        values = np.random.default_rng(number).integers(0, 2 if "b" in dtype else 100, size=(length, *width))
        array = values.astype("<i8" if "M8" in dtype else dtype).astype(dtype)
        if data.draw(st.booleans()):
            array = np.asfortranarray(array)
        np.save(tmp_path / f"{number}.npy", array)
        whole.append(np.load(tmp_path / f"{number}.npy"))
    for unused in tmp_path.glob("*.npy"):
        if int(unused.stem) >= len(lengths):
            unused.unlink()
    expected = np.concatenate(whole)
    natural = expected.astype(expected.dtype.newbyteorder("="))
    column = torch.from_numpy(natural) if expected.ndim > 1 else natural
    pipe = read_npy(tmp_path)
    assert len(pipe) == sum(lengths)
    assert pipe.schema == fw.Message({"x": column}).schema
    positions = data.draw(st.lists(st.integers(0, max(len(expected) - 1, 0)), max_size=8 if len(expected) else 0))
    message = fw.Message({"x": column})
    assert pipe[positions] == message.take(np.array(positions, dtype=np.int64))
    start, stop = sorted(data.draw(st.tuples(st.integers(0, 15), st.integers(0, 15))))
    assert pipe[start:stop] == message[start:stop]
    assert pipe.to_message() == message


def test_one_dimension_is_a_numpy_column_more_are_a_tensor_and_texts_are_texts(tmp_path):
    assert isinstance(saved(tmp_path / "a.npy", np.arange(3)).to_message().raw("x"), np.ndarray)
    assert saved(tmp_path / "b.npy", np.zeros((3, 1))).to_message()["x"].shape == (3, 1)
    assert str(saved(tmp_path / "c.npy", np.array(["ab", "c"])).schema["x"].dtype) == "str"


def test_texts_without_letters_and_rows_without_numbers(tmp_path):
    assert saved(tmp_path / "a.npy", np.empty(3, dtype="U0"))[[2, 0]]["x"].tolist() == ["", ""]
    assert saved(tmp_path / "b.npy", np.empty((3, 0)))[[2, 0]]["x"].shape == (2, 0)
    assert saved(tmp_path / "c.npy", np.empty((0, 4)))[:]["x"].shape == (0, 4)


def test_fields_of_records_are_columns_also_those_of_several_numbers(tmp_path):
    records = np.zeros(5, dtype=[("tag", "u1"), ("n", ">i4"), ("x", "<f4", (2,)), ("word", "U2"), ("c", "<c16")])
    records["n"], records["x"], records["word"] = np.arange(5), np.arange(10).reshape(5, 2), list("abcde")
    records["c"] = np.arange(5) * 1j
    pipe = saved(tmp_path / "r.npy", records)
    for rows in (slice(1, 4), [4, 0, 4]):
        message, expected = pipe[rows], records[rows]
        assert message.columns == ["tag", "n", "x", "word", "c"]
        assert message["n"].tolist() == expected["n"].tolist()
        assert message["x"].tolist() == expected["x"].tolist()
        assert message["word"].tolist() == expected["word"].tolist()
        assert message["c"].tolist() == expected["c"].tolist()
    assert pipe.select("n").to_message()["n"].dtype.isnative


def test_a_range_is_a_view_of_the_map_and_writing_to_it_never_reaches_the_file(tmp_path, recwarn):
    pipe = saved(tmp_path / "x.npy", np.zeros((8, 2), dtype=np.float32))
    before = (tmp_path / "x.npy").read_bytes()
    rows = pipe[2:6]["x"]
    assert rows.data_ptr() == pipe[0:8]["x"][2:].data_ptr()
    rows += 1
    assert pipe[3]["x"].tolist() == [[1, 1]]
    assert (tmp_path / "x.npy").read_bytes() == before
    assert read_npy(tmp_path / "x.npy")[3]["x"].tolist() == [[0, 0]]
    assert not recwarn.list


def test_a_file_that_may_only_be_read_is_read(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    (tmp_path / "x.npy").chmod(0o444)
    assert read_npy(tmp_path / "x.npy").to_message()["x"].tolist() == [0, 1, 2]


def test_only_the_pages_that_are_asked_for_are_read(tmp_path):
    # a file of 64 GB with nothing in it, which no memory would hold
    header = struct.pack("<6sBBH", b"\x93NUMPY", 1, 0, 118)
    facts = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 8), }".ljust(117) + "\n"
    with (tmp_path / "x.npy").open("wb") as file:
        file.write(header + facts.encode())
        file.truncate(128 + 8 * 8 * 10**9)
    pipe = read_npy(tmp_path / "x.npy")
    assert pipe[[999_999_999, 5]]["x"].tolist() == [[0.0] * 8] * 2
    assert pipe.estimated_bytes() == 64 * 10**9


def test_a_url_is_unpacked_once(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    array = np.arange(12.0).reshape(6, 2)
    np.save(tmp_path / "x.npy", array)
    fsspec.filesystem("memory").pipe("/npy/x.npy", (tmp_path / "x.npy").read_bytes())
    assert read_npy("memory://npy/x.npy")[[5, 0]]["x"].tolist() == array[[5, 0]].tolist()
    assert read_npy("memory://npy/*.npy").to_message()["x"].tolist() == array.tolist()


def test_headers_of_all_versions_are_read(tmp_path):
    array = np.arange(3)
    for version in [(1, 0), (2, 0), (3, 0)]:
        with (tmp_path / "x.npy").open("wb") as file:
            np.lib.format.write_array(file, array, version=version)
        assert read_npy(tmp_path / "x.npy").to_message()["x"].tolist() == [0, 1, 2]
    np.save(tmp_path / "x.npy", np.zeros(2, dtype=[("größe", "f4")]))
    assert read_npy(tmp_path / "x.npy").known_columns == ["größe"]


class TestWhatIsRefused:
    def test_python_objects_are_never_unpickled(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "exploded"),)

        np.save(tmp_path / "x.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
        with pytest.raises(
            ColumnTypeError, match=r"x\.npy' holds Python objects as a pickle, which runs code when it is"
        ):
            read_npy(tmp_path / "x.npy")
        assert not (tmp_path / "exploded").exists()

    def test_a_file_that_was_cut_short_at_any_place(self, tmp_path):
        np.save(tmp_path / "x.npy", np.arange(4))
        data = (tmp_path / "x.npy").read_bytes()
        for length in [0, 3, 6, 8, 9, 40, 127, 128, 130, len(data) - 1]:
            (tmp_path / "x.npy").write_bytes(data[:length])
            with pytest.raises(FileFormatError, match=r"^read_npy: '.*x\.npy' (is no NPY file|has \d+ bytes instead)"):
                read_npy(tmp_path / "x.npy")

    def test_a_file_that_is_too_long(self, tmp_path):
        np.save(tmp_path / "x.npy", np.arange(4))
        with (tmp_path / "x.npy").open("ab") as file:
            file.write(b"!")
        with pytest.raises(FileFormatError, match="has 161 bytes instead of 160; take another copy of it"):
            read_npy(tmp_path / "x.npy")

    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", r"its shape is \(-1,\)"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': 3}", "its shape is 3"),
            ("{'descr': 'what', 'fortran_order': False, 'shape': (3,)}", "what"),
            ("{'shape': (3,)}", "fortran_order"),
            (
                "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (3,)}",
                "its type is .*, which is several values",
            ),
            ("__import__('os')", "malformed"),
            ("{" * 9000, "."),
        ],
    )
    def test_a_header_that_makes_no_sense(self, facts, reason):
        data = struct.pack("<6sBBH", b"\x93NUMPY", 1, 0, len(facts)) + facts.encode()
        with pytest.raises(FileFormatError, match=rf"^test: it is no NPY file, or a damaged one: .*{reason}"):
            read_npy_header(data, where="test", name="it", num_bytes=None)

    def test_another_version_and_a_header_without_end(self):
        with pytest.raises(FileFormatError, match="its version is 9, and versions 1 to 3 are known"):
            read_npy_header(b"\x93NUMPY\x09\x00" + bytes(50), where="test", name="it", num_bytes=None)
        long = struct.pack("<6sBBI", b"\x93NUMPY", 2, 0, 2**31) + bytes(2**16)
        with pytest.raises(FileFormatError, match="its header is too long"):
            read_npy_header(long, where="test", name="it", num_bytes=None)

    def test_one_value_and_a_nest_of_records(self, tmp_path):
        with pytest.raises(ColumnTypeError, match=r"x\.npy' is one value, and no column: it has no rows"):
            saved(tmp_path / "x.npy", np.array(3.0))
        with pytest.raises(ColumnTypeError, match="array of records"):
            saved(tmp_path / "x.npy", np.zeros(3, dtype=[("a", [("b", "i4")])]))

    def test_texts_in_two_dimensions(self, tmp_path):
        with pytest.raises(ColumnTypeError, match=r"array 'x' of shape \(0, 2\) holds <U1"):
            saved(tmp_path / "x.npy", np.full((3, 2), "a"))

    def test_files_of_one_column_that_differ(self, tmp_path):
        np.save(tmp_path / "0.npy", np.zeros((2, 3)))
        for other, text in [(np.zeros((2, 4)), r"float64 of row shape \(4,\)"), (np.zeros((2, 3), "f4"), "float32 of")]:
            np.save(tmp_path / "1.npy", other)
            with pytest.raises(
                SchemaMismatchError, match=rf"column 'x' is float64 of row shape \(3,\) in '.*0\.npy' and {text}"
            ):
                read_npy(tmp_path)
        np.save(tmp_path / "1.npy", np.zeros(2, dtype=[("x", "f8"), ("y", "f8")]))
        with pytest.raises(SchemaMismatchError, match=r"holds the columns \['x'\] and '.*1\.npy' \['x', 'y'\]"):
            read_npy(tmp_path)

    def test_columns_of_unequal_length(self, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros(3))
        np.save(tmp_path / "b.npy", np.zeros(4))
        with pytest.raises(
            ColumnLengthError, match="read_npy: columns must have equal length; 'a' has 3 rows, 'b' has 4"
        ):
            read_npy({"a": tmp_path / "a.npy", "b": tmp_path / "b.npy"})

    def test_two_columns_of_one_name_and_a_mapping_of_nothing(self, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros(3, dtype=[("b", "i4")]))
        np.save(tmp_path / "b.npy", np.zeros(3))
        with pytest.raises(SchemaMismatchError, match="two columns would be called 'b'; read the records of 'b'"):
            read_npy({"a": tmp_path / "a.npy", "b": tmp_path / "b.npy"})
        with pytest.raises(ValueError, match="the mapping of columns to files is empty"):
            read_npy({})
        with pytest.raises(ColumnTypeError, match="column names are text"):
            read_npy({3: tmp_path / "b.npy"})

    def test_a_folder_without_any_and_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no file in the folder .* ends in \.npy"):
            read_npy(tmp_path)
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            read_npy(tmp_path / "none.npy")

    def test_a_file_that_changes_and_one_that_is_cut_during_a_pass(self, tmp_path):
        pipe = saved(tmp_path / "x.npy", np.arange(5000.0))
        assert pipe[3]["x"].tolist() == [3]
        os.truncate(tmp_path / "x.npy", 200)  # a read behind the end of a map would kill the process
        with pytest.raises(FileChangedError, match=r"x\.npy' has changed since the source was made"):
            pipe[4000]
        with pytest.raises(FileChangedError, match=r"x\.npy' has changed since the source was made"):
            pipe.require_unchanged()


def test_the_fingerprint_is_of_the_content_and_of_the_names(tmp_path):
    first = saved(tmp_path / "a.npy", np.arange(3)).fingerprint()
    assert saved(tmp_path / "b.npy", np.arange(3)).fingerprint() == first
    assert read_npy(tmp_path / "b.npy", "y").fingerprint() != first
    assert saved(tmp_path / "b.npy", np.arange(4)).fingerprint() != first


def test_it_travels_without_its_maps_and_names_itself_without_its_folder(folder):
    source = NpySource(folder / "x.npy")
    assert source[3]["x"].shape == (1, 2, 3)
    data = pickle.dumps(source)
    assert len(data) < 2000
    assert pickle.loads(data)[3] == source[3]
    assert repr(source) == "Npy(x.npy, 23 rows: x)"
    assert repr(read_npy(str(folder / "n-*.npy"), "n")) == "Npy(n-0.npy and 1 more, 23 rows: n)"


def test_a_narrowed_one_reads_fewer_columns(folder):
    source = NpySource({"n": str(folder / "n-*.npy"), "x": folder / "x.npy"})
    narrow = source.narrowed(["n"])
    assert narrow.schema.names == narrow.fetch(np.array([12, 3])).columns == ["n"]
    assert narrow.estimated_bytes() == NUM_ROWS * 8
    assert source.narrowed(["x", "n"]) is source
