"""Several inputs, one after the other."""

from __future__ import annotations

from typing import final

import numpy as np

from fireworks.core.chunk import Chunk
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Flow
from fireworks.core.junction import Junction
from fireworks.core.run import Run
from fireworks.junctions.assorted import of_one
from fireworks.junctions.one_of_many import End, check_alike, known_columns, lowered


@final
class Concat(Junction):
    """Hand out all items of the first component, then all of the second, and so on.

    All components must have the same columns, of the same types; they come in the order of the first. Functions of the
    components run behind orders that follow, each on its own component's rows, so ``concat`` then ``shuffle`` costs one
    gather. Two components with one seed draw independently. The row numbers that errors behind a concat of rows speak of
    count the rows of all components one after the other.

    Args:
        components: Pipes by name; all over rows, or all over batches. One stream among them makes a stream.

    Raises:
        TypeError: some are batched and some are not.
        SchemaMismatchError: a component has other columns or types; at once where they are known, else with the first
            rows.

    Example:
        >>> old, new = fw.source({"x": torch.arange(3)}), fw.source({"x": torch.arange(10, 12)})
        >>> both = Concat({"old": old, "new": new.map(lambda rows: rows.assign(x=-rows["x"]))})
        >>> both.to_message()["x"].tolist(), both.shuffle(seed=0).to_message()["x"].tolist()
        ([0, 1, 2, -10, -11], [-11, -10, 2, 1, 0])
    """

    def check_components(self) -> None:
        check_alike(self)

    @property
    def known_columns(self) -> list[str] | None:
        return known_columns(self)

    def make_flow(self) -> Flow:
        base, stage = lowered(self, EndToEnd)
        return Flow(base, stages=(stage,))


class EndToEnd(End):
    """The items of the components one after the other."""

    def open(self, run: Run) -> Cursor:
        return _ConcatCursor(self._flows, run, is_batched=self.is_batched)


class _ConcatCursor(Cursor):
    """A pass over several streams, one after the other."""

    def __init__(self, flows: list[Flow], run: Run, *, is_batched: bool) -> None:
        self._flows, self._run, self._is_batched = flows, run, is_batched
        self._begin(0, 0)

    def _begin(self, number: int, done: int) -> None:
        self._input = self._flows[number].open(self._run)
        self._number, self._done = number, done

    def read(self, num_rows: int) -> Chunk | None:
        while (chunk := self._input.read(num_rows)) is None:
            if self._number + 1 == len(self._flows):
                return None
            self._begin(self._number + 1, self._done)
        start, self._done = self._done, self._done + len(chunk.rows)
        rows = chunk.rows if self._is_batched else np.arange(start, self._done, dtype=np.int64)
        return of_one(self._number, chunk, rows)

    def state_dict(self) -> State:
        return {"component": self._number, "rows": self._done, "input": self._input.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._begin(int(state["component"]), int(state["rows"]))
        self._input.load_state_dict(state["input"])
