"""Types as users write them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from fireworks.formats.arrow_names import arrow_type


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("int64", pa.int64()),
        ("Int8", pa.int8()),
        ("float64", pa.float64()),
        ("double", pa.float64()),
        ("str", pa.string()),
        ("boolean", pa.bool_()),
        ("timestamp[us]", pa.timestamp("us")),
        ("category", pa.dictionary(pa.int32(), pa.string())),
        (pa.decimal128(9, 2), pa.decimal128(9, 2)),
        (torch.float32, pa.float32()),
        (torch.bool, pa.bool_()),
        (np.int16, pa.int16()),
        (np.dtype("uint8"), pa.uint8()),
        (pd.Int32Dtype(), pa.int32()),
        (pd.ArrowDtype(pa.date32()), pa.date32()),
        (int, pa.int64()),
        (float, pa.float64()),
    ],
)
def test_it_is_the_type_of_arrow(kind, expected):
    assert arrow_type(kind, name="x", where="read_x") == expected


@pytest.mark.parametrize("kind", ["int63", "", 3, None, torch.complex64, [1], "datetime64"])
def test_what_is_none_is_said(kind):
    with pytest.raises(
        ValueError, match=r"read_x: schema: the type of column 'x' must be a name such as 'int64'.*; got"
    ):
        arrow_type(kind, name="x", where="read_x: schema")
