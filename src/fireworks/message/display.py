"""A message as text: what it holds, then its first and last rows."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fireworks.message.columns import Column, field_of
from fireworks.message.tensor_array import row_text

_EDGE_ROWS = 5
_CELL_WIDTH = 28


def render(columns: Mapping[str, Column], num_rows: int) -> str:
    """Return a table: one header line of names, one of types, then at most ten rows."""
    title = f"Message of {num_rows:,} row{'' if num_rows == 1 else 's'}"
    if not columns:
        return f"{title}, no columns"
    gap = num_rows > 2 * _EDGE_ROWS
    head = [*range(_EDGE_ROWS), *range(num_rows - _EDGE_ROWS, num_rows)] if gap else [*range(num_rows)]
    table = [["", *map(str, head)]]
    for name, column in columns.items():
        kind = str(field_of(name, column)).removeprefix(f"{name}: ")
        if isinstance(column, torch.Tensor) and column.device.type != "cpu":
            kind += f" on {column.device}"
        table.append([_one_line(name), *(_cell(column[i]) for i in head)])
        table[-1].insert(1, kind)
    table[0].insert(1, "")
    widths = [max(map(len, cells)) for cells in table]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*table, strict=True)
    ]
    if gap:
        lines.insert(2 + _EDGE_ROWS, "  ".join("…".rjust(width) for width in widths))
    return "\n".join([title, *(line.rstrip() for line in lines)])


def _cell(value: object) -> str:
    if isinstance(value, torch.Tensor):
        value = value.item() if value.dim() == 0 else row_text(value)
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = _one_line(text[: _CELL_WIDTH + 1])
    return text if len(text) <= _CELL_WIDTH else text[: _CELL_WIDTH - 1] + "…"


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
