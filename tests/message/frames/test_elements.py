import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.message.frames.elements import apart, labels_of, spread, together
from message.strategies import messages


@pytest.fixture
def frame():
    message = fw.Message(
        {
            "x": torch.tensor([1.0, 2.0]),
            "n": [1, 2],
            "v": torch.arange(4).reshape(2, 2),
            "w": torch.arange(8.0).reshape(2, 2, 2),
        }
    )
    return message.to_pandas()


class TestApart:
    def test_each_element_is_a_column_of_its_own(self, frame):
        parts, originals = apart(frame)
        assert parts.shape == (2, 1 + 1 + 2 + 4)
        assert list(originals) == ["x", "v", "w"]
        assert parts[originals["w"].labels].to_numpy().tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
        assert [label.encode("ascii", "ignore").decode() for label in originals["w"].labels] == [
            "w[0, 0]", "w[0, 1]", "w[1, 0]", "w[1, 1]",
        ]  # fmt: skip
        assert (originals["v"].dtype, originals["v"].shape) == (torch.int64, (2,))

    def test_memory_is_shared_and_protected(self, frame):
        parts, originals = apart(frame)
        column = parts[originals["w"].labels[1]]
        assert column.to_numpy().ctypes.data == frame["w"].array.tensor.data_ptr() + 4
        column.iloc[0] = 99.0
        parts.iloc[0, 0] = 99.0
        assert (frame["w"].array.tensor[0, 0, 1], frame["x"].array.tensor[0]) == (1.0, 1.0)

    def test_some_columns_stay_whole(self, frame):
        parts, originals = apart(frame, but={"x", "v"})
        assert list(originals) == ["w"]
        assert list(parts)[:3] == ["x", "n", "v"]
        empty = fw.Message({"e": torch.zeros(2, 0)}).to_pandas()
        assert list(apart(empty)[0]) == ["e"]
        assert apart(pd.DataFrame())[0].shape == (0, 0)

    def test_labels_are_no_columns_of_a_user(self):
        message = fw.Message({"v": torch.arange(2).reshape(1, 2), "v[0]": [7], "v[1]": ["text"]})
        parts, originals = apart(message.to_pandas())
        assert parts.shape == (1, 4)
        assert fw.Message(together(parts, originals)) == message


class TestTogether:
    @settings(deadline=None, max_examples=60)
    @given(messages())
    def test_what_was_taken_apart_comes_together_as_it_was(self, message):
        parts, originals = apart(message.to_pandas())
        assert fw.Message(together(parts, originals)) == message

    def test_types_follow_what_was_computed(self, frame):
        parts, originals = apart(frame)
        halves = fw.Message(together(parts / 2, originals))
        assert (halves["x"].dtype, halves["v"].dtype) == (torch.float32, torch.float64)
        assert halves["v"].tolist() == [[0.0, 0.5], [1.0, 1.5]]

    def test_a_series_has_one_tensor_per_column(self, frame):
        parts, originals = apart(frame)
        sums = together(parts.sum(), originals)
        assert list(sums.index) == ["x", "n", "v", "w"]
        assert (sums["x"], sums["n"], sums["v"].tolist(), sums["w"].tolist()) == (
            3.0, 3, [2.0, 4.0], [[4.0, 6.0], [8.0, 10.0]],
        )  # fmt: skip
        plain, of_numbers = apart(frame[["x", "n"]])
        assert together(plain.sum(), of_numbers).dtype == np.float64

    def test_labels_of_several_parts(self, frame):
        parts, originals = apart(frame[["v", "n"]])
        both = together(parts.agg(["min", "max"]).unstack().to_frame().T, originals)
        assert list(both) == [("v", "min"), ("v", "max"), ("n", "min"), ("n", "max")]
        assert both[("v", "max")].array.tensor.tolist() == [[2, 3]]

    def test_elements_of_which_some_are_missing_stay_by_themselves(self, frame):
        parts, originals = apart(frame[["v", "n"]])
        some = together(parts.iloc[:, 1:], originals)
        assert list(some) == ["v[1]", "n"]

    def test_elements_that_label_rows_become_text(self, frame):
        parts, originals = apart(frame[["v", "n"]])
        assert together(parts.corr(), originals).index.tolist() == ["v[0]", "v[1]", "n"]
        stacked = together(parts.T.stack().to_frame(), originals)
        assert stacked.index.tolist() == [("v[0]", 0), ("v[0]", 1), ("v[1]", 0), ("v[1]", 1), ("n", 0), ("n", 1)]

    def test_anything_else_is_left_alone(self, frame):
        _, originals = apart(frame)
        series = pd.Series([1, 2], name="s")
        assert together(series, originals) is series
        assert together(5, originals) == 5


class TestSpread:
    def test_arguments_by_column_become_arguments_by_element(self, frame):
        _, originals = apart(frame)
        first, second = originals["v"].labels
        assert spread({"v": 1, "n": 2}, originals) == {first: 1, second: 1, "n": 2}
        assert spread(pd.Series({"v": 1, "n": 2}), originals).to_dict() == {first: 1, second: 1, "n": 2}
        assert spread(frame[["v"]], originals).columns.tolist() == [first, second]
        assert labels_of("v", originals) == [first, second]
        assert labels_of("other", originals) == ["other"]

    def test_other_arguments_stay_as_they_are(self, frame):
        _, originals = apart(frame)
        for value in (1, "v", [1], pd.Series([1, 2])):
            assert spread(value, originals) is value
