"""A folder for one use, on the disk: gone when the use is over, or when the next one begins after a kill."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from fireworks._internal.files import as_path
from fireworks.errors import DiskSpaceError
from fireworks.message.display import bytes_text

_VARIABLE = "FIREWORKS_SCRATCH"
_PREFIX = "fireworks-scratch-"
_NAME = re.compile(re.escape(_PREFIX) + "[0-9a-f]{16}")
_LOCK = "fireworks-scratch.lock"
_MARK = b"fireworks scratch 1\n"
_TRIES = 100  # another process that clears up may take away what we are just making
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SHARED = re.compile(r"nfs|cifs|smb|9p|fuse|lustre|ceph|gluster|virtiofs|afs|gpfs|beegfs|ocfs|gfs2")
_BOOT = Path("/proc/sys/kernel/random/boot_id")

_chosen: Path | None = None


class scratch_folder:  # noqa: N801 (it is called as a function is, and used with `with`)
    """Choose the folder in which passes that start from now on make their scratch files.

    Without it, that is the folder in the environment variable ``FIREWORKS_SCRATCH``, or else the system's for temporary
    files. Used with ``with``, the choice ends with the block.

    Args:
        folder: A folder that exists, best on a quick disk of this computer. None for the system's.

    Raises:
        TypeError: it is no path.
        OSError: there is no such folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, fw.scratch_folder(folder), fw.memory_budget("1MB"):
        ...     batches = list(fw.source({"x": torch.arange(4)}).shuffle(seed=0).batch(2))
        >>> len(batches)
        2
    """

    def __init__(self, folder: str | Path | None) -> None:
        global _chosen  # noqa: PLW0603 (one choice of the process, seen by all of its threads)
        checked = None if folder is None else as_path(folder, where="scratch_folder").absolute()
        if checked is not None and not checked.is_dir():
            raise NotADirectoryError(f"scratch_folder: there is no folder {str(folder)!r}; make it first.")
        self._before = _chosen
        _chosen = checked

    def __enter__(self) -> Path:
        return current_folder()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        global _chosen  # noqa: PLW0603
        _chosen = self._before


def current_folder() -> Path:
    """Return the folder in which scratch is made now."""
    if _chosen is not None:
        return _chosen
    named = os.environ.get(_VARIABLE)
    return Path(named).expanduser().absolute() if named else Path(tempfile.gettempdir())


class Scratch:
    """A folder of its own for one use, below `current_folder`.

    It is removed by `close`, when the object dies, and when the interpreter ends. A process that is killed leaves it behind;
    the next scratch in the same place removes it, whoever makes it. What tells the dead from the living is a lock that the
    system takes from a process with its last thread; a process number would mean another process in another container.

    A forked child shares the folder, and leaves it alone when it ends.

    Args:
        user: Who needs it, for the errors.

    Raises:
        DiskSpaceError: the disk is full.
        OSError: no folder can be made there.

    Example:
        >>> scratch = Scratch("this example")
        >>> _ = (scratch.path / "rows").write_bytes(b"1")
        >>> scratch.close(); scratch.path.exists()
        False
    """

    def __init__(self, user: str) -> None:
        self.user = user
        self._parent = current_folder()
        try:
            _clear_up(self._parent)
            self.path, lock = _made(self._parent)
        except OSError as error:
            raise self._failed(error) from error
        self._close = weakref.finalize(self, _remove, self.path, lock, os.getpid())

    def _failed(self, error: OSError) -> OSError:
        where = f"{self.user}: no scratch folder can be made in {str(self._parent)!r}"
        if error.errno in _FULL:
            return DiskSpaceError(f"{where}: {error.strerror}; make room, or pass another folder to fw.scratch_folder.")
        chosen = f" (from the environment variable {_VARIABLE})" if _chosen is None and _VARIABLE in os.environ else ""
        return type(error)(
            error.errno, f"{where}{chosen}: {error.strerror or error}; pass another folder to fw.scratch_folder"
        )

    def require_space(self, num_bytes: int) -> None:
        """Raise where so many bytes more have no room on the disk.

        Raises:
            DiskSpaceError: they have none; says how much there is.
        """
        disk = os.statvfs(self.path)
        free = disk.f_bavail * disk.f_frsize
        if num_bytes > free:
            raise DiskSpaceError(
                f"{self.user} needs {bytes_text(num_bytes)} of scratch, {bytes_text(free)} are free in {str(self._parent)!r}; "
                "pass another folder to fw.scratch_folder, or leave out columns and rows that are not needed before it, or "
                "give it more memory with fw.memory_budget."
            )

    def close(self) -> None:
        """Remove the folder and all that is in it. May be called again."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Scratch({str(self.path)!r}{'' if self._close.alive else ', closed'})"


# --- making and removing ----------------------------------------------------------------------------------------------


def _made(parent: Path) -> tuple[Path, int]:
    """Make a folder, and hold the lock of the file in it that says whose it is; return its path and the lock."""
    for _ in range(_TRIES):
        path = parent / f"{_PREFIX}{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        try:
            lock = os.open(path / _LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # somebody who clears up took the empty folder for one of a process that was killed here
        try:
            if _is_held(lock, path / _LOCK, or_cannot=True):
                os.write(lock, _MARK + f"{_this_machine()}\n{socket.gethostname()} {os.getpid()}\n".encode())
                return path, lock
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
            raise
        os.close(lock)
    raise OSError(errno.EAGAIN, "each folder was taken away as soon as it was made")


def _is_held(lock: int, path: Path, *, or_cannot: bool) -> bool:
    """Take the lock of an open file, and tell whether we have it and the file is still the one at its path.

    Args:
        lock: The descriptor.
        path: Where the file was.
        or_cannot: The answer where the disk knows no locks.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return or_cannot and error.errno in _NO_LOCKS
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path, follow_symlinks=False))  # noqa: PTH116 (lstat has no twin)
    except FileNotFoundError:
        return False


def _this_machine() -> str:
    """Return what tells this computer, since it was started, from all others; the same in all of its containers."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return socket.gethostname()


def _remove(path: Path, lock: int, owner: int) -> None:
    if os.getpid() == owner:  # and not a forked child
        _empty(path)
    os.close(lock)  # without unlocking it: a child may hold it too


def _empty(path: Path) -> None:
    """Remove a folder, the file with the lock last, so that a kill in between leaves what can be told for ours."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(path)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != _LOCK:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108
        if {entry.name for entry in os.scandir(path)} <= {_LOCK}:
            (path / _LOCK).unlink(missing_ok=True)
            path.rmdir()


# --- what the dead left -----------------------------------------------------------------------------------------------


def _clear_up(parent: Path) -> None:
    """Remove the folders of processes that have died; whatever can't be told for such is left alone."""
    ours: list[Path] = []
    with contextlib.suppress(PermissionError), os.scandir(parent) as entries:  # one may make without seeing
        ours += [
            Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    for path in ours:
        with contextlib.suppress(OSError):  # it went meanwhile, or is not ours to touch
            if path.lstat().st_uid == os.getuid():
                _clear_up_one(path)


def _clear_up_one(path: Path) -> None:
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        path.rmdir()  # killed between making the folder and the file; works on an empty one only
        return
    try:
        if (
            stat.S_ISREG(os.fstat(lock).st_mode)
            and _may_be_judged(lock, path)
            and _is_held(lock, path / _LOCK, or_cannot=False)
        ):
            _empty(path)
    finally:
        os.close(lock)


def _may_be_judged(lock: int, path: Path) -> bool:
    """Whether the file is ours, and a lock that nobody holds proves the death of its owner.

    On a disk that several computers share, locks may be known to each computer alone; there, only what this one wrote since
    it was started can be judged.
    """
    text = os.pread(lock, 1024, 0)
    if text and not text.startswith(_MARK):
        return False
    lines = text.decode(errors="replace").splitlines()
    return (len(lines) > 1 and lines[1] == _this_machine()) or not _is_shared(path)


def _is_shared(path: Path) -> bool:
    """Whether a path is on a disk that other computers may use too; where the system doesn't say, it is."""
    best, kind = "", "nfs"
    target = os.path.realpath(path)
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, after = line.split(" - ", 1)
            point = before.split()[4].replace("\\040", " ").rstrip("/") + "/"
            if len(point) >= len(best) and f"{target}/".startswith(point):
                best, kind = point, after.split()[0]
    return bool(_SHARED.match(kind))
