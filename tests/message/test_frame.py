import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.errors import ColumnTypeError
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

    def test_a_message_without_rows_or_columns_has_such_a_frame(self):
        assert fw.Message().to_pandas().shape == (0, 0)
        assert fw.Message({"x": torch.zeros(0, 2)}).to_pandas().shape == (0, 1)


class TestWritingToTheFrame:
    @pytest.mark.parametrize(
        "write",
        [
            lambda frame: frame.__setitem__("n", 0),
            lambda frame: frame.loc.__setitem__((1, "n"), 99),
            lambda frame: frame.loc.__setitem__((1, "f"), 99.0),
            lambda frame: frame.loc.__setitem__((1, "name"), "zoe"),
            lambda frame: frame.loc.__setitem__((1, "s"), 99.0),
            lambda frame: frame.loc.__setitem__((frame["n"] > 1, "s"), 99.0),
            lambda frame: frame.loc.__setitem__((frame["n"] > 1, "v"), 99.0),
            lambda frame: frame.iloc.__setitem__((0, 0), 99.0),
            lambda frame: frame.iloc.__setitem__((slice(None), 2), 0),
            lambda frame: frame.at.__setitem__((0, "s"), 99.0),
            lambda frame: frame.fillna({"s": 0.0}, inplace=True),
        ],
    )
    def test_the_message_and_later_frames_stay_as_they_were(self, message, write):
        before = fw.Message(message.to_pandas().copy())
        write(message.to_pandas())
        assert message == before
        assert fw.Message(message.to_pandas()) == before

    def test_the_written_frame_has_the_new_values(self, message):
        frame = message.to_pandas()
        frame.loc[frame["n"] > 1, "s"] = 9.0
        frame.loc[0, "s"] = 7.0
        assert frame["s"].tolist() == [7.0, 9.0, 9.0]
        assert fw.Message(frame)["s"].tolist() == [7.0, 9.0, 9.0]

    def test_frames_of_one_message_do_not_see_each_other(self, message):
        one, other = message.to_pandas(), message.to_pandas()
        one.loc[0, "s"] = 99.0
        one["new"] = 1
        assert other["s"].tolist() == [3.0, 1.0, 2.0]
        assert list(other) == message.columns


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
        assert fw.Message(frame.rename_axis(["p", None])).columns == ["p", "index1", "x"]

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
