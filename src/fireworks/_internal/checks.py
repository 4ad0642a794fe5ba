"""Checks of arguments that many constructors share."""

from __future__ import annotations

import numpy as np


def check_count(value: object, *, at_least: int, where: str) -> int:
    """Return a count as an int, or raise a ValueError that says what was expected.

    Args:
        value: What the user passed.
        at_least: The smallest count that makes sense.
        where: The verb and the argument: ``batch: num_rows``.

    Example:
        >>> check_count(3, at_least=1, where="batch: num_rows")
        3
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        raise ValueError(f"{where} must be an int of at least {at_least}; got {value!r}.")
    return int(value)
