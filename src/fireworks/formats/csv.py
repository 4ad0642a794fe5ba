"""Comma-separated values: text that everybody reads, and that with a schema brings back every value.

A missing value is an empty field and an empty text two quotation marks, as PostgreSQL, Arrow and DuckDB have it. A row of
a tensor is a list in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pyarrow import csv

from fireworks._internal.checks import check_no_index
from fireworks._internal.files import open_file, whole_file
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.formats.compression import packed, unpacked
from fireworks.formats.spelling import conformed, is_text_type, plain_values
from fireworks.message import Field, Message, Schema
from fireworks.message.arrays.tensor_dtype import dtype_name
from fireworks.message.conversion.kinds import is_objects

_READ_BY_ARROW = {
    f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_READ_BY_ARROW["float64"] = pa.float64()
_LARGEST_ROW = 2**30  # bytes; Arrow reads a row only within one block


def write_csv(
    message: Message, path: str | Path | None = None, *, sep: str = ",", na_rep: str = "", index: bool | None = None
) -> str | None:
    """Write a message as CSV, or return the text where there is no path; see `Message.to_csv`."""
    where = "Message.to_csv"
    _check_separator(sep, where=where)
    special = re.compile(f'[\ufeff"\r\n{re.escape(sep)}]')
    if special.search(na_rep):
        raise ValueError(f"{where}: na_rep can't hold the separator, a quotation mark or a line break; got {na_rep!r}.")
    check_no_index(index, where=where)

    def field(text: str | None) -> str:
        if text is None:
            return na_rep
        # else it would be read as a missing value, as the end of the field, or as a mark of the encoding
        is_odd = text in {"", na_rep} or special.search(text)
        return '"' + text.replace('"', '""') + '"' if is_odd else text

    columns = {name: list(map(field, _texts(name, message))) for name in message.columns}
    if len(columns) == 1 and not na_rep:
        columns = {name: _alone(name, fields, message) for name, fields in columns.items()}
    text = "\n".join([sep.join(map(field, columns)), *map(sep.join, zip(*columns.values(), strict=True)), ""])
    if path is None:
        return text
    data = packed(_encoded(text, columns), path)
    with whole_file(path, where=where) as file:
        file.write(data)
    return None


def _check_separator(sep: object, *, where: str) -> None:
    if not isinstance(sep, str) or len(sep) != 1 or not sep.isascii() or sep in '"\r\n':
        raise ValueError(f"{where}: sep is one ASCII character, no quotation mark and no line break; got {sep!r}.")


def _texts(name: str, message: Message) -> list[str | None]:
    column, where = message.raw(name), "Message.to_csv"
    is_scalar = not message.schema[name].shape
    values = plain_values(name, column, where=where, infinity="inf" if is_scalar else "Infinity")
    if is_objects(column):
        for row, value in enumerate(values):
            if not (value is None or isinstance(value, str)):
                raise ColumnTypeError(
                    f"{where}: column {name!r} holds {value!r:.60} of type {type(value).__name__} in row {row}, which would "
                    "be read back as text; convert the column, as with .astype(str), leave it out with drop, or use save."
                )
    return [_text(value) for value in values]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else repr(value)


def _alone(name: str, fields: list[str], message: Message) -> list[str]:
    """Return fields of which none is an empty line, because most readers skip empty lines."""
    if "" not in fields or not _is_text(message.schema[name]):
        return [field or '""' for field in fields]
    raise ColumnValueError(
        f"Message.to_csv: column {name!r}, row {fields.index('')}: the text is missing, which in a file of one column is "
        "an empty line, and most readers skip those; pass na_rep='NA', say, and na_values='NA' to read_csv."
    )


def _is_text(field: Field) -> bool:
    dtype: Any = field.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = getattr(dtype.categories, "dtype", object)
    if isinstance(dtype, pd.ArrowDtype):
        kind = dtype.pyarrow_dtype
        return is_text_type(kind.value_type if pa.types.is_dictionary(kind) else kind)
    return isinstance(dtype, pd.StringDtype) or bool(dtype == np.dtype(object))


def _encoded(text: str, columns: Mapping[str, list[str]]) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        name, row, value = next(
            (name, row, value)
            for name, values in columns.items()
            for row, value in enumerate([name, *values], start=-1)
            if not _is_unicode(value)
        )
        place = f"column {name!r}, row {row}" if row >= 0 else f"the name of column {name!r}"
        raise ColumnValueError(f"Message.to_csv: {place}: {value!r:.60} is no text that UTF-8 can write.") from None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def read_csv(
    path: str | Path, schema: Schema | Mapping[str, Any] | None = None, *, sep: str = ",", **options: Any
) -> Message:
    """Read a CSV file, as pandas does or exactly by a schema; see `Message.read_csv`."""
    where = "Message.read_csv"
    if schema is not None:
        if unknown := options.keys() - {"na_values"}:
            raise TypeError(f"{where}: with a schema the options are sep and na_values; got {sorted(unknown)}.")
        _check_separator(sep, where=where)
        return _read_by_schema(path, Schema(schema), sep, options.get("na_values", ()))
    broken = (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError)
    with open_file(path, where=where, kind="CSV", broken=broken) as file:
        frame = pd.read_csv(file if "compression" in options else unpacked(file, path), sep=sep, **options)
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{where}: a message is read whole, so chunksize and iterator can't be passed on to pandas.")
    if "index_col" not in options and not frame.index.equals(pd.RangeIndex(len(frame))):
        frame = frame.reset_index()  # rows with one field more than the header has names
    return Message(frame)


def _read_by_schema(path: str | Path, schema: Schema, sep: str, na_values: str | Iterable[str]) -> Message:
    where = "Message.read_csv"
    nulls = ["", *([na_values] if isinstance(na_values, str) else na_values)]
    with open_file(path, where=where, kind="CSV", broken=(pa.ArrowException,)) as file:
        data = unpacked(file, path).read()
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(block_size=min(len(data) + 1, _LARGEST_ROW)),
            csv.ParseOptions(delimiter=sep, newlines_in_values=True, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types=dict.fromkeys(schema.names, pa.large_string()),
                null_values=nulls,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    names = table.column_names if len(schema) or table.column_names != [""] else []  # what Message().to_csv() wrote
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnTypeError(f"{where}: {str(path)!r} has the column {twice!r} twice; rename one.")
    columns = dict(zip(names, table.columns, strict=False))
    for field in schema:
        if field.name in columns and not _is_text(field):
            texts = columns[field.name]  # quoted or not, nothing is no number
            columns[field.name] = _numbers(pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts), field)
    return conformed(columns, schema, path)


def _numbers(texts: Any, field: Field) -> Any:
    """Return texts as integers or doubles where each is one to the last digit; else as they are, to be read one by one."""
    dtype = getattr(field.dtype, "numpy_dtype", field.dtype)
    name = dtype_name(dtype) if isinstance(dtype, torch.dtype) else str(dtype)
    kind = None if field.shape else _READ_BY_ARROW.get(name)
    if kind is None:
        return texts
    try:
        numbers = texts.cast(kind)
    except pa.ArrowInvalid:
        return texts
    if pa.types.is_integer(kind):
        is_odd = pc.invert(pc.match_substring_regex(texts, "^-?[0-9]+$"))
    else:  # too many digits for a double, or too small or too large for one
        is_odd = pc.or_(pc.greater_equal(pc.abs(numbers), 2.0**53), pc.equal(numbers, 0.0))
        is_odd = pc.and_(is_odd, pc.invert(pc.is_in(texts, pa.array(["0", "0.0", "-0.0", "inf", "-inf"], texts.type))))
    return texts if pc.any(is_odd).as_py() else numbers
