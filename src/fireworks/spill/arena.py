"""One file for all piles of a use, in blocks: what one pile has done with, another writes over.

Memory of the system's page cache that a file has for the first time costs several times what writing over it does. So the
blocks of piles that nobody reads any more are taken again, the latest first. The file has no name where the system allows
it: nobody else can write into it, and it goes with the process, however that ends.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import itertools
import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from fireworks.errors import DiskSpaceError, FileFormatError
from fireworks.message.display import bytes_text

Array: TypeAlias = "np.ndarray[Any, Any]"

_IOV_MAX = os.sysconf("SC_IOV_MAX") if "SC_IOV_MAX" in os.sysconf_names else 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BLOCK_BYTES = 2**18
_LOOKS = 4  # at a pile, to see whether it is in memory
_NOTHING = memoryview(b"")


class Arena:
    """A file in blocks, which piles take and give back. Any number of threads may use it.

    Args:
        folder: Where the file is.
        user: Who writes, for the errors.
        block_bytes: Of one block.

    Example:
        >>> arena = Arena(Path(tempfile.gettempdir()), "this example", block_bytes=4)
        >>> block = arena.take()
        >>> arena.give([block]); arena.take() == block
        True
        >>> arena.close()
    """

    def __init__(self, folder: Path, user: str, *, block_bytes: int = _BLOCK_BYTES) -> None:
        self.user, self.folder, self.block_bytes = user, folder, block_bytes
        self._file: _File | None = _File(_nameless(folder))
        self._numbers: _File | None = None
        self._free: list[int] = []
        self._num_blocks = 0
        self._lock = threading.Lock()
        self._close = weakref.finalize(self, _given_up, self._file, os.getpid())

    @property
    def num_bytes(self) -> int:
        """How large the file is."""
        return self._num_blocks * self.block_bytes

    @property
    def num_free_bytes(self) -> int:
        """How much of it nobody has."""
        return len(self._free) * self.block_bytes

    @property
    def is_closed(self) -> bool:
        """Whether the file is gone."""
        return not self._close.alive

    def take(self) -> int:
        """Return the number of a block that nobody has."""
        with self._lock:
            if self._free:
                return self._free.pop()
            self._num_blocks += 1
            return self._num_blocks - 1

    def give(self, blocks: Sequence[int]) -> None:
        """Take blocks back, the first of which will be the next to go out."""
        with self._lock:
            self._free.extend(reversed(blocks))

    @property
    def file(self) -> _File:
        """The file; as long as somebody has it, its descriptor is this file's and no other's.

        Raises:
            ValueError: the arena is closed.
        """
        if self._file is None:
            raise ValueError(f"{self.user}: the piles are closed.")
        return self._file

    def mapped(self, parts: Iterable[Array], dtype: Any) -> Array:
        """Return numbers that are to be had in any order without being in memory.

        They lie in a file of their own, which the next call writes over.

        Raises:
            DiskSpaceError: the disk is full.
        """
        if self._numbers is None:
            self._numbers = _File(_nameless(self.folder))
        num_bytes = 0
        with self.telling_when_full(self.num_bytes):
            for part in parts:
                _write(self._numbers.descriptor, [part.data.cast("B")], num_bytes)
                num_bytes += part.nbytes
        if not num_bytes:
            return np.empty(0, dtype)
        return np.frombuffer(mmap.mmap(self._numbers.descriptor, num_bytes, access=mmap.ACCESS_READ), dtype)

    @contextlib.contextmanager
    def telling_when_full(self, num_bytes: int) -> Iterator[None]:
        """Say in words that the disk is full, which has taken so much by then."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise DiskSpaceError(
                f"{self.user}: no room is left in {str(self.folder)!r} ({error.strerror}) after {bytes_text(num_bytes)} of "
                "scratch; what was written is removed. Make room, or pass another folder to fw.scratch_folder."
            ) from error

    def close(self) -> None:
        """Give the disk back. May be called again; a thread that still reads or writes comes to its end in peace."""
        self._file = self._numbers = None
        self._close()


class _File:
    """A descriptor that is closed when nobody has it any more."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # the names of a module may be gone by then
        close(self.descriptor)


class ArenaFiles:
    """The piles of one writer as lists of blocks.

    Args:
        arena: Where they are.
        num_piles: How many.
        owns: Whether the arena is for these piles alone, and goes with them.
    """

    def __init__(self, arena: Arena, num_piles: int, *, owns: bool = False) -> None:
        self.user = arena.user
        self.sizes = [0] * num_piles
        self.num_bytes = 0
        self._arena, self._owns = arena, owns
        self._blocks: list[list[int]] = [[] for _ in range(num_piles)]
        self._closed = False
        self._changed = threading.Condition()
        self._readers = [0] * num_piles

    @property
    def is_closed(self) -> bool:
        """Whether the piles are gone."""
        return self._closed or self._arena.is_closed

    def append(self, number: int, pieces: Sequence[memoryview], num_bytes: int) -> None:
        """Write pieces one after the other at the end of a pile.

        Raises:
            DiskSpaceError: the disk is full; part of the pieces may be there, so the caller gives all up.
        """
        blocks, size = self._blocks[number], self.sizes[number]
        while len(blocks) * self._arena.block_bytes < size + num_bytes:
            blocks.append(self._arena.take())
        file = self._arena.file
        with self._arena.telling_when_full(self.num_bytes):
            for offset, now in _dealt(pieces, self._extents(number, size, num_bytes)):
                _write(file.descriptor, now, offset)
        self.sizes[number] += num_bytes
        self.num_bytes += num_bytes

    @contextlib.contextmanager
    def reading(self, number: int) -> Iterator[int]:
        """Give the descriptor of the file for a time in which the blocks of a pile stay what they are."""
        with self._changed:
            if self.is_closed:
                raise ValueError(f"{self.user}: the piles are closed; pile {number} can't be read any more.")
            self._readers[number] += 1
        try:
            file = self._arena.file
            yield file.descriptor
        finally:
            with self._changed:
                self._readers[number] -= 1
                self._changed.notify_all()

    def fill(self, number: int, descriptor: int, pieces: Sequence[memoryview], offset: int) -> None:
        """Read pieces that lie one after the other in a pile.

        Raises:
            FileFormatError: the file ends before.
        """
        size = self._arena.block_bytes
        place, inside = divmod(offset, size)
        if len(pieces) == 1 and inside + len(pieces[0]) <= size and len(pieces[0]):  # as it is nearly always
            start = self._blocks[number][place] * size + inside
            if os.preadv(descriptor, pieces, start) == len(pieces[0]):
                return
        for start, now in _dealt(pieces, self._extents(number, offset, sum(map(len, pieces)))):
            if not _read(descriptor, now, start):
                raise FileFormatError(
                    f"{self.user}: a scratch file in {str(self._arena.folder)!r} ends too early; the disk may be damaged. "
                    "Start the pass again, with another folder in fw.scratch_folder."
                )

    def expect(self, descriptor: int, number: int) -> None:
        """Tell the system that all of a pile is about to be read, unless it seems to be in memory."""
        if not hasattr(os, "posix_fadvise"):
            return
        with contextlib.suppress(OSError):
            stretches = list(self._extents(number, 0, self.sizes[number]))
            if all(_is_cached(descriptor, start) for start, _ in stretches[:: len(stretches) // _LOOKS + 1]):
                return
            for start, length in stretches:
                os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_WILLNEED)

    def discard(self, number: int) -> None:
        """Give the blocks of a pile back; waits for its readers."""
        with self._changed:
            self._changed.wait_for(lambda: not self._readers[number])
            blocks, self._blocks[number] = self._blocks[number], []
        self._arena.give(blocks)

    def close(self) -> None:
        """Give all blocks back; waits for the readers."""
        with self._changed:
            self._changed.wait_for(lambda: not any(self._readers))
            if self._closed:
                return
            self._closed = True
        for number in range(len(self._blocks)):
            self.discard(number)
        if self._owns:
            self._arena.close()

    def _extents(self, number: int, offset: int, num_bytes: int) -> Iterator[tuple[int, int]]:
        """Yield where bytes of a pile lie in the file: the beginning and the length of each stretch."""
        size, blocks = self._arena.block_bytes, self._blocks[number]
        at, inside = divmod(offset, size)
        left = num_bytes
        while left:
            start, first = blocks[at] * size + inside, at
            while (at + 1 - first) * size - inside < left and at + 1 < len(blocks) and blocks[at + 1] == blocks[at] + 1:
                at += 1
            length = min((at + 1 - first) * size - inside, left)
            yield start, length
            left -= length
            at, inside = at + 1, 0


def _divided(pieces: list[memoryview], num_bytes: int) -> tuple[list[memoryview], list[memoryview]]:
    """Return the pieces up to so many bytes, and those behind."""
    ends = list(itertools.accumulate(map(len, pieces)))
    if not ends or ends[-1] <= num_bytes:
        return pieces, []
    place = bisect.bisect_right(ends, num_bytes)
    inside = num_bytes - (ends[place - 1] if place else 0)
    before = [*pieces[:place], pieces[place][:inside]] if inside else pieces[:place]
    return before, [pieces[place][inside:], *pieces[place + 1 :]]


def _dealt(
    pieces: Sequence[memoryview], stretches: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, list[memoryview]]]:
    """Yield where each stretch begins, and the pieces that it holds; one that reaches over its end is cut."""
    rest = iter([piece for piece in pieces if len(piece)])
    piece = next(rest, _NOTHING)
    for start, length in stretches:
        now, left = [], length
        while len(piece) and len(piece) <= left:
            now.append(piece)
            left -= len(piece)
            piece = next(rest, _NOTHING)
        if left:
            now.append(piece[:left])
            piece = piece[left:]
        yield start, now


def _write(descriptor: int, pieces: list[memoryview], offset: int) -> None:
    while pieces:
        count = os.pwritev(descriptor, pieces[:_IOV_MAX], offset)
        offset += count
        _, pieces = _divided(pieces, count)


def _read(descriptor: int, pieces: list[memoryview], offset: int) -> bool:
    """Fill pieces; return whether the file had as much."""
    while pieces:
        count = os.preadv(descriptor, pieces[:_IOV_MAX], offset)
        if not count:
            return False
        offset += count
        _, pieces = _divided(pieces, count)
    return True


def _is_cached(descriptor: int, offset: int) -> bool:
    """Tell whether a byte can be had without the disk; the system may not know, and says no."""
    try:
        return bool(os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT))
    except (AttributeError, OSError):
        return False


def _nameless(folder: Path) -> int:
    """Return the descriptor of a new file that has no name, or loses it at once."""
    if hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):  # some file systems know no files without a name
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    descriptor, name = tempfile.mkstemp(prefix="piles-", dir=folder)
    os.unlink(name)  # noqa: PTH108 (a name, as mkstemp gives it)
    return descriptor


def _given_up(file: _File, owner: int) -> None:
    if os.getpid() == owner:  # and not a child's copy
        # gives the room back even where a forked child, or a thread, has the file too
        with contextlib.suppress(OSError):
            os.ftruncate(file.descriptor, 0)
