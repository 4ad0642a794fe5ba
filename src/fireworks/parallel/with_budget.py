"""A pipeline with a limit of its own on what is under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

from fireworks.core.budget import Budget, check_bytes
from fireworks.core.chunk import Chunk
from fireworks.core.flow import Flow
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.parallel.steering import Steering


@final
class WithBudget(Steering):
    """Limit the memory that a pipeline takes for rows; see `memory_budget` for what that covers.

    It holds for all stages before it, up to the source, and for those behind it up to the next ``batch``, junction or
    ``repeat``; all passes over the pipe share it. Work that would need more has to wait; one block or batch per stage
    always goes on. Results are the same.

    Args:
        input: Rows or batches.
        limit: Bytes, or a text: ``"1GB"`` (10**9), ``"1GiB"`` (2**30).

    Raises:
        ValueError: ``limit`` is neither.

    Example:
        >>> pipe = WithBudget(fw.source({"x": torch.arange(6)}).batch(2).prefetch(2), "1MB")
        >>> sum(len(batch) for batch in pipe), pipe.budget.used_bytes
        (6, 0)
    """

    budget: Budget

    def __init__(self, input: Pipe, limit: int | str) -> None:
        super().__init__(input)
        self._max_bytes = check_bytes(limit, where="with_budget: limit")
        self.budget = Budget(self._max_bytes)

    def steer(self, chunks: Iterator[tuple[int, Chunk]], flow: Flow, run: Run) -> Iterator[tuple[int, Chunk]]:  # noqa: ARG002
        """Yield blocks or batches as they come; the budget is the pass's, see `Steering.budget`."""
        for number, chunk in chunks:
            yield number, self.process(chunk, run, number)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "budget"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.budget = Budget(self._max_bytes)
