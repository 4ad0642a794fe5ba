"""Rows of several components put back in order, whatever their columns are."""

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.junctions.one_of_many import interleaved


def rows(start, count):
    n = np.arange(start, start + count)
    return fw.Message(
        {
            "t": torch.from_numpy(n),
            "wide": torch.from_numpy(n.astype("float32")).reshape(-1, 1).expand(-1, 3).contiguous(),
            "half": torch.from_numpy(n).to(torch.bfloat16),
            "array": n,
            "text": [f"row {k}" for k in n],
            "null": pd.array([None if k % 2 else k for k in n.tolist()], dtype="Int64"),
        }
    )


def test_each_row_stands_at_its_place():
    places = [np.array([0, 3, 4]), np.array([1, 2])]
    found = interleaved([rows(0, 3), rows(10, 2)], places)
    assert found == fw.concat([rows(0, 1), rows(10, 2), rows(1, 2)])
    assert found.columns == rows(0, 1).columns


def test_gradients_pass():
    one, other = torch.ones(2, requires_grad=True), torch.zeros(1, requires_grad=True)
    found = interleaved([fw.Message({"x": one}), fw.Message({"x": other})], [np.array([0, 2]), np.array([1])])
    found["x"].sum().backward()
    assert (one.grad.tolist(), other.grad.tolist()) == ([1, 1], [1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.complex64, torch.bool, torch.uint16])
def test_types_of_torch(dtype):
    one, other = torch.ones(2, dtype=dtype), torch.zeros(1, dtype=dtype)
    found = interleaved([fw.Message({"x": one}), fw.Message({"x": other})], [np.array([0, 2]), np.array([1])])
    assert found["x"].dtype is dtype
    assert found["x"].to(torch.complex64).real.tolist() == [1, 0, 1]
