"""What may be logged as a metric."""

from __future__ import annotations

import operator
from typing import Any, Protocol, SupportsFloat, SupportsIndex


class SupportsItem(Protocol):
    """A scalar of an array library: a NumPy scalar, a tensor with one element."""

    def item(self) -> Any:
        """Return the Python number."""


def metric_value(name: str, value: SupportsFloat | SupportsItem) -> float:
    """Return the value as a float; a tensor waits here for its device.

    Raises:
        TypeError: the value is no number.
        ValueError: the value holds several numbers.
    """
    if not isinstance(name, str):
        raise TypeError(f"Trial: the name of a metric must be a str; got {name!r}.")
    if isinstance(value, float):
        return float(value)
    number: Any = value
    if hasattr(value, "item"):
        try:
            number = value.item()
        except (ValueError, RuntimeError) as error:
            shape = tuple(getattr(value, "shape", ()))
            raise ValueError(f"Trial: metric {name!r} must be one number; got shape {shape}.") from error
    if not hasattr(number, "__float__"):
        raise TypeError(f"Trial: metric {name!r} must be a number; got {number!r:.80}.")
    return float(number)


def metric_step(step: SupportsIndex | None) -> int | None:
    """Return the step as an int that a database holds, or None.

    Raises:
        TypeError: the step is no integer.
        ValueError: the step needs more than 64 bits.
    """
    if step is None:
        return None
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"Trial: step must be an int or None; got {step!r}.")
    number = operator.index(step)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"Trial: step must fit into 64 bits; got {number}.")
    return number
