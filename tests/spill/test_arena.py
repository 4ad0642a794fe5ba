"""One file in blocks: what one pile gives back, another writes over, and nothing gets mixed up."""

import gc
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from disks import largest_file, small_disk
from fireworks.errors import DiskSpaceError, FileFormatError
from fireworks.spill.arena import Arena, ArenaFiles
from spill.writing import order_by_key, same, table, there_and_back, written


@pytest.fixture
def arena(tmp_path):
    with_few_bytes = Arena(tmp_path, "shuffle", block_bytes=8)
    yield with_few_bytes
    with_few_bytes.close()
    assert not list(tmp_path.iterdir())


def views(*pieces):
    return [memoryview(piece) for piece in pieces]


def read(files, number, *lengths, offset=0):
    found = [bytearray(length) for length in lengths]
    with files.reading(number) as descriptor:
        files.expect(descriptor, number)
        files.fill(number, descriptor, views(*found), offset)
    return [bytes(piece) for piece in found]


class TestBlocks:
    def test_of_several_piles_lie_between_each_other(self, arena):
        files = ArenaFiles(arena, 3)
        expected = [b"", b"", b""]
        rng = np.random.default_rng(0)
        for _ in range(60):
            number = int(rng.integers(0, 3))
            pieces = [bytes(rng.integers(0, 256, int(size), dtype=np.uint8)) for size in rng.integers(0, 20, 4)]
            files.append(number, views(*pieces), sum(map(len, pieces)))
            expected[number] += b"".join(pieces)
        assert files.sizes == [*map(len, expected)]
        assert files.num_bytes == sum(files.sizes)
        for number, whole in enumerate(expected):
            assert read(files, number, len(whole)) == [whole]
            for offset in range(0, len(whole) - 30, 7):
                lengths = [5, 0, 11, 14]
                assert b"".join(read(files, number, *lengths, offset=offset)) == whole[offset : offset + 30]

    def test_that_are_given_back_are_written_over(self, arena):
        first, second = ArenaFiles(arena, 2), ArenaFiles(arena, 1)
        first.append(0, views(b"a" * 20), 20)
        first.append(1, views(b"b" * 20), 20)
        assert (arena.num_bytes, arena.num_free_bytes) == (48, 0)
        first.discard(0)
        first.discard(0)
        assert arena.num_free_bytes == 24
        second.append(0, views(b"c" * 24), 24)
        assert (arena.num_bytes, arena.num_free_bytes) == (48, 0)
        assert read(first, 1, 20) == [b"b" * 20]
        assert read(second, 0, 24) == [b"c" * 24]
        first.close()
        first.close()
        assert first.is_closed
        assert arena.num_free_bytes == 24
        assert read(second, 0, 24) == [b"c" * 24]
        with pytest.raises(ValueError, match=r"^shuffle: the piles are closed; pile 1 can't be read any more\.$"):
            read(first, 1, 1)

    @pytest.mark.parametrize("most", [1, 3])
    def test_are_written_and_read_whole_where_the_system_does_a_part(self, arena, monkeypatch, most):
        def some(function):
            def call(descriptor, pieces, offset, *flags):
                return function(descriptor, [piece[:most] for piece in pieces if len(piece)][:1], offset, *flags)

            return call

        monkeypatch.setattr(os, "pwritev", some(os.pwritev))
        monkeypatch.setattr(os, "preadv", some(os.preadv))
        files = ArenaFiles(arena, 1)
        files.append(0, views(b"abcdefgh", b"", b"ijk"), 11)
        files.append(0, views(b"lm"), 2)
        assert read(files, 0, 5, 0, 8) == [b"abcde", b"", b"fghijklm"]
        assert read(files, 0, 2, offset=6) == [b"gh"]

    def test_that_the_disk_has_lost(self, arena):
        files = ArenaFiles(arena, 1)
        files.append(0, views(b"a" * 20), 20)
        os.ftruncate(arena.file.descriptor, 10)
        with pytest.raises(
            FileFormatError,
            match=r"^shuffle: a scratch file in '.*' ends too early; the disk may be damaged\. Start the pass again, with "
            r"another folder in fw\.scratch_folder\.$",
        ):
            read(files, 0, 20)


class TestRows:
    @pytest.mark.parametrize("block_bytes", [64, 4096, 2**18])
    def test_come_back_in_any_order(self, tmp_path, block_bytes):
        with_blocks = Arena(tmp_path, "shuffle", block_bytes=block_bytes)
        for write_bytes in (3000, 2**20):
            there_and_back(table(2000), with_blocks, chunks=4, write_bytes=write_bytes)
        assert with_blocks.num_free_bytes == with_blocks.num_bytes
        with_blocks.close()

    def test_of_one_use_are_not_those_of_the_next(self, tmp_path):
        """Epoch after epoch: each pile is read, given back, and its blocks taken for the next epoch's piles."""
        with_blocks, message = Arena(tmp_path, "shuffle", block_bytes=512), table(3000)
        rng = np.random.default_rng(0)
        old, largest = None, 0
        for epoch in range(4):
            piles = rng.integers(0, 6, 3000).astype(np.uint8)
            new, keys = written(message, piles, with_blocks, num_piles=6, chunks=5, write_bytes=5000)
            if old is not None:
                for number in range(6):
                    rows = np.flatnonzero(old[1] == number)
                    by_key = np.argsort(keys[rows])
                    same(*old[0].read(number, order_by_key), message.take(rows[by_key]), keys[rows][by_key])
                    old[0].discard(number)
                old[0].close()
            if epoch == 1:
                largest = with_blocks.num_bytes
            old = new, piles
        assert with_blocks.num_bytes <= largest * 1.05
        old[0].close()
        with_blocks.close()

    def test_several_threads_write_and_read_at_once(self, tmp_path):
        with_blocks = Arena(tmp_path, "shuffle", block_bytes=256)
        with ThreadPoolExecutor(4) as pool:
            results = [
                pool.submit(there_and_back, table(800, seed), with_blocks, chunks=3, write_bytes=4000)
                for seed in range(12)
            ]
            for result in results:
                result.result()
        assert with_blocks.num_free_bytes == with_blocks.num_bytes
        with_blocks.close()


class TestEnd:
    def test_the_file_has_no_name(self, tmp_path, arena):
        ArenaFiles(arena, 1).append(0, views(b"abc"), 3)
        assert not list(tmp_path.iterdir())

    def test_also_where_the_system_knows_no_such_files(self, tmp_path, monkeypatch):
        monkeypatch.delattr(os, "O_TMPFILE")
        there_and_back(table(100), Arena(tmp_path, "shuffle"))
        assert not list(tmp_path.iterdir())

    def test_gives_the_room_back(self, tmp_path):
        with small_disk(tmp_path, 2**20):
            for end in ("close", "death"):
                some = Arena(tmp_path, "shuffle")
                files = ArenaFiles(some, 1)
                files.append(0, views(b"a" * 600_000), 600_000)
                if end == "close":
                    some.close()
                    assert some.is_closed
                    assert files.is_closed
                del some, files
                gc.collect()

    def test_on_a_full_disk(self, tmp_path):
        message = table(20_000)
        with small_disk(tmp_path, 2**18):
            some = Arena(tmp_path, "shuffle", block_bytes=2**14)
            with pytest.raises(
                DiskSpaceError, match=r"^shuffle: no room is left in '.*' \(No space left on device\) after "
            ):
                written(message, np.zeros(20_000, np.uint8), some, num_piles=1, write_bytes=2**16, chunks=4)
            assert some.num_free_bytes == some.num_bytes
            there_and_back(table(2000), some)  # what was written can be written over
            some.close()
            del some

    def test_where_a_file_may_grow_no_more(self, arena):
        with largest_file(10), pytest.raises(DiskSpaceError, match="File too large"):
            ArenaFiles(arena, 1).append(0, views(b"a" * 20), 20)


class TestNumbersBesides:
    def test_are_had_in_any_order(self, arena):
        parts = [np.arange(start, start + 1000) for start in range(0, 5000, 1000)]
        numbers = arena.mapped(parts, np.int64)
        assert numbers[[4999, 0, 1000, 1]].tolist() == [4999, 0, 1000, 1]
        assert not numbers.flags.writeable
        assert len(arena.mapped([], np.int64)) == 0

    def test_are_written_over_by_the_next_ones(self, arena):
        arena.mapped([np.arange(5000)], np.int64)
        assert arena.mapped([np.arange(7), np.arange(2)], np.int64).tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]

    def test_on_a_full_disk(self, arena):
        with (
            largest_file(100),
            pytest.raises(DiskSpaceError, match=r"^shuffle: no room is left in .* \(File too large\)"),
        ):
            arena.mapped([np.arange(5000)], np.int64)
        assert arena.mapped([np.arange(3)], np.int64).tolist() == [0, 1, 2]
