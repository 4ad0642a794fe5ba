"""Several inputs in a random, weighted turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, cast, final

import numpy as np

from fireworks._internal.lazy import load
from fireworks._internal.seeds import check_seed
from fireworks.core.chunk import Span, as_positions
from fireworks.core.flow import Flow, Order
from fireworks.core.junction import Junction
from fireworks.core.pipe import Pipe
from fireworks.junctions.concat import EndToEnd
from fireworks.junctions.one_of_many import check_alike, known_columns, lowered
from fireworks.junctions.routes import ALL, Live, Route, RoutedStream, by_place, check_stop
from fireworks.message.columns import Positions

_EPOCHS_KEPT = 2
_WORDS_AT_A_TIME = 4096


@final
class Mix(Junction):
    """Draw each item from one of several components at random, by weights; another draw each epoch.

    Each component hands out its items in its own order of the epoch. Draws depend on the seed, the stage, the epoch and
    the turn alone, so streams and rows in memory are mixed alike. With ``stop="all"``, when a component is at its end the
    draw is among the others, and every item comes once an epoch; there is random access if every component has it, for 8
    bytes per item. With ``stop="shortest"`` the pass ends when a component is drawn that is at its end, so its length
    differs by epoch, and it is a stream.

    Args:
        components: Pipes by name, with the same columns; all over rows, or all over batches.
        weights: Positive numbers by name, or in order; how often a component is drawn, beside the others. Equal if not
            given.
        seed: From 0 to 2**64 - 1.
        stop: ``"all"`` or ``"shortest"``.
        name: A name for the stage, in place of ``mix:0``, that keys its draws.

    Raises:
        ValueError: there is no seed; a weight is missing or not positive; ``stop`` is something else.
        TypeError: weights are no numbers; some components are batched and some are not.
        SchemaMismatchError: a component has other columns or types.

    Source:
        A turn's word is the key of its position, as in `order.keys.keys`: Philox 4x64-10. Component k is drawn where
        the word, as a fraction of 2**64, lies in its share of the weights.

    Example:
        >>> many, few = fw.source({"x": torch.zeros(6)}), fw.source({"x": torch.ones(3)})
        >>> Mix({"many": many, "few": few}, weights={"many": 2, "few": 1}, seed=0).to_message()["x"].int().tolist()
        [0, 1, 0, 0, 0, 0, 0, 1, 1]
    """

    random_kind: ClassVar[str | None] = "mix"
    guarantee: str | None = (
        "each turn draws a component by the weights, independently of the turns before; the items of a component keep its order"
    )

    def __init__(
        self,
        components: Mapping[str, Pipe],
        *,
        seed: int | None = None,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        stop: str = ALL,
        name: str | None = None,
    ) -> None:
        self.seed = check_seed(seed, where="mix")
        self.stop = check_stop(stop, who="mix")
        super().__init__(components)
        self.weights = [_positive(weight) for weight in by_place(self, weights, who="mix")]
        self._name = name
        self._named = "" if name is None else f", name={name!r}"

    def check_components(self) -> None:
        check_alike(self)

    @property
    def stage(self) -> str:
        """The name that keys the draws; a mix among the components counts, so that the two draw independently."""
        if self._name is not None:
            return self._name
        upstream = load("core.model.upstream_pipes")(self)
        return f"mix:{sum(pipe.random_kind == 'mix' for pipe in upstream if pipe is not self)}"

    @property
    def known_columns(self) -> list[str] | None:
        return known_columns(self)

    @property
    def order_varies(self) -> bool:
        return True

    def options(self) -> str:
        weights = ", ".join(f"{weight:g}" for weight in self.weights)
        return f", weights=[{weights}], seed={self.seed}, stop={self.stop!r}{self._named}"

    def route(self, epoch: int) -> Route:
        """Return the draws of one epoch."""
        return _Draws(self.seed, self.stage, epoch, self.weights)

    def make_flow(self) -> Flow:
        base, stage = lowered(self, EndToEnd)
        if self.stop == ALL and base.is_indexable:
            return Flow(base, (_Mixed(self, base._flows),), (stage,))
        stream, stage = lowered(self, lambda junction, flows: RoutedStream(junction, flows, self.stop))
        return Flow(stream, stages=(stage,))


def _positive(weight: object) -> float:
    if isinstance(weight, bool) or not isinstance(weight, (int, float, np.integer, np.floating)):
        raise TypeError(f"mix: a weight is a positive number; got {weight!r:.60} of type {type(weight).__name__}.")
    if not 0 < weight < float("inf"):
        raise ValueError(f"mix: a weight is a positive number; got {weight!r}. Leave the component out for none.")
    return float(weight)


class _Draws(Route):
    """The draws of one epoch."""

    def __init__(self, seed: int, stage: str, epoch: int, weights: Sequence[float]) -> None:
        self._key, self._shares = (seed, stage, epoch), [Fraction(str(weight)) for weight in weights]
        self._bounds = lru_cache(8)(self._compute_bounds)
        self._start, self._words = 0, np.empty(0, dtype=np.uint64)

    def _compute_bounds(self, live: Live) -> Any:
        """Return where the share of each live component but the last one ends, as exact parts of 2**64."""
        shares = [self._shares[number] for number in live]
        ends = [sum(shares[: n + 1]) * 2**64 / sum(shares) for n in range(len(live) - 1)]
        return np.array([int(end) for end in ends], dtype=np.uint64)

    def words(self, turn: int, count: int) -> Any:
        """Return the words of some turns; a stream asks for the next few again and again."""
        if turn < self._start or turn + count > self._start + len(self._words):
            self._start = turn
            self._words = load("order.keys.keys")(*self._key, turn, turn + max(count, _WORDS_AT_A_TIME))
        return self._words[turn - self._start : turn - self._start + count]

    def labels(self, live: Live, turn: int, count: int) -> Positions:
        drawn = np.searchsorted(self._bounds(live), self.words(turn, count), side="right")
        labels: Positions = np.asarray(live, dtype=np.int64)[drawn]
        return labels

    def turn_without(self, live: Live, turn: int, ended: int) -> int:  # noqa: ARG002
        return turn  # the same word is drawn again, among the others


class _Mixed(Order):
    """The order in which the items of all components are drawn."""

    def __init__(self, mix: Mix, flows: list[Flow]) -> None:
        self._mix, self._flows = mix, flows
        self._order = lru_cache(_EPOCHS_KEPT)(self._compute)

    def num_items_out(self, num_items: int) -> int:
        return num_items

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        order = self._order(epoch, tuple(flow.num_items() for flow in self._flows))
        return order[span.start : span.stop] if isinstance(span, range) else order[as_positions(span)]

    def _compute(self, epoch: int, lengths: tuple[int, ...]) -> Positions:
        labels = drawn(self._mix.route(epoch), lengths)
        starts = np.cumsum([0, *lengths])
        order = np.empty(len(labels), dtype=np.int64)
        for number, length in enumerate(lengths):
            order[labels == number] = np.arange(starts[number], starts[number] + length)
        return order


def drawn(route: Route, lengths: Sequence[int]) -> Positions:
    """Return the component of each turn until all are at their end."""
    total, done = sum(lengths), 0
    live, left = tuple(range(len(lengths))), list(lengths)
    found = np.empty(total, dtype=np.int64)
    while done < total:
        labels = route.labels(live, done, total - done)
        ends: dict[int, int] = {}  # the turn at which a component is found at its end
        for number in live:
            turns = np.flatnonzero(labels == number)
            if len(turns) > left[number]:
                ends[int(turns[left[number]])] = number
        stop = min(ends, default=len(labels))
        found[done : done + stop] = labels[:stop]
        for number in live:
            left[number] -= int(np.count_nonzero(labels[:stop] == number))
        done += stop
        if ends:
            live = tuple(number for number in live if number != ends[stop])
    return cast("Positions", found)
