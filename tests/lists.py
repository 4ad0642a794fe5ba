"""Pipelines with columns of lists that many tests share. They pickle, because they live in a module."""

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

import fireworks as fw


def cells(num_rows=23):
    """Lists of 0 to 4 numbers; the first is not empty."""
    return [[10 * n + k for k in range((3 * n + 2) % 5)] for n in range(num_rows)]


def lists(num_rows=23):
    """A source with one column of lists of each kind, and the row numbers."""
    rows = cells(num_rows)
    tensors = np.empty(num_rows, dtype=object)
    arrays = np.empty(num_rows, dtype=object)
    for n, row in enumerate(rows):
        tensors[n] = torch.tensor(row, dtype=torch.float32).reshape(-1, 1).repeat(1, 2)
        arrays[n] = np.array(row, dtype=np.int32)
    return fw.source(
        fw.Message(
            {
                "n": torch.arange(num_rows),
                "python": rows,
                "arrow": pd.array(rows, dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
                "texts": pd.array([[str(x) for x in row] for row in rows], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
                "tensors": pd.Series(tensors),
                "arrays": pd.Series(arrays),
                "even": torch.arange(num_rows * 4).reshape(num_rows, 2, 2),
            }
        )
    )


def streamed(num_rows=23):
    """A stream of the same rows, five at a time."""
    return fw.source(Parts(num_rows))


class Parts:
    def __init__(self, num_rows):
        self.num_rows = num_rows

    def __call__(self):
        message = lists(self.num_rows).to_message()
        return (message[start : start + 5] for start in range(0, self.num_rows, 5))
