"""What `Map` and `MapRows` share: a function of the user's, with its draws, its workers and what becomes of bad rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch

from fireworks._internal.lazy import load
from fireworks._internal.seeds import block_generator, check_seed
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RAISE, RowStage, check_on_error, stage_name
from fireworks.core.workers import PROCESS, THREAD, check_workers


class Mapped(RowStage):
    """A stage that runs a function; `Map` and `MapRows` say on what. See `Map` for the arguments."""

    verb: ClassVar[str]
    """``map``: what errors call it, and the kind that keys its draws."""

    def __init__(
        self,
        input: Pipe,
        function: Callable[..., Any],
        *,
        seed: int | None = None,
        name: str | None = None,
        on_error: str = RAISE,
        workers: int = 0,
        backend: str = THREAD,
        retries: int = 0,
    ) -> None:
        super().__init__(input)
        who = self.verb
        if not callable(function):
            raise TypeError(f"{who}: expected a function; got {function!r:.60} of type {type(function).__name__}.")
        self.check_function(function, is_seeded=seed is not None)
        self.function = function
        self.seed = None if seed is None else check_seed(seed, where=who)
        self.stage = stage_name(self.upstream, who, name)
        self.on_error = check_on_error(on_error, who=who)
        self._named = "" if name is None else f", name={name!r}"
        self.staff = check_workers(workers, backend, retries, who=who)
        if self.staff is not None and self.staff.backend == PROCESS:
            load("parallel.shipping.require_picklable")(self)

    def check_function(self, function: Callable[..., Any], *, is_seeded: bool) -> None:
        """Raise a TypeError for a function that this stage can't call, as far as that can be seen."""

    @property
    def random_kind(self) -> str | None:  # type: ignore[override]  # only one with a seed draws
        """The verb, if it draws."""
        return None if self.seed is None else self.verb

    @property
    def values_vary(self) -> bool:
        return self.seed is not None or super().values_vary

    def describe(self) -> str:
        seed = "" if self.seed is None else f", seed={self.seed}{self._named}"
        on_error = "" if self.on_error == RAISE else f", on_error={self.on_error!r}"
        return f"{type(self).__name__}({function_name(self.function)}{seed}{on_error})"

    def draws(self, run: Run, block: int) -> tuple[torch.Generator, ...]:
        """Return what the function gets beside the rows of one block: with a seed, its generator."""
        return () if self.seed is None else (block_generator(self.seed, self.stage, run.epoch, block),)


def function_name(function: Any) -> str:
    """Return how a function is called in a plan: as a pipe describes itself, its name, or the class of a callable."""
    if isinstance(function, Pipe):
        return function.describe()
    return str(getattr(function, "__name__", type(function).__name__))
