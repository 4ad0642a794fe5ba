"""Work that is done ahead of its consumer in a few threads, handed on in order, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from fireworks.core.budget import Budget

Unit = TypeVar("Unit")
Item = TypeVar("Item")


class ReadAhead(Generic[Unit, Item]):
    """An iterator over what is made of some units of work, in the order of the units.

    A thread begins a unit when what it will take fits beside what is under way and ready; the unit that the consumer waits
    for always begins. The threads end with the iterator, or with `close`.

    Args:
        units: What is to be done; each unit gives any number of items.
        make: Gives the items of a unit. Called in a thread.
        expected_bytes: How much memory a unit takes at once, at most.
        bytes_of: How much memory an item takes.
        max_bytes: How much may be under way and ready.
        budget: Where the same is counted; no unit but the one that is waited for begins when it is used up.
        num_threads: At most.

    Example:
        >>> from fireworks.core.budget import Budget
        >>> squares = lambda n: iter([n * n])
        >>> list(ReadAhead(range(4), squares, lambda n: 8, lambda n: 8, max_bytes=16, budget=Budget(None), num_threads=2))
        [0, 1, 4, 9]
    """

    def __init__(
        self,
        units: Sequence[Unit],
        make: Callable[[Unit], Iterator[Item]],
        expected_bytes: Callable[[Unit], int],
        bytes_of: Callable[[Item], int],
        *,
        max_bytes: int,
        budget: Budget,
        num_threads: int,
    ) -> None:
        self._work = _Work(units, make, expected_bytes, bytes_of, max_bytes, budget)
        self._items = self._work.items()
        # The threads know of the work, not of this: so it ends when the consumer lets go of it.
        self._threads = [
            threading.Thread(target=self._work.run, name="fireworks-read-ahead", daemon=True)
            for _ in range(min(num_threads, len(units)))
        ]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        try:
            return next(self._items)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the threads; what they have in hand is finished first, and lost."""
        self._work.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._work.give_back()

    def __del__(self) -> None:
        if "_threads" in self.__dict__:
            self._work.stop()  # without waiting: whoever collects garbage may hold any lock
            self._work.give_back()


class _Slot(Generic[Item]):
    """One unit: what is ready of it, and how it ended."""

    __slots__ = ("error", "is_done", "ready", "reserved")

    def __init__(self) -> None:
        self.ready: deque[tuple[Item, int]] = deque()
        self.reserved = 0
        self.is_done = False
        self.error: BaseException | None = None


class _Work(Generic[Unit, Item]):
    """What the threads and the consumer share."""

    def __init__(
        self,
        units: Sequence[Unit],
        make: Callable[[Unit], Iterator[Item]],
        expected_bytes: Callable[[Unit], int],
        bytes_of: Callable[[Item], int],
        max_bytes: int,
        budget: Budget,
    ) -> None:
        self.units, self.make, self.bytes_of = units, make, bytes_of
        self.expected = [min(expected_bytes(unit), max_bytes) for unit in units]  # here, where an error is seen
        self.max_bytes, self.budget = max_bytes, budget
        self.slots: dict[int, _Slot[Item]] = {}
        self.begun = 0
        self.front = 0
        self.held = 0
        self.is_stopped = False
        self.changed = threading.Condition()

    # --- in the threads -------------------------------------------------------------------------------------------

    def run(self) -> None:
        while (number := self._begin()) is not None:
            slot = self.slots[number]
            try:
                for item in self.make(self.units[number]):
                    if not self._put(slot, item):
                        return
            except BaseException as error:  # noqa: BLE001 (it is raised where the unit would have come)
                slot.error = error
            with self.changed:
                self._hold(-slot.reserved)
                slot.reserved = 0
                slot.is_done = True
                self.changed.notify_all()

    def _begin(self) -> int | None:
        """Wait for room, and return the unit to do next; None where there is none."""
        with self.changed:
            while not self.is_stopped and self.begun < len(self.units):
                expected = self.expected[self.begun]
                fits = self.held + expected <= self.max_bytes and self.budget.has_room(expected)
                if fits or self.begun == self.front:
                    slot = self.slots[self.begun] = _Slot()
                    slot.reserved = expected
                    self._hold(expected)
                    self.begun += 1
                    return self.begun - 1
                self.changed.wait()
            return None

    def _put(self, slot: _Slot[Item], item: Item) -> bool:
        """Lay an item ready; wait while enough of its unit is. Return whether to go on."""
        size = self.bytes_of(item)
        with self.changed:
            slot.ready.append((item, size))
            self._hold(size)  # beside what it takes to make the rest of its unit
            self.changed.notify_all()
            del item
            while not self.is_stopped and slot.ready and self.held + size > self.max_bytes:
                self.changed.wait()
            return not self.is_stopped

    def _hold(self, num_bytes: int) -> None:
        if not self.is_stopped:
            self.held += num_bytes
            self.budget.take(num_bytes)

    # --- in the consumer ------------------------------------------------------------------------------------------

    def items(self) -> Iterator[Item]:
        for number in range(len(self.units)):
            with self.changed:
                self.front = number
                self.changed.notify_all()
            while (taken := self._take(number)) is not None:
                item, size = taken
                del taken
                yield item
                del item
                with self.changed:
                    self._hold(-size)
                    self.changed.notify_all()
            with self.changed:
                error = self.slots.pop(number).error
            if error is not None:
                raise error

    def _take(self, number: int) -> tuple[Item, int] | None:
        with self.changed:
            while True:
                slot = self.slots.get(number)
                if slot is not None and slot.ready:
                    item, size = slot.ready.popleft()
                    self.changed.notify_all()
                    return item, size
                if slot is not None and slot.is_done:
                    return None
                self.changed.wait()

    def stop(self) -> None:
        with self.changed:
            self.is_stopped = True
            self.changed.notify_all()

    def give_back(self) -> None:
        """Count nothing as under way any longer."""
        with self.changed:
            self.budget.give(self.held)
            self.held = 0
            self.slots.clear()
