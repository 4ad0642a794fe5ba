"""A torch.Tensor as a column of a pandas data frame: any rank of at least 1, same memory, no conversion."""

from __future__ import annotations

import itertools
import math
import operator
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
from pandas.arrays import BooleanArray, FloatingArray, IntegerArray


def dtype_name(dtype: torch.dtype) -> str:
    """Return torch's name for a dtype without its prefix: ``float32``."""
    return str(dtype).removeprefix("torch.")


def row_text(row: torch.Tensor) -> str:
    """Return one row in one short line: the first four elements of a vector, the shape of anything larger."""
    if row.dim() > 1:
        return f"[{'x'.join(map(str, row.shape))} values]"
    shown = row[:4].tolist()
    inside = ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in shown)
    return f"[{inside}{', …' if len(row) > len(shown) else ''}]"


@register_extension_dtype
class TensorDtype(ExtensionDtype):
    """The pandas dtype of a tensor column: the element type and the shape of one row.

    Example:
        >>> fw.Message({"x": torch.zeros(2, 3)}).to_pandas().dtypes["x"]
        tensor[float32, 3]
    """

    _metadata = ("element", "shape")
    type = torch.Tensor
    na_value = float("nan")

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
    name = dtype_name(dtype)
    return "float32" if dtype.is_floating_point and not hasattr(np, name) else name  # bfloat16 and the 8-bit floats


def _as_tensor(values: Any) -> torch.Tensor:
    if isinstance(values, TensorArray):
        return values.tensor
    if isinstance(values, torch.Tensor):
        return values
    # NumPy reads Python floats as float64, torch as float32; a copy, because what pandas hands out is often read-only
    return torch.from_numpy(np.array(values))


def _fit(values: Any, dtype: TensorDtype) -> torch.Tensor:
    """Return values in the dtype's element type; a value that an integer or boolean type can't hold is an error."""
    plain = _as_tensor(values)
    fitted = plain.to(dtype.element)
    exact = not (dtype.element.is_floating_point or dtype.element.is_complex)
    if exact and not torch.equal(fitted.to(plain.dtype), plain):
        raise TypeError(f"{values!r:.60} does not fit {dtype}; convert the column first.")
    return fitted


def _row(value: Any, dtype: TensorDtype) -> torch.Tensor:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        if not dtype.element.is_floating_point:
            raise TypeError(f"{dtype} has no missing value; convert the column to floating point first.")
        return torch.full(dtype.shape, math.nan, dtype=dtype.element)
    return _fit(value, dtype).expand(dtype.shape)


def _rows(values: Any, dtype: TensorDtype) -> torch.Tensor:
    """Return one tensor of many rows; None, NA and NaN are rows of NaN."""
    if isinstance(values, (TensorArray, torch.Tensor)) or (isinstance(values, np.ndarray) and values.dtype != object):
        return _fit(values, dtype)
    rows = [_row(value, dtype) for value in values]
    return torch.stack(rows) if rows else torch.empty((0, *dtype.shape), dtype=dtype.element)


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
        if isinstance(scalars, cls) and dtype in {None, scalars.dtype}:
            return scalars.copy() if copy else scalars
        if not isinstance(dtype, TensorDtype):
            row = _as_tensor(next(iter(scalars), ()))
            dtype = TensorDtype(row.dtype, tuple(row.shape)) if len(scalars) else TensorDtype()
        return cls(_rows(scalars, dtype))

    @classmethod
    def _from_factorized(cls, values: Any, original: TensorArray) -> TensorArray:
        element, shape = original.tensor.dtype, original.tensor.shape[1:]
        flat = TensorDtype(element, (math.prod(shape),) if shape else ())
        return cls(_rows(values, flat).reshape(len(values), *shape))

    def _cast_pointwise_result(self, values: Any) -> Any:
        """Keep what a function returned row by row, or group by group, in the type that it came in."""
        results = list(values)
        if all(isinstance(result, torch.Tensor) for result in results):
            return self._from_sequence(results, dtype=None if results else self.dtype)
        if all(isinstance(result, (int, float, complex, np.number, np.bool_)) for result in results):
            return type(self)(_as_tensor(results))
        return pd.Series(values).array

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
        return type(self)(self.tensor[_as_tensor(item) if isinstance(item, np.ndarray) else item])

    def __setitem__(self, key: Any, value: Any) -> None:
        key = pd.api.indexers.check_array_indexer(self, key[0] if isinstance(key, tuple) else key)
        many = isinstance(value, (TensorArray, list, np.ndarray)) and not isinstance(key, (int, np.integer))
        rows = _rows(value, self.dtype) if many else _row(value, self.dtype)
        self.tensor[_as_tensor(key) if isinstance(key, np.ndarray) else key] = rows.to(self.tensor.device)

    def isna(self) -> Any:
        """Return which rows hold a NaN; only floating and complex tensors can."""
        if not (self.tensor.is_floating_point() or self.tensor.is_complex()):
            return np.zeros(len(self), dtype=bool)
        return _per_row(self._plain().isnan(), torch.any)

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> TensorArray:
        """Return the rows at ``indices``; with ``allow_fill``, -1 is a missing row: NaN, so floating tensors only."""
        indices = np.asarray(indices, dtype=np.int64)
        if not allow_fill or not (indices == -1).any():
            take(np.empty(len(self), dtype=bool), indices, allow_fill=allow_fill)  # checks the range as pandas does
            return type(self)(self.tensor[_as_tensor(indices)])
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
        return lambda row: row_text(row) if isinstance(row, torch.Tensor) else str(row)

    # --- numbers --------------------------------------------------------------------------------------------------

    def _plain(self) -> torch.Tensor:
        return self.tensor.detach().cpu()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: FBT001 (signature of NumPy)
        if self.tensor.dim() > 1:
            rows = np.empty(len(self), dtype=object)
            rows[:] = list(self._plain())
            return rows
        values = self._plain()
        array = values.to(getattr(torch, _numpy_name(values.dtype))).numpy(force=True)
        return array.astype(dtype or array.dtype, copy=bool(copy))

    def _keys(self) -> Any:
        """Return one hashable, ordered value per row: a number, or a tuple of the row's elements."""
        if self.tensor.dim() == 1:
            return np.asarray(self)
        keys = np.empty(len(self), dtype=object)
        keys[:] = [tuple(row) for row in self._plain().flatten(1).tolist()]
        return keys

    def _values_for_factorize(self) -> tuple[Any, Any]:
        return self._keys(), np.nan if self.tensor.dim() == 1 and self.dtype.kind in "fc" else None

    def _values_for_argsort(self) -> Any:
        return self._keys()

    def duplicated(self, keep: Any = "first") -> Any:
        """Return which rows occurred before (or, with ``keep="last"``, occur again); NaN equals NaN."""
        return pd.Series(self._keys()).duplicated(keep=keep).to_numpy()

    def unique(self) -> TensorArray:
        """Return each row once, in the order of first occurrence."""
        return cast("TensorArray", self[~self.duplicated()])

    def value_counts(self, dropna: bool = True) -> pd.Series[Any]:  # noqa: FBT001, FBT002 (pandas' signature)
        """Return how often each row occurs."""
        codes, uniques = self.factorize(use_na_sentinel=dropna)
        return pd.Series(np.bincount(codes[codes >= 0], minlength=len(uniques)), index=pd.Index(uniques), name="count")

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **kwargs: Any) -> Any:
        if self.tensor.dim() > 1:
            rows = self.tensor[_as_tensor(~self.isna())] if skipna and self.isna().any() else self.tensor
            result = _reduce_rows(rows, name, ddof=kwargs.get("ddof", 1))
        else:
            result = getattr(pd.Series(np.asarray(self)), name)(skipna=skipna, **kwargs)
        return type(self)(torch.as_tensor(result)[None]) if keepdims else result

    def _groupby_op(self, *, how: str, ngroups: int, ids: Any, **kwargs: Any) -> Any:
        if self.tensor.dim() == 1:
            numbers = pd.array(np.asarray(self))
            if isinstance(numbers, (FloatingArray, IntegerArray, BooleanArray)):  # which pandas groups in compiled code
                result = numbers._groupby_op(how=how, ngroups=ngroups, ids=ids, **kwargs)
                return type(self)(_as_tensor(result.to_numpy()))
        if self.tensor.dim() == 1 or how in {"first", "last"}:
            return super()._groupby_op(how=how, ngroups=ngroups, ids=ids, **kwargs)
        order = np.argsort(ids, kind="stable")
        bounds = np.searchsorted(ids[order], np.arange(ngroups + 1))
        groups = [self[order[start:stop]] for start, stop in itertools.pairwise(bounds)]
        return self._from_sequence([group._reduce(how, **kwargs) for group in groups])

    def __neg__(self) -> TensorArray:
        return type(self)(-self.tensor)

    def __abs__(self) -> TensorArray:
        return type(self)(self.tensor.abs())

    def __invert__(self) -> TensorArray:
        return type(self)(~self.tensor)

    def _operate(self, other: Any, function: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, (pd.Series, pd.Index, pd.DataFrame)):
            return NotImplemented
        if not isinstance(other, (list, np.ndarray, ExtensionArray)):
            return function(self.tensor, other)
        rows = _as_tensor(other).to(self.tensor.device)
        if len(rows) != len(self):
            raise ValueError(f"Lengths must match: {len(self)} rows and {len(rows)}.")
        # torch lines up the last dimensions; here the first ones are the rows
        rank = max(self.tensor.dim(), rows.dim())
        left, right = (values[(..., *[None] * (rank - values.dim()))] for values in (self.tensor, rows))
        return function(left, right)

    @classmethod
    def _create_arithmetic_method(cls, op: Callable[[Any, Any], Any]) -> Any:
        def compute(self: TensorArray, other: Any) -> Any:
            result = self._operate(other, op)
            return result if result is NotImplemented else cls(result)

        return compute

    _create_logical_method = _create_arithmetic_method

    @classmethod
    def _create_comparison_method(cls, op: Callable[[Any, Any], Any]) -> Any:
        def compare(self: TensorArray, other: Any) -> Any:
            result = self._operate(other, op)
            if result is NotImplemented:
                return result
            if isinstance(result, bool):  # `==` with something that is no number
                return np.full(len(self), fill_value=result)
            # rows are equal where all elements are, and unequal where any is
            return _per_row(result, torch.any if op is operator.ne else torch.all)

        return compare


TensorArray._add_arithmetic_ops()
TensorArray._add_comparison_ops()
TensorArray._add_logical_ops()


def _per_row(flags: torch.Tensor, join: Callable[..., torch.Tensor]) -> Any:
    return (join(flags.flatten(1), dim=1) if flags.dim() > 1 else flags).cpu().numpy()


def _reduce_rows(rows: torch.Tensor, name: str, *, ddof: int) -> torch.Tensor:
    wide = rows if rows.is_floating_point() or rows.is_complex() else rows.double()
    reductions: dict[str, Callable[[], torch.Tensor]] = {
        "sum": lambda: rows.sum(dim=0),
        "prod": lambda: rows.prod(dim=0),
        "min": lambda: rows.amin(dim=0),
        "max": lambda: rows.amax(dim=0),
        "mean": lambda: wide.mean(dim=0),
        "var": lambda: wide.var(dim=0, correction=ddof),
        "std": lambda: wide.std(dim=0, correction=ddof),
        # torch's median is the lower of two middles; pandas' is their mean
        "median": lambda: torch.from_numpy(np.median(wide.detach().cpu().double(), axis=0)).to(wide),
    }
    if name not in reductions:
        dtype = TensorDtype(rows.dtype, tuple(rows.shape[1:]))
        raise TypeError(f"{dtype} has no {name!r} over its rows; there are {', '.join(reductions)}.")
    return reductions[name]()
