"""What is minimised and what is watched: a loss over a message, and means over rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch

from fireworks.errors import ColumnLengthError, ColumnTypeError, ColumnValueError
from fireworks.message import Message

# What a user's function returns is checked where it is called, hence Any.
Loss: TypeAlias = "Callable[[Message], Any] | tuple[Callable[..., Any], str, str]"
RowMetric: TypeAlias = Callable[[Message], Any]

_SHOWN = 5


def loss_of(loss: Loss) -> Callable[[Message], Any]:
    """Return a loss as a function of a message: a function passes, ``(fn, "logits", "label")`` reads two columns.

    Raises:
        TypeError: it is neither.
        ColumnTypeError: when it is called, a column of numbers is no tensor.
        ColumnValueError: when it is called, the function fails over a label outside the classes.

    Example:
        >>> mse = loss_of((torch.nn.functional.mse_loss, "y", "target"))
        >>> mse(fw.Message({"y": torch.ones(2), "target": torch.zeros(2)}))
        tensor(1.)
    """
    parts: Any = loss
    if isinstance(parts, tuple):
        if len(parts) != 3 or not callable(parts[0]) or not all(isinstance(name, str) for name in parts[1:]):
            raise TypeError(f"Trainer: loss must be a function, or (function, output, target); got {loss!r:.80}.")
        return _OfColumns(*parts)
    if isinstance(loss, torch.nn.Module) and type(loss).__module__.startswith("torch.nn."):
        raise TypeError(
            f"Trainer: a loss is called with a message, and {type(loss).__name__} wants two tensors; "
            f"write loss=({type(loss).__name__}(), 'output column', 'target column')."
        )
    if not callable(loss):
        raise TypeError(f"Trainer: loss must be a function, or (function, output, target); got {loss!r:.80}.")
    return loss


class _OfColumns:
    """A loss of two columns, with a sentence of its own for a label outside the range."""

    def __init__(self, function: Callable[..., Any], output: str, target: str) -> None:
        self._function, self._output, self._target = function, output, target

    def __call__(self, message: Message) -> Any:
        output, target = message[self._output], message[self._target]
        try:
            return self._function(output, target)
        except (IndexError, RuntimeError, TypeError) as error:
            # Looking costs nothing until something has gone wrong.
            self._look_at_columns(message, error)
            raise

    def _look_at_columns(self, message: Message, error: Exception) -> None:
        output, target = message.raw(self._output), message.raw(self._target)
        for name, column in ((self._output, output), (self._target, target)):
            if not isinstance(column, torch.Tensor) and getattr(column.dtype, "kind", "O") in "biuf":
                raise ColumnTypeError(
                    f"Trainer: column {name!r} of the loss holds {column.dtype}, not a tensor; put .tensors() before .batch."
                ) from error
        if not isinstance(output, torch.Tensor) or not isinstance(target, torch.Tensor):
            return
        if output.dim() != 2 or target.dim() != 1 or target.is_floating_point() or target.device.type != "cpu":
            return  # no labels; or on a device that does no more after such an error
        num_classes = output.shape[1]
        wrong = ((target < 0) | (target >= num_classes)) & (target != ignored_label(self._function))
        rows = wrong.nonzero().flatten()
        if len(rows):
            shown = rows[:_SHOWN].tolist()
            raise ColumnValueError(
                f"Trainer: column {self._target!r} has {len(rows)} labels outside 0 to {num_classes - 1}, the classes of "
                f"{self._output!r}: {[int(target[row]) for row in shown]} in rows {shown} of this batch."
            ) from error


def ignored_label(function: Callable[..., Any]) -> int:
    """Return the label that a loss leaves out: its ``ignore_index``, which is -100 in torch unless it is given.

    Example:
        >>> ignored_label(torch.nn.CrossEntropyLoss(ignore_index=0)), ignored_label(torch.nn.functional.cross_entropy)
        (0, -100)
    """
    keywords = getattr(function, "keywords", {})  # of a functools.partial
    return int(keywords.get("ignore_index", getattr(function, "ignore_index", -100)))


class RowMeans:
    """Means over all rows that were seen, in float64, of a loss and of metrics that give one value per row.

    Args:
        names: Of the values that `add` gets.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._rows = 0
        self._sums: dict[str, torch.Tensor | float] = {}

    def add(self, num_rows: int, sums: Mapping[str, torch.Tensor | float]) -> None:
        """Add the sums of one batch; no value leaves its device."""
        self._rows += num_rows
        for name, value in sums.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def means(self) -> dict[str, float]:
        """Return the mean of each value; empty if there was no row."""
        return {name: float(self._sums[name]) / self._rows for name in self._names if self._rows}

    def state_dict(self) -> dict[str, Any]:
        """Return rows and sums so far."""
        return {"rows": self._rows, "sums": dict(self._sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from rows and sums."""
        self._rows, self._sums = int(state["rows"]), dict(state["sums"])


def row_sum(name: str, metric: RowMetric, message: Message) -> torch.Tensor:
    """Return the sum of a metric over the rows of a message, in float64.

    Raises:
        ColumnLengthError: the metric gave something else than one value per row.
    """
    values = metric(message)
    if not isinstance(values, torch.Tensor) or values.shape != (len(message),):
        got = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        raise ColumnLengthError(
            f"Trainer: metric {name!r} must give one value per row, shape ({len(message)},); got {got}."
        )
    total: torch.Tensor = values.detach().double().sum()
    return total


def weighted(mean: torch.Tensor, num_rows: int) -> torch.Tensor | float:
    """Return a mean times the number of its rows, in float64; a number of its own where that waits for no device.

    Example:
        >>> weighted(torch.tensor(0.5), 3)
        1.5
    """
    if mean.device.type == "cpu":
        return float(mean.item()) * num_rows
    total: torch.Tensor = mean.detach().double() * num_rows
    return total
