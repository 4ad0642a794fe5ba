"""The columns that are named, in that order."""

import pytest

import fireworks as fw
from fireworks.errors import ColumnNotFoundError
from pipelines import counting, double, numbers, table, total


def test_columns_come_in_the_order_given():
    assert table().select("word", "x").to_message().columns == ["word", "x"]
    assert [batch.columns for batch in table(3).batch(2).select("w")] == [["w"], ["w"]]


def test_nothing_is_copied():
    rows = table().to_message()
    assert fw.source(rows).select("x")[2:]["x"].data_ptr() == rows["x"][2:].data_ptr()


class TestUnknownColumns:
    def test_at_once_where_columns_are_known(self):
        with pytest.raises(ColumnNotFoundError, match=r"select: no column 'wrd'; columns are .* Did you mean 'word'\?"):
            table().shuffle(seed=0).filter("n", ">", 3).batch(4).select("n", "wrd")

    def test_at_once_behind_another_select(self):
        with pytest.raises(ColumnNotFoundError, match=r"columns are \['n'\]"):
            table().select("n").select("x")

    def test_at_once_behind_a_junction(self):
        with pytest.raises(ColumnNotFoundError, match=r"columns are \['n', 'x'\]"):
            fw.Zip({"a": table().select("n"), "b": table().select("x")}).select("word")

    def test_with_the_first_rows_where_a_function_stands_between(self):
        assert table().map(total).select("block")
        pipe = table().map(double).select("block")
        with pytest.raises(ColumnNotFoundError, match=r"no column 'block'; columns are \['x', 'n', 'w', 'word'\]"):
            numbers(pipe)

    def test_with_the_first_rows_of_a_stream(self):
        with pytest.raises(ColumnNotFoundError, match="no column 'm'"):
            list(counting().select("m"))


def test_at_least_one_column_is_named():
    with pytest.raises(ValueError, match=r"select: name at least one column\."):
        table().select()


def test_it_needs_an_input():
    with pytest.raises(TypeError, match="Select has no input; pass it a pipe"):
        fw.Select(None, "n")


def test_a_list_of_names_is_refused_with_the_right_way():
    with pytest.raises(TypeError, match=r"select: write the names one by one, select\('x', 'label'\); got"):
        table().select(["x", "n"])


PIPES = {
    "rows": lambda: table().select("word", "x"),
    "batches": lambda: table().batch(4).select("n"),
    "stream": lambda: counting().select("x"),
    "behind map and shuffle": lambda: table().map(total).shuffle(seed=0).select("block", "n"),
}


@pytest.mark.parametrize("name", PIPES)
class TestSelect(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]
