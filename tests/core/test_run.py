"""A pass keeps a book: who worked on how many rows; at its end the account must be right."""

import threading

import numpy as np
import pytest

import fireworks as fw
from fireworks.core.run import Book, Meter, Run, some_rows
from fireworks.errors import AuditError
from pipelines import counting, double, is_odd, table


def meters(pipe):
    """Rows in and out of each row stage after one whole pass."""
    list(pipe)
    book = pipe._run.book
    return [(book.meter(stage).rows_in, book.meter(stage).rows_out) for stage in pipe.flow.stages]


class TestTheBook:
    def test_it_counts_the_rows_of_each_stage(self):
        assert meters(table().batch(5).map(double).filter(is_odd).map(double)) == [(23, 23), (23, 0), (0, 0)]
        assert meters(counting().map(double)) == [(23, 23)]

    def test_each_pass_has_its_own_and_two_at_once_do_not_mix(self):
        pipe = table().batch(5).map(double)
        one, other = iter(pipe), iter(pipe)
        next(one), next(one), next(other)
        assert one._run.book.meter(pipe).rows_in == 10
        assert other._run.book.meter(pipe).rows_in == 5

    def test_repeat_and_at_epoch_note_in_the_book_of_the_pass(self):
        pipe = table().batch(5).map(double)
        repeated = pipe.repeat(2).at_epoch(1)
        list(repeated)
        assert repeated._run.book.meter(pipe).rows_out == 46

    def test_no_note_of_several_threads_is_lost(self):
        book, stage = Book(), object()

        def note():
            for _ in range(2000):
                book.note(stage, 3, 2, 1)

        threads = [threading.Thread(target=note) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        meter = book.meter(stage)
        assert (meter.calls, meter.rows_in, meter.rows_out, meter.work_ns) == (8000, 24000, 16000, 8000)

    def test_meters_add_up(self):
        meter = Meter(1, 2, 3, 4, 5, 6)
        meter.add(Meter(10, 20, 30, 40, 50, 60))
        assert meter == Meter(11, 22, 33, 44, 55, 66)

    def test_a_pass_is_not_pickled_with_its_pipe(self):
        import pickle

        pipe = table().map(double)
        list(pipe)
        assert pickle.loads(pickle.dumps(pipe))._run is None


class Loses(fw.RowStage):
    """Drops a row of each block and says nothing."""

    def transform(self, rows):
        return rows

    def compute(self, chunk, run, block):
        return chunk.cut(1, len(chunk.rows))


class TestTheAudit:
    def test_a_pass_that_hands_out_fewer_rows_than_planned_is_an_error(self):
        with pytest.raises(
            AuditError,
            match=r"^Loses\(\): the pass over epoch 0 handed out 18 rows; by the plan there are 23\. The pipeline",
        ):
            list(Loses(table().batch(5)))

    def test_a_pass_that_was_resumed_or_moved_is_not_judged(self):
        iterator = iter(Loses(table().batch(5)))
        iterator.move_to({"position": 2})
        assert len(list(iterator)) == 3

    @pytest.mark.parametrize(
        "pipe",
        [
            lambda: table().filter("n > 3").batch(4),
            lambda: table().batch(4).filter("n > 3"),
            lambda: counting().filter("n > 3").batch(4),
            lambda: table().shuffle(seed=0).filter(is_odd).map(double).batch(4, drop_last=True),
            lambda: table().repeat(3).take(50).batch(7),
        ],
    )
    def test_honest_pipes_pass(self, pipe):
        list(pipe())


def test_a_run_in_another_epoch_shares_the_book_and_all_else():
    run = Run(3, how="get")
    other = run.at(5)
    assert (other.epoch, other.how) == (5, "get")
    assert other.book is run.book
    assert other.budget is run.budget


def test_row_numbers_are_shown_in_part():
    assert some_rows(np.arange(3)) == "rows [0, 1, 2]"
    assert some_rows(np.arange(12)) == "rows [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] and 2 more"
