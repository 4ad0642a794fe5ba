"""One column in Arrow and back: its array, and the note that says what Arrow's type alone would not bring back.

Arrow has no bfloat16, no complex numbers, no second kind of text column, no category that is not used. A note is a dict
for JSON; without one, or where the data no longer fits it, each Arrow type has one natural column.
"""

from __future__ import annotations

import base64
import math
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pandas.arrays import BooleanArray, FloatingArray, IntegerArray, NumpyExtensionArray

from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message.arrays.tensor_dtype import dtype_name
from fireworks.message.columns import Column, as_column, to_series
from fireworks.message.conversion.exact import MisfitError, exact_tensor
from fireworks.message.interchange.arrow_tensors import (
    array_of_rows,
    array_of_tensor,
    has_nulls,
    layout_of,
    tensor_of_array,
)

Note: TypeAlias = "dict[str, Any]"

_COMPLEX = frozenset({np.dtype("complex64"), np.dtype("complex128")})
_TEXT: Any = pd.api.types.pandas_dtype("str")
_MASKED: dict[Any, Any] = {
    pa.from_numpy_dtype(name.lower()): pd.api.types.pandas_dtype(name)
    for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64")
} | {pa.bool_(): pd.BooleanDtype()}


# --- to Arrow ---------------------------------------------------------------------------------------------------------


def array_of_column(name: str, column: Column, *, portable: bool = False) -> tuple[Any, Note | None]:
    """Return a column as an Arrow array, and what must be noted beside it; see `table_of`."""
    if isinstance(column, torch.Tensor):
        wide = column.float() if portable and column.dtype == torch.float16 else column
        return array_of_tensor(wide, name=name), {"tensor": dtype_name(column.dtype), "shape": list(column.shape[1:])}
    if isinstance(column, np.ndarray):
        if portable and column.dtype == np.float16:
            return pa.array(column.astype(np.float32)), {"numpy": column.dtype.name}
        if column.dtype in _COMPLEX:
            return array_of_rows(np.ascontiguousarray(column)), {"numpy": column.dtype.name}
        return _inferred(name, column), None
    dtype = column.dtype
    if type(column) is NumpyExtensionArray:  # and not pandas' texts of Python, which are a subclass
        from fireworks.message.interchange.arrow_objects import array_of_objects

        return array_of_objects(name, column.to_numpy())
    if isinstance(column, pd.Categorical):
        return _array_of_categories(name, column, portable=portable)
    if isinstance(dtype, pd.SparseDtype):
        fill = None if pd.isna(dtype.fill_value) else np.asarray(dtype.fill_value).item()
        return _inferred(name, np.asarray(column)), {"pandas": "Sparse", "fill": fill}
    if isinstance(dtype, pd.StringDtype):
        missing = "NA" if dtype.na_value is pd.NA else "nan"
        note = {"pandas": "string", "storage": dtype.storage, "missing": missing}
        return _inferred(name, column), None if dtype == _TEXT else note
    if isinstance(column, (IntegerArray, FloatingArray, BooleanArray)):
        return _inferred(name, column), {"pandas": str(dtype)}
    return _inferred(name, column), {"arrow": True} if isinstance(dtype, pd.ArrowDtype) else None


def _inferred(name: str, values: Any) -> Any:
    try:
        return pa.array(values)  # NaN of a NumPy array stays NaN; what pandas masks becomes null
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ColumnTypeError(
            f"Message.to_arrow: column {name!r} holds {values.dtype}, which Arrow has no type for ({error}); "
            "convert the column or leave it out with drop."
        ) from error


def _array_of_categories(name: str, column: pd.Categorical, *, portable: bool) -> tuple[Any, Note]:
    """Keep all categories in their order, used or not: in a dictionary, or else in the note beside the values.

    Dictionaries of extension types break Arrow's own files and DuckDB; polars and Parquet keep those of texts only, and
    a stream of no rows none.
    """
    codes = pa.array(np.maximum(column.codes, 0), mask=column.codes < 0)  # polars reads what a null covers
    values, inner = array_of_column(name, as_column(name, column.categories))
    note: Note = {"pandas": "category", "of": inner}
    in_dictionary = _is_text(values.type) and len(codes) if portable else not isinstance(values, pa.ExtensionArray)
    if in_dictionary:
        return pa.DictionaryArray.from_arrays(codes, values, ordered=bool(column.ordered)), note
    note = {"pandas": "category", "of": inner, "ordered": bool(column.ordered), "all": _packed(values)}
    return values.take(codes), note


def _packed(array: Any) -> str:
    """Return an array as text: an Arrow stream of it, in base 64."""
    batch = pa.record_batch([array], names=[""])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return base64.b64encode(sink.getvalue()).decode()


def _unpacked(text: str) -> Any:
    return pa.ipc.open_stream(base64.b64decode(text)).read_all().column(0)


# --- from Arrow -------------------------------------------------------------------------------------------------------


def column_of_data(data: Any) -> Column:
    """Return one array of Arrow's, or anything that gives one through ``__arrow_c_stream__``, as its natural column."""
    return _natural("", pa.chunked_array([data] if isinstance(data, pa.Array) else data), share=False)


def column_of_array(array: Any, note: Note, *, name: str = "", share: bool = False) -> Column:
    """Return the column that was noted if the data still fits the note, and the natural one otherwise."""
    column = _noted_column(array, note, share=share) if note else None
    return _natural(name, array, share=share) if column is None else column


def _noted_column(array: Any, note: Note, *, share: bool) -> Column | None:
    kind = array.type
    if "tensor" in note:
        return _noted_tensor(array, getattr(torch, note["tensor"]), note["shape"], share=share)
    if "numpy" in note:
        tensor = _noted_tensor(array, getattr(torch, note["numpy"]), [], share=share)
        return None if tensor is None else tensor.numpy()
    if "objects" in note:
        from fireworks.message.interchange.arrow_objects import objects_of_array

        return objects_of_array(array, note)
    if "arrow" in note:
        return pd.arrays.ArrowExtensionArray(array)
    if note["pandas"] == "category":
        return _noted_categories(array, note)
    if note["pandas"] == "string":
        missing = pd.NA if note["missing"] == "NA" else np.nan
        return _text(array, pd.StringDtype(note["storage"], na_value=missing)) if _is_text(kind) else None
    if note["pandas"] == "Sparse":
        return _sparse(_natural("", array, share=False), note["fill"])
    masked = _MASKED.get(kind)
    return _nullable(array, masked) if masked is not None and note["pandas"] == masked.name else None


def _sparse(values: Any, fill: Any) -> Column | None:
    dtype: Any = pd.SparseDtype(values.dtype, fill)
    return pd.arrays.SparseArray(values, dtype=dtype) if isinstance(values, np.ndarray) else None


def _noted_tensor(array: Any, dtype: torch.dtype, shape: list[int], *, share: bool) -> torch.Tensor | None:
    """Return the tensor if the array is what `array_of_tensor` makes of one of this type and shape, else None."""
    if 0 in shape:
        is_empty = pa.types.is_list(array.type) and not array.null_count and not len(one_array(array).flatten())
        return torch.empty((len(array), *shape), dtype=dtype) if is_empty else None
    sizes = [*shape, 2] if dtype.is_complex else shape
    layout = layout_of(array.type)
    if layout is None or layout.order or math.prod(layout.shape) != math.prod(sizes) or has_nulls(array):
        return None
    rows = tensor_of_array(array, share=share).reshape(len(array), *sizes)
    whole = torch.view_as_complex(rows) if dtype.is_complex else rows
    is_short = dtype == torch.complex32 or (dtype.is_floating_point and dtype.itemsize < torch.float32.itemsize)
    if whole.dtype != dtype and not (is_short and whole.dtype in {torch.float32, torch.complex64}):
        return None
    try:
        return exact_tensor(whole, dtype)
    except MisfitError:  # somebody computed with the values since
        return None


def _natural(name: str, array: Any, *, share: bool) -> Column:
    kind = array.type
    if pa.types.is_run_end_encoded(kind):
        runs = [pc.run_end_decode(chunk) for chunk in array.chunks]
        return _natural(name, pa.chunked_array(runs, kind.value_type), share=share)
    layout = layout_of(kind)
    if layout is not None and layout.element == kind:
        return _numbers(array)
    if layout is not None and not has_nulls(array):
        return tensor_of_array(array, share=share)
    if pa.types.is_duration(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):
        return cast("Column", one_array(array).to_numpy(zero_copy_only=False))
    if _is_text(kind):
        return _text(array, _TEXT)
    if pa.types.is_dictionary(kind) and not pa.types.is_nested(kind.value_type):
        return _categories(array, {})
    dtype = _pandas_dtype(name, kind)
    return (
        pd.arrays.ArrowExtensionArray(_whole(array)) if dtype is None else cast("Column", dtype.__from_arrow__(array))
    )


def _numbers(array: Any) -> Column:
    if not array.null_count:
        return cast("Column", one_array(array).to_numpy(zero_copy_only=False))
    masked = _MASKED.get(array.type)  # pandas has no nullable float16
    return pd.arrays.ArrowExtensionArray(array) if masked is None else _nullable(array, masked)


def _nullable(array: Any, dtype: Any) -> Column:
    """Keep NaN apart from null, which pandas' own way from Arrow does not."""
    one = one_array(array)
    filler = pa.scalar(0, pa.int8()).cast(one.type)
    values = one.fill_null(filler).to_numpy(zero_copy_only=False)
    missing = one.is_null().to_numpy(zero_copy_only=False)
    return cast("Column", dtype.construct_array_type()(np.array(values), np.array(missing)))


def _text(array: Any, dtype: Any) -> Column:
    return cast("Column", dtype.__from_arrow__(_whole(array)))


def _categories(array: Any, note: Note) -> Column:
    """Join the dictionaries of all chunks; a dictionary may hold a null, or a value twice, which categories may not."""
    whole = one_array(array)
    codes = whole.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    values = _index(column_of_array(pa.chunked_array([whole.dictionary]), note))
    if values.hasnans or not values.is_unique:
        places, uniques = values.factorize()
        codes, values = np.where(codes < 0, -1, places[codes]), pd.Index(uniques)
    return pd.Categorical.from_codes(codes, categories=values, ordered=whole.type.ordered)


def _index(column: Column) -> pd.Index[Any]:
    return cast("pd.Index[Any]", pd.Index(to_series("", column)).rename(None))


def _noted_categories(array: Any, note: Note) -> Column | None:
    if pa.types.is_dictionary(array.type):
        return _categories(array, note["of"] or {})
    if "all" not in note:
        return None
    whole = one_array(array)
    present = whole.is_valid()
    categories, values = (
        _index(column_of_array(part, note["of"] or {}))
        for part in (_unpacked(note["all"]), pa.chunked_array([whole.filter(present)]))
    )
    found = categories.get_indexer(values)
    if (found < 0).any():
        return None
    codes = np.full(len(array), -1)
    codes[present.to_numpy(zero_copy_only=False)] = found
    return pd.Categorical.from_codes(codes, categories=categories, ordered=note["ordered"])


def _pandas_dtype(name: str, kind: Any) -> Any:
    """Return pandas' own dtype of a type, if it has one of more than numbers: a zone, periods, intervals."""
    if pa.types.is_timestamp(kind):
        try:
            return pd.DatetimeTZDtype(kind.unit, kind.tz)
        except (KeyError, TypeError, ValueError) as error:
            raise ColumnValueError(
                f"Message: the Arrow column {name!r} has the zone {kind.tz!r}, which this computer doesn't know; cast it "
                f"to {pa.timestamp(kind.unit, 'UTC')} first."
            ) from error
    try:
        return kind.to_pandas_dtype() if isinstance(kind, pa.BaseExtensionType) else None
    except NotImplementedError:
        return None


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def one_array(array: Any) -> Any:
    """Return all chunks as one array; no copy if there is one."""
    return array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()


def _whole(array: Any) -> Any:
    """Return the array with views, on which Arrow can't compute yet, as plain texts and bytes."""
    plain = _without_views(array.type)
    return array if plain == array.type else array.cast(plain)


def _without_views(kind: Any) -> Any:
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind):
        return pa.list_(_field_without_views(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_field_without_views(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_field_without_views(kind.value_field), kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([_field_without_views(field) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_field_without_views(kind.key_field), _field_without_views(kind.item_field))
    return kind


def _field_without_views(field: Any) -> Any:
    return field.with_type(_without_views(field.type))
