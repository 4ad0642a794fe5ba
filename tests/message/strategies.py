"""Random messages for the properties of the algebra: every kind of column, few rows."""

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from hypothesis import strategies as st

import fireworks as fw

DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.complex64,
    torch.int64,
    torch.int32,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.bool,
]


def _tensor(rng, num_rows, dtype, rest):
    values = torch.from_numpy(rng.integers(-3, 4, size=(num_rows, *rest)).astype(np.float64))
    if dtype in {torch.uint8, torch.uint16}:
        values = values.abs()
    if dtype.is_floating_point:
        values[torch.from_numpy(rng.random(values.shape) < 0.1)] = float("nan")
    return values.to(dtype)


def _some(rng, num_rows, values):
    return [values[i] for i in rng.integers(0, len(values), num_rows)]


ARRAYS = {
    "ints": lambda rng, n: rng.integers(-9, 9, n),
    "small floats": lambda rng, n: rng.random(n).astype(np.float32),
    "floats": lambda rng, n: np.where(rng.random(n) < 0.2, np.nan, rng.random(n)),
    "bools": lambda rng, n: rng.random(n) < 0.5,
    "texts": lambda rng, n: pd.array(_some(rng, n, ["a", "", "größe", "日本", None]), dtype="str"),
    "nullable": lambda rng, n: pd.array(_some(rng, n, [1, 2, None]), dtype="Int64"),
    "nullable bools": lambda rng, n: pd.array(_some(rng, n, [True, False, None]), dtype="boolean"),
    "categories": lambda rng, n: pd.Categorical(_some(rng, n, ["u", "v", None]), categories=["v", "u", "w"]),
    "dates": lambda rng, n: rng.integers(0, 10**9, n).astype("M8[s]"),
    "durations": lambda rng, n: rng.integers(0, 10**9, n).astype("m8[ns]"),
    "dates with a zone": lambda rng, n: pd.DatetimeIndex(rng.integers(0, 10**9, n).astype("M8[s]"), tz="Asia/Tokyo"),
    "arrow": lambda rng, n: pa.array(_some(rng, n, [1.5, None]), type=pa.float64()),
    "arrow lists": lambda rng, n: pa.array(_some(rng, n, [[1, 2], [], None]), type=pa.list_(pa.int64())),
    "objects": lambda rng, n: np.array([*_some(rng, n, [(1, 2), None, "text", 5]), None], dtype=object)[:-1],
    "texts as objects": lambda rng, n: pd.Series(_some(rng, n, ["a", "b"]), dtype=object),
}


@st.composite
def messages(draw, min_rows=0, max_rows=8, min_columns=0, max_columns=4, max_rank=3):
    """A message of up to four columns; a seed drawn by hypothesis decides the values."""
    num_rows = draw(st.integers(min_rows, max_rows))
    names = draw(st.lists(st.text(max_size=4), min_size=min_columns, max_size=max_columns, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = {}
    for name in names:
        if draw(st.booleans()):
            rest = draw(st.lists(st.integers(0, 3), max_size=max_rank - 1))
            columns[name] = _tensor(rng, num_rows, draw(st.sampled_from(DTYPES)), rest)
        else:
            columns[name] = ARRAYS[draw(st.sampled_from(sorted(ARRAYS)))](rng, num_rows)
    return fw.Message(columns)
