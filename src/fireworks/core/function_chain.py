"""Functions that stand next to each other, run on a block one after the other with nothing in between."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch

from fireworks.core.chunk import Chunk
from fireworks.core.failures import note_place, stopped
from fireworks.core.in_place import refuse_change, versions
from fireworks.core.run import Run
from fireworks.message import Message

if TYPE_CHECKING:
    from fireworks.core.stages import RowStage

Process: TypeAlias = Callable[[Chunk, Run, int], Chunk]


def processes(stages: Sequence[RowStage]) -> list[Process]:
    """Return what to call for each stage, functions next to each other as one.

    Every check and note is as if each stage ran by itself; what is saved are the calls around it, half of their price.
    """
    found: list[Process] = []
    functions: list[RowStage] = []
    for stage in stages:
        if stage.plain_function is not None:
            functions.append(stage)
            continue
        if functions:
            found.append(_Chain(functions).process)
            functions = []
        found.append(stage.process)
    return [*found, _Chain(functions).process] if functions else found


class _Chain:
    """Stages that are nothing but a function of rows."""

    def __init__(self, stages: list[RowStage]) -> None:
        self._stages = stages
        self._functions = [cast("Callable[[Message], Any]", stage.plain_function) for stage in stages]

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        """Run them on one block, each on what the one before returned; see `RowStage.process`."""
        message, rows = chunk
        num_rows, book = message._num_rows, run.book
        stage, times = self._stages[0], [perf_counter_ns()]
        try:
            for stage, function in zip(self._stages, self._functions, strict=True):
                stored = message._columns
                tensors = [column for column in stored.values() if isinstance(column, torch.Tensor)]
                before = versions(tensors)
                result = function(Message._of(dict(stored), num_rows))
                if before != versions(tensors):
                    refuse_change(stage, message, before)
                if type(result) is not Message or result._num_rows != num_rows:
                    result = stage.checked(result, num_rows)
                book.require_same_columns(stage, result, block)
                message = result
                times.append(perf_counter_ns())
        except StopIteration as error:
            raise stopped(stage, Chunk(message, rows), run, block) from error
        except Exception as error:
            note_place(error, stage, Chunk(message, rows), run, block)
            raise
        book.note_each(self._stages, num_rows, (after - before for before, after in itertools.pairwise(times)))
        return Chunk(message, rows)
