"""NPZ: numbers come back as they were, NumPy reads them, and no pickle is ever opened."""

import contextlib
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from disks import largest_file
from fireworks.errors import ColumnLengthError, ColumnNotFoundError, ColumnTypeError, ColumnValueError, FileFormatError
from message.strategies import ARRAYS, messages

KEPT = {"ints", "small floats", "floats", "bools", "dates", "durations", "half floats", "complex", "big ints"} | {
    "nullable without nulls",
    "dates or none",
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.npz"


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    """One path for all examples of hypothesis."""
    return tmp_path_factory.mktemp("npz") / "rows"


def some_message():
    return fw.Message(
        {"x": torch.arange(6.0).reshape(3, 2), "t": torch.tensor([1, 2, 3]), "n": [1, 2, 3], "name": ["a", "", "größe"]}
    )


class TestComesBack:
    @settings(deadline=None)
    @given(message=messages())
    def test_any_message_of_what_numpy_holds(self, message, shared_path):
        with contextlib.suppress(ColumnTypeError, ColumnValueError):
            message.to_npz(shared_path)
            again = fw.Message.read_npz(shared_path)
            for name, column in again.items():  # texts of any storage come back as `str`
                if str(message.schema[name].dtype) == "string":
                    again[name] = column.astype(message.schema[name].dtype)
            assert again == message

    @pytest.mark.parametrize("num_rows", [0, 7])
    @pytest.mark.parametrize("kind", sorted(KEPT))
    def test_every_kind_of_number(self, kind, num_rows, path):
        message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), num_rows)})
        message.to_npz(path)
        assert fw.Message.read_npz(path) == message

    @pytest.mark.parametrize("compressed", [True, False])
    def test_compressed_or_not(self, compressed, path):
        message = fw.Message({"x": torch.zeros(10_000)})
        message.to_npz(str(path), compressed=compressed)
        assert fw.Message.read_npz(str(path)) == message
        assert (path.stat().st_size < 10_000) == compressed

    @pytest.mark.parametrize(
        "names", [["file", "self", "args"], ["a", "a.npy", ".npy", ""], ["a/b", "../c", "/d", "\\"], ["größe", "日本"]]
    )
    def test_odd_names_in_order(self, names, path):
        message = fw.Message({name: [number] for number, name in enumerate(names)})
        message.to_npz(path)
        assert fw.Message.read_npz(path) == message

    def test_tensors_are_told_from_arrays(self, path):
        some_message().to_npz(path)
        again = fw.Message.read_npz(path)
        assert again == some_message()
        assert isinstance(again["t"], torch.Tensor)
        assert isinstance(again["n"], pd.Series)

    def test_chosen_columns_in_the_order_asked_for(self, path):
        some_message().to_npz(path)
        assert fw.Message.read_npz(path, columns=["n", "x"]) == some_message()[["n", "x"]]
        assert fw.Message.read_npz(path, columns="x") == some_message()[["x"]]

    def test_memory_of_any_layout_and_gradients(self, path):
        tensor = torch.arange(12.0).reshape(3, 4).t().requires_grad_()
        fw.Message({"x": tensor}).to_npz(path)
        assert torch.equal(fw.Message.read_npz(path)["x"], tensor)

    def test_no_columns(self, path):
        fw.Message().to_npz(path)
        assert fw.Message.read_npz(path) == fw.Message()

    def test_equal_messages_make_equal_files(self, tmp_path):
        some_message().to_npz(tmp_path / "a")
        some_message().to_npz(tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


class TestNumpy:
    def test_it_reads_ours(self, path):
        some_message().to_npz(path)
        with np.load(path, allow_pickle=False) as arrays:
            assert arrays.files == ["x", "t", "n", "name"]
            assert arrays["x"].tolist() == [[0, 1], [2, 3], [4, 5]]
            assert arrays["name"].tolist() == ["a", "", "größe"]
            assert arrays["t"].dtype == np.int64

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_we_read_its(self, save, path):
        images = np.arange(12, dtype=">i2").reshape(3, 2, 2)
        save(
            path,
            images=images,
            fortran=np.asfortranarray(np.eye(3)),
            label=np.array([1, 2, 3]),
            s=np.array(["a", "b", ""]),
            b=np.array([b"x", b"y", b""]),
        )
        message = fw.Message.read_npz(path)
        assert message["images"].dtype == torch.int16
        assert torch.equal(message["images"], torch.arange(12).reshape(3, 2, 2))
        assert torch.equal(message["fortran"], torch.eye(3, dtype=torch.float64))
        assert isinstance(message["label"], pd.Series)
        assert message["s"].tolist() == ["a", "b", ""]
        assert message["b"].tolist() == [b"x", b"y", b""]

    def test_arrays_of_other_lengths_can_be_left_out(self, path):
        np.savez(path, x_train=np.zeros((3, 2)), y_train=np.zeros(3), x_test=np.zeros((1, 2)), seed=np.array(7))
        with pytest.raises(ColumnLengthError, match="'x_train' has 3 rows, 'x_test' has 1"):
            fw.Message.read_npz(path, columns=["x_train", "x_test"])
        with pytest.raises(
            ColumnTypeError, match=r"Message.read_npz: array 'seed' is one value, .*7.*, and no column; name the"
        ):
            fw.Message.read_npz(path)
        assert len(fw.Message.read_npz(path, columns=["x_train", "y_train"])) == 3


class Malicious:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


class TestRefuses:
    @pytest.mark.parametrize(
        "kind",
        sorted(ARRAYS.keys() - KEPT - {"texts", "nullable", "nullable bools", "nullable floats", "texts of Python"}),
    )
    def test_types_that_numpy_lacks(self, kind, path):
        message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), 7)})
        with pytest.raises(
            ColumnTypeError,
            match=r"Message.to_npz: column 'column' is .*, which NumPy can't hold without a pickle; convert the",
        ):
            message.to_npz(path)
        assert not path.exists()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e5m2], ids=str)
    def test_types_of_torch_that_numpy_lacks(self, dtype, path):
        with pytest.raises(
            ColumnTypeError, match=rf"column 'x' is {str(dtype)[6:]}\[2\] tensor, which NumPy can't hold"
        ):
            fw.Message({"x": torch.zeros(1, 2).to(dtype)}).to_npz(path)
        with pytest.raises(ColumnTypeError, match=r"column 'x' is float32 tensor, which NumPy can't hold"):
            fw.Message({"x": torch.zeros(1, device="meta")}).to_npz(path)

    @pytest.mark.parametrize("dtype", ["str", "string[python]", "Int8", "boolean", "Float64"])
    def test_a_missing_value(self, dtype, path):
        values = ["a", "b", None] if "str" in dtype else [1, 0, None]
        with pytest.raises(
            ColumnValueError,
            match=rf"Message.to_npz: column 'c', row 2: the value is missing, and NumPy has no missing {dtype[:6]}",
        ):
            fw.Message({"c": pd.array(values, dtype=dtype)}).to_npz(path)
        assert not path.exists()

    def test_a_text_that_numpy_would_cut(self, path):
        with pytest.raises(
            ColumnValueError, match=r"column 'c', row 1: 'b\\x00' ends with a NUL, which NumPy cuts off; use save"
        ):
            fw.Message({"c": ["\0a", "b\0"]}).to_npz(path)

    @pytest.mark.parametrize("name", ["a\0b", "\ud800"])
    def test_a_name_that_no_file_has(self, name, path):
        with pytest.raises(
            ColumnTypeError, match=r"Message.to_npz: column .*: no file in an archive can have such a name; rename it"
        ):
            fw.Message({name: [1]}).to_npz(path)

    def test_a_pickle_stays_shut(self, path, monkeypatch):
        monkeypatch.chdir(path.parent)
        np.savez(path, x=np.array([Malicious(), None], dtype=object), y=np.zeros(2))
        with pytest.raises(
            ColumnTypeError,
            match=r"Message.read_npz: array 'x' holds Python objects as a pickle, which runs code when it is read",
        ):
            fw.Message.read_npz(path)
        assert fw.Message.read_npz(path, columns=["y"])["y"].tolist() == [0, 0]
        assert not Path("ran").exists()

    @pytest.mark.parametrize(
        "array",
        [np.array([["a"], ["b"]]), np.zeros((2, 2), dtype="M8[s]"), np.zeros((2, 2), dtype=np.longdouble)],
        ids=lambda array: str(array.dtype),
    )
    def test_more_than_one_dimension_of_what_torch_lacks(self, array, path):
        np.savez(path, x=array)
        with pytest.raises(
            ColumnTypeError,
            match=r"Message.read_npz: array 'x' of shape \(2, \d\) holds .*, and only numbers that torch has",
        ):
            fw.Message.read_npz(path)


class TestErrors:
    def test_a_missing_file(self, path):
        with pytest.raises(FileNotFoundError, match=r"Message.read_npz: '.*' can't be read: there is no such file"):
            fw.Message.read_npz(path)

    @pytest.mark.parametrize(
        "data", [b"", b"PK\x03\x04 and so on", pickle.dumps({"x": 1})], ids=["empty", "broken", "pickle"]
    )
    def test_what_is_no_archive(self, data, path):
        path.write_bytes(data)
        with pytest.raises(
            FileFormatError, match=r"Message.read_npz: '.*' is no NPZ file, or a damaged one: File is not a zip"
        ):
            fw.Message.read_npz(path)

    def test_an_archive_of_something_else(self, path):
        torch.save({"x": torch.ones(2)}, path)
        with pytest.raises(
            FileFormatError, match=r"is no NPZ file, or a damaged one: it is a zip archive without arrays; it holds \['"
        ):
            fw.Message.read_npz(path)

    @pytest.mark.parametrize("compressed", [True, False])
    def test_a_wrong_bit_in_an_array_is_noticed(self, compressed, path):
        message = fw.Message({"x": torch.arange(300.0), "y": torch.arange(300)})
        message.to_npz(path, compressed=compressed)
        whole = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("x.npy")
        start = info.header_offset + 30 + len("x.npy") + 20
        for place in range(start, start + info.compress_size, 13):
            wrong = bytearray(whole)
            wrong[place] ^= 4
            path.write_bytes(wrong)
            with pytest.raises(FileFormatError, match="is no NPZ file, or a damaged one"):
                fw.Message.read_npz(path)

    def test_bytes_behind_an_array_are_noticed(self, path):
        some_message().to_npz(path)
        with zipfile.ZipFile(path) as archive:
            data = archive.read("n.npy")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("n.npy", data + b"\0")
        with pytest.raises(FileFormatError, match="damaged one: array 'n' is followed by other bytes"):
            fw.Message.read_npz(path)

    def test_a_file_cut_short(self, path):
        some_message().to_npz(path)
        data = path.read_bytes()
        for length in range(0, len(data), 31):
            path.write_bytes(data[:length])
            with pytest.raises(FileFormatError, match="is no NPZ file, or a damaged one"):
                fw.Message.read_npz(path)

    def test_a_column_that_is_not_there(self, path):
        some_message().to_npz(path)
        with pytest.raises(ColumnNotFoundError, match=r"Message.read_npz: no column 'names'; .* Did you mean 'name'\?"):
            fw.Message.read_npz(path, columns=["names"])

    def test_without_room_the_old_file_stays(self, path):
        some_message().to_npz(path)
        with largest_file(50_000), pytest.raises(OSError, match=r"Message.to_npz: .* can't be written: File too large"):
            fw.Message({"x": torch.randn(100_000)}).to_npz(path)
        assert fw.Message.read_npz(path) == some_message()
