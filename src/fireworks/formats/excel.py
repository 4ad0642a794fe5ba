"""A sheet of Excel, for people to look at: what Excel has no type for is written as text."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.arrays import BooleanArray, FloatingArray, IntegerArray

from fireworks._internal.checks import check_no_index
from fireworks._internal.extras import need
from fireworks._internal.files import whole_file
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.formats.spelling import plain_values
from fireworks.message import Message
from fireworks.message.conversion.exact import numpy_of

_MOST_ROWS, _MOST_COLUMNS = 2**20 - 1, 2**14  # the names take the first row
_LONGEST_TEXT = 32_767  # letters in a cell; openpyxl cuts off the rest


def write_excel(message: Message, path: str | Path, sheet_name: str = "Sheet1", *, index: bool | None = None) -> None:
    """Write a message as the one sheet of an Excel file; see `Message.to_excel`."""
    where = "Message.to_excel"
    check_no_index(index, where=where)
    if len(message) > _MOST_ROWS or len(message.columns) > _MOST_COLUMNS:
        raise ValueError(
            f"{where}: a sheet has room for {_MOST_ROWS:,} rows and {_MOST_COLUMNS:,} columns; the message has "
            f"{len(message):,} and {len(message.columns):,}."
        )
    illegal = need("openpyxl.cell.cell", extra="interop", user=where).ILLEGAL_CHARACTERS_RE
    columns = {name: _cells(name, message) for name in message.columns}
    for name, cells in columns.items():
        for row, cell in enumerate([name, *cells] if cells.dtype == object else [name], start=-1):
            if isinstance(cell, str) and (len(cell) > _LONGEST_TEXT or illegal.search(cell)):
                place = f"column {name!r:.60}, row {row}" if row >= 0 else f"the name of column {name!r:.60}"
                raise ColumnValueError(
                    f"{where}: {place}: {cell!r:.60} has {len(cell):,} letters; a cell holds at most {_LONGEST_TEXT:,}, "
                    "none of them a control character."
                )
    frame = pd.DataFrame(columns)
    book = io.BytesIO()
    with pd.ExcelWriter(book, engine="openpyxl") as writer:
        frame.to_excel(writer, sheet_name=sheet_name, index=False)
        for line in writer.sheets[sheet_name].iter_rows():
            for cell in line:
                if cell.data_type == "f":  # a text that begins with = is a text, no formula to be run
                    cell.data_type = "s"
    with whole_file(path, where=where) as file:
        file.write(book.getvalue())


def _cells(name: str, message: Message) -> pd.Series[Any]:
    """Return the values for which Excel has a type, and text for all others."""
    column = message.raw(name)
    if isinstance(column, torch.Tensor) and column.dim() == 1 and not column.is_complex():
        column = numpy_of(column)
    if isinstance(column, (IntegerArray, FloatingArray, BooleanArray)):
        return pd.Series(column)
    if isinstance(column, np.ndarray) and column.dtype.kind != "c":
        return pd.Series(column)
    try:
        values = plain_values(name, column, where="Message.to_excel")
    except ColumnTypeError:  # nothing that could be read back, but something to look at
        values = [None if pd.api.types.is_scalar(value) and pd.isna(value) else str(value) for value in message[name]]
    return pd.Series([json.dumps(v) if isinstance(v, (list, dict)) else v for v in values], dtype=object)
