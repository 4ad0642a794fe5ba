"""Every verb of a pipe, typed and documented where editors and mypy see them.

Each body is one lazy load by name, so that the base of all pipes imports none of the stages built on it. A verb and its
class give the same pipe: ``data.shuffle(seed=0).batch(256)`` is ``Batch(Shuffle(data, seed=0), 256)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from fireworks._internal.lazy import load

if TYPE_CHECKING:
    import torch

    from fireworks.core.pipe import Pipe
    from fireworks.message import Message


class Fluent:
    """The verbs of a pipe."""

    def at_epoch(self, epoch: int) -> Pipe:
        """Fix the pipe to one epoch, so that all passes over it are equal; see `AtEpoch`."""
        return cast("Pipe", load("core.iterator.AtEpoch")(self, epoch))

    def batch(self, num_rows: int, *, drop_last: bool = False) -> Pipe:
        """Group rows into batches; the last may be shorter, and is kept unless ``drop_last``. See `Batch`."""
        return cast("Pipe", load("transforms.batch.Batch")(self, num_rows, drop_last=drop_last))

    def enumerate(self, column: str = "index", *, start: int = 0) -> Pipe:
        """Add a column with the position of each item, as it is here; see `Enumerate`."""
        return cast("Pipe", load("transforms.enumerate.Enumerate")(self, column, start=start))

    def filter(self, predicate: Callable[[Message], Any] | str, *comparison: Any) -> Pipe:
        """Keep the rows for which a function is true, or a column compares: ``filter("x", ">=", 0)``. See `Filter`."""
        return cast("Pipe", load("transforms.filter.Filter")(self, predicate, *comparison))

    def flatten(self, column: str) -> Pipe:
        """Make one row of each element of a column of lists, the other columns repeated; see `Flatten`."""
        return cast("Pipe", load("transforms.flatten.Flatten")(self, column))

    def map(
        self,
        function: Callable[..., Message],
        *,
        seed: int | None = None,
        name: str | None = None,
        on_error: str = "raise",
    ) -> Pipe:
        """Run a function over rows, or over batches behind ``batch``; with a seed it gets a generator. See `Map`."""
        return cast("Pipe", load("transforms.map.Map")(self, function, seed=seed, name=name, on_error=on_error))

    def rebatch(self, num_rows: int, *, drop_last: bool = False) -> Pipe:
        """Group the rows of batches into batches of another size; see `Rebatch`."""
        return cast("Pipe", load("transforms.rebatch.Rebatch")(self, num_rows, drop_last=drop_last))

    def repeat(self, times: int) -> Pipe:
        """Run several epochs as one; see `Repeat`."""
        return cast("Pipe", load("transforms.repeat.Repeat")(self, times))

    def select(self, *columns: str) -> Pipe:
        """Keep the named columns; see `Select`."""
        return cast("Pipe", load("transforms.select.Select")(self, *columns))

    def shuffle(self, seed: int | None = None, *, name: str | None = None) -> Pipe:
        """Put items in an exactly uniform random order, another one each epoch; a seed is needed. See `Shuffle`."""
        return cast("Pipe", load("order.shuffle.Shuffle")(self, seed, name=name))

    def skip(self, num_items: int) -> Pipe:
        """Leave the first items out; see `Skip`."""
        return cast("Pipe", load("transforms.skip.Skip")(self, num_items))

    def slice(self, start: int | None, stop: int | None, step: int = 1) -> Pipe:
        """Keep the items at the positions of a Python slice; see `Slice`."""
        return cast("Pipe", load("transforms.slice.Slice")(self, start, stop, step))

    def split(self, *fractions: float, seed: int | None = None, name: str | None = None) -> tuple[Pipe, ...]:
        """Split items at random into disjoint parts by fractions that sum to 1; a seed is needed. See `split`."""
        return cast("tuple[Pipe, ...]", load("order.split.split")(self, *fractions, seed=seed, name=name))

    def take(self, num_items: int) -> Pipe:
        """Keep the first items; see `Take`."""
        return cast("Pipe", load("transforms.take.Take")(self, num_items))

    def tensors(self, *columns: str, device: torch.device | str | None = None) -> Pipe:
        """Turn columns into tensors, floating ones to torch's default dtype; see `Tensors`."""
        return cast("Pipe", load("transforms.tensors.Tensors")(self, *columns, device=device))

    def unbatch(self) -> Pipe:
        """Turn batches back into rows; see `Unbatch`."""
        return cast("Pipe", load("transforms.unbatch.Unbatch")(self))
