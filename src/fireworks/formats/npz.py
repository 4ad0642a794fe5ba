"""NumPy's archive of arrays: for numbers in any shape, dates and text, and never with a pickle."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from pandas.api.extensions import ExtensionArray
from pandas.arrays import BooleanArray, FloatingArray, IntegerArray

from fireworks._internal.checks import check_columns
from fireworks._internal.files import open_file, whole_file
from fireworks.errors import ColumnTypeError, ColumnValueError
from fireworks.message import Message
from fireworks.message.arrays.tensor_dtype import dtype_name
from fireworks.message.columns import Column, as_column, field_of
from fireworks.message.conversion.exact import as_shared_tensor, numpy_of

_SUFFIX = ".npy"
TENSOR = "tensor"  # the comment of a member that was a tensor; those of nullable numbers name their type
_NULLABLE = (BooleanArray, FloatingArray, IntegerArray)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def write_npz(message: Message, path: str | Path, *, compressed: bool = False) -> None:
    """Write a message as an archive of arrays; see `Message.to_npz`.

    Source:
        the NPY format (NEP 1) and ``numpy.savez``; differs in that members have a comment and no date.
    """
    arrays = {name: _array(name, message.raw(name)) for name in message.columns}
    with (
        whole_file(path, where="Message.to_npz") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive,
    ):
        for name, (array, comment) in arrays.items():
            info = zipfile.ZipInfo(name + _SUFFIX)  # of 1980, so that equal messages make equal files
            info.comment, info.compress_type = comment.encode(), archive.compression
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _array(name: str, column: Column) -> tuple[np.ndarray[Any, Any], str]:
    """Return a column as an array, and the comment that makes a column of it again."""
    where = f"Message.to_npz: column {name!r}"
    if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ColumnTypeError(f"{where}: no file in an archive can have such a name; rename it.")
    if isinstance(column, torch.Tensor):
        if not column.is_meta and dtype_name(column.dtype) in np.sctypeDict:
            return numpy_of(column), TENSOR
    elif isinstance(column, np.ndarray):
        return column, ""
    elif isinstance(column.dtype, pd.StringDtype) or isinstance(column, _NULLABLE):
        return _without_nulls(where, column)
    raise ColumnTypeError(
        f"{where} is {field_of(name, column).type_text}, which NumPy can't hold without a pickle; convert the column or "
        "leave it out with drop, or use save."
    )


def _without_nulls(where: str, column: ExtensionArray) -> tuple[np.ndarray[Any, Any], str]:
    missing = np.asarray(column.isna())
    if missing.any():
        raise ColumnValueError(
            f"{where}, row {int(np.argmax(missing))}: the value is missing, and NumPy has no missing {column.dtype}; "
            "fill it or leave the row out, or use save."
        )
    if not isinstance(column.dtype, pd.StringDtype):
        return column.to_numpy(dtype=cast("Any", column.dtype).numpy_dtype), str(column.dtype)
    for row, text in enumerate(column):
        if text.endswith("\0"):
            raise ColumnValueError(f"{where}, row {row}: {text!r:.60} ends with a NUL, which NumPy cuts off; use save.")
    return np.array(list(column), dtype="U"), ""


def read_npz(path: str | Path, columns: str | Sequence[str] | None = None) -> Message:
    """Read an archive of arrays; see `Message.read_npz`."""
    where = "Message.read_npz"
    with open_file(path, where=where, kind="NPZ", broken=_BROKEN) as file, zipfile.ZipFile(file) as archive:
        members = {i.filename.removesuffix(_SUFFIX): i for i in archive.infolist() if i.filename.endswith(_SUFFIX)}
        if archive.namelist() and not members:
            raise ValueError(f"it is a zip archive without arrays; it holds {archive.namelist()[:5]}")
        return Message(
            {
                name: column_of_member(
                    where, name, _read(where, name, archive, members[name]), members[name].comment.decode()
                )
                for name in check_columns(columns, list(members), where=where)
            }
        )


def _read(where: str, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    with archive.open(info) as member:
        try:
            array = np.lib.format.read_array(member, allow_pickle=False)
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise ColumnTypeError(
                f"{where}: array {name!r} holds Python objects as a pickle, which runs code when it is read; name the "
                "arrays to read in columns."
            ) from None
        if member.read():  # the archive checks its checksum only at the end of a member
            raise ValueError(f"array {name!r} is followed by other bytes")
    return np.asarray(array)


def column_of_member(where: str, name: str, array: np.ndarray[Any, Any], comment: str) -> Column:
    """Return an array as the column that its comment says, or that its type and shape suggest."""
    if array.ndim == 1 and not comment:
        return as_column(name, array)
    if array.ndim == 1 and comment != TENSOR:
        nullable = cast("Any", pd.api.types.pandas_dtype(comment)).construct_array_type()
        return cast(
            "ExtensionArray", nullable(array, np.zeros(len(array), dtype=bool))
        )  # none is missing, NaN included
    if array.ndim == 0:
        raise ColumnTypeError(
            f"{where}: array {name!r} is one value, {array[()]!r:.40}, and no column; name the arrays to read in columns."
        )
    try:
        return as_shared_tensor(array)
    except TypeError:
        raise ColumnTypeError(
            f"{where}: array {name!r} of shape {array.shape} holds {array.dtype}, and only numbers that torch has can have "
            "more than one dimension; name the arrays to read in columns."
        ) from None
