"""A source's title in every row."""

import pytest

import fireworks as fw
from pipelines import counting, double, table

PIPES = {
    "rows": lambda: table().label("a"),
    "batches": lambda: table().batch(4).label("a", column="source"),
    "batches, some empty": lambda: table().batch(2).filter("n > 5").label("a"),
    "stream": lambda: counting().label("a"),
    "behind shuffle": lambda: table().map(double).shuffle(seed=0).label("a"),
}


@pytest.mark.parametrize("name", PIPES)
class TestLabel(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def test_every_row_has_the_title():
    pipe = table(3).label("train set", column="part")
    assert pipe.to_message()["part"].tolist() == ["train set"] * 3
    assert pipe.known_columns == pipe.to_message().columns == ["x", "n", "w", "word", "part"]
    assert pipe.stages()[-1] == "Label(part='train set')"
    assert table(3).map(double).label("a").known_columns is None


@pytest.mark.parametrize("make", [table, lambda: table().map(double)], ids=["known", "unknown"])
def test_no_column_is_overwritten(make):
    with pytest.raises(
        ValueError, match=r"label: there is a column 'n' already; name another one: label\('a', column="
    ):
        make().label("a", column="n").to_message()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [((3,), "title must be text; got 3 of type int"), (("a", None), "column must be text; got None of type NoneType")],
)
def test_texts_are_texts(arguments, problem):
    with pytest.raises(TypeError, match=f"label: {problem}"):
        table().label(*arguments)


def test_it_needs_an_input():
    with pytest.raises(TypeError, match="Label has no input; pass it a pipe"):
        fw.Label(None, "a")
