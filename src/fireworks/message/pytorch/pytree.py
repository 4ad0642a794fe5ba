"""A message as a node of torch's trees: its tensor columns are the leaves, whatever maps, moves or exports them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from torch.utils import _pytree as trees

from fireworks.errors import ColumnTypeError
from fireworks.message.message import Message

_Context: TypeAlias = "tuple[tuple[str, ...], Message | None]"


def flatten(message: Message) -> tuple[list[torch.Tensor], _Context]:
    """Return the tensor columns, and what the message is without them: all names in order, and its other columns.

    The number of rows is that of the leaves, so that messages of different lengths have the same structure.
    """
    leaves = {name: column for name, column in message._columns.items() if isinstance(column, torch.Tensor)}
    others = [name for name in message._columns if name not in leaves]
    return list(leaves.values()), (tuple(message._columns), message.select(*others) if others else None)


def flatten_with_keys(message: Message) -> tuple[list[tuple[Any, torch.Tensor]], _Context]:
    """Return the leaves with their paths: the names of the columns."""
    leaves, context = flatten(message)
    return [(trees.MappingKey(name), leaf) for name, leaf in zip(_names(context), leaves, strict=True)], context


def unflatten(leaves: Iterable[Any], context: _Context) -> Message | dict[str, Any]:
    """Return a message of the leaves where they are columns, and a dict of them by name where they are not.

    They are columns if they are tensors of one length, which is that of the other columns where there are any. So a
    function of tensors gives a message, ``torch.Tensor.size`` a dict of sizes, and within ``torch.vmap``, where a leaf
    has lost its rows, a function finds its values under the same names.

    Example:
        >>> message = fw.Message({"x": torch.ones(2, 3), "y": torch.zeros(2)})
        >>> tree_map = torch.utils._pytree.tree_map
        >>> tree_map(lambda column: column + 1, message)["y"], tree_map(lambda column: column.ndim, message)
        (tensor([1., 1.]), {'x': 2, 'y': 1})
    """
    names, others = context
    by_name = dict(zip(_names(context), leaves, strict=True))
    if not all(isinstance(leaf, torch.Tensor) and leaf.dim() for leaf in by_name.values()):
        return by_name
    lengths = [len(leaf) for leaf in by_name.values()] + ([] if others is None else [len(others)])
    if any(length != lengths[0] for length in lengths):
        return by_name
    columns = by_name if others is None else {**by_name, **others._columns}
    return Message._of({name: columns[name] for name in names}, lengths[0] if lengths else 0)


def _names(context: _Context) -> list[str]:
    names, others = context
    return [name for name in names if others is None or name not in others]


def _to_json(context: _Context) -> str:
    names, others = context
    if others is not None:
        raise ColumnTypeError(
            f"Message: torch writes down tensor columns only, and {others.columns} are none; select the tensors first."
        )
    return json.dumps(names)


def _from_json(text: str) -> _Context:
    return tuple(json.loads(text)), None


trees.register_pytree_node(
    Message,
    flatten,
    unflatten,
    serialized_type_name="fireworks.Message",
    to_dumpable_context=_to_json,
    from_dumpable_context=_from_json,
    flatten_with_keys_fn=flatten_with_keys,
)
