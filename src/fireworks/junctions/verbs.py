"""Components of a junction that is written as a verb: ``rows.concat(more, even_more)``."""

from __future__ import annotations

from collections.abc import Sequence

from fireworks.core.links import Link
from fireworks.core.pipe import Pipe


def named(pipe: Pipe, others: Sequence[object], verb: str) -> dict[str, Pipe]:
    """Return a pipe and the others by their places: ``"0"`` is the pipe itself.

    Raises:
        TypeError: there is no other, or one is no pipe.
    """
    if not others:
        raise TypeError(f"{verb}: pass at least one other pipe, as in rows.{verb}(more).")
    components = {"0": pipe}
    for number, other in enumerate(others, start=1):
        if not isinstance(other, (Pipe, Link)):
            raise TypeError(
                f"{verb}: expected pipes, one by one; got {other!r:.60} of type {type(other).__name__}. "
                "Wrap it: fw.source(…)."
            )
        components[str(number)] = other  # type: ignore[assignment]  # a link becomes a pipe when it is used
    return components
