"""Keyed randomness: every draw is a function of (seed, stage, epoch, block), of nothing that has happened before.

A *stage name* such as ``shuffle:0`` says the kind of a random stage and how many of that kind stand before it on
its own upstream chain. Neither global generators nor ``seed + epoch`` occur anywhere: neighbouring seeds and
epochs go through `numpy.random.SeedSequence`, which makes them independent.
"""

from __future__ import annotations

import numpy as np
import torch


def check_seed(seed: object, *, where: str) -> int:
    """Return ``seed`` as an int, or raise a ValueError that says what a seed is."""
    if seed is None:
        raise ValueError(f"{where}: a seed is needed, so that the result can be had again; pass seed=0, say.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= int(seed) < 2**64:
        raise ValueError(f"{where}: seed must be an int from 0 to 2**64 - 1; got {seed!r}.")
    return int(seed)


def stage_key(stage: str) -> tuple[int, ...]:
    """Return the words that stand for a stage name in a seed: its length in bytes, then the bytes, 4 to a word.

    Example:
        >>> stage_key("shuffle:0")
        (9, 1718970483, 979725414, 48)
    """
    name = stage.encode()
    return (len(name), *(int.from_bytes(name[i : i + 4], "little") for i in range(0, len(name), 4)))


def seed_sequence(seed: int, stage: str, *numbers: int) -> np.random.SeedSequence:
    """Return the root of all draws of one stage: ``SeedSequence([seed, *stage_key(stage), *numbers])``.

    Args:
        seed: The user's seed.
        stage: The stage name, ``shuffle:0``.
        numbers: The epoch, and the block where a stage draws block by block.

    Source:
        ``numpy.random.SeedSequence`` (NumPy 1.17), after M. E. O'Neill's ``seed_seq`` design.
    """
    return np.random.SeedSequence([seed, *stage_key(stage), *numbers])


def block_generator(seed: int, stage: str, epoch: int, block: int) -> torch.Generator:
    """Return the CPU generator of one block of one stage in one epoch.

    Example:
        >>> first, again = (block_generator(1, "map:0", epoch=0, block=3) for _ in range(2))
        >>> bool((torch.rand(2, generator=first) == torch.rand(2, generator=again)).all())
        True
    """
    state = seed_sequence(seed, stage, epoch, block).generate_state(1, np.uint64)
    generator = torch.Generator()
    generator.manual_seed(int(state[0]))
    return generator
