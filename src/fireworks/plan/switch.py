"""Optimisation on or off."""

from __future__ import annotations

from types import TracebackType
from typing import final

_is_on = True


def is_on() -> bool:
    """Tell whether pipes are optimised before they run."""
    return _is_on


@final
class optimisation:  # noqa: N801 (it is called like a function)
    """Switch the optimiser on or off for all pipes, from now on or, in a ``with``, for a while.

    Results are the same either way; off is for finding out what the optimiser is worth, or whether it is to blame. For
    one pipe there is `Pipe.as_written`.

    Args:
        on: Whether pipes are optimised before they run.

    Raises:
        TypeError: ``on`` is no bool.

    Example:
        >>> pipe = fw.source({"x": [1, 2], "y": [3, 4]}).select("x")
        >>> with fw.optimisation(False):
        ...     as_written = pipe.to_message()
        >>> as_written == pipe.to_message()
        True
    """

    def __init__(self, on: bool) -> None:  # noqa: FBT001 (optimisation(False) reads well)
        if not isinstance(on, bool):
            raise TypeError(f"optimisation: expected True or False; got {on!r:.60} of type {type(on).__name__}.")
        self._before = is_on()
        _set(on=on)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _set(on=self._before)


def _set(*, on: bool) -> None:
    global _is_on  # noqa: PLW0603 (one switch for all threads of the process)
    _is_on = on
