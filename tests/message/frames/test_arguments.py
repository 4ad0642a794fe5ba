import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.message.frames.arguments import by_index, goes_over_rows, prepared
from fireworks.message.frames.frame import ROWS


@pytest.fixture
def message():
    return fw.Message({"x": torch.tensor([1.0, 2.0]), "v": torch.zeros(2, 3), "n": [1, 2]})


class TestKeys:
    def test_functions_and_mappings_of_row_numbers_are_applied_and_have_no_name(self, message):
        for by in (lambda row: row * 10, {0: 0, 1: 10}):
            (found,), _ = prepared(message, "groupby", (by,), {})
            assert (found.tolist(), found.name) == ([0, 10], None)
            _, options = prepared(message, "groupby", (), {"by": [by, "n"], "sort": False})
            assert options["by"][0].tolist() == [0, 10]
            assert (options["by"][1], options["sort"]) == ("n", False)
            _, options = prepared(message, "pivot_table", ("x", by), {"columns": by})
            assert options["index"].tolist() == options["columns"].tolist() == [0, 10]
            assert options["values"] == "x"

    def test_tensors_stay_tensors(self, message):
        (found,), _ = prepared(message, "groupby", (torch.tensor([[1, 2], [3, 4]]),), {})
        assert isinstance(found, fw.TensorArray)
        assert found.tensor.tolist() == [[1, 2], [3, 4]]

    def test_what_pandas_knows_is_passed_on(self, message):
        for by in ("n", ["n", "x"], np.array([0, 1]), pd.Series([0, 1]), pd.Grouper(key="n"), None):
            (found,), _ = prepared(message, "groupby", (by,), {})
            assert found is by or found == by


class TestFunctions:
    def test_they_are_wrapped_and_other_arguments_go_on_to_them_as_they_are(self, message):
        extra = torch.zeros(2)

        def double(column, *_):
            return column * 2

        for name in ("apply", "agg", "transform"):
            (function, given), options = prepared(message, name, (double, extra), {"other": message, "how": double})
            assert function is not double
            assert options["how"].__wrapped__ is function.__wrapped__ is double
            assert given is extra
            assert options["other"] is message

    @pytest.mark.parametrize(
        ("args", "kwargs", "over_rows"),
        [
            ((len,), {}, False),
            ((len, 1), {}, True),
            ((len, "columns"), {}, True),
            ((len,), {"axis": 1}, True),
            ((len,), {"axis": "index"}, False),
            ((len, [1]), {}, False),
        ],
    )
    def test_whether_they_get_rows(self, args, kwargs, over_rows):
        assert goes_over_rows(args, kwargs) is over_rows


class TestWhere:
    @pytest.mark.parametrize("mask", [torch.tensor([True, False]), np.array([True, False])])
    @pytest.mark.parametrize("name", ["where", "mask"])
    def test_one_value_per_row_is_a_series_of_rows(self, message, name, mask):
        (found, other), options = prepared(message, name, (mask, torch.tensor([5, 6])), {})
        assert (found.tolist(), other.tolist(), options) == ([True, False], [5, 6], {"axis": 0})
        assert list(found.index.names) == [ROWS]
        assert prepared(message, name, (mask,), {"other": 0}) != ((), {})
        assert prepared(message, name, (mask,), {"other": 0})[1] == {"other": 0}

    def test_anything_else_is_translated(self, message):
        (found,), _ = prepared(message, "where", (message[["n"]],), {})
        assert isinstance(found, pd.DataFrame)


class TestTypes:
    def test_torch_dtypes_get_the_shape_of_the_rows(self, message):
        _, options = prepared(message, "astype", (torch.float64,), {})
        assert {name: str(kind) for name, kind in options["dtype"].items()} == {
            "x": "tensor[float64]", "v": "tensor[float64, 3]", "n": "tensor[float64]",
        }  # fmt: skip
        args, options = prepared(message, "astype", ({"v": torch.int8, "n": "str"},), {"errors": "ignore"})
        assert (args, str(options["dtype"]["v"]), options["dtype"]["n"]) == ((), "tensor[int8, 3]", "str")
        assert options["errors"] == "ignore"
        assert prepared(message, "astype", ("float64",), {}) == (("float64",), {})


class TestTimes:
    def test_a_column_of_times_is_needed(self, message):
        with pytest.raises(TypeError, match=r"^Message\.resample: a message has no index of times; name the column"):
            prepared(message, "resample", ("1D",), {})
        assert prepared(message, "resample", ("1D",), {"on": "t"}) == (("1D",), {"on": "t"})

    def test_resampling_by_an_index_leaves_the_column_out(self):
        on, resample = by_index(("2D",), {"on": "t", "closed": "right"})
        series = pd.Series([1, 2, 3], index=pd.date_range("2020-01-01", periods=3))
        assert on == "t"
        assert resample(series).sum().tolist() == [1, 5]


def test_variables_of_a_query_are_those_of_the_caller(message):
    _, options = prepared(message, "query", ("n > 1",), {"level": 1})
    assert options["level"] > 1


def test_every_other_method_has_its_arguments_translated(message):
    (found,), options = prepared(message, "combine_first", (message,), {"value": torch.tensor(3)})
    assert isinstance(found, pd.DataFrame)
    assert options == {"value": 3}
