"""Where the boxes of a graph stand."""

import hypothesis.strategies as st
from hypothesis import given, settings

from fireworks.plan.layout import Box, lay_out


def overlap(one, other):
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


@st.composite
def graphs(draw):
    boxes = []
    for number in range(draw(st.integers(1, 14))):
        inputs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        boxes.append(
            Box(
                draw(st.integers(30, 200)),
                draw(st.integers(20, 90)),
                tuple(sorted(inputs)),
                gap=draw(st.integers(0, 60)),
            )
        )
    return boxes


@settings(max_examples=150, deadline=None)
@given(boxes=graphs(), row_width=st.integers(200, 1500))
def test_no_two_boxes_overlap_and_no_line_runs_through_one(boxes, row_width):
    width, height = lay_out(boxes, gap_x=40, gap_y=20, row_width=row_width)
    every = [*boxes, *(lane for box in boxes for lanes in box.lanes for lane in lanes)]
    for number, box in enumerate(every):
        assert not any(overlap(box, other) for other in every[:number])
        assert box.x >= 0
        assert box.y >= -1e-6
        assert box.x + box.width <= width + 1e-6
        assert box.y + box.height <= height + 1e-6


@settings(max_examples=100, deadline=None)
@given(boxes=graphs())
def test_everything_stands_behind_its_inputs(boxes):
    lay_out(boxes, gap_x=40, gap_y=20, row_width=10**6)
    for box in boxes:
        for number, lanes in zip(box.inputs, box.lanes, strict=True):
            assert boxes[number].x + boxes[number].width + 40 <= box.x + 1e-6
            assert len(lanes) == box.layer - boxes[number].layer - 1


def test_a_long_chain_goes_on_in_bands():
    boxes = [Box(100, 30, (n - 1,) if n else ()) for n in range(12)]
    width, _ = lay_out(boxes, gap_x=40, gap_y=20, row_width=600)
    assert width <= 600
    assert len({box.y for box in boxes}) == 3


def test_a_band_never_ends_where_several_lines_lead_on():
    boxes = [Box(300, 30), Box(300, 30, (0,)), Box(300, 30, (0,)), Box(300, 30, (1, 2))]
    lay_out(boxes, gap_x=40, gap_y=20, row_width=500)
    assert boxes[0].x < boxes[1].x < boxes[3].x


def test_the_same_graph_stands_the_same_way():
    def places():
        boxes = [Box(50, 20), Box(60, 20, (0,)), Box(70, 20, (0,)), Box(50, 20, (1, 2, 0))]
        lay_out(boxes, gap_x=40, gap_y=20, row_width=900)
        return [(box.x, box.y) for box in boxes]

    assert places() == places()
