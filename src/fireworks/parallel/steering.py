"""A stage that lets rows pass as they are, and says how they are made."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from fireworks.core.budget import Budget
from fireworks.core.chunk import Chunk
from fireworks.core.flow import Flow
from fireworks.core.run import Run
from fireworks.core.stages import RowStage
from fireworks.message import Message


class Steering(RowStage):
    """A row stage that changes no row, only when and where the rows before it are made.

    Subclass it and write `steer`. Wherever it stands, results are the same without it; so its settings are no part of
    `describe`, and a state that was saved with some loads with others.
    """

    on_grid: ClassVar[bool] = False
    steers: ClassVar[bool] = True
    budget: Budget | None = None
    """The bytes that may be under way in the flow that this stage is part of; None where it says nothing of that."""

    @property
    def known_columns(self) -> list[str] | None:
        return self.upstream.known_columns

    def transform(self, rows: Message) -> Message:
        return rows

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:  # noqa: ARG002
        return chunk

    def call(self, message: Message) -> Message:
        return message

    @abstractmethod
    def steer(self, chunks: Iterator[tuple[int, Chunk]], flow: Flow, run: Run) -> Iterator[tuple[int, Chunk]]:
        """Yield numbered blocks or batches as they come; note each as it is handed on.

        Args:
            chunks: What the stages before this one make.
            flow: Of which this stage is part.
            run: The pass.
        """
