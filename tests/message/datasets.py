"""Datasets of messages, in a module that worker processes can import."""

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

import fireworks as fw


def table(num_rows=10):
    return fw.Message(
        {
            "x": torch.arange(2.0 * num_rows).reshape(num_rows, 2),
            "n": np.arange(num_rows),
            "name": [f"row {i}" for i in range(num_rows)],
        }
    )


def alone(row, i):
    return row


def in_a_tuple(row, i):
    return row, i


def in_a_dict(row, i):
    return {"rows": row, "position": i}


class Rows(Dataset):
    """Gives one-row messages, alone or in something else."""

    def __init__(self, wrap=alone):
        self.wrap = wrap

    def __len__(self):
        return 10

    def __getitem__(self, i):
        return self.wrap(table()[i], i)


class Stream(IterableDataset):
    """Gives messages of one row, one after the other."""

    def __iter__(self):
        return iter(table())
