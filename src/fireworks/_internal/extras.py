"""Optional dependencies: loaded on first use, with a sentence that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from fireworks.errors import MissingExtraError


def need(module: str, *, extra: str, user: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Args:
        module: The dotted name to import.
        extra: The extra of the distribution that installs it.
        user: Who needs it, for the error.

    Raises:
        MissingExtraError: it is not installed.

    Example:
        >>> need("json", extra="demo", user="this example").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{user} needs {error.name or module}, which is not installed. Run: pip install 'fireworks-torch[{extra}]'."
        ) from error
