"""A pipe with random access as a map-style dataset of PyTorch, with an epoch to set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch.utils.data import Dataset

from fireworks._internal.checks import check_count
from fireworks.core.pipe import Pipe
from fireworks.core.shared_epoch import SharedEpoch


@final
class PipeDataset(Dataset[Any]):
    """A pipe with random access as a map-style dataset: ``dataset[i]`` is the item at position i of the epoch that is set.

    A pipe is one by itself, always of epoch 0: ``DataLoader(pipe, batch_size=256)`` over rows, ``DataLoader(pipe,
    batch_size=None)`` over batches. This one has a ``set_epoch`` besides, which reaches workers that are running too.
    Rows for a batch are asked for at once, and come as one message. Order, batches and random draws are best left to the
    pipe; a sampler of the loader's works as well.

    Args:
        pipe: With random access.

    Raises:
        NoRandomAccessError: the pipe is a stream; see `Pipe.as_iterable_dataset`.

    Example:
        >>> dataset = PipeDataset(fw.source({"x": torch.arange(6)}).shuffle(seed=0).batch(3))
        >>> dataset.set_epoch(1)
        >>> [batch["x"].tolist() for batch in torch.utils.data.DataLoader(dataset, batch_size=None)]
        [[3, 4, 1], [5, 2, 0]]
    """

    def __init__(self, pipe: Pipe) -> None:
        pipe.flow.require_random_access("as_dataset", pipe)
        self._pipe = pipe
        self._epoch = SharedEpoch()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of all items from now on.

        Raises:
            ValueError: ``epoch`` is no int, or negative.
        """
        self._epoch.upcoming = check_count(epoch, at_least=0, where="set_epoch: epoch")

    def __len__(self) -> int:
        return len(self._pipe)

    def __getitem__(self, index: Any) -> Any:
        return self._pipe.get(index, self._epoch.upcoming)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """Return the items of one batch, gathered at once: a message of rows, or a list of batches."""
        return self._pipe.get(list(indices), self._epoch.upcoming)

    def __repr__(self) -> str:
        return f"PipeDataset({self._pipe!r})"
