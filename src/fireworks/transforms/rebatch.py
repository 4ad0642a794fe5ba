"""Batches of another size."""

from __future__ import annotations

from typing import final

from fireworks._internal.checks import check_count
from fireworks.core.flow import Flow
from fireworks.core.pipe import Pipe
from fireworks.transforms.batch import _Batches
from fireworks.transforms.unbatch import unbatched


@final
class Rebatch(Pipe):
    """Group the rows of batches into batches of exactly ``num_rows``; only the last may be shorter, and it is kept.

    Functions upstream go on to get the batches that they got before; the rows that they return are cut and joined, and
    in one pass no batch is computed twice.

    Args:
        input: Batches.
        num_rows: Rows in one batch. At least 1.
        drop_last: Leave the last batch out if it is shorter.

    Raises:
        ValueError: ``num_rows`` is below 1.
        TypeError: the input is not batched.

    Example:
        >>> batches = fw.source({"x": torch.arange(7)}).batch(2)
        >>> [batch["x"].tolist() for batch in Rebatch(batches, 3)]
        [[0, 1, 2], [3, 4, 5], [6]]
    """

    def __init__(self, input: Pipe, num_rows: int, *, drop_last: bool = False) -> None:
        super().__init__(input)
        self.batch_rows = check_count(num_rows, at_least=1, where="rebatch: num_rows")
        if not self.upstream.is_batched:
            raise TypeError(f"rebatch: the input has no batches ({input!r}); write .batch({num_rows}).")
        self.drop_last = drop_last

    def describe(self) -> str:
        return f"Rebatch({self.batch_rows}{', drop_last=True' if self.drop_last else ''})"

    def make_flow(self) -> Flow:
        return Flow(_Batches(unbatched(self.upstream, who="rebatch"), self.batch_rows, drop_last=self.drop_last))
