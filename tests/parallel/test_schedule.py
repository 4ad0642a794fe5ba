"""Stages as parts: which run together, and where."""

import fireworks as fw
from pipelines import add_noise, double, table, total


def parts(pipe):
    schedule = pipe.flow.schedule
    return None if schedule is None else len(schedule._parts)


def test_without_workers_there_is_nothing_to_plan():
    assert parts(table().map(double).batch(4).map(total)) is None


def test_equal_workers_share_a_part():
    batches = table().batch(4)
    assert parts(batches.map(double, workers=2).map(total, workers=2)) == 1
    assert parts(batches.map(double, workers=2).map(total, workers=3)) == 2
    assert parts(batches.map(double, workers=2).map(total, workers=2, backend="process")) == 2
    assert parts(batches.map(double, workers=2).map(double).map(total).map(add_noise, seed=0, workers=2)) == 3


def test_what_steers_is_a_part_of_its_own():
    batches = table().batch(4)
    assert parts(batches.map(double).prefetch(1).prefetch(1).map(total)) == 4
    assert parts(batches.map(double).map(total).with_budget("1MB").progress("x")) == 3


def test_a_subclass_can_have_workers_too():
    class Half(fw.RowStage):
        def transform(self, rows):
            return rows.assign(n=rows["n"] // 2)

    from fireworks.core.workers import Workers

    pipe = Half(table().batch(4))
    alone = list(pipe)
    pipe.staff = Workers(2)
    del pipe.__dict__["flow"]
    assert list(pipe.at_epoch(0)) == alone
    assert parts(pipe) == 1
