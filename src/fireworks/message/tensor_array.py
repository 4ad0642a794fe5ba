"""A torch.Tensor as a column of a pandas data frame: any rank of at least 1, same memory, no conversion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from pandas.api.extensions import (  # type: ignore[attr-defined]  # the stubs lack a public name
    ExtensionArray,
    ExtensionDtype,
    ExtensionScalarOpsMixin,
    register_extension_dtype,
    take,
)


def dtype_name(dtype: torch.dtype) -> str:
    """Return torch's name for a dtype without its prefix: ``float32``."""
    return str(dtype).removeprefix("torch.")


@register_extension_dtype
class TensorDtype(ExtensionDtype):
    """The pandas dtype of a tensor column: the element type and the shape of one row.

    Example:
        >>> fw.Message({"x": torch.zeros(2, 3)}).to_pandas().dtypes["x"]
        tensor[float32, 3]
    """

    _metadata = ("element", "shape")
    type = torch.Tensor
    na_value = None

    def __init__(self, element: torch.dtype = torch.float32, shape: tuple[int, ...] = ()) -> None:
        self.element, self.shape = element, tuple(shape)

    @property
    def name(self) -> str:  # type: ignore[override]  # pandas declares a plain attribute
        """The text that pandas prints."""
        return f"tensor[{', '.join([dtype_name(self.element), *map(str, self.shape)])}]"

    def __repr__(self) -> str:
        return self.name

    @property
    def kind(self) -> Any:
        """NumPy's letter of the element type, ``O`` where a row is more than one element."""
        return "O" if self.shape else np.dtype(_numpy_name(self.element)).kind

    @property
    def _is_numeric(self) -> bool:
        return not self.shape and self.element != torch.bool

    @property
    def _is_boolean(self) -> bool:
        return not self.shape and self.element == torch.bool

    @classmethod
    def construct_array_type(cls) -> Any:
        """Return the array class, as pandas asks for it."""
        return TensorArray

    @classmethod
    def construct_from_string(cls, string: str) -> TensorDtype:
        """Refuse: a tensor dtype is made from a tensor, not parsed from text."""
        raise TypeError(f"Cannot construct a 'TensorDtype' from {string!r}")


def _numpy_name(dtype: torch.dtype) -> str:
    return "float32" if dtype == torch.bfloat16 else dtype_name(dtype)


class TensorArray(ExtensionScalarOpsMixin, ExtensionArray):  # type: ignore[misc]  # the mixin is not in the stubs
    """A tensor that pandas can hold as a column; row i of the column is ``tensor[i]``.

    Rows are taken, sliced, joined, compared and reduced by torch. A tensor has no missing values: floating NaN
    counts as missing, as it does in pandas.

    Args:
        tensor: At least one dimension; shared, not copied.

    Example:
        >>> frame = pd.DataFrame({"x": TensorArray(torch.arange(4.0))})
        >>> float(frame["x"].mean()), frame[frame["x"] > 1]["x"].array.tensor.tolist()
        (1.5, [2.0, 3.0])
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    # --- what pandas asks of every array -----------------------------------------------------------------------

    @classmethod
    def _from_sequence(cls, scalars: Sequence[Any], *, dtype: Any = None, copy: bool = False) -> TensorArray:
        if isinstance(scalars, cls):
            return scalars.copy() if copy else scalars
        rows = [row if isinstance(row, torch.Tensor) else torch.as_tensor(row) for row in scalars]
        if not rows:
            dtype = dtype if isinstance(dtype, TensorDtype) else TensorDtype()
            return cls(torch.empty((0, *dtype.shape), dtype=dtype.element))
        tensor = torch.stack(rows)
        return cls(tensor.to(dtype.element) if isinstance(dtype, TensorDtype) else tensor)

    @classmethod
    def _from_factorized(cls, values: Any, original: TensorArray) -> TensorArray:
        return cls(torch.from_numpy(np.array(values)).to(original.tensor.dtype))

    @property
    def dtype(self) -> TensorDtype:
        """Element type and row shape."""
        return TensorDtype(self.tensor.dtype, tuple(self.tensor.shape[1:]))

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.tensor.nbytes

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __getitem__(self, item: Any) -> Any:
        item = pd.api.indexers.check_array_indexer(self, item)
        if isinstance(item, (int, np.integer)):
            row = self.tensor[int(item)]
            return row.item() if row.dim() == 0 else row
        if isinstance(item, slice) and (item.step or 1) < 0:
            item = np.arange(len(self))[item]
        if isinstance(item, np.ndarray):
            item = torch.from_numpy(item)
        return type(self)(self.tensor[item])

    def __setitem__(self, key: Any, value: Any) -> None:
        key = pd.api.indexers.check_array_indexer(self, key)
        if isinstance(value, TensorArray):
            value = value.tensor
        self.tensor[torch.from_numpy(key) if isinstance(key, np.ndarray) else key] = torch.as_tensor(
            value, dtype=self.tensor.dtype
        )

    def isna(self) -> Any:
        """Return which rows hold a NaN; only floating tensors can."""
        if not self.tensor.is_floating_point():
            return np.zeros(len(self), dtype=bool)
        return self._plain().isnan().reshape(len(self), -1).any(dim=1).numpy()

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> TensorArray:
        """Return the rows at ``indices``; with ``allow_fill``, -1 is a missing row: NaN, so floating tensors only."""
        indices = np.asarray(indices, dtype=np.int64)
        if not allow_fill or not (indices == -1).any():
            take(np.empty(len(self), dtype=bool), indices, allow_fill=allow_fill)  # checks the range as pandas does
            return type(self)(self.tensor[torch.from_numpy(indices)])
        if not self.tensor.is_floating_point():
            raise TypeError(f"{self.dtype} has no missing value, so row {int(np.argmin(indices))} can't be filled.")
        if (indices < -1).any() or (indices >= len(self)).any():
            raise IndexError(f"out of bounds for {len(self)} rows")
        rows = self.tensor.new_full((len(indices), *self.tensor.shape[1:]), float("nan"))
        if fill_value is not None and not (np.isscalar(fill_value) and pd.isna(cast("Any", fill_value))):
            rows[:] = torch.as_tensor(fill_value, dtype=rows.dtype)
        present = torch.from_numpy(np.flatnonzero(indices != -1))
        rows[present] = self.tensor[torch.from_numpy(indices[indices != -1])]
        return type(self)(rows)

    def copy(self) -> TensorArray:
        """Return an independent copy."""
        return type(self)(self.tensor.detach().clone())

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[TensorArray]) -> TensorArray:
        return cls(torch.cat([array.tensor for array in to_concat]))

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:  # noqa: ARG002, FBT001, FBT002 (pandas' signature)
        return lambda row: str(row.tolist()) if isinstance(row, torch.Tensor) else str(row)

    # --- numbers --------------------------------------------------------------------------------------------------

    def _plain(self) -> torch.Tensor:
        return self.tensor.detach().cpu()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: FBT001 (signature of NumPy)
        if self.tensor.dim() > 1:
            rows = np.empty(len(self), dtype=object)
            rows[:] = list(self._plain())
            return rows
        values = self._plain()
        array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
        return array.astype(dtype or array.dtype, copy=bool(copy))

    def _values_for_factorize(self) -> tuple[Any, Any]:
        return np.asarray(self), None if self.tensor.dim() > 1 else np.nan

    def _values_for_argsort(self) -> Any:
        return np.asarray(self)

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **kwargs: Any) -> Any:
        if self.tensor.dim() > 1:
            result = self._reduce_rows(name)
        else:
            result = getattr(pd.Series(np.asarray(self)), name)(skipna=skipna, **kwargs)
        return type(self)(torch.as_tensor(result)[None]) if keepdims else result

    def _reduce_rows(self, name: str) -> torch.Tensor:
        if name not in {"sum", "mean", "min", "max", "std", "var", "prod", "median"}:
            raise TypeError(f"{self.dtype} has no {name!r} over its rows.")
        function = {"min": torch.amin, "max": torch.amax}.get(name) or getattr(torch, name)
        result = function(self.tensor, dim=0)
        return cast("torch.Tensor", result.values if name == "median" else result)

    def _operate(self, other: Any, function: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, (pd.Series, pd.Index, pd.DataFrame)):
            return NotImplemented
        if isinstance(other, TensorArray):
            other = other.tensor
        elif isinstance(other, np.ndarray):
            other = torch.from_numpy(other)
        return function(self.tensor, other)

    @classmethod
    def _create_arithmetic_method(cls, op: Callable[[Any, Any], Any]) -> Any:
        def compute(self: TensorArray, other: Any) -> Any:
            result = self._operate(other, op)
            return result if result is NotImplemented else cls(result)

        return compute

    @classmethod
    def _create_comparison_method(cls, op: Callable[[Any, Any], Any]) -> Any:
        def compare(self: TensorArray, other: Any) -> Any:
            result = self._operate(other, op)
            if isinstance(result, bool):  # `==` with something that is no number
                return np.full(len(self), fill_value=result)
            return result if result is NotImplemented else result.reshape(len(self), -1).all(dim=1).cpu().numpy()

        return compare


TensorArray._add_arithmetic_ops()
TensorArray._add_comparison_ops()
