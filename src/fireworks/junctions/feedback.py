"""Rows drawn by weights that something downstream sends back."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, cast, final

import numpy as np
import torch

from fireworks._internal.checks import check_count
from fireworks._internal.lazy import load
from fireworks._internal.seeds import check_seed
from fireworks.core.chunk import Span, as_positions
from fireworks.core.flow import Flow, Order
from fireworks.core.outputs import forget_output
from fireworks.core.pipe import Pipe
from fireworks.core.source import Source
from fireworks.core.stages import stage_name
from fireworks.errors import ColumnValueError, NoRandomAccessError, StateError
from fireworks.junctions.key_index import KeyIndex
from fireworks.junctions.zip import Zip
from fireworks.message import Message, Schema
from fireworks.message.columns import Positions

_VERSION = 1
_EPOCHS_KEPT = 2
_FRACTION = 2.0**-53


@final
class Feedback(Pipe):
    """Hand out rows by weights, which something downstream sends back: hard examples more often, known ones less.

    All weights are 1 at first, and then an epoch is all rows once, in random order. What is sent in an epoch counts from
    the next one on, so an epoch is the same however often it is read: of ``num_rows`` rows, each comes in proportion to
    its weight, up to rounding to a whole number. A row whose weight was never sent keeps the one that it has.

    Rows are told apart by a key: a column of your own, or column ``row``, which is added and counts the rows of the input.

    A scaffold saves the weights: they are this pipe's state. Which epoch it is, is known from reading: the latest that
    was asked for. Weights of epochs before the last but one are let go, but for epoch 0, where all are equal.

    Args:
        input: Rows with random access, in an order that does not change by epoch.
        seed: From 0 to 2**64 - 1.
        key: A column whose values are all different; None adds a column ``row``.
        num_rows: Rows of one epoch; as many as the input has if not given.
        name: A name for the stage, in place of ``feedback:0``, that keys its draws.

    Raises:
        ValueError: there is no seed, ``num_rows`` is below 1, keys repeat, or the input's order changes by epoch.
        TypeError: the input is batched.
        NoRandomAccessError: the input is a stream.

    Source:
        Systematic sampling: W. G. Madow and L. H. Madow, "On the theory of systematic sampling, I", 1944: one random
        start, then equal steps along the summed weights. The rows found are then put in a random order.

    Example:
        >>> feedback = Feedback(fw.source({"x": torch.arange(4)}), seed=0)
        >>> sorted(feedback.at_epoch(0).to_message()["x"].tolist())
        [0, 1, 2, 3]
        >>> feedback.send([0, 1, 2, 3], [3.0, 1.0, 0.0, 0.0])
        >>> sorted(feedback.at_epoch(1).to_message()["x"].tolist())
        [0, 0, 0, 1]
    """

    random_kind: ClassVar[str | None] = "feedback"
    guarantee: str | None = (
        "each row comes as often as its share of the weights says, rounded up or down by chance, in an exactly uniform order"
    )

    def __init__(
        self,
        input: Pipe,
        seed: int | None = None,
        *,
        key: str | None = None,
        num_rows: int | None = None,
        name: str | None = None,
    ) -> None:
        self.seed = check_seed(seed, where="feedback")
        super().__init__(input)
        self.rows_per_epoch = (
            None if num_rows is None else check_count(num_rows, at_least=1, where="feedback: num_rows")
        )
        if input.is_batched:
            raise TypeError(f"feedback: the input is batched ({input!r}); weights are of rows, so batch behind it.")
        input.flow.require_random_access("feedback", input)
        if input.order_varies:
            raise ValueError(
                f"feedback: the order of its input changes with every epoch ({input!r}), so rows could not be told "
                "apart by their place; feedback draws rows in a random order itself, so leave the shuffle out."
            )
        self.key = "row" if key is None else key
        self._is_numbered = key is None
        if key is None and self.key in (input.known_columns or ()):
            raise ValueError(
                "feedback: the input has a column 'row' already; if its values are all different pass key='row', else rename it."
            )
        self.stage = stage_name(input, "feedback", name)
        self._named = "" if name is None else f", name={name!r}"
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._epoch = 0  # the latest that was read, or for which something was sent
        self._now: Any = None  # weights of the epochs before, of this one, and of the next; None while all are 1
        self._before: Any = None
        self._next: Any = None
        self._forget()

    def _forget(self) -> None:
        self._order = lru_cache(_EPOCHS_KEPT)(self._compute)
        self._index: KeyIndex | None = None
        self._numbered: Pipe | None = None

    @property
    def order_varies(self) -> bool:
        return True

    @property
    def known_columns(self) -> list[str] | None:
        known = self.upstream.known_columns
        return known if known is None or not self._is_numbered else [*known, self.key]

    def describe(self) -> str:
        key = "" if self._is_numbered else f", key={self.key!r}"
        rows = "" if self.rows_per_epoch is None else f", num_rows={self.rows_per_epoch}"
        return f"Feedback(seed={self.seed}{key}{rows}{self._named})"

    def make_flow(self) -> Flow:
        rows = self.upstream
        if self._is_numbered:
            rows = self._numbered = Zip({"rows": rows, "numbers": _RowNumbers(rows, self.key)})
            forget_output(self.upstream, rows)  # it is a part of this pipe
        return rows.flow.ordered(_Drawn(self))

    # --- what comes back ------------------------------------------------------------------------------------------

    def send(self, rows: Any, weights: Any, *, epoch: int | None = None) -> None:
        """Set the weights of some rows, from the epoch after ``epoch`` on; the last word on a row counts.

        Args:
            rows: Their keys: a tensor, array or list; or a message with the key column, such as a batch or a model's
                output.
            weights: A finite number of at least 0 for each, such as its loss.
            epoch: In which epoch they were found out; the latest that was read if not given.

        Raises:
            ValueError: there are more or fewer weights than rows, or the epoch after is under way already.
            ColumnValueError: a weight is negative or not finite, or no row has such a key.
        """
        keys = rows.select(self.key) if isinstance(rows, Message) else Message({self.key: rows})
        values = weights.detach().cpu().numpy() if isinstance(weights, torch.Tensor) else np.asarray(weights)
        values = values.astype(np.float64)
        if values.shape != (len(keys),):
            raise ValueError(
                f"feedback: one weight per row is needed, of shape ({len(keys)},); got {values.shape} for {len(keys)} rows."
            )
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if len(bad):
            first = int(bad[0])
            raise ColumnValueError(
                f"feedback: a weight is a finite number of at least 0; got {values[first]} for {self.key} "
                f"{keys[first : first + 1][self.key].tolist()[0]!r}."
            )
        positions = self._positions(keys)
        with self._lock:
            self._settle(self._epoch if epoch is None else epoch, sends=True)
            if self._next is None:
                self._next = np.ones(len(self.upstream)) if self._now is None else self._now.copy()
            self._next[positions] = values

    def _positions(self, keys: Message) -> Positions:
        """Return which rows of the input have the given keys."""
        if self._is_numbered:
            return self._checked(np.asarray(keys[self.key]), len(self.upstream))
        if self._index is None:
            known = self.upstream.select(self.key).at_epoch(0).to_message()
            self._index = KeyIndex(known, [self.key], who="feedback")
            again = self._index.first_repeated()
            if again is not None:
                raise ValueError(
                    f"feedback: each row needs a key of its own; row {again} repeats "
                    f"{known[again : again + 1][self.key].tolist()[0]!r} in {self.key!r}."
                )
        places, positions = self._index.match(keys, [self.key])
        if len(places) < len(keys):
            lost = int(np.setdiff1d(np.arange(len(keys)), places)[0])
            raise self._no_such_row(keys[lost : lost + 1][self.key].tolist()[0])
        return positions

    def _checked(self, rows: np.ndarray[Any, Any], count: int) -> Positions:
        if rows.dtype.kind not in "iu" and len(rows):
            raise self._no_such_row(rows.tolist()[0])
        outside = np.flatnonzero((rows < 0) | (rows >= count)) if len(rows) else rows
        if len(outside):
            raise self._no_such_row(int(rows[outside[0]]))
        return rows.astype(np.int64)

    def _no_such_row(self, key: object) -> ColumnValueError:
        return ColumnValueError(
            f"feedback: no row has {self.key} {key!r}; weights are sent for the rows of {self.upstream!r}."
        )

    # --- weights of an epoch --------------------------------------------------------------------------------------

    def _settle(self, epoch: int, *, sends: bool = False) -> None:
        """Make an epoch the latest if it is a later one; what was sent so far counts from there on."""
        if sends and epoch < self._epoch:
            raise ValueError(
                f"feedback: what is sent in epoch {epoch} counts from epoch {epoch + 1} on, and epoch {self._epoch} was read "
                "already; send before the next epoch is begun."
            )
        if epoch > self._epoch:
            if self._next is not None:
                # The epoch just before this one had the weights of before only if it was the one that sent.
                self._before = self._now if epoch == self._epoch + 1 else self._next
                self._now, self._next = self._next, None
            else:
                self._before = self._now
            self._epoch = epoch

    def weights(self, epoch: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the weight of each row of the input in one epoch; asking for a later one begins it.

        Raises:
            StateError: the weights of that epoch were let go.
        """
        with self._lock:
            self._settle(epoch)
            held = {self._epoch: self._now, self._epoch - 1: self._before, 0: None}
            if self._epoch == 0:
                held = {0: None}
            if epoch not in held:
                raise StateError(
                    f"feedback: the weights of epoch {epoch} were let go; it is epoch {self._epoch}, and those of two epochs "
                    "are kept, and of epoch 0."
                )
            found = held[epoch] if epoch else None
        count = len(self.upstream)
        if found is not None and len(found) != count:
            raise StateError(
                f"feedback: weights were sent for {len(found)} rows, and the input has {count} now; take a snapshot of a live "
                "table before weighing its rows."
            )
        weights: np.ndarray[Any, np.dtype[np.float64]] = np.ones(count) if found is None else found.copy()
        return weights

    @property
    def latest_epoch(self) -> int:
        """The latest epoch that was read, or for which weights were sent."""
        return self._epoch

    def drawn(self, epoch: int) -> Positions:
        """Return which row of the input stands where in one epoch."""
        return self._order(epoch, len(self.upstream))

    def _compute(self, epoch: int, count: int) -> Positions:
        weights = self.weights(epoch)
        wanted = self.rows_per_epoch or count
        total = np.cumsum(weights)
        if not wanted or not count:
            return np.empty(0, dtype=np.int64)
        if not total[-1] > 0:
            raise ColumnValueError(
                f"feedback: all weights of epoch {epoch} are 0, so no row can be drawn; send a positive one."
            )
        keys, random_order = load("order.keys.keys"), load("order.keys.random_order")
        start = float(keys(self.seed, f"{self.stage}/start", epoch, 0, 1)[0] >> np.uint64(11)) * _FRACTION
        steps = (start + np.arange(wanted)) * (total[-1] / wanted)
        found = np.searchsorted(total, steps, side="right")
        found = np.minimum(found, np.flatnonzero(weights)[-1])  # the last step may be rounded up to the sum
        order = random_order(self.seed, self.stage, epoch, wanted)
        return cast("Positions", found[order].astype(np.int64))

    # --- state ----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of this epoch, of the one before and of the next, and which epoch it is."""
        with self._lock:
            return {
                "version": _VERSION,
                "epoch": self._epoch,
                "num_rows": len(self.upstream),
                **{
                    name: None if held is None else torch.from_numpy(held.copy())
                    for name, held in (("before", self._before), ("now", self._now), ("next", self._next))
                },
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the weights of another feedback over as many rows.

        Raises:
            StateError: the state is of another version, or of another number of rows.
        """
        if state.get("version") != _VERSION:
            raise StateError(f"feedback: expected a state of version {_VERSION}; got {state.get('version')!r}.")
        if state["num_rows"] != len(self.upstream):
            raise StateError(
                f"feedback: the state is of {state['num_rows']} rows; the input has {len(self.upstream)} ({self.upstream!r})."
            )
        with self._lock:
            self._epoch = int(state["epoch"])
            self._before, self._now, self._next = (
                None if state[name] is None else state[name].numpy().astype(np.float64, copy=True)
                for name in ("before", "now", "next")
            )
            self._order.cache_clear()

    def __getstate__(self) -> dict[str, Any]:
        gone = {"_lock", "_order", "_index", "_numbered"}
        return {name: value for name, value in super().__getstate__().items() if name not in gone}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._forget()


class _Drawn(Order):
    """The order in which a feedback hands out the rows of its input."""

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback

    def num_items_out(self, num_items: int) -> int:
        return (self._feedback.rows_per_epoch or num_items) if num_items else 0

    def require_known(self, epoch: int) -> None:
        if epoch > self._feedback.latest_epoch:
            raise NoRandomAccessError(
                f"{self._feedback.describe()}: what epoch {epoch} draws depends on the weights that are sent before it; epoch "
                f"{self._feedback.latest_epoch} is the latest that was begun."
            )

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        order = self._feedback.drawn(epoch)
        return order[span.start : span.stop] if isinstance(span, range) else order[as_positions(span)]


class _RowNumbers(Source):
    """The numbers of the rows of a pipe, as a column beside it."""

    def __init__(self, pipe: Pipe, column: str) -> None:
        super().__init__()
        self._pipe, self._column = pipe, column

    @property
    def schema(self) -> Schema:
        return Schema({self._column: torch.int64})

    def describe(self) -> str:
        return "RowNumbers()"

    def count(self) -> int:
        return len(self._pipe)

    def fetch(self, rows: Span) -> Message:
        return Message({self._column: torch.from_numpy(np.array(as_positions(rows), dtype=np.int64))})
