"""A module that is a pipe too: it reads columns of a message and adds columns to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fireworks.core.in_place import first_changed, versions
from fireworks.core.junction import Junction
from fireworks.core.pipe import Pipe
from fireworks.core.recursion import MISSING
from fireworks.core.stages import RowStage
from fireworks.errors import ColumnLengthError, ColumnNotFoundError, ColumnTypeError, ColumnValueError
from fireworks.message import Message


class Model(nn.Module, RowStage):
    """A ``torch.nn.Module`` from message to message, that may stand in a pipeline.

    Wrap a plain module by naming the columns that it reads and writes, or subclass and write `forward`. Called with a
    message it first calls its input, if it has one, so that ``last(message)`` runs a whole chain of models; the input
    is no submodule, and its parameters are found by `all_parameters`. Everything that a module can do still works:
    hooks, ``state_dict``, ``to``, ``train``.

    Args:
        module: Any module, called with the tensors of ``in_columns`` in that order. None in a subclass.
        in_columns: The columns that it reads.
        out_columns: The columns that it writes, one per tensor that it returns.
        input: Another model or pipe, whose rows this model reads; None for a model that is only called.

    Shapes:
        as the module's; the first dimension of what it returns counts the rows.

    Raises:
        TypeError: ``module`` is no module.
        ValueError: columns are named without a module, or a module without columns.
        AttributeError: a subclass gives a part the name of something that every model has, such as ``head``.
        ColumnNotFoundError: a message lacks a column that is read.
        ColumnTypeError: a column that is read is no tensor, or the module returns something else than tensors.
        ColumnLengthError: it returns another number of rows, or of tensors, than there are.
        ColumnValueError: it changes a column that it reads in place.

    Example:
        >>> net = torch.nn.Linear(3, 2)
        >>> model = fw.Model(net, in_columns=["x"], out_columns=["logits"])
        >>> model(fw.Message({"x": torch.zeros(5, 3)}))["logits"].shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        module: nn.Module | None = None,
        in_columns: Sequence[str] = (),
        out_columns: Sequence[str] = (),
        *,
        input: Pipe | None = None,
    ) -> None:
        nn.Module.__init__(self)
        RowStage.__init__(self, input)
        if module is not None and not isinstance(module, nn.Module):
            made = (
                f"the class {module.__name__}; make one: {module.__name__}(…)"
                if isinstance(module, type)
                else type(module).__name__
            )
            raise TypeError(f"Model: expected a torch.nn.Module; got {made}.")
        if isinstance(in_columns, str) or isinstance(out_columns, str):
            raise TypeError("Model: in_columns and out_columns are lists of names; write in_columns=['x'].")
        if (module is None) != (not in_columns and not out_columns) or bool(in_columns) != bool(out_columns):
            raise ValueError(
                "Model: a module needs in_columns and out_columns; a subclass writes forward and names none."
            )
        if module is not None:
            self.module = module
        self.in_columns, self.out_columns = list(in_columns), list(out_columns)

    def forward(self, message: Message) -> Message:
        """Return the message with the module's columns added."""
        if "module" not in self._modules:
            raise NotImplementedError(f"{type(self).__name__}: a model without a module must write forward(message).")
        columns = [self._read(message, name) for name in self.in_columns]
        before = versions(columns)
        try:
            returned = self.module(*columns)
        except Exception as error:
            shapes = ", ".join(f"{n}: {tuple(c.shape)}" for n, c in zip(self.in_columns, columns, strict=True))
            error.add_note(f"In {self.describe()}, which called the module with one tensor per column: {shapes}.")
            raise
        if (changed := first_changed(self.in_columns, columns, before)) is not None:
            raise ColumnValueError(
                f"{self.describe()}: the module changed column {changed!r} in place, and with it the data that the "
                "column is a view of. Its first layer must not work in place: write inplace=False."
            )
        tensors = (returned,) if isinstance(returned, torch.Tensor) else returned
        if not isinstance(tensors, (tuple, list)) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
            raise ColumnTypeError(
                f"{self.describe()}: the module must return a tensor or a tuple of tensors; got {type(returned).__name__}."
            )
        if len(tensors) != len(self.out_columns):
            raise ColumnLengthError(
                f"{self.describe()}: the module returned {len(tensors)} tensors for out_columns {self.out_columns}."
            )
        for name, tensor in zip(self.out_columns, tensors, strict=True):
            if tensor.dim() == 0 or tensor.shape[0] != len(message):
                raise ColumnLengthError(
                    f"{self.describe()}: column {name!r} must have {len(message)} rows, as the input has; "
                    f"the module returned shape {tuple(tensor.shape)}."
                )
        return message.assign(**dict(zip(self.out_columns, tensors, strict=True)))

    def _read(self, message: Message, name: str) -> torch.Tensor:
        if name not in message:
            raise ColumnNotFoundError(name, available=message.columns, where=self.describe())
        column = message.raw(name)
        if not isinstance(column, torch.Tensor):
            raise ColumnTypeError(
                f"{self.describe()}: column {name!r} holds {column.dtype}, not a tensor; put .tensors() before the model."
            )
        return column

    # --- as a pipe ------------------------------------------------------------------------------------------------

    def __call__(self, message: Message) -> Message:
        """Call the input, if there is one, then this model; module hooks run as ever."""
        if not isinstance(message, Message):
            message = Message(message)
        if self.input is not None:
            message = self.input(message)
        return self.checked(self.transform(message), len(message))

    def transform(self, rows: Message) -> Message:
        """Run this model alone."""
        result: Message = nn.Module.__call__(self, rows)
        return result

    def describe(self) -> str:
        """Return the model as text: its module, the columns that it reads and writes."""
        if "module" not in self._modules:
            return f"{type(self).__name__}()"
        columns = f"{', '.join(self.in_columns)} -> {', '.join(self.out_columns)}"
        return f"{type(self).__name__}({type(self.module).__name__}: {columns})"

    def __repr__(self) -> str:
        return nn.Module.__repr__(self) if self.input is None else Pipe.__repr__(self)

    # --- attributes: our own, then those upstream -----------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        own = _registered(self, name)
        return Pipe.__getattr__(self, name) if own is MISSING else own

    def __getstate__(self) -> dict[str, Any]:
        # torch's modules have one too, which would let the flow and the last pass travel along.
        kept = Pipe.__getstate__(self)
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {name: value for name, value in state.items() if name in kept} | {"_run": None}

    def own_attribute(self, name: str) -> Any:
        """Return an attribute, parameter, buffer or submodule that this model itself has, or ``MISSING``."""
        own = Pipe.own_attribute(self, name)
        return _registered(self, name) if own is MISSING else own

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (nn.Module, nn.Parameter)) and (hasattr(Model, name) or name == "input"):
            raise AttributeError(
                f"{type(self).__name__}: every model has a {name!r} of its own as a pipe, which would hide the "
                f"{type(value).__name__}; give that another name, such as {name}_."
            )
        super().__setattr__(name, value)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Register a parameter, whatever has its name upstream."""
        with _looking_here_only(self):
            super().register_parameter(name, param)

    def register_buffer(self, name: str, tensor: torch.Tensor | None, persistent: bool = True) -> None:  # noqa: FBT001, FBT002 (torch's signature)
        """Register a buffer, whatever has its name upstream."""
        with _looking_here_only(self):
            super().register_buffer(name, tensor, persistent)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """Register a submodule, whatever has its name upstream."""
        with _looking_here_only(self):
            super().add_module(name, module)

    def train(self, mode: bool = True) -> Model:  # noqa: FBT001, FBT002 (torch's signature)
        """Set training or evaluation mode here and in every model upstream, which this one calls."""
        for model in models_upstream(self):
            nn.Module.train(model, mode)
        return self

    # --- parameters -----------------------------------------------------------------------------------------------

    def all_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of this model and of every model upstream, each once, through junctions too."""
        found = {id(parameter): parameter for model in models_upstream(self) for parameter in model.parameters()}
        yield from found.values()

    def freeze(self, *names: str) -> None:
        """Keep parameters from being trained: all of this model, or those of the named submodules or parameters.

        Raises:
            ValueError: no parameter has such a name or stands below it.

        Example:
            >>> model = fw.Model(torch.nn.Linear(2, 1), in_columns=["x"], out_columns=["y"])
            >>> model.freeze("module.bias")
            >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
            ['module.weight']
        """
        self._set_trained(names, trained=False)

    def unfreeze(self, *names: str) -> None:
        """Let parameters be trained again: all of this model, or those of the named submodules or parameters.

        Raises:
            ValueError: no parameter has such a name or stands below it.
        """
        self._set_trained(names, trained=True)

    def _set_trained(self, names: tuple[str, ...], *, trained: bool) -> None:
        parameters = dict(self.named_parameters(remove_duplicate=False))  # a shared one has every name that it is given
        for name in names:
            if not any(_is_below(known, name) for known in parameters):
                raise ValueError(f"{self.describe()}: no parameter {name!r}; parameters are {list(parameters)}.")
        for known, parameter in parameters.items():
            if not names or any(_is_below(known, name) for name in names):
                parameter.requires_grad_(trained)


def _is_below(known: str, name: str) -> bool:
    return known == name or known.startswith(f"{name}.")


def _registered(model: nn.Module, name: str) -> Any:
    """Return a parameter, buffer or submodule of a module by its name, or ``MISSING``."""
    for kind in ("_parameters", "_buffers", "_modules"):
        registered = model.__dict__.get(kind, {})
        if name in registered:
            return registered[name]
    return MISSING


@contextmanager
def _looking_here_only(model: Model) -> Iterator[None]:
    """Hide the input from torch, which asks whether a name is taken before it registers it."""
    hidden = model.__dict__.get("input")
    object.__setattr__(model, "input", None)
    try:
        yield
    finally:
        object.__setattr__(model, "input", hidden)


def upstream_pipes(pipe: Pipe) -> Iterator[Pipe]:
    """Yield the pipe and everything upstream, each once: along inputs, components of junctions, models inside models."""
    seen: set[int] = set()
    waiting = [pipe]
    while waiting:
        stage = waiting.pop()
        if id(stage) not in seen:
            seen.add(id(stage))
            yield stage
            waiting.extend(reversed(_inputs(stage)))


def models_upstream(model: Model) -> list[Model]:
    """Return the model and every model upstream, each once."""
    return [pipe for pipe in upstream_pipes(model) if isinstance(pipe, Model)]


def all_modules(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the module and its submodules; of a model also those of every model upstream, which it calls."""
    for each in models_upstream(module) if isinstance(module, Model) else [module]:
        yield from each.modules()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module, with all models upstream, into evaluation mode without gradients, and then back as each was."""
    modules = list(all_modules(module))
    with _evaluated_lock:
        for each in modules:
            # Several threads may have one module at a time: the first notes how it was, the last puts it back.
            count, was_training = _evaluated.get(id(each), (0, each.training))
            _evaluated[id(each)] = count + 1, was_training
            each.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        with _evaluated_lock:
            for each in modules:
                count, was_training = _evaluated.pop(id(each))
                if count > 1:
                    _evaluated[id(each)] = count - 1, was_training
                else:
                    each.training = was_training


_evaluated: dict[int, tuple[int, bool]] = {}  # by id: how many are at it, and whether it was in training mode
_evaluated_lock = threading.RLock()


def _inputs(pipe: Pipe) -> list[Pipe]:
    models = [module for module in pipe.modules() if isinstance(module, Model)] if isinstance(pipe, nn.Module) else []
    inputs = [each.input for each in [pipe, *models] if each.input is not None]
    return [*inputs, *pipe.components.values()] if isinstance(pipe, Junction) else inputs
