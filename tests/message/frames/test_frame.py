import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.errors import ColumnTypeError
from fireworks.message.frames.frame import ROWS, columns_of_result, free_name, label_text, plain
from message.strategies import messages


@pytest.fixture
def message():
    return fw.Message(
        {
            "s": torch.tensor([3.0, 1.0, 2.0]),
            "v": torch.arange(6.0).reshape(3, 2),
            "n": np.array([1, 2, 3]),
            "f": np.array([0.5, 1.5, 2.5]),
            "name": ["ann", "bob", "cid"],
        }
    )


class TestThereAndBack:
    @settings(deadline=None, max_examples=60)
    @given(messages())
    def test_a_frame_and_back_is_the_same_message(self, message):
        frame = message.to_pandas()
        assert fw.Message(frame) == message
        assert list(frame) == message.columns
        assert len(frame) == len(message)

    def test_memory_is_shared_both_ways(self, message):
        frame = message.to_pandas()
        back = fw.Message(frame)
        for name in ("s", "v"):
            assert frame[name].array.tensor.data_ptr() == back[name].data_ptr() == message[name].data_ptr()
        for name in ("n", "f"):
            assert np.shares_memory(frame[name].to_numpy(), message.raw(name))
            assert np.shares_memory(back.raw(name), message.raw(name))

    def test_other_columns_look_as_if_pandas_had_made_them(self, message):
        pd.testing.assert_frame_equal(
            message.to_pandas()[["n", "f", "name"]],
            pd.DataFrame({"n": [1, 2, 3], "f": [0.5, 1.5, 2.5], "name": ["ann", "bob", "cid"]}),
        )

    def test_gradients_survive(self):
        tensor = torch.ones(2, 2, requires_grad=True)
        fw.Message(fw.Message({"x": tensor}).to_pandas())["x"].sum().backward()
        assert tensor.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]

    def test_the_frame_has_a_plain_index_and_texts_as_labels(self, message):
        frame = message.to_pandas()
        assert frame.index.equals(pd.RangeIndex(3))
        assert frame.index.name is None
        assert frame.columns.dtype == fw.Message().to_pandas().columns.dtype == "str"

    def test_a_message_without_rows_or_columns_has_such_a_frame(self):
        assert fw.Message().to_pandas().shape == (0, 0)
        assert fw.Message({"x": torch.zeros(0, 2)}).to_pandas().shape == (0, 1)


class TestIndexes:
    def test_a_running_number_is_left_behind(self):
        for index in (None, pd.RangeIndex(2), pd.RangeIndex(5, 9, 2)):
            assert fw.Message(pd.DataFrame({"x": [1, 2]}, index=index)).columns == ["x"]

    @pytest.mark.parametrize("dropped", [0, 1, 2])
    def test_which_rows_were_filtered_does_not_decide_about_columns(self, dropped):
        frame = fw.Message({"x": torch.arange(4)}).to_pandas()
        assert fw.Message(frame[frame["x"] != dropped]).columns == ["x"]

    def test_a_named_index_becomes_the_first_column(self):
        frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="key"))
        assert fw.Message(frame).to_dict() == {"key": ["a", "b"], "x": [1, 2]}
        assert fw.Message(pd.DataFrame({"x": [1]}, index=pd.RangeIndex(1, name="key"))).columns == ["key", "x"]

    def test_the_levels_of_an_index_become_the_first_columns(self):
        levels = pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])
        frame = pd.DataFrame({"x": [1, 2]}, index=levels)
        assert fw.Message(frame).to_dict() == {"index": [1, 2], "index1": ["a", "b"], "x": [1, 2]}
        assert fw.Message(frame.rename_axis(["p", None])).columns == ["p", "index", "x"]

    def test_group_keys_come_back_as_a_column(self, message):
        means = fw.Message(message.to_pandas().groupby("name")[["s", "v"]].mean())
        assert means.columns == ["name", "s", "v"]
        assert torch.equal(means["v"], message["v"])


class TestRefusals:
    @pytest.mark.parametrize(
        ("frame", "twice"),
        [
            (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a"),
            (pd.DataFrame({"a": [1]}, index=pd.Index([1], name="a")), "a"),
            (pd.DataFrame({"index": [1]}, index=["a"]), "index"),
        ],
    )
    def test_a_name_that_occurs_twice_is_an_error(self, frame, twice):
        with pytest.raises(
            ColumnTypeError,
            match=rf"^Message: the frame has '{twice}' twice, among its columns or its index; rename one\.$",
        ):
            fw.Message(frame)

    @pytest.mark.parametrize(
        ("names", "shown"),
        [([0], "0 of type int"), ([("a", "b")], r"\('a', 'b'\) of type tuple"), ([None], "None of type NoneType")],
    )
    def test_a_column_name_that_is_not_text_is_an_error(self, names, shown):
        frame = pd.DataFrame([[1]])
        frame.columns = pd.Index(names, dtype=object, tupleize_cols=False)
        with pytest.raises(ColumnTypeError, match=rf"^Message: column names are text; the frame has {shown}\.$"):
            fw.Message(frame)


def result(frame, **options):
    return fw.Message(columns_of_result(frame, where="Message.pivot", **options)).to_dict()


class TestResults:
    """What pandas makes of a message, whose row numbers have the private name, on its way back."""

    @pytest.mark.parametrize(
        "index",
        [
            pd.RangeIndex(2, name=ROWS),
            pd.Index([5, 3], name=ROWS),
            pd.RangeIndex(2),
            pd.MultiIndex.from_arrays([[4, 5], [0, 1]], names=[ROWS, ROWS]),
        ],
    )
    def test_row_numbers_are_left_behind(self, index):
        assert result(pd.DataFrame({"x": [1, 2]}, index=index)) == {"x": [1, 2]}

    @pytest.mark.parametrize(
        ("index", "name"),
        [
            (pd.Index([0, 1], name="g"), "g"),
            (pd.RangeIndex(2, name="g"), "g"),
            (pd.Index([0, 1]), "index"),
            (pd.RangeIndex(1, 3), "index"),
            (pd.RangeIndex(0, 4, 2), "index"),
            (pd.Index(["a", "b"]), "index"),
            (pd.Index([0.25, 0.75], name=0.5), "0.5"),
            (pd.MultiIndex.from_arrays([["a", "b"], [0, 1]], names=["g", ROWS]), "g"),
            (pd.MultiIndex.from_arrays([["a", "b"], [0, 1]], names=[None, ROWS]), "index"),
        ],
    )
    def test_any_other_index_becomes_the_first_column(self, index, name):
        columns = result(pd.DataFrame({"x": [1, 2]}, index=index))
        assert list(columns) == [name, "x"]
        assert columns[name] == index.get_level_values(0).tolist()

    def test_levels_without_a_name_are_numbered(self):
        index = pd.MultiIndex.from_arrays([[1, 2], ["a", "b"], [3, 4], [5, 6]], names=[None, "g", None, None])
        assert list(result(pd.DataFrame({"x": [1, 2]}, index=index))) == ["index", "g", "index1", "index2", "x"]

    def test_an_index_without_a_name_may_be_called_something_else(self):
        frame = pd.DataFrame({"x": [1, 2]}, index=["count", "mean"])
        assert result(frame, unnamed="statistic") == {"statistic": ["count", "mean"], "x": [1, 2]}

    def test_a_level_whose_name_is_taken_gets_a_free_one_and_is_not_lost(self):
        frame = pd.DataFrame({"g": [1, 2], "index": [3, 4], "g_index": [5, 6]}, index=pd.Index(["a", "b"], name="g"))
        assert list(result(frame)) == ["g_index2", "g", "index", "g_index"]
        assert list(result(frame.rename_axis(None))) == ["index_index", "g", "index", "g_index"]
        twice = pd.MultiIndex.from_arrays([[1, 2], [3, 4]], names=["g", "g"])
        assert result(pd.DataFrame({"x": [5, 6]}, index=twice)) == {"g": [1, 2], "g_index": [3, 4], "x": [5, 6]}

    def test_labels_become_text_and_their_parts_are_joined(self):
        labels = [0, ("x", "mean"), ("g", ""), ("a", 1, "b"), 2.5, pd.Timestamp("2020-01-31"), None, True]
        frame = pd.DataFrame([range(len(labels))])
        frame.columns = pd.Index(labels, dtype=object, tupleize_cols=False)
        assert list(result(frame)) == ["0", "x_mean", "g", "a_1_b", "2.5", "2020-01-31 00:00:00", "None", "True"]

    def test_a_column_of_row_numbers_is_left_behind(self):
        frame = pd.DataFrame([[0, 7], [1, 8]])
        frame.columns = pd.Index([ROWS, "x"], dtype=object)
        assert result(frame) == {"x": [7, 8]}

    def test_two_labels_that_become_the_same_text_are_an_error_that_names_them(self):
        frame = pd.DataFrame([[1, 2, 3]])
        frame.columns = pd.Index(["a_b", 1, ("a", "b")], dtype=object, tupleize_cols=False)
        with pytest.raises(
            ColumnTypeError,
            match=r"^Message\.pivot: two columns of the result would be called 'a_b': 'a_b' and \('a', 'b'\)\. Rename "
            r"columns, or change their values, such that the names differ\.$",
        ):
            result(frame)

    def test_columns_share_memory_with_the_frame_and_are_protected(self):
        frame = pd.DataFrame({"x": np.arange(3.0)})
        columns = columns_of_result(frame, where="Message.sort_values")
        assert np.shares_memory(columns["x"], frame["x"].to_numpy())
        frame.loc[0, "x"] = 9.0
        assert columns["x"].tolist() == [0.0, 1.0, 2.0]

    def test_names_are_made_of_labels(self):
        assert [label_text(label) for label in ["x", 1, ("x", ""), ((1, 2), "y")]] == ["x", "1", "x", "1_2_y"]
        taken = {"g", "g_index", *(f"g_index{number}" for number in range(2, 12))}
        assert free_name("g", taken) == "g_index12"
        assert free_name("g", set()) == "g"


class TestThePrivateName:
    def test_it_stays_itself_through_copies_and_pickles(self):
        assert copy.deepcopy(ROWS) is pickle.loads(pickle.dumps(ROWS)) is ROWS
        index = pd.RangeIndex(2, name=ROWS)
        assert index.copy(deep=True).name is pickle.loads(pickle.dumps(index)).name is ROWS

    def test_it_looks_like_none_where_pandas_prints_it(self):
        assert repr(pd.RangeIndex(2, name=ROWS)) == "RangeIndex(start=0, stop=2, step=1, name=None)"

    def test_plain_takes_it_off_and_leaves_all_else(self):
        index = pd.MultiIndex.from_arrays([["a", "b"], [0, 1]], names=["g", ROWS])
        series = pd.Series([1, 2], index=index, name=ROWS)
        assert list(plain(series).index.names) == list(plain(index).names) == ["g", None]
        assert (plain(series).name, series.name) == (None, ROWS)
        assert plain(pd.DataFrame({"x": [1]}, index=pd.RangeIndex(1, name=ROWS))).index.name is None
        assert plain(pd.Series([1], index=pd.Index(["a"], name="k"), name="x")).index.name == "k"
        assert plain("text") == "text"
