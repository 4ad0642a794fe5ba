"""One file per pile: vectored writes at its end, vectored reads anywhere, few descriptors, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fireworks.errors import DiskSpaceError, FileFormatError
from fireworks.spill.scratch import size_text

_IOV_MAX = os.sysconf("SC_IOV_MAX") if "SC_IOV_MAX" in os.sysconf_names else 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SHARE = 8  # of the descriptors that the process may have, what the piles of one writer keep open
_FEWEST = 16


class _Seen(NamedTuple):
    """What tells a file from another one, and from itself after a change."""

    device: int
    inode: int
    num_bytes: int
    changed_ns: int


class PileFiles:
    """The files of all piles of one writer, in a folder of their own that goes when they go.

    As many as an eighth of the process's limit stay open; others are opened for each use. Any number of threads may read
    at once; a file is not closed under a reader. A forked child that lets go of its copy leaves the files alone.

    Args:
        folder: Where the folder of the piles is made.
        num_piles: How many.
        user: Who writes, for the errors.
    """

    def __init__(self, folder: Path, num_piles: int, user: str) -> None:
        self.user = user
        self.sizes = [0] * num_piles
        self.num_bytes = 0
        self._seen: dict[int, _Seen] = {}
        self._parent = folder
        with self._full_disk_is_said():
            self._folder = Path(tempfile.mkdtemp(prefix="piles-", dir=folder))
        self._open: dict[int, int] = {}
        self._most_open = max(_FEWEST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE)
        self._readers: Counter[int] = Counter()
        self._changed = threading.Condition()
        self._close = weakref.finalize(self, _remove, self._folder, self._open, os.getpid())

    @property
    def is_closed(self) -> bool:
        """Whether the files are gone."""
        return not self._close.alive

    def append(self, number: int, pieces: Sequence[memoryview], num_bytes: int) -> None:
        """Write pieces one after the other at the end of a pile.

        Raises:
            DiskSpaceError: the disk is full; part of the pieces may be there, so the caller gives all up.
        """
        with self._full_disk_is_said(), self._descriptor(number) as descriptor:
            _write(descriptor, list(pieces), self.sizes[number], num_bytes)
        self.sizes[number] += num_bytes
        self.num_bytes += num_bytes

    @contextlib.contextmanager
    def _full_disk_is_said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise DiskSpaceError(
                f"{self.user}: no room is left in {str(self._parent)!r} ({error.strerror}) after "
                f"{size_text(self.num_bytes)} of scratch; what was written is removed. Make room, or pass another folder to "
                "fw.scratch_folder."
            ) from error

    def seal(self) -> None:
        """Note how the files look now; from here on, one that changes is damaged."""
        for number, num_bytes in enumerate(self.sizes):
            if num_bytes:
                with self._descriptor(number) as descriptor:
                    self._seen[number] = _look_at(descriptor)

    @contextlib.contextmanager
    def reading(self, number: int) -> Iterator[int]:
        """Give the descriptor of a pile for a time in which nobody closes it; check the file before and after.

        Raises:
            FileFormatError: the file is not as it was when it was written.
        """
        with self._changed:
            if self.is_closed:
                raise ValueError(f"{self.user}: the piles are closed; pile {number} can't be read any more.")
            self._readers[number] += 1
        try:
            try:
                with self._descriptor(number) as descriptor:
                    self._require_same(number, descriptor)
                    yield descriptor
                    self._require_same(number, descriptor)
            except FileNotFoundError as error:
                raise FileFormatError(f"{self._place(number)} is gone; {_REMEDY}") from error
        finally:
            with self._changed:
                self._readers[number] -= 1
                self._changed.notify_all()

    def fill(self, number: int, descriptor: int, pieces: Sequence[memoryview], offset: int) -> None:
        """Read pieces that lie one after the other in a pile.

        Raises:
            FileFormatError: the file ends before.
        """
        left = list(pieces)
        while left:
            count = os.preadv(descriptor, left[:_IOV_MAX], offset)
            if not count:
                raise FileFormatError(f"{self._place(number)} ends after {offset:,} bytes, too early; {_REMEDY}")
            offset += count
            left = _after(left, count)

    def expect(self, descriptor: int, number: int) -> None:
        """Tell the system that all of a pile is about to be read."""
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(descriptor, 0, self.sizes[number], os.POSIX_FADV_WILLNEED)

    def discard(self, number: int) -> None:
        """Give the disk back what a pile takes; waits for its readers."""
        with self._changed:
            self._changed.wait_for(lambda: not self._readers[number])
            descriptor = self._open.pop(number, None)
            if self.is_closed or not self.sizes[number]:
                return
            path = self._path(number)
        with contextlib.suppress(OSError):
            os.truncate(path if descriptor is None else descriptor, 0)  # even where a forked child holds it too
        path.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)
        self._seen.pop(number, None)

    def close(self) -> None:
        """Remove all files; waits for their readers."""
        with self._changed:
            self._changed.wait_for(lambda: not any(self._readers.values()))
            self._close()

    @contextlib.contextmanager
    def _descriptor(self, number: int) -> Iterator[int]:
        with self._changed:
            if self.is_closed:
                raise ValueError(f"{self.user}: the piles are closed.")
            kept = self._open.get(number)
            if kept is None and len(self._open) < self._most_open:
                kept = self._open[number] = self._opened(number)
        if kept is not None:
            yield kept
            return
        descriptor = self._opened(number)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _opened(self, number: int) -> int:
        is_new = not self.sizes[number]
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if is_new else 0)
        return os.open(self._path(number), flags, 0o600)

    def _require_same(self, number: int, descriptor: int) -> None:
        now, before = _look_at(descriptor), self._seen[number]
        if now == before:
            return
        how = (
            f"has {now.num_bytes:,} bytes instead of {before.num_bytes:,}"
            if now.num_bytes != before.num_bytes
            else "was changed since it was written"
        )
        raise FileFormatError(f"{self._place(number)} {how}; {_REMEDY}")

    def _place(self, number: int) -> str:
        return f"{self.user}: the scratch file {str(self._path(number))!r}"

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05d}"


_REMEDY = "somebody else writes there. Start the pass again, with a folder of your own in fw.scratch_folder."


def _look_at(descriptor: int) -> _Seen:
    found = os.fstat(descriptor)
    return _Seen(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _write(descriptor: int, left: list[memoryview], offset: int, num_bytes: int) -> None:
    end = offset + num_bytes
    if len(left) <= _IOV_MAX and os.pwritev(descriptor, left, offset) == num_bytes:
        return  # as it is but for signals and disks that are almost full
    left = [piece for piece in left if len(piece)]
    while left:
        count = os.pwritev(descriptor, left[:_IOV_MAX], offset)
        offset += count
        left = _after(left, count)
    if offset != end:
        raise AssertionError(f"{offset} instead of {end} bytes were written")


def _after(pieces: list[memoryview], count: int) -> list[memoryview]:
    """Return what is left of pieces when so many bytes of them are done."""
    for place, piece in enumerate(pieces):
        if count < len(piece):
            return [piece[count:], *pieces[place + 1 :]]
        count -= len(piece)
    return []


def _remove(folder: Path, descriptors: dict[int, int], owner: int) -> None:
    is_ours = os.getpid() == owner  # and not a child's copy
    for descriptor in descriptors.values():
        if is_ours:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)  # gives the room back even where a forked child holds the file too
        os.close(descriptor)
    descriptors.clear()
    if is_ours:
        shutil.rmtree(folder, ignore_errors=True)
