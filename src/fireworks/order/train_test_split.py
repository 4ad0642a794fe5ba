"""The split into two that people know from scikit-learn."""

from __future__ import annotations

from math import ceil, floor

import numpy as np

from fireworks.core.pipe import Pipe
from fireworks.order.chosen import require_same_order
from fireworks.order.shares import as_written

_WHO = "train_test_split"
_QUARTER = 0.25


def train_test_split(
    pipe: Pipe,
    *,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: int | None = None,
    shuffle: bool = True,
    stratify: str | None = None,
    seed: int | None = None,
) -> tuple[Pipe, Pipe]:
    """Return a training and a test part of a pipe, with the arguments of scikit-learn's function of this name.

    It is `split` with two sizes that are reckoned as there: a fraction for the test is rounded up, one for training down.
    What differs: one pipe is split, not several arrays; a seed is needed where rows are drawn; ``stratify`` is the name of a column,
    and a class of one row is no error; parts keep the input's order; other rows are drawn than scikit-learn draws; and
    fractions count as they are written, so that 0.07 of 100 rows are 7.

    Args:
        pipe: Rows or batches with random access.
        test_size: A fraction between 0 and 1 or a count; the rest of ``train_size`` if not given, and 0.25 without either.
        train_size: The same for training; the rest if not given. What both leave over is in no part.
        random_state: The seed, from 0 to 2**64 - 1.
        shuffle: Draw the rows at random; if not, the first ones train and the next ones test, and there is no seed.
        stratify: A column of classes, each of which is shared out by itself.
        seed: Another name of ``random_state``, the one used elsewhere here.

    Raises:
        ValueError: there is no seed, or two; a size is out of bounds, or a part would stay empty; ``stratify`` without
            ``shuffle``; the pipe's order changes by epoch.
        TypeError: the pipe is none.
        NoRandomAccessError: it is a stream.

    Source:
        ``sklearn.model_selection.train_test_split`` of scikit-learn 1.9.

    Example:
        >>> train, test = train_test_split(fw.source({"x": torch.arange(10)}), test_size=0.25, random_state=0)
        >>> len(train), test.to_message()["x"].tolist()
        (7, [1, 5, 8])
    """
    if not isinstance(pipe, Pipe):
        raise TypeError(f"{_WHO}: expected a pipe; got {type(pipe).__name__}. Wrap it: fw.source(…).")
    if seed is not None and random_state is not None:
        raise ValueError(f"{_WHO}: seed and random_state are two names of one thing; pass one of them.")
    if not isinstance(shuffle, bool):
        raise TypeError(f"{_WHO}: shuffle is True or False; got {shuffle!r:.60} of type {type(shuffle).__name__}.")
    pipe.flow.require_random_access(_WHO, pipe)
    require_same_order(pipe, who=_WHO)
    count = len(pipe)
    num_train, num_test = _sizes(count, test_size, train_size)
    if shuffle:
        chosen = seed if random_state is None else random_state
        if chosen is None:
            raise ValueError(
                f"{_WHO}: a seed is needed, so that the result can be had again; pass random_state=0, say, or shuffle=False."
            )
        train, test = pipe.split(num_train, num_test, seed=chosen, stratify=stratify)
        return train, test
    if stratify is not None:
        raise ValueError(f"{_WHO}: stratify={stratify!r:.60} draws from each class, so it needs shuffle=True.")
    pipe = pipe if pipe.flow is pipe.flow else pipe.skip(0)  # a live table has other rows for whoever asks
    return pipe.slice(0, num_train), pipe.slice(num_train, num_train + num_test)


def _sizes(count: int, test_size: float | None, train_size: float | None) -> tuple[int, int]:
    if test_size is None and train_size is None:
        test_size = _QUARTER
    fractions = [size for size in (test_size, train_size) if isinstance(size, float) and 0 < size < 1]
    if sum(map(as_written, fractions)) > 1:
        raise ValueError(
            f"{_WHO}: test_size={test_size!r} and train_size={train_size!r} are more than 1 together; take less."
        )
    num_test = None if test_size is None else _size("test_size", test_size, count, up=True)
    num_train = None if train_size is None else _size("train_size", train_size, count, up=False)
    num_test = count - (num_train or 0) if num_test is None else num_test
    num_train = count - num_test if num_train is None else num_train
    if num_train + num_test > count or min(num_train, num_test) < 0:
        asked = [
            f"{name}={size!r}"
            for name, size in (("test_size", test_size), ("train_size", train_size))
            if size is not None
        ]
        raise ValueError(f"{_WHO}: {' and '.join(asked)} of {count} items are more than there are; take fewer.")
    if not num_train or not num_test:
        raise ValueError(
            f"{_WHO}: {count} items by test_size={test_size!r} and train_size={train_size!r} leave the "
            f"{'training' if not num_train else 'test'} part empty; choose other sizes."
        )
    return num_train, num_test


def _size(name: str, size: object, count: int, *, up: bool) -> int:
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0:
        return int(size)
    if isinstance(size, (float, np.floating)) and 0 < size < 1:
        exact = as_written(float(size)) * count
        return ceil(exact) if up else floor(exact)
    raise ValueError(f"{_WHO}: {name} is a fraction between 0 and 1, or a count of at least 1; got {size!r:.60}.")
