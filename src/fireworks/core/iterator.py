"""One pass over a pipe: an iterator with a state, and a pipe fixed to one epoch."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING, ClassVar, cast, final

from fireworks._internal.checks import check_count
from fireworks._internal.lazy import load
from fireworks.core.buffers import Buffers
from fireworks.core.chunk import Chunk, Span
from fireworks.core.cursor import Cursor, State
from fireworks.core.failures import fold
from fireworks.core.flow import Barrier, Flow
from fireworks.core.needs import require_room
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import StateError

if TYPE_CHECKING:
    from fireworks.message import Message
    from fireworks.parallel.stats import Stats

_VERSION = 1


@final
class PipeIterator:
    """One pass over a pipe. Any number of them may be under way at once; each knows only its own place.

    ``state_dict()`` is a small dict of numbers and text, ready for JSON; loaded into an iterator over an equal pipe it
    goes on with the very next item. Loading sets the pipe's epoch counter to the epoch after.

    Example:
        >>> make = lambda: fw.source({"x": torch.arange(10)}).shuffle(seed=3).batch(4)
        >>> iterator = iter(make()); first = next(iterator)
        >>> again = iter(make()); again.load_state_dict(iterator.state_dict())
        >>> next(again) == next(iterator)
        True
    """

    def __init__(self, pipe: Pipe, epoch: int) -> None:
        self._pipe = pipe
        self._open(epoch)

    def _open(self, epoch: int) -> None:
        self.epoch = epoch
        self._run = Run(epoch, buffers=Buffers())
        require_room(self._pipe, self._run.budget)
        self._pipe.note_pass(self._run)
        self._rows_out: int | None = 0  # rows handed out; unknown behind a jump
        self._cursor: Cursor = self._pipe.runnable.open(self._run)

    def __iter__(self) -> PipeIterator:
        return self

    def __next__(self) -> Message:
        asked = perf_counter_ns()
        try:
            chunk = self._cursor.read(1)
        except Exception as error:
            fold(error)
            raise
        self._run.book.inside_ns += perf_counter_ns() - asked
        if chunk is None:
            self._end()
            raise StopIteration
        if self._rows_out is not None:
            self._rows_out += len(chunk.rows)
        return chunk.message

    def _end(self) -> None:
        """Check that every row is accounted for, and report those that were set aside."""
        self._run.book.ended_ns = perf_counter_ns()
        self._run.buffers = None
        if self._rows_out is not None:
            self._run.book.audit(self._pipe, self._run.epoch, self._rows_out, self._cursor)
            self._rows_out = None
        self._run.book.report()

    def stats(self) -> Stats:
        """Return what this pass has done so far, stage by stage, and what holds it up; see `Pipe.stats`."""
        return cast("Stats", load("parallel.stats.stats_of")(self._pipe, self._run.book))

    def place(self) -> State:
        """Return where this pass stands, without saying over what; cheap enough for every batch."""
        return self._cursor.state_dict()

    def move_to(self, place: State) -> None:
        """Move to a place of this very pass, or of another over the same pipe and epoch."""
        self._rows_out = None
        self._cursor.load_state_dict(place)

    def state_dict(self) -> State:
        """Return where this pass stands, and over what."""
        return {
            "version": _VERSION,
            "pipe": self._pipe.identity(),
            "epoch": self.epoch,
            "cursor": self.place(),
        }

    def load_state_dict(self, state: State) -> None:
        """Move to where another iterator over an equal pipe stood.

        Raises:
            StateError: the state is of another version of the format, or of another pipe; the first stage that
                differs is named.
        """
        given: object = state
        is_whole = isinstance(given, dict) and {"version", "pipe", "epoch", "cursor"} <= given.keys()
        if not is_whole or state["version"] != _VERSION:
            raise StateError(
                f"PipeIterator: expected a state of version {_VERSION}; got {state!r:.80}. "
                "Save it again with this version of fireworks."
            )
        require_same_stages(state["pipe"], self._pipe, who="PipeIterator")
        try:
            self._open(int(state["epoch"]))
            self.move_to(state["cursor"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StateError(
                f"PipeIterator: the place {state['cursor']!r:.80} in epoch {state['epoch']!r:.20} is none of this pipe; the "
                "state is damaged, or was saved by another version of fireworks."
            ) from error
        self._pipe.next_epoch_is(self.epoch + 1)


def require_same_stages(saved: list[str], pipe: Pipe, *, who: str) -> None:
    """Raise `StateError` if a state was saved over another pipe; the first stage that differs is named."""
    ours = pipe.identity()
    if saved == ours:
        return
    if len(saved) == len(ours) and saved[: len(pipe.stages())] == pipe.stages():
        which = next(one for one, other in zip(ours, saved, strict=True) if one != other)
        name = which.removeprefix("data of ").rpartition(": ")[0]
        raise StateError(
            f"{who}: the state is of other data: {name} is not as it was. Bring back the data, or begin anew."
        )
    differs = next((n for n, (a, b) in enumerate(zip(saved, ours, strict=False)) if a != b), None)
    what = (
        f"{len(saved)} stages were saved, there are {len(ours)}"
        if differs is None
        else f"stage {differs} was {saved[differs]}, it is {ours[differs]}"
    )
    raise StateError(f"{who}: the state is of another pipe: {what}. Build the pipe as it was.")


@final
class AtEpoch(Pipe):
    """A pipe fixed to one epoch: every pass over it is that epoch, so all passes are equal.

    Args:
        input: Any pipe.
        epoch: From 0.

    Raises:
        ValueError: ``epoch`` is negative.

    Example:
        >>> pipe = fw.source({"x": torch.arange(4)}).shuffle(seed=0).batch(4)
        >>> third = pipe.at_epoch(2)
        >>> list(third) == list(third), next(iter(third)) == next(iter(pipe))
        (True, False)
    """

    def __init__(self, input: Pipe, epoch: int) -> None:
        super().__init__(input)
        self.epoch = check_count(epoch, at_least=0, where="at_epoch: epoch")

    @property
    def order_varies(self) -> bool:
        return False

    @property
    def values_vary(self) -> bool:
        return False

    def describe(self) -> str:
        return f"AtEpoch({self.epoch})"

    def __iter__(self) -> PipeIterator:
        return PipeIterator(self, self.epoch)

    def make_flow(self) -> Flow:
        return Flow(_FixedEpoch(self.upstream.flow, self.epoch))


class _FixedEpoch(Barrier):
    """The flow of one epoch, whatever epoch is asked for."""

    passes_columns: ClassVar[bool] = True

    def __init__(self, flow: Flow, epoch: int) -> None:
        super().__init__(flow)
        self._epoch = epoch

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        return self.flow.pieces(span, run.at(self._epoch))

    def open(self, run: Run) -> Cursor:
        return self.flow.open(run.at(self._epoch))

    def num_rows(self, span: Span, epoch: int) -> int:  # noqa: ARG002
        return self.flow.num_rows_of(span, self._epoch)

    def rows_at(self, span: Span, epoch: int) -> Origins:  # noqa: ARG002
        return self.flow.rows_at(span, self._epoch)
