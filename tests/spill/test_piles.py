"""Rows to piles and back: nothing is lost, nothing is changed, and what is damaged is found out."""

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from disks import largest_file, small_disk
from fireworks.core.buffers import Buffers
from fireworks.errors import (
    ColumnLengthError,
    ColumnTypeError,
    DiskSpaceError,
    FileFormatError,
    SchemaMismatchError,
)
from fireworks.spill.piles import PileWriter
from message.strategies import messages
from spill.writing import KEY, order_by_key, same, table, there_and_back, written


def writer_of(folder, message=None, num_piles=2, **options):
    empty = fw.Message({"n": np.arange(0)}) if message is None else message[:0]
    return PileWriter(empty, num_piles, folder, **{"extras": {}, "write_bytes": 2**20} | options)


def arrow_holds(message):
    try:
        message.to_arrow()
    except ColumnTypeError:
        return False
    return True


class TestRows:
    @settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(messages(max_rows=40, min_columns=1), st.data())
    def test_each_pile_has_its_rows_in_any_order(self, tmp_path, message, data):
        num_piles = data.draw(st.sampled_from([1, 2, 7, 300]))
        dtype = np.uint8 if num_piles <= 256 else np.uint16
        seed = data.draw(st.integers(0, 2**32 - 1))
        piles = np.random.default_rng(seed).integers(0, num_piles, len(message)).astype(dtype)
        options = {
            "chunks": data.draw(st.integers(1, 4)),
            "write_bytes": data.draw(st.sampled_from([1, 200, 2**20])),
            "num_piles": num_piles,
        }
        if not arrow_holds(message):  # objects of several kinds
            with pytest.raises(ColumnTypeError, match=r"^shuffle: column .* holds "):
                written(message, piles, tmp_path, **options | {"chunks": 1, "write_bytes": 2**20})
            return
        found, keys = written(message, piles, tmp_path, **options)
        with found:
            numbers = {*piles.tolist(), 0, num_piles - 1}
            for number in sorted(numbers):
                rows = np.flatnonzero(piles == number)
                got, extras = found.read(number)
                assert got == message.take(rows)
                order = np.random.default_rng(seed).permutation(len(rows))[: data.draw(st.integers(0, len(rows)))]
                got, extras = found.read(number, lambda _, order=order: order)
                assert got == message.take(rows[order])
                assert extras["key"].tolist() == keys[rows[order]].tolist()
        assert not list(tmp_path.iterdir())

    def test_small_messages_are_written_together_and_long_ones_in_parts(self, tmp_path):
        message = table(5000)
        for write_bytes, chunks in [(2**10, 1), (2**10, 50), (2**16, 50), (2**30, 50)]:
            there_and_back(message, tmp_path, write_bytes=write_bytes, chunks=chunks)

    def test_what_waits_is_a_copy_of_the_callers_arrays(self, tmp_path):
        message, piles, keys = table(3), np.array([0, 1, 0], np.uint8), np.array([3, 2, 1], np.uint64)
        with PileWriter(message[:0], 2, tmp_path, extras=KEY, write_bytes=2**20) as writer:
            writer.write(message, piles, {"key": keys})
            piles[:], keys[:] = 1, 0
            with writer.finish() as found:
                same(*found.read(0), message.take([0, 2]), np.array([3, 1]))

    def test_no_rows_at_all(self, tmp_path):
        message = table(0)
        with writer_of(tmp_path, message, num_piles=3) as writer:
            writer.write(message, np.empty(0, np.uint8))
            with writer.finish() as found:
                assert found.counts.tolist() == [0, 0, 0]
                assert found.num_bytes == 0
                same(found.read(2)[0], {"key": np.empty(0)}, message, np.empty(0))

    def test_extras_without_columns(self, tmp_path):
        with PileWriter(fw.Message(), 2, tmp_path, extras=KEY, write_bytes=64) as writer:
            writer.write(fw.Message(), np.array([1, 0, 1], np.uint8), {"key": np.array([7, 8, 9], np.uint64)})
            with writer.finish() as found:
                message, extras = found.read(1)
                assert (len(message), extras["key"].tolist(), found.counts.tolist()) == (0, [7, 9], [1, 2])

    def test_rows_without_bytes(self, tmp_path):
        there_and_back(fw.Message({"x": torch.empty(9, 0, 2), "y": torch.empty(9, 0)}), tmp_path)

    def test_a_row_may_come_twice_or_not_at_all(self, tmp_path):
        found, keys = written(table(50), np.zeros(50, np.uint8), tmp_path, num_piles=1)
        with found:
            order = np.array([3, 3, 0] * 40)
            same(*found.read(0, lambda _: order), table(50).take(order), keys[order])

    def test_some_rows_at_a_time(self, tmp_path):
        message = table(2000)
        piles = (np.arange(2000) % 2).astype(np.uint8)
        found, keys = written(message, piles, tmp_path, num_piles=2, chunks=20, write_bytes=5000)
        with found:
            size = found.bytes_of(1)
            for max_bytes, count in [(1, 20), (size // 3, 4), (size, 1)]:
                pieces = list(found.stored(1, max_bytes))
                assert len(pieces) == count
                assert sum(stored.num_rows for stored, _ in pieces) == 1000
                assert np.concatenate([extras["key"] for _, extras in pieces]).tolist() == keys[1::2].tolist()

    def test_columns_may_come_in_another_order(self, tmp_path):
        with writer_of(tmp_path, table(5), 1) as writer:
            writer.write(table(5).select("many", "n", "few"), np.zeros(5, np.uint8))
            with writer.finish() as found:
                assert found.read(0)[0] == table(5)


def test_rows_of_other_piles_are_refused_and_so_are_those_that_come_too_late(tmp_path):
    first, _ = written(table(9), np.zeros(9, np.uint8), tmp_path, num_piles=1)
    second, _ = written(table(9), np.zeros(9, np.uint8), tmp_path, num_piles=1)
    with first, second:
        (rows, extras), (others, _) = next(first.stored(0, 10**6)), next(second.stored(0, 10**6))
        writer = PileWriter(rows, 1, tmp_path, extras=KEY, write_bytes=1)
        with pytest.raises(
            ValueError, match=r"^PileWriter: these rows are of other piles than those that it was made for\.$"
        ):
            writer.move(others, np.zeros(9, np.uint8), extras)
        writer.move(rows, np.zeros(9, np.uint8), extras)
        with writer.finish() as piles:
            assert piles.read(0)[0] == table(9)
        with pytest.raises(ValueError, match=r"^PileWriter: it is finished or closed; make another one\.$"):
            writer.move(rows, np.zeros(9, np.uint8), extras)


class TestMemory:
    def test_a_view_that_somebody_holds_never_changes(self, tmp_path):
        message = fw.Message({"x": torch.arange(1000), "y": np.arange(1000.0), "z": pd.array([1, None] * 500, "Int64")})
        message = message.assign(text=[f"{n:05}" for n in range(1000)])  # of one length, which are moved as numbers are
        piles = np.random.default_rng(0).integers(0, 8, 1000).astype(np.uint8)
        found, _ = written(message, piles, tmp_path, num_piles=8)
        with found:
            buffers = Buffers()
            held = [found.read(number, order_by_key, buffers) for number in range(8) for _ in range(2)]
            copies = [
                fw.Message({name: rows.raw(name).clone() if name == "x" else rows.raw(name).copy() for name in "xyz"})
                for rows, _ in held
            ]
            texts = [rows["text"].tolist() for rows, _ in held]
            for number in range(8):
                found.read(number, order_by_key, buffers)
            assert [rows.drop("text") for rows, _ in held] == copies
            assert [rows["text"].tolist() for rows, _ in held] == texts

    def test_memory_that_nobody_holds_is_used_again(self, tmp_path):
        message = fw.Message({"x": torch.arange(1000)})
        found, _ = written(message, (np.arange(1000) % 4).astype(np.uint8), tmp_path, num_piles=4)
        with found:
            buffers = Buffers()
            places = {found.read(number % 4, order_by_key, buffers)[0]["x"].data_ptr() for number in range(12)}
            assert len(places) == 1

    def test_several_threads_read_while_another_writes(self, tmp_path):
        message = table(20_000)
        piles = np.random.default_rng(0).integers(0, 16, 20_000).astype(np.uint8)
        found, keys = written(message, piles, tmp_path, num_piles=16, chunks=4)
        with found, ThreadPoolExecutor(4) as pool:
            results = [pool.submit(found.read, number % 16, order_by_key) for number in range(48)]
            other, _ = written(message, piles, tmp_path, num_piles=16)
            other.close()
            for number, result in enumerate(results):
                rows = np.flatnonzero(piles == number % 16)
                by_key = np.argsort(keys[rows])
                same(*result.result(), message.take(rows[by_key]), keys[rows][by_key])


def files_open_in(folder):
    """The files below a folder that this process holds open, with a name or without."""
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link for link in links if link.startswith(str(folder))]


class TestDamage:
    @pytest.fixture
    def found(self, tmp_path):
        found, _ = written(
            table(500), (np.arange(500) % 2).astype(np.uint8), tmp_path, num_piles=2, chunks=3, write_bytes=1
        )
        with found:
            yield found

    def test_a_file_that_is_cut(self, found):
        os.ftruncate(found._files._arena.file.descriptor, 20)  # it has no name, so nobody else can
        with pytest.raises(
            FileFormatError, match=r"^shuffle: a scratch file in '.*' ends too early; the disk may be damaged\."
        ):
            found.read(1, order_by_key)

    def test_a_pile_that_was_discarded(self, found):
        size = found.num_bytes
        found.discard(1)
        assert found.num_bytes == size - found.bytes_of(1)
        with pytest.raises(ValueError, match=r"^Piles: pile 1 was discarded\.$"):
            found.read(1)
        found.discard(1)
        assert len(found.read(0)[0]) == 250

    def test_piles_that_are_closed(self, found, tmp_path):
        found.close()
        found.close()
        assert not list(tmp_path.iterdir())
        with pytest.raises(ValueError, match=r"^shuffle: the piles are closed; pile 1 can't be read any more\.$"):
            found.read(1)

    def test_a_pile_that_is_not_there(self, found):
        with pytest.raises(IndexError, match=r"^Piles: there are 2 piles, from 0; got 2\.$"):
            found.read(2)

    def test_an_order_that_is_none(self, found):
        with pytest.raises(TypeError, match=r"^Piles: an order is an array of positions; got list\.$"):
            found.read(1, lambda _: [1, 2])
        with pytest.raises(TypeError, match=r"positions; got float64 of shape \(1,\)\.$"):
            found.read(1, lambda _: np.zeros(1))
        with pytest.raises(ValueError, match=r"^Piles: the pile has 250 rows; the order asks for rows 0 to 250\.$"):
            found.read(1, lambda _: np.array([0, 250]))


class TestEnd:
    def test_close_waits_for_readers(self, tmp_path):
        found, _ = written(table(10), np.zeros(10, np.uint8), tmp_path, num_piles=1)
        reads, goes_on = threading.Event(), threading.Event()

        def order(extras):
            reads.set()
            goes_on.wait(20)
            return np.argsort(extras["key"])

        with ThreadPoolExecutor(2) as pool:
            result = pool.submit(found.read, 0, order)
            assert reads.wait(20)
            closed = pool.submit(found.close)
            assert not closed.done()
            goes_on.set()
            assert len(result.result()[0]) == 10
            closed.result()
        assert not list(tmp_path.iterdir())

    def test_what_was_not_finished_is_removed(self, tmp_path):
        with writer_of(tmp_path, table(), write_bytes=1) as writer:
            writer.write(table(), np.zeros(1000, np.uint8))
            assert writer.num_bytes > 1000
            assert files_open_in(tmp_path)
        assert not files_open_in(tmp_path)
        assert not list(tmp_path.iterdir())
        with pytest.raises(ValueError, match=r"^PileWriter: it is finished or closed; make another one\.$"):
            writer.write(table(), np.zeros(1000, np.uint8))
        with pytest.raises(ValueError, match=r"^PileWriter: it is finished or closed; make another one\.$"):
            writer.finish()

    def test_a_writer_that_is_finished_owns_nothing(self, tmp_path):
        with writer_of(tmp_path, table()) as writer:
            writer.write(table(), np.zeros(1000, np.uint8))
            found = writer.finish()
        with found:
            assert found.read(0)[0] == table()

    @pytest.mark.parametrize("is_finished", [False, True])
    def test_nothing_stays_where_nobody_closes(self, tmp_path, is_finished):
        writer = writer_of(tmp_path, table(), write_bytes=1)
        writer.write(table(), np.zeros(1000, np.uint8))
        found = writer.finish() if is_finished else None
        assert files_open_in(tmp_path)
        del writer, found
        gc.collect()
        assert not files_open_in(tmp_path)
        assert not list(tmp_path.iterdir())


class TestRefusals:
    def test_numbers_that_make_no_sense(self, tmp_path):
        with pytest.raises(ValueError, match=r"^PileWriter: num_piles must be an int of at least 1; got 0\.$"):
            writer_of(tmp_path, num_piles=0)
        with pytest.raises(ValueError, match=r"^PileWriter: num_piles must be at most 65,536; got 65537\.$"):
            writer_of(tmp_path, num_piles=65537)
        with pytest.raises(ValueError, match=r"^PileWriter: write_bytes must be an int of at least 1; got 0\.$"):
            writer_of(tmp_path, write_bytes=0)

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            writer_of(tmp_path / "nowhere")

    def test_columns_that_are_others(self, tmp_path):
        with (
            writer_of(tmp_path, table()) as writer,
            pytest.raises(
                SchemaMismatchError,
                match=r"^shuffle: the rows have columns \['n'\]; those before, or the schema, have \['n', 'few', 'many'\]\.$",
            ),
        ):
            writer.write(table().select("n"), np.zeros(1000, np.uint8))

    def test_piles_that_are_none(self, tmp_path):
        rows = fw.Message({"n": np.arange(2)})
        with writer_of(tmp_path) as writer:
            for piles, got in [
                ([0, 1], "list"),
                (np.zeros(2), r"float64 of shape \(2,\)"),
                (np.zeros((2, 1), np.uint8), r"uint8 of shape \(2, 1\)"),
            ]:
                with pytest.raises(
                    TypeError,
                    match=rf"^PileWriter: piles must be an array of one uint8 or uint16 per row; got {got}\.$",
                ):
                    writer.write(rows, piles)
            with pytest.raises(ColumnLengthError, match=r"^PileWriter: there are 2 rows, piles has 3\.$"):
                writer.write(rows, np.zeros(3, np.uint8))
            with pytest.raises(ValueError, match=r"^PileWriter: there are 2 piles, from 0; got a row for pile 2\.$"):
                writer.write(rows, np.array([2, 0], np.uint8))

    def test_extras_that_were_not_agreed(self, tmp_path):
        rows, piles = fw.Message({"n": np.arange(2)}), np.zeros(2, np.uint8)
        with writer_of(tmp_path, extras=KEY) as writer:
            with pytest.raises(ValueError, match=r"^PileWriter: extras must be \['key'\]; got \[\]\.$"):
                writer.write(rows, piles)
            for wrong in (np.zeros(2), np.zeros(3, np.uint64)):
                with pytest.raises(
                    ValueError, match=r"^PileWriter: extras\['key'\] must be uint64 of shape \(2,\); got "
                ):
                    writer.write(rows, piles, {"key": wrong})

    def test_nothing_is_written_of_a_message_that_is_refused(self, tmp_path):
        message = fw.Message({"n": np.arange(2), "o": np.array(["a", {1}], dtype=object)})
        with writer_of(tmp_path, message, write_bytes=1) as writer:
            writer.write(message[:1], np.zeros(1, np.uint8))
            before = writer.num_bytes
            with pytest.raises(ColumnTypeError, match=r"^shuffle: column 'o' holds \{1\} of type set in row 0"):
                writer.write(message[1:], np.zeros(1, np.uint8))
            assert writer.num_bytes == before
            with pytest.raises(ColumnTypeError, match="of type set in row 0"):  # the first row alone would do
                writer.write(message, np.zeros(2, np.uint8))
            assert writer.num_bytes == before
            with writer.finish() as found:
                assert found.read(0)[0] == message[:1]


class TestFullDisk:
    def test_everything_is_removed_and_the_folder_can_be_used_again(self, tmp_path):
        message, piles = table(20_000), (np.arange(20_000) % 4).astype(np.uint8)
        with small_disk(tmp_path, 2**20):
            writer = writer_of(tmp_path, message, 4, write_bytes=2**16)

            def write_much():
                for _ in range(10):
                    writer.write(message, piles)

            with pytest.raises(
                DiskSpaceError,
                match=r"^shuffle: no room is left in '.*' \(No space left on device\) after (1\.0 MB|\d{3}\.\d kB) of scratch; what was "
                r"written is removed\. Make room, or pass another folder to fw\.scratch_folder\.$",
            ):
                write_much()
            assert not list(tmp_path.iterdir())
            assert os.statvfs(tmp_path).f_bavail > 200
            there_and_back(table(2000), tmp_path)

    def test_nothing_is_left_where_a_file_may_grow_no_more(self, tmp_path):
        with (
            writer_of(tmp_path, table(), write_bytes=1) as writer,
            largest_file(100),
            pytest.raises(DiskSpaceError, match="File too large"),
        ):
            writer.write(table(), np.zeros(1000, np.uint8))
        assert not list(Path(tmp_path).iterdir())
