"""Columns that stand in the names of folders, ``year=2024/month=3``, as Hive writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from fireworks.errors import ColumnNotFoundError, SchemaMismatchError
from fireworks.formats.arrow_names import arrow_type

_NULL = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"-?\d{1,18}")


def partitions_of(inside: Sequence[str], types: Mapping[str, Any] | None, *, where: str) -> dict[str, Any]:
    """Return the columns that the folders of some files name: an Arrow array each, with one value per file.

    Args:
        inside: The path of each file below the folder that was named.
        types: By column, the type; integers or texts where none is given, by what is there.
        where: The function that the user called.

    Raises:
        SchemaMismatchError: two files don't name the same columns.
        ColumnNotFoundError: a type is given for a column that no folder names.
        ValueError: a value has not the type that was given, or a type is none.

    Source:
        Apache Hive's layout of partitioned tables: ``key=value``, percent-encoded, nulls as ``__HIVE_DEFAULT_PARTITION__``.

    Example:
        >>> found = partitions_of(["year=2024/kind=a/0.csv", "year=2025/kind=b/0.csv"], None, where="this example")
        >>> {name: (str(values.type), values.to_pylist()) for name, values in found.items()}
        {'year': ('int64', [2024, 2025]), 'kind': ('string', ['a', 'b'])}
    """
    if types is not None and not isinstance(types, Mapping):
        raise TypeError(
            f"{where}: partitions is a mapping from columns to types, {{'year': 'int32'}}; got {types!r:.60}."
        )
    texts: dict[str, list[str | None]] = {}
    for number, path in enumerate(inside):
        named = _named(path)
        if number and list(named) != list(texts):
            raise SchemaMismatchError(
                f"{where}: the folders of {inside[0]!r} name the columns {list(texts)} and those of {path!r} {list(named)}; "
                "files that are read as one need the same ones: read them one by one, or move them."
            )
        for name, text in named.items():
            texts.setdefault(name, []).append(text)
    for name in types or {}:
        if name not in texts:
            raise ColumnNotFoundError(name, available=texts, where=f"{where}: partitions")
    return {name: _typed(name, values, (types or {}).get(name), where) for name, values in texts.items()}


def _named(path: str) -> dict[str, str | None]:
    named = {}
    for folder in PurePosixPath(path).parts[:-1]:
        name, sign, value = folder.partition("=")
        if sign and name:
            named[unquote(name)] = None if value == _NULL else unquote(value)
    return named


def _typed(name: str, values: list[str | None], kind: Any, where: str) -> Any:
    if kind is None:
        is_integer = all(value is None or _INTEGER.fullmatch(value) for value in values)
        target = pa.int64() if is_integer and any(value is not None for value in values) else pa.string()
    else:
        target = arrow_type(kind, name=name, where=f"{where}: partitions")
    try:
        return pa.array(values, pa.string()).cast(target)
    except pa.ArrowException as error:
        raise ValueError(
            f"{where}: the folders' column {name!r} can't be {target}: {error}; give it another type."
        ) from error
