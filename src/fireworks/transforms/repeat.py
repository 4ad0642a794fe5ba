"""Several epochs of the input in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, Span, join
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Barrier, Flow
from fireworks.core.origins import Origins, joined
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run


@final
class Repeat(Pipe):
    """Run ``times`` epochs of the input, one after the other, as one.

    Epoch e of this pipe is the epochs ``e * times`` to ``e * times + times - 1`` of its input, so a shuffle below gives
    another order each time round. Functions below run as they do without it, on each epoch's own blocks; shuffle
    *before* repeating, because a shuffle behind would ask for single rows of many blocks.

    Args:
        input: Rows or batches.
        times: At least 1.

    Raises:
        ValueError: ``times`` is below 1.

    Example:
        >>> pipe = Repeat(fw.source({"x": torch.arange(3)}).shuffle(seed=0), 2)
        >>> pipe.to_message()["x"].tolist()
        [2, 1, 0, 1, 2, 0]
    """

    def __init__(self, input: Pipe, times: int) -> None:
        super().__init__(input)
        self.times = check_count(times, at_least=1, where="repeat: times")

    def describe(self) -> str:
        return f"Repeat({self.times})"

    def make_flow(self) -> Flow:
        return Flow(_Repeated(self.upstream.flow, self.times))


class _Repeated(Barrier):
    """Several epochs of a flow, end to end."""

    passes_columns: ClassVar[bool] = True

    def __init__(self, flow: Flow, times: int) -> None:
        super().__init__(flow)
        self._times = times

    def num_items(self) -> int:
        return self.flow.num_items() * self._times

    def _rounds(self, span: Span) -> Iterator[tuple[int, Span]]:
        """Yield each round that positions fall into, with the positions inside it, in the order of ``span``."""
        count = max(1, self.flow.num_items())
        if isinstance(span, range):
            for number in range(span.start // count, -(-span.stop // count)):
                yield number, range(max(span.start - number * count, 0), min(span.stop - number * count, count))
            return
        for number in np.unique(span // count):
            yield int(number), span[span // count == number] % count

    def num_rows(self, span: Span, epoch: int) -> int:
        first = epoch * self._times
        return sum(self.flow.num_rows_of(part, first + number) for number, part in self._rounds(span))

    def rows_at(self, span: Span, epoch: int) -> Origins:
        first = epoch * self._times
        parts = [self.flow.rows_at(part, first + number) for number, part in self._rounds(span)]
        found = joined(parts, is_batched=self.is_batched)
        if isinstance(span, range):
            return found
        count = max(1, self.flow.num_items())
        return found.taken(np.argsort(np.argsort(span // count, kind="stable"), kind="stable"))

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        first = run.epoch * self._times
        parts = (self.flow.pieces(part, run.at(first + number)) for number, part in self._rounds(span))
        found = (chunk for part in parts for chunk in part)
        if isinstance(span, range):
            yield from found
            return
        # Scattered: each round is asked once for all that is wanted of it, then everything is put in order.
        back = np.argsort(np.argsort(span // max(1, self.flow.num_items()), kind="stable"), kind="stable")
        chunks = list(found)
        if self.is_batched:
            yield from (chunks[place] for place in back)
        elif chunks:
            yield join(chunks).take(back)

    def open(self, run: Run) -> Cursor:
        return _RepeatCursor(self.flow, run, self._times)


class _RepeatCursor(Cursor):
    """A pass over several epochs of a stream."""

    def __init__(self, flow: Flow, run: Run, times: int) -> None:
        self._flow, self._run, self._times = flow, run, times
        self._begin(0)

    def _begin(self, round_: int) -> None:
        self._round = round_
        self._input = self._flow.open(self._run.at(self._run.epoch * self._times + round_))

    def read(self, num_rows: int) -> Chunk | None:
        chunk = self._input.read(num_rows)
        while chunk is None and self._round + 1 < self._times:
            self._begin(self._round + 1)
            chunk = self._input.read(num_rows)
        return chunk

    def state_dict(self) -> State:
        return {"input": self._input.state_dict(), "round": self._round}

    def load_state_dict(self, state: State) -> None:
        self._begin(int(state["round"]))
        self._input.load_state_dict(state["input"])
