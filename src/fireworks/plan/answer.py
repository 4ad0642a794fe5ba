"""Which pipe of a chain would answer a method call, without calling anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fireworks.core.recursion import MISSING, chain, look_upstream, recursive
from fireworks.errors import NotFoundUpstreamError
from fireworks.plan.shorten import shortened

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe


@dataclass(frozen=True)
class Answer:
    """Who answers a call, and who was asked on the way; prints as text.

    Args:
        name: The method or attribute.
        asked: Pipes in the order in which they are asked, each with whether it has the name.
        runs: Pipes whose method runs, in the order in which they run; several where it is recursive.
        error: What the call would raise, where nobody has the name.
    """

    name: str
    asked: tuple[tuple[str, bool], ...]
    runs: tuple[str, ...]
    error: str | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return self.error
        asked = "; ".join(f"{pipe} - {'yes' if has else 'no'}" for pipe, has in self.asked)
        if len(self.runs) > 1:
            return f"{self.name}: recursive; it runs on {', then on '.join(self.runs)}.\nasked: {asked}"
        return f"{self.name}: {self.runs[0]} answers.\nasked: {asked}"

    __repr__ = __str__


def answer(pipe: Pipe, name: object) -> Answer:
    """Return who would answer ``pipe.name``.

    Raises:
        TypeError: the name is no text.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"explain: method is a name, as in explain('schema'); got {name!r:.60} of type {type(name).__name__}."
        )
    asked: list[tuple[str, bool]] = []
    runs: list[str] = []
    for stage in chain(pipe):
        has = _has(stage, name) and (stage is pipe or name not in stage.of_its_role)
        asked.append((shortened(stage.describe()), has))
        if has:
            runs.append(shortened(stage.describe()))
            if not _is_recursive(stage, name):
                break
    if runs:
        last = max(number for number, (_, has) in enumerate(asked) if has)
        return Answer(name, tuple(asked[: last + 1]), tuple(reversed(runs)))
    return Answer(name, tuple(asked), (), _error(pipe, name))


def _has(stage: Pipe, name: str) -> bool:
    """Tell whether a pipe itself has a name; a property is not run to find out."""
    return name in stage.__dict__ or hasattr(type(stage), name) or stage.own_attribute(name) is not MISSING


_RUN = recursive(lambda self: self).__code__  # what every recursive method shares


def _is_recursive(stage: Pipe, name: str) -> bool:
    method: Any = stage.__dict__.get(name, getattr(type(stage), name, None))
    return getattr(method, "__code__", None) is _RUN


def _error(pipe: Pipe, name: str) -> str:
    if name.startswith("_"):
        return f"{type(pipe).__name__}: no {name!r} here, and a private name is not looked up upstream."
    try:
        look_upstream(pipe, name)
    except NotFoundUpstreamError as error:
        return str(error)
    raise AssertionError(f"{name} is there after all")  # pragma: no cover
