"""JSON: one object per row, or the other shapes that pandas knows; with a schema every value comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

from pandas.arrays import NumpyExtensionArray

from fireworks._internal.files import open_file, whole_file
from fireworks.formats.compression import packed, unpacked
from fireworks.formats.spelling import conformed, plain_values
from fireworks.message import Message, Schema
from fireworks.message.conversion.kinds import object_array
from fireworks.message.conversion.lists import Digits

_ORIENTS = ("records", "columns", "index", "split")
_DIGITS: dict[str, Any] = {"parse_float": Digits, "parse_constant": Digits}  # 0.1 is another float32 than a float64

Lists: TypeAlias = "dict[str, list[Any]]"


def write_json(
    message: Message, path: str | Path | None = None, *, orient: str = "records", lines: bool = False
) -> str | None:
    """Write a message as JSON, or return the text where there is no path; see `Message.to_json`."""
    where = "Message.to_json"
    _check_orient(orient, lines=lines, where=where)
    columns = {name: plain_values(name, message.raw(name), where=where) for name in message.columns}
    shaped = _shaped(columns, len(message), orient)
    text = _dumped(shaped, lines=lines, ensure_ascii=False)
    if path is None:
        return text
    try:
        data = text.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can only spell
        data = _dumped(shaped, lines=lines, ensure_ascii=True).encode()
    data = packed(data, path)
    with whole_file(path, where=where) as file:
        file.write(data)
    return None


def _check_orient(orient: str, *, lines: bool, where: str) -> None:
    if orient not in _ORIENTS:
        raise ValueError(f"{where}: orient is one of {', '.join(_ORIENTS)}; got {orient!r}.")
    if lines and orient != "records":
        raise ValueError(f"{where}: only records can be lines; got orient={orient!r}.")


def _shaped(columns: Lists, num_rows: int, orient: str) -> Any:
    if orient == "columns":
        return {name: dict(zip(map(str, range(num_rows)), values, strict=True)) for name, values in columns.items()}
    rows = list(zip(*columns.values(), strict=True))
    if orient == "split":
        return {"columns": list(columns), "index": list(range(num_rows)), "data": rows}
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    return records if orient == "records" else {str(number): record for number, record in enumerate(records)}


def _dumped(shaped: Any, *, lines: bool, ensure_ascii: bool) -> str:
    def dumped(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, allow_nan=False)

    return "".join(f"{dumped(row)}\n" for row in shaped) if lines else dumped(shaped)


def read_json(
    path: str | Path,
    schema: Schema | Mapping[str, Any] | None = None,
    *,
    orient: str = "records",
    lines: bool = False,
) -> Message:
    """Read a JSON file by a schema, or with the types that its values have; see `Message.read_json`."""
    where = "Message.read_json"
    _check_orient(orient, lines=lines, where=where)
    spelled = {} if schema is None else _DIGITS
    with open_file(path, where=where, kind="JSON", broken=(ValueError, RecursionError)) as file:
        data = unpacked(file, path).read()
        shaped = _lines(data, spelled) if lines else _loaded(data, spelled)
        columns = _columns(shaped, orient)
    if schema is None:
        return Message(columns)
    wanted = Schema(schema)
    if not columns and not shaped:  # a list of no rows names no columns
        return Message(schema=wanted)
    for field in wanted:
        if field.dtype == object and field.name in columns:
            columns[field.name] = [_without_digits(value) for value in columns[field.name]]
    return conformed(
        {name: NumpyExtensionArray(object_array(values)) for name, values in columns.items()}, wanted, path
    )


def _loaded(data: bytes, spelled: dict[str, Any]) -> Any:
    try:
        return json.loads(data, **spelled)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise ValueError(f"{error}; if each line is a row, pass lines=True") from error
        raise


def _lines(data: bytes, spelled: dict[str, Any]) -> list[Any]:
    rows = []
    for number, line in enumerate(data.decode("utf-8-sig").split("\n")):
        try:
            rows += [json.loads(line, **spelled)] if line.strip() else []
        except ValueError as error:
            raise ValueError(f"line {number + 1} is no JSON: {error}") from error
    return rows


def _columns(shaped: Any, orient: str) -> Lists:
    """Return the values by column; labels of rows that are no mere numbers become the column ``index``.

    Raises:
        ValueError: the value has another shape than ``orient`` says.
    """
    if orient == "records":
        return _of_records(_checked(shaped, list, orient), orient)
    parts = _checked(shaped, dict, orient)
    if orient == "index":
        return _labelled(list(parts), _of_records(list(parts.values()), orient))
    if orient == "split":
        names = _checked(parts.get("columns"), list, orient)
        rows = [_checked(row, list, orient) for row in _checked(parts.get("data"), list, orient)]
        columns = dict(zip(names, map(list, zip(*rows, strict=True)) if rows else ([] for _ in names), strict=True))
        return _labelled(_checked(parts.get("index", []), list, orient), columns)
    if all(isinstance(values, list) for values in parts.values()):
        return cast("Lists", parts)
    labels = list(dict.fromkeys(label for values in parts.values() for label in _checked(values, dict, orient)))
    return _labelled(labels, {name: [values.get(label) for label in labels] for name, values in parts.items()})


def _checked(value: Any, kind: type, orient: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(  # noqa: TRY004 (the file is wrong, not the caller's type)
            f"it does not have the shape of orient={orient!r}: {'a list' if kind is list else 'an object'} was expected, "
            f"not {value!r:.60}"
        )
    return value


def _of_records(rows: list[Any], orient: str) -> Lists:
    """Return the values by column; what a row lacks is None."""
    names = dict.fromkeys(name for row in rows for name in _checked(row, dict, orient))
    return {name: [row.get(name) for row in rows] for name in names}


def _labelled(labels: list[Any], columns: Lists) -> Lists:
    says_something = not all(str(label).removeprefix("-").isdecimal() for label in labels)
    return {"index": labels} | columns if says_something else columns


def _without_digits(value: Any) -> Any:
    """Return the numbers that JSON spells as Python's own."""
    if isinstance(value, Digits):
        return json.loads(value)
    if isinstance(value, list):
        return [_without_digits(part) for part in value]
    return {key: _without_digits(part) for key, part in value.items()} if isinstance(value, dict) else value
