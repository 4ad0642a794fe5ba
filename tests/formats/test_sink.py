"""Pipes into files: a few rows at a time, in shards, and whole or not at all."""

import weakref

import numpy as np
import pytest
import torch

import fireworks as fw
from disks import largest_file, lines_of_killed
from fireworks.errors import QuarantineWarning
from fireworks.formats.sink import regrouped, write_shards
from pipelines import counting, double, numbers, refuses_three, table


def lines(messages, file):
    first = next(messages)
    file.write(f"{','.join(first.columns)}\n".encode())
    for message in [first, *messages] if not len(first) else _chained(first, messages):
        file.write("".join(f"{n}\n" for n in message["n"].tolist()).encode())
        file.flush()


def _chained(first, messages):
    yield first
    yield from messages


def written(pipe, path, **options):
    return write_shards(pipe, path, lines, suffix=".txt", where="to_lines", **options)


def values(files):
    return [[int(line) for line in file.read_text().splitlines()[1:]] for file in files]


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


class TestOneFile:
    @pytest.mark.parametrize(
        "make",
        [
            table,
            lambda: table().map(double).batch(4),
            lambda: table().shuffle(seed=0),
            counting,
            lambda: counting().batch(5),
            lambda: table().filter("n > 100"),
            lambda: table().filter("n > 3").batch(3),
        ],
    )
    def test_it_holds_the_rows_of_epoch_0(self, tmp_path, make):
        pipe = make()
        next(iter(pipe), None)
        files = written(pipe, tmp_path / "n.txt")
        assert files == [tmp_path / "n.txt"]
        assert values(files) == [numbers(make().at_epoch(0))]
        assert names(tmp_path) == ["n.txt"]

    def test_it_takes_the_place_of_an_old_one(self, tmp_path):
        (tmp_path / "n.txt").write_text("old")
        assert values(written(table(3), str(tmp_path / "n.txt"))) == [[0, 1, 2]]

    def test_a_pipe_may_be_written_to_the_file_that_it_reads(self, tmp_path):
        table().to_parquet(tmp_path / "rows.parquet")
        fw.read_parquet(tmp_path / "rows.parquet").filter("n > 20").to_parquet(tmp_path / "rows.parquet")
        assert fw.read_parquet(tmp_path / "rows.parquet").to_message()["n"].tolist() == [21, 22]

    def test_rows_that_were_set_aside_are_said(self, tmp_path):
        with pytest.warns(QuarantineWarning, match="1 rows were set aside"):
            files = written(table(9).map(refuses_three, on_error="quarantine"), tmp_path / "n.txt")
        assert values(files) == [[0, 1, 2, 4, 5, 6, 7, 8]]


class TestShards:
    @pytest.mark.parametrize("rows", [1, 4, 8, 23, 100])
    def test_each_has_as_many_rows_as_it_should(self, tmp_path, rows):
        files = written(table().batch(5), tmp_path / "n", shard_rows=rows)
        assert [file.name for file in files] == [f"part-{number:05}.txt" for number in range(-(-23 // rows))]
        assert values(files) == [list(range(start, min(start + rows, 23))) for start in range(0, 23, rows)]
        assert names(tmp_path) == ["n"]
        assert names(tmp_path / "n") == [file.name for file in files]

    def test_each_ends_when_it_is_as_long_as_it_should_be(self, tmp_path):
        files = written(table(40).batch(2), tmp_path / "n", shard_bytes=50)
        assert [n for part in values(files) for n in part] == list(range(40))
        sizes = [file.stat().st_size for file in files]
        assert all(50 <= size < 60 for size in sizes[:-1])
        assert len(values(written(table(40), tmp_path / "one", shard_bytes="1GB"))) == 1
        both = written(table(40).batch(1), tmp_path / "both", shard_bytes="1GB", shard_rows=30)
        assert [len(part) for part in values(both)] == [30, 10]

    def test_of_no_rows_there_is_one(self, tmp_path):
        files = written(table().filter("n > 100"), tmp_path / "n", shard_rows=3)
        assert [file.read_text() for file in files] == ["x,n,w,word\n"]

    def test_an_old_folder_is_replaced_as_a_whole(self, tmp_path):
        written(table(), tmp_path / "n", shard_rows=2)
        (tmp_path / "n").chmod(0o750)
        written(table(3), tmp_path / "n", shard_rows=2)
        assert names(tmp_path / "n") == ["part-00000.txt", "part-00001.txt"]
        (tmp_path / "linked").symlink_to(tmp_path / "n", target_is_directory=True)
        written(table(1), tmp_path / "linked", shard_rows=2)
        assert (tmp_path / "linked").is_symlink()
        assert names(tmp_path / "n") == ["part-00000.txt"]

    def test_a_pipe_may_be_written_to_the_folder_that_it_reads(self, tmp_path):
        table().to_parquet(tmp_path / "rows", shard_rows=5)
        fw.read_parquet(tmp_path / "rows").shuffle(seed=0).to_parquet(tmp_path / "rows", shard_rows=20)
        assert numbers(fw.read_parquet(tmp_path / "rows")) == numbers(table().shuffle(seed=0).at_epoch(0))

    def test_what_a_folder_holds_besides_is_not_lost(self, tmp_path):
        (tmp_path / "n").mkdir()
        (tmp_path / "n" / "part-1.txt").write_text("mine")
        expected = r"to_lines: the folder '.*n' holds 'part-1.txt', which would be lost; name a folder of its own\."
        with pytest.raises(FileExistsError, match=expected):
            written(table(), tmp_path / "n", shard_rows=2)
        assert names(tmp_path) == ["n"]
        assert (tmp_path / "n" / "part-1.txt").read_text() == "mine"


class TestWhatIsRefused:
    def test_numbers_that_are_none(self, tmp_path):
        with pytest.raises(ValueError, match=r"to_lines: shard_rows must be an int of at least 1; got 0\."):
            written(table(), tmp_path / "n", shard_rows=0)
        with pytest.raises(ValueError, match=r"to_lines: shard_bytes must be a number of bytes .*; got 'big'"):
            written(table(), tmp_path / "n", shard_bytes="big")

    def test_paths_that_are_none(self, tmp_path):
        with pytest.raises(TypeError, match=r"to_lines: a path is a str or a Path; got 3"):
            written(table(), 3)
        with pytest.raises(ValueError, match=r"to_lines: files are written on this machine, and 's3://x' is a URL"):
            written(table(), "s3://x")
        with pytest.raises(
            IsADirectoryError, match=r"to_lines: '.*' is a folder; name a file in it, or give shard_rows="
        ):
            written(table(), tmp_path)
        with pytest.raises(FileNotFoundError, match=r"to_lines: .* there is no folder '.*none'; make it first"):
            written(table(), tmp_path / "none" / "n.txt")
        with pytest.raises(FileNotFoundError, match=r"to_lines: there is no folder '.*none'; make it first"):
            written(table(), tmp_path / "none" / "n", shard_rows=1)
        (tmp_path / "file").write_text("x")
        with pytest.raises(NotADirectoryError, match=r"to_lines: '.*file' is a file, and shards need a folder"):
            written(table(), tmp_path / "file", shard_rows=1)


@pytest.mark.parametrize("options", [{}, {"shard_rows": 4}])
class TestErrors:
    def test_one_of_the_pipeline_comes_as_it_is(self, tmp_path, options):
        def refuses(rows):
            raise FileNotFoundError(2, "the lookup table is gone")

        written(table(3), tmp_path / "n", **options)
        before = {file.name: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
        with pytest.raises(FileNotFoundError, match="the lookup table is gone") as raised:
            written(table().map(refuses), tmp_path / "n", **options)
        assert "can't be written" not in str(raised.value)
        assert "Map(" in "".join(raised.value.__notes__)
        assert {file.name: file.read_text() for file in tmp_path.rglob("*") if file.is_file()} == before
        assert names(tmp_path) == ["n"]

    def test_one_of_the_writer_comes_as_it_is(self, tmp_path, options):
        def refuses(messages, file):
            raise ZeroDivisionError("no")

        with pytest.raises(ZeroDivisionError, match="no"):
            write_shards(table(), tmp_path / "n", refuses, suffix=".txt", where="to_lines", **options)
        assert names(tmp_path) == []

    def test_a_full_disk_leaves_the_old(self, tmp_path, options):
        def much(messages, file):
            for message in messages:
                file.write(bytes(1000 * len(message)))

        written(table(3), tmp_path / "n", **options)
        before = {file.name: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
        with (
            largest_file(1500),
            pytest.raises(OSError, match=r"to_lines: '.*' can't be written: File too large.* still whole"),
        ):
            write_shards(table(), tmp_path / "n", much, suffix=".txt", where="to_lines", **options)
        assert {file.name: file.read_text() for file in tmp_path.rglob("*") if file.is_file()} == before
        assert names(tmp_path) == ["n"]


_KILLED = """
import fireworks as fw, torch
from fireworks.formats.sink import write_shards

def slow(messages, file):
    for message in messages:
        time.sleep(0.001)
        for n in message["n"].tolist():
            file.write(f"{n}\\n".encode())
            file.flush()

root, options = Path(sys.argv[1]), eval(sys.argv[2])
target = root / "n"

def write(first):
    rows = fw.source({"n": torch.arange(first, first + 60)}).batch(3)
    write_shards(rows, target, slow, suffix=".txt", where="to_lines", **options)

def held():
    files = sorted(target.iterdir()) if target.is_dir() else [target]
    return [int(line) for file in files for line in file.read_text().split()]

write(0)
state, first = 0, 1000
random.seed(0)
begun = time.perf_counter()
os.waitpid(child(lambda: write(0)), 0)
whole = time.perf_counter() - begun
outcomes = set()
for share in [0, 2, *(1.2 * random.random() for _ in range(12))]:
    killed_after(share * whole, lambda: write(first))
    now = held()
    new = list(range(first, first + 60))
    assert now in (list(range(state, state + 60)), new), now
    outcomes.add(now == new)
    if now == new:
        state, first = first, first + 1000
write(5)
assert held() == list(range(5, 65))
print(sorted(outcomes), sorted(path.name for path in root.iterdir()))
"""


@pytest.mark.parametrize("options", [{}, {"shard_rows": 10}])
def test_a_kill_at_any_time_leaves_the_old_or_the_new(tmp_path, options):
    (said,) = lines_of_killed(_KILLED, tmp_path, repr(options))
    assert said == "[False, True] ['n']"


def test_a_bar_is_shown_on_a_terminal_only(tmp_path, capsys):
    assert values(written(table().batch(4), tmp_path / "n.txt", progress=True)) == [list(range(23))]
    assert capsys.readouterr().err == ""


def test_rows_stream_through(tmp_path):
    """No more than a few batches are alive at a time."""
    alive, most = set(), 0

    class Noted(fw.Source):
        schema = fw.Message({"n": [0]}).schema
        random_access = False

        def stream(self, start):
            for number in range(start, 200):
                yield fw.Message({"n": np.array([number])})

    def watch(messages, file):
        nonlocal most
        for message in messages:
            alive.add(id(message))
            weakref.finalize(message, alive.discard, id(message))
            most = max(most, len(alive))

    write_shards(Noted(), tmp_path / "n", watch, suffix=".txt", where="to_lines")
    assert most <= 3


def test_regrouped_keeps_all_rows():
    parts = [fw.Message({"n": torch.arange(n, n + 3)}) for n in range(0, 12, 3)]
    assert [part["n"].tolist() for part in regrouped(iter(parts), 5)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    (none,) = regrouped(iter([parts[0][:0]]), 5)
    assert none.columns == ["n"]
