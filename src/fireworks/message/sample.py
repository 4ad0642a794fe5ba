"""Rows chosen at random: a function of the seed, the same on every computer and with every version of NumPy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fireworks._internal.checks import check_count
from fireworks._internal.seeds import check_seed, seed_sequence
from fireworks.errors import ColumnLengthError, ColumnTypeError, ColumnValueError
from fireworks.message.columns import Positions, as_column
from fireworks.message.conversion.convert import as_tensor
from fireworks.message.conversion.exact import numpy_of

if TYPE_CHECKING:
    from fireworks.message.message import Message

_WHERE = "Message.sample"
_LOG_2, _SQRT_HALF = 0.6931471805599453, 0.7071067811865476  # spelled out, so that no library rounds them
_Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
_Words: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"


def sample_rows(
    message: Message, *, n: int | None, frac: float | None, replace: bool, weights: Any, seed: int | None
) -> Positions:
    """Return the positions of the rows that `Message.sample` chooses.

    All randomness is a stream of 64-bit words. Without replacement each row has one word, in order of the rows, and the
    rows with the smallest keys are chosen, in the order of the keys and then of the rows; the key is the word itself,
    or with weights ``-log(u) / weight``, u being the word's upper 53 bits plus one, over 2**53, and the largest weight 1. With replacement each
    draw has one word; u, now without the one, times the number of rows or the sum of the weights says where it falls.

    Source:
        the words: Philox 4x64-10, as ``numpy.random.Philox(seed_sequence(seed, "message.sample")).random_raw``; weights
        without replacement: algorithm A of P. Efraimidis and P. Spirakis, "Weighted random sampling with a reservoir",
        Information Processing Letters 97 (2006), with the exponential of its keys left out.

    Example:
        >>> sample_rows(fw.Message({"x": range(9)}), n=3, frac=None, replace=False, weights=None, seed=0).tolist()
        [8, 4, 1]
    """
    words = np.random.Philox(seed_sequence(check_seed(seed, where=_WHERE), "message.sample")).random_raw
    num_rows = len(message)
    count = _count(n, frac, num_rows)
    chances = None if weights is None else _chances(message, weights)
    candidates = np.arange(num_rows) if chances is None else np.flatnonzero(chances)
    available = count if replace and len(candidates) else len(candidates)
    if count > available:
        of_weight = "" if chances is None else " of a weight above zero"
        remedy = "take fewer, or pass replace=True" if len(candidates) else "take none"
        raise ValueError(f"{_WHERE}: {count} rows can't be chosen from {len(candidates)}{of_weight}; {remedy}.")
    if replace:
        return _with_replacement(words(count), num_rows, chances)
    row_words: _Words = words(num_rows)
    if chances is None:
        return _smallest(row_words, count)
    keys = -_log((row_words[candidates] >> np.uint64(11)).astype(np.float64) + 1, -53) / chances[candidates]
    return candidates[_smallest(keys, count)]


def _count(n: object, frac: object, num_rows: int) -> int:
    if frac is None:
        return check_count(1 if n is None else n, at_least=0, where=f"{_WHERE}: n")
    if n is not None:
        raise ValueError(f"{_WHERE}: n and frac both say how many rows; pass one of them.")
    if isinstance(frac, bool) or not isinstance(frac, (int, float)) or not 0 <= frac < math.inf:
        raise ValueError(f"{_WHERE}: frac must be a number of at least 0; got {frac!r}.")
    return round(frac * num_rows)


def _chances(message: Message, weights: Any) -> _Floats:
    """Return the weights as floats from 0 to 1."""
    name, column = (
        (weights, message.raw(weights)) if isinstance(weights, str) else ("weights", as_column("weights", weights))
    )
    if len(column) != len(message):
        raise ColumnLengthError(f"{_WHERE}: there are {len(column)} weights for {len(message)} rows.")
    if not len(column):
        return np.empty(0)
    tensor = as_tensor(name, column, where=_WHERE)
    if tensor.dim() > 1 or tensor.is_complex():
        raise ColumnTypeError(
            f"{_WHERE}: column {name!r} holds {tensor.dtype} in rows of shape {tuple(tensor.shape[1:])}; a weight is one "
            "real number per row."
        )
    values: _Floats = numpy_of(tensor).astype(np.float64)
    wrong = np.flatnonzero(~((values >= 0) & (values < math.inf)))
    if len(wrong):
        raise ColumnValueError(
            f"{_WHERE}: column {name!r}, row {wrong[0]}: a weight is a number of at least 0; got {values[wrong[0]]}."
        )
    if not values.any():
        raise ColumnValueError(f"{_WHERE}: column {name!r}: all weights are zero, so no row can be chosen.")
    return values / float(values.max())


def _smallest(keys: np.ndarray[Any, Any], count: int) -> Positions:
    """Return the positions of the smallest keys, sorted by (key, position)."""
    if count in {0, len(keys)}:
        return np.argsort(keys, kind="stable")[:count]
    candidates = np.flatnonzero(keys <= np.partition(keys, count - 1)[count - 1])
    chosen: Positions = candidates[np.argsort(keys[candidates], kind="stable")[:count]]
    return chosen


def _with_replacement(words: _Words, num_rows: int, chances: _Floats | None) -> Positions:
    uniforms = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    if chances is None:
        return (uniforms * num_rows).astype(np.int64)
    bounds = np.cumsum(chances)
    drawn: Positions = np.searchsorted(bounds, uniforms * bounds[-1], side="right")
    return drawn


def _log(values: _Floats, exponent: int) -> _Floats:
    """Return ``log(values * 2**exponent)``, from multiplications and divisions, which round alike everywhere.

    Source:
        ``log(m) = 2 artanh((m - 1) / (m + 1))`` and its Taylor series, for a mantissa m from 1/sqrt(2) to sqrt(2).
    """
    mantissas, exponents = np.frexp(values)
    low = mantissas < _SQRT_HALF
    mantissas = np.where(low, 2 * mantissas, mantissas)
    ratio = (mantissas - 1) / (mantissas + 1)
    square = ratio * ratio
    series = np.zeros_like(ratio)
    for odd in range(25, 0, -2):
        series = series * square + 1 / odd
    return (exponents - low + exponent) * _LOG_2 + 2 * ratio * series  # type: ignore[no-any-return]
