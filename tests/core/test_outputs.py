"""Pipes know what was built on them, and keep none of it alive."""

import copy
import gc
import pickle
import weakref

import torch

import fireworks as fw
from pipelines import table


def test_what_was_built_on_a_pipe_is_known_in_order():
    rows = table()
    batches, shuffled = rows.batch(4), rows.shuffle(seed=0)
    junction = fw.Concat({"a": rows, "b": shuffled})
    assert [type(output).__name__ for output in rows.outputs] == ["Batch", "Shuffle", "Concat"]
    assert rows.outputs[0] is batches
    assert shuffled.outputs == [junction]
    assert batches.outputs == junction.outputs == []


def test_a_pipe_that_is_used_twice_by_one_is_named_once():
    rows = table()
    both = fw.Concat({"a": rows, "b": rows})
    assert rows.outputs == [both]


def test_outputs_are_not_kept_alive():
    rows = table()
    gone = weakref.ref(rows.shuffle(seed=0).batch(4))
    for _ in rows.batch(2):
        pass
    rows.head(2)
    gc.collect()
    assert gone() is None
    assert rows.outputs == []
    assert rows.__dict__["_outputs"] == []


def test_a_pipe_with_outputs_is_freed():
    rows = table()
    batches = rows.batch(2)
    gone = weakref.ref(rows)
    del rows
    assert gone() is batches.input
    del batches
    gc.collect()
    assert gone() is None


def test_copies_begin_without_outputs():
    rows = table()
    batches = rows.batch(2)
    assert copy.copy(rows).outputs == copy.deepcopy(rows).outputs == pickle.loads(pickle.dumps(rows)).outputs == []
    assert rows.outputs == [batches]


def test_a_model_is_an_output_and_has_some():
    rows = fw.source({"x": torch.zeros(3, 2)})
    batches = rows.batch(2)
    model = fw.Model(torch.nn.Linear(2, 1), in_columns=["x"], out_columns=["y"], input=batches)
    again = fw.Model(torch.nn.Linear(1, 1), in_columns=["y"], out_columns=["z"], input=model)
    assert batches.outputs == [model]
    assert model.outputs == [again]
    assert not any("outputs" in name for name in model.state_dict())


def test_what_a_feedback_is_made_of_is_no_output():
    rows = table()
    feedback = fw.Feedback(rows, seed=0)
    len(feedback)
    assert rows.outputs == [feedback]
