"""How many items each part gets, and which group goes where: arithmetic without data."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from fireworks.message.columns import Positions
from fireworks.order.keys import Keys

_Table: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


def part_sizes(count: int, fractions: Sequence[float]) -> list[int]:
    """Share ``count`` items out by fractions; what rounding leaves goes to the largest remainders, the earlier first.

    Source:
        The method of largest remainders (Hamilton, 1792).

    Example:
        >>> part_sizes(10, [0.75, 0.25]), part_sizes(7, [0.8, 0.2])
        ([8, 2], [6, 1])
    """
    return shared_out(count, [as_written(fraction) for fraction in fractions])


def as_written(fraction: float) -> Fraction:
    """Return a fraction as it was written, 0.7 and not 0.69999999999999996, so that no last bit of a product decides."""
    return Fraction(str(float(fraction)))


def are_fractions(values: Sequence[Any]) -> bool:
    """Tell whether values are positive numbers that sum to 1.

    Example:
        >>> are_fractions([0.8, 0.2]), are_fractions([0.8, 0.3]), are_fractions([True])
        (True, False, False)
    """
    numbers = [one for one in values if isinstance(one, (int, float, np.number)) and not isinstance(one, bool)]
    return len(numbers) == len(values) > 0 and all(one > 0 for one in numbers) and abs(sum(numbers) - 1) <= 1e-9


def shared_out(count: int, shares: Sequence[Fraction]) -> list[int]:
    """Share ``count`` items out in proportion; what rounding leaves goes to the largest remainders, the earlier first."""
    exact = [count * share / sum(shares) for share in shares]
    sizes = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda part: (sizes[part] - exact[part], part))
    for part in by_remainder[: count - sum(sizes)]:
        sizes[part] += 1
    return sizes


def class_sizes(counts: Positions, sizes: Sequence[int]) -> _Table:
    """Share each class out over parts so that every class's share is within one row, and the parts have their sizes.

    Each class is shared out by largest remainders. Where the parts then add up to other sizes, rows change their part, in
    the classes to which it matters least and in the earlier of these first, but never so that a share is a row off. For
    three parts and more there are counts for which no table has all the sizes; the parts come as near as that allows.

    Args:
        counts: Rows of each class.
        sizes: Rows of each part; together as many as there are rows.

    Shapes:
        ``(classes,)`` of int64 -> ``(classes, parts)`` of int64.

    Example:
        >>> class_sizes(np.array([5, 3, 2]), [5, 5]).tolist()
        [[2, 3], [2, 1], [1, 1]]
    """
    total, parts = int(counts.sum()), len(sizes)
    wanted = np.array(sizes, dtype=np.int64)
    exact = counts[:, None].astype(object) * wanted.astype(object) if total > 2**31 else counts[:, None] * wanted
    table = (exact // max(1, total)).astype(np.int64)
    remainder = (exact % max(1, total)).astype(np.int64)
    missing = counts - table.sum(axis=1)
    order = np.argsort(-remainder, axis=1, kind="stable")
    is_up = np.zeros(table.shape, dtype=bool)
    np.put_along_axis(is_up, order, np.arange(parts) < missing[:, None], axis=1)
    while (path := _path(is_up, remainder, (table + is_up).sum(axis=0) - wanted)) is not None:
        _move(is_up, remainder, path, (table + is_up).sum(axis=0) - wanted)
    return table + is_up


def _path(is_up: Any, remainder: _Table, over: Positions) -> list[int] | None:
    """Return the shortest way over which a part that has too much can hand rows on to one that has too little."""
    giving = [part for part in range(len(over)) if over[part] > 0]
    before = dict.fromkeys(giving, -1)
    waiting = list(giving)
    while waiting:
        part = waiting.pop(0)
        if over[part] < 0:
            way = [part]
            while before[way[-1]] >= 0:
                way.append(before[way[-1]])
            return way[::-1]
        for other in range(len(over)):
            if other not in before and (is_up[:, part] & ~is_up[:, other] & (remainder[:, other] > 0)).any():
                before[other] = part
                waiting.append(other)
    return None


def _move(is_up: Any, remainder: _Table, path: list[int], over: Positions) -> None:
    """Move as many rows along a path as are too many at its beginning, too few at its end, and can be moved."""
    steps = list(pairwise(path))
    movable = [np.flatnonzero(is_up[:, a] & ~is_up[:, b] & (remainder[:, b] > 0)) for a, b in steps]
    # A class that can be moved in two steps of one path has other parts in each, so the steps don't meet.
    count = min(int(over[path[0]]), -int(over[path[-1]]), *map(len, movable))
    for (a, b), able in zip(steps, movable, strict=True):
        loss = remainder[able, a] - remainder[able, b]
        chosen = able[np.argsort(loss, kind="stable")[:count]]
        is_up[chosen, a], is_up[chosen, b] = False, True


def groups_to_parts(sizes: Positions, wanted: Sequence[int], keys: Keys) -> Positions:
    """Return the part of each group, at random, so that parts come near their sizes whichever way the groups are sized.

    The groups take their turn by size, the largest first, equal ones as they are numbered. Each goes to one of the parts
    that have room for it, by its key, with a chance in proportion to the room; where none has, to that with the most room.
    Where only as many groups are left as parts are empty, it goes to an empty one. So a part is off by less than its last group, and whether a group
    is large or small says little of where it goes.

    Args:
        sizes: Rows of each group.
        wanted: Rows of each part; a last part of none takes what no other one wants.
        keys: One of each group.

    Shapes:
        ``(groups,)`` of int64, ``(groups,)`` of uint64 -> ``(groups,)`` of int64.

    Example:
        >>> groups_to_parts(np.array([4, 3, 2, 1]), [5, 5], np.arange(4, dtype=np.uint64)).tolist()
        [0, 1, 1, 0]
    """
    order = np.argsort(-sizes, kind="stable").tolist()
    room = list(wanted)
    empty = {part for part, size in enumerate(wanted) if size}
    # The upper 53 bits of the key say where between 0 and 1 the draw falls; in whole numbers, so that nothing is rounded.
    draws = (keys >> np.uint64(11)).tolist()
    each = sizes.tolist()
    found = np.empty(len(each), dtype=np.int64)
    for number, group in enumerate(order):
        size = each[group]
        if len(order) - number <= len(empty):
            part = max(empty, key=lambda one: (room[one], -one))
        else:
            fitting = sum(space for space in room if space >= size)
            point = draws[group] * fitting >> 53
            part = -1
            for one, space in enumerate(room):
                if space >= size:
                    part = one
                    point -= space
                    if point < 0:
                        break
            if part < 0:
                part = max(range(len(room)), key=lambda one: (room[one], -one))
        found[group] = part
        room[part] -= size
        empty.discard(part)
    return found


def groups_to_lightest(sizes: Positions, count: int) -> Positions:
    """Return the part of each group: the largest first, each to the part that has the fewest rows so far.

    Source:
        Graham, "Bounds on multiprocessing timing anomalies" (1969): longest processing time first; as in scikit-learn's
        ``GroupKFold``, but for groups of one size, where the one that comes first in the rows is the first here.

    Example:
        >>> groups_to_lightest(np.array([4, 3, 2, 1]), 2).tolist()
        [0, 1, 1, 0]
    """
    import heapq

    parts = [(0, part) for part in range(count)]
    found = np.empty(len(sizes), dtype=np.int64)
    for group in np.argsort(-sizes, kind="stable").tolist():
        have, part = heapq.heappop(parts)
        found[group] = part
        heapq.heappush(parts, (have + int(sizes[group]), part))
    return found
