"""What is saved comes back to the last bit, or an error says what is wrong with the file; nothing is ever run."""

import ast
import contextlib
import copy
import hashlib
import json
import pickle
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given, settings

import fireworks as fw
from disks import largest_file, lines_of_killed
from fireworks.errors import ColumnTypeError, FileFormatError
from fireworks.formats import saved
from message.strategies import ARRAYS, messages, some_message

DTYPES = sorted(
    {
        dtype
        for dtype in vars(torch).values()
        if isinstance(dtype, torch.dtype) and not str(dtype).startswith("torch.q")
    },
    key=str,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "message"


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    """One path for all examples of hypothesis."""
    return tmp_path_factory.mktemp("saved") / "message"


def bits_of(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()


def header_of(path):
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


class TestComesBack:
    @settings(deadline=None)
    @given(message=messages())
    def test_any_message(self, message, shared_path):
        with contextlib.suppress(ColumnTypeError):  # of objects of several types; see TestRefuses
            message.save(shared_path)
            assert fw.Message.load(shared_path) == message

    @pytest.mark.parametrize("kind", sorted(ARRAYS))
    def test_every_kind_of_column_but_mixed_objects(self, kind, path):
        message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), 7)})
        if kind == "objects":
            with pytest.raises(ColumnTypeError, match="in row"):
                message.save(path)
        else:
            message.save(path)
            assert fw.Message.load(path) == message

    @pytest.mark.parametrize("dtype", DTYPES, ids=str)
    @pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning")
    def test_every_type_of_torch_bit_for_bit(self, dtype, path):
        tensor = torch.arange(6 * dtype.itemsize, dtype=torch.uint8).remainder(2).view(dtype).reshape(3, 2)
        fw.Message({"x": tensor}).save(path)
        column = fw.Message.load(path)["x"]
        assert (column.dtype, column.shape) == (dtype, tensor.shape)
        assert bits_of(column) == bits_of(tensor)

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (3, 2, 0, 4), (1,), (3, 1, 1)])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.complex128, torch.uint16], ids=str)
    def test_every_shape(self, shape, dtype, path):
        message = fw.Message({"x": torch.ones(shape).to(dtype)})
        message.save(path)
        assert fw.Message.load(path) == message

    @pytest.mark.parametrize(
        "tensor",
        [
            torch.arange(12).reshape(3, 4).t(),
            torch.arange(12)[::3],
            torch.arange(3.0).expand(4, 3),
            torch.ones(1).expand(1, 5),
            torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1)[1:3],
            torch.view_as_complex(torch.randn(4, 2)).conj(),
            torch.nn.Parameter(torch.ones(3)).detach(),
        ],
        ids=["transposed", "strided", "expanded", "one row expanded", "permuted", "conjugate", "parameter"],
    )
    def test_whatever_the_memory_looks_like(self, tensor, path):
        fw.Message({"x": tensor}).save(path)
        column = fw.Message.load(path)["x"]
        assert torch.equal(column, tensor)
        assert column.is_contiguous()

    def test_columns_that_shared_memory_no_longer_do(self, path):
        whole = torch.arange(10.0)
        fw.Message({"a": whole[:5], "b": whole[:5], "c": whole[5:]}).save(path)
        message = fw.Message.load(path)
        message["a"].add_(1)
        assert message["b"].tolist() == [0, 1, 2, 3, 4]
        assert message["c"].tolist() == [5, 6, 7, 8, 9]
        assert message["c"].untyped_storage().nbytes() == 20

    def test_which_columns_require_a_gradient(self, path):
        message = fw.Message({"x": torch.ones(2).requires_grad_(), "y": torch.ones(2), "n": [1, 2]})
        message["z"] = message["x"] * 2
        message.save(path)
        again = fw.Message.load(path)
        assert [again[name].requires_grad for name in "xyz"] == [True, False, True]
        assert all(again[name].is_leaf for name in "xyz")
        assert again == message

    @pytest.mark.parametrize(
        "names",
        [["__metadata__", "__metadata__'"], ["columns.arrow", "columns.arrow'"], ["", "\0", "a/b"], ["größe", "日本"]],
    )
    def test_odd_names_in_order(self, names, path):
        columns = {name: torch.full((2,), number) for number, name in enumerate(names)}
        columns |= {f"{name} as text": [name, None] for name in names}
        columns = dict(sorted(columns.items(), key=lambda item: hash(item[0])))
        columns["columns.arrow''"] = [1, 2]
        message = fw.Message(columns)
        message.save(path)
        assert fw.Message.load(path).columns == list(columns)
        assert fw.Message.load(path) == message

    def test_an_empty_one(self, path):
        fw.Message().save(path)
        assert fw.Message.load(path) == fw.Message()
        fw.Message(schema=some_message().schema).save(path)
        assert fw.Message.load(path).schema == some_message().schema

    def test_with_pieces_smaller_than_a_column(self, path, monkeypatch):
        monkeypatch.setattr(saved, "_PIECE", 1000)
        message = fw.Message({"x": torch.randn(2501, 3), "n": np.arange(2501)})
        message.save(path)
        assert fw.Message.load(path) == message
        (note, _) = json.loads(header_of(path)["__metadata__"]["columns"])
        assert note["sha256"] == hashlib.sha256(message["x"].numpy().tobytes()).hexdigest()

    @pytest.mark.parametrize("device", ["meta", torch.device("meta")])
    def test_tensors_go_to_a_device(self, device, path):
        message = fw.Message({"x": torch.ones(2).requires_grad_(), "n": [1, 2]})
        message.save(path)
        again = fw.Message.load(path, device=device)
        assert (again["x"].device.type, again["x"].requires_grad, again["x"].is_leaf) == ("meta", True, True)
        assert again["n"].tolist() == [1, 2]

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    def test_tensors_of_a_gpu_are_in_main_memory_unless_told_otherwise(self, path):
        message = some_message().to("cuda")
        message.save(path)
        assert fw.Message.load(path) == some_message()
        assert fw.Message.load(path, device="cuda") == message

    def test_what_is_loaded_can_be_written_to(self, path):
        some_message().save(path)
        one = fw.Message.load(path)
        one["x"].zero_()
        assert fw.Message.load(path) == some_message()


class TestFile:
    def test_equal_messages_make_equal_files(self, tmp_path):
        message = some_message()
        again = fw.Message({name: copy.deepcopy(message.raw(name)) for name in message.columns})
        again["x"] = again["x"].t().contiguous().t()
        for number, one in enumerate([message, message, again, pickle.loads(pickle.dumps(message))]):
            one.save(tmp_path / str(number))
        assert len({hashlib.sha256(file.read_bytes()).digest() for file in tmp_path.iterdir()}) == 1

    def test_safetensors_reads_the_tensors(self, path):
        message = fw.Message(
            {
                "x": torch.randn(3, 2),
                "b": torch.tensor([True, False, True]),
                "u": torch.tensor([1, 2, 3]).to(torch.uint16),
            }
        )
        message["f8"] = torch.ones(3).to(torch.float8_e4m3fn)
        message.save(path)
        tensors = safetensors.torch.load_file(path)
        assert fw.Message({name: tensors[name] for name in message.columns}) == message

    def test_safetensors_and_arrow_read_all_there_is(self, path):
        some_message().save(path)
        with safetensors.safe_open(path, "pt") as file:
            facts = file.metadata()
            assert torch.equal(file.get_tensor("x"), some_message()["x"])
            table = pa.ipc.open_file(file.get_tensor("columns.arrow").numpy().tobytes()).read_all()
        assert table["name"].to_pylist() == ["ann", None, "größe"]
        assert (facts["format"], facts["version"], facts["rows"]) == ("fireworks-message", "1", "3")
        assert [column["name"] for column in json.loads(facts["columns"])] == ["x", "half", "name", "kind"]

    def test_each_checksum_is_that_of_the_bytes(self, path):
        some_message().save(path)
        notes = {note["name"]: note for note in json.loads(header_of(path)["__metadata__"]["columns"])}
        expected = hashlib.sha256(some_message()["x"].numpy().tobytes()).hexdigest()
        assert notes["x"]["sha256"] == expected

    def test_wide_types_lie_where_they_may(self, path):
        fw.Message(
            {"b": torch.ones(3, dtype=torch.bool), "d": torch.ones(3, dtype=torch.float64), "h": torch.ones(3).half()}
        ).save(path)
        data = path.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        assert start % 8 == 0
        header = header_of(path)
        assert header["d"]["data_offsets"][0] == 0
        assert [header[name]["data_offsets"][0] for name in "hb"] == [24, 30]

    def test_a_later_one_takes_the_place_of_the_earlier(self, path):
        fw.Message({"x": [1]}).save(str(path))
        some_message().save(path)
        assert fw.Message.load(str(path)) == some_message()
        assert list(path.parent.iterdir()) == [path]


class TestRefuses:
    @pytest.mark.parametrize(
        ("column", "text"),
        [
            ([(1, 2), None, 5], r"Message.save: column 'odd' holds 5 of type int in row 2"),
            (
                [object(), object(), object()],
                r"Message.save: column 'odd' holds <object object at .*> of type object in row 0",
            ),
            ([1, None, float("nan")], r"Message.save: column 'odd' holds NaN in row 2 and None in row 1"),
        ],
        ids=["two types", "no type", "two kinds of missing"],
    )
    def test_objects_that_arrow_would_change_are_named_before_anything_is_written(self, column, text, path):
        some_message().save(path)
        message = fw.Message({"x": torch.ones(3), "odd": pd.Series(column, dtype=object)})
        with pytest.raises(ColumnTypeError, match=text):
            message.save(path)
        assert fw.Message.load(path) == some_message()

    @pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
    def test_tensors_without_plain_values(self, path):
        odd = {
            "is quantized": torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
            "is on the meta device, which holds no values": torch.ones(2, device="meta"),
        }
        for lack, tensor in odd.items():
            with pytest.raises(ColumnTypeError, match=f"Message.save: column 'x' {lack}; convert it first"):
                fw.Message({"x": tensor}).save(path)
        assert not path.exists()

    def test_a_name_that_is_no_unicode(self, path):
        with pytest.raises(ColumnTypeError, match=r"Message.save: a column's name is no text that UTF-8 can write"):
            fw.Message({"\ud800": torch.ones(2)}).save(path)
        assert not path.exists()

    def test_what_is_no_path(self):
        with pytest.raises(TypeError, match=r"Message.save: a path is a str or a Path; got 3"):
            fw.Message({"x": [1]}).save(3)
        with pytest.raises(TypeError, match=r"Message.load: a path is a str or a Path; got 3"):
            fw.Message.load(3)


class TestDamage:
    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls, tmp_path_factory):
        path = tmp_path_factory.mktemp("whole") / "message"
        some_message().save(path)
        return path.read_bytes()

    def load(self, path, data):
        path.write_bytes(data)
        return fw.Message.load(path)

    def test_a_missing_file_is_named(self, path):
        with pytest.raises(FileNotFoundError, match=r"Message.load: '.*/message' can't be read: there is no such file"):
            fw.Message.load(path)

    def test_one_wrong_bit_anywhere_is_noticed(self, whole, path):
        draw = random.Random(0)
        for place in range(len(whole)):
            wrong = bytearray(whole)
            wrong[place] ^= 1 << draw.randrange(8)
            with pytest.raises(FileFormatError, match=r"^Message\.load: '.*/message' (is damaged: |holds no message)"):
                self.load(path, wrong)

    def test_a_file_cut_short_anywhere_is_noticed(self, whole, path):
        for length in range(1, len(whole)):
            with pytest.raises(FileFormatError, match=r"^Message\.load: '.*/message' (is damaged: |holds no message)"):
                self.load(path, whole[:length])

    def test_a_file_that_is_too_long_is_noticed(self, whole, path):
        with pytest.raises(
            FileFormatError,
            match=rf"is damaged: it has {len(whole) + 1:,} bytes instead of {len(whole):,}\. Take another copy",
        ):
            self.load(path, whole + b"\0")

    def test_the_error_says_what_is_wrong(self, whole, path):
        start = 8 + int.from_bytes(whole[:8], "little")
        wrong = bytearray(whole)
        wrong[start] ^= 1
        with pytest.raises(
            FileFormatError, match=r"is damaged: the checksum of 'x' is wrong\. Take another copy of it"
        ):
            self.load(path, wrong)
        with pytest.raises(FileFormatError, match=rf"is damaged: it has {start + 5:,} bytes instead of {len(whole):,}"):
            self.load(path, whole[: start + 5])
        with pytest.raises(FileFormatError, match=r"is damaged: it ends after 200 bytes, within its header"):
            self.load(path, whole[:200])
        with pytest.raises(FileFormatError, match=r"is damaged: the checksum of its header is wrong"):
            self.load(path, whole[:150] + b"~" + whole[151:])
        with pytest.raises(FileFormatError, match=r"'.*/message' is empty\."):
            self.load(path, b"")

    def test_a_file_that_shrinks_meanwhile_is_noticed(self):
        with pytest.raises(saved._Refused, match="it became shorter while it was read"):
            saved._transfer(lambda piece: len(piece) - 1, np.zeros(10, dtype=np.uint8))

    @pytest.mark.parametrize(
        ("write", "hint"),
        [
            (lambda path: path.write_text("name,age\nann,3\n"), r"wrote\.$"),
            (lambda path: path.write_bytes(pickle.dumps({"x": 1})), r"wrote\.$"),
            (lambda path: safetensors.torch.save_file({"x": torch.ones(2)}, path), r"wrote\.$"),
            (
                lambda path: path.write_bytes(b"PAR1 and so on"),
                r"wrote; it is a Parquet file: use Message\.read_parquet\.$",
            ),
            (lambda path: some_message().to_feather(path), r"wrote; it is an Arrow file: use Message\.read_feather\.$"),
            (
                lambda path: fw.Message({"x": [1]}).to_npz(path),
                r"wrote; it is a zip archive: use Message\.read_npz if NumPy wrote it\.$",
            ),
        ],
        ids=["text", "pickle", "other safetensors", "Parquet", "Arrow", "NPZ"],
    )
    def test_a_file_of_another_kind_is_told_apart(self, write, hint, path):
        write(path)
        with pytest.raises(FileFormatError, match=r"^Message\.load: '.*' holds no message that Message\.save " + hint):
            fw.Message.load(path)

    def test_a_newer_version_says_to_upgrade(self, path, monkeypatch):
        monkeypatch.setattr(saved, "_VERSION", 2)
        some_message().save(path)
        monkeypatch.undo()
        with pytest.raises(
            FileFormatError,
            match=r"'.*/message' has version 2; this fireworks reads up to 1\. Upgrade fireworks-torch\.$",
        ):
            fw.Message.load(path)

    def test_a_type_of_a_newer_torch_is_named(self, path, monkeypatch):
        some_message().save(path)
        monkeypatch.delitem(saved._DTYPES, "bfloat16")
        with pytest.raises(FileFormatError, match=r"holds column 'half' of type bfloat16, which torch .* lacks"):
            fw.Message.load(path)


class TestCrafted:
    """Files whose checksums are right, and whose maker wished us ill."""

    def forge(self, path, columns, data=b"", *, length=None, arrow=None):
        """Write a file with right checksums: notes on columns, and one member that holds all the data."""
        length = len(data) if length is None else length
        notes = {"version": "1", "rows": "2", "columns": json.dumps(columns)}
        if arrow is not None:
            notes["arrow"] = json.dumps(arrow)
        member = saved._Member("m", np.empty(length, dtype=np.uint8), "U8", [length], 1)
        path.write_bytes(saved._header(notes, [member]) + data)

    def note(self, data, **changes):
        sha256 = hashlib.sha256(data).hexdigest()
        return {
            "name": "x",
            "key": "m",
            "dtype": "uint8",
            "shape": [2],
            "requires_grad": False,
            "sha256": sha256,
        } | changes

    def test_an_honest_one_is_read(self, path):
        self.forge(path, [self.note(b"ab")], b"ab")
        assert fw.Message.load(path)["x"].tolist() == [97, 98]

    @pytest.mark.parametrize(
        "changes",
        [
            {"shape": [3]},
            {"shape": [-2]},
            {"shape": [2**62, 2**62]},
            {"shape": "ab"},
            {"dtype": "int64"},
            {"key": "other"},
            {"requires_grad": True},
        ],
        ids=str,
    )
    def test_notes_that_do_not_fit_are_an_error(self, changes, path):
        self.forge(path, [self.note(b"ab", **changes)], b"ab")
        with pytest.raises(FileFormatError, match="contradicts itself: "):
            fw.Message.load(path)

    def test_columns_of_unequal_length_are_an_error(self, path):
        self.forge(path, [self.note(b"ab"), self.note(b"ab", name="y", shape=[1, 2])], b"ab")
        with pytest.raises(FileFormatError, match=r"contradicts itself: .*equal length"):
            fw.Message.load(path)

    def test_texts_that_would_be_read_from_elsewhere_are_an_error(self, path):
        sink = pa.BufferOutputStream()
        table = pa.table({"x": ["abcdefg", "hi"]})
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        ends, wrong = (np.array(places, dtype=np.int32).tobytes() for places in ([0, 7, 9], [0, 7, 2**30]))
        data = sink.getvalue().to_pybytes()
        assert data.count(ends) == 1
        data = data.replace(ends, wrong)
        self.forge(path, [{"name": "x"}], data, arrow={"key": "m", "sha256": hashlib.sha256(data).hexdigest()})
        with pytest.raises(FileFormatError, match="contradicts itself"):
            fw.Message.load(path)


class Malicious:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


class TestRunsNoCode:
    def test_loading_calls_no_unpickler(self, path, monkeypatch):
        some_message().save(path)

        def forbidden(*_, **__):
            raise AssertionError("unpickled")

        for owner, name in ((pickle, "loads"), (pickle, "load"), (pickle, "Unpickler"), (torch, "load"), (np, "load")):
            monkeypatch.setattr(owner, name, forbidden)
        assert fw.Message.load(path) == some_message()

    def test_a_pickle_stays_shut(self, path, monkeypatch):
        monkeypatch.chdir(path.parent)
        evil = pickle.dumps(Malicious())
        path.write_bytes(evil)
        with pytest.raises(FileFormatError, match="holds no message"):
            fw.Message.load(path)
        fw.Message({"x": [evil, evil]}).save(path)
        assert fw.Message.load(path)["x"].tolist() == [evil, evil]
        assert not Path("ran").exists()

    def test_the_source_names_no_pickle(self):
        tree = ast.parse(Path(saved.__file__).read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not (names | imported) & {"pickle", "marshal", "eval", "exec", "__import__"}


class TestDisk:
    def test_without_room_the_old_message_stays(self, path):
        some_message().save(path)
        with (
            largest_file(100_000),
            pytest.raises(OSError, match=r"Message.save: '.*' can't be written: File too large"),
        ):
            fw.Message({"x": torch.ones(100_000)}).save(path)
        assert fw.Message.load(path) == some_message()
        assert list(path.parent.iterdir()) == [path]

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"Message.save: .* there is no folder '.*/no'; make it first"):
            some_message().save(tmp_path / "no" / "message")


@pytest.mark.slow  # another process imports torch; its children die again and again
class TestKill:
    @pytest.fixture(scope="class")
    @classmethod
    def found(cls, tmp_path_factory):
        """What the process saw: for each kill, the number in the file before and after, and of the save under way."""
        lines = lines_of_killed(
            """
import torch
import fireworks as fw
torch.set_num_threads(1)
folder = Path(sys.argv[1])
path = folder / "message"

def save(number):
    fw.Message({"x": torch.full((100_000,), number), "n": [f"number {number}"] * 100_000}).save(path)

def check():
    message = fw.Message.load(path)
    number = int(message["x"][0])
    assert (message["x"] == number).all() and (message["n"] == f"number {number}").all()
    return number

save(0)
killed, step = True, 0
while killed:
    before = check()
    killed = killed_before_call(step, lambda: save(step + 1))
    step += 1
    print("step", before, check(), step)
print("files", len(list(folder.iterdir())), 0, 0)

def save_on_and_on():
    number = check()
    while True:
        number += 1
        save(number)

draw = random.Random(0)
first, rounds = check(), 0
while rounds < 12 or check() == first:  # a busy machine may kill each before its first save
    rounds += 1
    before = check()
    killed_after(0.01 + 0.06 * draw.random(), save_on_and_on)
    print("moment", before, check(), 0)
""",
            tmp_path_factory.mktemp("killed"),
        )
        found = {}
        for kind, *numbers in map(str.split, lines):
            found.setdefault(kind, []).append(tuple(map(int, numbers)))
        return found

    def test_a_kill_before_each_step_of_a_save_leaves_the_old_file_or_the_new(self, found):
        is_new = [after == new for before, after, new in found["step"]]
        assert all(after in {before, new} for before, after, new in found["step"])
        assert is_new == sorted(is_new)  # up to some step the old, from then on the new
        assert is_new.count(False) >= 3
        assert is_new.count(True) >= 2

    def test_a_kill_at_any_moment_leaves_one_of_the_saved_files(self, found):
        # check() has seen that each is whole; here, that none is older than the one before
        assert len(found["moment"]) >= 12
        assert all(after >= before for before, after, _ in found["moment"])
        assert found["moment"][-1][1] > found["moment"][0][0]

    def test_a_kill_leaves_nothing_else_but_between_name_and_place(self, found):
        assert found["files"][0][0] <= 2
