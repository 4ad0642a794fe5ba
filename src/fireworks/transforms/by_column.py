"""What a stage is told of some columns: by a mapping, by keywords, or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def by_column(given: object, keywords: Mapping[str, Any], *, who: str, example: str) -> dict[str, Any]:
    """Return one dict of both.

    Args:
        given: A mapping from names of columns, or None.
        keywords: The same as keywords.
        who: The verb, for errors.
        example: A mapping as it should be, for errors.

    Raises:
        TypeError: ``given`` is no mapping, or a name is no text.
        ValueError: nothing is said, or a column is named twice.

    Example:
        >>> by_column({"my x": 1}, {"y": 2}, who="rename", example="{'old': 'new'}")
        {'my x': 1, 'y': 2}
    """
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(
            f"{who}: expected a mapping, {who}({example}); got {given!r:.60} of type {type(given).__name__}."
        )
    said: dict[str, Any] = {**(given or {}), **keywords}
    if not said:
        raise ValueError(f"{who}: name at least one column: {who}({example}).")
    for name in said:
        if not isinstance(name, str):
            raise TypeError(f"{who}: names of columns are text; got {name!r:.60} of type {type(name).__name__}.")
        if given and name in given and name in keywords:
            raise ValueError(f"{who}: column {name!r} is named twice, in the mapping and as a keyword.")
    return said
