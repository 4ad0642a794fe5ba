"""What is in memory already, or comes out of an object of the user's, as a source."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import torch

from fireworks.core.chunk import Span
from fireworks.core.in_place import versions
from fireworks.core.pipe import Pipe
from fireworks.core.source import Source
from fireworks.formats.content_hash import ContentHash
from fireworks.formats.sequences import IterableSource, SequenceSource
from fireworks.message import Message, Schema

_READERS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".txt": "text",
    ".fasta": "fasta",
    ".fa": "fasta",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".npy": "npy",
    ".npz": "npz",
    ".safetensors": "safetensors",
    ".png": "images",
    ".jpg": "images",
}


def source(data: Any, *, columns: str | Sequence[str] | None = None, on_error: str = "raise") -> Pipe:
    """Return a pipe over what is in memory already, or what an object gives row by row.

    Args:
        data: One of

            - a message, a DataFrame, a mapping of columns, an Arrow table, a polars frame, a DuckDB relation, a NumPy array of
              records: random access, and nothing is copied that does not have to be;
            - a dataset of Hugging Face: random access to its Arrow table, or a stream;
            - an object with ``__len__`` and ``__getitem__`` whose items are rows (a list of dicts, a torch dataset): random
              access; through ``__getitems__`` where it has one, otherwise one item at a time;
            - a torch ``IterableDataset``: a stream;
            - a function without arguments that returns a new iterable of rows, or of messages, each time it is
              called: a stream, without random access;
            - a tensor or an array, with ``columns="x"``;
            - a pipe, which is returned as it is.

            A row is a mapping of values, a message of one row, or a tuple.
        columns: Names for the parts of tuples, ``"0"``, ``"1"``, … if not given. One name, ``"x"``, for items that are one value
            each, and for a tensor or an array.
        on_error: ``"quarantine"`` to set items aside that raise, or that can't be rows like the first; the pipe is a
            stream then.

    Raises:
        TypeError: it is none of these. A generator is none: it could be read only once.
        ValueError: ``columns`` or ``on_error`` makes no sense for it.

    Example:
        >>> fw.source([{"word": "fire"}, {"word": "works"}])[1]["word"].tolist()
        ['works']
        >>> stream = fw.source(lambda: ({"n": n} for n in range(5)))
        >>> [batch["n"].tolist() for batch in stream.batch(3)]
        [[0, 1, 2], [3, 4]]
        >>> fw.source([(torch.zeros(2), 7), (torch.ones(2), 8)], columns=["x", "label"])[1].to_dict()
        {'x': [[1.0, 1.0]], 'label': [8]}
    """
    if isinstance(data, (str, Path)):
        reader = _READERS.get(Path(data).suffix.lower(), "parquet")
        raise TypeError(f"source: {str(data)!r} is the name of a file; read it: fw.read_{reader}({str(data)!r}).")
    if isinstance(columns, str) and _is_one_column(data):
        data, columns = {columns: data}, None
    if _holds_columns(data):
        for name, given in {"columns": columns is not None, "on_error": on_error != "raise"}.items():
            if given:
                raise ValueError(
                    f"source: {name} is for items that come one by one; a {type(data).__name__} has columns already."
                )
        return data if isinstance(data, Pipe) else MemorySource(data)
    if _is_one_column(data):
        raise TypeError(
            f"source: a {type(data).__name__} is one column; name it: fw.source({{'x': …}}), or columns='x'."
        )
    if (found := _of_hugging_face(data, columns, on_error)) is not None:
        return found
    if isinstance(data, torch.utils.data.IterableDataset):
        return IterableSource(data.__iter__, columns, on_error=on_error, name=type(data).__name__)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, (bytes, bytearray)):
        return SequenceSource(data, columns, on_error=on_error)
    if callable(data):
        return IterableSource(data, columns, on_error=on_error)
    again = ""
    if hasattr(data, "__iter__") and not isinstance(data, (bytes, bytearray)):
        again = " Pass a function that begins it anew, because each pass reads it again: fw.source(lambda: …)."
    raise TypeError(
        f"source: expected a message, a DataFrame, a mapping of columns, a sequence of rows or a function that returns "
        f"an iterable of rows; got {type(data).__name__}.{again}"
    )


def _holds_columns(data: Any) -> bool:
    if _is_one_column(data) or _hugging_face(data) is not None:
        return False
    is_records = isinstance(data, np.ndarray) and data.dtype.names is not None
    return is_records or isinstance(data, (Pipe, Message, pd.DataFrame, Mapping)) or hasattr(data, "__arrow_c_stream__")


def _is_one_column(data: Any) -> bool:
    """Tell whether it is a column without a name: an array, a Series, also one of polars or Arrow."""
    if isinstance(data, np.ndarray):
        return data.dtype.names is None
    if isinstance(data, (torch.Tensor, pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        return True
    module, kind = type(data).__module__.partition(".")[0], type(data).__name__
    return (module, kind) in {("polars", "Series"), ("pyarrow", "ChunkedArray")} or (
        module == "pyarrow" and hasattr(data, "__arrow_c_array__") and not hasattr(data, "schema")
    )


def _hugging_face(data: Any) -> Any:
    """Return the library of Hugging Face if this is a dataset of it, else None. Whoever has one has loaded it."""
    module = sys.modules.get("datasets") if type(data).__module__.startswith("datasets.") else None
    return module if hasattr(module, "IterableDatasetDict") else None


def _of_hugging_face(data: Any, columns: str | Sequence[str] | None, on_error: str) -> Pipe | None:
    """Return a source of a dataset of Hugging Face; None for anything else."""
    datasets = _hugging_face(data)
    if datasets is None:
        return None
    if isinstance(data, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        raise TypeError(
            f"source: a {type(data).__name__} holds several datasets, {list(data)}; choose one: "
            f"fw.source(data[{next(iter(data), 'train')!r}])."
        )
    if isinstance(data, datasets.IterableDataset):
        return IterableSource(data.__iter__, columns, on_error=on_error, name="datasets.IterableDataset")
    if not isinstance(data, datasets.Dataset) or data.format["type"] not in {None, "arrow"} or on_error != "raise":
        return None  # with a format of its own its items say what they are
    from fireworks.formats.hugging_face import HuggingFaceSource

    found = HuggingFaceSource(data)
    return found if columns is None else found.select(*([columns] if isinstance(columns, str) else columns))


@final
class MemorySource(Source):
    """The rows of a message; slices share its memory.

    Args:
        data: A message, or what a message can be made of.

    Example:
        >>> MemorySource({"x": [1, 2, 3]})[-1]["x"].tolist()
        [3]
    """

    def __init__(self, data: Any) -> None:
        super().__init__()
        # A message of its own: assigning a column to the caller's later must not change the pipeline.
        self.held: Message = Message(data)
        self._known_fingerprint: tuple[list[int], str] | None = None

    @property
    def schema(self) -> Schema:
        return self.held.schema

    def describe(self) -> str:
        return f"Memory({len(self.held)} rows: {', '.join(self.held.columns)})"

    def count(self) -> int:
        return len(self.held)

    def fetch(self, rows: Span) -> Message:
        return self.held[rows.start : rows.stop] if isinstance(rows, range) else self.held.take(rows)

    def narrowed(self, columns: Sequence[str]) -> MemorySource:
        return MemorySource(self.held.select(*columns))

    def estimated_bytes(self) -> int:
        return self.held.num_bytes

    def fingerprint(self) -> str:
        """Return the SHA-256 of the columns: their names, their types, their values. It is made once.

        Made again after a tensor was changed in place, which torch counts; of NumPy's arrays nobody can tell.

        Raises:
            TypeError: a column holds objects that have no content to compare.
        """
        tensors = [column for column in self.held._columns.values() if isinstance(column, torch.Tensor)]
        counts = versions(tensors)
        if self._known_fingerprint is None or self._known_fingerprint[0] != counts:
            content = ContentHash()
            content.add(self.held)
            self._known_fingerprint = counts, content.hexdigest()
        return self._known_fingerprint[1]

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_known_fingerprint": None}
