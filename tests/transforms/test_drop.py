"""All columns but the named ones."""

import pytest

import fireworks as fw
from fireworks.errors import ColumnNotFoundError
from pipelines import counting, double, table

PIPES = {
    "rows": lambda: table().drop("word", "n"),
    "batches": lambda: table().batch(4).drop("word"),
    "stream": lambda: counting().drop("x"),
    "behind shuffle": lambda: table().map(double).shuffle(seed=0).drop("x", "w"),
}


@pytest.mark.parametrize("name", PIPES)
class TestDrop(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def test_the_others_stay_and_share_memory():
    rows = table().drop("word", "n")
    assert rows.to_message() == table().to_message().drop("word", "n")
    assert rows.known_columns == rows.to_message().columns == ["x", "w"]
    assert rows[:]["x"].data_ptr() == table()[:]["x"].data_ptr() or rows[:]["x"].storage_offset() == 0
    assert rows.stages()[-1] == "Drop(word, n)"


def test_what_is_known_follows_the_chain():
    pipe = table().drop("x").rename(w="weight").select("weight", "n").drop("n")
    assert pipe.known_columns == pipe.to_message().columns == ["weight"]
    assert table().map(double).drop("n").known_columns is None


def test_an_unknown_column_is_an_error_at_once_or_with_the_first_rows():
    with pytest.raises(ColumnNotFoundError, match=r"drop: no column 'wrd'; .* Did you mean 'word'\?"):
        table().drop("wrd")
    with pytest.raises(ColumnNotFoundError, match="no column 'wrd'"):
        table().map(double).drop("wrd").to_message()


def test_one_column_at_least_is_left():
    with pytest.raises(ValueError, match=r"drop: no column would be left without \['n', 'x'\], .*; keep one\."):
        table().select("n", "x").drop("n", "x")
    with pytest.raises(ValueError, match="drop: no column would be left"):
        counting().map(double).drop("n", "x").to_message()


def test_names_are_named():
    with pytest.raises(ValueError, match=r"drop: name at least one column\."):
        table().drop()
    with pytest.raises(TypeError, match=r"drop: write the names one by one, drop\('x', 'label'\); got"):
        table().drop(["x", "n"])
    with pytest.raises(TypeError, match="Drop has no input; pass it a pipe"):
        fw.Drop(None, "n")
