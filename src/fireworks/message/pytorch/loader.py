"""Messages in a DataLoader: what a dataset gives as messages is collated into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data._utils.collate import default_collate_fn_map

from fireworks.message.combine import concat
from fireworks.message.message import Message


def collate(batch: Sequence[Message] | Message, *, collate_fn_map: Any = None) -> Message:  # noqa: ARG001 (torch's signature)
    """Return the messages of one batch end to end; a message that was gathered at once, by `__getitems__`, as it is.

    Source:
        ``torch.utils.data.default_collate``, whose ``default_collate_fn_map`` is the place to register a type.

    Example:
        >>> loader = torch.utils.data.DataLoader(fw.Message({"x": torch.arange(5)}), batch_size=2)
        >>> [batch["x"].tolist() for batch in loader]
        [[0, 1], [2, 3], [4]]
    """
    return batch if isinstance(batch, Message) else concat(batch)


default_collate_fn_map[Message] = collate
