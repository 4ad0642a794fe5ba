"""Any pipe as an iterable dataset of PyTorch, shared among the workers of a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from fireworks._internal.checks import check_count
from fireworks.core.chunk import groups
from fireworks.core.cursor import Cursor, State
from fireworks.core.failures import fold
from fireworks.core.iterator import require_same_stages
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.shared_epoch import SharedEpoch
from fireworks.errors import StateError
from fireworks.message import Message

_VERSION = 1
# Items that a worker asks for at a time, so that blocks which several of them stand on are computed once.
_BATCHES_AT_A_TIME, _ROWS_AT_A_TIME = 16, 1024


@final
class PipeIterableDataset(IterableDataset[Message]):
    """Any pipe as an iterable dataset, in which worker w of W yields the items k with ``k % W == w``.

    A DataLoader takes from its workers in turn, so the batches come in the pipe's own order, the same for any number of
    workers. Batch in the pipe and write ``DataLoader(dataset, batch_size=None, num_workers=W)``: a loader with a
    ``batch_size`` would put together what one worker yields.

    With random access a worker computes its own batches only (and the blocks that functions in front of ``batch`` need for
    them); it reads a stream on and skips what is not its own. Each pass is the next epoch, in all workers alike, unless
    `set_epoch` says otherwise. The iterators have a state, so torchdata's ``StatefulDataLoader`` resumes in the middle of an
    epoch. For accelerate pass ``DataLoaderConfiguration(dispatch_batches=False)``: its dispatcher knows no messages.

    Args:
        pipe: Any; best batched.

    Example:
        >>> dataset = PipeIterableDataset(fw.source({"x": torch.arange(6)}).shuffle(seed=0).batch(3))
        >>> loader = torch.utils.data.DataLoader(dataset, batch_size=None)
        >>> [batch["x"].tolist() for batch in loader], [batch["x"].tolist() for batch in loader]
        ([[4, 3, 2], [1, 5, 0]], [[3, 4, 1], [5, 2, 0]])
    """

    def __init__(self, pipe: Pipe) -> None:
        if not isinstance(pipe, Pipe):
            raise TypeError(f"PipeIterableDataset: expected a pipe; got {type(pipe).__name__}. Wrap it: fw.source(…).")
        self._pipe = pipe
        self._epoch = SharedEpoch()

    def set_epoch(self, epoch: int) -> None:
        """Set which epoch the next pass is; those after it follow on, in running workers too.

        Raises:
            ValueError: ``epoch`` is no int, or negative.
        """
        self._epoch.upcoming = check_count(epoch, at_least=0, where="set_epoch: epoch")

    def __len__(self) -> int:
        return len(self._pipe)

    def __bool__(self) -> bool:
        return True  # a stream has no length to ask for

    def __iter__(self) -> ShareIterator:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        return ShareIterator(self._pipe, self._epoch, worker, workers)

    def __repr__(self) -> str:
        return f"PipeIterableDataset({self._pipe!r})"


@final
class ShareIterator:
    """One worker's share of one pass: every ``workers``-th item, from the ``worker``-th on; with a state of its own.

    Args:
        pipe: Any.
        epochs: Says which epoch begins.
        worker: From 0 to before ``workers``.
        workers: How many share the pass.
    """

    def __init__(self, pipe: Pipe, epochs: SharedEpoch, worker: int, workers: int) -> None:
        self._pipe, self._epochs, self._worker, self._workers = pipe, epochs, worker, workers
        self._open(epochs.begin())

    def _open(self, epoch: int) -> None:
        self._epoch, self._run = epoch, Run(epoch, is_whole=True)
        self._pipe.note_pass(self._run)
        self._next = self._worker  # the item to hand out next
        self._items: Iterator[Message] | None = None
        strides = self._pipe.is_indexable and self._workers > 1
        self._cursor: Cursor | None = None if strides else self._pipe.runnable.open(self._run)
        self._read = 0  # items that were read of the cursor

    def __iter__(self) -> ShareIterator:
        return self

    def __next__(self) -> Message:
        try:
            message = self._from_share() if self._cursor is None else self._from_cursor(self._cursor)
        except Exception as error:
            self._items = None  # a generator that raised says from then on that it is at its end
            fold(error)
            raise
        if message is None:
            self._run.book.report()
            raise StopIteration
        self._next += self._workers
        return message

    def _from_cursor(self, cursor: Cursor) -> Message | None:
        """Read on to the next item of our own."""
        while (chunk := cursor.read(1)) is not None:
            self._read += 1
            if self._read > self._next:
                return chunk.message
        return None

    def _from_share(self) -> Message | None:
        if self._items is None:
            self._items = self._own_items()
        return next(self._items, None)

    def _own_items(self) -> Iterator[Message]:
        flow = self._pipe.runnable
        size = _BATCHES_AT_A_TIME if flow.is_batched else _ROWS_AT_A_TIME
        for group in groups(range(self._next, flow.num_items(), self._workers), size):
            for chunk in flow.pieces(np.asarray(group, dtype=np.int64), self._run):
                yield from [chunk.message] if flow.is_batched else chunk.message

    def state_dict(self) -> State:
        """Return where this share stands, and over what: numbers and text."""
        return {
            "version": _VERSION,
            "pipe": self._pipe.identity(),
            "epoch": self._epoch,
            "worker": self._worker,
            "workers": self._workers,
            "next": self._next,
            "read": self._read,
            "cursor": None if self._cursor is None else self._cursor.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Move to where another iterator of the same share stood; the next pass is the epoch after.

        Raises:
            StateError: the state is of another version, of another pipe, or of another worker or number of workers.
        """
        if state.get("version") != _VERSION:
            raise StateError(f"as_iterable_dataset: expected a state of version {_VERSION}; got {state!r:.80}.")
        require_same_stages(state["pipe"], self._pipe, who="as_iterable_dataset")
        saved, ours = (state["worker"], state["workers"]), (self._worker, self._workers)
        if saved != ours:
            raise StateError(
                f"as_iterable_dataset: the state is of worker {saved[0]} of {saved[1]}, this is worker {ours[0]} of {ours[1]}; "
                "resume with as many workers as before."
            )
        self._open(int(state["epoch"]))
        self._epochs.upcoming = self._epoch + 1
        self._next, self._read = int(state["next"]), int(state["read"])
        if self._cursor is not None:
            self._cursor.load_state_dict(state["cursor"])
