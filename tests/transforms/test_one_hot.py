"""A one at the class, zeros elsewhere."""

import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnValueError
from pipelines import counting, double, table

WORDS = [f"word {i}" for i in range(23)]

PIPES = {
    "rows": lambda: table().one_hot("word", WORDS),
    "batches": lambda: table().batch(4).one_hot("n", 23),
    "batches, some empty": lambda: table().batch(2).filter("n > 5").one_hot("word", WORDS),
    "stream": lambda: counting().one_hot("n", range(22, -1, -1)),
    "behind shuffle": lambda: table().map(double).shuffle(seed=0).one_hot("word", WORDS, dtype=torch.int8),
}


@pytest.mark.parametrize("name", PIPES)
class TestOneHot(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def test_it_is_what_pandas_makes_of_it():
    words = ["b", "c", "b", "a"]
    hot = fw.source({"word": words}).one_hot("word", ["a", "b", "c"]).to_message()["word"]
    assert hot.dtype == torch.float32
    assert torch.equal(hot, torch.from_numpy(pd.get_dummies(words, dtype="float32").to_numpy().copy()))


def test_a_number_of_classes_stands_for_labels_from_0():
    hot = fw.source({"n": [2, 0]}).one_hot("n", 3, dtype=torch.bool)
    assert hot.to_message()["n"].tolist() == [[False, False, True], [True, False, False]]
    assert hot.classes == (0, 1, 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_labels_on_a_device_stay_there():
    rows = fw.source({"n": torch.tensor([1, 0]), "m": torch.tensor([1, 0])}).batch(2).tensors(device="cuda")
    batch = rows.one_hot("n", 2).label_index("m", [0, 1]).filter("m == 1")[0]
    assert (batch["n"].device.type, batch["m"].device.type) == ("cuda", "cuda")
    assert batch["n"].tolist() == [[0.0, 1.0]]


def test_it_shows_its_classes_and_type():
    assert table(2).one_hot("n", 2).stages()[-1] == "OneHot(n: [0, 1])"
    assert table(2).one_hot("n", 2, dtype=torch.float64).stages()[-1] == "OneHot(n: [0, 1], float64)"
    assert table(2).one_hot("n", 2).known_columns == ["x", "n", "w", "word"]


def test_what_is_wrong_is_said():
    with pytest.raises(
        ColumnValueError, match=r"one_hot: column 'n' holds 2 in rows 2 of the source, which are no cla"
    ):
        table(3).one_hot("n", 2).to_message()
    with pytest.raises(ColumnNotFoundError, match=r"one_hot: no column 'wrd'; .* Did you mean 'word'\?"):
        table().one_hot("wrd", ["a"])
    with pytest.raises(TypeError, match=r"one_hot: classes must be a list of labels"):
        table().one_hot("word", True)
    with pytest.raises(ValueError, match=r"one_hot: classes must have at least one label"):
        table().one_hot("word", 0)
    with pytest.raises(TypeError, match=r"one_hot: dtype must be one of torch's, such as torch.float32; got 'int8'\."):
        table().one_hot("word", ["a"], dtype="int8")
    with pytest.raises(TypeError, match="OneHot has no input; pass it a pipe"):
        fw.OneHot(None, "word", ["a"])
