"""Where the boxes of a graph stand: in layers from left to right, each between its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_PASSES = 8
_LANE = 10.0  # the height that a line takes on its way past other boxes


@dataclass
class Box:
    """One stage of a graph, and where it stands once it is laid out.

    Args:
        width: In pixels; from the length of its text.
        height: In pixels.
        inputs: The numbers of the boxes that it reads from.
        gap: Pixels before it, for the names of its lines.
        lanes: For each input the places, without a box, that its line passes on the way; found by `lay_out`.
    """

    width: float
    height: float
    inputs: tuple[int, ...] = ()
    gap: float = 0.0
    lanes: list[list[Box]] = field(default_factory=list)
    layer: int = 0
    x: float = 0.0
    y: float = 0.0


def lay_out(boxes: Sequence[Box], *, gap_x: float, gap_y: float, row_width: float) -> tuple[float, float]:
    """Give every box its place; return the width and the height of the whole.

    A box stands one layer behind the last of its inputs. Layers follow each other from left to right; where they would be
    wider than ``row_width`` and a single line leads on, a new band begins below. In a layer, boxes stand in the order of
    their inputs' middles, which keeps lines from crossing, and never overlap; a line that passes a layer has a lane of its
    own there, so it never runs through a box.

    Args:
        boxes: Inputs stand before what reads from them. Changed in place.
        gap_x: Between layers.
        gap_y: Between boxes of one layer, and twice that between bands.
        row_width: The width at which a band ends.

    Example:
        >>> boxes = [Box(50, 20), Box(50, 20), Box(40, 20, (0, 1))]
        >>> lay_out(boxes, gap_x=30, gap_y=10, row_width=500)
        (120.0, 50.0)
        >>> [(box.x, box.y) for box in boxes]
        [(0.0, 0.0), (0.0, 30.0), (80.0, 15.0)]
    """
    for box in boxes:
        box.layer = 1 + max((boxes[number].layer for number in box.inputs), default=-1)
    _pull_sources(boxes)
    every = [*boxes]
    for box in boxes:
        box.lanes = [_lanes(every, number, box) for number in box.inputs]
    layers = [[box for box in every if box.layer == n] for n in range(1 + max(box.layer for box in boxes))]
    _place_in_layers(layers, _neighbours(boxes), gap_y)
    return _place_layers(layers, gap_x, gap_y, row_width)


def _lanes(every: list[Box], number: int, box: Box) -> list[Box]:
    """Return a lane in each layer between a box and its input."""
    lanes = [Box(0.0, _LANE, layer=layer) for layer in range(every[number].layer + 1, box.layer)]
    every += lanes
    return lanes


def _neighbours(boxes: Sequence[Box]) -> dict[int, tuple[list[Box], list[Box]]]:
    """Return what stands next to each box or lane before and behind it, by ``id``."""
    near: dict[int, tuple[list[Box], list[Box]]] = {}
    for box in boxes:
        for number, lanes in zip(box.inputs, box.lanes, strict=True):
            way = [boxes[number], *lanes, box]
            for before, behind in pairwise(way):
                near.setdefault(id(behind), ([], []))[0].append(before)
                near.setdefault(id(before), ([], []))[1].append(behind)
    return near


def _pull_sources(boxes: Sequence[Box]) -> None:
    """Move what has no inputs next to what reads from it, so that a short branch is not one long line."""
    for number in range(len(boxes) - 1, -1, -1):
        readers = [box.layer for box in boxes if number in box.inputs]
        if readers:
            boxes[number].layer = min(readers) - 1


def _place_in_layers(layers: list[list[Box]], near: dict[int, tuple[list[Box], list[Box]]], gap: float) -> None:
    for layer in layers:
        _stack(layer, [0.0] * len(layer), gap)
    for turn in range(_PASSES):
        forward = turn % 2 == 0
        for layer in layers if forward else layers[::-1]:
            wanted = [_middle_of(near.get(id(box), ([], []))[0 if forward else 1], box) for box in layer]
            order = sorted(range(len(layer)), key=lambda n: (wanted[n], n))
            layer[:] = [layer[n] for n in order]
            _stack(layer, [wanted[n] for n in order], gap)
    top = min(box.y for layer in layers for box in layer)
    for layer in layers:
        for box in layer:
            box.y -= top


def _middle_of(near: list[Box], box: Box) -> float:
    if not near:
        return box.y + box.height / 2
    return sum(other.y + other.height / 2 for other in near) / len(near)


def _stack(layer: list[Box], middles: list[float], gap: float) -> None:
    """Put boxes under each other, as near to the wanted middles as they can without touching."""
    bottom = None
    for box, middle in zip(layer, middles, strict=True):
        top = middle - box.height / 2
        box.y = top if bottom is None else max(top, bottom + gap)
        bottom = box.y + box.height
    # What was pushed down together moves up together, so that the group stands in the middle of where it wants to be.
    shift = sum(middle - (box.y + box.height / 2) for box, middle in zip(layer, middles, strict=True)) / len(layer)
    for box in layer:
        box.y += shift


def _place_layers(layers: list[list[Box]], gap_x: float, gap_y: float, row_width: float) -> tuple[float, float]:
    x = width = top = 0.0
    band: list[list[Box]] = []
    bottom = 0.0
    for layer in layers:
        breadth = max(box.width for box in layer)
        x += max(box.gap for box in layer) + gap_x if band else 0.0
        if band and x + breadth > row_width and len(band[-1]) == len(layer) == 1:
            bottom = _shift(band, top)
            top, x, band = bottom + 2 * gap_y, 0.0, []
        for box in layer:
            box.width = box.width or breadth  # a lane is as long as its layer
            box.x = x + (breadth - box.width) / 2
        width = max(width, x + breadth)
        x += breadth
        band.append(layer)
    bottom = _shift(band, top)
    return width, bottom


def _shift(band: list[list[Box]], top: float) -> float:
    """Move the boxes of a band so that its highest stands at ``top``; return where its lowest ends."""
    highest = min(box.y for layer in band for box in layer)
    for layer in band:
        for box in layer:
            box.y += top - highest
    return max(box.y + box.height for layer in band for box in layer)
