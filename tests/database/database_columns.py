"""Every type that a column can have in a database: its name, with a column of one row, its kind, and whether it may be null."""

import numpy as np
import pandas as pd
import pyarrow as pa

DTYPES = [
    *("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"),
]

COLUMNS = {
    "int64": (np.array([1]), "integer", False),
    "uint8": (np.array([1], dtype=np.uint8), "integer", False),
    ">i4": (np.array([1], dtype=">i4"), "integer", False),
    "Int16": (pd.array([1], dtype="Int16"), "integer", True),
    "UInt64": (pd.array([1], dtype="UInt64"), "integer", True),
    "int8[pyarrow]": (pd.array([1], dtype=pd.ArrowDtype(pa.int8())), "integer", True),
    "float16": (np.array([1], dtype=np.float16), "float", True),
    "Float32": (pd.array([1.0], dtype="Float32"), "float", True),
    "double[pyarrow]": (pd.array([1.0], dtype=pd.ArrowDtype(pa.float64())), "float", True),
    "bool": (np.array([True]), "bool", False),
    "boolean": (pd.array([True], dtype="boolean"), "bool", True),
    "bool[pyarrow]": (pd.array([True], dtype=pd.ArrowDtype(pa.bool_())), "bool", True),
    "str": (pd.array(["a"], dtype="str"), "text", True),
    "str[python]": (pd.array(["a"], dtype=pd.StringDtype("python", na_value=np.nan)), "text", True),
    "string": (pd.array(["a"], dtype=pd.StringDtype("pyarrow")), "text", True),
    "string[python]": (pd.array(["a"], dtype=pd.StringDtype("python")), "text", True),
    "string[pyarrow]": (pd.array(["a"], dtype=pd.ArrowDtype(pa.string())), "text", True),
    "large_string[pyarrow]": (pd.array(["a"], dtype=pd.ArrowDtype(pa.large_string())), "text", True),
    "object": (pd.array([b"a", None], dtype=object), "bytes", True),
    "binary[pyarrow]": (pd.array([b"a"], dtype=pd.ArrowDtype(pa.binary())), "bytes", True),
    "datetime64[s]": (np.array(["2024-01-01"], dtype="datetime64[s]"), "datetime", True),
    "datetime64[ns, UTC]": (pd.array(pd.to_datetime(["2024"]).tz_localize("UTC").as_unit("ns")), "datetime", True),
    "timedelta64[ms]": (np.array([1], dtype="timedelta64[ms]"), "timedelta", True),
}
