"""Rows that a function gets are views of the source; changing them in place is found out."""

import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnValueError
from pipelines import table


def doubles_in_place(rows):
    rows["x"].mul_(2)
    return rows


def assigns(rows):
    rows["twice"] = rows["n"] * 2
    return rows


class DoublesInPlace(fw.RowStage):
    def transform(self, rows):
        return doubles_in_place(rows)


@pytest.mark.parametrize(
    "build",
    [
        lambda data: data.map(doubles_in_place),
        lambda data: data.batch(4).map(doubles_in_place),
        lambda data: data.shuffle(seed=0).map(doubles_in_place),
        lambda data: data.map(lambda rows, generator: doubles_in_place(rows), seed=1),
        lambda data: data.filter(lambda rows: doubles_in_place(rows)["n"] > 3),
        DoublesInPlace,
    ],
    ids=["map", "map of batches", "map of gathered rows", "seeded map", "filter", "own stage"],
)
def test_a_function_that_changes_a_column_in_place_is_named(build):
    with pytest.raises(ColumnValueError, match=r"column 'x' was changed in place.*rows\.assign\(x=rows\['x'\] \* 2\)"):
        build(table()).to_message()


def test_assigning_to_the_message_that_a_function_gets_is_its_own_business():
    message = fw.Message({"n": torch.arange(3)})
    pipe = fw.source(message).map(assigns)
    assert pipe(message)["twice"].tolist() == [0, 2, 4]
    assert message.columns == ["n"]
    assert pipe.to_message()["twice"].tolist() == [0, 2, 4]
    assert fw.source(message).to_message().columns == ["n"]


def test_tensors_of_inference_mode_are_no_obstacle():
    with torch.inference_mode():
        data = fw.source({"n": torch.arange(3)})
        assert data.map(assigns).to_message()["twice"].tolist() == [0, 2, 4]
