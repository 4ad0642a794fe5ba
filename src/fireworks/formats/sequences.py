"""Objects with a length whose items are rows, and functions that return rows one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, final

from fireworks.core.chunk import Span, as_positions
from fireworks.core.source import BadRows, Source
from fireworks.errors import FireworksError
from fireworks.formats.items import Items, shown
from fireworks.message import Message, Schema

_ROWS_AT_A_TIME = 1024


def _checked(on_error: str) -> str:
    if on_error not in {"raise", "quarantine"}:
        raise ValueError(f"source: on_error must be 'raise' or 'quarantine'; got {on_error!r}.")
    return on_error


@final
class SequenceSource(Source):
    """The items of any object with ``__len__`` and ``__getitem__``, such as a list or a dataset of PyTorch.

    An item is a mapping of one row's values, a message of one row, a tuple, or with ``columns="x"`` any one value. Where the
    object has ``__getitems__``, as PyTorch's datasets may, it is asked for many at once.

    Args:
        items: A list of dicts, a torch dataset, …
        columns: Names for the parts of tuples, ``"0"``, ``"1"``, … if not given; or one name for items that are values.
        on_error: ``"quarantine"`` to set items aside that raise or can't be rows; the source is a stream then.

    Raises:
        TypeError: the first item can't be a row, or any item where bad ones are not set aside.

    Example:
        >>> SequenceSource([{"x": torch.zeros(2)}, {"x": torch.ones(2)}]).to_message()["x"].shape
        torch.Size([2, 2])
        >>> SequenceSource([(1, "one"), (2, "two")], columns=["n", "word"])[1].to_dict()
        {'n': [2], 'word': ['two']}
    """

    def __init__(self, items: Any, columns: str | Sequence[str] | None = None, *, on_error: str = "raise") -> None:
        super().__init__()
        self.on_error = _checked(on_error)
        self.random_access = on_error == "raise"
        self._items, self._rows = items, Items(columns, where="source")
        if self.random_access:
            _ = self.schema  # what can't be a row is said at once

    @cached_property
    def _no_rows(self) -> Message:
        if not len(self._items):
            return Message()
        if self.random_access:
            return self._asked([0])[:0]
        first = self._first_good
        return Message() if first is None else self._rows.message([first])[:0]

    @cached_property
    def _first_good(self) -> Mapping[str, Any] | None:
        """The first item that can be a row, which the others have to fit."""
        for number in range(len(self._items)):
            item, reason = self._tried(number, None)
            if reason is None:
                return _mapping(self._rows.row(item))
        return None

    @property
    def schema(self) -> Schema:
        return self._no_rows.schema

    def describe(self) -> str:
        return f"Sequence({type(self._items).__name__} of {len(self._items)} rows)"

    def count(self) -> int:
        return len(self._items) if self.random_access else super().count()

    def fetch(self, rows: Span) -> Message:
        if not len(rows):
            return self._no_rows[:]
        return self._asked(as_positions(rows).tolist())

    def _asked(self, rows: list[int]) -> Message:
        many = getattr(self._items, "__getitems__", None)
        if many is not None:
            items = many(rows)
            if isinstance(items, Message):
                return items
            if len(items) != len(rows):
                raise ValueError(
                    f"{self.describe()}: __getitems__ was asked for {len(rows)} items and returned {len(items)}."
                )
            return self._rows.message(items)
        items = []
        for row in rows:
            try:
                items.append(self._items[row])
            except Exception as error:
                error.add_note(f"Item {row} of {self.describe()} raised it.")
                raise
        return self._rows.message(items)

    # --- with bad items set aside ---------------------------------------------------------------------------------

    def stream(self, start: int) -> Iterator[Message | BadRows]:
        """Yield the items from ``start`` on, and between them those that can't be rows."""
        good: list[Any] = []
        for number in range(start, len(self._items)):
            item, reason = self._tried(number, self._first_good)
            if reason is None:
                good.append(item)
            if good and (reason is not None or len(good) == _ROWS_AT_A_TIME):
                yield self._rows.message(good)
                good = []
            if reason is not None:
                yield BadRows(shown(item), reason)
        if good:
            yield self._rows.message(good)

    def _tried(self, number: int, first: Mapping[str, Any] | None) -> tuple[Any, str | None]:
        """Return an item, and why it can't be a row."""
        try:
            item = self._items[number]
            row = _mapping(self._rows.row(item))
        except Exception as error:  # noqa: BLE001 (whatever an object of the user's raises)
            return number, f"{type(error).__name__}: {error}"
        return item, self._rows.misfit(row, row if first is None else first)


def _mapping(row: Any) -> Mapping[str, Any]:
    if isinstance(row, Message):
        raise TypeError("an item that is a message can't be set aside row by row; make mappings of its rows")
    return row  # type: ignore[no-any-return]


@final
class IterableSource(Source):
    """A stream of rows or messages from a function that begins it anew each time.

    Args:
        begin: A function without arguments that returns an iterable of rows (mappings, tuples, or with ``columns="x"`` any
            values) or of messages.
        columns: Names for the parts of tuples, ``"0"``, ``"1"``, … if not given; or one name for items that are values.
        on_error: ``"quarantine"`` to set items aside that can't be rows like the first one that can.

    Raises:
        TypeError: an item can't be a row, or the function returns one iterator again and again.

    Example:
        >>> IterableSource(lambda: ({"n": n} for n in range(3))).to_message()["n"].tolist()
        [0, 1, 2]
        >>> IterableSource(lambda: range(3), "n").to_message()["n"].tolist()
        [0, 1, 2]
    """

    random_access = False

    def __init__(
        self,
        begin: Callable[[], Iterable[Any]],
        columns: str | Sequence[str] | None = None,
        *,
        on_error: str = "raise",
        name: str = "",
    ) -> None:
        super().__init__()
        self.on_error = _checked(on_error)
        self._begin, self._rows = begin, Items(columns, where="source")
        self._name = name or getattr(begin, "__name__", type(begin).__name__)
        self._last_begun: Iterable[Any] | None = None

    @cached_property
    def schema(self) -> Schema:
        return next((part for part in self.stream(0) if isinstance(part, Message)), Message()).schema

    @property
    def known_columns(self) -> list[str] | None:
        """Unknown: looking would begin the stream."""
        return None

    def describe(self) -> str:
        return f"Iterable({self._name})"

    def stream(self, start: int) -> Iterator[Message | BadRows]:
        skip = start
        for part in self._parts(self._begun()):
            message = part.message if isinstance(part, BadRows) else part
            if skip >= len(message):
                skip -= len(message)
            elif isinstance(part, BadRows):
                yield part  # of one row
            else:
                yield message[skip:] if skip else message
                skip = 0

    def _parts(self, items: Iterable[Any]) -> Iterator[Message | BadRows]:
        """Pass messages on, gather single rows into messages of some length, and name what is neither."""
        rows: list[Any] = []
        first: Mapping[str, Any] | None = None
        typed = _Typed()
        for item in items:
            reason = None
            if not isinstance(item, Message):
                if self.on_error == "quarantine":
                    reason = self._rows.misfit(item, self._row_or_none(item) if first is None else first)
                    if reason is None and first is None:
                        first = self._row_or_none(item)
                if reason is None:
                    rows.append(item)
                    if len(rows) < _ROWS_AT_A_TIME:
                        continue
            if rows:
                yield typed.as_first(self._rows.message(rows))
                rows = []
            if reason is not None:
                yield BadRows(shown(item), reason)
            elif isinstance(item, Message):
                yield item
        if rows:
            yield typed.as_first(self._rows.message(rows))

    def _row_or_none(self, item: Any) -> Any:
        try:
            return self._rows.row(item)
        except (TypeError, ValueError):
            return {}

    def _begun(self) -> Iterable[Any]:
        """Begin anew; a function that returns what was read already would lose rows in silence."""
        items = self._begin()
        if items is self._last_begun and iter(items) is items:
            raise TypeError(
                f"{self.describe()}: the function returned the same {type(items).__name__} twice, which can be read "
                "only once; make a new one in it."
            )
        self._last_begun = items
        return items

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_last_begun": None}


class _Typed:
    """Brings rows of a stream to the types of its first ones: where rows are cut must not decide what they are."""

    def __init__(self) -> None:
        self._schema: Schema | None = None
        self._num_rows = 0

    def as_first(self, message: Message) -> Message:
        """Return rows with the types of the first.

        Raises:
            FireworksError: a value does not fit; the error says which.
        """
        first, self._num_rows = self._num_rows, self._num_rows + len(message)
        if self._schema is None:
            self._schema = message.schema
        if message.schema == self._schema:
            return message
        try:
            return Message(message, schema=self._schema)
        except FireworksError as error:
            error.add_note(
                f"A stream has the types of its first rows; rows {first} to {first + len(message) - 1} of this one have others. "
                "Give the first ones a value of the wider type, or yield messages: fw.Message(…, schema=…)."
            )
            raise
