"""Rows by their numbers: a bounded part of a dataset of any size, looked up many at a time."""

from __future__ import annotations

import operator
import threading
import warnings
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import torch

from fireworks._internal.checks import check_count
from fireworks.cache.columns import interleaved
from fireworks.cache.future import Future, Futures
from fireworks.cache.level import TABLE_BYTES, Level
from fireworks.cache.policy import POLICIES
from fireworks.core.budget import check_bytes
from fireworks.core.chunk import Span
from fireworks.errors import ColumnLengthError, RowNotCachedError, did_you_mean
from fireworks.message import Message
from fireworks.message.columns import Positions
from fireworks.spill.scratch import Scratch


@dataclass(frozen=True)
class CacheStats:
    """What a cache has done since it was made, in rows.

    Example:
        >>> CacheStats(hits=3, misses=1, evictions=0, num_rows=1, num_bytes=88).rate
        0.75
    """

    hits: int
    """Rows that were asked for and found."""
    misses: int
    """Rows that were asked for and not found."""
    evictions: int
    """Rows that left the memory to make room for others."""
    num_rows: int
    """Rows that are held."""
    num_bytes: int
    """Bytes of memory that they take, with the tables."""
    rows_on_disk: int = 0
    """How many of them lie on disk."""
    disk_bytes: int = 0
    """Bytes that these take there."""
    rows_read: int = 0
    """Of a cache in a pipeline: rows that its input has made for it, asked for or of the same block."""

    @property
    def rate(self) -> float:
        """Hits among all rows that were asked for; 0.0 before any was."""
        return self.hits / max(1, self.hits + self.misses)

    def __str__(self) -> str:
        disk = f", {self.rows_on_disk:,} of them on disk" if self.rows_on_disk else ""
        return (
            f"{self.rate:.1%} of {self.hits + self.misses:,} rows found; {self.num_rows:,} rows held{disk}, "
            f"{self.num_bytes:,} bytes of memory, {self.evictions:,} evicted"
        )


@final
class MessageCache:
    """A bounded cache from row numbers to rows, that stands for a dataset of any size.

    Row numbers are any ints from 0. Rows lie in arrays, one per column; everything works on many rows at once, and may be
    used by several threads. What is taken is a copy. The bounds are strict: the rows, and the tables that find them, never
    take more. Rows that do not fit are not kept, and that is no error.

    Args:
        max_rows: At most so many rows in memory; None for no limit.
        max_bytes: At most so many bytes of memory, or a text: ``"1GB"``; None for no limit.
        policy: What a full cache keeps. ``"pin"``: what came first, for ever. ``"lru"``: what was used last. ``"lfu"``: what
            was used in the most calls, of equals what was used last. ``"belady"``: what will be used soonest; tell it by
            `expect`.
        disk_bytes: Rows that leave the memory, or do not get into it, are kept in files up to so many bytes; None for none.
            Finding them takes up to 68 bytes of memory a row; that counts, and takes at most a quarter of ``max_bytes``.

    Raises:
        ValueError: a bound is below 1, or the policy is none of the four.

    Example:
        >>> cache = fw.MessageCache(max_rows=1000)
        >>> cache[[7, 2**40]] = fw.Message({"x": torch.tensor([0.5, 1.5])})
        >>> cache[[2**40, 7, 7]]["x"].tolist(), 7 in cache, len(cache)
        ([1.5, 0.5, 0.5], True, 2)
    """

    def __init__(
        self,
        max_rows: int | None = None,
        max_bytes: int | str | None = None,
        policy: str = "pin",
        *,
        disk_bytes: int | str | None = None,
    ) -> None:
        self.max_rows = None if max_rows is None else check_count(max_rows, at_least=1, where="MessageCache: max_rows")
        self.max_bytes = None if max_bytes is None else check_bytes(max_bytes, where="MessageCache: max_bytes")
        self.policy = check_policy(policy, who="MessageCache")
        self.disk_bytes = None if disk_bytes is None else check_bytes(disk_bytes, where="MessageCache: disk_bytes")
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._futures = Futures()
        self._memory = Level(self.policy, self._futures, self.max_rows, self.max_bytes)
        self._disk: Level | None = None
        self._scratch: Scratch | None = None
        self._is_disk_full = False
        self._hits = self._misses = 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in ("max_rows", "max_bytes", "policy", "disk_bytes")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()  # rows stay where they are: a copy begins empty

    # --- looking rows up ------------------------------------------------------------------------------------------

    def __getitem__(self, rows: Any) -> Message:
        """Return the rows with the given numbers, in that order; repeats are allowed.

        Raises:
            RowNotCachedError: some are not held.
            TypeError: they are no row numbers.
            ValueError: one is below 0, or a slice has no end.
        """
        wanted = as_row_numbers(rows)
        with self._lock:
            self.pass_by(wanted)
            slots = self._memory.slots.find(wanted)
            if len(slots) and slots.min() >= 0:
                self._hits += len(wanted)
                self._memory.policy.used(slots, wanted)
                return self._memory.take(slots)
            held, message = self._look_up(wanted, slots)
            if not held.all():
                raise RowNotCachedError(np.unique(wanted[~held]).tolist())
            return message

    def look_up(self, rows: Any) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], Message]:
        """Return which of the rows are held, as a mask, and those that are.

        Example:
            >>> cache = fw.MessageCache(max_rows=2)
            >>> cache[0:3] = fw.Message({"x": torch.arange(3)})
            >>> held, found = cache.look_up([2, 1])
            >>> held.tolist(), found["x"].tolist()
            ([False, True], [1])
        """
        wanted = as_row_numbers(rows)
        with self._lock:
            self.pass_by(wanted)
            return self._look_up(wanted, self._memory.slots.find(wanted))

    def pass_by(self, rows: Positions) -> None:
        """Take note that a consumer has got rows, from here or elsewhere, for what it was expected to ask for."""
        with self._lock:
            self._futures.asked(rows)

    def holds(self, num_rows: int, row_bytes: int) -> bool:
        """Return whether so many rows fit in all, by those that are held, or if there are none by the bytes of one."""
        if self.max_bytes is None and self.max_rows is None:
            return True
        with self._lock:
            columns = self._memory.columns
            if columns is not None and len(self._memory):
                row_bytes = columns.row_bytes + int(columns.piece_bytes / len(self._memory))
            fit = self._memory.room_for(row_bytes)
            if self.disk_bytes is not None and not self._is_disk_full:
                fit += self.disk_bytes // max(1, row_bytes) if self._disk is None else self._disk.room_for(row_bytes)
            return num_rows <= fit

    def _look_up(self, wanted: Positions, slots: Positions) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], Message]:
        held = slots >= 0
        found = self._taken(self._memory, wanted[held], slots[held])
        if self._disk is not None and not held.all():
            found = self._also_from_disk(wanted, held, found)
        self._hits += (hits := int(held.sum()))
        self._misses += len(wanted) - hits
        return held, found

    def _taken(self, level: Level, rows: Positions, slots: Positions) -> Message:
        if level.columns is None:
            return Message()
        level.policy.used(slots, rows)
        return level.take(slots)

    def _also_from_disk(self, wanted: Positions, held: np.ndarray[Any, Any], found: Message) -> Message:
        """Add the rows that lie on disk to those found in memory, and mark them as held."""
        assert self._disk is not None  # noqa: S101
        missing = np.flatnonzero(~held)
        slots = self._disk.slots.find(wanted[missing])
        places, slots = missing[slots >= 0], slots[slots >= 0]
        if not len(places):
            return found
        rows = wanted[places]
        message = self._taken(self._disk, rows, slots)
        if self.policy in {"lru", "lfu"}:  # what is used comes back into the memory
            once, first = np.unique(rows, return_index=True)
            self._disk.drop(once, slots[first].astype(np.int64))
            self._put(once, message.take(first))
        in_memory = held.copy()
        held[places] = True
        return interleaved(in_memory[held], found, message) if in_memory.any() else message

    def contains(self, rows: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return for each row number whether the row is held; does not count as use.

        Example:
            >>> cache = fw.MessageCache()
            >>> cache[4] = fw.Message({"x": [1.5]})
            >>> cache.contains([3, 4]).tolist()
            [False, True]
        """
        wanted = as_row_numbers(rows)
        with self._lock:
            held: np.ndarray[Any, Any] = self._memory.slots.find(wanted) >= 0
            if self._disk is not None:
                held |= self._disk.slots.find(wanted) >= 0
            return held

    def __contains__(self, row: object) -> bool:
        try:
            number = operator.index(row)  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(
                f"MessageCache: `in` asks for one row number; got {type(row).__name__}. For many, use contains(rows)."
            ) from None
        return 0 <= number < 2**63 and bool(self.contains(number)[0])

    def __len__(self) -> int:
        return len(self._memory) + (0 if self._disk is None else len(self._disk))

    @property
    def rows(self) -> Positions:
        """The numbers of the rows that are held, increasing."""
        with self._lock:
            rows = self._memory.rows
            return rows if self._disk is None else np.sort(np.concatenate([rows, self._disk.rows]))

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows.tolist())

    # --- putting rows in and letting them go ----------------------------------------------------------------------

    def __setitem__(self, rows: Any, message: Message) -> None:
        """Put rows in, or others in their place; of a row number that comes twice, the last.

        Raises:
            ColumnLengthError: there are not as many rows as numbers.
            SchemaMismatchError: the columns are not those of the rows that are held.
            TypeError: what is put in is no message, or a column can't be kept on disk.
        """
        numbers = as_row_numbers(rows)
        if not isinstance(message, Message):
            raise TypeError(f"MessageCache: rows are put in as a message; got {type(message).__name__}.")
        if len(message) != len(numbers):
            raise ColumnLengthError(
                f"MessageCache: {len(numbers)} row numbers for {len(message)} rows; there must be as many."
            )
        if not len(numbers):
            return
        with self._lock:
            self._require_same(message)
            once, last = np.unique(numbers[::-1], return_index=True)
            if len(once) < len(numbers):
                keep = np.sort(len(numbers) - 1 - last)
                numbers, message = numbers[keep], message.take(keep)
            for level in self._levels():
                slots = level.slots.find(numbers)
                there = slots >= 0
                level.drop(numbers[there], slots[there].astype(np.int64))
            self._put(numbers, message)

    def add(self, rows: Positions, message: Message, *, evict: bool = True) -> None:
        """Put in those of the rows that are not held yet.

        Args:
            rows: Row numbers, each once.
            message: Their rows.
            evict: Whether others may have to leave for them; if not, what finds no room is not kept.

        Raises:
            SchemaMismatchError: the columns are not those of the rows that are held.
        """
        with self._lock:
            if all(level.is_closed for level in self._levels()):
                return
            self._require_same(message)
            new = np.flatnonzero(~self.contains(rows))
            if len(new) < len(rows):
                rows, message = rows[new], message.take(new)
            if not evict:
                self._memory.prepare(message)
                room = self._memory.free_rows(len(rows), message)
                rows, message = rows[:room], message[:room]
            self._put(rows, message)

    def use_policy(self, policy: str) -> None:
        """Decide by another policy from now on; the rows stay.

        Raises:
            ValueError: it is none of the four.
        """
        self.policy = check_policy(policy, who="MessageCache")
        with self._lock:
            for level in self._levels():
                level.use_policy(self.policy)

    def _require_same(self, message: Message) -> None:
        if not len(self):
            for level in self._levels():
                level.clear()
        if self._memory.columns is not None:
            self._memory.columns.require_same(message)

    def _levels(self) -> list[Level]:
        return [self._memory] if self._disk is None else [self._memory, self._disk]

    def _put(self, rows: Positions, message: Message) -> None:
        """Put in rows that are nowhere here, each once."""
        if not len(rows):
            return
        self._memory.prepare(message)
        if self.disk_bytes is not None and self._disk is None and not self._is_disk_full:
            self._open_disk(message)
        left = self._memory.put(rows, message, keep_left=self._disk is not None)
        if self._disk is not None:
            for numbers, some in left:
                self._spill(numbers, some)

    def _open_disk(self, like: Message) -> None:
        """Begin the level on disk, with as much memory set apart as its tables may need."""
        assert self.disk_bytes is not None  # noqa: S101
        try:
            self._scratch = Scratch("MessageCache")
            disk = Level(self.policy, self._futures, None, self.disk_bytes, self._scratch.path)
        except OSError as error:
            self._without_disk(error)
            return
        disk.prepare(like)
        if self.max_bytes is not None:
            disk.max_rows = min(disk.most_rows(), self.max_bytes // 4 // TABLE_BYTES)
            self._memory.max_bytes = self.max_bytes - disk.max_rows * TABLE_BYTES
        self._disk = disk

    def _spill(self, rows: Positions, message: Message) -> None:
        if self._disk is None:
            return
        try:
            self._disk.prepare(message)
            self._disk.put(rows, message, keep_left=False)
        except OSError as error:
            self._without_disk(error)
        except TypeError:
            self._without_disk(None)
            raise

    def _without_disk(self, error: OSError | None) -> None:
        """Go on in memory alone, because the disk is full or broken."""
        where = "the folder for scratch files" if self._scratch is None else str(self._scratch.path)
        self._is_disk_full = True
        if self._disk is not None:
            self._disk.clear()
            self._disk = None
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None
        self._memory.max_bytes = self.max_bytes
        if error is not None:
            warnings.warn(
                f"MessageCache: rows can't be kept on disk ({error}); it goes on in memory alone. Free some room in {where}, "
                "or pass a smaller disk_bytes.",
                RuntimeWarning,
                stacklevel=4,
            )

    def __delitem__(self, rows: Any) -> None:
        """Let rows go; those that are not held are passed over, unless none of them is.

        Raises:
            RowNotCachedError: none is held.
        """
        numbers = np.unique(as_row_numbers(rows))
        with self._lock:
            gone = 0
            for level in self._levels():
                slots = level.slots.find(numbers)
                there = slots >= 0
                level.drop(numbers[there], slots[there].astype(np.int64))
                gone += int(there.sum())
        if len(numbers) and not gone:
            raise RowNotCachedError(numbers.tolist())

    def clear(self) -> None:
        """Let all rows go, with their memory; what was counted stays."""
        with self._lock:
            for level in self._levels():
                level.clear()

    # --- the known future -----------------------------------------------------------------------------------------

    def expect(self, rows: Span, then: Span | None = None, *, consumer: Hashable = None) -> None:
        """Tell which rows will be asked for, for the policy ``"belady"``; any other takes no notice.

        Look-ups are then compared with it: which of them it was, and how far the consumer has come. Several consumers that
        go at the same pace may share the cache; each tells its own.

        Args:
            rows: Row numbers in the order in which they will be asked for.
            then: Those of the pass after it, where they are known.
            consumer: Who asks; what it was expected to ask for before, and has asked for, is forgotten.

        Example:
            >>> cache = fw.MessageCache(max_rows=1, policy="belady")
            >>> cache.expect(np.array([0, 1, 2, 1, 0]))
            >>> for row in [0, 1, 2]:
            ...     held, found = cache.look_up(row)
            ...     if not held[0]: cache[row] = fw.Message({"x": [row]})
            >>> list(cache)
            [1]
        """
        if self.policy != "belady":
            return
        with self._lock:
            self._futures.expect(Future(rows, then), consumer)
            for level in self._levels():
                level.rescore()

    # --- what it has done -----------------------------------------------------------------------------------------

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the rows take, with the tables that find them; at most ``max_bytes``."""
        on_disk = 0 if self._disk is None else self._disk.table_bytes
        return self._memory.column_bytes + self._memory.table_bytes + on_disk

    @property
    def stats(self) -> CacheStats:
        """What the cache has done since it was made."""
        with self._lock:
            disk = self._disk
            return CacheStats(
                hits=self._hits,
                misses=self._misses,
                evictions=self._memory.evictions,
                num_rows=len(self),
                num_bytes=self.num_bytes,
                rows_on_disk=0 if disk is None else len(disk),
                disk_bytes=0 if disk is None else disk.column_bytes,
            )

    def __repr__(self) -> str:
        return f"MessageCache({self.policy}: {self.stats})"

    def __copy__(self) -> Self:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new = type(self).__new__(type(self))
        new.__setstate__(self.__getstate__())
        return new


def check_policy(policy: object, *, who: str) -> str:
    """Return the name of a policy, checked.

    Raises:
        ValueError: it is none of the four.
    """
    if policy not in POLICIES:
        hint = did_you_mean(str(policy), POLICIES)
        raise ValueError(f"{who}: policy is one of {', '.join(map(repr, POLICIES))}; got {policy!r}.{hint}")
    return str(policy)


def as_row_numbers(key: Any) -> Positions:
    """Turn what stands between the brackets into row numbers.

    Raises:
        TypeError: these are no ints.
        ValueError: one is below 0, or a slice has no end.
    """
    if isinstance(key, np.ndarray) and key.dtype == np.int64 and key.ndim == 1:
        numbers = key
    elif isinstance(key, slice):
        if key.stop is None or (key.step is not None and key.step < 1):
            raise ValueError(f"MessageCache: a slice needs an end, and a step of at least 1; got {key}.")
        numbers = np.arange(key.start or 0, key.stop, key.step or 1, dtype=np.int64)
    else:
        array = key.numpy(force=True) if isinstance(key, torch.Tensor) else np.asarray(key)
        if not array.size and array.ndim == 1:
            array = array.astype(np.int64)
        if array.dtype.kind not in "iu" or array.ndim > 1:
            raise TypeError(
                f"MessageCache: rows are named by an int, a slice or a list of ints; got {key!r:.60} of type "
                f"{type(key).__name__}."
            )
        if array.dtype == np.uint64 and array.size and array.max() >= 2**63:
            raise ValueError(f"MessageCache: row numbers are below 2**63; got {array.max()}.")
        numbers = array.reshape(-1).astype(np.int64)
    if len(numbers) and numbers.min() < 0:
        raise ValueError(f"MessageCache: row numbers are at least 0; got {numbers.min()}.")
    return numbers
