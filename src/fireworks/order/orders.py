"""The orders of some epochs, kept; that of the next epoch is worked out while this one runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fireworks.message.columns import Positions

# Two epochs in hand at once are common (the next one begins while this one ends); a permutation is 8 bytes a row.
_EPOCHS_KEPT = 2
# Below, an order takes less time than it takes to start a thread and be interrupted by it.
_AHEAD_FROM_ITEMS = 100_000


class Orders:
    """Orders by epoch and number of items, worked out when first needed or one epoch ahead.

    Args:
        compute: From the epoch and the number of items to the order; the same each time. May run in another thread.

    Example:
        >>> orders = Orders(lambda epoch, count: np.roll(np.arange(count), epoch))
        >>> orders.of(1, 4).tolist()
        [3, 0, 1, 2]
    """

    def __init__(self, compute: Callable[[int, int], Positions]) -> None:
        self._compute = compute
        self._known: dict[tuple[int, int], Positions] = {}
        self._ahead: tuple[tuple[int, int], threading.Thread] | None = None
        self._lock = threading.Lock()

    def of(self, epoch: int, count: int) -> Positions:
        """Return the order of one epoch."""
        key = (epoch, count)
        found = self._known.get(key)
        if found is None and self._ahead is not None and self._ahead[0] == key:
            self._ahead[1].join()  # after a fork the thread is gone, and what it did too
            found = self._known.get(key)
        if found is None:
            found = self._compute(epoch, count)
            self._keep(key, found)
        return found

    def expect(self, epoch: int, count: int) -> None:
        """Begin to work out the order of one epoch in another thread, where it is worth it."""
        key = (epoch, count)
        if count < _AHEAD_FROM_ITEMS or key in self._known or (self._ahead is not None and self._ahead[0] == key):
            return
        thread = threading.Thread(target=self._work_out, args=key, name="fireworks order", daemon=True)
        self._ahead = key, thread
        thread.start()

    def _work_out(self, epoch: int, count: int) -> None:
        self._keep((epoch, count), self._compute(epoch, count))

    def _keep(self, key: tuple[int, int], order: Positions) -> None:
        with self._lock:
            self._known[key] = order
            while len(self._known) > _EPOCHS_KEPT:
                del self._known[next(iter(self._known))]
