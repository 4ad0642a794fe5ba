"""Where in a pipeline something failed, on which rows, and the way back there."""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fireworks.core.chunk import Chunk
from fireworks.core.run import Run, SetAside, some_rows
from fireworks.core.site import is_ours
from fireworks.errors import FireworksError

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe
    from fireworks.core.stages import RowStage
    from fireworks.message import Message

_UNFOLDED = "full"
Compute = Callable[[Chunk, Run, int], Chunk]


@dataclass(frozen=True, eq=False)
class Place:
    """Where an error happened; it travels on the error, out of a worker process too."""

    stage: str
    """The stage as it describes itself."""
    built_at: str
    """The user's ``file:line`` that built it."""
    chunk: Chunk
    """The rows as they came to the stage, with their numbers in the source."""
    epoch: int
    block: int


def place_of(error: BaseException) -> Place | None:
    """Return where in a pipeline an error happened, if it did in one."""
    return getattr(error, "__fireworks_place__", None)


def note_place(error: Exception, stage: Pipe, chunk: Chunk, run: Run, block: int) -> None:
    """Note on an error where it happened; only the innermost stage does."""
    if place_of(error) is None:
        error.__fireworks_place__ = Place(stage.describe(), stage.built_at, chunk, run.epoch, block)  # type: ignore[attr-defined]
        unit = "batch" if stage.is_batched else "block"
        error.add_note(
            f"In {stage.describe()}, built at {stage.built_at}, on {some_rows(chunk.rows)} of the source "
            f"({unit} {block} of epoch {run.epoch})."
        )
        columns = ", ".join(str(chunk.message.schema).splitlines())
        error.add_note(f"The rows came as: {columns or 'no columns'}.")
        error.add_note(f"The pipeline: {stage!r}. Its replay(error) runs the failing rows again, in the debugger.")


def stopped(stage: Pipe, chunk: Chunk, run: Run, block: int) -> RuntimeError:
    """Return the error for a function that raised StopIteration: to whoever iterates, that says that the rows are at their end."""
    error = RuntimeError(f"{stage.describe()}: the function raised StopIteration.")
    note_place(error, stage, chunk, run, block)
    return error


def fold(error: Exception) -> None:
    """Take our own frames out of the traceback of an error that a user's function raised.

    The environment variable ``FIREWORKS_TRACEBACK=full`` keeps every frame.
    """
    frames = list(_frames(error.__traceback__))
    if place_of(error) is None or os.environ.get("FIREWORKS_TRACEBACK") == _UNFOLDED:
        return
    theirs = [frame for frame in frames if not is_ours(frame.tb_frame.f_code.co_filename)]
    is_deliberate = isinstance(error, FireworksError) or error.__cause__ is not None  # from a worker process, perhaps
    if is_ours(frames[-1].tb_frame.f_code.co_filename) and not is_deliberate:
        return  # a mistake of ours: what stands around it has to be mended
    chain: types.TracebackType | None = None
    for frame in reversed(theirs):
        chain = types.TracebackType(chain, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    count = len(frames) - len(theirs)
    if count and not any(note.endswith("shows them.)") for note in getattr(error, "__notes__", ())):
        error.add_note(f"({count} frames of fireworks are left out; FIREWORKS_TRACEBACK=full shows them.)")
    error.__traceback__ = chain


def _frames(traceback: types.TracebackType | None) -> Iterator[types.TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def failing_rows(compute: Compute, chunk: Chunk, run: Run, block: int) -> list[tuple[int, Exception]]:
    """Return the places in the chunk of the rows that fail alone, each with its error; found by halving.

    A function that fails only on several rows together gives none.
    """
    found: list[tuple[int, Exception]] = []

    def search(start: int, stop: int) -> None:
        try:
            compute(chunk.cut(start, stop), run, block)
        except Exception as error:  # noqa: BLE001 (any error of a user's function counts)
            if stop - start == 1:
                found.append((start, error))
                return
            middle = (start + stop) // 2
            search(start, middle)
            search(middle, stop)

    if len(chunk.rows):
        search(0, len(chunk.rows))
    return found


def without_bad_rows(error: Exception, stage: Pipe, compute: Compute, chunk: Chunk, run: Run, block: int) -> Chunk:
    """Set the rows that fail aside in the pass's book, and return what becomes of the others.

    Raises:
        Exception: no row fails alone, or the others fail together; the error as it is then.
    """
    bad = failing_rows(compute, chunk, run, block)
    if not bad:
        note_place(error, stage, chunk, run, block)
        raise error
    good = np.setdiff1d(np.arange(len(chunk.rows)), [position for position, _ in bad])
    result = compute(chunk.take(good), run, block) if len(good) else chunk.cut(0, 0)
    for position, reason in bad:
        row = chunk.take(np.array([position]))  # a copy: the rows around it need not stay in memory
        text = f"{type(reason).__name__}: {reason}"
        run.book.set_aside.append(SetAside(stage.describe(), stage.built_at, row.rows, row.message, text))
    run.book.meter(stage).set_aside += len(bad)
    return result


def load_debugger() -> Callable[[Any], Any]:
    """Return Python's debugger, which starts where an error was raised."""
    import pdb  # noqa: T100 (whoever replays an error asks for it)

    return pdb.post_mortem


def replay(stage: RowStage, place: Place, debugger: Callable[[Any], Any] | None) -> Message:
    """Run the rows at which a stage failed again; see `Pipe.replay`."""
    run = Run(place.epoch)
    bad = failing_rows(stage.compute, place.chunk, run, place.block)
    chunk = place.chunk.take(np.array([position for position, _ in bad])) if bad else place.chunk
    try:
        return stage.compute(chunk, run, place.block).message
    except Exception as error:
        note_place(error, stage, chunk, run, place.block)
        fold(error)
        (debugger or load_debugger())(error.__traceback__)
        raise
