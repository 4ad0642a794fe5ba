"""Columns into tensors, out of tensors, and into the types of a schema: exactly, or an error that says where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pandas.arrays import NumpyExtensionArray

from fireworks.errors import ColumnTypeError, ColumnValueError, SchemaMismatchError
from fireworks.message.arrays.tensor_dtype import dtype_name
from fireworks.message.columns import Column, Positions, field_of
from fireworks.message.conversion.exact import MisfitError, exact_tensor
from fireworks.message.conversion.kinds import NoConversionError, object_array
from fireworks.message.conversion.numbers import frame_column, tensor_of
from fireworks.message.conversion.retype import retype
from fireworks.message.schema import Field, Schema

if TYPE_CHECKING:
    from fireworks.message.message import Message


def names_of(message: Message, columns: str | Sequence[str] | None) -> list[str]:
    """Return the names that an argument ``columns`` stands for: one, many, or all where it is None.

    Raises:
        ColumnNotFoundError: a name is not there.
    """
    names = message.columns if columns is None else [columns] if isinstance(columns, str) else list(columns)
    for name in names:
        message.raw(name)
    return names


def replaced(message: Message, columns: Mapping[str, Column]) -> Message:
    """Return a message with columns replaced by others of the same length; the rest is shared."""
    return type(message)._of({**message._columns, **columns}, len(message))


# --- to tensors and back ------------------------------------------------------------------------------------------


def to_tensors(
    message: Message,
    columns: str | Sequence[str] | None,
    *,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> Message:
    """Do what `Message.to_tensors` says."""
    where = "Message.to_tensors"
    made = {}
    for name in names_of(message, columns):
        tensor = as_tensor(name, message.raw(name), where=where)
        if dtype is not None:
            tensor = _in_dtype(name, tensor, dtype, where)
        made[name] = tensor if device is None else tensor.to(device)
    return replaced(message, made)


def _in_dtype(name: str, tensor: torch.Tensor, dtype: torch.dtype, where: str) -> torch.Tensor:
    try:
        return exact_tensor(tensor, dtype)
    except MisfitError as misfit:
        row = misfit.position // max(1, tensor[:1].numel())
        raise ColumnValueError(
            f"{where}: column {name!r}, row {row}: {misfit.value!r} is not exactly a {dtype_name(dtype)}; to change it all "
            f"the same, write .to_tensors({name!r})[{name!r}].to({dtype})."
        ) from None
    except TypeError:
        raise ColumnTypeError(
            f"{where}: column {name!r} is a {tensor.dtype} tensor on {tensor.device}, whose values can't be compared "
            f"with those of {dtype}."
        ) from None


def as_tensor(
    name: str, column: Column, *, where: str, rows: Positions | None = None, remedy: str | None = None
) -> torch.Tensor:
    """Return a column as a tensor of the same type, sharing memory wherever NumPy, Arrow and torch can.

    Args:
        name: The column's name, for the error.
        column: A tensor, numbers or booleans of NumPy, pandas or Arrow, or Arrow lists of them that have one length.
        where: Who asks, for the error.
        rows: The numbers of the rows in the source, for the error; None if they count from 0 here.
        remedy: What to do about a column that holds no numbers, for the error.

    Shapes:
        numbers ``(rows,)``; lists of lists ``(rows, outer size, inner size)``.

    Raises:
        ColumnTypeError: it holds no numbers.
        ColumnValueError: a value is missing, or a list has another length than the first one.

    Example:
        >>> as_tensor("n", pd.array([1, 2], dtype="Int8"), where="example")
        tensor([1, 2], dtype=torch.int8)
    """
    if isinstance(column, torch.Tensor):
        return column
    try:
        return tensor_of(column)
    except NoConversionError:
        raise ColumnTypeError(
            f"{where}: column {name!r} holds {field_of(name, column).type_text}, which is no tensor type; map it to "
            f"numbers, or {remedy or 'name the columns to convert'}."
        ) from None
    except MisfitError as misfit:
        row = misfit.position if rows is None else f"{rows[misfit.position]} of the source"
        wrong = (
            "the value is missing; fill it, or leave the row out"
            if misfit.value is None
            else f"{misfit.value!r:.60} {misfit.why}; the rows of one tensor have one shape"
        )
        raise ColumnValueError(f"{where}: column {name!r}, row {row}: {wrong}.") from None


def to_dataframe(message: Message, columns: str | Sequence[str] | None) -> Message:
    """Do what `Message.to_dataframe` says."""
    made = {}
    for name in names_of(message, columns):
        column = message.raw(name)
        try:
            made[name] = frame_column(column) if isinstance(column, torch.Tensor) else column
        except TypeError as error:
            raise ColumnTypeError(
                f"Message.to_dataframe: column {name!r} is {field_of(name, column).type_text}, which neither NumPy nor "
                f"Arrow can hold: {error} Name the columns to convert."
            ) from None
    return replaced(message, made)


# --- schemas --------------------------------------------------------------------------------------------------------


def undecided(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns with each list as a column of objects.

    For want of a type pandas would bring the values of a list to one first, ``[2**53 + 1, None]`` to floats.
    """
    return {
        name: NumpyExtensionArray(object_array(value)) if isinstance(value, (list, tuple)) else value
        for name, value in columns.items()
    }


def conform(columns: dict[str, Column], schema: Schema) -> dict[str, Column]:
    """Return columns in the order and the types of a schema, converted where nothing is lost; see `retype`.

    Raises:
        SchemaMismatchError: a column is missing or is not in the schema, or is of a type that has no conversion.
        ColumnValueError: a value does not fit; the error names column, row and value.
    """
    if columns.keys() != set(schema.names):
        missing = [name for name in schema.names if name not in columns]
        extra = [name for name in columns if name not in schema]
        raise SchemaMismatchError(
            f"Message: the columns are {list(columns)}, the schema has {schema.names};"
            f"{f' missing are {missing}' if missing else ''}{' and' if missing and extra else ''}"
            f"{f' not in the schema are {extra}' if extra else ''}."
        )
    return {field.name: _conformed(columns[field.name], field) for field in schema}


def _conformed(column: Column, field: Field) -> Column:
    try:
        return retype(column, field)
    except MisfitError as misfit:
        place = f"Message: column {field.name!r}, row {misfit.position}"
        if misfit.value is None:
            raise ColumnValueError(
                f"{place}: the value is missing, and {field.type_text} has nothing for that; fill it first, or let the "
                "schema have a type that can be missing."
            ) from None
        why = f"{misfit.why}; expected {field.type_text}" if misfit.why else f"does not fit {field.type_text}"
        raise ColumnValueError(f"{place}: {misfit.value!r:.60} {why}.") from None
    except NoConversionError:
        raise SchemaMismatchError(
            f"Message: column {field.name!r} is {field_of(field.name, column).type_text}, the schema says "
            f"{field.type_text}, and there is no way from one to the other that loses nothing; convert it first."
        ) from None
