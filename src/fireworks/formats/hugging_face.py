"""A dataset of Hugging Face as a source: rows out of its Arrow table, which is mapped into memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, final

import pyarrow as pa

from fireworks.core.chunk import Span, as_positions, groups
from fireworks.core.flow import read_rows
from fireworks.core.source import Source
from fireworks.formats.content_hash import ContentHash
from fireworks.message import Message, Schema
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
        if isinstance(rows, range):
            table = self._dataset[rows.start : rows.stop] if len(rows) else self._no_rows
        else:
            table = self._dataset[as_positions(rows)]
        return self._message(table.replace_schema_metadata(None))

    @property
    def _no_rows(self) -> Any:
        return self._dataset.data.table.schema.empty_table().select(self._dataset.column_names)

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


def _null_row(schema: Any) -> Any:
    return pa.table([pa.nulls(1, schema.field(0).type)], schema=schema)
