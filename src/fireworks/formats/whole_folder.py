"""Folders that are there whole or not at all: written beside their place, and put there in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_AT_FDCWD = -100
_NOT_THERE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


@contextlib.contextmanager
def whole_folder(target: Path, is_ours: Callable[[Path], bool], *, where: str) -> Iterator[Path]:
    """Give a new folder to be filled, which takes the place of the one at ``target``, or of none, when the block ends.

    Until then it stands beside it with a hidden name, ``.<name>-<8 hexadecimal digits>.writing``. A kill leaves that behind;
    the next one who writes there takes it away. On Linux old and new change places in one step. On a system that can't,
    the old one is set aside for a moment, and put back by the next writer should the process die in that moment.

    Args:
        target: A path whose parent is there.
        is_ours: Whether an entry of the old folder may be lost with it.
        where: Who writes, for the errors.

    Raises:
        FileExistsError: the old folder holds something else.
        NotADirectoryError: there is a file at ``target``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_folder(Path(folder, "x"), lambda entry: entry.suffix == ".txt", where="this example") as new:
        ...         _ = (new / "a.txt").write_text("a")
        ...     sorted(path.name for path in Path(folder).rglob("*"))
        ['a.txt', 'x']
    """
    _recover(target)
    _require_ours(target, is_ours, where)
    new, lock = _created(target)
    try:
        yield new
        _sync(new)
        _require_ours(target, is_ours, where)  # much may have happened since
        _put(new, target)
        _sync(target.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # what was left unfinished, or what had stood there before
        os.close(lock)


def _require_ours(target: Path, is_ours: Callable[[Path], bool], where: str) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, f"{where}: {str(target)!r} is a file, and shards need a folder; name another, or remove it."
        )
    for entry in target.iterdir():
        if not is_ours(entry):
            raise FileExistsError(
                errno.EEXIST,
                f"{where}: the folder {str(target)!r} holds {entry.name!r}, which would be lost; name a folder of its own.",
            )


def _created(target: Path) -> tuple[Path, int]:
    """Make a hidden folder and lock it, which says that its writer is alive."""
    while True:
        new = target.with_name(f".{target.name}-{secrets.token_hex(4)}.writing")
        new.mkdir()
        lock = os.open(new, os.O_RDONLY)
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if new.is_dir():
                return new, lock
        os.close(lock)  # another writer took it for one that was left behind


def _recover(target: Path) -> None:
    """Put back the old folder that a kill left set aside, and take away what killed writers left."""
    for left in target.parent.glob(f".{_literally(target.name)}-????????.*"):
        if left.suffix == ".old" and not target.exists():
            left.rename(target)
        elif left.suffix in {".old", ".writing"}:
            with contextlib.suppress(OSError):
                lock = os.open(left, os.O_RDONLY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
                finally:
                    os.close(lock)


def _literally(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _put(new: Path, target: Path) -> None:
    if not target.exists():
        new.rename(target)
    elif not _exchanged(new, target):
        old = new.with_suffix(".old")
        target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; return whether the system can."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_THERE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
