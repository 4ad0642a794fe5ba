"""Files that are there whole or not at all, and one sentence where a path leads nowhere."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from fireworks.errors import FileFormatError, FireworksError

_OPEN_FILES = Path("/proc/self/fd")  # how Linux gives a file without a name one


def as_path(path: object, *, where: str) -> Path:
    """Return a path that the user passed, its ``~`` expanded, or raise a TypeError that says what a path is.

    Example:
        >>> as_path("data/x.csv", where="this example").name
        'x.csv'
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"{where}: a path is a str or a Path; got {path!r:.60} of type {type(path).__name__}.")
    return Path(path).expanduser()


@contextlib.contextmanager
def whole_file(path: object, *, where: str) -> Iterator[BinaryIO]:
    """Open a file to be written, which takes the place of the one at ``path`` when the block ends.

    A link is followed, and a device or a pipe is written to as it is, because nothing can take its place.

    Args:
        path: A str or a Path.
        where: Who writes, for the errors.

    Raises:
        TypeError: ``path`` is no path.
        OSError: it can't be written; the error says why, and what was there before is still whole.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder, "x"), where="this example") as file:
        ...         _ = file.write(b"whole")
        ...     Path(folder, "x").read_bytes()
        b'whole'
    """
    target = Path(os.path.realpath(as_path(path, where=where)))
    is_special = target.exists() and not target.is_file()
    try:
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {str(target.parent)!r}; make it first")
        with target.open("wb") if is_special else replacing(target) as file:
            yield file
    except OSError as error:
        kept = ". What was there before is still whole" if target.is_file() else ""
        raise OSError(
            error.errno, f"{where}: {str(path)!r} can't be written: {error.strerror or error}{kept}"
        ) from error


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Open a file to be written, which takes the place of a regular one, or of none, when the block ends.

    Until then it has no name, so that nothing is left of it where the block fails or the process dies; only where the
    system knows no such files does it have a hidden name, ``.<name>-<8 hexadecimal digits>``, that a kill leaves behind.
    """
    old_mode = _writable_mode(target)
    hidden = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        file, has_name = _created(hidden)
        with file:
            try:
                yield file
                file.flush()
                if old_mode is not None:
                    os.fchmod(file.fileno(), old_mode)
                os.fsync(file.fileno())
                if not has_name:  # with a folder to start from, Python follows the link to the file itself
                    os.link(_OPEN_FILES / str(file.fileno()), hidden.name, dst_dir_fd=folder)
                hidden.replace(target)
            except BaseException:
                hidden.unlink(missing_ok=True)
                raise
        os.fsync(folder)
    finally:
        os.close(folder)


def _writable_mode(target: Path) -> int | None:
    """Return the permissions of a file, and None where there is none; one that may not be written is an error."""
    try:
        with target.open("rb+") as file:
            return stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except FileNotFoundError:
        return None


def _created(hidden: Path) -> tuple[BinaryIO, bool]:
    """Open a new file in the folder of ``hidden``; return whether it already has that name."""
    if hasattr(os, "O_TMPFILE") and _OPEN_FILES.is_dir():
        with contextlib.suppress(OSError):  # some file systems know no files without a name
            return os.fdopen(os.open(hidden.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b"), False
    return cast("BinaryIO", hidden.open("x+b")), True


@contextlib.contextmanager
def open_file(
    path: object, *, where: str, kind: str = "", broken: tuple[type[Exception], ...] = ()
) -> Iterator[BinaryIO]:
    """Open a file to be read.

    Args:
        path: A str or a Path.
        where: Who reads, for the errors.
        kind: What the file should be, for the errors.
        broken: What a reader raises where it is not that.

    Raises:
        TypeError: ``path`` is no path.
        OSError: it can't be read, as `FileNotFoundError` where there is none.
        FileFormatError: the block raised one of ``broken``, or an OSError that is none of the system's.
    """
    try:
        with as_path(path, where=where).open("rb") as file:
            yield file
    except FireworksError:
        raise
    except broken as error:
        raise _no_such_format(path, where, kind, error) from error
    except OSError as error:
        if broken and error.errno is None:  # of a library, not of the system
            raise _no_such_format(path, where, kind, error) from error
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise OSError(error.errno, f"{where}: {str(path)!r} can't be read: {reason}") from error


def _no_such_format(path: object, where: str, kind: str, error: Exception) -> FileFormatError:
    reason = str(error).strip().rstrip(".") or type(error).__name__
    return FileFormatError(f"{where}: {str(path)!r} is no {kind} file, or a damaged one: {reason}.")
