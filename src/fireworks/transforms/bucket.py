"""Batches of rows of similar length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, final

import numpy as np
import torch

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Chunk, Span, as_positions, groups, join, recut
from fireworks.core.cursor import Cursor, State, read_exactly, unmoved_by_errors
from fireworks.core.failures import note_place
from fireworks.core.flow import Barrier, Flow, block_rows, read_rows
from fireworks.core.in_place import call
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import chain
from fireworks.core.run import Run
from fireworks.core.stages import RowStage, require_columns
from fireworks.errors import ColumnValueError, NoRandomAccessError, UnknownLengthError
from fireworks.message import Message
from fireworks.message.columns import Column, Positions
from fireworks.message.conversion.convert import as_tensor
from fireworks.message.conversion.kinds import is_arrow, is_objects
from fireworks.message.conversion.lists import is_list
from fireworks.transforms.mapped import function_name
from fireworks.transforms.ragged import list_lengths, places

_EPOCHS_KEPT = 2


@final
class Bucket(Pipe):
    """Group rows of similar length into batches, so that padding them wastes little.

    Rows keep their order within a bucket, and every row comes exactly once: a batch is ready when its bucket has enough
    rows, and comes at the place of the row that filled it; what is left in the buckets comes last, in short batches.
    Shuffle before it for other batches each epoch, and behind it too for batches of mixed lengths.

    There is random access where the lengths are the same in every epoch, also behind a shuffle: they are found in one pass,
    when they are first needed, and remembered. Otherwise it is a stream that holds ``batch_rows`` rows of each bucket at
    most; on resume it reads again from the oldest row that was waiting.

    Args:
        input: Rows.
        by: A column of lists, whose lengths count; or one of numbers, which are the lengths; or a function from a message
            to one number per row.
        boundaries: The longest length in each bucket, in increasing order; one more bucket holds what is longer.
        batch_rows: Rows in one batch; or as many numbers as buckets, of which there is one more than boundaries.
        drop_last: Leave the short batches out.

    Raises:
        ValueError: boundaries don't increase, or ``batch_rows`` has another number of entries or one below 1.
        TypeError: the input is batched; ``by`` is no column and no function, or answers something else.
        ColumnNotFoundError: there is no such column.
        ColumnTypeError: the column holds neither lists nor numbers.
        ColumnValueError: a length is missing.

    Source:
        Buckets by length as in ``tf.data.Dataset.bucket_by_sequence_length`` (TensorFlow 2); differs in that a boundary
        belongs to the bucket below it.

    Example:
        >>> data = fw.source({"tokens": [[1], [2, 3, 4], [5, 6], [7, 8, 9], [1, 2]]})
        >>> [[len(tokens) for tokens in batch["tokens"]] for batch in Bucket(data, "tokens", [2], 2)]
        [[1, 2], [3, 3], [2]]
    """

    def __init__(
        self,
        input: Pipe,
        by: str | Callable[[Message], Any],
        boundaries: Sequence[float],
        batch_rows: int | Sequence[int],
        *,
        drop_last: bool = False,
    ) -> None:
        super().__init__(input)
        if self.upstream.is_batched:
            raise TypeError(f"bucket: the input has batches already ({input!r}); bucket rows, or .unbatch() first.")
        if isinstance(by, str):
            require_columns(self.upstream, [by], who="bucket")
        elif not callable(by):
            raise TypeError(f"bucket: by must be a column or a function; got {by!r:.60} of type {type(by).__name__}.")
        self.by, self.boundaries, self.drop_last = by, _boundaries(boundaries), drop_last
        self.bucket_rows = _rows_of_each(batch_rows, len(self.boundaries) + 1)
        self.batch_rows = max(self.bucket_rows)  # of any batch, at most

    @property
    def order_varies(self) -> bool:
        return self.upstream.order_varies or self.upstream.values_vary

    def describe(self) -> str:
        by = self.by if isinstance(self.by, str) else function_name(self.by)
        rows: Any = list(self.bucket_rows) if len(set(self.bucket_rows)) > 1 else self.batch_rows
        return f"Bucket({by}, {list(self.boundaries)}, {rows}{', drop_last=True' if self.drop_last else ''})"

    def make_flow(self) -> Flow:
        flow = self.upstream.flow
        fixed = _fixed_orders(self.upstream) if flow.is_indexable else None
        return Flow(_Buckets(flow, self, fixed))

    def of_rows(self, chunk: Chunk, run: Run, block: int) -> Positions:
        """Return the number of the bucket of each row."""
        try:
            return np.searchsorted(np.asarray(self.boundaries), self._lengths(chunk), side="left")
        except Exception as error:
            note_place(error, self, chunk, run, block)
            raise

    def _lengths(self, chunk: Chunk) -> np.ndarray[Any, Any]:
        if not isinstance(self.by, str):
            lengths = _as_numbers(call(self.by, chunk.message, who=self.describe()), len(chunk.rows))
        else:
            lengths = _of_column(self.by, chunk.message.raw(self.by), chunk.rows)
        missing = chunk.rows[np.isnan(lengths)] if lengths.dtype.kind == "f" else chunk.rows[:0]
        if len(missing):
            raise ColumnValueError(
                f"bucket: {len(missing)} lengths are missing, the first in row {missing[0]} of the source; leave these rows "
                "out before."
            )
        return lengths


def _boundaries(boundaries: Sequence[float]) -> tuple[float, ...]:
    array: np.ndarray[Any, Any] = np.asarray(boundaries)
    numbers: tuple[float, ...] = tuple(array.tolist()) if array.ndim == 1 and array.dtype.kind in "iuf" else ()
    if not numbers or not all(low < high for low, high in pairwise(numbers)) or math.isnan(numbers[-1]):
        raise ValueError(f"bucket: boundaries must be increasing numbers, at least one; got {boundaries!r:.80}.")
    return numbers


def _rows_of_each(batch_rows: int | Sequence[int], num_buckets: int) -> tuple[int, ...]:
    if not isinstance(batch_rows, (list, tuple)):
        return (check_count(batch_rows, at_least=1, where="bucket: batch_rows"),) * num_buckets
    if len(batch_rows) != num_buckets:
        raise ValueError(
            f"bucket: {num_buckets - 1} boundaries make {num_buckets} buckets; batch_rows has {len(batch_rows)} numbers."
        )
    return tuple(check_count(rows, at_least=1, where="bucket: batch_rows") for rows in batch_rows)


def _of_column(name: str, column: Column, rows: Positions) -> np.ndarray[Any, Any]:
    if is_arrow(column, is_list) or is_objects(column) or (isinstance(column, torch.Tensor) and column.dim() > 1):
        return list_lengths(name, column, rows, who="bucket")
    return as_tensor(name, column, where="bucket", rows=rows).detach().cpu().numpy()


def _as_numbers(answer: Any, num_rows: int) -> np.ndarray[Any, Any]:
    lengths = answer.detach().cpu().numpy() if isinstance(answer, torch.Tensor) else np.asarray(answer)
    if lengths.shape != (num_rows,) or lengths.dtype.kind not in "iuf":
        raise TypeError(
            f"bucket: the function must answer one number per row, shape ({num_rows},); got {lengths.dtype} of shape "
            f"{lengths.shape}."
        )
    return lengths


def _fixed_orders(pipe: Pipe) -> int | None:
    """Return how many orders of a pipe's flow, from the first on, are the same in every epoch, with all behind shuffles.

    None where the lengths of rows, or which rows there are, may differ from epoch to epoch.
    """
    if pipe.values_vary:
        return None
    for stage in chain(pipe):
        if not stage.order_varies:
            return len(stage.flow.orders)
        keeps_rows = isinstance(stage, RowStage) and not stage.drops_rows and stage.on_error == "raise"
        if stage.random_kind != "shuffle" and not keeps_rows:
            return None
    return None


class _Plan(NamedTuple):
    """The batches of one epoch: which items of the input they hold, and where each ends among these."""

    rows: Positions
    ends: Positions


class _Buckets(Barrier):
    """The rows of a flow, in batches by bucket."""

    def __init__(self, flow: Flow, stage: Bucket, fixed_orders: int | None) -> None:
        super().__init__(flow)
        self.is_batched = True
        self.is_indexable = fixed_orders is not None
        self._stage, self._fixed = stage, fixed_orders
        self._found: dict[int, Positions] = {}  # the bucket of each row, in the order that never changes
        self._forget()

    def _forget(self) -> None:
        self._plan = lru_cache(_EPOCHS_KEPT)(self._make_plan)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_plan"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _buckets(self) -> Positions:
        """Return the bucket of each row in front of the shuffles; reads all rows once."""
        still = Flow(self.flow.base, self.flow.orders[: self._fixed], self.flow.stages)
        num_rows = still.num_items()
        if num_rows not in self._found:  # a live table may have grown
            run, size = Run(0), block_rows(still.base.row_bytes)
            blocks = enumerate(recut(still.pieces(range(num_rows), run), size))
            parts = [self._stage.of_rows(chunk, run, number) for number, chunk in blocks]
            self._found.clear()
            self._found[num_rows] = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
        return self._found[num_rows]

    def _make_plan(self, epoch: int, num_rows: int) -> _Plan:
        buckets = self._buckets()
        shuffles = self.flow.orders[self._fixed :]
        span: Span = range(num_rows)
        for order in reversed(shuffles):
            span = order.locate(span, num_rows, epoch)
        return planned(buckets[as_positions(span)], self._stage.bucket_rows, drop_last=self._stage.drop_last)

    def num_items(self) -> int:
        if not self.is_indexable:
            raise UnknownLengthError(
                f"{self._stage.describe()}: the lengths of its rows change with every epoch, or its input is a stream, so the "
                "number of batches is not known before the end."
            )
        return len(self._plan(0, self.flow.num_items()).ends)

    def sizes(self, epoch: int) -> Positions:
        """Return the number of rows in every batch."""
        return np.diff(self._plan(epoch, self.flow.num_items()).ends, prepend=0)

    def num_rows(self, span: Span, epoch: int) -> int:
        return int(self.sizes(epoch)[as_positions(span)].sum())

    def rows_at(self, span: Span, epoch: int) -> Origins:
        plan, positions = self._plan(epoch, self.flow.num_items()), as_positions(span)
        sizes = np.diff(plan.ends, prepend=0)[positions]
        return Origins(self.flow.rows_at(plan.rows[places(plan.ends[positions] - sizes, sizes)], epoch).rows, sizes)

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        if not self.is_indexable:
            raise NoRandomAccessError(f"{self._stage.describe()} is a stream here.")
        plan, positions = self._plan(run.epoch, self.flow.num_items()), as_positions(span)
        for part in groups(positions, max(1, read_rows(self.row_bytes) // max(self._stage.bucket_rows))):
            group = as_positions(part)
            stops = plan.ends[group]
            sizes = stops - np.where(group > 0, plan.ends[group - 1], 0)
            chunk = join(list(self.flow.pieces(plan.rows[places(stops - sizes, sizes)], run)))
            bounds = np.cumsum(sizes).tolist()
            for start, stop in zip([0, *bounds[:-1]], bounds, strict=True):
                yield chunk.cut(start, stop)

    def open(self, run: Run) -> Cursor:
        return _BucketCursor(self.flow.open(run), self._stage, run, block_rows(self.row_bytes))


def planned(buckets: Positions, batch_rows: Sequence[int], *, drop_last: bool) -> _Plan:
    """Return the batches that rows of the given buckets make, in the order in which they are filled.

    Args:
        buckets: The bucket of each row, in the order of the rows.
        batch_rows: Rows in one batch of each bucket.
        drop_last: Leave the short batches out.

    Example:
        >>> planned(np.array([0, 1, 0, 1, 0]), [2, 2], drop_last=False).rows.tolist()
        [0, 2, 1, 3, 4]
    """
    order = np.argsort(buckets, kind="stable")
    counts = np.bincount(buckets, minlength=len(batch_rows))
    size = np.asarray(batch_rows, dtype=np.int64)
    batches = counts // size if drop_last else -(-counts // size)
    of = np.repeat(np.arange(len(size)), batches)
    ends = np.cumsum(counts)
    starts = (ends - counts)[of] + places(np.zeros_like(batches), batches) * size[of]
    stops = np.minimum(starts + size[of], ends[of])
    # A full batch comes at its last row, a short one behind all rows, by its bucket.
    comes = np.where(stops - starts == size[of], order[stops - 1], len(buckets) + of) if len(of) else of
    by = np.argsort(comes, kind="stable")
    sizes = (stops - starts)[by]
    return _Plan(order[places(starts[by], sizes)], np.cumsum(sizes))


class _BucketCursor(Cursor):
    """A pass over a stream by buckets.

    What waits in the buckets is read again on resume: the state is a place of the input before the oldest row that waits,
    and how many rows of each bucket behind that place were handed out.
    """

    def __init__(self, input: Cursor, stage: Bucket, run: Run, block_rows: int) -> None:
        self._input, self._stage, self._run, self._block_rows = input, stage, run, block_rows
        self._begin([0] * len(stage.bucket_rows))

    def _begin(self, handed_out: list[int]) -> None:
        self._handed_out = handed_out  # rows of each bucket, since the input's place at the beginning
        self._seen = [0] * len(handed_out)
        self._waiting: list[list[tuple[int, Chunk]]] = [[] for _ in handed_out]  # with the numbers of their blocks
        self._ready: list[_Ready] = []  # the first to hand out stands last
        self._blocks: dict[
            int, tuple[State, list[int]]
        ] = {}  # where the input stood before a block, and rows seen by then
        self._number = 0
        self._is_at_end = False

    def read(self, num_rows: int) -> Chunk | None:  # noqa: ARG002
        while not self._ready:
            if self._is_at_end or not self._read_block():
                return None
        ready = self._ready.pop()
        self._handed_out[ready.bucket] += len(ready.batch.rows)
        return ready.batch

    def _read_block(self) -> bool:
        """Sort one more block into the buckets, or what is left in them into short batches; False if nothing is left."""
        with unmoved_by_errors(self._input) as before:
            block = read_exactly(self._input, self._block_rows)
            if block is None:
                return self._end()
            buckets = self._stage.of_rows(block, self._run, self._number)
        self._blocks[self._number] = before, list(self._seen)
        filled: list[_Ready] = []
        for bucket in np.unique(buckets).tolist():
            places = np.flatnonzero(buckets == bucket)
            skipped = max(0, self._handed_out[bucket] - self._seen[bucket])  # handed out before the state was saved
            self._seen[bucket] += len(places)
            filled += self._fill(bucket, block, places[skipped:])
        self._ready = sorted(filled, key=lambda ready: -ready.place)
        self._number += 1
        needed = self._blocks_needed()
        self._blocks = {number: place for number, place in self._blocks.items() if number in needed}
        return True

    def _fill(self, bucket: int, block: Chunk, places: Positions) -> Iterator[_Ready]:
        """Put rows of a block into a bucket, and yield each batch that they fill."""
        size, waiting = self._stage.bucket_rows[bucket], self._waiting[bucket]
        missing = size - sum(len(part.rows) for _, part in waiting)
        while len(places) >= missing:
            last = self._number, block.take(places[:missing])
            yield _Ready(bucket, [*waiting, last], place=int(places[missing - 1]))
            places = places[missing:]
            waiting.clear()
            missing = size
        if len(places):
            waiting.append((self._number, block.take(places)))

    def _end(self) -> bool:
        self._is_at_end = True
        if not self._stage.drop_last:
            self._ready = [_Ready(bucket, parts) for bucket, parts in enumerate(self._waiting) if parts][::-1]
        self._waiting = [[] for _ in self._waiting]
        return bool(self._ready)

    def _blocks_needed(self) -> set[int]:
        """Return the numbers of the blocks of which a row has not been handed out."""
        waiting = {number for parts in self._waiting for number, _ in parts}
        return waiting.union(*(ready.blocks for ready in self._ready))

    def state_dict(self) -> State:
        oldest = min(self._blocks_needed(), default=None)
        if oldest is None:
            return {"input": self._input.state_dict(), "handed_out": [0] * len(self._seen)}
        place, seen = self._blocks[oldest]
        return {
            "input": place,
            "handed_out": [out - before for out, before in zip(self._handed_out, seen, strict=True)],
        }

    def load_state_dict(self, state: State) -> None:
        self._input.load_state_dict(state["input"])
        self._begin([int(count) for count in state["handed_out"]])


class _Ready:
    """A batch to hand out, its bucket, the blocks that its rows are of, and the place in the last one of its last row."""

    def __init__(self, bucket: int, parts: list[tuple[int, Chunk]], *, place: int = 0) -> None:
        self.bucket, self.place = bucket, place
        self.blocks = {number for number, _ in parts}
        self.batch = join([part for _, part in parts])
