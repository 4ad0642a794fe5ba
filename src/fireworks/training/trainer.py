"""A model and a dataset on a PyTorch-Ignite engine, with a state that is everything the run needs to go on."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Metric

from fireworks._internal.checks import check_count
from fireworks._internal.current import current_trial
from fireworks.core.iterator import PipeIterator
from fireworks.core.model import Model
from fireworks.core.pipe import Pipe
from fireworks.core.seeding import generator_states, set_generator_states
from fireworks.errors import UnknownLengthError
from fireworks.message import Message
from fireworks.training.objective import Loss, RowMeans, RowMetric, loss_of, row_sum
from fireworks.training.progress import Bar

if TYPE_CHECKING:
    from torch import nn

MakeOptimizer: TypeAlias = "torch.optim.Optimizer | Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]"

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # Ignite logs each error that it passes on; the error itself is enough


class Trainer:
    """Trains a model on a pipe of batches; every epoch asks the pipe for its own epoch.

    The loop is `engine`, an ``ignite.engine.Engine``, so Ignite's handlers, metrics and loggers attach to it; the output
    of each iteration is the model's message. ``state_dict()`` holds weights, optimizer, epoch, the place in the data, the
    running means and the global generators: loaded into a fresh trainer, the run goes on to the same bytes.
    Inside a trial, the values of each epoch are logged to it.

    Args:
        model: What is trained, with everything upstream of it that is not frozen.
        batches: The training data, a batched pipe.
        loss: ``function(message) -> scalar``, or ``(function, output column, target column)``.
        optimizer: An optimizer, or a function that makes one of the parameters.
        metrics: By name: ``function(message) -> one value per row``, averaged over rows, or an ``ignite.metrics.Metric``
            over the model's message.
        validation: A batched pipe that is evaluated after every epoch, in evaluation mode.
        progress: Whether to draw a progress bar; None draws it on a terminal only.

    Shapes:
        ``loss`` is a tensor without dimensions; a metric is ``(rows,)``.

    Raises:
        TypeError: an argument is of the wrong kind; ``batches`` gives rows, not batches.
        ValueError: nothing is left to train.
        ColumnValueError: a label lies outside the classes.

    Example:
        >>> fw.seed_everything(0)
        >>> data = fw.source({"x": torch.arange(8.0).reshape(8, 1), "y": 2 * torch.arange(8.0).reshape(8, 1)})
        >>> model = fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["out"])
        >>> trainer = fw.Trainer(model, data.shuffle(seed=0).batch(4), loss=(torch.nn.functional.mse_loss, "out", "y"),
        ...                      optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.02))
        >>> trainer.run(max_epochs=20)[-1]["loss"] < 0.5
        True
    """

    def __init__(
        self,
        model: Model,
        batches: Pipe,
        *,
        loss: Loss,
        optimizer: MakeOptimizer,
        metrics: Mapping[str, RowMetric | Metric] | None = None,
        validation: Pipe | None = None,
        progress: bool | None = None,
    ) -> None:
        if not isinstance(model, Model):
            raise TypeError(
                f"Trainer: model must be a fw.Model; got {type(model).__name__}. "
                "Wrap it: fw.Model(module, in_columns=[…], out_columns=[…])."
            )
        self.model = model
        self.batches = _batched(batches, "batches")
        self.validation = None if validation is None else _batched(validation, "validation")
        self._loss = loss_of(loss)
        self._row_metrics, self._ignite_metrics = _sorted_out(metrics or {})
        self.optimizer = self._make(optimizer)
        self.epoch = 0
        """Epochs that are finished; the number of the one that runs."""
        self.iteration = 0
        """Batches that were trained on, in all epochs."""
        self.history: list[dict[str, float]] = []
        """The values of each finished epoch: ``epoch``, ``loss``, each metric, and the same with ``validation_``."""
        self._progress = progress
        self._means = RowMeans(["loss", *self._row_metrics])
        self._pass: PipeIterator | None = None  # the pass over the data that is under way
        self._place: dict[str, Any] | None = None  # where it stood before the batch in hand
        self.engine = self._make_engine()

    def _make(self, optimizer: MakeOptimizer) -> torch.optim.Optimizer:
        if isinstance(optimizer, torch.optim.Optimizer):
            return optimizer
        if not callable(optimizer):
            raise TypeError(
                f"Trainer: optimizer must be an optimizer or a function of the parameters; got {optimizer!r:.60}."
            )
        trained = [parameter for parameter in self.model.all_parameters() if parameter.requires_grad]
        if not trained:
            raise ValueError(
                "Trainer: nothing to train; the model and all upstream have no parameter that is not frozen."
            )
        made = optimizer(trained)
        if not isinstance(made, torch.optim.Optimizer):
            raise TypeError(f"Trainer: the optimizer function must return an optimizer; got {type(made).__name__}.")
        return made

    # --- running --------------------------------------------------------------------------------------------------

    def run(self, max_epochs: int) -> list[dict[str, float]]:
        """Train until ``max_epochs`` epochs are finished, counting those of earlier runs, and return `history`.

        A run that was stopped by an error or by Ctrl-C goes on before the batch that it was stopped at.
        """
        check_count(max_epochs, at_least=0, where="Trainer.run: max_epochs")
        if self.epoch >= max_epochs:
            return self.history
        with Bar(shown=self._progress) as self._bar:
            self.engine.state.max_epochs = None  # a new run to Ignite; which epoch it is we know ourselves
            self.engine.run(_Nothing(), max_epochs=max_epochs)
        return self.history

    def evaluate(self, batches: Pipe) -> dict[str, float]:
        """Return the loss and the metrics over a batched pipe, in evaluation mode; nothing is changed.

        Example:
            >>> data = fw.source({"x": torch.zeros(4, 1), "y": torch.ones(4, 1)}).batch(3)
            >>> model = fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["out"])
            >>> trainer = fw.Trainer(model, data, loss=(torch.nn.functional.mse_loss, "out", "y"),
            ...                      optimizer=torch.optim.SGD)
            >>> list(trainer.evaluate(data))
            ['loss']
        """
        means = RowMeans(["loss", *self._row_metrics])

        def step(_: Engine, batch: Message) -> Message:
            result: Message = self.model(_on_device(batch, self.device))
            if len(result):
                means.add(len(result), self._sums(result, self._loss(result)))
            return result

        evaluator = Engine(step)
        evaluator.logger = _log
        for name, metric in self._ignite_metrics.items():
            copy.deepcopy(metric).attach(evaluator, name)
        modes = [(module, module.training) for module in _modules(self.model)]
        for module, _ in modes:
            module.training = False
        try:
            with torch.no_grad():
                evaluator.run(_Once(_batched(batches, "evaluate")), max_epochs=1)
        finally:
            for module, was_training in modes:
                module.training = was_training
        return means.means() | {name: float(evaluator.state.metrics[name]) for name in self._ignite_metrics}

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are, and where batches are moved."""
        first = next(self.model.all_parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def _sums(self, message: Message, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        sums = {"loss": loss.detach().double() * len(message)}
        for name, metric in self._row_metrics.items():
            sums[name] = row_sum(name, metric, message)
        return sums

    def _step(self, _: Engine, batch: Message) -> Message:
        self.optimizer.zero_grad()
        result: Message = self.model(_on_device(batch, self._device))
        loss = self._loss(result)
        if not isinstance(loss, torch.Tensor) or loss.dim() != 0:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise TypeError(f"Trainer: the loss must be one number, a tensor without dimensions; got {got}.")
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        with torch.no_grad():
            self._means.add(len(result), self._sums(result, loss))
        return result

    # --- the engine -----------------------------------------------------------------------------------------------

    def _make_engine(self) -> Engine:
        engine = Engine(self._step)
        engine.logger = _log
        engine.add_event_handler(Events.STARTED, self._on_start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._on_epoch_start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._on_iteration)
        for name, metric in self._ignite_metrics.items():
            copy.deepcopy(metric).attach(engine, name)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._on_epoch_end)
        return engine

    def _on_start(self, engine: Engine) -> None:
        engine.state.epoch, engine.state.iteration = self.epoch, self.iteration
        self._device = self.device

    def _on_epoch_start(self, engine: Engine) -> None:
        # Ignite would take every epoch for as long as the first and begin the data anew when it is shorter.
        engine.state.epoch_length = None
        for module in _modules(self.model):
            module.training = True
        if self._pass is None:
            self._pass = iter(self.batches.at_epoch(self.epoch))
            self._means.reset()
        elif self._place is not None:
            self._pass._cursor.load_state_dict(self._place)
        self._place = None
        done = self._pass._cursor.state_dict().get("position", 0)  # not known of a stream
        self._bar.begin(self.epoch, engine.state.max_epochs, _length(self.batches), done)
        engine.set_data(self._watched(self._pass))

    def _watched(self, batches: PipeIterator) -> Iterator[Message]:
        """Yield batches, noting before each where the pass stood, so that a failed step can be done again."""
        while True:
            self._place = batches._cursor.state_dict()
            batch = next(batches, None)
            if batch is None:
                self._place = None
                return
            yield batch

    def _on_iteration(self, _: Engine) -> None:
        self._place = None
        self.iteration += 1
        self._bar.advance()

    def _on_epoch_end(self, engine: Engine) -> None:
        engine.state.epoch_length = None
        values = self._means.means() | {name: float(engine.state.metrics[name]) for name in self._ignite_metrics}
        if self.validation is not None:
            found = self.evaluate(self.validation)
            values |= {f"validation_{name}": value for name, value in found.items()}
        self.history.append({"epoch": self.epoch, **values})
        trial = current_trial.get()
        if trial is not None:
            for name, value in values.items():
                trial.log_metric(name, value, step=self.epoch)
        self.epoch += 1
        self._pass = None
        self._means.reset()

    # --- state ----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return all that the run needs to go on, at any moment between two batches."""
        running = None
        if self._pass is not None:
            running = self._pass.state_dict()
            if self._place is not None:  # a batch is in hand whose step is not done
                running["cursor"] = self._place
        return {
            "epoch": self.epoch,
            "iteration": self.iteration,
            "history": [dict(values) for values in self.history],
            "models": [model.state_dict() for model in _models(self.model)],
            "optimizer": self.optimizer.state_dict(),
            "means": self._means.state_dict(),
            "pass": running,
            "generators": generator_states(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another trainer over an equal model and equal data stood.

        Raises:
            StateError: the data is another pipe.
        """
        running = None
        if state["pass"] is not None:
            running = iter(self.batches.at_epoch(int(state["epoch"])))
            running.load_state_dict(state["pass"])
        for model, saved in zip(_models(self.model), state["models"], strict=True):
            model.load_state_dict(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.iteration = int(state["epoch"]), int(state["iteration"])
        self.history = [dict(values) for values in state["history"]]
        self._means.load_state_dict(state["means"])
        self._pass, self._place = running, None
        set_generator_states(state["generators"])


class _Nothing:
    """Data that Ignite is given to begin with; each epoch brings its own."""

    def __iter__(self) -> Iterator[Message]:
        return iter(())


class _Once:
    """One pass over a pipe, without a length that Ignite would trust more than the data."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def __iter__(self) -> Iterator[Message]:
        return iter(self._pipe.at_epoch(0))


def _batched(pipe: object, name: str) -> Pipe:
    if not isinstance(pipe, Pipe):
        raise TypeError(f"Trainer: {name} must be a pipe; got {type(pipe).__name__}. Wrap it: fw.source(…).batch(256).")
    if not pipe.is_batched:
        raise TypeError(f"Trainer: {name} gives single rows ({pipe!r}); put .batch(256) behind it.")
    return pipe


def _sorted_out(metrics: Mapping[str, Any]) -> tuple[dict[str, RowMetric], dict[str, Metric]]:
    rows: dict[str, RowMetric] = {}
    ignite: dict[str, Metric] = {}
    for name, metric in metrics.items():
        if isinstance(metric, Metric):
            ignite[name] = metric
        elif callable(metric):
            rows[name] = metric
        else:
            raise TypeError(
                f"Trainer: metric {name!r} must be a function of a message or an ignite Metric; got {type(metric).__name__}."
            )
    return rows, ignite


def _models(model: Model) -> list[Model]:
    from fireworks.core.model import upstream_pipes

    return [pipe for pipe in upstream_pipes(model) if isinstance(pipe, Model)]


def _modules(model: Model) -> Iterator[Any]:
    return (module for each in _models(model) for module in each.modules())


def _length(pipe: Pipe) -> int | None:
    try:
        return len(pipe)
    except UnknownLengthError:
        return None


def _on_device(message: Message, device: torch.device) -> Message:
    if device.type == "cpu":
        return message
    moved = {
        name: column.to(device, non_blocking=True)
        for name in message.columns
        if isinstance(column := message.raw(name), torch.Tensor)
    }
    return message.assign(**moved)
