"""The position of each item, as a column."""

import threading

import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError
from pipelines import add_noise, counting, double, is_odd, numbers, table, total


class TestEnumerate(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table().enumerate(),
            lambda: table().map(add_noise, seed=1).enumerate().shuffle(seed=0).batch(4),
            lambda: table().shuffle(seed=0).enumerate("place", start=5),
            lambda: table().batch(4).map(total).filter(is_odd).enumerate().shuffle(seed=1),
            lambda: table(7).enumerate().repeat(2),
            lambda: counting().map(double).enumerate().batch(3),
            lambda: counting().batch(3).enumerate(),
        ],
        ids=["rows", "then shuffle", "behind shuffle", "batches", "then repeat", "stream", "batched stream"],
    )
    def make_pipe(self, request):
        return request.param


def places(pipe, column="index"):
    return [place for item in pipe for place in item[column].tolist()]


class TestWhatIsNumbered:
    @pytest.mark.parametrize("make", [table, counting])
    def test_rows_where_it_stands(self, make):
        assert places(make().enumerate()) == list(range(23))
        assert places(make().skip(4).enumerate(start=10)) == list(range(10, 29))
        assert make().enumerate().to_message()["index"].dtype == torch.int64

    def test_a_shuffle_behind_it_moves_the_numbers_with_the_rows(self):
        pipe = table().map(double).enumerate().shuffle(seed=0)
        rows = pipe.at_epoch(3).to_message()
        assert (rows["index"] * 2 == rows["n"]).all()
        assert sorted(rows["index"].tolist()) == list(range(23))
        assert rows["index"].tolist() != list(range(23))

    def test_behind_a_shuffle_it_numbers_the_new_order_of_each_epoch(self):
        pipe = table().shuffle(seed=0).enumerate()
        for epoch in (0, 1):
            rows = pipe.at_epoch(epoch).to_message()
            assert rows["index"].tolist() == list(range(23))
            assert rows["n"].tolist() == numbers(table().shuffle(seed=0).at_epoch(epoch))

    @pytest.mark.parametrize("make", [table, counting])
    def test_behind_batch_every_row_has_the_number_of_its_batch(self, make):
        assert places(make(9).batch(4).enumerate()) == [0] * 4 + [1] * 4 + [2]
        assert places(make(9).batch(4).filter(is_odd).enumerate()) == [0, 0, 1, 1]

    def test_repeated_epochs_are_numbered_as_one_where_it_stands_behind(self):
        assert places(table(3).repeat(2).enumerate()) == [0, 1, 2, 3, 4, 5]
        assert places(table(3).enumerate().repeat(2)) == [0, 1, 2, 0, 1, 2]

    def test_functions_upstream_do_not_see_the_number(self):
        seen = []

        def look(rows):
            seen.append(rows.columns)
            return rows

        table(3).map(look).enumerate().to_message()
        assert seen == [["x", "n", "w", "word"]]

    def test_functions_upstream_run_on_the_blocks_they_would_have_without_it(self):
        plain, numbered = table().map(add_noise, seed=1).shuffle(seed=0), table().map(add_noise, seed=1).enumerate()
        assert numbered.shuffle(seed=0).to_message().drop("index") == plain.to_message()

    def test_functions_upstream_go_on_to_run_in_threads(self):
        names = set()

        def look(rows):
            names.add(threading.current_thread().name)
            return rows

        pipe = table(5000).map(look, workers=2).enumerate().shuffle(seed=0)
        assert pipe.to_message() == table(5000).enumerate().shuffle(seed=0).to_message()
        assert threading.current_thread().name not in names or len(names) > 1

    def test_two_of_them_side_by_side(self):
        pipe = table(4).enumerate("first").shuffle(seed=0).enumerate("second")
        rows = pipe.to_message()
        assert rows["first"].tolist() == rows["n"].tolist()
        assert rows["second"].tolist() == [0, 1, 2, 3]

    def test_as_a_function_it_numbers_the_rows_of_a_message(self):
        message = fw.Message({"n": torch.tensor([7, 8])})
        assert table().enumerate(start=2)(message)["index"].tolist() == [2, 3]
        assert table().batch(9).enumerate(start=2)(message)["index"].tolist() == [2, 2]

    def test_it_knows_its_columns(self):
        assert table().select("n").enumerate().known_columns == ["n", "index"]
        assert table().map(double).enumerate().known_columns is None

    def test_no_rows_have_the_column_too(self):
        assert table(0).enumerate().to_message().columns == ["x", "n", "w", "word", "index"]


class TestWhatIsRefused:
    def test_a_name_that_is_taken(self):
        with pytest.raises(
            ColumnTypeError, match=r"enumerate: there is a column 'n' already; name the new one otherwise"
        ):
            table().enumerate("n")
        with pytest.raises(ColumnTypeError, match="enumerate: there is a column 'noise' already"):
            table().map(add_noise, seed=0).enumerate("noise").to_message()

    def test_a_name_that_is_none(self):
        with pytest.raises(TypeError, match=r"enumerate: column must be a name; got 3\."):
            table().enumerate(3)

    def test_a_negative_start(self):
        with pytest.raises(ValueError, match=r"enumerate: start must be an int of at least 0; got -1\."):
            table().enumerate(start=-1)
