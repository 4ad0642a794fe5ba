"""NumPy's archives as a source: equal to what `Message.read_npz` reads, mapped where they lie."""

import io
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from disks import small_disk
from fireworks.errors import (
    ColumnLengthError,
    ColumnNotFoundError,
    ColumnTypeError,
    DiskSpaceError,
    FileChangedError,
    FileFormatError,
    SchemaMismatchError,
)
from fireworks.formats.npz_source import read_npz
from pipelines import double

NUM_ROWS = 23


def message(num_rows=NUM_ROWS):
    return fw.Message(
        {
            "n": np.arange(num_rows),
            "x": torch.arange(num_rows * 3, dtype=torch.float32).reshape(num_rows, 3),
            "t": torch.arange(num_rows, dtype=torch.int16),
            "k": pd.array(range(num_rows), dtype="Int32"),
            "word": [f"w{n}" for n in range(num_rows)],
            "day": pd.date_range("2024-01-01", periods=num_rows, unit="s"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("npz")
    message()[:9].to_npz(path / "0.npz")
    message()[9:].to_npz(path / "1.npz", compressed=True)
    return path


class TestNpzSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "filtered"])
    def make_pipe(self, folder, request):
        def make():
            data = read_npz(folder)
            if request.param == "batched":
                return data.select("n", "x").map(double).batch(7)
            if request.param == "shuffled":
                return data.shuffle(seed=0)
            return data.filter("n > 12").drop("x") if request.param == "filtered" else data

        return make


def test_rows_are_those_of_the_message_that_was_written(folder):
    pipe = read_npz(folder)
    assert pipe.to_message() == message()
    assert pipe.schema == message().schema == pipe[:0].schema
    assert pipe[[20, 3, 3, 9]] == message().take([20, 3, 3, 9])
    assert pipe[7:12] == message()[7:12]
    for path in folder.glob("*.npz"):
        assert read_npz(path).to_message() == fw.Message.read_npz(path)
    assert repr(pipe) == "Npz(0.npz and 1 more, 23 rows: n, x, t, k, word, day)"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_numpy_are_read_wherever_their_members_begin(tmp_path, save):
    for length in range(1, 18):  # the members' place depends on the lengths of names
        x, y = np.arange(12.0).reshape(6, 2), np.arange(6, dtype=">i4")
        save(tmp_path / "a.npz", **{"x" * length: x, "y": y})
        pipe = read_npz(tmp_path / "a.npz")
        assert pipe[[5, 2]]["x" * length].tolist() == x[[5, 2]].tolist()
        assert pipe[1:4]["x" * length].tolist() == x[1:4].tolist()
        assert pipe[1:4]["y"].tolist() == [1, 2, 3]


def test_columns_are_chosen_in_the_order_asked_for(folder):
    assert read_npz(folder, ["word", "n"]).known_columns == ["word", "n"]
    assert read_npz(folder, "t")[[22, 1]].to_dict() == {"t": [22, 1]}
    assert read_npz(folder, ["t", "t"]).known_columns == ["t"]
    with pytest.raises(ColumnNotFoundError, match=r"read_npz: no column 'wrd'; .* Did you mean 'word'\?"):
        read_npz(folder, "wrd")


def test_fields_of_records_are_columns(tmp_path):
    np.savez(tmp_path / "r.npz", pairs=np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")]), c=np.zeros(2))
    assert read_npz(tmp_path / "r.npz").to_message().to_dict() == {"a": [1, 3], "b": [2.0, 4.0], "c": [0.0, 0.0]}
    np.savez(tmp_path / "r.npz", pairs=np.zeros(2, dtype=[("c", "i4")]), c=np.zeros(2))
    with pytest.raises(ColumnTypeError, match="has two columns 'c', one of them a field of"):
        read_npz(tmp_path / "r.npz")


def test_an_archive_of_nothing_has_no_rows(tmp_path):
    np.savez(tmp_path / "a.npz")
    assert len(read_npz(tmp_path / "a.npz")) == 0


def test_writing_to_rows_never_reaches_the_file(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((50, 2)))
    before = (tmp_path / "a.npz").read_bytes()
    read_npz(tmp_path / "a.npz")[:50]["x"].fill_(7)
    assert (tmp_path / "a.npz").read_bytes() == before


class TestWhatIsCompressed:
    def test_it_is_unpacked_once_and_lives_on_when_the_file_is_gone(self, tmp_path, monkeypatch):
        monkeypatch.setattr("fireworks.formats.stored_bytes._IN_MEMORY", 1000)
        x = np.random.default_rng(0).integers(0, 9, (4000, 3))
        np.savez_compressed(tmp_path / "a.npz", x=x, small=np.arange(4000, dtype="u1")[:4000])
        pipe = read_npz(tmp_path / "a.npz")
        pipe[0]
        (tmp_path / "a.npz").unlink()
        assert pipe[[3999, 17]]["x"].tolist() == x[[3999, 17]].tolist()
        assert pipe.to_message()["x"].tolist() == x.tolist()

    def test_the_scratch_file_has_no_name(self, tmp_path, monkeypatch):
        monkeypatch.setattr("fireworks.formats.stored_bytes._IN_MEMORY", 1000)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        (tmp_path / "scratch").mkdir()
        np.savez_compressed(tmp_path / "a.npz", x=np.zeros((4000, 3)))
        pipe = read_npz(tmp_path / "a.npz")
        assert pipe[3]["x"].tolist() == [[0.0] * 3]
        assert not list((tmp_path / "scratch").iterdir())

    def test_a_disk_without_room_is_foreseen(self, tmp_path, monkeypatch):
        folder = tmp_path / "small"
        folder.mkdir()
        np.savez_compressed(tmp_path / "a.npz", x=np.zeros((40_000, 100)))
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        with small_disk(folder, 2**20):
            pipe = read_npz(tmp_path / "a.npz")
            with pytest.raises(
                DiskSpaceError, match=r"takes 32,000,\d\d\d bytes unpacked, and '.*small' has .* free; make"
            ):
                pipe[3]

    def test_a_damaged_member_is_named_by_its_file(self, tmp_path):
        x = np.random.default_rng(0).random(50_000)
        np.savez_compressed(tmp_path / "a.npz", x=x)
        data = bytearray((tmp_path / "a.npz").read_bytes())
        data[200_000] ^= 255
        (tmp_path / "a.npz").write_bytes(data)
        pipe = read_npz(tmp_path / "a.npz")
        with pytest.raises(FileFormatError, match=r"a\.npz' is no NPZ file, or a damaged one: (Bad CRC|Error -3)"):
            pipe[3]


class TestWhatIsRefused:
    def test_a_file_that_was_cut_short_at_any_place(self, tmp_path):
        message(3).to_npz(tmp_path / "a.npz")
        data = (tmp_path / "a.npz").read_bytes()
        for length in range(0, len(data), 97):
            (tmp_path / "a.npz").write_bytes(data[:length])
            with pytest.raises(FileFormatError, match=r"^read_npz: '.*a\.npz' is no NPZ file, or a damaged one: "):
                read_npz(tmp_path / "a.npz")

    def test_python_objects_are_never_unpickled(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object), n=np.zeros(1))
        with pytest.raises(ColumnTypeError, match=r"the array 'x' of '.*a\.npz' holds Python objects as a pickle"):
            read_npz(tmp_path / "a.npz")
        assert read_npz(tmp_path / "a.npz", "n").count() == 1

    def test_members_of_unequal_length(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=np.zeros(3), y=np.zeros(4))
        with pytest.raises(
            ColumnLengthError, match=r"equal length, and in '.*a\.npz' 'x' has 3 rows, 'y' has 4\. Name those that"
        ):
            read_npz(tmp_path / "a.npz")
        assert len(read_npz(tmp_path / "a.npz", "y")) == 4

    def test_files_with_other_columns_or_types(self, tmp_path):
        np.savez(tmp_path / "0.npz", x=np.zeros(3))
        np.savez(tmp_path / "1.npz", y=np.zeros(3))
        with pytest.raises(SchemaMismatchError, match=r"holds the columns \['x'\] and '.*1\.npz' \['y'\]"):
            read_npz(tmp_path)
        np.savez(tmp_path / "1.npz", x=np.zeros(3, dtype=int))
        with pytest.raises(SchemaMismatchError, match=r"column 'x' is float64 of row shape \(\) in .* and int64 of"):
            read_npz(tmp_path)
        fw.Message({"x": torch.zeros(3, dtype=torch.float64)}).to_npz(tmp_path / "1.npz")
        with pytest.raises(SchemaMismatchError, match=r"'x' was written as different types, \['', 'tensor'\]"):
            read_npz(tmp_path)

    def test_a_zip_archive_of_other_things(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("notes.txt", "hello")
        with pytest.raises(FileFormatError, match=r"a zip archive without arrays; it holds \['notes\.txt'\]"):
            read_npz(tmp_path / "a.npz")
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("x.npy", b"no array")
        with pytest.raises(FileFormatError, match=r"the array 'x' of '.*a\.npz' is no NPY file, or a damaged one"):
            read_npz(tmp_path / "a.npz")

    def test_an_archive_whose_parts_are_not_where_it_says(self, tmp_path):
        stream = io.BytesIO()
        np.savez(stream, x=np.zeros(3))
        data = bytearray(stream.getvalue())
        at = data.index(b"PK\x01\x02") + 42  # where the directory says that the member begins
        data[at : at + 4] = (10).to_bytes(4, "little")
        (tmp_path / "a.npz").write_bytes(data)
        with pytest.raises(FileFormatError, match=r"a\.npz' is no NPZ file, or a damaged one"):
            read_npz(tmp_path / "a.npz")

    def test_a_member_that_says_it_is_longer_than_the_file(self, tmp_path):
        stream = io.BytesIO()
        np.savez(stream, x=np.zeros(20_000))
        data = bytearray(stream.getvalue().replace(b"(20000,)", b"(90000,)"))
        at = data.index(b"PK\x01\x02") + 20
        data[at : at + 8] = 2 * (128 + 8 * 90_000).to_bytes(4, "little")
        (tmp_path / "a.npz").write_bytes(data)
        with pytest.raises(FileFormatError, match=r"'x\.npy' ends behind the end of the file"):
            read_npz(tmp_path / "a.npz")

    def test_a_file_that_is_cut_during_a_pass(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=np.zeros(5000))
        pipe = read_npz(tmp_path / "a.npz")
        pipe[3]
        os.truncate(tmp_path / "a.npz", 100)
        with pytest.raises(FileChangedError, match=r"a\.npz' has changed since the source was made"):
            pipe[4000]


def test_fingerprints_tell_contents_apart(folder, tmp_path):
    message()[:9].to_npz(tmp_path / "other.npz")
    assert read_npz(tmp_path / "other.npz").fingerprint() == read_npz(folder / "0.npz").fingerprint()
    assert read_npz(folder / "1.npz").fingerprint() != read_npz(folder / "0.npz").fingerprint()
    assert read_npz(folder, "n").fingerprint() != read_npz(folder).fingerprint()
