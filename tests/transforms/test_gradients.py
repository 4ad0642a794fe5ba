"""Leaves for autograd, in memory of their own."""

import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError
from pipelines import counting, double, table


def halves(rows):
    return rows.assign(x=rows["x"] / 2)


PIPES = {
    "batches": lambda: table().batch(4).gradients("x"),
    "batches, all columns": lambda: table().tensors("w").batch(4).gradients(),
    "stream": lambda: counting().map(halves).batch(4).gradients("x"),
    "behind shuffle": lambda: table().map(double).shuffle(seed=0).batch(4).gradients("x"),
}


@pytest.mark.parametrize("name", PIPES)
class TestGradients(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def test_they_are_leaves_with_gradients_of_their_own():
    first, again = (table().batch(4).gradients("x")[0] for _ in range(2))
    assert first["x"].is_leaf
    assert first["x"].requires_grad
    (first["x"] ** 2).sum().backward()
    assert torch.equal(first["x"].grad, 2 * table()[:4]["x"])
    assert again["x"].grad is None


def test_all_columns_of_floats_if_none_is_named():
    data = fw.source(
        {"a": torch.ones(2), "n": torch.arange(2), "c": torch.ones(2, dtype=torch.complex64), "w": [1.0, 2]}
    )
    batch = data.batch(2).gradients()[0]
    assert [name for name in batch.columns if getattr(batch.raw(name), "requires_grad", False)] == ["a", "c"]
    assert data.batch(2).gradients().known_columns == ["a", "n", "c", "w"]
    assert data.batch(2).gradients("a", "c").stages()[-1] == "Gradients(a, c)"


def test_the_sources_memory_is_never_a_leaf():
    values = torch.ones(4)
    batch = fw.source({"x": values}).batch(4).gradients("x")[0]
    assert batch["x"].data_ptr() != values.data_ptr()
    with torch.no_grad():
        batch["x"].zero_()
    assert values.tolist() == [1.0] * 4
    assert not values.requires_grad


def test_a_map_behind_it_is_followed():
    batch = table().batch(4).gradients("x").map(lambda rows: rows.assign(loss=rows["x"].sum(1) * 3))[0]
    batch["loss"].sum().backward()
    assert torch.equal(batch["x"].grad, torch.full((4, 3), 3.0))


def test_what_is_wrong_is_said():
    with pytest.raises(
        TypeError, match=r"gradients: needs batches, and Memory.* has rows, .*; write \.batch\(…\) before"
    ):
        table().gradients("x")
    with pytest.raises(
        ColumnTypeError, match=r"gradients: column 'n' is int64 tensor; only tensors of floating .* before"
    ):
        list(table().batch(4).gradients("n"))
    with pytest.raises(ColumnTypeError, match=r"gradients: column 'w' is float64; only tensors"):
        list(table().batch(4).gradients("w"))
    with pytest.raises(ColumnNotFoundError, match=r"gradients: no column 'wrd'; .* Did you mean 'word'\?"):
        table().batch(4).gradients("wrd")
    with pytest.raises(TypeError, match="Gradients has no input; pass it a pipe"):
        fw.Gradients(None, "x")
