"""A torch.Tensor as a column of a pandas data frame: any rank of at least 1, same memory, no conversion."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from pandas.api.extensions import (  # type: ignore[attr-defined]  # the stubs lack a public name
    ExtensionArray,
    ExtensionScalarOpsMixin,
    no_default,
)

from fireworks.message.arrays.tensor_columns import REDUCTIONS, as_columns, from_columns, reduce
from fireworks.message.arrays.tensor_dtype import TensorDtype, dtype_name
from fireworks.message.arrays.tensor_groups import aggregate
from fireworks.message.arrays.tensor_indexing import assign, gather, positions, rows_named
from fireworks.message.arrays.tensor_keys import keys, ranks, rows_of_keys
from fireworks.message.arrays.tensor_operators import arithmetic, comparison
from fireworks.message.arrays.tensor_rows import (
    computable,
    dtype_of,
    is_missing,
    is_one_row,
    missing_rows,
    row_of,
    row_of_text,
    row_text,
    rows_of,
    with_room_for_nan,
)
from fireworks.message.conversion.exact import MisfitError, exact_tensor, numpy_of

__all__ = ["TensorArray", "TensorDtype", "dtype_name", "row_text"]


class TensorArray(ExtensionScalarOpsMixin, ExtensionArray):  # type: ignore[misc]  # the mixin is not in the stubs
    """A tensor that pandas can hold as a column; row i of the column is ``tensor[i]``.

    A row of more than one element behaves as its elements would in columns of their own: sums, means, quantiles,
    filling and groups go element by element and skip NaN there. Where pandas wants one answer for the row: it is
    missing if any element is NaN, equal to another if all elements are, and sorted by the first element that differs.
    ``<`` between such rows is an error.

    pandas counts the column among numbers if a row is one number; else ``numeric_only``, ``round`` and `describe` of a
    frame leave it out. It also reads a bare row as many values, so in a frame a row is set by ``frame.at[3, "x"] = row``
    and rows by ``frame.loc[[3, 5], "x"] = TensorArray(rows)``.

    A tensor has no missing values besides NaN. Where pandas adds rows without values (``reindex``, ``shift``, an outer
    ``merge``), integers and booleans become float64, as pandas' own do, and an integer that float64 can't hold is an
    error.

    Slices are views, and share memory and gradients with the tensor. Everything else is a copy. Autograd knows of
    ``take``, ``copy``, concatenation and arithmetic; what is reduced, grouped or counted is detached.

    Args:
        tensor: At least one dimension; shared, not copied.

    Raises:
        TypeError: it is no tensor, or has a layout without rows in memory.
        ValueError: it has no dimensions.

    Example:
        >>> frame = pd.DataFrame({"x": TensorArray(torch.arange(4.0))})
        >>> float(frame["x"].mean()), frame[frame["x"] > 1]["x"].array.tensor.tolist()
        (1.5, [2.0, 3.0])
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        layout: Any = getattr(tensor, "layout", None)
        if layout is not torch.strided:
            raise TypeError(
                f"TensorArray: expected a dense torch.Tensor; got {layout or repr(tensor)[:60]} of type "
                f"{type(tensor).__name__}. Use torch.as_tensor, or to_dense for a sparse one."
            )
        if not tensor.dim():
            raise ValueError("TensorArray: the first dimension counts the rows; got a tensor of none. Use reshape(1).")
        self.tensor = tensor

    # --- making one ---------------------------------------------------------------------------------------------------

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> TensorArray:
        dtype = None if dtype is None else pd.api.types.pandas_dtype(dtype)
        if isinstance(scalars, cls) and dtype in {None, scalars.dtype}:
            return scalars.copy() if copy else scalars
        tensor = rows_of(scalars, dtype)
        return cls(tensor.clone() if copy and isinstance(scalars, torch.Tensor) else tensor)

    @classmethod
    def _from_sequence_of_strings(cls, strings: Any, *, dtype: TensorDtype, copy: bool = False) -> TensorArray:  # noqa: ARG003 (pandas' signature)
        return cls(rows_of([row_of_text(text, dtype) for text in strings], dtype))

    @classmethod
    def _from_factorized(cls, values: Any, original: TensorArray) -> TensorArray:
        return cls(rows_of_keys(values, original.tensor))

    @classmethod
    def _empty(cls, shape: Any, dtype: TensorDtype) -> TensorArray:
        rows = shape if isinstance(shape, int) else shape[0]
        return cls(torch.zeros((rows, *dtype.shape), dtype=dtype.element))

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[TensorArray]) -> TensorArray:
        devices = list(dict.fromkeys(str(array.tensor.device) for array in to_concat))
        if len(devices) > 1:
            raise ValueError(
                f"TensorArray: rows on {devices[0]!r} and on {devices[1]!r} can't be joined; move one of them first."
            )
        return cls(torch.cat([array.tensor for array in to_concat]))

    def _cast_pointwise_result(self, values: Any) -> Any:
        """Keep what a function returned row by row, or group by group, in this type if no value changes by it."""
        results = list(values)
        if all(map(is_missing, results)) and self.dtype.can_be_missing:
            return self._from_sequence(results, dtype=self.dtype)
        if not all(isinstance(value, (torch.Tensor, *_NUMBERS)) or is_missing(value) for value in results):
            return pd.Series(values).array
        if len({isinstance(value, (bool, np.bool_)) for value in results}) > 1:  # no type holds truth and numbers
            return pd.Series(values).array
        try:
            tensor = rows_of(results)
        except (TypeError, ValueError):  # rows of several shapes, or an integer beyond all types
            return pd.Series(values).array
        if any(isinstance(value, torch.Tensor) for value in results):
            return type(self)(tensor)
        if tensor.dtype == torch.bool and self.tensor.dtype != torch.bool:
            return tensor.numpy()  # as comparisons give it
        return type(self)(_narrowed(tensor, self.dtype) if dtype_of(tensor).kind == self.dtype.kind else tensor)

    def __reduce__(self) -> tuple[Any, ...]:
        from fireworks.message.pytorch.pickling import packed

        return _unpickled, (packed(self.tensor), len(self))

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> TensorDtype:
        """Element type and row shape."""
        return dtype_of(self.tensor)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.tensor.nbytes

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def isna(self) -> Any:
        """Return which rows hold a NaN; only floating and complex tensors can."""
        return missing_rows(self.tensor)

    def __contains__(self, item: object) -> bool | np.bool_:
        if isinstance(item, torch.Tensor) and self.tensor.dim() > 1:
            found: Any = self.isna() if item.isnan().any() else self == item
            return bool(found.any())
        return super().__contains__(item)

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:  # noqa: ARG002, FBT001, FBT002 (pandas' signature)
        if self.tensor.dim() > 1 or self.tensor.is_meta:
            return row_text
        # 0.1 as float32 is 0.10000000149011612 to Python; NumPy knows how few digits tell it from its neighbours
        number = numpy_of(self.tensor[:0]).dtype.type
        return lambda value: str(number(value))

    # --- rows ---------------------------------------------------------------------------------------------------------

    def __getitem__(self, item: Any) -> Any:
        rows = rows_named(item, self)
        if isinstance(rows, int):
            row = self.tensor[rows]
            return row if row.dim() or row.is_meta else row.item()
        if isinstance(rows, slice):
            view = type(self)(self.tensor[rows])
            view._readonly = self._readonly
            return view
        return type(self)(gather(self.tensor, rows))

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._readonly:
            raise ValueError("Cannot modify read-only array")
        one = is_one_row(value, self.dtype)
        assign(self.tensor, rows_named(key, self), (row_of if one else rows_of)(value, self.dtype))

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> TensorArray:
        """Return the rows at ``indices`` as copies.

        Args:
            indices: Positions; negative ones count from the end.
            allow_fill: Let -1 stand for a row that is not there instead.
            fill_value: What such a row gets: a number, a row, or None for NaN, for which integers and booleans become
                float64.

        Raises:
            IndexError: a position is past the end.
            TypeError: float64 can't hold one of the integers, or the fill value does not fit the type.
            ValueError: with ``allow_fill``, a position is below -1.
        """
        indices = np.asarray(indices, dtype=np.int64)
        absent = indices == -1 if allow_fill else np.zeros(len(indices), dtype=bool)
        if not absent.any():
            if allow_fill and (indices < 0).any():
                raise ValueError(f"TensorArray.take: with allow_fill, -1 is a row to fill; got {indices.min()}.")
            return type(self)(gather(self.tensor, positions(indices, len(self))))
        present = self.take(indices[~absent], allow_fill=True).tensor
        tensor = with_room_for_nan(self.tensor) if is_missing(fill_value) else self.tensor
        rows = tensor.new_empty((len(indices), *tensor.shape[1:]))
        assign(rows, np.flatnonzero(absent), row_of(fill_value, dtype_of(tensor)))
        assign(rows, np.flatnonzero(~absent), present.to(tensor.dtype))
        return type(self)(rows)

    def shift(self, periods: int = 1, fill_value: Any = None) -> TensorArray:
        """Return the rows moved down by ``periods``, as copies; see `take` for what fills the gap."""
        rows = np.arange(len(self)) - periods
        outside = (rows < 0) | (rows >= len(self))
        return self.take(np.where(outside, -1, rows), allow_fill=True, fill_value=fill_value)

    def copy(self) -> TensorArray:
        """Return an independent copy; autograd knows where it comes from."""
        return type(self)(self.tensor.clone())

    def _where(self, mask: Any, value: Any) -> TensorArray:
        if is_missing(value):
            return self.take(np.where(mask, np.arange(len(self)), -1), allow_fill=True)
        result = self.copy()
        result._putmask(~mask, value)
        return result

    def _putmask(self, mask: Any, value: Any) -> None:
        if not is_one_row(value, self.dtype):
            rows = rows_of(value, self.dtype)
            if len(rows) not in {1, len(self)}:
                raise ValueError(f"Length of values ({len(rows)}) does not match length of index ({len(self)})")
            value = rows[0] if len(rows) == 1 else gather(rows, np.flatnonzero(mask))
        self[mask] = value

    # --- filling ------------------------------------------------------------------------------------------------------

    def fillna(self, value: Any, limit: int | None = None, copy: bool = True) -> TensorArray:  # noqa: FBT001, FBT002 (pandas' signature)
        """Return the rows with NaN replaced, element by element.

        Args:
            value: A number, one row, or as many rows as there are, of which each fills its own.
            limit: Fill no more than so many rows; None for all.
            copy: Whether to leave this array as it is.

        Raises:
            ValueError: ``value`` has another number of rows.
            TypeError: it does not fit the type.
        """
        if isinstance(value, dict):
            raise TypeError("ExtensionArray.fillna does not support filling with a dict")
        one = is_one_row(value, self.dtype)
        if not one and len(value) != len(self):
            raise ValueError(f"Length of 'value' does not match. Got ({len(value)}) expected {len(self)}")
        missing = self.isna()
        filled = self.copy() if copy else self[:]
        if is_missing(value) or not missing.any():
            return cast("TensorArray", filled)
        rows = np.flatnonzero(missing)[:limit]
        filler = row_of(value, self.dtype) if one else gather(rows_of(value, self.dtype), rows)
        holes = gather(self.tensor, rows)
        filled[rows] = TensorArray(holes.where(~holes.isnan(), filler.to(holes.device)))
        return cast("TensorArray", filled)

    def _pad_or_backfill(
        self, *, method: str, limit: int | None = None, limit_area: Any = None, copy: bool = True
    ) -> TensorArray:
        if not self.isna().any():
            return self.copy() if copy else self
        fill = "ffill" if method in {"pad", "ffill"} else "bfill"
        filled = getattr(as_columns(self.tensor), fill)(limit=limit, limit_area=limit_area)
        return type(self)(from_columns(filled, self.tensor))

    def interpolate(self, *, method: Any, axis: int, index: Any, copy: bool, **options: Any) -> TensorArray:  # noqa: ARG002 (pandas' signature)
        """Return the rows with NaN replaced by what lies between its neighbours, element by element."""
        options = {name: option for name, option in options.items() if option is not None}
        return type(self)(from_columns(as_columns(self.tensor, index).interpolate(method, **options), self.tensor))

    # --- numbers ------------------------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: FBT001 (signature of NumPy)
        as_objects = dtype is not None and np.dtype(dtype) == object
        if self.tensor.dim() == 1 and not (self.tensor.is_meta and as_objects):
            array = numpy_of(self.tensor)
            result = np.array(array, dtype=dtype, copy=copy)
            if self._readonly and np.shares_memory(result, array):
                result.flags.writeable = False
            return result
        if dtype is not None and not as_objects:
            raise TypeError(
                f"{self.dtype} has rows of more than one number, which a NumPy column of {np.dtype(dtype)} can't hold; "
                "use .array.tensor.numpy()."
            )
        if copy is False:
            raise ValueError(f"{self.dtype} can't become an array of objects without a copy.")
        plain = self.tensor.detach()
        return np.fromiter(plain if plain.is_meta else plain.cpu(), dtype=object, count=len(self))

    def __arrow_array__(self, type: Any = None) -> Any:  # (signature of pyarrow)
        """Return the column as an Arrow array, fixed-shape tensors for rows of more than one element."""
        from fireworks.message.interchange.arrow_tensors import array_of_tensor

        array = array_of_tensor(self.tensor)
        return array if type is None or array.type == type else array.cast(type)

    def _values_for_json(self) -> Any:
        if self.tensor.dim() == 1:
            return np.asarray(self)
        return np.fromiter(numpy_of(self.tensor).tolist(), dtype=object, count=len(self))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a function of NumPy to the elements; what has an operator goes by that."""
        columns = [side.tensor for side in inputs if isinstance(side, TensorArray)]
        is_elementwise = method == "__call__" and not options and ufunc.__name__ not in _UFUNCS_WITH_OPERATORS
        if (
            not is_elementwise
            or any(column.shape != self.tensor.shape for column in columns)
            or not all(isinstance(side, (TensorArray, *_NUMBERS)) for side in inputs)
        ):
            return super().__array_ufunc__(ufunc, method, *inputs, **options)
        found = ufunc(*(numpy_of(side.tensor) if isinstance(side, TensorArray) else side for side in inputs))
        many = tuple(
            type(self)(torch.from_numpy(result).to(self.tensor.device))
            for result in (found if isinstance(found, tuple) else (found,))
        )
        return many if isinstance(found, tuple) else many[0]

    def to_numpy(self, dtype: Any = None, copy: bool = False, na_value: Any = no_default) -> Any:  # noqa: FBT001, FBT002 (pandas' signature)
        """Return an array of numbers, or of one tensor per row.

        Args:
            dtype: NumPy's; None for that of the elements.
            copy: Whether the array must have memory of its own; otherwise it shares the tensor's where it can.
            na_value: What missing rows become.

        Raises:
            TypeError: rows have more than one element, and ``dtype`` is one of numbers.
        """
        fills = na_value is not no_default and self._hasna
        if not fills:
            return np.array(self, dtype=dtype, copy=True if copy else None)
        array = np.array(self, dtype=None if isinstance(na_value, (int, float, complex)) else object)
        for row in np.flatnonzero(self.isna()):  # one by one, since a row to fill with is no array of values
            array[row] = na_value
        return array if dtype is None else array.astype(dtype, copy=False)

    def astype(self, dtype: Any, copy: bool = True) -> Any:  # noqa: FBT001, FBT002 (pandas' signature)
        """Return the column in another type; into a `TensorDtype`, no integer and no boolean changes its value.

        Raises:
            TypeError: a value does not fit a `TensorDtype`, or rows of more than one element shall become numbers.
            ValueError: NaN or infinity shall become an integer.
        """
        dtype = pd.api.types.pandas_dtype(dtype)
        is_integer_type = isinstance(dtype, np.dtype) and dtype.kind in "iu"
        if is_integer_type and self.tensor.dim() == 1 and self.dtype.can_be_missing:
            infinite = ~np.isfinite(numpy_of(self.tensor))
            if infinite.any():
                raise ValueError(f"Row {np.argmax(infinite)} of {self.dtype} is NaN or infinite, unlike any {dtype}.")
        return super().astype(dtype, copy=copy)

    def round(self, decimals: int = 0) -> TensorArray:
        """Return the elements rounded to so many decimals; integers with none stay as they are."""
        if not self.dtype.can_be_missing and decimals >= 0:
            return self.copy()
        return type(self)(torch.from_numpy(np.round(numpy_of(self.tensor), decimals)).to(self.tensor))

    # --- order and identity -------------------------------------------------------------------------------------------

    def _values_for_factorize(self) -> tuple[Any, Any]:
        return keys(self.tensor), np.nan if self.dtype.can_be_missing else None

    def _values_for_argsort(self) -> Any:
        return numpy_of(self.tensor) if self.tensor.dim() == 1 else ranks(self.tensor)

    def duplicated(self, keep: Any = "first") -> Any:
        """Return which rows occurred before (or, with ``keep="last"``, occur again); NaN equals NaN."""
        return pd.Series(keys(self.tensor)).duplicated(keep=keep).to_numpy()

    def unique(self) -> TensorArray:
        """Return each row once, in the order of first occurrence."""
        return self.take(np.flatnonzero(~self.duplicated()))

    def value_counts(self, dropna: bool = True) -> pd.Series[Any]:  # noqa: FBT001, FBT002 (pandas' signature)
        """Return how often each row occurs, in the order of first occurrence."""
        codes, uniques = self.factorize(use_na_sentinel=dropna)
        return pd.Series(np.bincount(codes[codes >= 0], minlength=len(uniques)), index=pd.Index(uniques), name="count")

    def _mode(self, dropna: bool = True) -> TensorArray:  # noqa: FBT001, FBT002 (pandas' signature)
        codes, uniques = self.factorize(use_na_sentinel=dropna)
        counts = np.bincount(codes[codes >= 0], minlength=len(uniques))
        most = uniques[counts == counts.max(initial=1)]
        return cast("TensorArray", most[most.argsort()])

    def isin(self, values: Any) -> Any:
        """Return which rows are among the values; what is no row of this type is in no row's place."""
        rows = [row for value in values if (row := self._row_or_none(value)) is not None]
        if not rows:
            return np.zeros(len(self), dtype=bool)
        return pd.Series(keys(self.tensor)).isin(keys(torch.stack(rows))).to_numpy()

    def _row_or_none(self, value: Any) -> torch.Tensor | None:
        try:
            return row_of(value, self.dtype)
        except (TypeError, ValueError):
            return None

    def searchsorted(self, value: Any, side: Any = "left", sorter: Any = None) -> Any:
        """Return where values would go in this sorted column: one position for one row, an array for many."""
        if self.tensor.dim() == 1:
            return np.searchsorted(numpy_of(self.tensor), np.asarray(value), side=side, sorter=sorter)
        one = is_one_row(value, self.dtype)
        sought = row_of(value, self.dtype)[None] if one else rows_of(value, self.dtype)
        places = ranks(torch.cat([self.tensor, sought.to(self.tensor.device)]))
        found = np.searchsorted(places[: len(self)], places[len(self) :], side=side, sorter=sorter)
        return found[0] if one else found

    # --- down the rows ------------------------------------------------------------------------------------------------

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **options: Any) -> Any:
        if name not in REDUCTIONS:  # argmax, count, and what there is not
            return super()._reduce(name, skipna=skipna, keepdims=keepdims, **options)
        result = reduce(self.tensor, name, skipna=skipna, **options)
        if not keepdims:
            return result
        row = result if isinstance(result, torch.Tensor) else torch.from_numpy(np.asarray(result))
        return type(self)(row[None])

    def _accumulate(self, name: str, *, skipna: bool = True, **options: Any) -> TensorArray:
        is_sum = self.tensor.dtype == torch.bool and name in {"cumsum", "cumprod"}
        columns = as_columns(self.tensor.long() if is_sum else self.tensor)
        return type(self)(from_columns(getattr(columns, name)(skipna=skipna, **options), self.tensor))

    def _quantile(self, qs: Any, interpolation: Any) -> TensorArray:
        columns = as_columns(self.tensor.double() if self.tensor.dtype == torch.bool else self.tensor)
        return type(self)(from_columns(columns.quantile(qs, interpolation=interpolation), self.tensor))

    def _groupby_op(
        self,
        *,
        how: str,
        has_dropped_na: bool,  # noqa: ARG002 (told by the ids)
        min_count: int,
        ngroups: int,
        ids: Any,
        **options: Any,
    ) -> Any:
        result = aggregate(self.tensor, ids, ngroups, how, min_count=min_count, **options)
        return result.numpy() if how in {"idxmin", "idxmax", "ohlc"} else type(self)(result)

    def _groupby_quantile(self, **options: Any) -> Any:
        if self.tensor.dim() == 1:
            found = super()._groupby_quantile(**options)
            return type(self)(torch.from_numpy(found))
        elements = [
            type(self)(element)._groupby_quantile(**options).tensor for element in self.tensor.flatten(1).unbind(1)
        ]
        return type(self)(torch.stack(elements, dim=1).reshape(-1, *self.tensor.shape[1:]))

    # --- operators ----------------------------------------------------------------------------------------------------

    def __neg__(self) -> TensorArray:
        return self._each(operator.neg)

    def __pos__(self) -> TensorArray:
        return self._each(operator.pos)

    def __abs__(self) -> TensorArray:
        return self.copy() if self.tensor.dtype == torch.bool else self._each(operator.abs)

    def __invert__(self) -> TensorArray:
        return self._each(operator.invert)

    def _each(self, function: Callable[[Any], Any]) -> TensorArray:
        try:
            return type(self)(function(computable(self.tensor)))
        except (RuntimeError, TypeError) as error:
            raise TypeError(f"{self.dtype} has no {function.__name__!r}: {error}") from error

    @classmethod
    def _create_arithmetic_method(cls, op: Callable[[Any, Any], Any]) -> Any:
        def compute(self: TensorArray, other: Any) -> Any:
            if isinstance(other, (pd.Series, pd.Index, pd.DataFrame)):
                return NotImplemented
            result = arithmetic(self.tensor, other, op)
            return tuple(map(cls, result)) if isinstance(result, tuple) else cls(result)

        return compute

    _create_logical_method = _create_arithmetic_method

    @classmethod
    def _create_comparison_method(cls, op: Callable[[Any, Any], Any]) -> Any:
        def compare(self: TensorArray, other: Any) -> Any:
            if isinstance(other, (pd.Series, pd.Index, pd.DataFrame)):
                return NotImplemented
            return comparison(self.tensor, other, op)

        return compare


_NUMBERS = (bool, int, float, complex, np.number, np.bool_)
_UFUNCS_WITH_OPERATORS = frozenset(
    {"add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "remainder", "power", "divmod", "matmul"}
    | {"negative", "positive", "absolute", "bitwise_and", "bitwise_or", "bitwise_xor"}
    | {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
)

TensorArray._add_arithmetic_ops()
TensorArray._add_comparison_ops()
TensorArray._add_logical_ops()


def _reduction(name: str) -> Any:
    def method(self: TensorArray, *, skipna: bool = True, **options: Any) -> Any:
        return self._reduce(name, skipna=skipna, **{key: value for key, value in options.items() if value is not None})

    method.__name__, method.__doc__ = name, f"Return the {name} of all rows; see `Series.{name}` of pandas."
    return method


for _name in REDUCTIONS:
    setattr(TensorArray, _name, _reduction(_name))


def _unpickled(stored: Any, num_rows: int) -> TensorArray:
    from fireworks.message.pytorch.pickling import unpacked

    return TensorArray(unpacked({"rows": stored}, num_rows)["rows"])


def _narrowed(tensor: torch.Tensor, dtype: TensorDtype) -> torch.Tensor:
    try:
        return exact_tensor(tensor, dtype.element)
    except MisfitError:
        return tensor
