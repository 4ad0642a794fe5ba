"""A stage that does something else for each way of asking."""

from __future__ import annotations

from collections.abc import Callable

from fireworks.core.chunk import Chunk
from fireworks.core.in_place import call
from fireworks.core.run import Run
from fireworks.core.stages import RowStage
from fireworks.message import Message


class Hooked(RowStage):
    """A stage whose rows depend on how they are asked for: by position, by iteration, or with a message.

    Subclass it and write the hooks that you need; the others let the rows pass. The input has done its part by then.
    It is for what belongs to one way of use, such as augmentation while training and none when a row is looked up: what
    ``pipe[i]`` gives and what iteration gives may then differ, which no other stage allows.

    Args:
        input: Rows or batches.

    Example:
        >>> class Noisy(fw.Hooked):
        ...     def on_next(self, rows): return rows.assign(x=rows["x"] + 100)
        >>> pipe = Noisy(fw.source({"x": torch.arange(3)}))
        >>> pipe[1]["x"].tolist(), next(iter(pipe))["x"].tolist(), pipe(fw.Message({"x": [7]}))["x"].tolist()
        ([1], [100], [7])
    """

    def on_get(self, rows: Message) -> Message:
        """Return what ``pipe[…]`` gives for these rows."""
        return rows

    def on_next(self, rows: Message) -> Message:
        """Return what a pass over the pipe gives for these rows."""
        return rows

    def on_call(self, rows: Message) -> Message:
        """Return what ``pipe(message)`` gives for these rows."""
        return rows

    def transform(self, rows: Message) -> Message:
        return self.on_next(rows)

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        hooks: dict[str, Callable[[Message], Message]] = {"get": self.on_get, "call": self.on_call}
        result = call(hooks.get(run.how, self.on_next), chunk.message, who=self)
        message = self.checked(result, len(chunk.rows))
        run.book.require_same_columns(self, message, block)
        return Chunk(message, chunk.rows)
