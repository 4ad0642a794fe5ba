"""What a message is made of, without its rows: the name, type and row shape of each column, in order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fireworks.errors import ColumnNotFoundError

# Strings, lists and objects have no fixed width; they count as this many bytes where a row's size must be
# guessed from the schema alone.
_BYTES_OF_VARIABLE_WIDTH = 32


@dataclass(frozen=True)
class Field:
    """One column: its name, whether it is a tensor, its dtype as text, and the shape of one row.

    Example:
        >>> str(Field("x", "tensor", "float32", (3,), itemsize=4))
        'x: float32[3] tensor'
    """

    name: str
    kind: Literal["tensor", "array"]
    dtype: str
    shape: tuple[int, ...] = ()
    itemsize: int | None = None
    """Bytes of one element; None where it varies."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of this column; a guess of 32 where rows vary in width."""
        return _BYTES_OF_VARIABLE_WIDTH if self.itemsize is None else self.itemsize * math.prod(self.shape)

    def __str__(self) -> str:
        shape = f"[{', '.join(map(str, self.shape))}]" if self.shape else ""
        return f"{self.name}: {self.dtype}{shape}" + (" tensor" if self.kind == "tensor" else "")


@dataclass(frozen=True)
class Schema:
    """The columns of a message, in order; compares by value.

    Example:
        >>> print(fw.Message({"x": torch.zeros(2, 3), "name": ["a", "b"]}).schema)
        x: float32[3] tensor
        name: str
    """

    fields: tuple[Field, ...]

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
