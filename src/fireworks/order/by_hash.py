"""Parts that a row's key decides alone, so that a row stays where it is whatever comes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar, final

import numpy as np

from fireworks._internal.seeds import check_seed
from fireworks.core.pipe import Pipe
from fireworks.message.columns import Positions
from fireworks.order.chosen import Chosen
from fireworks.order.column import hash_parts, require_rows
from fireworks.order.hashing import Hashes
from fireworks.order.shares import are_fractions, as_written
from fireworks.order.split import check_number

_WHO = "split_by_hash"


def split_by_hash(input: Pipe, column: str, *fractions: float, seed: int) -> tuple[HashPart, ...]:
    """Split rows by the hash of a key: a row's part depends on the key, the fractions and the seed, and on nothing else.

    So a row stays in its part when others come or go, in another order, in another process, on another machine, and when the key
    is held by another type: 7 is 7 as int8, as float64 and as a category. Rows with one key are in one part. The sizes
    are those of the fractions only on average over keys. Inside a part rows keep the input's order. The column is passed
    over once; nothing else is read.

    The hash is XXH64 with the seed, of the bytes that `hashes_of` says: of a text its UTF-8, of a whole number the eight
    bytes of the integer. Part p holds the rows whose hash, over 2**64, lies from the sum of the fractions before p to
    before the sum with it.

    Args:
        input: Rows with random access.
        column: The key: numbers, texts, bytes, dates or categories of these; without nulls.
        fractions: The shares of the parts, positive, with the sum 1.
        seed: From 0 to 2**64 - 1.

    Raises:
        ValueError: the fractions don't sum to 1, a part stays empty, or the input's order or values change by epoch.
        ColumnTypeError: the column holds something else.
        ColumnValueError: a row has no key; the first ten are named.
        NoRandomAccessError: the input is a stream.

    Source:
        XXH64 of Yann Collet, "xxHash fast digest algorithm", version 0.1.1 of its specification (2018).

    Example:
        >>> data = fw.source({"user": ["ann", "bob", "cid", "ann", "dan", "eve"]})
        >>> [part.to_message()["user"].tolist() for part in split_by_hash(data, "user", 0.5, 0.5, seed=0)]
        [['ann', 'ann', 'dan'], ['bob', 'cid', 'eve']]
    """
    _check_fractions(fractions)
    return tuple(HashPart(input, column, fractions, number, seed=seed) for number in range(len(fractions)))


def _check_fractions(fractions: Sequence[float]) -> None:
    if not are_fractions(fractions):
        raise ValueError(f"{_WHO}: fractions must be positive numbers with the sum 1; got {list(fractions)!r:.80}.")


def hash_bounds(fractions: Sequence[float]) -> Hashes:
    """Return the smallest hash of each part but the first.

    Example:
        >>> [hex(bound) for bound in hash_bounds([0.25, 0.5, 0.25]).tolist()]
        ['0x4000000000000000', '0xc000000000000000']
    """
    shares = [as_written(fraction) for fraction in fractions]
    sums = list(accumulate(shares))[:-1]
    return np.array([-(-(total * 2**64) // sum(shares)) for total in sums], dtype=np.uint64)


@final
class HashPart(Chosen):
    """One part of a `split_by_hash`.

    Args:
        input: Rows with random access, in an order that does not change by epoch.
        column: The key.
        fractions: The shares of all parts.
        number: Which part this is, from 0.
        seed: The seed of the hash.

    Raises:
        ValueError: as of `split_by_hash`; no row falls into this part.
    """

    who: ClassVar[str] = _WHO

    def __init__(self, input: Pipe, column: str, fractions: Sequence[float], number: int, *, seed: int) -> None:
        self.seed = check_seed(seed, where=_WHO)
        _check_fractions(fractions)
        self.fractions = tuple(fractions)
        self.number = check_number(number, len(fractions), who=_WHO)
        super().__init__(input)
        self.column = require_rows(self.upstream, "column", column, who=_WHO)
        self.require_some(
            lambda count: (
                f"{_WHO}: no key of {count} rows falls into part {number} of {list(fractions)}; give it a larger share, or "
                "split by another column."
            )
        )

    def describe(self) -> str:
        shares = ", ".join(f"{fraction:g}" for fraction in self.fractions)
        return f"SplitByHash({self.column!r}, {shares}, seed={self.seed})[{self.number}]"

    def choose(self, num_items: int) -> Positions:
        bounds = hash_bounds(self.fractions)
        parts = hash_parts(self.upstream, self.column, num_items, bounds, seed=self.seed, who=_WHO)
        return np.flatnonzero(parts == self.number)
