"""A dataset of Hugging Face as a source: rows out of its Arrow table, which is mapped into memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any, final

import numpy as np
import pyarrow as pa

from fireworks.core.chunk import Span, groups
from fireworks.core.flow import read_rows
from fireworks.core.source import Source
from fireworks.formats.content_hash import ContentHash
from fireworks.message import Message, Schema
from fireworks.message.columns import Positions
from fireworks.message.interchange.arrow import columns_of_table


@final
class HuggingFaceSource(Source):
    """The rows of a ``datasets.Dataset``, as they are in its Arrow table, in the order of its own indices.

    Features that the library decodes, such as images, come as they are stored; ``dataset.with_format("torch")`` has them
    decoded, and is read item by item. A column that has a null anywhere is of the type that has nulls everywhere.

    Args:
        dataset: One without a format, or with ``"arrow"``.

    Example:
        >>> import datasets
        >>> data = datasets.Dataset.from_dict({"n": [3, 1, 2], "word": ["c", "a", "b"]}).select([1, 2, 0])
        >>> HuggingFaceSource(data)[[2, 0]].to_dict()
        {'n': [3, 1], 'word': ['c', 'a']}
    """

    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self._dataset = dataset.with_format("arrow")
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._found: _Rows | None = None

    @property
    def _rows(self) -> _Rows:
        with self._lock:
            if self._found is None:
                self._found = _Rows(self._dataset)
            return self._found

    @cached_property
    def _may_be_null(self) -> frozenset[str]:
        """Columns with a null in the table; of rows that the indices leave out too, because looking would read them."""
        table = self._dataset.data
        return frozenset(name for name in self._dataset.column_names if table.column(name).null_count)

    @cached_property
    def schema(self) -> Schema:
        """The columns, from the table's own schema."""
        return self.fetch(range(0)).schema

    def describe(self) -> str:
        """Return the source as text."""
        return f"HuggingFace({len(self._dataset)} rows: {', '.join(self._dataset.column_names)})"

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._dataset)

    def fetch(self, rows: Span) -> Message:
        """Return the rows at the given row numbers, in that order."""
        return self._message(self._rows.fetch(rows))

    def _message(self, table: Any) -> Message:
        stored = {}
        for name in table.column_names:
            part = table.select([name])
            add_null = name in self._may_be_null and not part.column(0).null_count
            if add_null:  # a null more, so that the type is the one that has nulls
                part = pa.concat_tables([part, part.schema.empty_table(), _null_row(part.schema)])
            column = columns_of_table(part)[name]
            stored[name] = column[:-1] if add_null else column
        return Message._of(stored, table.num_rows)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name not in {"_lock", "_found"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def narrowed(self, columns: Sequence[str]) -> HuggingFaceSource:
        """Return a source of the same rows that reads only the named columns."""
        wanted = [name for name in self._dataset.column_names if name in set(columns)]
        if not wanted or wanted == self._dataset.column_names:
            return self
        return HuggingFaceSource(self._dataset.select_columns(wanted))

    def fingerprint(self) -> str:
        """Return the SHA-256 of the columns: their names, their types, their values. It is made once."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        content = ContentHash()
        content.add(self.fetch(range(0)))
        for rows in groups(range(self.count()), read_rows(self.schema.row_bytes)):
            content.add(self.fetch(rows))
        return content.hexdigest()


class _Rows:
    """The rows of a dataset, in the order of its indices, out of the pieces that its table consists of.

    The library itself gathers rows one by one, and Arrow joins all pieces of a column of texts first.

    Args:
        dataset: Of Hugging Face.
    """

    def __init__(self, dataset: Any) -> None:
        table = dataset.data.table.select(dataset.column_names).replace_schema_metadata(None)
        self._table, self._batches = table.schema.empty_table(), table.to_batches()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])[:-1]
        indices = dataset._indices
        self._indices = None if indices is None else indices.column(0).to_numpy().astype(np.int64, copy=False)

    def fetch(self, rows: Span) -> Any:
        """Return rows as a table; a range of the table itself is a view."""
        if not len(rows):
            return self._table
        if self._indices is not None:
            return self._gathered(
                self._indices[rows.start : rows.stop] if isinstance(rows, range) else self._indices[rows]
            )
        if not isinstance(rows, range):
            return self._gathered(rows)
        first, last = np.searchsorted(self._starts, [rows.start, rows.stop - 1], side="right") - 1
        table = pa.Table.from_batches(self._batches[int(first) : int(last) + 1])
        return table.slice(rows.start - int(self._starts[first]), len(rows))

    def _gathered(self, positions: Positions) -> Any:
        order = np.argsort(positions, kind="stable")
        placed = positions[order]
        slots = np.searchsorted(self._starts, placed, side="right") - 1
        touched, begins = np.unique(slots, return_index=True)
        parts = [
            self._batches[number].take(pa.array(places - self._starts[number]))
            for number, places in zip(touched.tolist(), np.split(placed, begins[1:]), strict=True)
        ]
        inverse = np.empty(len(order), dtype=np.int64)
        inverse[order] = np.arange(len(order))
        return pa.Table.from_batches(parts).combine_chunks().take(pa.array(inverse))


def _null_row(schema: Any) -> Any:
    return pa.table([pa.nulls(1, schema.field(0).type)], schema=schema)
