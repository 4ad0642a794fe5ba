"""A model and a dataset on a PyTorch-Ignite engine, with a state that is everything the run needs to go on."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Metric

from fireworks._internal.checks import check_count
from fireworks._internal.current import current_trial
from fireworks.core.iterator import PipeIterator, require_same_stages
from fireworks.core.model import Model, all_modules, evaluating, models_upstream
from fireworks.core.pipe import Pipe
from fireworks.core.seeding import generator_states, set_generator_states
from fireworks.errors import StateError, UnknownLengthError
from fireworks.message import Message
from fireworks.training.ignite_metrics import IgniteMetrics
from fireworks.training.objective import Loss, RowMeans, RowMetric, loss_of, row_sum, weighted
from fireworks.training.progress import Bar
from fireworks.training.rewind import Note, Slots, buffer_slots

if TYPE_CHECKING:
    from torch import nn

MakeOptimizer: TypeAlias = "torch.optim.Optimizer | Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]"

_VERSION = 1
_OWN_VALUES = {"epoch", "loss"}  # what the history holds beside the metrics

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # Ignite logs each error that it passes on; the error itself is enough


class Trainer:
    """Trains a model on a pipe of batches; every epoch asks the pipe for its own epoch.

    The loop is `engine`, an ``ignite.engine.Engine``, so Ignite's handlers, metrics and loggers attach to it; the output
    of each iteration is the model's message. ``state_dict()`` holds weights, optimizer, epoch, the place in the data, the
    running means and the global generators: loaded into a fresh trainer, the run goes on to the same bytes.
    Inside a trial, the values of each epoch are logged to it.

    A step that failed or was interrupted before the optimizer's part is done again to the same bytes: its place in the
    data, torch's generators, the models' buffers and the metrics given here are put back. What stays of it: draws from
    the global generators of Python and NumPy, gradients, what handlers did, what your own code changed elsewhere, and
    whatever an optimizer had changed that failed or was interrupted within its own ``step``. Metrics that you attach to
    `engine` yourself are neither put back nor saved.

    Batches without rows are passed over, and are no iterations.

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
        self._note: Note | None = None  # how all stood before the batch in hand
        self._buffers: Slots = []
        self._bar = Bar(shown=False)  # the next run makes its own
        self._device = self.device
        self.engine = self._make_engine()
        self._metrics = IgniteMetrics(self._ignite_metrics, self.engine)

    def _make(self, optimizer: MakeOptimizer) -> torch.optim.Optimizer:
        trained = [parameter for parameter in self.model.all_parameters() if parameter.requires_grad]
        if not trained:
            raise ValueError(
                "Trainer: nothing to train; the model and all upstream have no parameter that is not frozen."
            )
        if isinstance(optimizer, torch.optim.Optimizer):
            held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
            if held.isdisjoint(map(id, trained)):
                raise ValueError(
                    f"Trainer: the {type(optimizer).__name__} that was given holds none of the model's parameters; "
                    "make it of model.all_parameters(), or pass a function that makes one of the parameters."
                )
            return optimizer
        if not callable(optimizer):
            raise TypeError(
                f"Trainer: optimizer must be an optimizer or a function of the parameters; got {optimizer!r:.60}."
            )
        made = optimizer(trained)
        if not isinstance(made, torch.optim.Optimizer):
            raise TypeError(f"Trainer: the optimizer function must return an optimizer; got {type(made).__name__}.")
        return made

    # --- running --------------------------------------------------------------------------------------------------

    def run(self, max_epochs: int) -> list[dict[str, float]]:
        """Train until ``max_epochs`` epochs are finished, counting those of earlier runs, and return `history`.

        A run that was stopped by an error or by Ctrl-C goes on before the batch that it was stopped at.

        Raises:
            ValueError: an epoch had no rows.
            StateError: a metric of Ignite without a state was interrupted while it counted a batch.
        """
        check_count(max_epochs, at_least=0, where="Trainer.run: max_epochs")
        if self.epoch >= max_epochs:
            return self.history
        self._metrics.require_whole()
        try:
            with Bar(shown=self._progress) as self._bar:
                self.engine.state.max_epochs = None  # a new run to Ignite; which epoch it is we know ourselves
                self.engine.run(_Nothing(), max_epochs=max_epochs)
        finally:
            self._rewind()
        return self.history

    def _rewind(self) -> None:
        """Put all back to before the batch in hand, if its step was not applied."""
        if self._note is not None and self._pass is not None:
            self._pass.move_to(self._note.place)
            self._note.put_back()
            self._metrics.load_state_dict(self._note.metrics)
        self._note = None

    def evaluate(self, batches: Pipe) -> dict[str, float]:
        """Return the loss and the metrics over a batched pipe, in evaluation mode; nothing is changed.

        Raises:
            ValueError: the pipe gives no rows.

        Example:
            >>> data = fw.source({"x": torch.zeros(4, 1), "y": torch.ones(4, 1)}).batch(3)
            >>> model = fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["out"])
            >>> trainer = fw.Trainer(model, data, loss=(torch.nn.functional.mse_loss, "out", "y"),
            ...                      optimizer=torch.optim.SGD)
            >>> list(trainer.evaluate(data))
            ['loss']
        """
        means, device, data = RowMeans(["loss", *self._row_metrics]), self.device, _Once(_batched(batches, "evaluate"))

        def step(_: Engine, batch: Message) -> Message:
            result: Message = self.model(_on_device(batch, device))
            if len(result):
                means.add(len(result), self._sums(result, self._loss(result)))
            return result

        evaluator = Engine(step)
        evaluator.logger = _log
        for name, metric in self._ignite_metrics.items():
            copy.deepcopy(metric).attach(evaluator, name)
        with evaluating(self.model):
            evaluator.run(data, max_epochs=1)
        values = means.means()
        if not values:
            raise ValueError(
                f"Trainer: no rows to evaluate; batches is {batches!r}. Look at its source and its filters."
            )
        return values | {name: float(evaluator.state.metrics[name]) for name in self._ignite_metrics}

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are, and where batches are moved."""
        first = next(self.model.all_parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def _sums(self, message: Message, loss: torch.Tensor) -> dict[str, torch.Tensor | float]:
        sums = {"loss": weighted(loss, len(message))}
        if self._row_metrics:
            with torch.no_grad():
                for name, metric in self._row_metrics.items():
                    sums[name] = row_sum(name, metric, message)
        return sums

    def _step(self, _: Engine, batch: Message) -> Message:
        self.optimizer.zero_grad()
        result: Message = self.model(_on_device(batch, self._device))
        num_rows = len(result)
        if num_rows:
            loss = self._loss(result)
            if not isinstance(loss, torch.Tensor) or loss.dim() != 0:
                got = f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
                raise TypeError(f"Trainer: the loss must be one number, a tensor without dimensions; got {got}.")
            sums = self._sums(result, loss)
            loss.backward()  # type: ignore[no-untyped-call]
            self._metrics.feed(result)
            self.optimizer.step()
            # The step is applied: from here on it must not be done again.
            self._note = None
            self._means.add(num_rows, sums)
            self._metrics.fed()
        self._note = None
        self.iteration += 1
        self._bar.advance()
        return result

    # --- the engine -----------------------------------------------------------------------------------------------

    def _make_engine(self) -> Engine:
        engine = Engine(self._step)
        engine.logger = _log
        engine.add_event_handler(Events.STARTED, self._on_start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._on_epoch_start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._on_epoch_end)
        return engine

    def _on_start(self, engine: Engine) -> None:
        engine.state.epoch, engine.state.iteration = self.epoch, self.iteration
        self._device = self.device

    def _on_epoch_start(self, engine: Engine) -> None:
        # Ignite would take every epoch for as long as the first and begin the data anew when it is shorter.
        engine.state.epoch_length = None
        self.model.train()
        if self._pass is None:
            self._pass = iter(self.batches.at_epoch(self.epoch))
            self._means.reset()
            self._metrics.begin_epoch()
        self._buffers = buffer_slots(all_modules(self.model))
        done = self._pass.place().get("position", 0)  # not known of a stream
        self._bar.begin(self.epoch, engine.state.max_epochs, _length(self.batches), done)
        engine.set_data(self._watched(self._pass))

    def _watched(self, batches: PipeIterator) -> Iterator[Message]:
        """Yield batches that have rows, noting before each how all stood, so that a failed step can be done again."""
        while True:
            self._note = Note(batches.place(), self._buffers, self._metrics.note())
            batch = next(batches, None)
            if batch is None:
                return  # the note stands until the epoch is finished, whose validation may fail
            if len(batch):
                yield batch
            else:
                self._bar.advance()

    def _on_epoch_end(self, engine: Engine) -> None:
        engine.state.epoch_length = None
        values = self._means.means()
        if not values:
            raise ValueError(
                f"Trainer: epoch {self.epoch} had no rows to train on; batches is {self.batches!r}. "
                "Look at its source and its filters."
            )
        values |= self._metrics.end_epoch()
        if self.validation is not None:
            found = self.evaluate(self.validation)
            values |= {f"validation_{name}": value for name, value in found.items()}
        trial = current_trial.get()
        if trial is not None:
            trial.log_metrics(values, step=self.epoch)
        self.history.append({"epoch": self.epoch, **values})
        self.epoch += 1
        self._pass, self._note = None, None
        self._means.reset()

    # --- state ----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return all that the run needs to go on, at any moment; a step that is not applied counts as not begun.

        Raises:
            StateError: in the middle of an epoch, a metric of Ignite has no state.
        """
        if self._pass is not None:
            self._metrics.require_states()
        place = None if self._pass is None else self._pass.place()
        generators, metrics = generator_states(), self._metrics.state_dict()
        if self._note is not None:
            place, generators, metrics = self._note.place, self._note.in_generators(generators), self._note.metrics
        with contextlib.nullcontext() if self._note is None else self._note.shown():
            models = [model.state_dict() for model in models_upstream(self.model)]
        return {
            "version": _VERSION,
            "pipe": self.batches.identity(),
            "epoch": self.epoch,
            "iteration": self.iteration,
            "history": [dict(values) for values in self.history],
            "models": models,
            "optimizer": self.optimizer.state_dict(),
            "optimizer_kind": type(self.optimizer).__name__,
            "means": self._means.state_dict(),
            "metrics": metrics,
            "place": place,
            "generators": generators,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another trainer over an equal model and equal data stood.

        Raises:
            StateError: the data is another pipe, the optimizer of another kind, there are more or fewer models, or the
                state is of another version.
        """
        if state.get("version") != _VERSION:
            raise StateError(
                f"Trainer: expected a state of version {_VERSION}; got {state.get('version')!r}. "
                "Save it again with this version of fireworks."
            )
        require_same_stages(state["pipe"], self.batches, who="Trainer")
        kind = type(self.optimizer).__name__
        if state["optimizer_kind"] != kind:
            raise StateError(f"Trainer: the state is of {state['optimizer_kind']}, the optimizer is {kind}.")
        models = models_upstream(self.model)
        if len(models) != len(state["models"]):
            raise StateError(
                f"Trainer: the state is of {len(state['models'])} models, there are {len(models)}: the model and those "
                "upstream of it. Build them as they were."
            )
        running = None
        if state["place"] is not None:
            running = iter(self.batches.at_epoch(int(state["epoch"])))
            running.move_to(state["place"])
        for model, saved in zip(models, state["models"], strict=True):
            model.load_state_dict(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.iteration = int(state["epoch"]), int(state["iteration"])
        self.history = [dict(values) for values in state["history"]]
        self._means.load_state_dict(state["means"])
        self._metrics.fed()
        self._metrics.load_state_dict(state["metrics"])
        self._pass, self._note = running, None
        set_generator_states(state["generators"])


class _Nothing:
    """Data that Ignite is given to begin with; each epoch brings its own."""

    def __iter__(self) -> Iterator[Message]:
        return iter(())


class _Once:
    """The batches of a pipe that have rows, without a length that Ignite would trust more than the data."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def __iter__(self) -> Iterator[Message]:
        return (batch for batch in self._pipe.at_epoch(0) if len(batch))


def _batched(pipe: object, name: str) -> Pipe:
    if not isinstance(pipe, Pipe):
        raise TypeError(f"Trainer: {name} must be a pipe; got {type(pipe).__name__}. Wrap it: fw.source(…).batch(256).")
    if not pipe.is_batched:
        raise TypeError(f"Trainer: {name} gives single rows ({pipe!r}); put .batch(256) behind it.")
    return pipe


def _sorted_out(metrics: Any) -> tuple[dict[str, RowMetric], dict[str, Metric]]:
    rows: dict[str, RowMetric] = {}
    ignite: dict[str, Metric] = {}
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"Trainer: metrics must be named, as in {{'accuracy': function}}; got {type(metrics).__name__}."
        )
    for name in metrics:
        if name in _OWN_VALUES or str(name).startswith("validation_"):
            raise ValueError(f"Trainer: a metric can't be called {name!r}, which the history uses itself; rename it.")
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
