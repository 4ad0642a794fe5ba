"""A file of rows, for the tests of what is read in order."""

import contextlib

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.formats.memory import MemorySource
from fireworks.order import external, in_order, piled, shuffled_stream


class File(fw.Source):
    """Rows that are read in order, as a file's are; counts how often."""

    reads_in_order = True

    def __init__(self, message, *, at_a_time=500):
        super().__init__()
        self.message, self.at_a_time = fw.Message(message), at_a_time
        self.rows_in_order = self.rows_here_and_there = 0

    @property
    def schema(self):
        return self.message.schema

    def describe(self):
        return MemorySource(self.message).describe()

    def count(self):
        return len(self.message)

    def fetch(self, rows):
        if isinstance(rows, range):
            self.rows_in_order += len(rows)
            return self.message[rows.start : rows.stop]
        self.rows_here_and_there += len(rows)
        return self.message.take(rows)

    def scan(self, rows, budget):
        for start in range(rows.start, rows.stop, self.at_a_time):
            stop = min(start + self.at_a_time, rows.stop)
            self.rows_in_order += stop - start
            yield self.message[start:stop]


def message(num_rows, seed=0):
    random = np.random.default_rng(seed)
    return fw.Message(
        {
            "n": torch.arange(num_rows),
            "x": torch.from_numpy(random.normal(size=(num_rows, 3)).astype(np.float32)),
            "w": random.normal(size=num_rows),
            "word": [f"word {n}" * (n % 5) for n in range(num_rows)],
            "kind": pd.Categorical.from_codes(random.integers(-1, 3, num_rows), ["a", "b", "c"]),
            "maybe": pd.array([None if n % 7 == 0 else n for n in range(num_rows)], dtype="Int32"),
        }
    )


@contextlib.contextmanager
def limit(num_bytes):
    """So much memory may be used; less than a user may ask for, so that few rows make many piles."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (in_order, external, shuffled_stream):
            patch.setattr(module, "limit_of", lambda budget: num_bytes)
        patch.setattr(piled, "MAX_PILES_BITS", 6)  # more are shared out in rounds
        yield patch
