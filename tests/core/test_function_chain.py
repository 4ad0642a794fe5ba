"""Functions next to each other run as one call, and everything else is as if each ran by itself."""

import pytest
import torch

import fireworks as fw
from fireworks.core.chunk import Chunk
from fireworks.core.function_chain import processes
from fireworks.core.run import Run
from fireworks.errors import ColumnValueError, StageResultError
from pipelines import add_noise, double, table, total


class Subclass(fw.Message):
    pass


def chunk_of(pipe):
    return next(pipe.flow.pieces(range(23), Run(0)))


def one_by_one(pipe, run):
    chunk = chunk_of(table())
    for stage in pipe.flow.stages:
        chunk = stage.process(chunk, run, 0)
    return chunk


@pytest.mark.parametrize(
    ("build", "calls"),
    [
        (lambda p: p, 0),
        (lambda p: p.map(double), 1),
        (lambda p: p.map(double).map(total).map(double), 1),
        (lambda p: p.map(double).map(add_noise, seed=1).map(double).map(total), 3),
        (lambda p: p.map(double).select("n").map(double), 3),
        (lambda p: p.batch(5).map(double, on_error="quarantine").map(double), 2),
        (lambda p: p.map(fw.Model(torch.nn.Linear(3, 1), ["x"], ["y"])).map(double), 2),
    ],
    ids=["none", "one", "three", "around a seed", "around a select", "behind a quarantine", "behind a model"],
)
def test_functions_next_to_each_other_are_one_call(build, calls):
    assert len(processes(build(table()).flow.stages)) == calls


def test_the_rows_and_the_notes_are_those_of_each_by_itself():
    pipe = table().map(double).map(total).map(double)
    chained, single = Run(0), Run(0)
    assert pipe.flow.run_stages(chunk_of(table()), chained, 0).message == one_by_one(pipe, single).message
    for stage in pipe.flow.stages:
        one, other = chained.book.meter(stage), single.book.meter(stage)
        assert (one.calls, one.rows_in, one.rows_out) == (other.calls, other.rows_in, other.rows_out) == (1, 23, 23)
        assert one.work_ns > 0
    assert chained.book.schemas == single.book.schemas


def fails(rows):
    raise ZeroDivisionError


def changes(rows):
    rows["n"].add_(1)
    return rows


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (fails, ZeroDivisionError),
        (changes, ColumnValueError),
        (lambda rows: None, StageResultError),
        (lambda rows: rows[1:], StageResultError),
        (lambda rows: next(iter([])), RuntimeError),
    ],
    ids=["fails", "changes in place", "nothing", "fewer rows", "stops"],
)
def test_an_error_names_the_stage_that_made_it_and_the_rows_as_they_came_there(function, kind):
    pipe = table().map(double).map(function).map(total)
    errors = []
    for run_all in (lambda: pipe.flow.run_stages(chunk_of(table()), Run(0), 0), lambda: one_by_one(pipe, Run(0))):
        with pytest.raises(kind) as caught:
            run_all()
        errors.append(caught.value)
    chained, single = errors
    assert str(chained) == str(single)
    assert chained.__notes__ == single.__notes__
    place = chained.__fireworks_place__
    assert place.stage == pipe.input.describe()
    assert place.chunk.message["n"].tolist()[1] in {2, 3}  # doubled by the stage before; the one that changes adds one


def test_a_message_of_a_subclass_is_a_message():
    pipe = table().map(Subclass).map(double)
    assert pipe.to_message()["n"].tolist() == [2 * n for n in range(23)]


def test_other_columns_in_a_later_block_are_refused():
    pipe = table().batch(5).map(double).map(lambda rows: rows.drop("w") if rows["n"][0] > 10 else rows)
    with pytest.raises(StageResultError, match=r"column 'w' as nothing after float64"):
        list(pipe)


def test_a_chunk_keeps_its_row_numbers():
    chunk = chunk_of(table())
    pipe = table().map(double).map(double)
    assert pipe.flow.run_stages(Chunk(chunk.message, chunk.rows + 7), Run(0), 0).rows.tolist() == list(range(7, 30))
