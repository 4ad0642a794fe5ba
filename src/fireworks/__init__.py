"""From raw data to a trained PyTorch model whose result can be had again.

Every public name loads on first use, so that ``import fireworks`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fireworks._version import __version__

if TYPE_CHECKING:
    from fireworks.core.iterator import AtEpoch, PipeIterator
    from fireworks.core.junction import Junction
    from fireworks.core.model import Model
    from fireworks.core.pipe import Pipe
    from fireworks.core.recursion import recursive
    from fireworks.core.seeding import seed_everything
    from fireworks.core.source import Source
    from fireworks.core.stages import OrderStage, RowStage
    from fireworks.core.state import Scaffold, Stateful
    from fireworks.database import DBPipe, TablePipe
    from fireworks.experiment import Experiment, Trial
    from fireworks.formats.memory import IterableSource, MemorySource, SequenceSource, source
    from fireworks.junctions.zip import Zip
    from fireworks.message import Field, Message, Schema, TensorArray, TensorDtype, concat
    from fireworks.order.shuffle import Shuffle
    from fireworks.order.split import Part
    from fireworks.training.trainer import Trainer
    from fireworks.transforms.batch import Batch
    from fireworks.transforms.filter import Filter
    from fireworks.transforms.map import Map
    from fireworks.transforms.normalize import Normalize
    from fireworks.transforms.repeat import Repeat
    from fireworks.transforms.select import Select
    from fireworks.transforms.take import Take
    from fireworks.transforms.tensors import Tensors

# name -> the module that defines it
_PUBLIC = {
    "AtEpoch": "fireworks.core.iterator",
    "Batch": "fireworks.transforms.batch",
    "DBPipe": "fireworks.database",
    "Experiment": "fireworks.experiment",
    "Field": "fireworks.message",
    "Filter": "fireworks.transforms.filter",
    "IterableSource": "fireworks.formats.memory",
    "Junction": "fireworks.core.junction",
    "Map": "fireworks.transforms.map",
    "MemorySource": "fireworks.formats.memory",
    "Message": "fireworks.message",
    "Model": "fireworks.core.model",
    "Normalize": "fireworks.transforms.normalize",
    "OrderStage": "fireworks.core.stages",
    "Part": "fireworks.order.split",
    "Pipe": "fireworks.core.pipe",
    "PipeIterator": "fireworks.core.iterator",
    "Repeat": "fireworks.transforms.repeat",
    "RowStage": "fireworks.core.stages",
    "Scaffold": "fireworks.core.state",
    "Schema": "fireworks.message",
    "Select": "fireworks.transforms.select",
    "SequenceSource": "fireworks.formats.memory",
    "Shuffle": "fireworks.order.shuffle",
    "Source": "fireworks.core.source",
    "Stateful": "fireworks.core.state",
    "TablePipe": "fireworks.database",
    "Take": "fireworks.transforms.take",
    "TensorArray": "fireworks.message",
    "TensorDtype": "fireworks.message",
    "Tensors": "fireworks.transforms.tensors",
    "Trainer": "fireworks.training.trainer",
    "Trial": "fireworks.experiment",
    "Zip": "fireworks.junctions.zip",
    "concat": "fireworks.message",
    "recursive": "fireworks.core.recursion",
    "seed_everything": "fireworks.core.seeding",
    "source": "fireworks.formats.memory",
}

__all__ = [
    "AtEpoch",
    "Batch",
    "DBPipe",
    "Experiment",
    "Field",
    "Filter",
    "IterableSource",
    "Junction",
    "Map",
    "MemorySource",
    "Message",
    "Model",
    "Normalize",
    "OrderStage",
    "Part",
    "Pipe",
    "PipeIterator",
    "Repeat",
    "RowStage",
    "Scaffold",
    "Schema",
    "Select",
    "SequenceSource",
    "Shuffle",
    "Source",
    "Stateful",
    "TablePipe",
    "Take",
    "TensorArray",
    "TensorDtype",
    "Tensors",
    "Trainer",
    "Trial",
    "Zip",
    "__version__",
    "concat",
    "recursive",
    "seed_everything",
    "source",
]


def __getattr__(name: str) -> Any:
    if name in {"errors", "testing"}:  # modules to name in full: fw.errors.StateError, fw.testing.PipeContract
        return importlib.import_module(f"fireworks.{name}")
    if name not in _PUBLIC:
        from fireworks.errors import did_you_mean

        raise AttributeError(f"module 'fireworks' has no attribute {name!r}.{did_you_mean(name, _PUBLIC)}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
