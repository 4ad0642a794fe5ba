"""From raw data to a trained PyTorch model whose result can be had again.

Every public name loads on first use, so that ``import fireworks`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fireworks._version import __version__

if TYPE_CHECKING:
    from fireworks.cache.cache import Cache
    from fireworks.cache.message_cache import MessageCache
    from fireworks.core.budget import memory_budget
    from fireworks.core.iterable_dataset import PipeIterableDataset
    from fireworks.core.iterator import AtEpoch, PipeIterator
    from fireworks.core.junction import Junction
    from fireworks.core.links import link
    from fireworks.core.map_dataset import PipeDataset
    from fireworks.core.model import Model
    from fireworks.core.pipe import Pipe
    from fireworks.core.recursion import recursive
    from fireworks.core.seeding import seed_everything
    from fireworks.core.source import Source
    from fireworks.core.stages import OrderStage, RowStage
    from fireworks.core.state import Scaffold, Stateful
    from fireworks.database import DBPipe, TablePipe
    from fireworks.experiment import Experiment, Trial
    from fireworks.formats.arrow_source import ArrowSource, read_arrow
    from fireworks.formats.csv_source import CsvSource, read_csv
    from fireworks.formats.fasta_source import FastaSource, read_fasta
    from fireworks.formats.idx_source import IdxSource, read_idx
    from fireworks.formats.image_source import ImageSource, read_images
    from fireworks.formats.json_source import JsonSource, read_json
    from fireworks.formats.memory import MemorySource, source
    from fireworks.formats.npy_source import NpySource, read_npy
    from fireworks.formats.npz_source import NpzSource, read_npz
    from fireworks.formats.parquet_source import ParquetSource, read_parquet
    from fireworks.formats.safetensors_source import SafetensorsSource, read_safetensors
    from fireworks.formats.sequences import IterableSource, SequenceSource
    from fireworks.formats.text_source import TextSource, read_text
    from fireworks.junctions.branch import Branch
    from fireworks.junctions.concat import Concat
    from fireworks.junctions.cycle import Cycle
    from fireworks.junctions.feedback import Feedback
    from fireworks.junctions.join import Join
    from fireworks.junctions.mix import Mix
    from fireworks.junctions.replay import Replay
    from fireworks.junctions.switch import Switch
    from fireworks.junctions.zip import Zip
    from fireworks.message import Field, Message, Schema, TensorArray, TensorDtype, concat
    from fireworks.order.bootstrap import Bootstrap
    from fireworks.order.by_hash import HashPart
    from fireworks.order.by_time import TimePart
    from fireworks.order.kfold import Fold
    from fireworks.order.oversample import Oversample
    from fireworks.order.sample import Sample
    from fireworks.order.shard import Shard
    from fireworks.order.shuffle import Shuffle
    from fireworks.order.split import Part
    from fireworks.order.train_test_split import train_test_split
    from fireworks.parallel.prefetch import Prefetch
    from fireworks.parallel.progress import Progress
    from fireworks.parallel.with_budget import WithBudget
    from fireworks.plan.switch import optimisation
    from fireworks.spill.scratch import scratch_folder
    from fireworks.training.trainer import Trainer
    from fireworks.transforms.batch import Batch
    from fireworks.transforms.bucket import Bucket
    from fireworks.transforms.cast import Cast
    from fireworks.transforms.drop import Drop
    from fireworks.transforms.enumerate import Enumerate
    from fireworks.transforms.filter import Filter
    from fireworks.transforms.flatten import Flatten
    from fireworks.transforms.gradients import Gradients
    from fireworks.transforms.hooked import Hooked
    from fireworks.transforms.label import Label
    from fireworks.transforms.label_index import LabelIndex
    from fireworks.transforms.map import Map
    from fireworks.transforms.map_rows import MapRows
    from fireworks.transforms.normalize import Normalize
    from fireworks.transforms.one_hot import OneHot
    from fireworks.transforms.pad import Pad
    from fireworks.transforms.rebatch import Rebatch
    from fireworks.transforms.rename import Rename
    from fireworks.transforms.repeat import Repeat
    from fireworks.transforms.select import Select
    from fireworks.transforms.skip import Skip
    from fireworks.transforms.slice import Slice
    from fireworks.transforms.take import Take
    from fireworks.transforms.tap import Tap
    from fireworks.transforms.tensors import Tensors
    from fireworks.transforms.unbatch import Unbatch
    from fireworks.transforms.window import Window

# name -> the module that defines it
_PUBLIC = {
    "ArrowSource": "fireworks.formats.arrow_source",
    "AtEpoch": "fireworks.core.iterator",
    "Batch": "fireworks.transforms.batch",
    "Bootstrap": "fireworks.order.bootstrap",
    "Branch": "fireworks.junctions.branch",
    "Bucket": "fireworks.transforms.bucket",
    "Cache": "fireworks.cache.cache",
    "Cast": "fireworks.transforms.cast",
    "Concat": "fireworks.junctions.concat",
    "CsvSource": "fireworks.formats.csv_source",
    "Cycle": "fireworks.junctions.cycle",
    "DBPipe": "fireworks.database",
    "Drop": "fireworks.transforms.drop",
    "Enumerate": "fireworks.transforms.enumerate",
    "Experiment": "fireworks.experiment",
    "FastaSource": "fireworks.formats.fasta_source",
    "Feedback": "fireworks.junctions.feedback",
    "Field": "fireworks.message",
    "Filter": "fireworks.transforms.filter",
    "Flatten": "fireworks.transforms.flatten",
    "Fold": "fireworks.order.kfold",
    "Gradients": "fireworks.transforms.gradients",
    "HashPart": "fireworks.order.by_hash",
    "Hooked": "fireworks.transforms.hooked",
    "IdxSource": "fireworks.formats.idx_source",
    "ImageSource": "fireworks.formats.image_source",
    "IterableSource": "fireworks.formats.sequences",
    "Join": "fireworks.junctions.join",
    "JsonSource": "fireworks.formats.json_source",
    "Junction": "fireworks.core.junction",
    "Label": "fireworks.transforms.label",
    "LabelIndex": "fireworks.transforms.label_index",
    "Map": "fireworks.transforms.map",
    "MapRows": "fireworks.transforms.map_rows",
    "MemorySource": "fireworks.formats.memory",
    "Message": "fireworks.message",
    "MessageCache": "fireworks.cache.message_cache",
    "Mix": "fireworks.junctions.mix",
    "Model": "fireworks.core.model",
    "Normalize": "fireworks.transforms.normalize",
    "NpySource": "fireworks.formats.npy_source",
    "NpzSource": "fireworks.formats.npz_source",
    "OneHot": "fireworks.transforms.one_hot",
    "OrderStage": "fireworks.core.stages",
    "Oversample": "fireworks.order.oversample",
    "Pad": "fireworks.transforms.pad",
    "ParquetSource": "fireworks.formats.parquet_source",
    "Part": "fireworks.order.split",
    "Pipe": "fireworks.core.pipe",
    "PipeDataset": "fireworks.core.map_dataset",
    "PipeIterableDataset": "fireworks.core.iterable_dataset",
    "PipeIterator": "fireworks.core.iterator",
    "Prefetch": "fireworks.parallel.prefetch",
    "Progress": "fireworks.parallel.progress",
    "Rebatch": "fireworks.transforms.rebatch",
    "Rename": "fireworks.transforms.rename",
    "Repeat": "fireworks.transforms.repeat",
    "Replay": "fireworks.junctions.replay",
    "RowStage": "fireworks.core.stages",
    "SafetensorsSource": "fireworks.formats.safetensors_source",
    "Sample": "fireworks.order.sample",
    "Scaffold": "fireworks.core.state",
    "Schema": "fireworks.message",
    "Select": "fireworks.transforms.select",
    "SequenceSource": "fireworks.formats.sequences",
    "Shard": "fireworks.order.shard",
    "Shuffle": "fireworks.order.shuffle",
    "Skip": "fireworks.transforms.skip",
    "Slice": "fireworks.transforms.slice",
    "Source": "fireworks.core.source",
    "Stateful": "fireworks.core.state",
    "Switch": "fireworks.junctions.switch",
    "TablePipe": "fireworks.database",
    "Take": "fireworks.transforms.take",
    "Tap": "fireworks.transforms.tap",
    "TensorArray": "fireworks.message",
    "TensorDtype": "fireworks.message",
    "Tensors": "fireworks.transforms.tensors",
    "TextSource": "fireworks.formats.text_source",
    "TimePart": "fireworks.order.by_time",
    "Trainer": "fireworks.training.trainer",
    "Trial": "fireworks.experiment",
    "Unbatch": "fireworks.transforms.unbatch",
    "Window": "fireworks.transforms.window",
    "WithBudget": "fireworks.parallel.with_budget",
    "Zip": "fireworks.junctions.zip",
    "concat": "fireworks.message",
    "link": "fireworks.core.links",
    "memory_budget": "fireworks.core.budget",
    "optimisation": "fireworks.plan.switch",
    "read_arrow": "fireworks.formats.arrow_source",
    "read_csv": "fireworks.formats.csv_source",
    "read_fasta": "fireworks.formats.fasta_source",
    "read_idx": "fireworks.formats.idx_source",
    "read_images": "fireworks.formats.image_source",
    "read_json": "fireworks.formats.json_source",
    "read_npy": "fireworks.formats.npy_source",
    "read_npz": "fireworks.formats.npz_source",
    "read_parquet": "fireworks.formats.parquet_source",
    "read_safetensors": "fireworks.formats.safetensors_source",
    "read_text": "fireworks.formats.text_source",
    "recursive": "fireworks.core.recursion",
    "scratch_folder": "fireworks.spill.scratch",
    "seed_everything": "fireworks.core.seeding",
    "source": "fireworks.formats.memory",
    "train_test_split": "fireworks.order.train_test_split",
}

__all__ = [
    "ArrowSource",
    "AtEpoch",
    "Batch",
    "Bootstrap",
    "Branch",
    "Bucket",
    "Cache",
    "Cast",
    "Concat",
    "CsvSource",
    "Cycle",
    "DBPipe",
    "Drop",
    "Enumerate",
    "Experiment",
    "FastaSource",
    "Feedback",
    "Field",
    "Filter",
    "Flatten",
    "Fold",
    "Gradients",
    "HashPart",
    "Hooked",
    "IdxSource",
    "ImageSource",
    "IterableSource",
    "Join",
    "JsonSource",
    "Junction",
    "Label",
    "LabelIndex",
    "Map",
    "MapRows",
    "MemorySource",
    "Message",
    "MessageCache",
    "Mix",
    "Model",
    "Normalize",
    "NpySource",
    "NpzSource",
    "OneHot",
    "OrderStage",
    "Oversample",
    "Pad",
    "ParquetSource",
    "Part",
    "Pipe",
    "PipeDataset",
    "PipeIterableDataset",
    "PipeIterator",
    "Prefetch",
    "Progress",
    "Rebatch",
    "Rename",
    "Repeat",
    "Replay",
    "RowStage",
    "SafetensorsSource",
    "Sample",
    "Scaffold",
    "Schema",
    "Select",
    "SequenceSource",
    "Shard",
    "Shuffle",
    "Skip",
    "Slice",
    "Source",
    "Stateful",
    "Switch",
    "TablePipe",
    "Take",
    "Tap",
    "TensorArray",
    "TensorDtype",
    "Tensors",
    "TextSource",
    "TimePart",
    "Trainer",
    "Trial",
    "Unbatch",
    "Window",
    "WithBudget",
    "Zip",
    "__version__",
    "concat",
    "link",
    "memory_budget",
    "optimisation",
    "read_arrow",
    "read_csv",
    "read_fasta",
    "read_idx",
    "read_images",
    "read_json",
    "read_npy",
    "read_npz",
    "read_parquet",
    "read_safetensors",
    "read_text",
    "recursive",
    "scratch_folder",
    "seed_everything",
    "source",
    "train_test_split",
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
