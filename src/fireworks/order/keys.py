"""The one definition of a random order: the positions sorted by (key, position), the keys being a Philox stream."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from fireworks._internal.seeds import seed_sequence
from fireworks.message.columns import Positions

Keys: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"

_READ_AT_A_TIME = 2**20
_BINS_BITS = 16
_WORDS_PER_COUNTER = 4  # Philox 4x64 makes four 64-bit words per step of its counter


def keys(seed: int, stage: str, epoch: int, start: int, stop: int) -> Keys:
    """Return the keys of positions ``start`` to before ``stop``; any piece can be had without the others.

    Args:
        seed: The user's seed.
        stage: The stage name, ``shuffle:0``.
        epoch: From 0.
        start: The first position.
        stop: Behind the last.

    Shapes:
        ``(stop - start,)`` of uint64.

    Source:
        Philox 4x64-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; as in
        ``numpy.random.Philox``. The key of position p is the p-th word of ``random_raw``.

    Example:
        >>> whole = keys(0, "shuffle:0", epoch=0, start=0, stop=10)
        >>> bool((whole[3:7] == keys(0, "shuffle:0", epoch=0, start=3, stop=7)).all())
        True
    """
    bits = np.random.Philox(seed_sequence(seed, stage, epoch))
    skip = start % _WORDS_PER_COUNTER
    if start:
        bits.advance(start // _WORDS_PER_COUNTER)
    words: Keys = bits.random_raw(stop - start + skip)
    return words[skip:]


def permutation(words: Keys) -> Positions:
    """Return the positions sorted by (key, position).

    Sorts words that carry the high bits of the key, and the position in the low ones, then puts right the few runs
    whose high bits are equal. NumPy sorts 16-bit digits by counting them; what is left to sort after the highest digit
    is nearly in order, and its stable sort is quick at that. One thread, so a busy machine does not slow it down.

    Shapes:
        ``(rows,)`` of uint64 -> ``(rows,)`` of int64.

    Example:
        >>> permutation(np.array([7, 3, 7, 1], dtype=np.uint64)).tolist()
        [3, 1, 0, 2]
    """
    count = len(words)
    position_bits = np.uint64(max(1, (count - 1).bit_length()))
    mask = (np.uint64(1) << position_bits) - np.uint64(1)
    packed = (words & ~mask) | np.arange(count, dtype=np.uint64)
    packed = packed[np.argsort((packed >> np.uint64(48)).astype(np.uint16), kind="stable")]
    packed.sort(kind="stable")
    order = (packed & mask).astype(np.int64)
    packed >>= position_bits
    tied = packed[1:] == packed[:-1]
    if tied.any():
        _sort_ties(order, tied, words)
    return order


def _sort_ties(order: Positions, tied: np.ndarray[Any, np.dtype[np.bool_]], words: Keys) -> None:
    """Sort each run of positions whose high bits are equal by the whole key; positions ascend in a run already."""
    edges = np.diff(np.concatenate([[False], tied, [False]]).astype(np.int8))
    for start, last in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        run = order[start : last + 1]
        order[start : last + 1] = run[np.argsort(words[run], kind="stable")]


def random_order(seed: int, stage: str, epoch: int, count: int) -> Positions:
    """Return the order of ``count`` positions in one epoch of one stage.

    Example:
        >>> sorted(random_order(0, "shuffle:0", epoch=0, count=5).tolist())
        [0, 1, 2, 3, 4]
    """
    return permutation(keys(seed, stage, epoch, 0, count))


def part_of_order(seed: int, stage: str, epoch: int, count: int, start: int, stop: int) -> Positions:
    """Return what stands at positions ``start`` to before ``stop`` of an order, without making all of it.

    The keys are made twice: once to count how many begin with the same bits, once to keep those that are wanted. So a few
    rows of a long order cost no memory for the others.

    Shapes:
        ``(stop - start,)`` of int64.

    Example:
        >>> part_of_order(0, "shuffle:0", 0, 1000, 10, 13).tolist() == random_order(0, "shuffle:0", 0, 1000)[10:13].tolist()
        True
    """
    shift = np.uint64(64 - _BINS_BITS)
    counts = np.zeros(1 << _BINS_BITS, dtype=np.int64)
    pieces = [(at, min(at + _READ_AT_A_TIME, count)) for at in range(0, count, _READ_AT_A_TIME)]
    for at, end in pieces:
        high = (keys(seed, stage, epoch, at, end) >> shift).astype(np.int64)
        counts += np.bincount(high, minlength=len(counts))
    ends = np.cumsum(counts)
    first, last = np.searchsorted(ends, [start, stop - 1], side="right")
    words, places = [], []
    for at, end in pieces:
        some = keys(seed, stage, epoch, at, end)
        bins = some >> shift
        wanted = np.flatnonzero((bins >= np.uint64(first)) & (bins <= np.uint64(last)))
        words.append(some[wanted])
        places.append(wanted + at)
    found = np.concatenate(places)[permutation(np.concatenate(words))]
    skipped = int(ends[first] - counts[first])
    return found[start - skipped : stop - skipped]
