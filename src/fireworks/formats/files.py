"""The files that a source stands on: found once, in a fixed order, and looked after while it is read."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from fireworks._internal.extras import need
from fireworks._internal.files import as_path, open_file
from fireworks.errors import FileChangedError, FileFormatError, FireworksError

Stamp = tuple[Any, ...] | None

_HASHED_AT_A_TIME = 2**22
_SIGNED_BYTES = 4096
_SIGNS = "*?["  # of a pattern
_known_hashes: dict[tuple[str, Stamp], str] = {}
_hashing = threading.Lock()


class Files:
    """Files in the order of their names, local ones or those behind a URL that fsspec knows (``s3://…``, ``memory://…``).

    Args:
        path: A file; a folder, for all files in it and in its folders that end as they should; a pattern,
            ``"data/part-*.csv"``, in which ``**`` stands for any folders; a URL of these; or a list of these, in its order.
            Hidden files are left out, and of folders also those whose name begins with ``_``.
        where: The function that the user called.
        suffixes: How files in a folder end: ``(".csv", ".csv.gz")``.

    Raises:
        TypeError: it is no path.
        ValueError: the list is empty.
        FileNotFoundError: there is no such file, or none in the folder or of the pattern.
        PermissionError: the folder can't be read.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ["b.csv", "a.csv", "notes.txt"]: _ = (folder / name).write_text("x")
        >>> [pathlib.Path(name).name for name in Files(folder, where="this example", suffixes=(".csv",)).names]
        ['a.csv', 'b.csv']
    """

    def __init__(self, path: object, *, where: str, suffixes: tuple[str, ...]) -> None:
        self.where = where
        self.suffixes = suffixes
        found = list(self._found(path))
        self.names: tuple[str, ...] = tuple(name for name, _ in found)
        """The path or URL of each file."""
        self.inside: tuple[str, ...] = tuple(inside for _, inside in found)
        """The path of each file below the folder that was named, or below what is fixed of a pattern, for folders that say
        something: ``year=2024/part-0.csv``."""
        self._stamps: list[Stamp] = [self._stamp(name) for name in self.names]

    def __len__(self) -> int:
        return len(self.names)

    # --- finding them ---------------------------------------------------------------------------------------------

    def _found(self, path: object) -> Iterator[tuple[str, str]]:
        if isinstance(path, Iterable) and not isinstance(path, (str, bytes)):
            several = list(path)
            if not several:
                raise ValueError(f"{self.where}: the list of files is empty; name at least one.")
            for one in several:
                yield from self._found(one)
        elif isinstance(path, str) and "://" in path:
            yield from self._found_remote(path)
        else:
            yield from self._found_here(as_path(path, where=self.where))

    def _found_here(self, path: Path) -> Iterator[tuple[str, str]]:
        if path.is_dir():
            files = [(file, file.relative_to(path).as_posix()) for file in self._all_in(path)]
            some = [(str(file), inside) for file, inside in files if self._counts(inside)]
            yield from self._some(some, f"no file in the folder {str(path)!r} ends in {self._endings()}")
        elif not path.exists() and any(sign in str(path) for sign in _SIGNS):
            parts = path.parts
            fixed = next(number for number, part in enumerate(parts) if any(sign in part for sign in _SIGNS))
            root, pattern = Path(*parts[:fixed]), "/".join(parts[fixed:])
            pattern += "/*" if pattern.endswith("**") else ""
            self._require_readable(root, pattern)
            inside = [(file, file.relative_to(root).as_posix()) for file in root.glob(pattern) if file.is_file()]
            some = [(str(file), name) for file, name in inside if not _is_hidden(name, pattern)]
            yield from self._some(some, f"no file fits the pattern {str(path)!r}")
        else:
            yield str(path), path.name

    def _require_readable(self, root: Path, pattern: str) -> None:
        """Raise where a folder that fits the beginning of a pattern can't be looked into: `glob` would leave it out."""
        parts = pattern.split("/")
        for end in range(len(parts)):
            folders = [root] if not end else root.glob("/".join(parts[:end]))
            for folder in folders:
                if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
                    raise PermissionError(
                        errno.EACCES,
                        f"{self.where}: the folder {str(folder)!r} can't be read: {os.strerror(errno.EACCES)}",
                    )

    def _all_in(self, folder: Path) -> Iterator[Path]:
        """Yield the files in a folder and in those below it, links followed; none is left out because it can't be read."""

        def stop(error: OSError) -> None:
            raise type(error)(
                error.errno, f"{self.where}: the folder {str(error.filename)!r} can't be read: {error.strerror}"
            ) from error

        seen: set[str] = set()
        for root, folders, files in os.walk(folder, onerror=stop, followlinks=True):
            real = os.path.realpath(root)
            if real in seen:  # a link to where we are
                folders.clear()
                continue
            seen.add(real)
            yield from (file for name in files if (file := Path(root, name)).is_file())

    def _found_remote(self, url: str) -> Iterator[tuple[str, str]]:
        system, path = self._system(url)
        try:
            if any(sign in path for sign in _SIGNS):
                parts = path.split("/")
                root = "/".join(
                    parts[: next(n for n, part in enumerate(parts) if any(sign in part for sign in _SIGNS))]
                )
                pattern = path[len(root) :].lstrip("/")
                found = [(file, file[len(root) :].lstrip("/")) for file in system.glob(path) if not system.isdir(file)]
                some = [(system.unstrip_protocol(file), name) for file, name in found if not _is_hidden(name, pattern)]
                yield from self._some(some, f"no file fits the pattern {url!r}")
            elif system.isdir(path):
                root = path.rstrip("/")
                inside = [(file, file[len(root) :].lstrip("/")) for file in system.find(root)]
                some = [(system.unstrip_protocol(file), name) for file, name in inside if self._counts(name)]
                yield from self._some(some, f"no file in the folder {url!r} ends in {self._endings()}")
            else:
                yield url, PurePosixPath(path).name
        except PermissionError as error:
            raise PermissionError(
                error.errno, f"{self.where}: {url!r} can't be read: {error.strerror or error}"
            ) from error

    def _counts(self, inside: str) -> bool:
        parts = PurePosixPath(inside).parts
        is_hidden = any(part.startswith((".", "_")) and "=" not in part for part in parts)
        return not is_hidden and inside.lower().endswith(self.suffixes)

    def _endings(self) -> str:
        return " or ".join(self.suffixes)

    def _some(self, files: list[tuple[str, str]], reason: str) -> list[tuple[str, str]]:
        if not files:
            raise FileNotFoundError(f"{self.where}: {reason}; mend the path.")
        return sorted(files)

    def _system(self, url: str) -> tuple[Any, str]:
        fsspec = need("fsspec", extra="remote", user=f"{self.where} of a URL")
        try:
            return cast("tuple[Any, str]", fsspec.core.url_to_fs(url))
        except (ValueError, ImportError) as error:
            raise ValueError(f"{self.where}: {url!r} is no URL that can be read: {error}") from error

    # --- reading them ---------------------------------------------------------------------------------------------

    def is_local(self, number: int) -> bool:
        """Tell whether a file has a path on this machine."""
        return "://" not in self.names[number]

    @contextmanager
    def open(
        self, number: int, *, kind: str, broken: tuple[type[Exception], ...] = (), check: bool = True
    ) -> Iterator[BinaryIO]:
        """Open a file to be read, from its beginning; it can be sought in.

        Args:
            number: Which file.
            kind: What it should be, for the errors: ``"CSV"``.
            broken: What a reader raises where it is not that.
            check: Whether it must be as it was when the source was made.

        Raises:
            OSError: it can't be read.
            FileChangedError: it has changed since the source was made.
            FileFormatError: the block raised one of ``broken``.
        """
        name = self.names[number]
        if check:
            self.require_unchanged(number)
        if self.is_local(number):
            with open_file(name, where=self.where, kind=kind, broken=broken) as file:
                yield file
            return
        system, path = self._system(name)
        handled: tuple[type[Exception], ...] = (*broken, OSError)
        try:
            with system.open(path, "rb") as file:
                yield file
        except FireworksError:
            raise
        except FileNotFoundError as error:
            raise FileNotFoundError(
                errno.ENOENT, f"{self.where}: {name!r} can't be read: there is no such file"
            ) from error
        except handled as error:
            if isinstance(error, broken) or (broken and isinstance(error, OSError) and error.errno is None):
                reason = str(error).strip().rstrip(".") or type(error).__name__
                raise FileFormatError(
                    f"{self.where}: {name!r} is no {kind} file, or a damaged one: {reason}."
                ) from error
            system_error = cast("OSError", error)
            raise OSError(
                system_error.errno, f"{self.where}: {name!r} can't be read: {system_error.strerror or error}"
            ) from error

    def require_unchanged(self, number: int) -> None:
        """Raise `FileChangedError` where a file is another one than when the source was made."""
        if self._stamp(self.names[number]) != self._stamps[number]:
            raise FileChangedError(
                f"{self.where}: {self.names[number]!r} has changed since the source was made; make the pipe anew."
            )

    def _stamp(self, name: str) -> Stamp:
        """Return what changes when a file does; None where there is none, which opening it says better."""
        if "://" not in name:
            try:
                status = Path(name).stat()
            except OSError:
                return None
            return status.st_size, status.st_mtime_ns, status.st_ino
        system, path = self._system(name)
        try:
            facts = system.info(path)
        except OSError:
            return None
        return tuple(
            (key, str(facts[key]))
            for key in ("size", "mtime", "ETag", "etag", "created", "LastModified")
            if key in facts
        )

    @cached_property
    def signature(self) -> str:
        """A short hash of the sizes of the files, and of their first and last bytes."""
        hashed = hashlib.sha256()
        for number in range(len(self)):
            with self.open(number, kind="") as file:
                beginning = file.read(_SIGNED_BYTES)
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - _SIGNED_BYTES, 0))
                hashed.update(repr((size, beginning, file.read(_SIGNED_BYTES))).encode())
        return hashed.hexdigest()[:16]

    def require_all_unchanged(self) -> None:
        """Raise `FileChangedError` where a file is another one than when the source was made."""
        for number in range(len(self)):
            self.require_unchanged(number)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the contents of all files in their order, in hexadecimal digits.

        A file is read once; as long as its size, its time and its place on the disk stay the same its hash is remembered.
        """
        whole = hashlib.sha256()
        for number in range(len(self)):
            whole.update(bytes.fromhex(self._hash(number)))
        return whole.hexdigest()

    def _hash(self, number: int) -> str:
        self.require_unchanged(number)
        key = self.names[number], self._stamps[number]
        with _hashing:
            known = _known_hashes.get(key)
        if known is None:
            digest = hashlib.sha256()
            with self.open(number, kind="") as file:
                while part := file.read(_HASHED_AT_A_TIME):
                    digest.update(part)
            self.require_unchanged(number)
            known = digest.hexdigest()
            with _hashing:
                _known_hashes[key] = known
        return known


def _is_hidden(inside: str, pattern: str) -> bool:
    """Tell whether a path found by a pattern has a hidden part that the pattern doesn't name."""
    return any(part.startswith(".") for part in PurePosixPath(inside).parts) and not any(
        part.startswith(".") for part in PurePosixPath(pattern).parts
    )
