"""One well-known hash of many values at once, so that others can compute it too."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from fireworks.message.columns import Positions

Hashes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"
Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

_WORD = 2**64
_PRIME_1 = 0x9E3779B185EBCA87
_PRIME_2 = 0xC2B2AE3D27D4EB4F
_PRIME_3 = 0x165667B19E3779F9
_PRIME_4 = 0x85EBCA77C2B2AE63
_PRIME_5 = 0x27D4EB2F165667C5
_STRIPE, _LANE, _HALF = 32, 8, 4


def xxh64(data: Bytes, offsets: Positions, seed: int = 0) -> Hashes:
    """Return the hash XXH64 of many texts of bytes, all at once.

    Args:
        data: The bytes of all of them, one behind the other.
        offsets: Where each begins, and behind the last where it ends.
        seed: From 0 to 2**64 - 1.

    Shapes:
        ``(bytes,)`` of uint8 and ``(texts + 1,)`` of int64 -> ``(texts,)`` of uint64.

    Source:
        XXH64 of Yann Collet, "xxHash fast digest algorithm", version 0.1.1 of its specification (2018).

    Example:
        >>> hashes = xxh64(np.frombuffer(b"aabc", dtype=np.uint8), np.array([0, 0, 1, 4]))
        >>> [hex(value) for value in hashes.tolist()]
        ['0xef46db3751d8e999', '0xd24ec4f1a98c6e5b', '0x44bc2cf5ad770999']
    """
    starts, lengths = offsets[:-1].astype(np.int64), np.diff(offsets).astype(np.int64)
    padded = np.concatenate([data, np.zeros(_LANE, dtype=np.uint8)])
    # A view of the 8 bytes from every place on, which NumPy gathers from wherever they stand.
    lanes: Any = np.ndarray((len(padded) - _LANE + 1,), dtype="<u8", buffer=padded, strides=(1,))
    hashes = np.full(len(starts), (seed + _PRIME_5) % _WORD, dtype=np.uint64)
    if len(lengths) and int(lengths.max()) >= _STRIPE:
        _add_stripes(hashes, lanes, starts, lengths // _STRIPE, seed)
    hashes += lengths.astype(np.uint64)
    at, left = starts + lengths // _STRIPE * _STRIPE, lengths % _STRIPE
    while (some := np.flatnonzero(left >= _LANE)).size:
        mixed = hashes[some] ^ _round(np.uint64(0), lanes[at[some]])
        hashes[some] = _turned(mixed, 27) * np.uint64(_PRIME_1) + np.uint64(_PRIME_4)
        at[some] += _LANE
        left[some] -= _LANE
    if (some := np.flatnonzero(left >= _HALF)).size:
        mixed = hashes[some] ^ (lanes[at[some]] & np.uint64(2**32 - 1)) * np.uint64(_PRIME_1)
        hashes[some] = _turned(mixed, 23) * np.uint64(_PRIME_2) + np.uint64(_PRIME_3)
        at[some] += _HALF
        left[some] -= _HALF
    while (some := np.flatnonzero(left)).size:
        mixed = hashes[some] ^ padded[at[some]].astype(np.uint64) * np.uint64(_PRIME_5)
        hashes[some] = _turned(mixed, 11) * np.uint64(_PRIME_1)
        at[some] += 1
        left[some] -= 1
    return _avalanche(hashes)


def _add_stripes(hashes: Hashes, lanes: Any, starts: Positions, stripes: Positions, seed: int) -> None:
    """Begin the hashes of the texts of 32 bytes and more, which four sums read side by side."""
    some = np.flatnonzero(stripes)
    first = (seed + _PRIME_1 + _PRIME_2, seed + _PRIME_2, seed, seed - _PRIME_1)
    sums = [np.full(len(some), value % _WORD, dtype=np.uint64) for value in first]
    at, left = starts[some].copy(), stripes[some].copy()
    while (active := np.flatnonzero(left)).size:
        for lane, value in enumerate(sums):
            value[active] = _round(value[active], lanes[at[active] + lane * _LANE])
        at[active] += _STRIPE
        left[active] -= 1
    merged = _turned(sums[0], 1) + _turned(sums[1], 7) + _turned(sums[2], 12) + _turned(sums[3], 18)
    for value in sums:
        merged = (merged ^ _round(np.uint64(0), value)) * np.uint64(_PRIME_1) + np.uint64(_PRIME_4)
    hashes[some] = merged


def _turned(values: Hashes, bits: int) -> Hashes:
    return (values << np.uint64(bits)) | (values >> np.uint64(64 - bits))


def _round(values: Any, lanes: Hashes) -> Hashes:
    return _turned(values + lanes * np.uint64(_PRIME_2), 31) * np.uint64(_PRIME_1)


def _avalanche(hashes: Hashes) -> Hashes:
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(_PRIME_2)
    hashes = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(_PRIME_3)
    return hashes ^ (hashes >> np.uint64(32))
