"""How a call travels up a chain of pipes, and how it is told apart from a call that failed on its way."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from fireworks.errors import NotFoundUpstreamError, did_you_mean

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe

Function = TypeVar("Function", bound=Callable[..., Any])


def chain(pipe: Pipe) -> Iterator[Pipe]:
    """Yield the pipe, its input, the input's input, up to the source.

    A junction ends the chain: with several inputs there is no one way up.
    """
    here: Pipe | None = pipe
    while here is not None:
        yield here
        here = here.input


MISSING: Final = object()
"""What `Pipe.own_attribute` returns for a name that the pipe itself lacks."""


def look_upstream(pipe: Pipe, name: str) -> Any:
    """Return the attribute from the nearest pipe upstream that has it.

    The search ends at the source and never enters its data, so that a method of a data frame can't run on rows that
    the pipeline has not filtered yet.

    Raises:
        NotFoundUpstreamError: nobody has it; the error lists who was asked, and the nearest name.
    """
    searched = list(chain(pipe))
    for upstream in searched[1:]:
        if name in upstream.of_its_role:
            continue
        if (value := upstream.own_attribute(name)) is not MISSING:
            return value
    known = {known for p in searched for known in dir(type(p)) if not known.startswith("_")}
    from fireworks.message import Message

    hint = did_you_mean(name, known)
    here = [n for n, part in searched[-1].named_inputs().items() if _has(part, name)]
    if here:
        hint = f" Its component {here[0]!r} has it: write .components[{here[0]!r}].{name}."
    elif name in dir(Message()):
        hint = f" A message has it: write pipe.to_message().{name}."
    raise NotFoundUpstreamError(
        f"{type(pipe).__name__}: no {name!r} here or upstream; asked "
        f"{' <- '.join(type(p).__name__ for p in searched)}.{hint}"
    )


def _has(pipe: Pipe, name: str) -> bool:
    """Tell whether a pipe would answer to a name by itself or along its inputs, with no junction on the way."""
    return any(
        name not in upstream.of_its_role and upstream.own_attribute(name) is not MISSING for upstream in chain(pipe)
    )


@overload
def recursive(method: Function) -> Function: ...
@overload
def recursive(*, accumulate: bool = False) -> Callable[[Function], Function]: ...
def recursive(method: Any = None, *, accumulate: bool = False) -> Any:
    """Mark a method that runs on the input first, then on the pipe itself.

    The nearest pipe upstream that has a method of that name is called first (and if that one is marked too, the next
    one before it, up to the source). Pipes in between that lack it don't stop the call, and an error inside an
    upstream method comes through unchanged.

    Args:
        method: The method, where the decorator is written without parentheses.
        accumulate: Pass what the upstream call returns as the first argument, in place of the caller's, wherever
            there is an upstream call.

    Example:
        >>> class Named(fw.RowStage):
        ...     def transform(self, rows): return rows
        ...     @fw.recursive(accumulate=True)
        ...     def names(self, so_far): return [*so_far, type(self).__name__]
        >>> Named(Named(fw.source({"x": [1]})).take(1)).names([])
        ['Named', 'Named']
    """
    if method is None:
        return functools.partial(recursive, accumulate=accumulate)

    @functools.wraps(method)
    def run(self: Pipe, *args: Any, **kwargs: Any) -> Any:
        for upstream in list(chain(self))[1:]:
            if (upstream_method := upstream.own_attribute(method.__name__)) is not MISSING:
                result = upstream_method(*args, **kwargs)
                if accumulate:
                    args = (result, *args[1:])
                break
        return method(self, *args, **kwargs)

    return run
