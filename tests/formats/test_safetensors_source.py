"""Safetensors files as a source: equal to what the library reads, and to what was saved."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import fireworks as fw
from fireworks.errors import (
    ColumnLengthError,
    ColumnNotFoundError,
    ColumnTypeError,
    FileFormatError,
    SchemaMismatchError,
)
from fireworks.formats.safetensors_source import read_safetensors
from pipelines import double

NUM_ROWS = 15


def message(num_rows=NUM_ROWS):
    n = num_rows
    return fw.Message(
        {
            "word": [f"w{i}" for i in range(n)],
            "x": torch.arange(n * 3).reshape(n, 3).bfloat16(),
            "z": torch.arange(n).to(torch.complex128),
            "n": np.arange(n),
            "k": pd.array([None if i == 5 else i for i in range(n)], dtype="Int16"),
            "kind": pd.Categorical(["ab"[i % 2] for i in range(n)], categories=["b", "a", "unused"]),
            "tags": pd.Series([[i, i] for i in range(n)], dtype=object),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("safetensors")
    message()[:9].save(path / "0.safetensors")
    message()[9:].save(path / "1.safetensors")
    return path


class TestSafetensorsSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "filtered"])
    def make_pipe(self, folder, request):
        def make():
            data = read_safetensors(folder)
            if request.param == "batched":
                return data.select("n", "x").map(double).batch(7)
            if request.param == "shuffled":
                return data.shuffle(seed=0)
            return data.filter("n > 12").drop("x") if request.param == "filtered" else data

        return make


def test_a_saved_message_comes_back_with_all_its_columns(folder):
    pipe = read_safetensors(folder)
    assert pipe.to_message() == message()
    assert pipe.schema == message().schema == pipe[:0].schema
    assert pipe[[14, 3, 3, 9]] == message().take([14, 3, 3, 9])
    assert pipe[7:12] == message()[7:12]
    assert [row.schema == pipe.schema for row in pipe] == [True] * NUM_ROWS
    assert pipe.estimated_bytes() > NUM_ROWS * (6 + 16 + 8)


def test_each_tensor_of_a_file_is_a_column_of_every_type(tmp_path):
    names = "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float8_e4m3fn float8_e5m2 float16 bfloat16 float32"
    tensors = {n: torch.tensor([[0, 1], [1, 0], [1, 1]]).to(getattr(torch, n)) for n in [*names.split(), "float64"]}
    save_file(tensors, tmp_path / "a.safetensors")
    pipe = read_safetensors(tmp_path / "a.safetensors")
    loaded = load_file(tmp_path / "a.safetensors")
    assert set(pipe.known_columns) == set(loaded)
    whole, some = pipe.to_message(), pipe[[2, 0]]
    for name, tensor in loaded.items():
        assert whole.select(name) == fw.Message({name: tensor})
        assert some.select(name) == fw.Message({name: tensor}).take([2, 0])


def test_a_range_is_a_view_and_writing_to_it_never_reaches_the_file(tmp_path):
    save_file({"x": torch.zeros(6, 2)}, tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    pipe = read_safetensors(tmp_path / "a.safetensors")
    assert pipe[2:4]["x"].data_ptr() == pipe[:]["x"][2:].data_ptr()
    pipe[2:4]["x"].fill_(3)
    assert (tmp_path / "a.safetensors").read_bytes() == before


def test_columns_are_chosen(folder, tmp_path):
    assert read_safetensors(folder, ["n", "x"])[3:5] == message()[3:5].select("n", "x")
    with pytest.raises(ColumnNotFoundError, match=r"read_safetensors: no column 'wrd'; .* Did you mean 'word'\?"):
        read_safetensors(folder, "wrd")
    save_file({"x": torch.zeros(3), "y": torch.zeros(4)}, tmp_path / "a.safetensors")
    assert len(read_safetensors(tmp_path / "a.safetensors", "y")) == 4


def test_a_url_is_read(folder):
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/st/a.safetensors", (folder / "1.safetensors").read_bytes())
    assert read_safetensors("memory://st/a.safetensors")[[3, 1]] == message().take([12, 10])


class TestWhatIsRefused:
    def test_a_file_that_was_cut_short_at_any_place(self, tmp_path, folder):
        data = (folder / "0.safetensors").read_bytes()
        for length in [0, 5, 8, 100, 1000, len(data) - 1]:
            (tmp_path / "a.safetensors").write_bytes(data[:length])
            with pytest.raises(
                FileFormatError, match=r"a\.safetensors' is no safetensors file, or a damaged one: it (has|is|e)"
            ):
                read_safetensors(tmp_path / "a.safetensors")

    def test_a_header_that_was_changed(self, tmp_path, folder):
        data = bytearray((folder / "0.safetensors").read_bytes())
        at = data.index(b'"rows":"9"')
        data[at : at + 10] = b'"rows":"8"'
        (tmp_path / "a.safetensors").write_bytes(data)
        with pytest.raises(FileFormatError, match="the checksum of its header is wrong"):
            read_safetensors(tmp_path / "a.safetensors")

    @pytest.mark.parametrize(
        ("header", "text"),
        [
            ("no json", "its header contradicts itself"),
            ('{"x": 5}', "its header contradicts itself"),
            ('{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}', "its header contradicts itself"),
            ('{"x": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}', "the place of 'x' makes no sense"),
            ('{"x": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}', "the place of 'x' makes no sense"),
            (
                '{"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
                "'x' takes 8 bytes, which is not what float32",
            ),
            ('{"x": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}', "it ends after .* bytes, within 'x'"),
        ],
    )
    def test_a_header_that_makes_no_sense(self, tmp_path, header, text):
        (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(8))
        with pytest.raises(FileFormatError, match=rf"a\.safetensors' is no safetensors file, or a damaged one: {text}"):
            read_safetensors(tmp_path / "a.safetensors")

    def test_what_another_torch_or_a_newer_fireworks_wrote(self, tmp_path, folder):
        header = json.dumps({"x": {"dtype": "F6_E2M3", "shape": [2], "data_offsets": [0, 8]}})
        (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(8))
        with pytest.raises(ColumnTypeError, match=r"tensor 'x' of '.*' is of type F6_E2M3, which torch .* lacks"):
            read_safetensors(tmp_path / "a.safetensors")
        data = (folder / "0.safetensors").read_bytes().replace(b'"version":"1"', b'"version":"7"')
        (tmp_path / "a.safetensors").write_bytes(data)
        with pytest.raises(
            FileFormatError, match=r"has version 7; this fireworks reads up to 1\. Upgrade fireworks-torch"
        ):
            read_safetensors(tmp_path / "a.safetensors")

    def test_single_values_and_unequal_lengths(self, tmp_path):
        save_file({"x": torch.zeros(3), "scale": torch.tensor(2.0)}, tmp_path / "a.safetensors")
        with pytest.raises(
            ColumnTypeError, match=r"tensor 'scale' of '.*' is one value, and no column: it has no rows"
        ):
            read_safetensors(tmp_path / "a.safetensors")
        assert len(read_safetensors(tmp_path / "a.safetensors", "x")) == 3
        save_file({"x": torch.zeros(3), "y": torch.zeros(4)}, tmp_path / "a.safetensors")
        with pytest.raises(
            ColumnLengthError, match=r"equal length, and in '.*a\.safetensors' 'x' has 3 rows, 'y' has 4"
        ):
            read_safetensors(tmp_path / "a.safetensors")

    def test_files_that_differ(self, tmp_path):
        save_file({"x": torch.zeros(3)}, tmp_path / "0.safetensors")
        save_file({"y": torch.zeros(3)}, tmp_path / "1.safetensors")
        with pytest.raises(SchemaMismatchError, match=r"holds the columns \['x'\] and '.*1\.safetensors' \['y'\]"):
            read_safetensors(tmp_path)
        save_file({"x": torch.zeros(3, 2)}, tmp_path / "1.safetensors")
        with pytest.raises(
            SchemaMismatchError, match=r"'x' is float32 of row shape \(\) in .* and float32 of row shape \(2,\)"
        ):
            read_safetensors(tmp_path)
        fw.Message({"x": ["a"]}).save(tmp_path / "1.safetensors")
        with pytest.raises(SchemaMismatchError, match=r"'x' is float32 of row shape \(\) in .* and no tensor in"):
            read_safetensors(tmp_path)
        fw.Message({"x": pd.Categorical(["a"])}).save(tmp_path / "0.safetensors")
        with pytest.raises(SchemaMismatchError, match=r"column 'x' is CategoricalDtype.* in .* and .*1\.safetensors'"):
            read_safetensors(tmp_path)

    def test_a_table_inside_that_is_damaged(self, tmp_path):
        fw.Message({"word": ["a", "b"]}).save(tmp_path / "a.safetensors")
        data = bytearray((tmp_path / "a.safetensors").read_bytes())
        data[-10:] = bytes(10)
        (tmp_path / "a.safetensors").write_bytes(data)
        with pytest.raises(FileFormatError, match=r"a damaged one: its table can't be read"):
            read_safetensors(tmp_path / "a.safetensors")


def test_fingerprints_tell_contents_apart(folder, tmp_path):
    message()[:9].save(tmp_path / "a.safetensors")
    assert (
        read_safetensors(tmp_path / "a.safetensors").fingerprint()
        == read_safetensors(folder / "0.safetensors").fingerprint()
    )
    assert read_safetensors(folder).fingerprint() != read_safetensors(folder / "0.safetensors").fingerprint()
