"""Messages that something downstream sends back, handed out in later epochs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch

from fireworks._internal.checks import check_count
from fireworks._internal.lazy import load
from fireworks._internal.seeds import check_seed
from fireworks.core.chunk import Chunk, Span
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Base, Flow
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError, SchemaMismatchError, StateError, UnknownLengthError
from fireworks.message import Message, Schema, concat

_VERSION = 1
_ROWS_AT_A_TIME = 4096


@final
class Replay(Pipe):
    """Hand out the rows that were sent in earlier epochs, all of them in random order; a replay buffer.

    The newest ``capacity`` rows are kept. What is sent in an epoch counts from the next one on, so an epoch is the same
    however often it is read; in epoch 0 there is nothing. Put it beside other data with `Mix`, or take some of its rows
    with ``take``. It is a stream, because the number of its rows differs by epoch.

    A scaffold saves the rows: they are this pipe's state. Which epoch it is, is known from reading: the latest that was
    asked for. Rows of epochs before that one are let go.

    Args:
        schema: The columns of what will be sent; a `Schema`, or a mapping from names to types.
        capacity: Rows that are kept. At least 1.
        seed: From 0 to 2**64 - 1.
        name: A name for the stage, in place of ``replay:0``, that keys its draws.

    Raises:
        ValueError: ``capacity`` is below 1, or there is no seed.
        ColumnTypeError: the schema is none.

    Example:
        >>> replay = Replay({"x": torch.int64}, capacity=3, seed=0)
        >>> replay.send({"x": torch.arange(5)})
        >>> [sorted(replay.at_epoch(epoch).take(9).to_message()["x"].tolist()) for epoch in (0, 1)]
        [[], [2, 3, 4]]
    """

    random_kind: ClassVar[str | None] = "replay"

    def __init__(
        self,
        schema: Schema | Mapping[str, Any],
        capacity: int | None = None,
        *,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(None)
        self._schema = schema if isinstance(schema, Schema) else Schema(schema)
        self.capacity = check_count(capacity, at_least=1, where="replay: capacity")
        self.seed = check_seed(seed, where="replay")
        self.stage = name or "replay:0"
        self._named = "" if name is None else f", name={name!r}"
        self._lock = threading.Lock()
        self._epoch = 0  # the latest that was read, or in which something was sent
        self._now = Message(schema=self.schema)
        self._sent: list[Message] = []

    @property
    def schema(self) -> Schema:
        """The columns of what is sent and handed out."""
        return self._schema

    @property
    def order_varies(self) -> bool:
        return True

    @property
    def known_columns(self) -> list[str] | None:
        return self.schema.names

    def describe(self) -> str:
        return f"Replay(capacity={self.capacity}, seed={self.seed}{self._named})"

    def make_flow(self) -> Flow:
        return Flow(_Kept(self))

    def send(self, rows: Any, *, epoch: int | None = None) -> None:
        """Keep rows for the epochs after ``epoch``; the oldest go where there are more than ``capacity``.

        Args:
            rows: A message, or what one can be made of, with the columns of the schema and maybe others.
            epoch: In which epoch they were found; the latest that was read if not given.

        Raises:
            SchemaMismatchError: a column of the schema is missing, or is of another type.
            ValueError: the epoch after is under way already.
        """
        message = rows if isinstance(rows, Message) else Message(rows)
        lacks = [name for name in self.schema.names if name not in message]
        if lacks:
            raise SchemaMismatchError(f"replay: what is sent lacks {lacks}; it has {message.columns}.")
        kept = message.select(*self.schema.names)
        for ours, theirs in zip(self.schema, kept.schema, strict=True):
            if ours != theirs:
                raise SchemaMismatchError(f"replay: expected the column {ours}; what is sent has {theirs}.")
        # Detached and of its own: a graph or a buffer must not stay in memory with it.
        last = max(0, len(kept) - self.capacity)
        own = kept.take(np.arange(last, len(kept)))
        own = Message._of(
            {name: c.detach().cpu() if isinstance(c, torch.Tensor) else c for name, c in own._columns.items()}, len(own)
        )
        with self._lock:
            self._settle(self._epoch if epoch is None else epoch, sends=True)
            self._sent.append(own)
            if sum(map(len, self._sent)) > 2 * self.capacity:
                self._sent = [self._newest(self._sent)]

    def _newest(self, messages: list[Message]) -> Message:
        rows = concat(messages)
        return rows.take(np.arange(max(0, len(rows) - self.capacity), len(rows)))

    def _settle(self, epoch: int, *, sends: bool = False) -> None:
        if sends and epoch < self._epoch:
            raise ValueError(
                f"replay: what is sent in epoch {epoch} counts from epoch {epoch + 1} on, and epoch {self._epoch} was read "
                "already; send before the next epoch is begun."
            )
        if epoch > self._epoch:
            if self._sent:
                self._now = self._newest([self._now, *self._sent])
                self._sent = []
            self._epoch = epoch

    def rows(self, epoch: int) -> Message:
        """Return the rows of one epoch, the oldest first; asking for a later epoch begins it.

        Raises:
            StateError: the rows of that epoch were let go.
        """
        with self._lock:
            self._settle(epoch)
            if epoch not in {0, self._epoch}:
                raise StateError(f"replay: the rows of epoch {epoch} were let go; it is epoch {self._epoch}.")
            return self._now if epoch else Message(schema=self.schema)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows of this epoch and of the next, as Arrow's bytes, and which epoch it is."""
        with self._lock:
            sent = self._newest([Message(schema=self.schema), *self._sent])
            return {"version": _VERSION, "epoch": self._epoch, "now": _packed(self._now), "sent": _packed(sent)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the rows of another replay of the same columns.

        Raises:
            StateError: the state is of another version, or of other columns.
        """
        if state.get("version") != _VERSION:
            raise StateError(f"replay: expected a state of version {_VERSION}; got {state.get('version')!r}.")
        now, sent = _unpacked(state["now"]), _unpacked(state["sent"])
        if now.schema != self.schema or sent.schema != self.schema:
            raise StateError(
                f"replay: the state has the columns {now.schema.names} of other types than here, {self.schema}."
            )
        with self._lock:
            self._epoch, self._now = int(state["epoch"]), now
            self._sent = [sent] if len(sent) else []

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def _packed(message: Message) -> torch.Tensor:
    import pyarrow as pa

    table, sink = message.to_arrow(), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return torch.from_numpy(np.frombuffer(sink.getvalue(), dtype=np.uint8).copy())


def _unpacked(data: torch.Tensor) -> Message:
    import pyarrow as pa

    return Message(pa.ipc.open_stream(pa.py_buffer(data.numpy().tobytes())).read_all())


class _Kept(Base):
    """The rows of a replay in one epoch."""

    is_indexable = False

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    @property
    def row_bytes(self) -> int:
        return self._replay.schema.row_bytes

    def num_items(self) -> int:
        raise UnknownLengthError("Replay: how many rows there are differs by epoch; it is a stream.")

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:  # noqa: ARG002
        raise NoRandomAccessError("Replay: which rows there are differs by epoch; it is a stream.")

    def no_rows(self) -> Message:
        return Message(schema=self._replay.schema)

    def open(self, run: Run) -> Cursor:
        return _ReplayCursor(self._replay, run.epoch)


class _ReplayCursor(Cursor):
    """A pass over the rows of one epoch; the place is a number."""

    def __init__(self, replay: Replay, epoch: int) -> None:
        self._rows = replay.rows(epoch)
        random_order = load("order.keys.random_order")
        self._order = random_order(replay.seed, replay.stage, epoch, len(self._rows))
        self._place = 0

    def read(self, num_rows: int) -> Chunk | None:
        rows = self._order[self._place : self._place + min(num_rows, _ROWS_AT_A_TIME)]
        self._place += len(rows)
        return Chunk(self._rows.take(rows), rows) if len(rows) else None

    def state_dict(self) -> State:
        return {"place": self._place}

    def load_state_dict(self, state: State) -> None:
        self._place = int(state["place"])
