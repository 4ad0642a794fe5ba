"""The part of each batch that one of several processes trains on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar, cast, final

import numpy as np

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, Span, as_positions, join
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Barrier, Flow
from fireworks.core.origins import Origins, runs
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.message.columns import Positions


@final
class Shard(Pipe):
    """Keep one rank's part of each batch: consecutive rows, as many as any other rank's, or one more or less.

    The batches in front of it are global: the same for any number of ranks, and the parts of all ranks, in the order of the
    ranks, are the batch. So training sees the same batches on one, two or seven processes, functions in front of ``shard``
    see whole batches, and those behind it parts. The order is a function of the seed, so ranks don't talk to each other about it. A
    state is good for any number of ranks: it counts global batches.

    Rank r of w gets rows ``m * r // w`` to before ``m * (r + 1) // w`` of a batch of m. All ranks have the same number of batches, so that
    none waits for another forever; where a batch has fewer rows than there are ranks, some get a batch without rows
    (``drop_last=True`` of ``batch`` leaves short ones out). Parts may differ by a row, so weight a mean over a part by its rows.

    With rows in memory or in a table, and no function between ``batch`` and here or in front of ``batch``, a rank reads its
    own rows alone; else it makes the whole batch and takes its part.

    Args:
        input: Batches, of the size of all ranks together.
        rank: Which process this is, from 0; if not given, that of ``torch.distributed``, where it is initialised, or else of the
            environment variable ``RANK``, which ``torchrun`` sets.
        world: How many there are; given where ``rank`` is. If not given, likewise, or ``WORLD_SIZE``.

    Raises:
        TypeError: the input is not batched.
        ValueError: rank or world makes no sense, only one of them is given, or there is none to be found.

    Example:
        >>> batches = fw.source({"x": torch.arange(7)}).batch(4)
        >>> [[part["x"].tolist() for part in Shard(batches, rank, 3)] for rank in range(3)]
        [[[0], [4]], [[1], [5]], [[2, 3], [6]]]
    """

    def __init__(self, input: Pipe, rank: int | None = None, world: int | None = None) -> None:
        super().__init__(input)
        if not self.upstream.is_batched:
            raise TypeError(
                f"shard: its input gives rows ({input!r}), and ranks share batches. Write .batch(rows of all ranks together)"
                ".shard()."
            )
        rank, world = _found(rank, world)
        self.world = check_count(world, at_least=1, where="shard: world")
        self.rank = check_count(rank, at_least=0, where="shard: rank")
        if self.rank >= self.world:
            raise ValueError(f"shard: of {self.world} ranks the last is {self.world - 1}; got rank {self.rank}.")

    # A state of one rank fits any other, so neither rank nor world is part of what is compared.
    def describe(self) -> str:
        return "Shard()"

    def make_flow(self) -> Flow:
        return Flow(_Parts(self.upstream.flow, self.rank, self.world))


def _found(rank: int | None, world: int | None) -> tuple[Any, Any]:
    if rank is not None and world is not None:
        return rank, world
    if rank is not None or world is not None:
        raise ValueError(f"shard: rank and world go together; got rank={rank!r:.40} and world={world!r:.40}.")
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    texts = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if None in texts:
        raise ValueError(
            "shard: there is no rank: torch.distributed is not initialised, and RANK and WORLD_SIZE are not set. Run the "
            "script with torchrun, or pass shard(rank=0, world=1)."
        )
    try:
        return int(cast("str", texts[0])), int(cast("str", texts[1]))
    except ValueError:
        raise ValueError(
            f"shard: RANK and WORLD_SIZE must be ints; they are {texts[0]!r:.40} and {texts[1]!r:.40}."
        ) from None


class _Parts(Barrier):
    """One rank's part of each batch of a flow."""

    passes_columns: ClassVar[bool] = True

    def __init__(self, flow: Flow, rank: int, world: int) -> None:
        super().__init__(flow)
        self._rank, self._world = rank, world

    def _part(self, sizes: Any) -> tuple[Any, Any]:
        """Return where this rank's part begins and ends, in batches of these sizes."""
        return sizes * self._rank // self._world, sizes * (self._rank + 1) // self._world

    def num_rows(self, span: Span, epoch: int) -> int:
        start, stop = self._part(self._sizes(span, epoch))
        return int((stop - start).sum())

    def _sizes(self, span: Span, epoch: int) -> Positions:
        """Return the rows of each batch at the positions of ``span``."""
        self.flow.num_rows_of(span[:0], epoch)  # says so where nobody knows
        sizes = getattr(self.flow.base, "sizes", None)
        if sizes is not None:
            return cast("Positions", sizes(epoch)[as_positions(self.flow._locate(span, epoch))])
        each = [self.flow.num_rows_of(range(number, number + 1), epoch) for number in as_positions(span).tolist()]
        return np.array(each, dtype=np.int64)

    def rows_at(self, span: Span, epoch: int) -> Origins:
        whole = self.flow.rows_at(span, epoch)
        sizes = cast("Positions", whole.sizes)
        start, stop = self._part(sizes)
        return Origins(whole.rows[runs(np.cumsum(sizes) - sizes + start, stop - start)], stop - start)

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        if self._reads_its_own:
            return self._own(span, run)
        return (batch.cut(*self._part(len(batch.rows))) for batch in self.flow.pieces(span, run))

    @property
    def _reads_its_own(self) -> bool:
        """Whether the rows of a part can be had without the rest of the batch, and that costs less."""
        flow = self.flow
        if flow.schedule is not None or not hasattr(flow.base, "bounds") or flow.base.reads_in_order:
            return False
        # What a function makes of a batch or a block may hang on all of its rows.
        whole = any(stage.on_grid or stage.drops_rows or stage.on_error != "raise" for stage in flow.stages)
        return not whole and not cast("Barrier", flow.base).flow.grid

    def _own(self, span: Span, run: Run) -> Iterator[Chunk]:
        base = cast("Any", self.flow.base)
        starts, stops = base.bounds(as_positions(self.flow._locate(span, run.epoch)))
        first, last = self._part(stops - starts)
        sizes = last - first
        chunks = _cut(base.flow.pieces(runs(starts + first, sizes), run), sizes.tolist(), base)
        numbers = (int(number) for number in span)
        return self.flow.finished(zip(numbers, chunks, strict=True), run)

    def open(self, run: Run) -> Cursor:
        return _PartCursor(self.flow.open(run), self)


def _cut(pieces: Iterator[Chunk], sizes: list[int], base: Barrier) -> Iterator[Chunk]:
    """Cut rows that come in chunks of any length into parts of the given sizes, some of which may be 0."""
    waiting: list[Chunk] = []
    have = 0
    last: Chunk | None = None
    for size in sizes:
        while have < size:
            last = next(pieces)
            waiting.append(last)
            have += len(last.rows)
        if not size:
            yield Chunk(base.flow.no_rows(), np.empty(0, dtype=np.int64)) if last is None else last.cut(0, 0)
            continue
        whole = join(waiting)
        yield whole.cut(0, size)
        have -= size
        waiting = [whole.cut(size, size + have)] if have else []


class _PartCursor(Cursor):
    """A pass over a stream of batches that hands out a part of each. Where the input stands says all."""

    def __init__(self, input: Cursor, parts: _Parts) -> None:
        self._input, self._parts = input, parts

    def read(self, num_rows: int) -> Chunk | None:
        batch = self._input.read(num_rows)
        return None if batch is None else batch.cut(*self._parts._part(len(batch.rows)))

    def state_dict(self) -> State:
        return {"input": self._input.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
