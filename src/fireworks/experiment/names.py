"""Names that become names of files and folders."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def check_name(name: object, *, where: str) -> str:
    """Return the name, or raise a `ValueError` that says what a name may hold.

    Example:
        >>> check_name("mnist-2.1", where="Experiment")
        'mnist-2.1'
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{where}: name must be made of ASCII letters, digits, '-', '_' and '.', and not start with '.'; "
            f"got {name!r}."
        )
    return name
