"""A function over rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, final

from torch import nn

from fireworks.core.chunk import Chunk
from fireworks.core.in_place import call
from fireworks.core.model import evaluating
from fireworks.core.run import Run
from fireworks.core.stages import RAISE
from fireworks.message import Message
from fireworks.transforms.mapped import Mapped, function_name


@final
class Map(Mapped):
    """Run a function over rows: on the fixed grid of blocks, or batch by batch behind ``batch``.

    The function gets many rows at a time and must treat each row by itself; it returns a new message with as many
    rows. With a seed it gets a second argument, a ``torch.Generator`` that depends on the seed, the stage, the epoch
    and the block alone, so that random augmentation is the same however the rows are read, and new in each epoch.

    Args:
        input: Rows or batches.
        function: ``function(message) -> message``, or ``function(message, generator) -> message`` with a seed. A
            model such as a fitted `Normalize` is a function too; here it is a part of the data, so it runs in
            evaluation mode and without gradients. To train a model, give it to the next one as its ``input``.
        seed: From 0 to 2**64 - 1; None for a function that draws nothing.
        name: A name for the stage, in place of ``map:0``, that keys its draws.
        on_error: ``"raise"``, or ``"quarantine"`` to set the rows aside that the function fails on; see
            `Pipe.quarantined`. Behind ``batch`` they are missing from their batch. On rows the pipe becomes a stream, for
            nobody knows beforehand how many rows are left.

        workers: How many blocks are worked on at the same time, ahead of who asks for rows. Results come in order and are
            the same for any number; 0 runs the function in the thread that asks, and so does a single block: ``pipe[3]``.
        backend: ``"thread"`` for functions that release the GIL, as most of torch and NumPy do, or wait for something.
            ``"process"`` for functions in pure Python: they must pickle, and a model in them is copied when a pass begins.
        retries: How often a block is given to a new process after one died over it.

    Raises:
        TypeError: the function can't be called, or does not pickle for ``backend="process"``.
        ValueError: ``on_error`` or ``backend`` has another value, or a number is below 0.
        StageResultError: the function returns something else than a message, another number of rows, or other columns
            than it returned for the blocks before.
        ColumnValueError: it changes a column in place.
        WorkerDiedError: a worker process ended over its rows.

    Example:
        >>> data = fw.source({"x": torch.zeros(2)})
        >>> noisy = Map(data, lambda rows, generator: rows.assign(x=torch.rand(len(rows), generator=generator)), seed=1)
        >>> noisy.to_message() == noisy.to_message()
        True
    """

    function: Callable[..., Message]
    verb: ClassVar[str] = "map"

    def check_function(self, function: Callable[..., Any], *, is_seeded: bool) -> None:
        """Check that it can be called with rows alone, or with rows and a generator."""
        require_arguments(function, 2 if is_seeded else 1, who=self.verb)

    @property
    def plain_function(self) -> Callable[[Message], Any] | None:
        is_plain = self.seed is None and self.on_error == RAISE and not isinstance(self.function, nn.Module)
        return self.function if is_plain else None

    def transform(self, rows: Message) -> Message:
        return self.function(rows)

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        arguments = self.draws(run, block)
        # A module here is a part of the data: the same each time, and no gradients.
        if isinstance(self.function, nn.Module):
            with evaluating(self.function):
                result = call(self.function, chunk.message, *arguments, who=self)
        else:
            result = call(self.function, chunk.message, *arguments, who=self)
        message = self.checked(result, len(chunk.rows))
        run.book.require_same_columns(self, message, block)
        return Chunk(message, chunk.rows)


def require_arguments(function: Callable[..., Any], count: int, *, who: str) -> None:
    """Check that a function can be called with rows alone, or with rows and a generator.

    Raises:
        TypeError: it can't; what it should take is said.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # written in C, and says nothing of itself
    try:
        signature.bind(*range(count))
    except TypeError:
        takes = (
            "rows alone; with seed= it gets a generator too" if count == 1 else "(rows, generator), for seed= was given"
        )
        raise TypeError(f"{who}: the function {function_name(function)}{signature} must take {takes}.") from None
