"""Metrics of Ignite that belong to a run: fed before each step is applied, and saved with the run."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from ignite.metrics import Metric

from fireworks.errors import StateError
from fireworks.message import Message

# By id: a tensor, torch's count of the changes in place that it had seen, and a copy of it at that count.
Known: TypeAlias = dict[int, tuple[torch.Tensor, int, torch.Tensor]]


class IgniteMetrics:
    """Copies of metrics on an engine of their own, which shares the state of the run's engine.

    Attached to the run's engine they would be reset at every start, and fed when the step can't be taken back any more.

    Args:
        metrics: By name; they stay as they are.
        engine: The run's.
    """

    def __init__(self, metrics: Mapping[str, Metric], engine: Engine) -> None:
        self._metrics = {name: copy.deepcopy(metric) for name, metric in metrics.items()}
        self._stateless = [name for name, metric in self._metrics.items() if not has_state(metric)]
        self._half_fed = False
        self._known: Known = {}
        self._engine = Engine(lambda *_: None)
        self._engine.logger = logging.getLogger(__name__)
        self._engine.state = engine.state
        for name, metric in self._metrics.items():
            metric.attach(self._engine, name)
        self._engine.fire_event(Events.STARTED)

    def begin_epoch(self) -> None:
        """Reset what is counted by epoch."""
        self._engine.fire_event(Events.EPOCH_STARTED)

    def feed(self, output: Message) -> None:
        """Count one batch; it stands once `fed` is called."""
        if self._metrics:
            self._half_fed = True
            self._engine.state.output = output  # type: ignore[assignment]
            self._engine.fire_event(Events.ITERATION_COMPLETED)

    def fed(self) -> None:
        """The step of the batch has been applied."""
        self._half_fed = False

    def end_epoch(self) -> dict[str, float]:
        """Return the values of the epoch."""
        self._engine.fire_event(Events.EPOCH_COMPLETED)
        return {name: float(self._engine.state.metrics[name]) for name in self._metrics}

    def require_whole(self) -> None:
        """Raise `StateError` if a metric without a state has counted a batch whose step was not applied."""
        if self._half_fed and self._stateless:
            raise StateError(
                f"Trainer: metric {self._stateless[0]!r} ({self._kind(0)}) counted a batch whose step then failed, and has "
                "no state that could be put back. Load a saved state into a fresh trainer, or leave the metric out."
            )

    def require_states(self) -> None:
        """Raise `StateError` if a metric can't be saved."""
        if self._stateless:
            raise StateError(
                f"Trainer: metric {self._stateless[0]!r} ({self._kind(0)}) has no state to save in the middle of an epoch. "
                "Save at the end of an epoch, or evaluate the metric on its own."
            )

    def _kind(self, number: int) -> str:
        return type(self._metrics[self._stateless[number]]).__name__

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each metric that has one."""
        return {
            name: copy.deepcopy(metric.state_dict())
            for name, metric in self._metrics.items()
            if name not in self._stateless
        }

    def note(self) -> dict[str, Any]:
        """Return `state_dict`, without copying again the tensors that did not change since the last note."""
        known, self._known = self._known, {}
        return {
            name: _unchanging(metric.state_dict(), known, self._known)
            for name, metric in self._metrics.items()
            if name not in self._stateless
        }

    def load_state_dict(self, states: dict[str, Any]) -> None:
        """Go on from states; metrics without one begin anew."""
        for name, metric in self._metrics.items():
            if name in states:
                state = _copied(states[name], metric._device)
                for ranks in state.values():
                    _make_room(metric, ranks[idist.get_rank()])
                metric.load_state_dict(state)
            elif not self._half_fed:
                metric.reset()
        if not self._stateless:
            self._half_fed = False


def has_state(metric: Metric) -> bool:
    """Return whether a metric of Ignite, with all that it is made of, can say where it stands.

    Example:
        >>> from ignite.metrics import Accuracy, Frequency
        >>> has_state(Accuracy()), has_state(Frequency())
        (True, False)
    """
    names = metric._state_dict_all_req_keys
    if not names or not all(has_state(part) for name in names for part in _metrics_in(getattr(metric, name, None))):
        return False
    try:
        metric.state_dict()
    except (TypeError, ValueError):  # it names an attribute that it lacks, or that is no number
        return False
    return True


def _metrics_in(value: Any) -> Iterable[Metric]:
    if isinstance(value, Metric):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [metric for item in value for metric in _metrics_in(item)] if isinstance(value, (list, tuple)) else []


def _make_room(value: Any, state: Any) -> None:
    """Give every list of numbers in a metric the length that it has in the state; Ignite loads into equal lengths only."""
    if isinstance(value, Metric):
        for name in value._state_dict_all_req_keys:
            part = getattr(value, name)
            if isinstance(part, list) and not _metrics_in(part):
                setattr(value, name, list(state[name]))
            else:
                _make_room(part, state[name])
    elif isinstance(value, Mapping):
        for name, part in value.items():
            _make_room(part, state[name])
    elif isinstance(value, (list, tuple)):
        for part, of_part in zip(value, state, strict=True):
            _make_room(part, of_part)


def _copied(state: Any, device: torch.device) -> Any:
    """Return a copy of a state with its tensors on a device."""
    if isinstance(state, torch.Tensor):
        return state.to(device, copy=True)
    if isinstance(state, Mapping):
        return {name: _copied(value, device) for name, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(_copied(value, device) for value in state)
    return state


def _unchanging(state: Any, known: Known, found: Known) -> Any:
    """Return a state with copies for its tensors: those of ``known`` as far as they hold; all go into ``found``."""
    if isinstance(state, torch.Tensor):
        tensor, version, kept = known.get(id(state), (None, 0, state))
        if tensor is not state or version != state._version:
            kept = state.detach().clone()
        found[id(state)] = (state, state._version, kept)
        return kept
    if isinstance(state, Mapping):
        return {name: _unchanging(value, known, found) for name, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(_unchanging(value, known, found) for value in state)
    return state
