"""The global generators: set at the start of a script, saved and restored with a training run.

The pipes don't use them; they cover what is made before a pipeline or beside it: the first weights of a network,
dropout, other people's code.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from fireworks._internal.seeds import check_seed, seed_sequence

_NUMPY_WORDS = 4  # numpy.random.seed takes 32-bit words; four of them carry 128 bits


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch, on every device.

    Call it first in a script, so that the first weights of a network and its dropout can be had again. Each generator
    gets a seed of its own, derived from yours.

    Args:
        seed: From 0 to 2**64 - 1.

    Raises:
        ValueError: the seed is no such number.

    Example:
        >>> fw.seed_everything(0); first = torch.rand(3)
        >>> fw.seed_everything(0); bool((torch.rand(3) == first).all())
        True
    """
    seed = check_seed(seed, where="seed_everything")
    random.seed(int(seed_sequence(seed, "python").generate_state(1, np.uint64)[0]))
    np.random.seed(seed_sequence(seed, "numpy").generate_state(_NUMPY_WORDS))  # noqa: NPY002 (it is the global one that others use)
    torch.manual_seed(int(seed_sequence(seed, "torch").generate_state(1, np.uint64)[0]))


def generator_states() -> dict[str, Any]:
    """Return the state of every global generator, as numbers and tensors."""
    version, words, gauss = random.getstate()
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002
    key = numpy_state["state"]["key"]
    return {
        "python": [version, list(words), gauss],
        "numpy": {
            "key": torch.from_numpy(key.astype(np.int64)),
            "pos": int(numpy_state["state"]["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_generator_states(states: dict[str, Any]) -> None:
    """Put every global generator back to where `generator_states` found it."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    numpy_state = states["numpy"]
    key = numpy_state["key"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, numpy_state["pos"], numpy_state["has_gauss"], numpy_state["gauss"]))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and states["cuda"]:
        # Saved on a machine with more devices, the states of those that are missing here have no use.
        torch.cuda.set_rng_state_all(states["cuda"][: torch.cuda.device_count()])
