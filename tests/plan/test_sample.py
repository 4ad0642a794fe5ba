"""A flow over the first rows of its sources."""

import pytest
import torch

import fireworks as fw
from fireworks.core.run import Run
from fireworks.plan.sample import sampled
from pipelines import counting, double, is_odd, table


def rows(flow):
    cursor, found = flow.open(Run(0)), []
    while (chunk := cursor.read(5)) is not None:
        found += chunk.rows.tolist()
    return found


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda data: data, range(6)),
        (lambda data: data.map(double), range(6)),
        (lambda data: data.filter(is_odd), [1, 3, 5]),
        (lambda data: data.filter(is_odd).filter("n > 1").take(9), [3, 5]),
        (lambda data: data.batch(4).repeat(2), [*range(6)] * 2),
    ],
)
def test_only_the_first_rows_of_a_source_are_seen(make, expected):
    pipe = make(table())
    assert rows(sampled(pipe.flow, 6)) == list(expected)
    assert len(rows(pipe.flow)) > len(expected)


def test_streams_end_early_and_resume():
    flow = sampled(counting().map(double).flow, 6)
    assert rows(flow) == list(range(6))
    cursor = flow.open(Run(0))
    cursor.read(4)
    again = flow.open(Run(0))
    again.load_state_dict(cursor.state_dict())
    assert again.read(9).rows.tolist() == [4, 5]


def test_what_a_filter_has_found_stays_found():
    seen = []

    def looks(batch):
        seen.append(len(batch))
        return is_odd(batch)

    pipe = table().filter(looks)
    assert len(pipe) == 11
    sampled(pipe.flow, 6).num_items()
    assert seen == [23, 6]
    assert len(pipe) == 11
    assert seen == [23, 6]


def test_side_by_side_is_as_long_as_the_shortest():
    data = table()
    both = fw.Zip({"a": data.filter("n > 2").select("x"), "b": data.filter("n < 20").select("n")})
    flow = sampled(both.flow, 6)
    assert flow.num_items() == 3
    assert sampled(fw.Zip({"a": data.select("x")}).flow, 6).no_rows().columns == ["x"]
    assert torch.equal(next(flow.pieces(range(2), Run(0))).message["n"], torch.arange(2))
