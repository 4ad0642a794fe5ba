"""Other names, the same columns."""

import pytest

import fireworks as fw
from fireworks.errors import ColumnNotFoundError
from pipelines import counting, double, table

PIPES = {
    "rows": lambda: table().rename({"x": "image"}, n="number"),
    "batches": lambda: table().batch(4).rename(x="image"),
    "stream": lambda: counting().rename(n="x", x="n"),
    "behind shuffle": lambda: table().map(double).shuffle(seed=0).rename(n="number"),
}


@pytest.mark.parametrize("name", PIPES)
class TestRename(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def test_columns_keep_their_place():
    pipe = table().rename({"x": "an image"}, n="number")
    assert pipe.known_columns == pipe.to_message().columns == ["an image", "number", "w", "word"]
    assert pipe.to_message() == table().to_message().rename({"x": "an image", "n": "number"})
    assert pipe.stages()[-1] == "Rename(x to an image, n to number)"


def test_two_change_names():
    assert counting(3).rename(n="x", x="n").to_message()["x"].tolist() == [0, 1, 2]


def test_an_unknown_column_is_an_error_at_once_or_with_the_first_rows():
    with pytest.raises(ColumnNotFoundError, match=r"rename: no column 'wrd'; .* Did you mean 'word'\?"):
        table().rename(wrd="text")
    with pytest.raises(ColumnNotFoundError, match="no column 'wrd'"):
        table().map(double).rename(wrd="text").to_message()


@pytest.mark.parametrize("make", [table, lambda: table().map(double)], ids=["known", "unknown"])
def test_no_two_columns_have_one_name(make):
    with pytest.raises(ValueError, match=r"rename: two columns would be called 'n'; rename the other one too, or drop"):
        make().rename(x="n").to_message()


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match=r"rename: name at least one column: rename\(\{'old': 'new'\}\)\."):
        table().rename()
    with pytest.raises(TypeError, match=r"rename: a name is text; got 3 of type int for 'x'\."):
        table().rename(x=3)
    with pytest.raises(
        TypeError, match=r"rename: expected a mapping, rename\(\{'old': 'new'\}\); got 'x' of type str\."
    ):
        table().rename("x")
    with pytest.raises(TypeError, match="Rename has no input; pass it a pipe"):
        fw.Rename(None, x="y")
