"""How an order differs from a uniform one: numbers whose distribution over all orders is known, from row numbers alone.

Each measure has the mean and the variance that it has where every order of the same rows is equally likely, by exact
formulas and not by drawing orders. Its p-value is the chance of a value at least as far out, on either side: by a gamma
distribution of that mean and variance where the measure is a sum of squares or a count, by a normal one elsewhere. Of small
data, below some hundred rows or ten batches, these are approximations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
import torch

from fireworks.message.columns import Positions

Values = np.ndarray[Any, np.dtype[np.float64]]

LIMIT = 1e-4
"""A measure whose p-value is below is said to differ: one audit of a perfect shuffle in some 2,000 says so."""
_BAND = 0.95
_DECILES = 10


@dataclass(frozen=True)
class Measure:
    """One number that tells an order from a uniform one.

    Args:
        name: What is measured.
        observed: Its value here.
        expected: Its value in a uniform order, on average.
        low: Below this it is in 2.5 % of all orders.
        high: Above this it is in 2.5 % of all orders.
        z: How many standard deviations it is from what is expected; above 0 is less mixed.
        p: The chance of a value as far out in a uniform order, on either side.
        verdict: What that means, in words.
    """

    name: str
    observed: float
    expected: float
    low: float
    high: float
    z: float
    p: float
    verdict: str

    @property
    def is_uniform(self) -> bool:
        """Whether a uniform order might well give such a value."""
        return self.p >= LIMIT


def p_text(p: float) -> str:
    """Return a p-value as text.

    Example:
        >>> p_text(0.4321), p_text(3e-7), p_text(0.0)
        ('p = 0.43', 'p = 3e-07', 'p < 1e-300')
    """
    return f"p = {p:.2g}" if p > 1e-300 else "p < 1e-300"


# --- distributions ----------------------------------------------------------------------------------------------------


def _gamma_tails(shape: float, x: float) -> tuple[float, float]:
    """Return the chance that a gamma variable of a shape is below x, and that it is above."""
    at = torch.tensor(shape, dtype=torch.float64), torch.tensor(max(x, 0.0), dtype=torch.float64)
    return float(torch.special.gammainc(*at)), float(torch.special.gammaincc(*at))


def _normal_tails(z: float) -> tuple[float, float]:
    return math.erfc(-z / math.sqrt(2)) / 2, math.erfc(z / math.sqrt(2)) / 2


def _two_sided(tails: tuple[float, float]) -> float:
    return min(1.0, 2 * min(tails))


def _inverse(tails: Callable[[float], tuple[float, float]], chance: float, low: float, high: float) -> float:
    """Return where a distribution has a chance below it, by halving."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tails(middle)[0] < chance else (low, middle)
    return (low + high) / 2


def _band(tails: Callable[[float], tuple[float, float]], mean: float, variance: float) -> tuple[float, float]:
    reach = 12 * math.sqrt(variance)
    edges = ((1 - _BAND) / 2, (1 + _BAND) / 2)
    low, high = (_inverse(tails, chance, mean - reach, mean + reach) for chance in edges)
    return low, high


# --- effective batch --------------------------------------------------------------------------------------------------


def effective_batch(name: str, classes: Positions | Values, sizes: Positions, *, of: str) -> Measure | None:
    """Measure how much a batch tells of the whole: as much as this many rows that are drawn at random.

    It is the batch size times the variance that the class shares of a batch (or its mean, of numbers) have under a uniform
    order, over the variance that they have here. Batches of different length weigh by their length.

    Args:
        name: What it is called.
        classes: The class of each row in order, as int from 0; or its number, as float.
        sizes: Rows in each batch, in order; their sum is the number of rows.
        of: What the rows are told apart by, for the verdict.

    Returns:
        The measure; None where there is nothing to tell: fewer than two batches, all rows alike, or all different.

    Shapes:
        ``(rows,)``, ``(batches,)``.

    Source:
        Mean and variance over all orders of tr(AB), for the projection A on batches and the Gram matrix B of the rows:
        Kazi-Aoual, Hitier, Sabatier and Lebreton, "Refined approximations to permutation tests for multivariate inference",
        Computational Statistics & Data Analysis 20 (1995). The gamma distribution of that mean and variance: Satterthwaite
        (1946). The design effect: Kish, Survey Sampling (1965).
    """
    count, num_batches = len(classes), len(sizes)
    if num_batches < 2 or count < 4 or num_batches == count:
        return None
    sums = _of_numbers if classes.dtype.kind == "f" else _of_classes
    between, total, squares, fourth = sums(cast("Any", classes), sizes)
    trace, diagonal = num_batches - 1, float((sizes * (1 / sizes - 1 / count) ** 2).sum())
    mean = trace * total / (count - 1)
    variance = _variance(count, (trace, trace, diagonal), (total, squares, fourth))
    if not mean > 0 or not variance > 1e-12 * mean**2:
        return None
    scale, shape = variance / mean, mean**2 / variance

    def tails(value: float) -> tuple[float, float]:
        return _gamma_tails(shape, value / scale)

    rows, p = float(usual(sizes)), _two_sided(tails(between))
    z = (between - mean) / math.sqrt(variance)
    least, most = _band(tails, mean, variance)
    size = rows * mean / between if between > 0 else math.inf
    verdict = _verdict(p, z, f"a batch tells of {of} what {size:,.3g} rows at random would")
    return Measure(name, size, rows, rows * mean / most, rows * mean / max(least, 1e-300), z, p, verdict)


def usual(sizes: Positions) -> int:
    """Return how long most batches are; the longest of several lengths that are as frequent.

    Example:
        >>> usual(np.array([256, 256, 44])), usual(np.array([256, 44]))
        (256, 256)
    """
    lengths, times = np.unique(sizes, return_counts=True)
    return int(lengths[len(times) - 1 - int(np.argmax(times[::-1]))]) if len(lengths) else 0


def _of_classes(classes: Positions, sizes: Positions) -> tuple[float, float, float, float]:
    """Return the sum of squares between batches, and of the Gram matrix of the rows: trace, squares, squared diagonal."""
    count, num_classes = len(classes), int(classes.max()) + 1
    key = np.repeat(np.arange(len(sizes)), sizes) * num_classes + classes
    if len(sizes) * num_classes <= 4 * count:
        cells = np.bincount(key, minlength=len(sizes) * num_classes).reshape(len(sizes), num_classes)
        within = float(((cells.astype(np.float64) ** 2).sum(axis=1) / sizes).sum())
    else:
        keys, found = np.unique(key, return_counts=True)
        within = float((found.astype(np.float64) ** 2 / sizes[keys // num_classes]).sum())
    rows = np.bincount(classes).astype(np.float64)
    square = float((rows**2).sum())
    total = count - square / count
    squares = square - 2 * float((rows**3).sum()) / count + (square / count) ** 2
    fourth = float((rows * (1 - 2 * rows / count + square / count**2) ** 2).sum())
    return within - square / count, total, squares, fourth


def _of_numbers(values: Values, sizes: Positions) -> tuple[float, float, float, float]:
    centred = values - values.mean()
    largest = float(np.abs(centred).max())
    centred = centred / largest if largest else centred  # so that no square is out of range
    sums = np.add.reduceat(centred, np.cumsum(sizes) - sizes)
    total = float((centred**2).sum())
    return float((sums**2 / sizes).sum()), total, total**2, float((centred**4).sum())


def _variance(n: int, ours: tuple[float, float, float], theirs: tuple[float, float, float]) -> float:
    """Return the variance of tr(AB) over all orders of the rows of B; of each: trace, squares, squared diagonal."""
    (t, t2, s2), (u, u2, v2) = ours, theirs
    first = 2 * ((n - 1) * t2 - t**2) * ((n - 1) * u2 - u**2) / ((n - 1) ** 2 * (n + 1) * (n - 2))
    second = (n * (n + 1) * s2 - (n - 1) * (t**2 + 2 * t2)) * (n * (n + 1) * v2 - (n - 1) * (u**2 + 2 * u2))
    return first + second / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))


# --- by the place in the source ---------------------------------------------------------------------------------------


def deciles(ranks: Positions) -> Positions:
    """Return in which tenth of the source each row stands.

    Example:
        >>> deciles(np.array([19, 0, 1, 2])).tolist()
        [47, 0, 2, 5]
    """
    return ranks * _DECILES // max(1, len(ranks))


def rank_correlation(ranks: Positions) -> Measure | None:
    """Measure how far the order goes along with the source: Spearman's rho of the place here and there; 1 is in order.

    Args:
        ranks: The place in the source of each row, from 0, each once.

    Source:
        Spearman (1904); the variance over all orders is 1 / (rows - 1), of any rows.
    """
    n = len(ranks)
    if n < 4:
        return None
    centre = (n - 1) / 2
    rho = float(np.dot(np.arange(n) - centre, ranks - centre)) / (n * (n**2 - 1) / 12)
    way = 1 if rho >= 0 else -1
    words = "along with" if way > 0 else "against"
    return _normal("rank correlation", rho, 0.0, 1 / (n - 1), way, f"rows come {words} the order of the source")


def displacement(ranks: Positions) -> Measure | None:
    """Measure how far rows were moved, on average, as a part of the whole; 1/3 in a uniform order, 0 in none.

    Args:
        ranks: The place in the source of each row, from 0, each once.

    Source:
        Spearman's footrule; its mean and variance: Diaconis and Graham, J. R. Statist. Soc. B 39 (1977).
    """
    n = len(ranks)
    if n < 4:
        return None
    observed = float(np.abs(ranks - np.arange(n)).mean()) / n
    mean, variance = (n**2 - 1) / (3 * n**2), (n + 1) * (2 * n**2 + 7) / 45 / n**4
    return _normal("displacement", observed, mean, variance, -1, f"a row is moved by {observed:.3g} of the source")


def neighbours(ranks: Positions, sizes: Positions) -> Measure | None:
    """Measure how often rows next to each other in the source are in one batch, as a multiple of chance.

    Args:
        ranks: The place in the source of each row, from 0, each once.
        sizes: Rows in each batch.

    Source:
        Mean and variance over all orders by counting in how many batches two, three and four rows are together.
    """
    n = len(ranks)
    if n < 4 or len(sizes) < 2 or int(sizes.max()) < 2:
        return None
    batch = np.empty(n, dtype=np.int64)
    batch[ranks] = np.repeat(np.arange(len(sizes)), sizes)
    observed = int((batch[1:] == batch[:-1]).sum())
    mean, variance = (float(moment) for moment in _together(n, sizes))
    scale = variance / mean
    if not scale > 0:
        return None

    def tails(value: float) -> tuple[float, float]:
        # A count is nearly Poisson: its chance to be below k is a gamma's to be above; half of k itself goes to each side.
        above, below = _gamma_tails((value + 0.5) / scale, mean / scale)
        return below, above

    p, z = _two_sided(tails(observed)), (observed - mean) / math.sqrt(variance)
    low, high = _band(lambda value: tails(max(value, 0.0)), mean, variance)
    text = f"neighbours of the source meet in a batch {observed / mean:,.3g} times as often as by chance"
    return Measure(
        "neighbours together", observed / mean, 1.0, max(low, 0) / mean, high / mean, z, p, _verdict(p, z, text)
    )


def _together(n: int, sizes: Positions) -> tuple[Fraction, Fraction]:
    """Return mean and variance of the number of neighbours in one batch, exactly."""
    lengths = [(int(m), int(times)) for m, times in zip(*np.unique(sizes, return_counts=True), strict=True)]
    two, three, four = (
        sum(times * math.prod(range(m - rows + 1, m + 1)) for m, times in lengths if m >= rows) for rows in (2, 3, 4)
    )
    apart = two**2 - sum(times * (m * (m - 1)) ** 2 for m, times in lengths)
    pair = Fraction(two, n * (n - 1))
    triple = Fraction(three, n * (n - 1) * (n - 2))
    both = Fraction(four + apart, n * (n - 1) * (n - 2) * (n - 3))
    mean = (n - 1) * pair
    return mean, mean + 2 * (n - 2) * triple + (n - 2) * (n - 3) * both - mean**2


def span(ranks: Positions, sizes: Positions) -> Measure | None:
    """Measure from how much of the source the rows of a batch come: the last less the first, as a part of the whole.

    Of batches of one size, and a shorter one at the end that is left out.

    Args:
        ranks: The place in the source of each row, from 0, each once.
        sizes: Rows in each batch.

    Source:
        The range of a sample without replacement; the covariance of two batches is worked out in `_covariance`.
    """
    n, m = len(ranks), int(sizes[0]) if len(sizes) else 0
    full = len(sizes) - int(len(sizes) > 0 and sizes[-1] < m)
    if full < 2 or m < 2 or (sizes[:full] != m).any():
        return None
    batches = ranks[: full * m].reshape(full, m)
    observed = float((batches.max(axis=1) - batches.min(axis=1)).mean())
    mean = (m - 1) * (n + 1) / (m + 1)
    alone = 2 * (m - 1) * (n + 1) * (n - m) / ((m + 1) ** 2 * (m + 2))
    variance = (alone + (full - 1) * _covariance(n, m)) / full
    if not variance > 0:
        return None
    return _normal(
        "span of a batch", observed / n, mean / n, variance / n**2, -1, f"a batch spans {observed / n:.3g} of it"
    )


def _covariance(n: int, m: int) -> float:
    """Return the covariance of the spans of two batches of m, of n rows in all.

    A span is what is left of the rows between its two ends. Either end of one batch goes with either end of the other:
    the same ends by which batch has the first of the rows of both, opposite ends by counting pairs of rows that stand outside.
    """
    both, outside = 2 * m, ((n - m) / (m + 1)) ** 2
    first = (n - both) / (both + 1)
    square = both * (n + 1) * (n - both) / ((both + 1) ** 2 * (both + 2)) + first**2
    same = square * m / (m + 1) + first * n / (m + 1)
    others = n - both
    split = math.exp(
        2 * math.lgamma(m + 1) - math.lgamma(both + 2)
    )  # all of one batch before a row, and that before the other
    halves = math.exp(math.lgamma(m + 1) + math.lgamma(m) - math.lgamma(both + 1))
    opposite = others * (others - 1) / (m + 1) ** 2 + others * split
    opposite += 2 * others * (1 / (m + 1) - split) + m * (1 / m - halves)
    return 2 * (same - outside) + 2 * (opposite - outside)


def _normal(name: str, observed: float, mean: float, variance: float, sign: int, text: str) -> Measure:
    """Return a measure of which a uniform order gives a normal number; ``sign`` tells which side is less mixed."""
    deviation = math.sqrt(variance)
    z = sign * (observed - mean) / deviation
    p, reach = _two_sided(_normal_tails(z)), 1.959963984540054 * deviation
    return Measure(name, observed, mean, mean - reach, mean + reach, z, p, _verdict(p, z, text))


def _verdict(p: float, z: float, text: str) -> str:
    if p >= LIMIT:
        return f"as in a uniform order ({p_text(p)})"
    return f"{'NOT as' if z > 0 else 'otherwise than'} in a uniform order: {text} ({p_text(p)})"
