"""A message for the eye, as text and as a table in a notebook: what it holds, its size, its first and last rows."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import NamedTuple

import torch

from fireworks.message.arrays.tensor_array import row_text
from fireworks.message.columns import Column, field_of

_EDGE_ROWS = 5
_EDGE_COLUMNS = 10
_CELL_WIDTH = 28
_GAP = "…"


class _Shown(NamedTuple):
    """One column of the picture: its head and its cells, with a gap where rows are left out."""

    name: str
    kind: str
    cells: list[str]


def render(columns: Mapping[str, Column], num_rows: int) -> str:
    """Return a table: one header line of names, one of types, then at most ten rows."""
    if not columns:
        return _title(columns, num_rows)
    table = [_Shown("", "", _numbers(num_rows)), *_pictured(columns, num_rows)]
    widths = [max(map(len, (shown.name, shown.kind, *shown.cells))) for shown in table]
    lines = [[shown.name for shown in table], [shown.kind for shown in table]]
    lines += [list(row) for row in zip(*(shown.cells for shown in table), strict=True)]
    text = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([_title(columns, num_rows), *text])


def render_html(columns: Mapping[str, Column], num_rows: int) -> str:
    """Return the same table for a notebook; it carries no colours, so that it fits light and dark pages."""
    title = f"<p>{html.escape(_title(columns, num_rows))}</p>"
    if not columns:
        return f"<div>{title}</div>"
    table = _pictured(columns, num_rows)
    names = "".join(f"<th>{html.escape(shown.name)}</th>" for shown in table)
    kinds = "".join(f'<th style="font-weight: normal; opacity: 0.7">{html.escape(shown.kind)}</th>' for shown in table)
    rows = "".join(
        f"<tr><th>{number}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        for number, *cells in zip(_numbers(num_rows), *(shown.cells for shown in table), strict=True)
    )
    head = f"<thead><tr><th></th>{names}</tr><tr><th></th>{kinds}</tr></thead>"
    return f'<div>{title}<table class="dataframe">{head}<tbody>{rows}</tbody></table></div>'


def _title(columns: Mapping[str, Column], num_rows: int) -> str:
    title = f"Message of {num_rows:,} row{'' if num_rows == 1 else 's'}"
    size = sum(int(column.nbytes) for column in columns.values())
    return f"{title}, {bytes_text(size)}" if columns else f"{title}, no columns"


def bytes_text(size: int) -> str:
    """Return a size for people: whole bytes below 10,000, then kB, MB, GB, TB of a thousand each.

    Example:
        >>> bytes_text(1), bytes_text(9_999), bytes_text(1_234_567)
        ('1 byte', '9,999 bytes', '1.2 MB')
    """
    if size < 10_000:
        return f"{size:,} byte{'' if size == 1 else 's'}"
    scaled, unit = float(size), "bytes"
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 (the unit that it stops at is used)
        scaled /= 1000
        if scaled < 999.95:
            break
    return f"{scaled:,.1f} {unit}"


def _shown_rows(num_rows: int) -> list[int | None]:
    if num_rows <= 2 * _EDGE_ROWS:
        return [*range(num_rows)]
    return [*range(_EDGE_ROWS), None, *range(num_rows - _EDGE_ROWS, num_rows)]


def _numbers(num_rows: int) -> list[str]:
    return [_GAP if row is None else str(row) for row in _shown_rows(num_rows)]


def _pictured(columns: Mapping[str, Column], num_rows: int) -> list[_Shown]:
    rows = _shown_rows(num_rows)
    names = list(columns)
    left_out = len(names) - 2 * _EDGE_COLUMNS
    shown = names if left_out <= 0 else [*names[:_EDGE_COLUMNS], *names[-_EDGE_COLUMNS:]]
    table = []
    for name in shown:
        column = columns[name]
        kind = field_of(name, column).type_text
        if isinstance(column, torch.Tensor) and column.device.type != "cpu":
            kind += f" on {column.device}"
        table.append(_Shown(_one_line(name), kind, [_GAP if row is None else _cell(column[row]) for row in rows]))
    if left_out > 0:
        table.insert(_EDGE_COLUMNS, _Shown(_GAP, f"{left_out} more", [_GAP] * len(rows)))
    return table


def _cell(value: object) -> str:
    if isinstance(value, torch.Tensor):
        if value.is_meta:  # a tensor without values
            return "?"
        value = value.item() if value.dim() == 0 else row_text(value)
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = _one_line(text[: _CELL_WIDTH + 1])
    return text if len(text) <= _CELL_WIDTH else text[: _CELL_WIDTH - 1] + _GAP


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
