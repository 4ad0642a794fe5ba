"""Reading rows and cells by ``loc``, ``iloc``, ``at`` and ``iat``."""

from __future__ import annotations

from typing import Any, NoReturn

from fireworks.errors import RowIndexError
from fireworks.message.frames import translate
from fireworks.message.frames.delegate import missing_columns
from fireworks.message.message import Message


class Indexer:
    """What ``message.loc`` and its kin are: pandas' indexers, of which labels of rows are their numbers.

    Rows and columns come back as a message, one row or one column as a Series, one cell as its value.

    Args:
        message: The message to read.
        name: ``loc``, ``iloc``, ``at`` or ``iat``.

    Example:
        >>> message = fw.Message({"x": torch.tensor([3.0, 1.0, 2.0]), "name": ["ann", "bob", "cid"]})
        >>> message.loc[message["x"] > 1, ["name"]].to_dict(), message.at[1, "name"]
        ({'name': ['ann', 'cid']}, 'bob')
    """

    __slots__ = ("_indexer", "_message", "_name")

    def __init__(self, message: Message, name: str, axis: int | str | None = None) -> None:
        indexer = getattr(translate.frame_of(message), name)
        self._message, self._name = message, name
        self._indexer = indexer if axis is None else indexer(axis=axis)

    def __call__(self, axis: int | str | None = None) -> Indexer:
        """Return an indexer of one axis only, as in pandas."""
        return Indexer(self._message, self._name, axis)

    def __getitem__(self, key: Any) -> Any:
        where = f"Message.{self._name}"
        try:
            with missing_columns(self._message, where, (key,)):
                value = self._indexer[translate.argument(key)]
        except IndexError as error:
            rows, columns = len(self._message), len(self._message.columns)
            raise RowIndexError(
                f"{where}: {key!r:.60} does not fit; there are {rows} rows and {columns} columns ({error})."
            ) from error
        return translate.result(value, where=where)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(
            f"Message.{self._name}: an assignment would change a frame that the message is only seen through, and be "
            "lost; assign a column, as in message['x'] = message['x'].where(keep, value) or "
            "message['x'] = torch.where(keep, message['x'], value), or take message.where(keep, value) for all columns."
        )
