"""A view of an input: indexable, iterable, callable; what it lacks it looks up along its inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fireworks.core.chunk import Chunk, Span, join
from fireworks.core.fluent import Fluent
from fireworks.core.recursion import MISSING, chain, look_upstream
from fireworks.core.run import Run
from fireworks.core.site import user_line
from fireworks.message import Message, concat
from fireworks.message.index import Rows, as_rows

if TYPE_CHECKING:
    from fireworks.core.flow import Flow
    from fireworks.core.iterator import PipeIterator

# What is worked out from the plan and can be worked out again; it neither travels nor is compared.
_DERIVED = ("flow",)


class Pipe(Fluent, ABC):
    """A view of an input. Items are rows; behind ``batch`` they are batches.

    A pipe is a plan: it holds no position and never changes while it runs. Each ``iter(pipe)`` starts the next epoch
    (0, 1, 2, …) and returns an independent iterator with a state of its own; ``pipe[…]`` is always epoch 0.
    Any public method or attribute that the pipe lacks is looked up along its inputs; see `recursive`.

    Args:
        input: What the pipe reads from; None for a source or a junction.

    Shapes:
        row pipe: ``pipe[3]`` is a message of one row; ``pipe[2:9]``, ``pipe[[5, 1]]`` are messages. Batched pipe:
        ``pipe[3]`` is a batch; ``pipe[2:9]`` is a list of batches.

    Raises:
        TypeError: ``input`` is no pipe; the error names `source`.

    Example:
        >>> pipe = fw.source({"x": torch.arange(5)}).shuffle(seed=0).batch(2)
        >>> len(pipe), pipe.num_rows, [len(batch) for batch in pipe]
        (3, 5, [2, 2, 1])
    """

    input: Pipe | None
    random_kind: ClassVar[str | None] = None
    """The kind of a stage that draws, ``shuffle``; with the count of that kind upstream it names the stage in a seed."""

    def __init__(self, input: Pipe | None = None) -> None:
        if input is not None and not isinstance(input, Pipe):
            raise TypeError(
                f"{type(self).__name__}: input must be a pipe; got {type(input).__name__}. Wrap it: fw.source(…)."
            )
        # object.__setattr__: a model is an nn.Module too, and its input must not become its submodule.
        object.__setattr__(self, "input", input)
        object.__setattr__(self, "built_at", user_line())
        object.__setattr__(self, "_epochs_begun", 0)

    @property
    def upstream(self) -> Pipe:
        """The input of a pipe that has one."""
        if self.input is None:
            raise TypeError(f"{type(self).__name__} has no input; pass it a pipe, such as fw.source(…).")
        return self.input

    # --- what a kind of pipe says of itself -----------------------------------------------------------------------

    @abstractmethod
    def make_flow(self) -> Flow:
        """Return what this pipe runs; made from the input's flow, once."""

    @cached_property
    def flow(self) -> Flow:
        """What this pipe runs."""
        return self.make_flow()

    @property
    def order_varies(self) -> bool:
        """Whether rows, or their order, differ from epoch to epoch."""
        return self.input is not None and self.input.order_varies

    @property
    def values_vary(self) -> bool:
        """Whether the values of a row differ from epoch to epoch."""
        return self.input is not None and self.input.values_vary

    @property
    def known_columns(self) -> list[str] | None:
        """The names of the columns, where they are known without running anything; else None."""
        return None if self.input is None else self.input.known_columns

    def describe(self) -> str:
        """Return this stage as text, without its input: ``Shuffle(seed=0)``."""
        return f"{type(self).__name__}()"

    def call(self, message: Message) -> Message:
        """Apply this stage alone to a message; stages of order, batching and repeating let it pass."""
        return message

    # --- as a sequence --------------------------------------------------------------------------------------------

    @property
    def is_batched(self) -> bool:
        """Whether the items are batches rather than rows."""
        return self.flow.is_batched

    @property
    def is_indexable(self) -> bool:
        """Whether any item can be asked for; if not, the pipe is a stream."""
        return self.flow.is_indexable

    @property
    def num_rows(self) -> int:
        """The number of rows of epoch 0, whether they come singly or in batches.

        Raises:
            UnknownLengthError: nobody knows before the end.
        """
        return self.flow.num_rows_of(range(len(self)), epoch=0)

    def __len__(self) -> int:
        return self.flow.num_items()

    def __bool__(self) -> bool:
        return True  # a pipe is never "empty" in a condition; its length may cost a whole pass

    def __getitem__(self, key: Rows) -> Any:
        return self.get(key, epoch=0)

    def get(self, key: Rows, epoch: int) -> Any:
        """Return the items at ``key`` in one epoch; ``pipe[key]`` is ``pipe.get(key, epoch=0)``.

        Raises:
            NoRandomAccessError: the pipe is a stream.
            RowIndexError: an item past the end.
            TypeError: the key is a text; a pipe has no columns to take, a message has.
        """
        if isinstance(key, str):
            raise TypeError(
                f"{type(self).__name__}: a pipe is indexed by items, not by columns. Write pipe.select({key!r}) for a "
                f"pipe of that column, or pipe.to_message()[{key!r}] for its values."
            )
        self.flow.require_random_access(type(self).__name__ + "[…]", self)
        item = "batch" if self.is_batched else "row"
        rows = as_rows(key, len(self), where=type(self).__name__, item=item)
        span: Span
        if isinstance(rows, slice):
            span = range(rows.start, rows.stop)
            span = span if rows.step == 1 else np.arange(rows.start, rows.stop, rows.step, dtype=np.int64)
        else:
            span = rows
            if len(span) == 1:
                span = range(int(span[0]), int(span[0]) + 1)
        chunks = list(self.flow.pieces(span, Run(epoch)))
        if not self.is_batched:
            return self._rows_of(chunks)
        batches = [chunk.message for chunk in chunks]
        return batches[0] if _is_single(key) else batches

    def _rows_of(self, chunks: list[Chunk]) -> Message:
        return join(chunks).message if chunks else self.flow.no_rows()

    # --- as an iterable -------------------------------------------------------------------------------------------

    def __iter__(self) -> PipeIterator:
        from fireworks.core.iterator import PipeIterator

        epoch = self._epochs_begun
        self.next_epoch_is(epoch + 1)
        return PipeIterator(self, epoch)

    def next_epoch_is(self, epoch: int) -> None:
        """Set which epoch the next ``iter`` starts."""
        object.__setattr__(self, "_epochs_begun", epoch)

    # --- as a function --------------------------------------------------------------------------------------------

    def __call__(self, message: Message) -> Message:
        """Apply every row stage and model from the source to here to a message; seeded maps use epoch 0."""
        if not isinstance(message, Message):
            message = Message(message)
        for stage in reversed(list(chain(self))):
            message = stage.call(message)
        return message

    # --- as data --------------------------------------------------------------------------------------------------

    def head(self, num_items: int = 5) -> Any:
        """Return the first items of epoch 0: a message of rows, or a list of batches.

        Example:
            >>> fw.source({"x": torch.arange(9)}).head(2)["x"].tolist()
            [0, 1]
        """
        taken = self.at_epoch(0).take(num_items)
        return list(taken) if self.is_batched else taken.to_message()

    def to_message(self) -> Message:
        """Return all rows of epoch 0 as one message; batches are joined."""
        cursor = self.flow.open(Run(0))
        messages = []
        while (chunk := cursor.read(2**62)) is not None:
            messages.append(chunk.message)
        full = [message for message in messages if len(message)]
        return concat(full) if full else self.flow.no_rows()

    # --- recursion ------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "input" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        # Python asks here too when a property of ours has raised AttributeError; own_attribute lets that error through.
        own = self.own_attribute(name)
        return look_upstream(self, name) if own is MISSING else own

    def own_attribute(self, name: str) -> Any:
        """Return an attribute that this pipe itself has, or ``MISSING``; nothing upstream is asked.

        An AttributeError from inside a property is a real one, and comes through unchanged.
        """
        if name in self.__dict__ or hasattr(type(self), name):
            return object.__getattribute__(self, name)
        return MISSING

    def stages(self) -> list[str]:
        """Return what stands from the source to here, as text, one entry per stage."""
        return [pipe.describe() for pipe in reversed(list(chain(self)))]

    def __repr__(self) -> str:
        return " → ".join(self.stages())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _DERIVED}


def _is_single(key: object) -> bool:
    return not isinstance(key, (slice, list, tuple, range)) and getattr(key, "ndim", 0) == 0
