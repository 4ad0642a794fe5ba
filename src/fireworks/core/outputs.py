"""Pipes know what was built on them, without keeping it alive."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe


def add_output(pipe: Pipe, output: Pipe) -> None:
    """Note on a pipe that another one reads from it; the note goes when the other one does."""
    noted: list[weakref.ref[Pipe]] | None = pipe.__dict__.get("_outputs")
    if noted is None:
        noted = []
        object.__setattr__(pipe, "_outputs", noted)  # a model is an nn.Module, which would look at it
    noted.append(weakref.ref(output, noted.remove))


def outputs_of(pipe: Pipe) -> list[Pipe]:
    """Return the pipes that read from this one and are still there, the oldest first."""
    noted: list[weakref.ref[Pipe]] = pipe.__dict__.get("_outputs", [])
    alive = (reference() for reference in list(noted))
    found: list[Pipe] = []
    for output in alive:
        if output is not None and not any(output is other for other in found):
            found.append(output)
    return found


def forget_output(pipe: Pipe, output: Pipe) -> None:
    """Take a note back: what reads from the pipe is a part of another one, not something that was built on it."""
    noted: list[weakref.ref[Pipe]] = pipe.__dict__.get("_outputs", [])
    noted[:] = [reference for reference in noted if reference() is not output]
