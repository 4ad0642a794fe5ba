"""The pandas dtype of a tensor column: what one row is, as a name that can be read back, and what joins with what."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from pandas.api.extensions import ExtensionDtype, register_extension_dtype

if TYPE_CHECKING:
    from fireworks.message.arrays.tensor_array import TensorArray

_NAME = re.compile(r"tensor\[(\w+)((?:, ?\d+)*)\]")
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By width in bytes: what every tensor of that width can be seen as, where its own type can't be copied or pickled."""

_NUMBERS = {"b": bool, "i": int, "u": int, "f": float, "c": complex}


def dtype_name(dtype: torch.dtype) -> str:
    """Return torch's name for a dtype without its prefix: ``float32``."""
    return str(dtype).removeprefix("torch.")


@register_extension_dtype
class TensorDtype(ExtensionDtype):
    """The pandas dtype of a tensor column: the element type and the shape of one row.

    Its name can stand for it wherever pandas takes a dtype: ``"tensor[float32]"``, ``"tensor[int64, 3, 2]"``.

    Columns of different types meet in pandas (``pd.concat``, one row of a frame) in the type that holds the numbers of
    both, as in NumPy: int64 and float32 in float64; beside NumPy's own numbers they become such a column. Rows of
    different shapes, and booleans beside numbers, have no type in common and become objects.

    Args:
        element: The type of one element.
        shape: The shape of one row; ``()`` for a column of numbers.

    Raises:
        TypeError: the element is no torch dtype, or a size is no int.
        ValueError: a size is negative.

    Example:
        >>> fw.Message({"x": torch.zeros(2, 3)}).to_pandas().dtypes["x"]
        tensor[float32, 3]
        >>> pd.Series([[1, 2], [3, 4]], dtype="tensor[float64, 2]").sum()
        tensor([4., 6.], dtype=torch.float64)
    """

    _metadata = ("element", "shape")
    na_value = np.nan

    def __init__(self, element: torch.dtype = torch.float32, shape: Sequence[int] = ()) -> None:
        if not isinstance(element, torch.dtype) or not all(isinstance(size, int) for size in shape):  # type: ignore[redundant-expr]  # for callers without types
            raise TypeError(f"TensorDtype: expected a torch dtype and a shape of ints; got {element!r}, {shape!r}.")
        if any(size < 0 for size in shape):
            raise ValueError(f"TensorDtype: sizes of a row are at least 0; got {tuple(shape)}.")
        self.element, self.shape = element, tuple(shape)

    @property
    def name(self) -> str:  # type: ignore[override]  # pandas declares a plain attribute
        """The text that pandas prints and reads."""
        return f"tensor[{', '.join([dtype_name(self.element), *map(str, self.shape)])}]"

    def __repr__(self) -> str:
        return self.name

    @property
    def type(self) -> Any:  # type: ignore[override]  # as above
        """What one cell is: a Python number, or the tensor of a row."""
        return torch.Tensor if self.shape else _NUMBERS[self._element_kind]

    @property
    def kind(self) -> Any:
        """NumPy's letter of the element type, ``O`` where a row is more than one element."""
        return "O" if self.shape else self._element_kind

    @property
    def _element_kind(self) -> str:
        if self.element == torch.bool:
            return "b"
        if self.element.is_complex:
            return "c"
        return "f" if self.element.is_floating_point else "i" if self.element.is_signed else "u"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.element.itemsize

    @property
    def index_class(self) -> Any:
        """Return the class of an index of such rows, as pandas asks for it."""
        from fireworks.message.arrays.tensor_index import TensorIndex

        return TensorIndex if self.shape else pd.Index

    @property
    def _is_numeric(self) -> bool:  # of booleans too, as pandas has it for its own
        return not self.shape

    @property
    def _is_boolean(self) -> bool:
        return not self.shape and self.element == torch.bool

    @property
    def can_be_missing(self) -> bool:
        """Whether NaN is among the elements; other columns turn into float64 where pandas adds rows without values."""
        return self.element.is_floating_point or self.element.is_complex

    @classmethod
    def construct_array_type(cls) -> Any:
        """Return the array class, as pandas asks for it."""
        from fireworks.message.arrays.tensor_array import TensorArray

        return TensorArray

    @classmethod
    def construct_from_string(cls, string: str) -> TensorDtype:
        """Read a dtype from its name.

        Raises:
            TypeError: the text is not of the form ``tensor[<torch dtype>, <sizes>…]``.
        """
        if not isinstance(string, str):
            raise TypeError(f"'construct_from_string' expects a string, got {type(string)}")
        parts = _NAME.fullmatch(string)
        element = getattr(torch, parts[1], None) if parts else None
        if parts is None or not isinstance(element, torch.dtype):
            raise TypeError(f"Cannot construct a 'TensorDtype' from {string!r}; write it as in 'tensor[float32, 3]'.")
        return cls(element, tuple(int(size) for size in re.findall(r"\d+", parts[2])))

    def _get_common_dtype(self, dtypes: Sequence[Any]) -> TensorDtype | np.dtype[Any] | None:
        ours = [dtype for dtype in dtypes if isinstance(dtype, TensorDtype) and dtype.shape == self.shape]
        plain = [dtype for dtype in dtypes if isinstance(dtype, np.dtype) and dtype.kind in _NUMBERS and not self.shape]
        kinds = {dtype._element_kind for dtype in ours} | {dtype.kind for dtype in plain}
        if len(ours) + len(plain) < len(dtypes) or ("b" in kinds and len(kinds) > 1):
            return None
        common = functools.reduce(common_element, (dtype.element for dtype in ours))
        return np.result_type(_numpy_dtype(common), *plain) if plain else TensorDtype(common, self.shape)

    def __from_arrow__(self, array: Any) -> TensorArray:
        """Return an Arrow array as a column of this type; called by pandas, for example in ``pd.read_parquet``."""
        from fireworks.message.arrays.tensor_array import TensorArray
        from fireworks.message.interchange.arrow_tensors import tensor_of_array

        if 0 in self.shape:  # which Arrow has as empty lists
            return TensorArray(torch.empty((len(array), *self.shape), dtype=self.element))
        rows = tensor_of_array(array)
        if self.element.is_complex:
            rows = torch.view_as_complex(rows.reshape(len(rows), *self.shape, 2))
        return TensorArray._from_sequence(TensorArray(rows), dtype=self)


def common_element(left: torch.dtype, right: torch.dtype) -> torch.dtype:
    """Return the narrowest type that holds the numbers of both, as NumPy has it; torch would round integers to float32.

    Example:
        >>> common_element(torch.int64, torch.float32), common_element(torch.bfloat16, torch.float16)
        (torch.float64, torch.float32)
    """
    if left == right:
        return left
    common: torch.dtype = getattr(torch, np.result_type(_numpy_dtype(left), _numpy_dtype(right)).name)
    return common


def _numpy_dtype(element: torch.dtype) -> np.dtype[Any]:
    from fireworks.message.conversion.exact import numpy_dtype  # which needs `dtype_name`

    return numpy_dtype(element)
