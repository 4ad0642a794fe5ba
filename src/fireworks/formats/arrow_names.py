"""Types as users write them, as Arrow's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from fireworks.message.arrays.tensor_dtype import dtype_name

_OTHER_NAMES = {"str": "string", "category": "dictionary", "float": "float64", "int": "int64", "boolean": "bool"}


def arrow_type(kind: object, *, name: str, where: str) -> Any:
    """Return the Arrow type of what a user gave for a column: a name, or a type of Arrow's, NumPy's, pandas' or torch's.

    Args:
        kind: ``"int64"``, ``"str"``, ``"timestamp[us]"``, ``pa.decimal128(9, 2)``, ``torch.float32``, ``np.int8``.
        name: The column.
        where: The function and the argument.

    Raises:
        ValueError: it is no type.

    Example:
        >>> [str(arrow_type(kind, name="x", where="this example")) for kind in ("int64", "Int64", torch.float32, "str", np.int8)]
        ['int64', 'int64', 'float', 'string', 'int8']
    """
    if isinstance(kind, pa.DataType):
        return kind
    given: Any = kind
    text = dtype_name(given) if isinstance(kind, (torch.dtype, np.dtype)) else kind
    try:
        if kind is None:
            raise TypeError("None is float64 to NumPy")  # noqa: TRY301 (said below)
        if isinstance(kind, pd.ArrowDtype):
            return kind.pyarrow_dtype
        if isinstance(text, str):
            found = _OTHER_NAMES.get(text.lower(), text.lower())
            return pa.dictionary(pa.int32(), pa.string()) if found == "dictionary" else pa.type_for_alias(found)
        plain = str(kind) if isinstance(kind, pd.api.extensions.ExtensionDtype) else np.dtype(given)
        return arrow_type(plain, name=name, where=where)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise ValueError(
            f"{where}: the type of column {name!r} must be a name such as 'int64' or 'string', or a type of Arrow, NumPy, "
            f"pandas or torch; got {kind!r:.60}."
        ) from error
