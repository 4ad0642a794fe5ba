"""One row per element of a list."""

import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.core import flow
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    ColumnValueError,
    NoRandomAccessError,
    UnknownLengthError,
)
from lists import cells, lists, streamed
from pipelines import counting, double, table


class TestFlatten(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: lists(9).flatten("arrow"),
            lambda: lists(9).select("n", "python").map(double).flatten("python").shuffle(seed=0).batch(4),
            lambda: lists(9).select("n", "arrow").shuffle(seed=0).flatten("arrow"),
            lambda: lists().select("n", "arrow").batch(4).flatten("arrow"),
            lambda: table(9).flatten("x"),
            lambda: streamed(9).select("n", "texts").flatten("texts"),
            lambda: counting(9).flatten("x").batch(4),
        ],
        ids=["rows", "then shuffle", "behind shuffle", "batches", "tensor", "stream of texts", "stream of tensors"],
    )
    def make_pipe(self, request):
        return request.param


def exploded(column):
    frame = pd.DataFrame({"n": range(23), column: cells()}).explode(column).dropna()
    return list(zip(frame["n"], frame[column], strict=True))


class TestWhatComesOut:
    @pytest.mark.parametrize("make", [lists, streamed])
    @pytest.mark.parametrize("column", ["python", "arrow", "arrays", "texts"])
    def test_one_row_per_element_as_in_pandas(self, make, column):
        rows = make().flatten(column).to_message()
        assert [(n, int(x)) for n, x in zip(rows["n"].tolist(), rows[column], strict=True)] == exploded(column)

    def test_elements_may_be_rows_of_tensors(self):
        rows = lists().flatten("tensors").to_message()
        assert rows["tensors"].tolist() == [[float(x)] * 2 for _, x in exploded("tensors")]
        assert lists(3).flatten("even").to_message()["even"].tolist() == torch.arange(12).reshape(6, 2).tolist()

    def test_the_column_stays_in_its_place_and_the_others_are_repeated(self):
        rows = lists(3).select("arrow", "n", "even").flatten("arrow").to_message()
        assert rows.columns == ["arrow", "n", "even"]
        assert rows["even"].shape == (len(rows), 2, 2)

    def test_types_do_not_depend_on_which_rows_come_together(self):
        pipe = lists().select("arrow", "texts").flatten("arrow").flatten("texts")
        assert {str(row.schema) for row in pipe} == {"arrow: int64[pyarrow]\ntexts: str"}

    def test_row_numbers_are_those_of_the_source(self):
        with pytest.raises(ZeroDivisionError) as error:
            lists().flatten("python").map(lambda rows: 1 / 0).to_message()
        assert "rows [0, 0, 2, 2, 2, 3, 4, 4, 4, 4] and" in "".join(error.value.__notes__)

    def test_a_batch_grows_by_itself(self):
        assert [len(batch) for batch in lists(6).batch(2).flatten("python")] == [2, 4, 6]

    def test_the_only_column(self):
        assert lists(3).select("python").flatten("python")[:]["python"].tolist() == [0, 1, 20, 21, 22]

    def test_as_a_function(self):
        assert lists().flatten("python")(lists(1).to_message())["n"].tolist() == [0, 0]

    def test_no_rows_have_the_type_of_the_elements_where_it_is_known(self):
        for nothing in (lists(5).take(0), lists(5).filter("n", ">", 99)):
            flat = nothing.select("n", "arrow", "even").flatten("arrow").flatten("even").to_message()
            assert str(flat.schema) == "n: int64 tensor\narrow: int64[pyarrow]\neven: int64[2] tensor"

    def test_lists_that_are_all_empty(self):
        assert len(fw.source({"x": [[], []], "n": [1, 2]}).flatten("x")) == 0


class TestRandomAccess:
    def test_lengths_are_found_in_one_pass_and_remembered(self, monkeypatch):
        monkeypatch.setattr(flow, "MAX_BLOCK_ROWS", 8)
        calls = []

        def look(rows):
            calls.append(len(rows))
            return rows

        pipe = lists().map(look).flatten("python")
        assert calls == []
        assert (len(pipe), pipe[5]["python"].item()) == (len(exploded("python")), exploded("python")[5][1])
        assert len(pipe) == len(exploded("python"))
        assert calls == [8, 8, 7, 8]

    @pytest.mark.parametrize("size", [1, 4, 32])
    def test_every_way_of_asking_gives_the_same(self, size, monkeypatch):
        monkeypatch.setattr(flow, "MAX_BLOCK_ROWS", size)
        pipe = lists().flatten("arrow")
        expected = [x for _, x in exploded("arrow")]
        for start in range(0, len(expected), 5):
            assert pipe[start : start + 7]["arrow"].tolist() == expected[start : start + 7]
        assert pipe[::-3]["arrow"].tolist() == expected[::-3]
        assert pipe.shuffle(seed=0).to_message()["arrow"].sum() == sum(expected)

    def test_where_the_input_changes_the_length_is_not_known(self):
        pipe = lists().shuffle(seed=0).flatten("python")
        with pytest.raises(
            UnknownLengthError, match=r"Flatten\(python\): its input changes .* Flatten before shuffling"
        ):
            len(pipe)
        with pytest.raises(NoRandomAccessError, match=r"Flatten\(python\) is a stream here"):
            list(pipe.flow.pieces(range(1), None))
        with pytest.raises(UnknownLengthError, match=r"Flatten\(python\) .* number is not known before the end"):
            _ = lists().batch(2).flatten("python").num_rows

    def test_a_fixed_epoch_has_random_access(self):
        assert lists().shuffle(seed=0).at_epoch(1).flatten("python").is_indexable


class TestWhatIsRefused:
    def test_a_column_that_is_not_there(self):
        with pytest.raises(ColumnNotFoundError, match=r"flatten: no column 'pyhton'.* Did you mean 'python'"):
            lists().flatten("pyhton")
        with pytest.raises(TypeError, match=r"flatten: column must be a name; got 3\."):
            lists().flatten(3)

    @pytest.mark.parametrize("column", ["n", "w", "word"])
    def test_rows_that_are_no_lists(self, column):
        with pytest.raises(
            ColumnTypeError, match=rf"flatten: column '{column}' holds .*; its rows must be lists, or rows of"
        ):
            table().flatten(column).to_message()

    def test_an_object_that_is_no_list(self):
        data = fw.source({"x": pd.Series([[1], {"a": 1}])})
        with pytest.raises(ColumnTypeError, match=r"flatten: column 'x' holds object, such as {'a': 1}; its rows must"):
            len(data.flatten("x"))

    @pytest.mark.parametrize("column", [pd.Series([[1], None, [2]]), pd.array([[1], None, [2]], dtype="object")])
    def test_a_missing_row(self, column):
        data = fw.source({"x": column})
        with pytest.raises(
            ColumnValueError, match=r"flatten: column 'x' has 1 missing values, in rows 1 of the source"
        ):
            len(data.flatten("x"))

    def test_tensors_that_do_not_fit_together(self):
        data = fw.source({"x": pd.Series([torch.zeros(2, 3), torch.zeros(2, 4)])})
        with pytest.raises(ColumnTypeError, match=r"flatten: the rows of column 'x' don't fit together: "):
            data.flatten("x").to_message()
        data = fw.source({"x": pd.Series([torch.zeros(2), torch.zeros(2, dtype=torch.int64)])})
        with pytest.raises(
            ColumnTypeError, match=r"don't fit together: some are of torch.float32 and some of torch.int64"
        ):
            data.flatten("x").to_message()
