"""The files of one trial: opened inside its folder, and known by their content when it ends."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from weakref import WeakSet


@dataclass(frozen=True)
class Artifact:
    """One file that a trial wrote."""

    name: str  # relative to the trial's folder, with forward slashes
    bytes: int
    sha256: str


class ArtifactFolder:
    """Opens files below one folder, remembers which were written, and refuses paths that lead out of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: set[Path] = set()
        self._opened: WeakSet[IO[Any]] = WeakSet()

    def open(
        self, filename: str | os.PathLike[str], mode: str, *, encoding: str | None, newline: str | None
    ) -> IO[Any]:
        """Open a file as the builtin does, with UTF-8 for text; modes that create a file create its folders.

        Raises:
            ValueError: the path leads out of the folder, also by way of a symbolic link.
        """
        path = self._inside(filename)
        if set(mode) & set("wax"):
            path.parent.mkdir(parents=True, exist_ok=True)
        if encoding is None and "b" not in mode:
            encoding = "utf-8"
        file: IO[Any] = path.open(mode, encoding=encoding, newline=newline)
        self._opened.add(file)
        if set(mode) & set("wax+"):
            self._written.add(path)
        return file

    def close(self) -> tuple[Artifact, ...]:
        """Close what is still open, so that it is whole on disk, and return the files that were written."""
        for file in list(self._opened):
            file.close()
        return tuple(self._describe(path) for path in sorted(self._written) if path.is_file())

    def _inside(self, filename: str | os.PathLike[str]) -> Path:
        root = self.path.resolve()
        path = (root / filename).resolve()
        if not path.is_relative_to(root):
            raise ValueError(f"Trial.open: {os.fspath(filename)!r} leads out of the trial's folder {self.path}.")
        return path

    def _describe(self, path: Path) -> Artifact:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Artifact(path.relative_to(self.path.resolve()).as_posix(), path.stat().st_size, digest)
