"""Several inputs like clockwork."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import numpy as np

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Span, as_positions
from fireworks.core.flow import Flow, Order
from fireworks.core.junction import Junction
from fireworks.core.pipe import Pipe
from fireworks.junctions.concat import EndToEnd
from fireworks.junctions.one_of_many import check_alike, known_columns, lowered
from fireworks.junctions.routes import ALL, SHORTEST, Live, Route, RoutedStream, by_place, check_stop
from fireworks.message.columns import Positions


@final
class Cycle(Junction):
    """Take items from the components in turn: as many from each as its weight, then from the first again.

    Each component hands out its items in its own order of the epoch. With ``stop="all"`` a component at its end is
    passed over from then on, and every item comes once; with ``stop="shortest"`` the pass ends when it is the turn of a
    component that is at its end. There is random access if every component has it; it costs no memory.

    Args:
        components: Pipes by name, with the same columns; all over rows, or all over batches.
        weights: Ints of at least 1 by name, or in order: items of each in one round. 1 if not given.
        stop: ``"all"`` or ``"shortest"``.

    Raises:
        ValueError: a weight is missing or below 1; ``stop`` is something else.
        TypeError: weights are neither by name nor in order; some components are batched and some are not.
        SchemaMismatchError: a component has other columns or types.

    Example:
        >>> a, b = fw.source({"x": torch.arange(5)}), fw.source({"x": torch.arange(10, 12)})
        >>> Cycle({"a": a, "b": b}, weights={"a": 2, "b": 1}).to_message()["x"].tolist()
        [0, 1, 10, 2, 3, 11, 4]
    """

    def __init__(
        self,
        components: Mapping[str, Pipe],
        *,
        weights: Mapping[str, int] | Sequence[int] | None = None,
        stop: str = ALL,
    ) -> None:
        self.stop = check_stop(stop, who="cycle")
        super().__init__(components)
        self.weights = [
            check_count(weight, at_least=1, where="cycle: a weight") for weight in by_place(self, weights, who="cycle")
        ]

    def check_components(self) -> None:
        check_alike(self)

    @property
    def known_columns(self) -> list[str] | None:
        return known_columns(self)

    def options(self) -> str:
        return f", weights={self.weights}, stop={self.stop!r}"

    def route(self, epoch: int) -> Route:  # noqa: ARG002
        """Return whose turn it is; the same in every epoch."""
        return _Clock(self.weights)

    def make_flow(self) -> Flow:
        base, stage = lowered(self, EndToEnd)
        if base.is_indexable:
            return Flow(base, (_Cycled(_Clock(self.weights), base._flows, self.stop),), (stage,))
        stream, stage = lowered(self, lambda junction, flows: RoutedStream(junction, flows, self.stop))
        return Flow(stream, stages=(stage,))


class _Clock(Route):
    """Rounds in which each live component has as many turns as its weight."""

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = list(weights)

    def ends(self, live: Live) -> Positions:
        """Return where in a round the turns of each live component end."""
        return np.cumsum([self._weights[number] for number in live])

    def labels(self, live: Live, turn: int, count: int) -> Positions:
        ends = self.ends(live)
        in_round = np.arange(turn, turn + count, dtype=np.int64) % ends[-1]
        labels: Positions = np.asarray(live, dtype=np.int64)[np.searchsorted(ends, in_round, side="right")]
        return labels

    def turn_without(self, live: Live, turn: int, ended: int) -> int:  # noqa: ARG002
        # The rest of its turns fall away: on with the component behind it.
        return int(sum(self._weights[number] for number in live[: live.index(ended)]))

    def turns_before(self, live: Live, turn: int) -> Positions:
        """Return how many turns each live component has had before ``turn``, counted from 0."""
        ends = self.ends(live)
        weights = np.diff(ends, prepend=0)
        rounds, in_round = divmod(turn, int(ends[-1]))
        return rounds * weights + np.clip(in_round - (ends - weights), 0, weights)


class _Stretch(NamedTuple):
    """Positions between two components' ends, in which the same ones are live."""

    start: int
    live: Live
    turn: int
    given: Positions
    """Of each live component: the number of its first item here, less the turns that it had before ``turn``."""


class _Cycled(Order):
    """Whose item stands where, worked out from the lengths alone."""

    def __init__(self, clock: _Clock, flows: list[Flow], stop: str) -> None:
        self._clock, self._flows, self._stop = clock, flows, stop
        self._found: tuple[tuple[int, ...], list[_Stretch], int] | None = None

    def _stretches(self) -> tuple[list[_Stretch], int]:
        lengths = tuple(flow.num_items() for flow in self._flows)
        if self._found is None or self._found[0] != lengths:
            self._found = lengths, *self._work_out(lengths)
        return self._found[1:]

    def _work_out(self, lengths: Sequence[int]) -> tuple[list[_Stretch], int]:
        stretches: list[_Stretch] = []
        live, given = tuple(range(len(lengths))), np.zeros(len(lengths), dtype=np.int64)
        start = turn = 0
        while live:
            before = self._clock.turns_before(live, turn)
            mine = given[list(live)]
            ends = self._clock.ends(live)
            weights = np.diff(ends, prepend=0)
            # The turn at which each would be asked for one item more than it has.
            count = before + np.asarray(lengths)[list(live)] - mine
            asked = count // weights * ends[-1] + (ends - weights) + count % weights
            last = int(np.argmin(asked))
            stop = int(asked[last])
            if stop > turn:
                stretches.append(_Stretch(start, live, turn, mine - before))
            given[list(live)] += self._clock.turns_before(live, stop) - before
            start += stop - turn
            turn = self._clock.turn_without(live, stop, live[last])
            live = () if self._stop == SHORTEST else live[:last] + live[last + 1 :]
        return stretches, start

    def num_items_out(self, num_items: int) -> int:  # noqa: ARG002
        return self._stretches()[1]

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:  # noqa: ARG002
        positions = as_positions(span)
        stretches, _ = self._stretches()
        starts = np.cumsum([0, *(flow.num_items() for flow in self._flows)])
        inside = np.searchsorted([stretch.start for stretch in stretches], positions, side="right") - 1
        found = np.empty(len(positions), dtype=np.int64)
        for number in np.unique(inside).tolist():
            here = inside == number
            stretch = stretches[number]
            ends = self._clock.ends(stretch.live)
            weights = np.diff(ends, prepend=0)
            rounds, in_round = np.divmod(positions[here] - stretch.start + stretch.turn, ends[-1])
            slot = np.searchsorted(ends, in_round, side="right")
            turns = rounds * weights[slot] + in_round - (ends - weights)[slot]
            found[here] = starts[list(stretch.live)][slot] + stretch.given[slot] + turns
        return found
