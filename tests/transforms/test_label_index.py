"""Labels become the numbers of classes that were given."""

import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnValueError
from pipelines import counting, double, table

WORDS = [f"word {i}" for i in range(23)]

PIPES = {
    "rows": lambda: table().label_index("word", WORDS[::-1]),
    "batches": lambda: table().batch(4).label_index("n", range(23)),
    "batches, some empty": lambda: table().batch(2).filter("n > 5").label_index("word", WORDS),
    "stream": lambda: counting().label_index("n", range(22, -1, -1)),
    "behind shuffle": lambda: table().map(double).shuffle(seed=0).label_index("word", fit=table()),
}


@pytest.mark.parametrize("name", PIPES)
class TestLabelIndex(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def test_they_are_an_int64_tensor_as_a_loss_wants_it():
    rows = table(3).label_index("word", ["word 2", "word 0", "word 1"]).to_message()
    assert torch.equal(rows["word"], torch.tensor([1, 2, 0]))
    assert rows.columns == ["x", "n", "w", "word"]


def test_fit_reads_the_data_that_is_named_and_once():
    asked = []

    def look(rows):
        asked.append(len(rows))
        return rows

    train = table(5).map(look)
    pipe = table(9).filter("n < 4").label_index("word", fit=train)
    assert sum(asked) >= 5
    asked.clear()
    assert pipe.classes == tuple(WORDS[:5])
    assert pipe.to_message()["word"].tolist() == [0, 1, 2, 3]
    assert asked == []


def test_an_unknown_label_is_an_error_with_its_row_of_the_source():
    pipe = table().filter("n >= 20").shuffle(seed=0).batch(3).label_index("word", fit=table(22))
    with pytest.raises(
        ColumnValueError,
        match=r"label_index: column 'word' holds 'word 22' in rows 22 of the source, which are no classes",
    ):
        list(pipe)


def test_it_shows_its_classes():
    assert table(2).label_index("word", WORDS[:2]).stages()[-1] == "LabelIndex(word: ['word 0', 'word 1'])"
    assert table(2).label_index("word", WORDS).known_columns == ["x", "n", "w", "word"]


@pytest.mark.parametrize(
    ("options", "got"), [({}, "neither"), ({"classes": ["a"], "fit": table()}, "both")], ids=["neither", "both"]
)
def test_classes_come_from_one_place(options, got):
    with pytest.raises(ValueError, match=rf"label_index: pass classes=.*, or fit=train to find .*; got {got}\."):
        table().label_index("word", **options)


def test_what_is_wrong_is_said():
    with pytest.raises(ColumnNotFoundError, match=r"label_index: no column 'wrd'; .* Did you mean 'word'\?"):
        table().label_index("wrd", ["a"])
    with pytest.raises(TypeError, match=r"label_index: classes must be a list of labels"):
        table().label_index("word", "abc")
    with pytest.raises(TypeError, match="label_index: fit must be the pipe or the message"):
        table().label_index("word", fit=3)
    with pytest.raises(TypeError, match="LabelIndex has no input; pass it a pipe"):
        fw.LabelIndex(None, "word", ["a"])
