"""Stages on their way to another process: without what stands upstream, which may be a whole data set."""

from __future__ import annotations

import copy
import io
import pickle
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

import torch

from fireworks.core.chunk import Span
from fireworks.core.cursor import Cursor
from fireworks.core.flow import Base, Flow
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Book, Meter, Run, SetAside
from fireworks.core.stages import RowStage
from fireworks.message import Message

Notes = tuple[dict[int, Meter], dict[int, Any], list[SetAside]]
Stage = TypeVar("Stage", bound=RowStage)


class Outline(Pipe):
    """What stands upstream of a stage that runs in another process: what it says of itself, and nothing else."""

    def __init__(self, input: Pipe | None, of: Pipe) -> None:
        super().__init__(input)
        self.built_at = of.built_at
        self._text = of.describe()
        self._known_columns = of.known_columns
        self._base = _Elsewhere(is_batched=of.flow.is_batched, row_bytes=of.flow.base.row_bytes)

    @property
    def known_columns(self) -> list[str] | None:
        """The names of the columns, as they were known when the stage was sent."""
        return self._known_columns

    def describe(self) -> str:
        """Return what the pipe that it stands for says of itself."""
        return self._text

    def make_flow(self) -> Flow:
        """Return a flow that has nothing."""
        return Flow(self._base)


class _Elsewhere(Base):
    """Items that are in another process."""

    def __init__(self, *, is_batched: bool, row_bytes: int) -> None:
        self.is_batched = is_batched
        self.is_indexable = False
        self._row_bytes = row_bytes

    @property
    def row_bytes(self) -> int:
        return self._row_bytes

    def num_items(self) -> int:
        self._refuse()

    def pieces(self, span: Span, run: Run) -> NoReturn:  # noqa: ARG002
        self._refuse()

    def open(self, run: Run) -> Cursor:  # noqa: ARG002
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RuntimeError("In a worker process a stage has the rows that it is given; what is upstream stayed behind.")


def detached(stage: Stage) -> Stage:
    """Return a copy of a stage with an outline of what is upstream in place of its input."""
    alone = copy.copy(stage)
    outline: Pipe | None = None
    for pipe in reversed(list(chain(stage))[1:]):
        outline = Outline(outline, pipe)
    object.__setattr__(alone, "input", outline)
    return alone


class _Checker(pickle.Pickler):
    """Pickles, and finds what another process could not find again by its name."""

    def __init__(self) -> None:
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda _: None)

    def persistent_id(self, obj: Any) -> None:
        main = sys.modules.get("__main__")
        if getattr(obj, "__module__", None) != "__main__" or not hasattr(obj, "__qualname__"):
            return
        if getattr(main, "__file__", None) is None and getattr(main, "__spec__", None) is None:
            raise pickle.PicklingError(f"{obj.__qualname__} was defined at a prompt, where no other process finds it")


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def require_picklable(stage: RowStage) -> None:
    """Raise a TypeError for a stage that can't be sent to a worker process.

    Raises:
        TypeError: with what does not pickle, and the mend.
    """
    try:
        _Checker().dump(detached(stage))
    except Exception as error:
        raise TypeError(
            f"{stage.describe()}, built at {stage.built_at}: backend='process' sends the function to other processes, and "
            f"this one does not pickle ({error}). Define it at the level of a module, or pass backend='thread'."
        ) from error


def require_no_gradients(message: Message, *, who: str) -> None:
    """Raise a TypeError for a tensor that gradients flow through: on the way to another process they would be lost."""
    for name in message.columns:
        column = message.raw(name)
        if isinstance(column, torch.Tensor) and column.requires_grad:
            raise TypeError(
                f"{who}: column {name!r} requires gradients, which don't reach through another process. Detach it, or "
                "pass backend='thread'."
            )


def notes_of(book: Book, stages: Sequence[RowStage]) -> Notes:
    """Return what a book says, with the places of the stages in ``stages`` for the stages."""
    places = {id(stage): place for place, stage in enumerate(stages)}
    meters = {places[key]: meter for key, meter in book.meters.items() if key in places}
    schemas = {places[key]: schema for key, schema in book.schemas.items() if key in places}
    return meters, schemas, book.set_aside


def write_notes(notes: Notes, book: Book, stages: Sequence[RowStage]) -> None:
    """Write what `notes_of` returned in a worker into a book of this process."""
    meters, schemas, set_aside = notes
    book.meters.update({id(stages[place]): meter for place, meter in meters.items()})
    book.schemas.update({id(stages[place]): schema for place, schema in schemas.items()})
    book.set_aside += set_aside
