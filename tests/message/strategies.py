"""Random messages for the properties of the algebra: every kind of column, few rows."""

from decimal import Decimal

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
    torch.uint64,
    torch.complex128,
    torch.bool,
]


def _tensor(rng, num_rows, dtype, rest):
    values = torch.from_numpy(rng.integers(-3, 4, size=(num_rows, *rest)).astype(np.float64))
    if dtype in {torch.uint8, torch.uint16, torch.uint64}:
        values = values.abs()
    if dtype.is_floating_point:
        values[torch.from_numpy(rng.random(values.shape) < 0.1)] = float("nan")
    return values.to(dtype)


def _some(rng, num_rows, values):
    return [values[i] for i in rng.integers(0, len(values), num_rows)]


_STRUCT = pa.struct([("a", pa.int64()), ("b", pa.string())])

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
    "half floats": lambda rng, n: rng.integers(-9, 9, n).astype(np.float16),
    "complex": lambda rng, n: rng.integers(-9, 9, n) + 1j * rng.integers(-9, 9, n),
    "big ints": lambda rng, n: rng.integers(0, 2**63, n, dtype=np.uint64) * np.uint64(2),
    "texts of Python": lambda rng, n: pd.array(_some(rng, n, ["a", "", None]), dtype="string[python]"),
    "texts of Arrow": lambda rng, n: pd.array(_some(rng, n, ["a", "", None]), dtype=pd.ArrowDtype(pa.string())),
    "nullable without nulls": lambda rng, n: pd.array(rng.integers(0, 9, n), dtype="UInt8"),
    "nullable floats": lambda rng, n: pd.arrays.FloatingArray(
        np.where(rng.random(n) < 0.3, np.nan, rng.random(n)), rng.random(n) < 0.3
    ),
    "ordered categories": lambda rng, n: pd.Categorical(
        _some(rng, n, ["low", "high", None]), categories=["low", "middle", "high"], ordered=True
    ),
    "categories of numbers": lambda rng, n: pd.Categorical(_some(rng, n, [7, 3, None]), categories=[7, 5, 3]),
    "bins": lambda rng, n: pd.cut(rng.random(n), [0, 0.2, 0.5, 1]),
    "dates or none": lambda rng, n: np.array(_some(rng, n, ["2020-02-29T12:30:00.000001", "NaT"]), dtype="M8[us]"),
    "months": lambda rng, n: pd.PeriodIndex.from_ordinals(rng.integers(0, 600, n), freq="M"),
    "intervals": lambda rng, n: pd.arrays.IntervalArray.from_arrays(np.arange(n), np.arange(n) + 1.0, closed="both"),
    "decimals": lambda rng, n: pa.array(_some(rng, n, [Decimal("1.50"), None]), type=pa.decimal128(9, 2)),
    "structs": lambda rng, n: pa.array(_some(rng, n, [{"a": 1, "b": "x"}, None]), type=_STRUCT),
    "bytes": lambda rng, n: np.array([*_some(rng, n, [b"a", b"\x00\xff", None]), None], dtype=object)[:-1],
    "ragged arrays": lambda rng, n: _objects([np.arange(k, dtype=np.int16) for k in rng.integers(0, 4, n)]),
}


def _objects(values):
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    return cells


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


def nan_beside_null(column):
    """Whether a nullable column holds a NaN, which other libraries give back without nulls, as missing to NumPy."""
    return isinstance(column, pd.arrays.FloatingArray) and bool(np.isnan(column._data[~column._mask]).any())


def restorable(message, *without):
    """Whether a schema brings a message back from a library that drops notes; ``without`` are kinds of NumPy to leave out.

    A schema says neither what kind of objects they are nor how pairs make complex numbers of NumPy.
    """
    kinds = {field.dtype.kind for field in message.schema if isinstance(field.dtype, np.dtype)}
    return not (
        any(nan_beside_null(message.raw(name)) or "\0" in name for name in message.columns)
        or kinds & {"O", "c", *without}
    )


def some_message():
    """Three rows of what files find hard: tensors, one of them of bfloat16, a missing text, and categories out of order."""
    return fw.Message(
        {
            "x": torch.arange(6.0).reshape(3, 2),
            "half": torch.tensor([1, 2, 3], dtype=torch.bfloat16),
            "name": ["ann", None, "größe"],
            "kind": pd.Categorical(["u", "v", None], categories=["v", "w", "u"]),
        }
    )


def message_of_all_ranks():
    """Four rows: tensors of rank 1, 2 and 3, one with a NaN, beside a key and numbers."""
    return fw.Message(
        {
            "g": ["a", "b", "a", "c"],
            "x": torch.tensor([3.0, 1.0, 2.0, float("nan")]),
            "v": torch.arange(8.0).reshape(4, 2),
            "w": torch.arange(16).reshape(4, 2, 2),
            "n": np.array([4, 2, 3, 1]),
        }
    )
