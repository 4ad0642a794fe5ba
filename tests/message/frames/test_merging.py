import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError
from message.strategies import message_of_all_ranks

NAN = float("nan")


@pytest.fixture
def message():
    return message_of_all_ranks()


class TestJoining:
    def test_merge_brings_tensor_columns_along(self, message):
        other = fw.Message({"g": ["a", "c", "d"], "u": torch.tensor([[1.0], [2.0], [3.0]])})
        inner = message.merge(other, on="g")
        assert inner.columns == ["g", "x", "v", "w", "n", "u"]
        assert inner["u"].tolist() == [[1.0], [1.0], [2.0]]
        assert inner["w"].tolist() == message["w"][[0, 2, 3]].tolist()
        left = message.merge(other.to_pandas(), how="left")
        assert left["u"].isnan().flatten().tolist() == [False, True, False, False]
        outer = message[["g", "v"]].merge(other, how="outer", indicator=True)
        assert outer["_merge"].tolist() == ["both", "both", "left_only", "both", "right_only"]

    def test_merge_by_tensor_columns(self, message):
        other = fw.Message({"x": torch.tensor([1.0, 3.0]), "name": ["one", "three"]})
        assert message.merge(other, on="x")["name"].tolist() == ["three", "one"]
        rows = fw.Message({"v": message["v"][2:], "name": ["two", "three"]})
        assert message.merge(rows, on="v")["n"].tolist() == [3, 1]

    def test_merge_by_row_numbers(self, message):
        other = fw.Message({"at": [3, 0], "m": [30, 0]})
        assert message.merge(other, left_index=True, right_on="at")[["n", "m"]].to_dict() == {"n": [4, 1], "m": [0, 30]}

    def test_join_without_a_column_goes_by_row_number(self, message):
        both = message[["g"]].join(message[["n"]])
        assert both.to_dict() == {"g": ["a", "b", "a", "c"], "n": [4, 2, 3, 1]}
        three = message[["g"]].join([message[["n"]], message[["v"]].to_pandas()])
        assert three.columns == ["g", "n", "v"]
        assert message[["g"]].join(pd.Series([9], name="s"))["s"].tolist()[0] == 9.0

    def test_join_on_a_column_matches_it_in_both_messages(self, message):
        names = fw.Message({"g": ["c", "a"], "name": ["cid", "ann"], "u": torch.tensor([[2], [1]])})
        joined = message.join(names, on="g", how="inner")
        assert joined["name"].tolist() == ["ann", "ann", "cid"]
        assert joined["u"].tolist() == [[1], [1], [2]]
        assert message.join(names.assign(n=[1, 4]), on=["g", "n"], how="inner")["name"].tolist() == ["ann", "cid"]

    def test_join_on_the_index_of_a_frame(self, message):
        frame = pd.DataFrame({"name": ["ann", "cid"]}, index=pd.Index(["a", "c"], name="key"))
        assert message.join(frame, on="g", how="inner")["n"].tolist() == [4, 3, 1]

    def test_join_with_an_index_that_row_numbers_can_not_meet_is_refused(self, message):
        frame = pd.DataFrame({"name": ["ann", "cid"]}, index=pd.Index([0, 1], name="key"))
        with pytest.raises(
            TypeError,
            match=r"^Message\.join: a message has no index that could meet \['key'\] of the other; name the columns to "
            r"match with on=\.$",
        ):
            message.join(frame)
        with pytest.raises(
            ColumnNotFoundError, match=r"^Message\.join: the other message: no column 'g'; columns are \['n'\]\.$"
        ):
            message.join(message[["n"]], on="g")

    def test_combine_first_and_compare(self, message):
        gaps = fw.Message({"x": torch.tensor([NAN, 5.0, NAN, 7.0])})
        assert gaps.combine_first(message[["x"]])["x"].tolist() == [3.0, 5.0, 2.0, 7.0]
        assert message[["n"]].compare(message[["n"]].add(1)).columns == ["n_self", "n_other"]

    def test_align_gives_a_pair_of_messages(self, message):
        one, other = message[["n"]].align(message[["g", "n"]])
        assert (one.columns, other.columns) == (["g", "n"], ["g", "n"])
        assert isinstance(one, fw.Message)


class TestKeysThatAreTensors:
    @pytest.mark.parametrize("how", ["inner", "left", "right", "outer"])
    @pytest.mark.parametrize(
        "keys",
        [
            torch.tensor([1, 2, 3]),
            torch.tensor([1, 2, 3], dtype=torch.uint8),
            torch.tensor([2**60 + 1, 2, 3]),
            torch.tensor([0.5, 2.0, NAN]),
            torch.tensor([1.5, 2.0, 3.0], dtype=torch.bfloat16),
            torch.tensor([[1, 2], [1, 3], [0, 9]]),
            torch.tensor([[True], [False], [True]]),
            torch.tensor([[0.5, NAN], [2.0, 1.0], [3.0, 1.0]]),
            torch.arange(12).reshape(3, 2, 2),
        ],
    )
    def test_they_keep_their_type_and_values_whatever_rows_meet(self, keys, how):
        left = fw.Message({"k": keys[:2], "n": [1, 2]})
        right = fw.Message({"k": keys[1:], "v": torch.tensor([[1.0], [2.0]])})
        found = left.merge(right, on="k", how=how)
        assert (found["k"].dtype, found["k"].shape[1:]) == (keys.dtype, keys.shape[1:])
        rows = {"inner": [1], "left": [0, 1], "right": [1, 2], "outer": [0, 1, 2]}[how]
        texts = [str(row.tolist()) for row in found["k"]]
        expected = [str(row.tolist()) for row in keys[rows]]
        if keys.shape == (3, 1):  # the third is the first again
            assert set(texts) <= {"[True]", "[False]"}
        else:
            assert sorted(texts) == sorted(expected)
            assert fw.Message(left).join(right, on="k", how=how) == found

    def test_columns_of_the_same_name_are_the_default(self):
        left = fw.Message({"k": torch.tensor([1, 2]), "n": [1, 2]})
        right = fw.Message({"k": torch.tensor([2, 3]), "m": [20, 30]})
        found = left.merge(right, how="outer")
        assert found["k"].tolist() == [1, 2, 3]
        assert found["k"].dtype == torch.int64

    def test_a_tensor_meets_a_plain_column(self):
        left = fw.Message({"k": torch.tensor([1, 2])})
        assert left.merge(fw.Message({"k": [2, 3]}), how="outer")["k"].tolist() == [1, 2, 3]
        assert fw.Message({"k": [2, 3]}).merge(left, on=["k"])["k"].tolist() == [2]
        assert left.merge(pd.Series([2], name="k"), on="k")["k"].tolist() == [2]

    def test_rows_of_different_types_meet_in_one_that_holds_both(self):
        left = fw.Message({"k": torch.tensor([[1, 2], [3, 4]])})
        found = left.merge(fw.Message({"k": torch.tensor([[1.0, 2.0], [0.5, 1.0]])}), how="outer")
        assert found["k"].tolist() == [[0.5, 1.0], [1.0, 2.0], [3.0, 4.0]]

    def test_neither_side_is_changed(self):
        left, right = fw.Message({"k": torch.tensor([1, 2])}), pd.DataFrame({"k": [2, 3]})
        left.merge(right, on="k")
        assert left["k"].dtype == torch.int64
        assert right["k"].tolist() == [2, 3]

    def test_other_ways_of_naming_keys(self):
        left = fw.Message({"a": torch.tensor([1, 2]), "n": [1, 2]})
        right = fw.Message({"b": torch.tensor([2, 1]), "m": [20, 10]})
        assert left.merge(right, left_on="a", right_on="b")["m"].tolist() == [10, 20]
        assert len(left.merge(right, how="cross")) == 4
        assert left.merge(right, left_index=True, right_index=True)["m"].tolist() == [20, 10]
        by_array = left.merge(right, left_on=np.array([5, 6]), right_on=np.array([6, 5]))
        assert by_array["m"].tolist() == [10, 20]

    def test_a_missing_key_suggests_the_nearest(self):
        left = fw.Message({"key": [1]})
        with pytest.raises(ColumnNotFoundError, match=r"^Message\.merge: no column 'keys'; .* Did you mean 'key'\?$"):
            left.merge(left, on="keys")
        with pytest.raises(TypeError, match="missing a required argument: 'right'"):
            left.merge()

    def test_columns_that_overlap_need_a_suffix(self):
        left, right = fw.Message({"k": [1], "n": [1]}), fw.Message({"k": [1], "n": [2]})
        with pytest.raises(ValueError, match="overlap but no suffix"):
            left.join(right, on="k")
        assert left.join(right, on="k", rsuffix="_r").columns == ["k", "n", "n_r"]
        assert left.merge(right, on="k").columns == ["k", "n_x", "n_y"]
