"""The graph of a pipeline as a picture in SVG, drawn by ourselves: nothing to install."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import final

from torch import nn

from fireworks._internal.files import as_path, whole_file
from fireworks.core.junction import Junction
from fireworks.core.links import inputs_of
from fireworks.core.pipe import Pipe
from fireworks.core.source import Source
from fireworks.core.stages import OrderStage, RowStage
from fireworks.plan.facts import StageFacts, facts_of
from fireworks.plan.layout import Box, lay_out
from fireworks.plan.shorten import shortened

_GAP_X, _GAP_Y, _MARGIN = 44, 22, 16
_ROW_WIDTH = 1180
_LINE = 17
_LONGEST = 30
_WIDE, _NARROW = 7.6, 6.4  # pixels of one character, title and text; generous, so that no font runs over
_EAST_ASIAN = 0x1100  # from here on characters are up to twice as wide

_STYLE = """
.fw{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.fw .page{fill:#ffffff}.fw .box{fill:#f6f8fa;stroke:#8c959f;stroke-width:1.2}
.fw .title{font-size:13px;font-weight:600;fill:#1f2328}.fw .text{font-size:11.5px;fill:#57606a}
.fw .line{fill:none;stroke:#6e7781;stroke-width:1.4}.fw .tip{fill:#6e7781}.fw .name{font-size:11px;fill:#57606a}
.fw .source .box{fill:#ddf4ff;stroke:#218bff}.fw .model .box{fill:#fbefff;stroke:#8250df}
.fw .junction .box{fill:#dafbe1;stroke:#1a7f37}.fw .order .box{fill:#fff8c5;stroke:#9a6700}
@media (prefers-color-scheme:dark){.fw .page{fill:#0d1117}.fw .box{fill:#161b22;stroke:#6e7681}
.fw .title{fill:#e6edf3}.fw .text,.fw .name{fill:#9aa4af}.fw .line{stroke:#8b949e}.fw .tip{fill:#8b949e}
.fw .source .box{fill:#0c2d6b;stroke:#58a6ff}.fw .model .box{fill:#3c1e70;stroke:#bc8cff}
.fw .junction .box{fill:#033a16;stroke:#3fb950}.fw .order .box{fill:#3b2300;stroke:#d29922}}
"""


@final
class Drawing:
    """A pipeline as a picture: shows in a notebook, saves as a file, and is SVG as text.

    Sources are blue, junctions green, what moves row numbers yellow, models violet. A pipe that feeds several others is
    drawn once. Text is cut off where it is long; hovering over a box shows all of it. The picture follows a dark theme.

    Args:
        pipes: One pipe, or several whose graphs are drawn as one.

    Raises:
        TypeError: something else than pipes.

    Example:
        >>> import pathlib, tempfile
        >>> drawing = fw.source({"x": torch.arange(8)}).shuffle(seed=0).batch(4).draw()
        >>> path = drawing.save(pathlib.Path(tempfile.mkdtemp()) / "pipeline.svg")
        >>> path.read_text() == str(drawing), str(drawing)[:4]
        (True, '<svg')
    """

    def __init__(self, *pipes: Pipe) -> None:
        for pipe in pipes:
            if not isinstance(pipe, Pipe):
                raise TypeError(f"draw: expected pipes; got {pipe!r:.60} of type {type(pipe).__name__}.")
        if not pipes:
            raise TypeError("draw: name at least one pipe.")
        self._svg = _svg(_graph(pipes))

    def __str__(self) -> str:
        return self._svg

    def __repr__(self) -> str:
        return f"<Drawing of {self._svg.count('<g class=')} stages; str() is the SVG, .save(path) writes it>"

    def _repr_svg_(self) -> str:
        return self._svg

    def save(self, path: str | Path) -> Path:
        """Write the picture as an SVG file, whole or not at all; return its path.

        Raises:
            ValueError: the name does not end in ``.svg``.
            OSError: it can't be written.
        """
        target = as_path(path, where="draw")
        if target.suffix.lower() != ".svg":
            raise ValueError(f"draw: the picture is SVG, so its name ends in .svg; got {str(path)!r}.")
        with whole_file(target, where="draw") as file:
            file.write(self._svg.encode())
        return target


def draw(pipe: Pipe) -> Drawing:
    """Return a picture of everything from the sources to a pipe; see `Pipe.draw`."""
    return Drawing(pipe)


# --- the graph --------------------------------------------------------------------------------------------------------


class _Node:
    """One box: what stands in it, and the names of the lines that lead to it."""

    def __init__(self, facts: StageFacts, names: Sequence[str]) -> None:
        pipe = facts.pipe
        self.kind = _kind(pipe)
        self.full = pipe.describe()
        self.names = names
        head, inside = _parts(pipe)
        self.title = shortened(head, _LONGEST)
        lines = [shortened(inside, _LONGEST + 6)] if inside else []
        amount = _amount(facts)
        self.lines = [*lines, *([amount] if amount else [])]

    def box(self, inputs: tuple[int, ...]) -> Box:
        width = max(_width(self.title, _WIDE), *(_width(line, _NARROW) for line in self.lines), 64.0)
        # Lines come in at the left one above the other, each with its name, so that a box is as high as they need.
        height = max((1 + len(self.lines)) * _LINE + 14, (len(inputs) + 1) * _LINE if any(self.names) else 0)
        return Box(width + 22, height, inputs, gap=max(map(_name_width, self.names), default=0.0))


def _name_width(name: str) -> float:
    return _width(shortened(name, _LONGEST), _NARROW) + 6 if name else 0.0


def _width(text: str, per_character: float) -> float:
    return sum(per_character * (1.9 if ord(character) >= _EAST_ASIAN else 1.0) for character in text)


def _graph(pipes: Sequence[Pipe]) -> tuple[list[_Node], list[Box]]:
    nodes: list[_Node] = []
    boxes: list[Box] = []
    numbers: dict[int, int] = {}
    for pipe in pipes:
        for facts in facts_of(pipe):
            if id(facts.pipe) in numbers:
                continue
            parts = inputs_of(facts.pipe)
            names = list(facts.pipe.components) if isinstance(facts.pipe, Junction) else [""] * len(parts)
            node = _Node(facts, names)
            numbers[id(facts.pipe)] = len(nodes)
            nodes.append(node)
            boxes.append(node.box(tuple(numbers[id(part)] for part in parts)))
    return nodes, boxes


def _kind(pipe: Pipe) -> str:
    if isinstance(pipe, nn.Module):
        return "model"
    if isinstance(pipe, Junction):
        return "junction"
    if isinstance(pipe, Source):
        return "source"
    is_order = isinstance(pipe, OrderStage) or (isinstance(pipe, RowStage) and pipe.drops_rows)
    return "order" if is_order else "stage"


def _parts(pipe: Pipe) -> tuple[str, str]:
    """Return the kind of a stage, and what stands between its parentheses."""
    if isinstance(pipe, Junction):
        return type(pipe).__name__, ""
    head, _, rest = " ".join(pipe.describe().split()).partition("(")
    inside, _, behind = rest.rpartition(")")
    return head, f"{inside} {behind}".strip()


def _amount(facts: StageFacts) -> str:
    if not facts.pipe.is_indexable:
        return "stream"
    if facts.num_items is None:
        return ""
    noun = "batch" if facts.pipe.is_batched else "row"
    plural = "" if facts.num_items == 1 else "es" if noun == "batch" else "s"
    return f"{facts.num_items:,} {noun}{plural}"


# --- the picture ------------------------------------------------------------------------------------------------------


def _svg(graph: tuple[list[_Node], list[Box]]) -> str:
    nodes, boxes = graph
    width, height = lay_out(boxes, gap_x=_GAP_X, gap_y=_GAP_Y, row_width=_ROW_WIDTH)
    width, height = width + 2 * _MARGIN, height + 2 * _MARGIN
    for place in [*boxes, *(lane for box in boxes for lanes in box.lanes for lane in lanes)]:
        place.x, place.y = place.x + _MARGIN, place.y + _MARGIN
    size = f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fw" {size} role="img" aria-label="pipeline">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_n(width)}" height="{_n(height)}"/>',
    ]
    for node, box in zip(nodes, boxes, strict=True):
        ways = [[boxes[number], *lanes, box] for number, lanes in zip(box.inputs, box.lanes, strict=True)]
        # What comes from above comes in above.
        order = sorted(range(len(ways)), key=lambda n: (ways[n][-2].y + ways[n][-2].height / 2, n))
        for slot, number in enumerate(order):
            parts.append(_line(ways[number], (slot + 1) / (len(ways) + 1), node.names[number]))
    parts += [_box(node, box) for node, box in zip(nodes, boxes, strict=True)]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(node: _Node, box: Box) -> str:
    middle = box.x + box.width / 2
    first = box.y + (box.height - (1 + len(node.lines)) * _LINE) / 2 + 13
    lines = [f'<text class="title" x="{_n(middle)}" y="{_n(first)}" text-anchor="middle">{_escaped(node.title)}</text>']
    lines += [
        f'<text class="text" x="{_n(middle)}" y="{_n(first + (n + 1) * _LINE)}" text-anchor="middle">{_escaped(line)}</text>'
        for n, line in enumerate(node.lines)
    ]
    return (
        f'<g class="{node.kind}"><title>{_escaped(node.full)}</title><rect class="box" x="{_n(box.x)}" y="{_n(box.y)}" '
        f'width="{_n(box.width)}" height="{_n(box.height)}" rx="7"/>{"".join(lines)}</g>'
    )


def _line(way: list[Box], place: float, name: str) -> str:
    start, end = way[0], way[-1]
    x, y = start.x + start.width, start.y + start.height / 2
    x2, y2 = end.x, end.y + end.height * place
    if x2 > x:
        path = f"M{_n(x)},{_n(y)}"
        for lane in way[1:-1]:
            path += _curve(x, y, lane.x, lane.y + lane.height / 2) + f" H{_n(lane.x + lane.width)}"
            x, y = lane.x + lane.width, lane.y + lane.height / 2
        path += _curve(x, y, x2 - 14 - _name_width(name), y2) + f" H{_n(x2 - 6)}"
    else:  # to the band below: down, between the bands, and back to its left
        x, y, between = start.x + start.width / 2, start.y + start.height, end.y - _GAP_Y
        path = f"M{_n(x)},{_n(y)} V{_n(between)} H{_n(x2 - _MARGIN / 2)} V{_n(y2)} H{_n(x2 - 6)}"
    label = ""
    if name:
        label = (
            f'<text class="name" x="{_n(x2 - 11)}" y="{_n(y2 - 4)}" text-anchor="end">'
            f"{_escaped(shortened(name, _LONGEST))}</text>"
        )
    tip = f'<path class="tip" d="M{_n(x2)},{_n(y2)} l-8,-4 v8 z"/>'
    return f'<path class="line" d="{path}"/>{tip}{label}'


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x2 - x1) / 2
    return f" C{_n(x1 + bend)},{_n(y1)} {_n(x2 - bend)},{_n(y2)} {_n(x2)},{_n(y2)}"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _escaped(text: str) -> str:
    """Return a text that XML can hold: escaped, and without the control characters that it forbids."""
    return html.escape("".join(character if character.isprintable() else "·" for character in text))
