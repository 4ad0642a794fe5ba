"""Whether a stage can travel to another process."""

import pickle
import threading

import torch

import fireworks as fw
from fireworks.plan.pickles import why_not_picklable
from pipelines import double, table


def test_a_stage_that_pickles():
    assert why_not_picklable(table().map(double)) is None


def test_the_inputs_and_the_data_are_not_looked_at():
    assert why_not_picklable(table().map(lambda rows: rows).batch(3)) is None
    huge = fw.source({"x": torch.zeros(1).expand(10**12)})
    assert why_not_picklable(huge) is None


def test_what_does_not_is_said():
    assert "lambda" in why_not_picklable(table().map(lambda rows: rows))

    class Locked(fw.RowStage):
        lock = None

        def transform(self, rows):
            return rows

    stage = Locked(table())
    stage.lock = threading.Lock()
    assert "pickle" in why_not_picklable(stage)


def test_a_model_that_has_run_pickles_without_what_it_ran():
    model = fw.Model(torch.nn.Linear(3, 1), in_columns=["x"], out_columns=["y"], input=table().shuffle(seed=0).batch(4))
    list(model)
    assert why_not_picklable(model) is None
    again = pickle.loads(pickle.dumps(model))
    assert not {"flow", "_runnable"} & set(again.__dict__)
    assert again[0] == model[0]
