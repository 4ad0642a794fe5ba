"""The files of MNIST as a source."""

import gzip
import struct

import numpy as np
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnLengthError, FileFormatError, SchemaMismatchError
from fireworks.formats.idx_source import read_idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
IMAGES = np.random.default_rng(0).integers(0, 256, (23, 4, 3), dtype=np.uint8)
LABELS = np.arange(23, dtype=np.uint8) % 10


def idx(array):
    kind = array.dtype.kind + str(array.dtype.itemsize)
    head = struct.pack(f">HBB{array.ndim}I", 0, CODES[kind], array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def written(path, array):
    path.write_bytes(gzip.compress(idx(array)) if path.suffix == ".gz" else idx(array))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("idx")
    written(path / "images-idx3-ubyte", IMAGES)
    written(path / "labels-idx1-ubyte", LABELS)
    written(path / "images-idx3-ubyte.gz", IMAGES)
    written(path / "labels-idx1-ubyte.gz", LABELS)
    return path


class TestIdxSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "packed", "batched", "shuffled"])
    def make_pipe(self, folder, request):
        end = ".gz" if request.param == "packed" else ""

        def make():
            data = read_idx(folder / f"images-idx3-ubyte{end}", folder / f"labels-idx1-ubyte{end}")
            if request.param == "batched":
                return data.batch(7)
            return data.shuffle(seed=0) if request.param == "shuffled" else data

        return make


@pytest.mark.parametrize("end", ["", ".gz"])
def test_images_and_labels_are_tensors_of_the_type_in_the_file(folder, end):
    pipe = read_idx(folder / f"images-idx3-ubyte{end}", folder / f"labels-idx1-ubyte{end}")
    assert pipe.to_message() == fw.Message({"image": torch.from_numpy(IMAGES), "label": torch.from_numpy(LABELS)})
    assert pipe[[20, 3]]["image"].numpy().tolist() == IMAGES[[20, 3]].tolist()
    assert pipe[4:9]["label"].tolist() == LABELS[4:9].tolist()
    assert repr(pipe) == f"Idx(images-idx3-ubyte{end} and 1 more, 23 rows: image, label)"


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_all_types_of_the_format(tmp_path, kind, end):
    array = np.array([[1, 2], [3, 100]], dtype=kind)
    pipe = read_idx(written(tmp_path / f"a.idx{end}", array))
    assert pipe.to_message() == fw.Message({"image": torch.from_numpy(array)})
    assert pipe[[1]]["image"].tolist() == [[3, 100]]


def test_several_files_come_one_after_the_other(tmp_path):
    parts = [written(tmp_path / f"{n}.idx", IMAGES[start:stop]) for n, (start, stop) in enumerate([(0, 5), (5, 23)])]
    assert read_idx(parts).to_message()["image"].numpy().tolist() == IMAGES.tolist()
    assert read_idx(tmp_path)[[22, 4]]["image"].numpy().tolist() == IMAGES[[22, 4]].tolist()


def test_a_large_packed_file_goes_through_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("fireworks.formats.stored_bytes._IN_MEMORY", 64)
    assert read_idx(written(tmp_path / "a.gz", IMAGES)).to_message()["image"].numpy().tolist() == IMAGES.tolist()


class TestWhatIsRefused:
    @pytest.mark.parametrize("data", [b"", b"\0\0", b"PK\x03\x04 and so on", b"\0\0\x07\x01\0\0\0\1", b"\0\0\x08\0"])
    def test_what_is_no_idx_file(self, tmp_path, data):
        (tmp_path / "a.idx").write_bytes(data)
        with pytest.raises(
            FileFormatError, match=r"a\.idx' is no IDX file, or a damaged one: it (begins with|is empty)"
        ):
            read_idx(tmp_path / "a.idx")

    def test_a_file_that_was_cut_short_at_any_place(self, tmp_path):
        data = idx(IMAGES[:2])
        for length in range(4, len(data)):
            (tmp_path / "a.idx").write_bytes(data[:length])
            with pytest.raises(
                FileFormatError, match=r"a\.idx' (is no IDX file|has \d+ bytes instead of 40, for 2 x 4 x 3)"
            ):
                read_idx(tmp_path / "a.idx")

    @pytest.mark.parametrize("place", [2, 11, 30, -12, -1])
    def test_a_packed_file_that_was_cut_short(self, tmp_path, place):
        (tmp_path / "a.gz").write_bytes(gzip.compress(idx(IMAGES))[:place])
        with pytest.raises(FileFormatError, match=r"a\.gz' is no IDX file, or a damaged one: Compressed file ended"):
            read_idx(tmp_path / "a.gz")[:]

    def test_a_packed_file_that_ends_early_or_goes_on(self, tmp_path):
        for data, text in [(idx(IMAGES)[:-1], "ends early"), (idx(IMAGES) + b"!", "has more bytes than it should")]:
            (tmp_path / "a.gz").write_bytes(gzip.compress(data))
            with pytest.raises(FileFormatError, match=rf"a\.gz' {text}: 292 bytes were expected"):
                read_idx(tmp_path / "a.gz")[0]

    def test_more_images_than_labels(self, folder, tmp_path):
        labels = written(tmp_path / "labels", LABELS[:-1])
        with pytest.raises(ColumnLengthError, match=r"read_idx: columns .* 'image' has 23 rows, 'label' has 22"):
            read_idx(folder / "images-idx3-ubyte", labels)
        with pytest.raises(SchemaMismatchError, match="1 files of images and 2 of labels were named"):
            read_idx(folder / "images-idx3-ubyte", [labels, labels])

    def test_images_of_two_sizes(self, folder, tmp_path):
        other = written(tmp_path / "other", IMAGES[:, 1:])
        with pytest.raises(
            SchemaMismatchError, match=r"uint8 of row shape \(4, 3\) in .* and uint8 of row shape \(3, 3\)"
        ):
            read_idx([folder / "images-idx3-ubyte", other])
