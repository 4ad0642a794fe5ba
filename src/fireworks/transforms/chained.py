"""Stages of other people in a chain of verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fireworks.core.pipe import Pipe


def chained(pipe: Pipe, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do what ``pipe.pipe`` says."""
    if not callable(function):
        raise TypeError(
            f"pipe: expected a class or a function that takes a pipe; got {function!r:.60} of type "
            f"{type(function).__name__}."
        )
    result = function(pipe, *args, **kwargs)
    if result is None:
        name = getattr(function, "__name__", type(function).__name__)
        raise TypeError(f"pipe: {name} returned None, so nothing can follow; let it return a pipe.")
    return result
