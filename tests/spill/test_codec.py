"""Which codec a column gets."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.spill.codec import codec_of


@pytest.mark.parametrize(
    ("values", "codec"),
    [
        (torch.zeros(0), "TensorCodec"),
        (np.zeros(0), "ArrayCodec"),
        (np.zeros(0, "M8[s]"), "ArrayCodec"),
        (pd.array([], dtype="str"), "TextCodec"),
        (pd.array([], dtype="string[python]"), "TextCodec"),
        (pa.array([], pa.binary()), "TextCodec"),
        (pa.array([], pa.float32()), "ArrowCodec"),
        (pa.array([], pa.list_(pa.int8())), "ListCodec"),
        (pa.array([], pa.list_(pa.string())), "ArrowBlobCodec"),
        (pa.array([], pa.null()), "ArrowBlobCodec"),
        (pd.array([], dtype="Int8"), "MaskedCodec"),
        (pd.array([], dtype="boolean"), "MaskedCodec"),
        (pd.Categorical([]), "CategoriesCodec"),
        (pd.DatetimeIndex([], tz="UTC"), "ZonedCodec"),
        (pd.PeriodIndex([], freq="D"), "PeriodCodec"),
        (np.zeros(0, object), "NotedCodec"),
        (pd.arrays.IntervalArray.from_breaks([0, 1]), "NotedCodec"),
    ],
)
def test_codec_of_a_type(values, codec):
    dtype = pd.ArrowDtype(values.type) if isinstance(values, pa.Array) else None
    column = fw.Message({"x": values if dtype is None else pd.array(values, dtype=dtype)}).raw("x")
    assert type(codec_of("x", column, "shuffle")).__name__ == codec
