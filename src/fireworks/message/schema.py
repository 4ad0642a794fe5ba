"""What a message is made of, without its rows: the name, type and row shape of each column, in order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from pandas.api.extensions import ExtensionDtype

from fireworks.errors import ColumnNotFoundError, ColumnTypeError
from fireworks.message.arrays.tensor_array import dtype_name

# Strings, lists and objects have no fixed width; they count as this many bytes where a row's size must be
# guessed from the schema alone.
_BYTES_OF_VARIABLE_WIDTH = 32
_FIXED_WIDTH_KINDS = frozenset("biufcmM")

ColumnType: TypeAlias = "torch.dtype | np.dtype[Any] | ExtensionDtype"


@dataclass(frozen=True)
class Field:
    """One column: its name, its dtype, and for a tensor column the shape of one row.

    A tensor column has a ``torch.dtype``; every other column has the dtype that pandas gives it.

    Example:
        >>> field = Field("x", torch.float32, (3,))
        >>> str(field), field.is_tensor, field.row_bytes
        ('x: float32[3] tensor', True, 12)
    """

    name: str
    dtype: ColumnType
    shape: tuple[int, ...] = ()

    @property
    def is_tensor(self) -> bool:
        """Whether the column is a tensor."""
        return isinstance(self.dtype, torch.dtype)

    @property
    def itemsize(self) -> int | None:
        """Bytes of one element; None where it varies."""
        if isinstance(self.dtype, torch.dtype):
            return self.dtype.itemsize
        return getattr(self.dtype, "itemsize", None) if self.dtype.kind in _FIXED_WIDTH_KINDS else None

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of this column; a guess of 32 where rows vary in width."""
        return _BYTES_OF_VARIABLE_WIDTH if self.itemsize is None else self.itemsize * math.prod(self.shape)

    @property
    def type_text(self) -> str:
        """The type as people read it: ``float32[3] tensor``, ``int64``, ``category``."""
        shape = f"[{', '.join(map(str, self.shape))}]" if self.shape else ""
        return f"{dtype_name(self.dtype)}{shape} tensor" if isinstance(self.dtype, torch.dtype) else str(self.dtype)

    def __str__(self) -> str:
        return f"{self.name}: {self.type_text}"


@dataclass(frozen=True, init=False)
class Schema:
    """The columns of a message, in order; prints one line per column and compares by value.

    Args:
        fields: Fields, as another schema has them, or a mapping from names to types. A ``torch.dtype`` makes a tensor column, a tuple of it and
            sizes one of rows of that shape; anything else is what pandas understands as a dtype.

    Raises:
        ColumnTypeError: a name is no text or comes twice, or a type is none.

    Example:
        >>> schema = fw.Schema({"x": (torch.float32, 3), "label": torch.int64, "name": "str"})
        >>> print(schema)
        x: float32[3] tensor
        label: int64 tensor
        name: str
        >>> fw.Message({"x": torch.zeros(2, 3), "label": torch.tensor([1, 0]), "name": ["a", "b"]}).schema == schema
        True
    """

    fields: tuple[Field, ...]

    def __init__(self, fields: Iterable[Field] | Mapping[str, Any] = ()) -> None:
        if isinstance(fields, Mapping):
            fields = [_field(name, kind) for name, kind in fields.items()]
        made: dict[str, Field] = {}
        for field in fields:
            if not isinstance(field, Field):
                raise ColumnTypeError(
                    f"Schema: expected fields, or a mapping from names to types; got {field!r:.60} "
                    f"of type {type(field).__name__}."
                )
            if field.name in made:
                raise ColumnTypeError(f"Schema: column {field.name!r} is there twice.")
            made[field.name] = field
        object.__setattr__(self, "fields", tuple(made.values()))

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [field.name for field in self.fields]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, with a guess of 32 for each column whose rows vary in width."""
        return sum(field.row_bytes for field in self.fields)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise ColumnNotFoundError(name, available=self.names, where="Schema")

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        return any(field.name == name for field in self.fields)

    def __str__(self) -> str:
        return "\n".join(map(str, self.fields)) or "(no columns)"


def _field(name: object, kind: Any) -> Field:
    if not isinstance(name, str):
        raise ColumnTypeError(f"Schema: column names are text; got {name!r} of type {type(name).__name__}.")
    dtype, *shape = kind if isinstance(kind, tuple) else (kind,)
    if isinstance(dtype, torch.dtype):
        return Field(name, dtype, tuple(shape))
    try:
        known = pd.api.types.pandas_dtype(dtype)
    except TypeError as error:
        raise ColumnTypeError(f"Schema: column {name!r} has {kind!r:.60}, which is no type: {error}.") from error
    if shape:
        raise ColumnTypeError(
            f"Schema: column {name!r} has {kind!r:.60}; only a tensor column has rows with a shape: write torch.{dtype}."
        )
    return Field(name, known)
