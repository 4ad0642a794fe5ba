"""Rows in slots: one array per column, made once and written to in place; columns whose width varies lie in pieces.

A column of numbers is an array with one place per slot, in memory or in a file. Strings, lists, objects and what else has
no fixed width can't be written over. They lie in pieces, each some rows of all those columns; a piece is written anew
when half of its rows are gone, and small pieces are joined, so that there are never many.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

from fireworks.errors import SchemaMismatchError
from fireworks.message import Message, concat
from fireworks.message.columns import Column, Positions, field_of
from fireworks.message.columns import take as take_columns

Array: TypeAlias = "np.ndarray[Any, Any]"

_CARRIED = {torch.bfloat16: torch.int16}  # NumPy lacks it; only bytes are moved
_FEW_ROWS = 4096  # of a piece; smaller ones are joined
_PIECES = 16


@dataclass
class _Arena:
    """One column of fixed width: a place for each slot."""

    array: Array
    kind: torch.dtype | None
    """The type of the tensor that it is; None where it is an array."""
    path: Path | None

    @property
    def row_bytes(self) -> int:
        return int(self.array.dtype.itemsize * np.prod(self.array.shape[1:], dtype=np.int64))

    def grow(self, capacity: int) -> None:
        """Make room for so many rows; nobody may hold a view."""
        shape = (capacity, *self.array.shape[1:])
        if self.path is None:
            self.array.resize(shape, refcheck=False)  # moves pages rather than bytes where the array is large
            return
        num_bytes = capacity * self.row_bytes
        if num_bytes:
            with self.path.open("ab") as file:
                # Takes the room now: a disk that is full says so here, and not by killing the process at a later write.
                os.posix_fallocate(file.fileno(), 0, num_bytes)
            self.array = np.memmap(self.path, dtype=self.array.dtype, mode="r+", shape=shape)
        else:
            self.array = np.empty(shape, dtype=self.array.dtype)

    def view(self) -> Column:
        return _as_column(np.asarray(self.array), self.kind)


@dataclass
class _Piece:
    """Some rows of the columns whose width varies."""

    message: Message
    slots: Positions
    """The slot of each row; -1 where the row is gone."""
    live: int
    num_bytes: int
    path: Path | None


class Columns:
    """The columns of a cache: rows are written to slots and taken from them.

    Args:
        like: A message whose columns, types and shapes all rows have.
        folder: Where files are made; None for memory.
    """

    def __init__(self, like: Message, folder: Path | None = None) -> None:
        self.names = list(like._columns)
        self._fields = {name: _type_of(name, column) for name, column in like._columns.items()}
        self._folder = folder
        self._arenas: dict[str, _Arena] = {}
        for number, (name, column) in enumerate(like._columns.items()):
            if (values := as_array(column)) is not None:
                kind = column.dtype if isinstance(column, torch.Tensor) else None
                path = None if folder is None else folder / f"column-{number}"
                empty = np.empty((0, *values.shape[1:]), dtype=values.dtype)
                self._arenas[name] = _Arena(empty, kind, path)
        self._loose = [name for name in self.names if name not in self._arenas]
        self._no_rows = Message._of({name: like._columns[name][:0] for name in self._loose}, 0)
        self._pieces: dict[int, _Piece] = {}
        self._made = 0  # pieces that were ever made
        self._piece_of = np.empty(0, dtype=np.int32)
        self._place_of = np.empty(0, dtype=np.int32)
        self._views: dict[str, Column] = {}
        self.capacity = 0
        self.piece_bytes = 0
        """Bytes of the columns whose width varies, those of rows that are gone included."""
        self.row_bytes = sum(arena.row_bytes for arena in self._arenas.values()) + (8 if self._loose else 0)
        """Bytes of one slot."""
        self.grow(0)

    @property
    def varies(self) -> bool:
        """Whether the width of rows varies."""
        return bool(self._loose)

    def require_same(self, message: Message) -> None:
        """Raise `SchemaMismatchError` for rows whose columns differ from those that are here."""
        columns = message._columns
        if list(columns) != self.names:
            raise SchemaMismatchError(
                f"MessageCache: the rows have columns {list(columns)}; the cache holds rows of columns {self.names}."
            )
        for name, column in columns.items():
            if (kind := _type_of(name, column)) != self._fields[name]:
                raise SchemaMismatchError(
                    f"MessageCache: column {name!r} is {kind[0]}; the rows that are held have {self._fields[name][0]}. "
                    "Convert it first, or call clear()."
                )

    def grow(self, capacity: int) -> None:
        """Make room for so many rows; slots keep what they hold."""
        self._views = {}
        for arena in self._arenas.values():
            arena.grow(capacity)
        if self._loose:
            self._piece_of.resize(capacity, refcheck=False)
            self._place_of.resize(capacity, refcheck=False)
        self._views = {name: arena.view() for name, arena in self._arenas.items()}
        self.capacity = capacity

    def loose_bytes(self, message: Message) -> int:
        """Return the bytes that the columns whose width varies take of a message."""
        return _bytes_of([message._columns[name] for name in self._loose])

    def file_bytes(self, num_rows: int) -> int:
        """Return how many bytes a file of so many rows has at most besides what they take in memory."""
        return 1024 + len(self._loose) * (1024 + 16 * num_rows)

    def write(self, slots: Positions, message: Message) -> None:
        """Write rows to slots that are free."""
        for name, arena in self._arenas.items():
            values = as_array(message._columns[name])
            assert values is not None  # noqa: S101 (its type is that of the arena)
            arena.array[slots] = values
        if self._loose and len(slots):
            rows = Message._of({name: message._columns[name] for name in self._loose}, len(slots))
            self._add_piece(rows, slots.astype(np.int64))

    def take(self, slots: Positions) -> Message:
        """Return the rows of slots, in that order, as a copy."""
        taken = take_columns(self._views, slots)
        if self._loose:
            taken |= self._take_loose(slots)._columns
            taken = {name: taken[name] for name in self.names}
        return Message._of(taken, len(slots))

    def forget(self, slots: Positions) -> None:
        """Let the rows of slots go."""
        if not self._loose:
            return
        touched = self._piece_of[slots]
        for number in np.unique(touched).tolist():
            piece = self._pieces[number]
            places = self._place_of[slots[touched == number]]
            piece.slots[places] = -1
            piece.live -= len(places)
            if piece.live * 2 < len(piece.slots):
                self._rewrite(number)

    def close(self) -> None:
        """Give everything back, files too; nothing can be written or taken from now on."""
        self._views = {}
        for number in list(self._pieces):
            self._drop(number)
        for arena in self._arenas.values():
            arena.array = np.empty((0, *arena.array.shape[1:]), dtype=arena.array.dtype)
            if arena.path is not None:
                arena.path.unlink(missing_ok=True)

    def compact(self) -> None:
        """Give back what rows take that are gone."""
        for number, piece in list(self._pieces.items()):
            if piece.live < len(piece.slots):
                self._rewrite(number)

    # --- columns whose width varies -------------------------------------------------------------------------------

    def _take_loose(self, slots: Positions) -> Message:
        if not len(slots):
            return self._no_rows
        numbers, places = self._piece_of[slots], self._place_of[slots].astype(np.int64)
        first = int(numbers[0])
        if (numbers == first).all():
            return self._pieces[first].message.take(places)
        order = np.argsort(numbers, kind="stable")
        ends = np.flatnonzero(np.diff(numbers[order])) + 1
        parts = [self._pieces[int(numbers[group[0]])].message.take(places[group]) for group in np.split(order, ends)]
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return concat(parts).take(back)

    def _add_piece(self, rows: Message, slots: Positions) -> None:
        """Add a piece, joined with the small ones before it so that sizes fall from one to the next."""
        live = sum(piece.live for piece in self._pieces.values())
        large = max(_FEW_ROWS, live // _PIECES)
        parts, all_slots = [rows], [slots]
        for number in reversed(list(self._pieces)):
            piece = self._pieces[number]
            if len(piece.slots) > 2 * sum(map(len, all_slots)) or len(piece.slots) >= large:
                break
            alive = np.flatnonzero(piece.slots >= 0)
            parts.insert(0, piece.message.take(alive))
            all_slots.insert(0, piece.slots[alive])
            self._drop(number)
        self._keep(concat(parts) if len(parts) > 1 else rows.take(np.arange(len(rows))), np.concatenate(all_slots))

    def _rewrite(self, number: int) -> None:
        piece = self._pieces[number]
        alive = np.flatnonzero(piece.slots >= 0)
        rows, slots = piece.message.take(alive), piece.slots[alive]
        del piece
        self._drop(number)
        if len(slots):
            self._keep(rows, slots)

    def _keep(self, rows: Message, slots: Positions) -> None:
        number, path = self._made, None
        self._made += 1
        if self._folder is not None:
            path = self._folder / f"piece-{number}"
            rows = _on_disk(rows, path)
        num_bytes = _bytes_of(list(rows._columns.values())) if path is None else path.stat().st_size
        self._pieces[number] = _Piece(rows, slots, len(slots), num_bytes, path)
        self._piece_of[slots] = number
        self._place_of[slots] = np.arange(len(slots), dtype=np.int32)
        self.piece_bytes += num_bytes

    def _drop(self, number: int) -> None:
        piece = self._pieces.pop(number)
        self.piece_bytes -= piece.num_bytes
        if piece.path is not None:
            piece.path.unlink(missing_ok=True)


def as_array(column: Column) -> Array | None:
    """Return a column as an array whose rows have one width, or None where it is of another kind."""
    if isinstance(column, np.ndarray):
        return None if column.dtype.hasobject else column
    if (
        not isinstance(column, torch.Tensor)
        or type(column) is not torch.Tensor
        or not column.is_cpu
        or column.requires_grad
        or column.layout is not torch.strided
    ):
        return None
    if column.dtype in _CARRIED:
        return column.contiguous().view(_CARRIED[column.dtype]).numpy()
    try:
        return column.numpy()
    except (TypeError, RuntimeError):
        return None  # a type that NumPy lacks, or one of its own kind


def _as_column(array: Array, kind: torch.dtype | None) -> Column:
    if kind is None:
        return array
    tensor = torch.from_numpy(array)
    return tensor.view(kind) if kind in _CARRIED else tensor


def interleaved(is_first: np.ndarray[Any, np.dtype[np.bool_]], first: Message, second: Message) -> Message:
    """Return the rows of two messages in one: those of the first where a mask is true, of the second where it is not.

    Numbers are copied once, by NumPy: torch would join them with all of its threads, which wait for each other.
    """
    loose = [name for name, column in first._columns.items() if as_array(column) is None]
    stored: dict[str, Any] = {}
    if loose:
        order = np.empty(len(is_first), dtype=np.int64)
        order[is_first] = np.arange(len(first))
        order[~is_first] = np.arange(len(first), len(is_first))
        stored |= concat([first.select(*loose), second.select(*loose)]).take(order)._columns
    for name, column in first._columns.items():
        one, other = as_array(column), as_array(second._columns[name])
        if one is not None:
            if other is None or other.dtype != one.dtype:
                stored |= concat([first.select(name), second.select(name)])._columns  # which says what differs
                continue
            out = np.empty((len(is_first), *one.shape[1:]), dtype=one.dtype)
            out[is_first], out[~is_first] = one, other
            stored[name] = _as_column(out, column.dtype if isinstance(column, torch.Tensor) else None)
    return Message._of({name: stored[name] for name in first._columns}, len(is_first))


def _type_of(name: str, column: Column) -> tuple[str, Any, Any]:
    """Return the type of a column as text and as what is compared."""
    field = field_of(name, column)
    place = column.device if isinstance(column, torch.Tensor) else None
    text = field.type_text + (f" on {place}" if place is not None and place.type != "cpu" else "")
    return text, (field.dtype, field.shape, place), as_array(column) is None


def _bytes_of(columns: list[Column]) -> int:
    """Return the bytes of columns, objects included."""
    return sum(
        int(column.nbytes) if isinstance(column, (torch.Tensor, np.ndarray)) else _deep_bytes(column)
        for column in columns
    )


def _deep_bytes(column: Any) -> int:
    return int(pd.Series(column, copy=False).memory_usage(index=False, deep=True))


def _on_disk(rows: Message, path: Path) -> Message:
    """Write rows to a file and return them as they lie there, with the types that they have here."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file:
        table = rows.to_arrow()
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    with pa.memory_map(str(path)) as mapped:
        found = Message(pa.ipc.open_file(mapped).read_all())
    for name, column in rows._columns.items():
        if _type_of(name, found._columns[name])[:2] != _type_of(name, column)[:2]:
            raise TypeError(
                f"MessageCache: column {name!r}, {_type_of(name, column)[0]}, can't be kept on disk, where it would become "
                f"{_type_of(name, found._columns[name])[0]}. Convert it first, or leave disk_bytes out."
            )
    return found
