"""One pipe for several consumers, each with its own position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final
from weakref import WeakValueDictionary

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, Span
from fireworks.core.cursor import Cursor, State, read_exactly
from fireworks.core.flow import Barrier, Flow
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError
from fireworks.junctions.shared_pass import Reader, SharedPass


def branch(input: Pipe, count: int, *, max_rows: int = 65_536, timeout_s: float = 60.0) -> tuple[Branch, ...]:
    """Return several pipes over one, for consumers that are live at the same time.

    With random access each branch costs a cursor and nothing else; so does using one pipe several times. Of a stream,
    the branches share one pass in each epoch: what one has read is kept until the others have read it too, at most
    ``max_rows``. See `Branch`.

    Args:
        input: Any pipe.
        count: How many. At least 1.
        max_rows: How far one branch of a stream may be ahead of another. At least 1.
        timeout_s: Seconds that one branch waits for another that is read in another thread.

    Raises:
        ValueError: ``count`` or ``max_rows`` is below 1, or ``timeout_s`` is not positive.

    Example:
        >>> stream = fw.source(lambda: ({"n": n} for n in range(4)))
        >>> evens, all_rows = branch(stream, 2)
        >>> pairs = zip(evens.filter("n", "in", [0, 2]), all_rows)
        >>> [(left["n"].tolist(), right["n"].tolist()) for left, right in pairs]
        [([0], [0]), ([2], [1])]
    """
    check_count(count, at_least=1, where="branch: count")
    seconds: object = timeout_s  # whatever the annotation says
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise ValueError(f"branch: timeout_s must be a positive number of seconds; got {timeout_s!r}.")
    rows = check_count(max_rows, at_least=1, where="branch: max_rows")
    hub = Hub(count, rows, float(timeout_s))
    return tuple(Branch(input, number, hub) for number in range(count))


class Hub:
    """What the branches of one pipe share: the pass of each epoch that is under way."""

    def __init__(self, count: int, max_rows: int, timeout_s: float) -> None:
        self.count, self.max_rows, self.timeout_s = count, max_rows, timeout_s
        self.passes: WeakValueDictionary[int, SharedPass] = WeakValueDictionary()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"passes": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.passes = WeakValueDictionary()

    def reader(self, flow: Flow, number: int, run: Run, state: State | None = None) -> Reader | None:
        """Return a reader of the pass over an epoch at a place; None where that place is gone, or the branch reads already.

        The first reader begins the pass; when the last one goes, so does the pass.
        """
        position = 0 if state is None else int(state["position"])
        shared = self.passes.get(run.epoch)
        if shared is None:
            cursor = flow.open(run)
            if state is not None:
                go_to(cursor, state)
            shared = SharedPass(
                cursor, self.count, self.max_rows, self.timeout_s, position=position, is_batched=flow.is_batched
            )
            self.passes[run.epoch] = shared
        return shared.reader(number, position)


def go_to(cursor: Cursor, state: State) -> None:
    """Move a cursor to the place of a branch."""
    cursor.load_state_dict(state["input"])
    if state["used"]:
        read_exactly(cursor, int(state["used"]))


@final
class Branch(Pipe):
    """One of several pipes over the same input; made by `branch`.

    A branch gives what its input gives. Of a stream, branches share one pass in each epoch:

    - A branch that has begun an epoch holds the rows that it has not read yet, until its iterator ends or is gone. One
      that is asked to go further ahead of it than ``max_rows`` waits if the other is read in another thread; in the same
      thread that would be for ever, so it is an error that names the one behind. A batch is kept or read as a whole.
    - A branch that has not begun an epoch holds up nobody: the first ``max_rows`` rows are kept for it. If it begins when
      these are gone, it reads the stream by itself, and so does one that is resumed elsewhere than the others stand.

    Args:
        input: Any pipe.
        number: Which branch this is, from 0.
        hub: What the branches share.

    Raises:
        BranchBehindError: another branch, read in this thread, is ``max_rows`` behind; or one in another thread did not
            read on for ``timeout_s``. The error names it and what helps.
    """

    def __init__(self, input: Pipe, number: int, hub: Hub) -> None:
        super().__init__(input)
        self.number, self._hub = number, hub

    def describe(self) -> str:
        shared = "" if self.upstream.is_indexable else f", max_rows={self._hub.max_rows}"
        return f"Branch({self.number} of {self._hub.count}{shared})"

    def make_flow(self) -> Flow:
        flow = self.upstream.flow
        return flow if flow.is_indexable else Flow(_Shared(flow, self.number, self._hub))


class _Shared(Barrier):
    """The items of a stream that several branches read."""

    def __init__(self, flow: Flow, number: int, hub: Hub) -> None:
        super().__init__(flow)
        self._number, self._hub = number, hub

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:  # noqa: ARG002
        raise NoRandomAccessError("Branch: its input is a stream.")

    def open(self, run: Run) -> Cursor:
        return _BranchCursor(self.flow, self._number, self._hub, run)


class _BranchCursor(Cursor):
    """A place in the shared pass, or in one of its own where that one is elsewhere."""

    def __init__(self, flow: Flow, number: int, hub: Hub, run: Run) -> None:
        self._flow, self._number, self._hub, self._run = flow, number, hub, run
        self._own: Cursor | None = None
        self._position = 0  # of the next item, in a pass of its own
        self._reader = hub.reader(flow, number, run)

    def read(self, num_rows: int) -> Chunk | None:
        if self._reader is not None:
            return self._reader.shared.read(self._reader, num_rows)
        chunk = self._alone().read(num_rows)
        if chunk is not None:
            self._position += 1 if self._flow.is_batched else len(chunk.rows)
        return chunk

    def _alone(self) -> Cursor:
        if self._own is None:
            self._own = self._flow.open(self._run)
        return self._own

    def state_dict(self) -> State:
        if self._reader is not None:
            return self._reader.shared.place_of(self._reader)
        return {"input": self._alone().state_dict(), "used": 0, "position": self._position}

    def load_state_dict(self, state: State) -> None:
        if self._reader is not None:
            if self._reader.shared.move(self._reader, int(state["position"])):
                return
            self._reader.shared.leave(self._reader)
        self._reader = self._hub.reader(self._flow, self._number, self._run, state)
        self._own = None
        if self._reader is None:
            go_to(self._alone(), state)
            self._position = int(state["position"])
