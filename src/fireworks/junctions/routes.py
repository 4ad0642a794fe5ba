"""Whose turn it is: what `Mix` and `Cycle` have in common.

A *route* says for each turn which component comes, of those that are *live*: not at their end. When a component whose
turn it is has nothing left, that turn is given to the others, and from then on it is no longer live.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fireworks.core.chunk import Chunk, Span, join
from fireworks.core.cursor import Cursor, State, read_exactly
from fireworks.core.flow import Flow
from fireworks.core.junction import Junction
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError, UnknownLengthError
from fireworks.junctions.assorted import assorted
from fireworks.junctions.one_of_many import End
from fireworks.message.columns import Positions

Live = tuple[int, ...]
ALL, SHORTEST = "all", "shortest"
_TURNS = 4096  # of how many turns a stream reads ahead at most


def check_stop(stop: object, *, who: str) -> str:
    """Return when a pass ends, checked."""
    if stop not in {ALL, SHORTEST}:
        raise ValueError(f"{who}: stop is 'all' or 'shortest'; got {stop!r}.")
    return str(stop)


def by_place(junction: Junction, weights: object, *, who: str) -> list[object]:
    """Return the weight of each component in order: 1 where none are given.

    Raises:
        TypeError: they are neither a mapping by name nor a sequence.
        ValueError: one is missing, or one too many.
    """
    names = list(junction._components)
    if weights is None:
        return [1] * len(names)
    if isinstance(weights, Mapping):
        if set(weights) != set(names):
            raise ValueError(f"{who}: give every component a weight, by its name; got {list(weights)} for {names}.")
        return [weights[name] for name in names]
    if not isinstance(weights, Sequence) or isinstance(weights, str):
        raise TypeError(
            f"{who}: weights are numbers by name, {{'name': 1, …}}, or one after the other; got {weights!r:.60}."
        )
    if len(weights) != len(names):
        raise ValueError(f"{who}: {len(names)} components need as many weights; got {len(weights)}.")
    return list(weights)


class Route(ABC):
    """Says whose turn it is."""

    @abstractmethod
    def labels(self, live: Live, turn: int, count: int) -> Positions:
        """Return the components of the turns from ``turn`` on."""

    @abstractmethod
    def turn_without(self, live: Live, turn: int, ended: int) -> int:
        """Return the number of the same turn among those that stay live when ``ended`` is at its end."""


class RoutedStream(End):
    """The items of components in turn, where the number of items is not known or differs by epoch."""

    def __init__(self, junction: Junction, flows: list[Flow], stop: str) -> None:
        super().__init__(junction, flows)
        self._all_indexable = self.is_indexable
        self.is_indexable = False
        self._stop = stop

    def num_items(self) -> int:
        who = type(self._junction).__name__
        if self._all_indexable:
            raise UnknownLengthError(
                f"{who}: with stop='shortest' the draws of an epoch decide how long it is, so its length is not known "
                "before its end, and it is a stream. With stop='all' every epoch has all rows, and a length."
            )
        raise UnknownLengthError(f"{who}: a component is a stream; its length is not known before its end.")

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:  # noqa: ARG002
        raise NoRandomAccessError(f"{type(self._junction).__name__} is a stream here.")

    def open(self, run: Run) -> Cursor:
        route: Route = self._junction.route(run.epoch)
        return _RoutedCursor(self._flows, run, route, ends_early=self._stop == SHORTEST)


class _RoutedCursor(Cursor):
    """A pass over several streams in turn."""

    def __init__(self, flows: list[Flow], run: Run, route: Route, *, ends_early: bool) -> None:
        self._is_batched = flows[0].is_batched
        self._inputs = [Ahead(flow.open(run), is_batched=self._is_batched) for flow in flows]
        self._route, self._ends_early = route, ends_early
        self._live: Live = tuple(range(len(flows)))
        self._turn = self._given = 0

    def read(self, num_rows: int) -> Chunk | None:
        size = 1 if self._is_batched else min(num_rows, _TURNS)
        while self._live:
            labels = self._route.labels(self._live, self._turn, size)
            possible = self._possible(labels)
            if possible:
                return self._hand_out(labels[:possible])
            ended = int(labels[0])
            self._turn = self._route.turn_without(self._live, self._turn, ended)
            self._live = () if self._ends_early else tuple(number for number in self._live if number != ended)
        return None

    def _possible(self, labels: Positions) -> int:
        """Return how many turns can be given before a component is found at its end."""
        possible = len(labels)
        for number, wanted in enumerate(np.bincount(labels).tolist()):
            if wanted and (have := self._inputs[number].ready(wanted)) < wanted:
                possible = min(possible, int(np.flatnonzero(labels == number)[have]))
        return possible

    def _hand_out(self, labels: Positions) -> Chunk:
        parts: list[tuple[int, Chunk]] = []
        items = len(labels)
        if self._is_batched:
            chunk = self._inputs[labels[0]].take(1)
            parts, rows = [(int(labels[0]), chunk)], chunk.rows
            part, place = np.zeros(len(rows), dtype=np.int64), np.arange(len(rows), dtype=np.int64)
        else:
            part, place = np.empty(items, dtype=np.int64), np.empty(items, dtype=np.int64)
            for number, wanted in enumerate(np.bincount(labels).tolist()):
                if wanted:
                    mine = labels == number
                    part[mine], place[mine] = len(parts), np.arange(wanted)
                    parts.append((number, self._inputs[number].take(wanted)))
            rows = np.arange(self._given, self._given + items, dtype=np.int64)
        self._turn += items
        self._given += items
        return assorted(parts, part, place, rows)

    def state_dict(self) -> State:
        return {
            "live": list(self._live),
            "turn": self._turn,
            "given": self._given,
            "components": [each.state_dict() for each in self._inputs],
        }

    def load_state_dict(self, state: State) -> None:
        self._live = tuple(int(number) for number in state["live"])
        self._turn, self._given = int(state["turn"]), int(state["given"])
        for each, saved in zip(self._inputs, state["components"], strict=True):
            each.load_state_dict(saved)


class Ahead:
    """A stream of which some items were read and not handed out yet.

    Args:
        input: Where they come from.
        is_batched: Whether an item is a batch.
    """

    def __init__(self, input: Cursor, *, is_batched: bool) -> None:
        self._input, self._is_batched = input, is_batched
        self._clear()

    def _clear(self) -> None:
        self._waiting: deque[tuple[State, Chunk]] = deque()  # where the input stood before each
        self._have = self._used = 0  # items that wait; rows of the first chunk that were handed out

    def ready(self, count: int) -> int:
        """Return how many items wait, after an attempt to have ``count``; fewer only where the stream ends."""
        while self._have < count:
            before = self._input.state_dict()
            chunk = self._input.read(count - self._have)
            if chunk is None:
                break
            self._waiting.append((before, chunk))
            self._have += 1 if self._is_batched else len(chunk.rows)
        return min(self._have, count)

    def take(self, count: int) -> Chunk:
        """Return the next ``count`` items, which wait; of batches only one can be asked for."""
        self._have -= count
        if self._is_batched:
            return self._waiting.popleft()[1]
        taken = []
        while count:
            chunk = self._waiting[0][1]
            part = chunk.cut(self._used, min(self._used + count, len(chunk.rows)))
            taken.append(part)
            count -= len(part.rows)
            self._used += len(part.rows)
            if self._used == len(chunk.rows):
                self._waiting.popleft()
                self._used = 0
        return join(taken)

    def state_dict(self) -> State:
        """Return where the first item that waits stands."""
        before = self._waiting[0][0] if self._waiting else self._input.state_dict()
        return {"input": before, "used": self._used}

    def load_state_dict(self, state: State) -> None:
        """Move there."""
        self._clear()
        self._input.load_state_dict(state["input"])
        if state["used"]:
            read_exactly(self._input, int(state["used"]))
