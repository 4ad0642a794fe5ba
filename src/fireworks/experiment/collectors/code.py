"""The user's own source text: what a trial ran, whether or not it was committed."""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path


@dataclass(frozen=True)
class CodeFacts:
    """Source text by path: relative to the current folder, absolute for files elsewhere."""

    files: dict[str, str]

    @classmethod
    def collect(cls) -> CodeFacts:
        """Read the main script and every imported module below the current folder or beside the main script.

        The standard library, site-packages, virtual environments and fireworks itself are left out: their
        versions are part of the environment. So is a file that can't be read or decoded by now. Text is read
        from disk, so an edit after the import is recorded as if it had been imported.
        """
        here = Path.cwd()
        main = _main_script()
        paths = set(_module_files({here} | ({main.parent} if main else set())))
        if main and not _is_installed(str(main)):
            paths.add(main)
        sources = {_name(path, here): _source(path) for path in sorted(paths)}
        return cls({name: source for name, source in sources.items() if source is not None})


def _main_script() -> Path | None:
    name = getattr(sys.modules["__main__"], "__file__", None)
    return Path(name).absolute() if isinstance(name, str) else None


def _module_files(roots: set[Path]) -> Iterator[Path]:
    """Yield the source files of imported modules below the roots; as text, since thousands are imported."""
    prefixes = tuple(_as_prefix(root) for root in roots)
    for module in list(sys.modules.values()):
        # Not getattr: a module with lazy attributes would start importing.
        name = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(name, str) and name.endswith(".py") and name.startswith(prefixes) and not _is_installed(name):
            yield Path(name)


def _is_installed(path: str) -> bool:
    return (
        "/site-packages/" in path
        or "/dist-packages/" in path
        or path.startswith(_LIBRARIES)
        or _is_in_virtual_environment(Path(path).parent)
    )


@functools.cache
def _is_in_virtual_environment(folder: Path) -> bool:
    return any((parent / "pyvenv.cfg").is_file() for parent in (folder, *folder.parents))


def _as_prefix(folder: Path) -> str:
    return f"{folder}/".replace("//", "/")  # the root folder ends with its slash already


_LIBRARIES = tuple(
    _as_prefix(folder)
    for folder in (
        Path(sysconfig.get_path("stdlib")),
        Path(sysconfig.get_path("platstdlib")),
        Path(__file__).parents[2],  # fireworks
    )
)


def _source(path: Path) -> str | None:
    try:
        return decode_source(path.read_bytes())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None  # moved away, or half-way through an edit


def _name(path: Path, here: Path) -> str:
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()
