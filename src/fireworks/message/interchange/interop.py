"""To polars and to tensordict, and from a tensordict; from polars a message comes through Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import torch

from fireworks._internal.extras import need
from fireworks.errors import ColumnTypeError
from fireworks.message.columns import Column, as_column
from fireworks.message.conversion.convert import names_of
from fireworks.message.interchange.arrow import require_names_for_c, table_of

if TYPE_CHECKING:
    from fireworks.message.message import Message


def to_polars(message: Message) -> Any:
    """Do what `Message.to_polars` says."""
    polars = need("polars", extra="interop", user="Message.to_polars")
    require_names_for_c(message)
    table = table_of(message)
    for field in table.schema:
        if pa.types.is_timestamp(field.type) and (field.type.tz or "")[:1] in {"+", "-"}:
            raise ColumnTypeError(
                f"Message.to_polars: column {field.name!r} has the zone {field.type.tz!r}, and polars knows zones by "
                "name only; convert it, to 'UTC' for instance."
            )
    frame = polars.DataFrame(table)
    frame.columns = message.columns  # of an empty name polars makes "column_0"
    for name in message.columns:
        column = message.raw(name)
        if (
            isinstance(column, pd.Categorical)
            and column.ordered
            and isinstance(column.categories.dtype, pd.StringDtype)
        ):
            frame = frame.with_columns(frame[name].cast(polars.Enum(column.categories.tolist())))
    return frame


def to_tensordict(message: Message, columns: str | Sequence[str] | None) -> Any:
    """Do what `Message.to_tensordict` says."""
    tensordict = need("tensordict", extra="interop", user="Message.to_tensordict")
    tensors = {name: message.raw(name) for name in names_of(message, columns)}
    others = [name for name, column in tensors.items() if not isinstance(column, torch.Tensor)]
    if others:
        raise ColumnTypeError(
            f"Message.to_tensordict: columns {others} are no tensors; convert them with to_tensors, or name the columns "
            "to take: to_tensordict(['x', …])."
        )
    return tensordict.TensorDict(tensors, batch_size=[len(message)])


def columns_of_tensordict(data: Any) -> dict[str, Column]:
    """Return the entries of a tensordict as columns; tensors are shared, and ``data["a", "b"]`` is called ``a.b``.

    An entry that is no tensor becomes a column of its values, one per row.

    Raises:
        ColumnTypeError: there is no batch dimension, two entries would have one name, or the tensors that are stacked
            lazily to an entry differ in shape.
    """
    import tensordict

    if not data.batch_dims:
        raise ColumnTypeError(
            "Message: a tensordict needs a batch dimension, which counts the rows; this one has batch_size []. For one "
            "row, pass data.unsqueeze(0)."
        )
    stored: dict[str, Column] = {}
    # within another one, a tensorclass gives its entries as a tensordict does
    data = tensordict.TensorDict({"": data}, batch_size=data.batch_size)
    for key in data.keys(include_nested=True, leaves_only=True, is_leaf=tensordict.is_leaf_nontensor):
        name = ".".join(key[1:])
        if name in stored:
            raise ColumnTypeError(f"Message: the tensordict has two entries for column {name!r}; rename one of them.")
        try:
            value = data.get(key)
        except RuntimeError as error:
            raise ColumnTypeError(
                f"Message: the tensors of the tensordict's entry {name!r} differ in shape from row to row; pad them first."
            ) from error
        stored[name] = as_column(name, value if isinstance(value, torch.Tensor) else value.tolist())
    return stored
